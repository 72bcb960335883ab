//! What the machine tells its host.

use core::time::Duration;

use crate::error::{Error, RefreshError};
use crate::event::RequestId;
use crate::time::{Monotonic, UnixTime};
use crate::token::Token;

/// What to do. Exhaustive on purpose: a host that forgets one must not compile.
///
/// ```
/// use acs_common::Action;
///
/// /// What a host might write to its log.
/// fn describe(action: &Action<u32>) -> String {
///     match action {
///         Action::ReturnToken { waiter, result: Ok(token) } => format!("{waiter} gets a token until {:?}", token.expires_on()),
///         Action::ReturnToken { waiter, result: Err(error) } => format!("{waiter} gets none: {error}"),
///         Action::CancelRefresher { request } => format!("drop {request:?}"),
///         Action::CallRefresher { request } => format!("call the refresher: {request:?}"),
///         Action::Notify(notice) => format!("notice: {notice:?}"),
///         Action::ScheduleTimer { at: Some(at) } => format!("wake up at {} ms", at.as_millis()),
///         Action::ScheduleTimer { at: None } => "sleep until something happens".to_owned(),
///     }
/// }
/// assert_eq!(describe(&Action::ScheduleTimer { at: None }), "sleep until something happens");
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a host that forgets an action must not compile")]
pub enum Action<W> {
    /// Answer this waiter.
    ReturnToken {
        /// Who asked.
        waiter: W,
        /// The token, valid when the last event was handled; or why there is none.
        result: Result<Token, Error>,
    },
    /// Drop this call of the refresher: its answer is not wanted any more.
    CancelRefresher {
        /// Which call.
        request: RequestId,
    },
    /// Call the refresher; hand its answer in as [`TokenReceived`](crate::Event::TokenReceived) or
    /// [`RefreshFailed`](crate::Event::RefreshFailed) with this id.
    CallRefresher {
        /// Which call this is.
        request: RequestId,
    },
    /// Tell whoever cares.
    Notify(Notice),
    /// Arm the one timer for this moment, in place of any earlier one, or disarm it. When it fires, hand in
    /// [`TimeAdvanced`](crate::Event::TimeAdvanced). Sleep in slices of at most a minute: the wall clock may move.
    ScheduleTimer {
        /// When; `None`: disarm.
        at: Option<Monotonic>,
    },
}

/// Something a long-lived connection or an operator may want to know.
///
/// ```
/// use acs_common::Notice;
///
/// /// Whether somebody should be called out of bed.
/// fn alarming(notice: &Notice) -> bool {
///     match notice {
///         Notice::TokenExpired => true,
///         Notice::RefreshFailed { cause, .. } => cause.is_permanent(),
///         _ => false,
///     }
/// }
/// assert!(alarming(&Notice::TokenExpired) && !alarming(&Notice::Disposed));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// Another token is held now (the initial one is not announced).
    #[non_exhaustive]
    TokenChanged {
        /// When it expires.
        expires_on: UnixTime,
    },
    /// A refresh failed, or a replacement was rejected.
    #[non_exhaustive]
    RefreshFailed {
        /// Why.
        cause: RefreshError,
        /// When it will be tried again, counted from now: by timer if the credential renews ahead of time, else from when
        /// on a request does it. `None`: only the next request that finds no valid token
        /// ([`no_retry`](crate::PolicyBuilder::no_retry)).
        retry_in: Option<Duration>,
    },
    /// The held token is dead, and no other came in time.
    TokenExpired,
    /// The credential is disposed.
    Disposed,
}
