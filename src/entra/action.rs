//! What an exchange tells its host.

use alloc::string::String;
use alloc::vec::Vec;

use super::http::HttpRequest;
use crate::error::RefresherError;
use crate::event::Source;
use crate::time::Monotonic;
use crate::token::NewToken;

/// What an exchange tells its host to do. Exhaustive on purpose: a host that forgets one must not compile.
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
        /// For these scopes.
        scopes: Vec<String>,
        /// The service refused the last one, so one from a cache will not do.
        fresh: bool,
    },
    /// Tell the machine what the source gave: [`SourceChecked`](crate::Event::SourceChecked).
    ReportSource {
        /// What it gave.
        source: Source,
    },
    /// Send this, and do not follow redirects.
    SendRequest {
        /// What to send.
        request: HttpRequest,
    },
    /// The exchange has ended. Tell the machine, by [`TokenReceived`](crate::Event::TokenReceived) or
    /// [`RefreshFailed`](crate::Event::RefreshFailed), and drop the exchange.
    Finish {
        /// The access token, or why the exchange failed.
        result: Result<NewToken, RefresherError>,
    },
    /// Arm the exchange's one timer for this moment, in place of any earlier one, or disarm it.
    ScheduleTimer {
        /// When; `None`: disarm.
        at: Option<Monotonic>,
    },
}
