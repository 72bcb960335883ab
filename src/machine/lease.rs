//! What is held, and what is under way.

use crate::event::RequestId;
use crate::time::{Now, Until};
use crate::token::Token;

/// A token held, until it is dead, rejected or replaced.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) token: Token,
    /// `None`: never (a static token).
    pub(super) dead: Option<Until>,
    /// When to renew; `None` once that has come.
    pub(super) renew: Option<Until>,
    /// It replaced a rejected token: being rejected too until then is a failure.
    pub(super) trial: Option<Until>,
}

/// The refresh in flight.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) request: RequestId,
    pub(super) started: Now,
    pub(super) timeout: Option<Until>,
    /// The host has been told to call.
    pub(super) announced: bool,
}

/// Until when the timer leaves the refresher alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TimerRest {
    Over,
    Until(Until),
    /// Until a request, or the host, starts a refresh that succeeds.
    UntilAccepted,
}

impl Lease {
    pub(super) fn is_dead(&self, now: Now) -> bool {
        self.dead.is_some_and(|dead| dead.has_come(now))
    }
}

/// The held token, and for how long a request would do no more than return it ([`Machine::snapshot`](crate::Machine::snapshot)).
///
/// ```
/// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
///
/// let at = |secs: i64| Now::new(Monotonic::from_millis(1_000 * secs as u64), UnixTime::from_secs(secs));
/// let hour = NewToken::new("opaque").with_expires_on(UnixTime::from_secs(3_600));
/// let machine = Machine::<()>::new(Some(hour), Policy::default(), at(0))?;
///
/// let snapshot = machine.snapshot().expect("it has just been accepted");
/// assert!(snapshot.token(at(3_479)).is_some());
/// assert!(snapshot.token(at(3_480)).is_none(), "time to renew it in the background, so ask the machine");
/// # Ok::<(), acs_common::InvalidToken>(())
/// ```
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) token: Token,
    /// `None`: for ever.
    pub(super) fresh: Option<Until>,
}

impl Snapshot {
    /// Whether both say the same: the very same token, for the same time.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.token.is_same(&other.token) && self.fresh == other.fresh
    }

    /// The token, if a request at `now` would do no more than return it.
    #[must_use]
    pub fn token(&self, now: Now) -> Option<&Token> {
        if self.fresh.is_some_and(|end| end.has_come(now)) { None } else { Some(&self.token) }
    }
}
