//! What a credential is doing, for a handle's `Debug`.

use core::fmt;
use core::time::Duration;

use super::attempt::{Stage, TimerBackoff};
use super::{Kind, Machine};
use crate::error::FailureKind;
use crate::time::{Now, UnixTime, Until};

/// What a credential holds and does at one moment. Its `Debug` shows that, and never a secret.
#[doc(hidden)]
#[derive(Clone)]
pub struct Status {
    token: Held,
    refresh: Refresh,
    last_failure: Option<FailureKind>,
}

#[derive(Clone, Debug)]
#[expect(dead_code, reason = "for `Debug`")]
enum Held {
    None,
    Static,
    Fresh { expires_on: UnixTime, left: Duration },
    Due { expires_on: UnixTime, left: Duration },
}

#[derive(Clone, Debug)]
#[expect(dead_code, reason = "for `Debug`")]
enum Refresh {
    Idle,
    CheckingSource,
    /// The source has answered, and the minimum interval has not passed.
    AwaitingStart,
    InFlight {
        gives_up_in: Option<Duration>,
    },
    /// `None`: until a refresh succeeds that a request or the host starts.
    BackingOff {
        left: Option<Duration>,
    },
    Disposed,
}

impl Status {
    /// Adds its fields to those of a handle.
    pub fn show<'f, 'a, 'b>(&self, handle: &'f mut fmt::DebugStruct<'a, 'b>) -> &'f mut fmt::DebugStruct<'a, 'b> {
        let handle = handle.field("token", &self.token).field("refresh", &self.refresh);
        handle.field("last_failure", &self.last_failure)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(&mut f.debug_struct("Status")).finish()
    }
}

impl<W> Machine<W> {
    /// What the machine holds and does at `now`. This does not change the machine.
    #[doc(hidden)]
    #[must_use]
    pub fn status(&self, now: Now) -> Status {
        let left = |end: Until| end.time_left(now);
        let token = match self.lease.as_ref().filter(|lease| !lease.has_expired(now)) {
            None => Held::None,
            Some(lease) => match lease.expiry {
                None => Held::Static,
                Some(end) => {
                    let (expires_on, left) = (lease.token.expires_on(), left(end));
                    if self.is_due(now) { Held::Due { expires_on, left } } else { Held::Fresh { expires_on, left } }
                }
            },
        };
        let refresh = match (&self.attempt, self.timer_backoff()) {
            _ if self.kind == Kind::Disposed => Refresh::Disposed,
            (Some(attempt), _) => match attempt.stage {
                Stage::Checking => Refresh::CheckingSource,
                Stage::AwaitingStart => Refresh::AwaitingStart,
                Stage::Refreshing => Refresh::InFlight { gives_up_in: attempt.timeout.map(left) },
            },
            (None, TimerBackoff::Until(end)) if !end.has_come(now) => Refresh::BackingOff { left: Some(left(end)) },
            (None, TimerBackoff::UntilAccepted) => Refresh::BackingOff { left: None },
            (None, TimerBackoff::Over | TimerBackoff::Until(_)) => Refresh::Idle,
        };
        let last_failure = self.backoff.as_ref().map(|backoff| backoff.last_failure.kind());
        Status { token, refresh, last_failure }
    }
}
