//! Tokens for Entra users: the exchange of an Entra token for an access token, without I/O.
//!
//! [`EntraMachine`] is a [`Machine`](crate::Machine) whose refresher is built in: it asks the host's *source* for an Entra
//! token, has the host send the exchange's HTTP request, and reads the response. One run of that is one refresh, and all the
//! machine's rules hold for it: one at a time, nobody stranded, no failure costs a valid token.
//!
//! ```text
//!               same Entra token, access token valid: nothing to do
//!               ┌──────────────────────────────────────────────────────────┐
//!   ┌───────────┴─────────┐  another, or none valid   ┌─────────────┐ 200  ▼
//!   │ AcquireEntraToken   ├──────────────────────────▶│ SendRequest ├────▶ accepted
//!   └───────────┬─────────┘◀──────────────────────────┤             │◀─┐
//!               │    401, once: a fresh one            └──┬───────┬──┘  │ after a pause, three times at most
//!               ▼                                         ▼       └─────┘ 408, 429, 5xx, unreachable
//!   failed, or signed out                               failed
//! ```
//!
//! The contract with the host is the [machine's](crate#the-hosts-contract), with two kinds of call in place of one: answer
//! [`AcquireEntraToken`](EntraAction::AcquireEntraToken) by [`EntraTokenReceived`](EntraEvent::EntraTokenReceived),
//! [`EntraTokenFailed`](EntraEvent::EntraTokenFailed) or [`SignedOut`](EntraEvent::SignedOut), and
//! [`SendRequest`](EntraAction::SendRequest) by [`ResponseReceived`](EntraEvent::ResponseReceived) or
//! [`TransportFailed`](EntraEvent::TransportFailed), each with the call's id. Redirects are not to be followed.
//!
//! The source is asked when a refresh is due, or before each answer ([`CheckSource`](crate::CheckSource)), in which case a
//! change of users is noticed at once. An Entra token's `tid` and `oid` are read, **unverified**, to tell whether it is
//! another user's: if its exchange fails, the access token of the user before is not served in its place. Failures belong
//! to the Entra token that failed: another one starts clean.

mod exchange;
mod hints;
mod http;
mod machine;
mod options;
mod response;
mod scrub;
mod source;

pub use self::http::{HttpRequest, HttpResponse};
pub use self::machine::{CallId, EntraAction, EntraEvent, EntraMachine};
pub use self::options::{EntraOptions, EntraOptionsError};
pub use self::response::{BadResponse, ErrorDetail, ErrorResponse, ExchangeError};
pub use self::source::EntraToken;
