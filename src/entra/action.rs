//! What an exchange tells its host.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::RefresherError;
use crate::event::Source;
use crate::time::Monotonic;
use crate::token::NewToken;
use crate::wire::HttpRequest;

/// What an exchange tells its host to do. The list is exhaustive on purpose: a host that forgets an action must not compile.
///
/// ```
/// use acs_common::entra::ExchangeAction;
///
/// /// What a host might write to its log.
/// fn describe(action: &ExchangeAction) -> String {
///     match action {
///         ExchangeAction::AcquireEntraToken { scopes, fresh } => format!("ask for {scopes:?}, fresh: {fresh}"),
///         ExchangeAction::ReportSource { source } => format!("the source has version {:x}", source.version),
///         ExchangeAction::SendRequest { request } => format!("try {} of {}", request.attempt(), request.request_id()),
///         ExchangeAction::Finish { result: Ok(_) } => "it brought a token".to_owned(),
///         ExchangeAction::Finish { result: Err(error) } => format!("it failed: {error}"),
///         ExchangeAction::ScheduleTimer { at } => format!("wake up at {at:?}"),
///     }
/// }
/// assert_eq!(describe(&ExchangeAction::ScheduleTimer { at: None }), "wake up at None");
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a host that forgets an action must not compile")]
pub enum ExchangeAction {
    /// Ask the source for an Entra token.
    AcquireEntraToken {
        /// The scopes to ask for.
        scopes: Vec<String>,
        /// Whether the service has refused the last one. Then a token from a cache is of no use.
        fresh: bool,
    },
    /// Tell the machine what the source gave: [`SourceChecked`](crate::Event::SourceChecked).
    ReportSource {
        /// The source's two numbers.
        source: Source,
    },
    /// Send this request. Do not follow redirects.
    SendRequest {
        /// The request.
        request: HttpRequest,
    },
    /// The exchange has ended. Tell the machine, by [`TokenReceived`](crate::Event::TokenReceived) or
    /// [`RefreshFailed`](crate::Event::RefreshFailed), and drop the exchange.
    Finish {
        /// The access token, or why the exchange failed.
        result: Result<NewToken, RefresherError>,
    },
    /// Arm the exchange's only timer for this moment, or disarm it. This replaces any earlier moment.
    ScheduleTimer {
        /// The moment; `None`: disarm the timer.
        at: Option<Monotonic>,
    },
}
