//! What is held, and what is under way.

use alloc::boxed::Box;
use core::time::Duration;

use super::queue::Queue;
use crate::action::Notice;
use crate::error::RefreshError;
use crate::event::RequestId;
use crate::time::{Now, UnixTime, Until};
use crate::token::Token;

/// A token held, until it is dead, rejected or replaced.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) token: Token,
    /// `None`: never (a static token).
    pub(super) dead: Option<Until>,
    /// When to renew; `None` once that has come.
    pub(super) renew: Option<Until>,
}

/// The token held last was rejected, so that the one that replaces it is on trial; what became of those before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Trial {
    /// Being rejected until then is a failure. `None`: it is yet to come.
    pub(super) until: Option<Until>,
    /// Such failures, in a row.
    pub(super) rejections: u32,
    /// Until when a further one belongs to the row.
    pub(super) row: Option<Until>,
}

/// The refresh in flight.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) request: RequestId,
    pub(super) started: Now,
    pub(super) timeout: Option<Until>,
    /// The host has been told to call.
    pub(super) announced: bool,
    pub(super) stage: Stage,
    /// It is for another user than the token held: its failure costs that token.
    pub(super) stranger: bool,
}

/// What the source has given, as far as the machine is concerned.
#[cfg(feature = "entra")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given {
    /// What the token held was exchanged for.
    pub(crate) unchanged: bool,
    /// Another than what the failures so far are of, so that they do not count against it.
    pub(crate) another: bool,
    /// Another user's than the token held, or who can tell.
    pub(crate) stranger: bool,
}

/// How far the refresh in flight is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    /// The refresher is at it, or the source of Entra tokens is being asked.
    Asking,
    /// The source has answered, and the exchange is to start as soon as the floor allows.
    Cleared,
    /// The exchange is at it, and the host has been told so or not.
    Exchanging { announced: bool },
}

/// A [`Notice`], the rare and large one on the heap.
#[derive(Clone, Debug)]
pub(super) enum News {
    TokenChanged(UnixTime),
    RefreshFailed(Box<(RefreshError, Option<Duration>)>),
    TokenExpired,
    Disposed,
}

/// What a credential needs besides whose refresher asks a source first, then exchanges what that gave.
#[derive(Clone, Debug)]
pub(super) struct Checks<W> {
    /// A request asks the source first, even if a valid token is held.
    pub(super) each_request: bool,
    /// Until when a valid token waits for the source, while that is being asked.
    pub(super) until: Option<Until>,
    /// Whoever waits for the check, and the exchange that may follow, in flight.
    pub(super) joined: Queue<W>,
    /// Whoever came after the source had answered, and gets a check of his own.
    pub(super) later: Queue<W>,
}

/// The last failure, and what it holds up.
#[derive(Clone, Debug)]
pub(super) struct Setback {
    pub(super) last_failure: RefreshError,
    pub(super) timer_rest: TimerRest,
    pub(super) request_rest: Option<Until>,
    /// Until when a further failure belongs to the row.
    pub(super) row: Option<Until>,
    /// Of refreshes, in that row.
    pub(super) failures: u32,
}

/// Until when the timer leaves the refresher alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TimerRest {
    Over,
    Until(Until),
    /// Until a request, or the host, starts a refresh that succeeds.
    UntilAccepted,
}

impl Setback {
    /// With nothing held up yet.
    pub(super) fn none(last_failure: RefreshError) -> Self {
        Self { last_failure, timer_rest: TimerRest::Over, request_rest: None, row: None, failures: 0 }
    }
}

impl From<News> for Notice {
    fn from(news: News) -> Self {
        match news {
            News::TokenChanged(expires_on) => Self::TokenChanged { expires_on },
            News::RefreshFailed(failure) => {
                let (cause, retry_in) = *failure;
                Self::RefreshFailed { cause, retry_in }
            }
            News::TokenExpired => Self::TokenExpired,
            News::Disposed => Self::Disposed,
        }
    }
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
    pub(super) until: Option<Until>,
}

impl Snapshot {
    /// Whether both say the same: the very same token, for the same time.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.token.is_same(&other.token) && self.until == other.until
    }

    /// The token, if a request at `now` would do no more than return it.
    #[must_use]
    pub fn token(&self, now: Now) -> Option<&Token> {
        if self.until.is_some_and(|end| end.has_come(now)) { None } else { Some(&self.token) }
    }

    /// For no longer than until `end`.
    #[cfg(feature = "entra")]
    pub(crate) fn ended_by(self, end: Until) -> Self {
        Self { until: Some(self.until.map_or(end, |until| until.earlier(end))), ..self }
    }
}
