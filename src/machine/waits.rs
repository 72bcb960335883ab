//! When each wait is over, and which is over first. `transitions.rs` starts them and ends them early.

use super::attempt::{Attempt, Repetition, Stage, TimerBackoff};
use super::{Kind, Machine};
use crate::time::{Now, Until};

impl<W> Machine<W> {
    /// Forgets the waits that are over, so that a clock that is set back does not start them again.
    pub(super) fn expire_waits(&mut self, now: Now) {
        let is_over = |end: &mut Until| end.has_come(now);
        self.min_interval.take_if(is_over);
        if let Some(backoff) = &mut self.backoff {
            backoff.request.take_if(is_over);
            if backoff.streak.take_if(is_over).is_some() {
                backoff.failures = 0;
            }
            if matches!(backoff.timer, TimerBackoff::Until(end) if end.has_come(now)) {
                backoff.timer = TimerBackoff::Over;
            }
        }
        if let Some(lease) = &mut self.lease {
            lease.renewal.take_if(is_over);
        }
        if let Some(probation) = &mut self.probation
            && probation.streak.take_if(is_over).is_some()
        {
            probation.rejections = 0;
        }
        self.probation.take_if(|probation| probation.until.is_some_and(|end| end.has_come(now)));
    }

    pub(super) fn timer_backoff(&self) -> TimerBackoff {
        self.backoff.as_ref().map_or(TimerBackoff::Over, |backoff| backoff.timer)
    }

    pub(super) fn request_backoff(&self) -> Option<Until> {
        self.backoff.as_ref()?.request
    }

    /// The failed refreshes of the streak.
    pub(super) fn failures(&self) -> u32 {
        self.backoff.as_ref().map_or(0, |backoff| backoff.failures)
    }

    /// Until when a check holds back the valid token.
    pub(super) fn source_timeout(&self) -> Option<Until> {
        let is_checking = self.attempt.as_ref().is_some_and(|attempt| attempt.stage == Stage::Checking);
        self.source.as_ref().filter(|_| is_checking && self.lease.is_some()).and_then(|source| source.timeout)
    }

    /// Whether a waiter cannot get the held token.
    pub(super) fn has_unserved(&self) -> bool {
        let holds = self.lease.is_some();
        self.waiters.any(|waiter| waiter.other || !holds)
    }

    /// Whether the last call, which only the wall clock called overdue, is made again.
    pub(super) fn is_repeated(&self) -> bool {
        if !matches!(self.repetition, Repetition::Due { .. }) {
            return false;
        }
        let is_checked = self.source.as_ref().is_some_and(|source| !source.checking.is_empty());
        self.lease.is_some() || self.has_unserved() || is_checked || self.policy.refreshes_proactively()
    }

    /// Whether a request waits for what is in flight, or is about to be.
    pub(super) fn is_in_flight(&self) -> bool {
        self.is_repeated() || self.attempt.as_ref().is_some_and(|attempt| !attempt.late)
    }

    /// Milliseconds until a refresh starts, if nothing else happens. `asked`: this event is a request.
    pub(super) fn until_start(&self, asked: bool, now: Now) -> Option<u64> {
        if self.kind != Kind::Refreshing {
            return None;
        }
        if let Some(attempt) = &self.attempt {
            // Nothing else starts. But new waiters wait for a late call no longer than for a new one.
            return if attempt.late && self.has_unserved() { Some(0) } else { None };
        }
        if self.source.as_ref().is_some_and(|source| !source.checking.is_empty()) {
            return Some(0);
        }
        // The waiters that may not start a refresh have had their error.
        let is_demanded = self.requested || self.has_unserved() || self.is_repeated();
        let backoff = match self.timer_backoff() {
            TimerBackoff::Over => Some(0),
            TimerBackoff::Until(end) => Some(end.left(now)),
            TimerBackoff::UntilAccepted => None,
        };
        let renewal = self.lease.as_ref().and_then(|lease| lease.renewal).map_or(0, |renewal| renewal.left(now));
        let due = backoff.map(|backoff| backoff.max(renewal));
        let wait = if is_demanded {
            Some(0)
        } else if self.policy.refreshes_proactively() {
            due
        } else {
            due.filter(|wait| *wait == 0 && asked && self.lease.is_some())
        };
        wait.map(|wait| wait.max(self.min_interval.map_or(0, |interval| interval.left(now))))
    }

    /// Milliseconds until something follows from the time alone.
    pub(super) fn until_due(&self, now: Now) -> Option<u64> {
        let left = |end: Until| end.left(now);
        let attempt = self.attempt.as_ref();
        let refresh_starts = self.until_start(false, now);
        let refresh_times_out = attempt.and_then(Attempt::overdue).map(left);
        let source_check_times_out = self.source_timeout().map(left);
        let awaits_start = attempt.is_some_and(|attempt| attempt.stage == Stage::AwaitingStart);
        let checked_refresh_starts = self.min_interval.filter(|_| awaits_start).map(left);
        // On demand, the next request finds an expiry early enough.
        let is_told = self.policy.refreshes_proactively();
        let token_expires = self.lease.as_ref().filter(|_| is_told).and_then(|lease| lease.expiry).map(left);
        [refresh_starts, refresh_times_out, source_check_times_out, checked_refresh_starts, token_expires]
            .into_iter()
            .flatten()
            .min()
    }
}
