//! What is under way, and what is held up after a failure.

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
    pub(super) started: Now,
    pub(super) timeout: Option<Until>,
    pub(super) stage: Stage,
    /// The host knows of the stage.
    pub(super) announced: bool,
}

/// How far the refresh in flight is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    /// The source is asked.
    Checking,
    /// The source has answered, and the refresher is to be called as soon as the minimum interval allows.
    AwaitingStart,
    /// The refresher is at work.
    Refreshing,
}

/// What a credential with a source needs besides.
#[derive(Clone, Debug)]
pub(super) struct SourceChecks<W> {
    /// A request asks the source first, even if a valid token is held.
    pub(super) each_request: bool,
    /// Until when a valid token waits for the source, while that is asked.
    pub(super) timeout: Option<Until>,
    /// Those who wait for the check in flight, and for the refresh that may follow.
    pub(super) checking: Queue<W>,
    /// Those who came after the source had answered, and get a check of their own.
    pub(super) next: Queue<W>,
    /// What the token held was got for.
    pub(super) of_lease: Option<Source>,
    /// What the source gave in the attempt in flight; `None` while it is asked.
    pub(super) of_attempt: Option<Source>,
    /// What the last failure, or rejection, belongs to. `None`: to nothing, since the source itself failed.
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

/// The last failure, and what it holds up.
#[derive(Clone, Debug)]
pub(super) struct BackoffState {
    pub(super) last_failure: FailureCause,
    pub(super) timer: TimerBackoff,
    pub(super) request: Option<Until>,
    /// Until when a further failure belongs to the streak.
    pub(super) streak: Option<Until>,
    /// Refreshes that failed, in the streak.
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
    /// With nothing held up so far.
    pub(super) fn new(last_failure: FailureCause) -> Self {
        Self { last_failure, timer: TimerBackoff::Over, request: None, streak: None, failures: 0 }
    }
}
