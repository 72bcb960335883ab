//! Tokens for Entra users: the exchange of an Entra token for an access token, without I/O.
//!
//! A user of Microsoft Entra ID signs in with an identity library and gets an *Entra token*. Chat and calling need an
//! *access token* of the communication resource. The service exchanges an Entra token for an access token. An [`Exchange`] is
//! one such exchange. It does the work of the refresher for a [`Machine`](crate::Machine) with a
//! [source](crate::Machine::with_source). So all rules of the machine hold, and source, tries and pauses together are one
//! refresh.
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
//!     │ │ │ └─ 408, 425, 429, 5xx but 501 and 505, ──▶ pausing ─────────────┤ as long as the service asks,
//!     │ │ │    no answer; at most three times                               │ or 0.8, 1.6, 3.2 s less jitter
//!     │ │ └─── 401, once ──▶ asking again, fresh: true ── another token ────┘
//!     │ │                                              ── the same, none ─────▶ failed
//!     │ └───── any other status, a fourth time, longer to wait than there is ──▶ failed
//!     ▼ 200, with a token
//!   accepted
//! ```
//!
//! # The host's contract
//!
//! The host passes messages between the two machines, makes the calls and keeps two timers:
//!
//! | a machine says | the host does |
//! |---|---|
//! | machine: [`CheckSource`](crate::Action::CheckSource) | makes an [`Exchange`], and drains it |
//! | exchange: [`AcquireEntraToken`](ExchangeAction::AcquireEntraToken) | asks an identity library, which may use its cache (but with `fresh: true` not: the service has just refused the last token). Hands in [`EntraTokenReceived`](ExchangeEvent::EntraTokenReceived), [`EntraTokenFailed`](ExchangeEvent::EntraTokenFailed) or [`SignedOut`](ExchangeEvent::SignedOut) |
//! | exchange: [`ReportSource`](ExchangeAction::ReportSource) | tells the machine: [`SourceChecked`](crate::Event::SourceChecked) |
//! | machine: [`CallRefresher`](crate::Action::CallRefresher) | tells the exchange: [`Started`](ExchangeEvent::Started) |
//! | exchange: [`SendRequest`](ExchangeAction::SendRequest) | sends this [`HttpRequest`] as it is, over TLS with the certificate verified. It follows no redirects and does not try again. Hands in [`ResponseReceived`](ExchangeEvent::ResponseReceived) with any status, or [`TransportFailed`](ExchangeEvent::TransportFailed). It can stop reading a body after [`HttpResponse::MAX_BODY`] bytes and one more |
//! | exchange: [`Finish`](ExchangeAction::Finish) | drops the exchange, and tells the machine: [`TokenReceived`](crate::Event::TokenReceived) or [`RefreshFailed`](crate::Event::RefreshFailed) |
//! | machine: [`CancelRefresher`](crate::Action::CancelRefresher) | drops the exchange and its call in flight |
//!
//! When the host looks at its clocks, it hands [`TimeAdvanced`](ExchangeEvent::TimeAdvanced) to both machines. The errors that
//! a host hands in are shown as they are, so they must not contain a secret. The example `own_loop_entra` is such a host.
//!
//! # When the source is asked
//!
//! [`CheckSource::OnRefresh`](crate::CheckSource::OnRefresh), the default: when a refresh is due, like any refresher. A
//! valid token is returned at once. If another user signs in, the next refresh notices it.
//! [`RetryNow`](crate::Event::RetryNow) always asks.
//!
//! [`CheckSource::EachRequest`](crate::CheckSource::EachRequest): each request asks first. It gets the token held if the
//! source returns the Entra token that was exchanged for it. Requests share a check. A request during an exchange gets its own
//! check after that exchange. If a valid token is held and the source takes longer than
//! [`source_check_timeout`](crate::PolicyBuilder::source_check_timeout), the check ends and the token is returned.
//!
//! # Whose token it is
//!
//! A failed refresh never costs a valid token, with two exceptions: the user has signed out, or the Entra token in hand belongs
//! to another user than the token held. No token is better than the wrong one. Two Entra tokens belong to one user if they are
//! the same string, or their claims `tid` and `oid` are equal; not if these cannot be read. **The claims are read
//! unverified**: they decide only what is dropped, never what is returned. The service verifies signatures.
//!
//! Failures of the exchange, rejections and the backoff after them belong to the Entra token in hand. Failures of the source
//! belong to no Entra token. Another Entra token than that of the last failure starts without backoff.
//!
//! # Errors
//!
//! [`ExchangeError`] is found in a [`FailureCause::Refresher`](crate::FailureCause::Refresher) with
//! [`get_ref`](crate::RefresherError::get_ref). It carries the service's code, message and details. They are cut,
//! and everything that looks like a token is removed. It never carries a raw body. Only the service itself refuses permanently:
//! with 400, 401, 403, 404 or 409 and an error code in a JSON body, or with 401 and `WWW-Authenticate`. Any other answer may come
//! from something in between, such as a gateway or a captive portal, and can pass.

mod action;
mod event;
mod exchange;
mod options;
mod response;
mod source;

pub use self::action::ExchangeAction;
pub use self::event::ExchangeEvent;
pub use self::exchange::Exchange;
pub use self::options::{EntraOptions, EntraOptionsError};
pub use self::response::ExchangeError;
pub use self::source::EntraToken;
pub use crate::wire::{BadResponse, ErrorDetail, ErrorResponse, HttpRequest, HttpResponse};
