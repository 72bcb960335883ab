//! Tokens for Entra users: the exchange of an Entra token for an access token, without I/O.
//!
//! A user of Microsoft Entra ID signs in with an identity library and has an *Entra token*; chat and calling want an
//! *access token* of the communication resource. The service exchanges the one for the other. [`EntraMachine`] is the
//! life of such a user's credential: a [`Machine`](crate::Machine) whose refresher is that exchange, so that all its
//! rules hold, and one run of source, tries and pauses is one refresh.
//!
//! ```text
//!       ┌────────┐
//!       │ asking │  AcquireEntraToken
//!       └─┬─┬─┬──┘
//!         │ │ └─ signed out, fails, takes too long ─────────────────────────▶ failed
//!         │ └─── the same as was exchanged for the token held ──────────────▶ that token is the answer
//!         │ another
//!         ▼
//!   ┌────────────┐
//!   │ exchanging │◀─────────────────────────────────────────────────────────┐
//!   └─┬─┬─┬─┬────┘  SendRequest                                             │
//!     │ │ │ └─ 408, 429, 5xx but 501 and 505, no answer, ──▶ pausing ───────┤ as long as the service asks,
//!     │ │ │    at most three times                                          │ or 0.8, 1.6, 3.2 s less jitter
//!     │ │ └─── 401, once ──▶ asking again, fresh: true ── another token ────┘
//!     │ │                                              ── the same, none ─────▶ failed
//!     │ └───── any other status, a fourth time, longer to wait than there is ──▶ failed
//!     ▼ 200, with a token and its expiry
//!   accepted
//! ```
//!
//! # The host's contract
//!
//! The [machine's](crate#the-hosts-contract), with two kinds of call in place of one, of which at most one is under
//! way:
//!
//! * [`AcquireEntraToken`](EntraAction::AcquireEntraToken): ask whoever knows the user for an Entra token, from a cache
//!   or not (`fresh: true`: not, the service has just refused what it gave). Answer
//!   [`EntraTokenReceived`](EntraEvent::EntraTokenReceived), [`EntraTokenFailed`](EntraEvent::EntraTokenFailed) or
//!   [`SignedOut`](EntraEvent::SignedOut);
//! * [`SendRequest`](EntraAction::SendRequest): send this [`HttpRequest`] as it is, over TLS with the certificate
//!   verified, without following redirects and without tries of your own. Answer
//!   [`ResponseReceived`](EntraEvent::ResponseReceived), whatever the status, or
//!   [`TransportFailed`](EntraEvent::TransportFailed). More than [`HttpResponse::MAX_BODY`] bytes of a body need not be
//!   read.
//!
//! [`Cancel`](EntraAction::Cancel) drops the call under way; an answer that comes all the same, or is of the wrong
//! kind, changes nothing. The errors a host hands in are shown as they are, so they must hold no secret.
//!
//! # When the source is asked
//!
//! [`CheckSource::OnRefresh`](crate::CheckSource::OnRefresh), the default: when a refresh is due, as any refresher. A
//! valid token is returned at once; that another user has signed in is noticed at the next refresh, or with
//! [`TryNow`](EntraEvent::TryNow), which always asks.
//!
//! [`CheckSource::EachRequest`](crate::CheckSource::EachRequest): each request asks first, and gets the token held if
//! the source gives the Entra token that was exchanged for it. Requests share a check; those that come while an
//! exchange is under way get one of their own afterwards. With a valid token held, a source that takes longer than
//! [`source_check_timeout`](crate::PolicyBuilder::source_check_timeout) is left alone, and the token served.
//!
//! # Whose token it is
//!
//! A failed refresh never costs a valid token, unless the user has signed out, or the Entra token in hand is another
//! user's than the token held was exchanged for: better none than the wrong one. Two Entra tokens are of one user if
//! they are the same string, or their claims `tid` and `oid` agree; if these cannot be read, they are not. **The claims
//! are read unverified**: they decide only what is dropped, never what is handed out; signatures are the service's to
//! verify.
//!
//! Failures and the rests after them belong to the Entra token they were of: another one starts with a clean slate.
//!
//! # Errors
//!
//! [`ExchangeError`] is found in a [`RefreshError::Refresher`](crate::RefreshError::Refresher) with
//! [`get_ref`](crate::RefresherError::get_ref). It carries the service's own code, message and details, cut and with
//! everything taken out that looks like a token, never a raw body.

mod exchange;
mod hints;
mod http;
mod machine;
mod options;
mod response;
mod run;
mod scrub;
mod source;

pub use self::http::{HttpRequest, HttpResponse};
pub use self::machine::{CallId, EntraAction, EntraEvent, EntraMachine};
pub use self::options::{EntraOptions, EntraOptionsError};
pub use self::response::{BadResponse, ErrorDetail, ErrorResponse, ExchangeError};
pub use self::source::EntraToken;
