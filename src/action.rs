//! What the machine tells its host to do.

use core::time::Duration;

use crate::error::{Error, FailureCause, RefresherError};
use crate::event::RequestId;
use crate::time::{Monotonic, UnixTime, Until};
use crate::token::Token;

/// What the host must do now. The enum is exhaustive on purpose: a host that forgets an action must not compile.
///
/// ```
/// use acs_common::Action;
///
/// /// A line for the host's log.
/// fn describe(action: &Action<u32>) -> String {
///     match action {
///         Action::ReturnToken { waiter, result: Ok(token) } => format!("{waiter} gets a token until {:?}", token.expires_on()),
///         Action::ReturnToken { waiter, result: Err(error) } => format!("{waiter} gets an error: {error}"),
///         Action::CancelRefresher { request } => format!("drop {request:?}"),
///         Action::CheckSource { request, .. } => format!("ask the source: {request:?}"),
///         Action::CallRefresher { request, reason, .. } => format!("call the refresher: {request:?}, {}", reason.trigger.as_str()),
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
    /// Give this waiter its result. Each waiter gets exactly one.
    ReturnToken {
        /// Who asked.
        waiter: W,
        /// The token, which was valid when the last event was handled; or why the waiter gets none.
        result: Result<Token, Error>,
    },
    /// Drop this check or call, and everything that belongs to it. Its answer is ignored from now on.
    CancelRefresher {
        /// The id of the check or call.
        request: RequestId,
    },
    /// Ask the source what it has, and keep that. Only a machine [with a source](crate::Machine::with_source) returns this
    /// action. Hand the answer in as [`SourceChecked`](crate::Event::SourceChecked) or
    /// [`RefreshFailed`](crate::Event::RefreshFailed) with this id.
    ///
    /// Then [`CallRefresher`](Self::CallRefresher) with the same id follows if a refresh is needed; if it is not,
    /// [`CancelRefresher`](Self::CancelRefresher) follows.
    CheckSource {
        /// The id of this check.
        request: RequestId,
        /// Why the machine asks the source.
        reason: Reason,
    },
    /// Call the refresher. Hand its answer in as [`TokenReceived`](crate::Event::TokenReceived) or
    /// [`RefreshFailed`](crate::Event::RefreshFailed) with this id.
    CallRefresher {
        /// The id of this call.
        request: RequestId,
        /// Why the machine calls the refresher.
        reason: Reason,
        /// When the machine gives the call up ([`refresh_timeout`](crate::PolicyBuilder::refresh_timeout)). The refresher
        /// should not wait longer. `None`: never.
        give_up: Option<Until>,
    },
    /// Pass this notice on to the listeners.
    Notify(Notice),
    /// Set the one timer to this moment, or disarm it. This replaces every earlier setting. When the timer fires, hand in
    /// [`TimeAdvanced`](crate::Event::TimeAdvanced). Sleep in slices of at most 60 s, because the wall clock may be set.
    ScheduleTimer {
        /// When; `None`: disarm.
        at: Option<Monotonic>,
    },
}

/// Why the machine calls the refresher or asks the source (contract, rule 2.9).
///
/// ```
/// use acs_common::{Reason, Trigger};
///
/// /// Whether the refresher must bypass a cache between it and the issuer.
/// fn bypass_cache(reason: &Reason) -> bool {
///     reason.rejected.is_some()
/// }
///
/// /// Whether this call is expected while the issuer works.
/// fn is_routine(reason: &Reason) -> bool {
///     matches!(reason.trigger, Trigger::First | Trigger::Renewal | Trigger::Expired)
/// }
/// # let _ = (bypass_cache, is_routine);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reason {
    /// What leads to this call.
    pub trigger: Trigger,
    /// What led to the first call since a token was last accepted. It differs from `trigger` only for
    /// [`Retry`](Trigger::Retry) and [`Requested`](Trigger::Requested).
    pub first: Trigger,
    /// How many refreshes in a row have failed before this call.
    pub failures: u32,
    /// The token that the service rejected, until the machine accepts another one. A refresher uses it to bypass a cache.
    pub rejected: Option<Token>,
}

/// What leads to a call of the refresher.
///
/// ```
/// use acs_common::Trigger;
///
/// assert_eq!(Trigger::SourceChanged.as_str(), "source_changed");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trigger {
    /// The credential has never held a token.
    First,
    /// The held token is due for renewal.
    Renewal,
    /// The last held token has expired.
    Expired,
    /// The service rejected the token that is held, or was held last.
    Rejected,
    /// The refresh before this one failed.
    Retry,
    /// The host asked for another try ([`RetryNow`](crate::Event::RetryNow)), or a caller for another token than the valid one
    /// held ([`AnotherRequested`](crate::Event::AnotherRequested)).
    Requested,
    /// The source has, or may have, another version than the one that the held token was fetched with.
    SourceChanged,
}

impl Trigger {
    /// The trigger's name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Renewal => "renewal",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Retry => "retry",
            Self::Requested => "requested",
            Self::SourceChanged => "source_changed",
        }
    }
}

/// Something that a long-lived connection or an operator may want to know (contract, rule 2.15).
///
/// ```
/// use acs_common::Notice;
///
/// /// Whether to raise an alarm.
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
    /// The refresher is called. A question to the source alone is no refresh, and causes no notice.
    ///
    /// [`TokenChanged`](Self::TokenChanged), [`TokenKept`](Self::TokenKept) or [`RefreshFailed`](Self::RefreshFailed) says how
    /// it ended, unless the credential is disposed first.
    #[non_exhaustive]
    RefreshStarted {
        /// What leads to this call, as in [`Reason::trigger`].
        trigger: Trigger,
        /// What led to the first call since a token was last accepted, as in [`Reason::first`].
        first: Trigger,
        /// How many refreshes in a row have failed before this call.
        failures: u32,
    },
    /// The credential holds another token now. The initial token causes no notice.
    #[non_exhaustive]
    TokenChanged {
        /// When it expires.
        expires_on: UnixTime,
        /// Its expiry could not be read and was not stated ([`Token::is_opaque`]): it is only assumed.
        opaque: bool,
        /// It came from the shared store ([`sharing`](crate::sharing)), without a request to the issuer.
        from_store: bool,
        /// How long the refresh took, by the monotonic clock, with the question to the source. At most 49 days are counted.
        took: Duration,
    },
    /// The refresher returned the token that is held. It stays, perhaps with another expiry.
    #[non_exhaustive]
    TokenKept {
        /// When it expires.
        expires_on: UnixTime,
        /// How long the refresh took, as in [`TokenChanged`](Self::TokenChanged).
        took: Duration,
    },
    /// A refresh failed, or the service rejected a replacement token, which stays and is doubtful.
    #[non_exhaustive]
    RefreshFailed {
        /// Why.
        cause: FailureCause,
        /// How long the refresh took, as in [`TokenChanged`](Self::TokenChanged). `None`: no refresh failed, but the service
        /// rejected the token.
        took: Option<Duration>,
        /// The number of this failure in its streak, from 1. Failed refreshes and rejections have a streak each.
        streak: u32,
        /// The time until the next try, from now on. A proactive credential then tries by timer. On demand, the first
        /// request after that time starts the try. `None`: the next request that finds no valid token starts it
        /// ([`no_retry`](crate::PolicyBuilder::no_retry)).
        retry_in: Option<Duration>,
    },
    /// The held token has expired, and no other token came in time.
    TokenExpired,
    /// The device's wall clock is more than five seconds off the server's time (contract, rule 7.6). Comes again when that
    /// changes by more than five seconds. No clock is set: the credential allows for the difference.
    #[non_exhaustive]
    ClockSkewed {
        /// By how many milliseconds at least; positive if the device's clock is ahead.
        by: i64,
    },
    /// The shared store ([`sharing`](crate::sharing)) failed. The credential works as if there were none, until
    /// [`StoreBack`](Self::StoreBack). It comes once.
    #[non_exhaustive]
    StoreFailed {
        /// Why.
        error: RefresherError,
    },
    /// The shared store answers again.
    StoreBack,
    /// The shared store has something that is not a record of this credential, or that no key opens. It is as good as nothing,
    /// and the next token replaces it. It comes once, until a record is read.
    StoreRecordUnreadable,
    /// The credential is disposed.
    Disposed,
}
