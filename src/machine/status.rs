//! What a credential holds and does (contract, rule 2.15).

use core::fmt;
use core::time::Duration;

use super::attempt::{Stage, TimerBackoff};
use super::{Kind, Machine};
use crate::error::FailureCause;
use crate::time::{Now, UnixTime, Until};

/// What a credential holds and does at one moment. Its `Debug` shows that, and never a secret.
///
/// ```
/// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, RefreshStatus, TokenStatus, UnixTime};
///
/// let at = |secs: i64| Now::new(Monotonic::from_millis(1_000 * secs as u64), UnixTime::from_secs(secs));
/// let hour = NewToken::new("eyJhbGci").with_expires_on(UnixTime::from_secs(3_600));
/// let machine = Machine::<()>::new(Some(hour), Policy::default(), at(0))?;
///
/// let status = machine.status(at(60));
/// assert!(matches!(status.token, TokenStatus::Fresh { left, .. } if left.as_secs() == 3_540));
/// assert_eq!(status.refresh, RefreshStatus::Idle);
/// assert!(status.last_failure.is_none());
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Status {
    /// The token.
    pub token: TokenStatus,
    /// What the credential does for the next token.
    pub refresh: RefreshStatus,
    /// Why the last refresh failed. `None` after an accepted token.
    pub last_failure: Option<FailureCause>,
}

/// The token of a credential at one moment.
///
/// ```
/// use acs_common::TokenStatus;
///
/// /// Whether a request for a token would have to wait.
/// fn waits(token: &TokenStatus) -> bool {
///     matches!(token, TokenStatus::None)
/// }
/// # let _ = waits;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenStatus {
    /// No valid token is held: none came, or it expired, was rejected or disposed of.
    None,
    /// A static token, valid or not.
    Static,
    /// A valid token.
    #[non_exhaustive]
    Fresh {
        /// When it expires, by the wall clock.
        expires_on: UnixTime,
        /// How long it is valid, by the clock that says less.
        left: Duration,
    },
    /// A valid token that is due for renewal.
    #[non_exhaustive]
    Due {
        /// When it expires, by the wall clock.
        expires_on: UnixTime,
        /// How long it is valid, by the clock that says less.
        left: Duration,
    },
}

/// What a credential does for the next token at one moment.
///
/// ```
/// use acs_common::RefreshStatus;
///
/// let trouble = |refresh: &RefreshStatus| matches!(refresh, RefreshStatus::BackingOff { .. });
/// assert!(!trouble(&RefreshStatus::Idle));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshStatus {
    /// Nothing.
    Idle,
    /// It asks the source.
    CheckingSource,
    /// The source has answered, and the minimum interval has not passed.
    AwaitingStart,
    /// A call of the refresher is in flight.
    #[non_exhaustive]
    InFlight {
        /// The time until the timeout; `None`: there is no timeout.
        gives_up_in: Option<Duration>,
    },
    /// It backs off after a failure.
    #[non_exhaustive]
    BackingOff {
        /// The time until the timer's backoff is over. `None`: until a refresh succeeds that a request or the host starts.
        left: Option<Duration>,
    },
    /// The credential is disposed.
    Disposed,
}

impl Status {
    /// Adds its fields to those of a handle.
    #[doc(hidden)]
    pub fn show<'f, 'a, 'b>(&self, handle: &'f mut fmt::DebugStruct<'a, 'b>) -> &'f mut fmt::DebugStruct<'a, 'b> {
        let handle = handle.field("token", &self.token).field("refresh", &self.refresh);
        handle.field("last_failure", &self.last_failure.as_ref().map(FailureCause::kind))
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(&mut f.debug_struct("Status")).finish()
    }
}

impl<W> Machine<W> {
    /// What the machine holds and does at `now`. This does not change the machine: it neither starts a renewal nor drops an
    /// expired token (contract, rule 2.15).
    ///
    /// The example of [`Status`] shows it. The result changes with each [`handle`](Self::handle), and with time.
    #[must_use]
    pub fn status(&self, now: Now) -> Status {
        let left = |end: Until| end.time_left(now);
        let token = match self.lease.as_ref().filter(|lease| !lease.has_expired(now)) {
            None => TokenStatus::None,
            Some(lease) => match lease.expiry {
                None => TokenStatus::Static,
                Some(end) => {
                    let (expires_on, left) = (lease.token.expires_on(), left(end));
                    if self.is_due(now) {
                        TokenStatus::Due { expires_on, left }
                    } else {
                        TokenStatus::Fresh { expires_on, left }
                    }
                }
            },
        };
        let refresh = match (&self.attempt, self.timer_backoff()) {
            _ if self.kind == Kind::Disposed => RefreshStatus::Disposed,
            (Some(attempt), _) => match attempt.stage {
                Stage::Checking => RefreshStatus::CheckingSource,
                Stage::AwaitingStart => RefreshStatus::AwaitingStart,
                Stage::Refreshing => RefreshStatus::InFlight { gives_up_in: attempt.timeout.map(left) },
            },
            (None, TimerBackoff::Until(end)) if !end.has_come(now) => {
                RefreshStatus::BackingOff { left: Some(left(end)) }
            }
            (None, TimerBackoff::UntilAccepted) => RefreshStatus::BackingOff { left: None },
            (None, TimerBackoff::Over | TimerBackoff::Until(_)) => RefreshStatus::Idle,
        };
        let last_failure = self.backoff.as_ref().map(|backoff| backoff.last_failure.clone());
        Status { token, refresh, last_failure }
    }
}
