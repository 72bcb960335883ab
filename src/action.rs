//! What the machine tells its host.

use core::time::Duration;

use crate::error::{Error, FailureCause};
use crate::event::RequestId;
use crate::time::{Monotonic, UnixTime, Until};
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
    /// Answer this waiter.
    ReturnToken {
        /// Who asked.
        waiter: W,
        /// The token, valid when the last event was handled; or why there is none.
        result: Result<Token, Error>,
    },
    /// Drop this check or call, and all that belongs to it: its answer is not wanted any more.
    CancelRefresher {
        /// Which check or call.
        request: RequestId,
    },
    /// Ask the source what it has, before anything is done with that. Only a credential
    /// [with a source](crate::Machine::with_source) says so. Hand the answer in as
    /// [`SourceChecked`](crate::Event::SourceChecked) or [`RefreshFailed`](crate::Event::RefreshFailed) with this id.
    /// [`CallRefresher`](Self::CallRefresher) of the same id follows if a token is to be fetched, otherwise
    /// [`CancelRefresher`](Self::CancelRefresher).
    CheckSource {
        /// Which check this is.
        request: RequestId,
        /// Why the source is asked.
        reason: Reason,
    },
    /// Call the refresher. Hand its answer in as [`TokenReceived`](crate::Event::TokenReceived) or
    /// [`RefreshFailed`](crate::Event::RefreshFailed) with this id.
    CallRefresher {
        /// Which call this is.
        request: RequestId,
        /// Why the refresher is called.
        reason: Reason,
        /// The moment at which the machine gives the call up
        /// ([`refresh_timeout`](crate::PolicyBuilder::refresh_timeout)): a wait of the refresher's that is longer makes no
        /// sense. `None`: never.
        give_up: Option<Until>,
    },
    /// Tell those who listen.
    Notify(Notice),
    /// Arm the one timer for this moment, in place of any earlier one, or disarm it. When it fires, hand in
    /// [`TimeAdvanced`](crate::Event::TimeAdvanced). Sleep in slices of at most a minute: the wall clock may move.
    ScheduleTimer {
        /// When; `None`: disarm.
        at: Option<Monotonic>,
    },
}

/// Why the refresher is called, or the source asked (contract, rule 2.9).
///
/// ```
/// use acs_common::{Reason, Trigger};
///
/// /// Whether a cache between the refresher and the issuer is to be passed over.
/// fn bypass_cache(reason: &Reason) -> bool {
///     reason.rejected.is_some()
/// }
///
/// /// Whether this is a call that a healthy issuer leads to.
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
    /// The token that the service rejected, until the next token is accepted. It helps to pass over a cache in between.
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
    /// The token held is due for renewal.
    Renewal,
    /// The token held last has expired.
    Expired,
    /// The service rejected the token held last.
    Rejected,
    /// The refresh before this one failed.
    Retry,
    /// The host said that trying makes sense again ([`RetryNow`](crate::Event::RetryNow)).
    Requested,
    /// The source has, or may have, something else than the token held was got for.
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
        cause: FailureCause,
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
