//! The refresh in flight, and the backoff after a failure.

use super::pending::Waiter;
use super::queue::Queue;
use crate::action::Trigger;
use crate::error::FailureCause;
use crate::event::{RequestId, Source};
use crate::time::{Now, Until};

/// The refresh in flight.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) request: RequestId,
    pub(super) trigger: Trigger,
    /// The failed refreshes of the streak when it started.
    pub(super) failures: u32,
    pub(super) started: Now,
    pub(super) timeout: Option<Until>,
    /// The end of the time that it has although the wall clock calls it overdue. `None`: the wall clock does not.
    pub(super) grace: Option<Until>,
    pub(super) stage: Stage,
    /// The refresher was called before the last rejection.
    pub(super) before_rejection: bool,
    /// The host knows of the stage.
    pub(super) announced: bool,
    /// The host has had the notice of the call.
    pub(super) reported: bool,
    /// It has timed out, and the policy lets it finish. Nobody waits for it.
    pub(super) late: bool,
}

impl Attempt {
    /// When something follows if it has no answer.
    pub(super) fn overdue(&self) -> Option<Until> {
        self.grace.or(self.timeout)
    }
}

/// A call that only the wall clock calls overdue is made again, once (contract, rule 2.8).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Repetition {
    Allowed,
    /// The call was dropped, and waits to be made again for its reason.
    Due {
        trigger: Trigger,
        failures: u32,
    },
    /// It was made again. If that one is overdue, it has failed.
    Used,
}

impl Repetition {
    /// Why the call that waits was made, and how many had failed. From now on it no longer waits, and was `made` or not.
    pub(super) fn end(&mut self, made: bool) -> Option<(Trigger, u32)> {
        let Self::Due { trigger, failures } = *self else { return None };
        *self = if made { Self::Used } else { Self::Allowed };
        Some((trigger, failures))
    }
}

/// The stage of the refresh in flight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    /// The machine asks the source.
    Checking,
    /// The source has answered, and the call of the refresher waits for the minimum interval.
    AwaitingStart,
    /// The refresher works.
    Refreshing,
}

/// The state that only a credential with a source has.
#[derive(Clone, Debug)]
pub(super) struct SourceChecks<W> {
    /// Whether a request asks the source first, even if a valid token is held.
    pub(super) each_request: bool,
    /// Until when a check holds back the valid token.
    pub(super) timeout: Option<Until>,
    /// The waiters for the check in flight, and for the refresh that may follow.
    pub(super) checking: Queue<Waiter<W>>,
    /// The waiters that came after the source's answer. They get another check.
    pub(super) next: Queue<Waiter<W>>,
    /// The version that the held token was fetched with.
    pub(super) of_lease: Option<Source>,
    /// The source's answer in the attempt in flight; `None` before it.
    pub(super) of_attempt: Option<Source>,
    /// The version that the last failure, or rejection, belongs to. `None`: the source itself failed.
    pub(super) of_failure: Option<Source>,
}

impl<W> SourceChecks<W> {
    pub(super) fn new(each_request: bool) -> Self {
        Self {
            each_request,
            timeout: None,
            checking: Queue::new(),
            next: Queue::new(),
            of_lease: None,
            of_attempt: None,
            of_failure: None,
        }
    }
}

/// The last failure, and its backoffs.
#[derive(Clone, Debug)]
pub(super) struct BackoffState {
    pub(super) last_failure: FailureCause,
    pub(super) timer: TimerBackoff,
    pub(super) request: Option<Until>,
    /// Until when the next failure belongs to the streak.
    pub(super) streak: Option<Until>,
    /// The failed refreshes of the streak.
    pub(super) failures: u32,
}

/// Until when the timer leaves the refresher alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TimerBackoff {
    Over,
    Until(Until),
    /// Until a request, or the host, starts a refresh that succeeds.
    UntilAccepted,
}

impl BackoffState {
    /// A state without backoffs.
    pub(super) fn new(last_failure: FailureCause) -> Self {
        Self { last_failure, timer: TimerBackoff::Over, request: None, streak: None, failures: 0 }
    }
}
