//! Tokens for Entra users: the exchange of an Entra token for an access token, without I/O.
//!
//! A user of Microsoft Entra ID signs in with an identity library and has an *Entra token*. Chat and calling want an
//! *access token* of the communication resource. The service exchanges the one for the other. An [`Exchange`] is one such
//! exchange, and does the work of the refresher for a [`Machine`](crate::Machine) with a
//! [source](crate::Machine::with_source): all rules of the machine hold, and one run of source, tries and pauses is one
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
//! The host puts the two machines together by what they say to each other, and keeps its own calls and two timers:
//!
//! | one says | the host does |
//! |---|---|
//! | machine: [`CheckSource`](crate::Action::CheckSource) | makes an [`Exchange`], and drains it |
//! | exchange: [`AcquireEntraToken`](ExchangeAction::AcquireEntraToken) | asks an identity library, from a cache or not (`fresh: true`: not, the service has just refused what it gave). Hands in [`EntraTokenReceived`](ExchangeEvent::EntraTokenReceived), [`EntraTokenFailed`](ExchangeEvent::EntraTokenFailed) or [`SignedOut`](ExchangeEvent::SignedOut) |
//! | exchange: [`ReportSource`](ExchangeAction::ReportSource) | tells the machine: [`SourceChecked`](crate::Event::SourceChecked) |
//! | machine: [`CallRefresher`](crate::Action::CallRefresher) | tells the exchange: [`Started`](ExchangeEvent::Started) |
//! | exchange: [`SendRequest`](ExchangeAction::SendRequest) | sends this [`HttpRequest`] as it is, over TLS with the certificate verified, without following redirects and without tries of its own. Hands in [`ResponseReceived`](ExchangeEvent::ResponseReceived), whatever the status, or [`TransportFailed`](ExchangeEvent::TransportFailed). More than [`HttpResponse::MAX_BODY`] bytes of a body need not be read |
//! | exchange: [`Finish`](ExchangeAction::Finish) | drops the exchange, and tells the machine: [`TokenReceived`](crate::Event::TokenReceived) or [`RefreshFailed`](crate::Event::RefreshFailed) |
//! | machine: [`CancelRefresher`](crate::Action::CancelRefresher) | drops the exchange, and the call that is under way for it |
//!
//! A host that looks at its clocks hands [`TimeAdvanced`](ExchangeEvent::TimeAdvanced) to both. The errors a host hands in
//! are shown as they are, so they must hold no secret. The example `own_loop_entra` is such a host.
//!
//! # When the source is asked
//!
//! [`CheckSource::OnRefresh`](crate::CheckSource::OnRefresh), the default: when a refresh is due, as any refresher. A
//! valid token is returned at once; that another user has signed in is noticed at the next refresh, or with
//! [`RetryNow`](crate::Event::RetryNow), which always asks.
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
//! Failures of the exchange, rejections and the backoff after them belong to the Entra token in hand; failures of the
//! source belong to none. Another Entra token than that of the last failure starts with a clean slate.
//!
//! # Errors
//!
//! [`ExchangeError`] is found in a [`FailureCause::Refresher`](crate::FailureCause::Refresher) with
//! [`get_ref`](crate::RefresherError::get_ref). It carries the service's own code, message and details, cut and with
//! everything taken out that looks like a token, never a raw body. Only the service itself refuses permanently: with 400, 401,
//! 403, 404 or 409 and its error code in a JSON body, or with 401 and `WWW-Authenticate`. Any other answer may come from
//! something in between, a gateway or a captive portal, and pass.

mod action;
mod event;
mod exchange;
mod hints;
mod http;
mod options;
mod refusal;
mod response;
mod scrub;
mod source;

pub use self::action::ExchangeAction;
pub use self::event::ExchangeEvent;
pub use self::exchange::Exchange;
pub use self::http::{HttpRequest, HttpResponse};
pub use self::options::{EntraOptions, EntraOptionsError};
pub use self::response::{BadResponse, ErrorDetail, ErrorResponse, ExchangeError};
pub use self::source::EntraToken;
