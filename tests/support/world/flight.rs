//! The refresh in flight, and the check of the source before it: what may start them, and the effect of each answer.

use acs_common::{Now, Reason, RequestId, Source, Trigger, Until};

use super::law::{Broken, Law};
use super::model::{Model, Repetition};
use super::ops::Ends;

#[derive(Clone, Debug)]
pub struct Flight {
    pub request: RequestId,
    pub started: Now,
    pub stage: Stage,
    /// The machine has told the host to call the refresher.
    pub called: bool,
    pub(super) timeout: Option<Ends>,
    /// Only the wall clock calls it overdue: until when it still has time.
    pub(super) grace: Option<Ends>,
    /// The failures of the streak, as it was said.
    pub(super) failures: u32,
    /// Until when a waiter with a valid token waits for the source.
    pub(super) check: Option<Ends>,
    pub(super) trigger: Trigger,
    /// What the source returned.
    pub(super) source: Option<Source>,
    /// It was called before the last rejection.
    pub(super) before_rejection: bool,
    /// It has timed out, and the host must drop it.
    pub over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage {
    Checking,
    /// The source has answered, but the minimum interval is not over.
    AwaitingStart,
    Refreshing,
}

impl Flight {
    /// Its time is over, with the time that it has although the wall clock calls it overdue.
    pub(super) fn is_overdue(&self, now: Now) -> bool {
        self.grace.or(self.timeout).is_some_and(|end| end.come(now))
    }
}

impl Model {
    /// The source returned something: `ended` if this ends the attempt.
    pub fn source_checked(&mut self, given: Source, ended: bool, now: Now) -> Result<(), Broken> {
        let (each_request, failed) = (self.checks_each_request(), self.failed_source());
        let keeps = self.held(now).is_some_and(|held| held.source == Some(given) && !held.doubtful);
        let keeps = keeps && !self.wants_other();
        let interval = self.min_interval.map_or(0, |end| end.left(now));
        let broken = |law, how: &str| Err(Broken { law, how: format!("{given:?} at {now:?}: {how}") });
        let Some(flight) = &mut self.flight else { return broken(Law::Source, "nothing is in flight") };
        flight.source = Some(given);
        if flight.stage != Stage::Checking {
            return if ended { broken(Law::Source, "another version ends the refresh") } else { Ok(()) };
        }
        let same_failed = failed == Some(given);
        if ended {
            self.released = self.flight.take().map(|flight| flight.request);
            let backs_off =
                each_request && same_failed && (self.request_backoff.is_some() || self.timer_backoff.is_some());
            if keeps {
                self.keep(now);
            }
            self.end_check();
            return if keeps || backs_off { Ok(()) } else { broken(Law::Source, "the check ends for no reason") };
        }
        if keeps {
            return broken(Law::Source, "the held token is of this source, but it is not the answer");
        }
        flight.stage = if each_request { Stage::AwaitingStart } else { Stage::Refreshing };
        if each_request {
            flight.timeout = flight.timeout.map(|end| end.plus(interval));
        }
        if !same_failed {
            if flight.trigger == Trigger::Retry {
                flight.trigger = Trigger::SourceChanged;
            }
            flight.failures = 0;
            self.start_clean();
        } else if each_request && self.quiet.is_some() {
            return broken(Law::Backoff, "it continues in the backoff of the same source");
        }
        Ok(())
    }

    /// The held token is the answer.
    pub(super) fn keep(&mut self, now: Now) {
        self.end_backoff();
        self.allow_repetition();
        self.reasons.origin = None;
        let half = self.at_least(self.held.as_ref().map_or(0, |held| held.expiry.left(now) / 2), now);
        if let Some(held) = &mut self.held {
            held.half = half;
        }
    }

    /// The waiters of the attempt that has just ended must be answered.
    pub(super) fn end_check(&mut self) {
        let next = std::mem::take(&mut self.next);
        self.owed.extend(self.waiting.iter().filter(|waiter| !next.contains(waiter)));
    }

    /// A call was announced, or a check if there is a source; or would be in a drain now. `due`: the held token is due.
    pub fn start(&mut self, request: RequestId, reason: &Reason, due: bool, now: Now) -> Result<(), Broken> {
        let broken = |law, how: String| Err(Broken { law, how });
        if let Some(flight) = &self.flight {
            return broken(Law::OneFlight, format!("{request:?} while {:?} is in flight", flight.request));
        }
        let known = self.last_start.filter(|(seen, ..)| *seen == request);
        let cause = match self.held(now) {
            None => self.reasons.lost,
            Some(held) if held.doubtful => Trigger::Rejected,
            Some(_) if due => Trigger::Renewal,
            Some(_) if self.wants_other() => Trigger::Requested,
            Some(_) => Trigger::SourceChanged,
        };
        let again = match self.repetition {
            Repetition::Due { trigger, failures } => Some((trigger, failures)),
            Repetition::Allowed | Repetition::Used => None,
        };
        let repeats = known.is_none() && again.is_some();
        let (started, trigger) = match (known, again) {
            (Some((_, started, trigger)), _) => (started, trigger),
            (None, Some((trigger, _))) => (now, trigger),
            (None, None) => (now, self.reasons.start(cause, self.requested, reason)),
        };
        let hidden = self.hidden.take().filter(|hidden| hidden.request == request);
        let check = self.source.as_ref().map(|source| source.asks).filter(|asks| asks.each_request);
        self.flight = Some(Flight {
            request,
            started,
            stage: if self.source.is_some() { Stage::Checking } else { Stage::Refreshing },
            called: self.source.is_none(),
            timeout: self.options.timeout.map(|timeout| Ends::after(started, timeout)),
            grace: hidden.as_ref().and_then(|hidden| hidden.grace),
            failures: reason.failures,
            check: check.map(|asks| Ends::after(started, asks.timeout.max(1))),
            trigger,
            source: None,
            before_rejection: false,
            over: false,
        });
        if repeats {
            self.repetition = Repetition::Used;
        }
        let failures = again.filter(|_| repeats).map(|(_, failures)| failures);
        match failures.or(hidden.map(|hidden| hidden.failures)) {
            // In a batch, a failure that was never announced may have answered the waiters that a repetition needs.
            Some(failures) => self
                .reasons
                .judge_again(trigger, failures, reason)
                .or_else(|how| if self.events > 1 { self.reasons.judge(trigger, reason) } else { Err(how) }),
            None => self.reasons.judge(trigger, reason),
        }
        .or_else(|how| broken(Law::Reason, how))?;
        if known.is_some() {
            return Ok(());
        }
        let before = self.last_start.replace((request, now, trigger));
        let (wants_other, half) = (self.wants_other(), self.held(now).and_then(|held| held.half));
        if let Some(held) = self.held.as_mut().filter(|_| wants_other) {
            held.half = None;
        }
        let requested = std::mem::take(&mut self.requested);
        if self.disposed {
            return broken(Law::Disposed, "a refresh started after dispose".to_owned());
        }
        let is_wanted = self.asked || !self.waiting.is_empty();
        let by_timer = self.options.proactive && !self.gave_up;
        if !by_timer && !is_wanted && !requested && !repeats {
            return broken(Law::Unasked, "a refresh without a request".to_owned());
        }
        let interval = self.min_interval.filter(|end| !end.come(now));
        if !self.checks_each_request() {
            self.start_interval(now);
        } else if is_wanted {
            // The check of a request waits neither for the minimum interval nor for a backoff.
            return Ok(());
        }
        if let (Some(end), Some((_, before, _))) = (interval, before) {
            return broken(Law::MinInterval, format!("at {now:?} after {before:?}, but not before {end:?}"));
        }
        if repeats {
            return Ok(());
        }
        // A request asks the source even in a backoff.
        if let Some(end) = self.quiet.filter(|_| !requested || self.source.is_none()) {
            return broken(Law::Backoff, format!("at {now:?}, but the backoff lasts until {end:?}"));
        }
        if let Some(half) = half.filter(|_| !wants_other && (!requested || self.source.is_none())) {
            return broken(Law::Unasked, format!("at {now:?}, before half of the lifetime {half:?}"));
        }
        Ok(())
    }

    /// The refresher is called, after a check.
    pub fn call(&mut self, request: RequestId, reason: &Reason) -> Result<(), Broken> {
        let broken = |law, how: String| Err(Broken { law, how: format!("{request:?} is called: {how}") });
        let flight = self.flight.as_mut().filter(|flight| flight.request == request && !flight.over);
        let Some(flight) = flight else { return broken(Law::OneFlight, "it is not in flight".to_owned()) };
        match flight.stage {
            Stage::Checking => return broken(Law::Source, "the source has not answered".to_owned()),
            Stage::AwaitingStart => return broken(Law::MinInterval, format!("not before {:?}", self.min_interval)),
            Stage::Refreshing if flight.called => return broken(Law::OneFlight, "it was called before".to_owned()),
            Stage::Refreshing => flight.called = true,
        }
        let (trigger, failures) = (flight.trigger, flight.failures);
        self.reasons.judge_again(trigger, failures, reason).or_else(|how| broken(Law::Reason, how))
    }

    /// Whether the announced timeout of the call is correct.
    pub fn gives_up(&self, give_up: Option<Until>, now: Now) -> Result<(), Broken> {
        let told = give_up.map(|end| end.time_left(now).as_millis());
        let timeout = self.flight.as_ref().and_then(|flight| flight.timeout).map(|end| u128::from(end.left(now)));
        let how = || format!("the call times out in {timeout:?} ms, but the host is told {told:?}");
        if told == timeout { Ok(()) } else { Err(Broken { law: Law::Timer, how: how() }) }
    }

    /// The call was cancelled: is there a reason?
    pub fn call_off(&mut self, request: RequestId) -> Result<(), Broken> {
        let broken = |how: &str| Err(Broken { law: Law::OneFlight, how: format!("{request:?} cancelled: {how}") });
        if self.released.take_if(|released| *released == request).is_some() {
            return Ok(());
        }
        match self.flight.take_if(|flight| flight.request == request) {
            None => broken("it was not in flight"),
            Some(flight) if flight.over || self.disposed => Ok(()),
            Some(_) => broken("its time was not over"),
        }
    }

    /// The host should have been told, but was not.
    pub fn untold(&self) -> Option<String> {
        let untold = |flight: &&Flight| flight.over || flight.stage == Stage::Refreshing && !flight.called;
        let released = self.released.map(|request| format!("{request:?} is not cancelled"));
        released.or_else(|| self.flight.as_ref().filter(untold).map(|flight| format!("of {flight:?}")))
    }
}
