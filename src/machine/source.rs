//! The machine as the exchange of Entra tokens sees it.

use alloc::boxed::Box;

use super::lease::{Checks, Stage};
use super::queue::Queue;
use super::{Kind, Machine};
use crate::backoff::Random;
use crate::error::RefreshError;
use crate::event::RequestId;
use crate::policy::{CheckSource, Policy};
use crate::time::{Now, Until};

impl<W> Machine<W> {
    /// A refreshing credential whose refresher asks a source first ([`source_answered`](Self::source_answered)), then, if
    /// told so ([`poll_exchange`](Self::poll_exchange)), exchanges what that gave. `urged`: it starts at once.
    pub(crate) fn with_source(policy: Policy, urged: bool, now: Now) -> Self {
        let each_request = policy.check_source() == CheckSource::EachRequest;
        let mut machine = Self::empty(Kind::Refreshing, policy);
        machine.checks =
            Some(Box::new(Checks { each_request, until: None, joined: Queue::new(), later: Queue::new() }));
        machine.urged = urged;
        machine.settle(false, now);
        machine
    }

    /// The call whose source has answered, and that is to go on with the exchange; once.
    pub(crate) fn poll_exchange(&mut self) -> Option<RequestId> {
        let attempt = self.attempt.as_mut()?;
        let told = attempt.stage == (Stage::Exchanging { announced: false });
        told.then(|| {
            attempt.stage = Stage::Exchanging { announced: true };
            attempt.request
        })
    }

    /// Runs what follows from the time alone: for what happens to the exchange, and not to this machine.
    pub(crate) fn look(&mut self, now: Now) {
        self.lapse(now);
        self.settle(false, now);
    }

    /// Whether a token is held.
    pub(crate) fn holds_token(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether the failure it rests after is a rejection.
    pub(crate) fn rests_after_rejection(&self) -> bool {
        self.setback.as_ref().is_some_and(|setback| matches!(setback.last_failure, RefreshError::Rejected))
    }

    /// The call in flight.
    pub(crate) fn in_flight(&self) -> Option<RequestId> {
        self.attempt.as_ref().map(|attempt| attempt.request)
    }

    /// When the call in flight will have taken too long.
    pub(crate) fn timeout(&self) -> Option<Until> {
        self.attempt.as_ref()?.timeout
    }

    /// Draws from the machine's own generator.
    pub(crate) fn random(&mut self) -> &mut Random {
        &mut self.random
    }
}
