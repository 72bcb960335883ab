//! What the contract allows at each moment. The model keeps its records separate from the machine's, from the host's
//! events and the machine's actions.
//!
//! The file is long because the contract is: each rule is here once.

use acs_common::{Now, RequestId, Source, Token, Trigger};

use super::flight::{Flight, Stage};
use super::ops::{Asks, Ends, Fails, Options, Setup, Verdict};
use super::reasons::Reasons;

#[derive(Clone, Debug)]
pub struct Held {
    pub text: String,
    /// The machine's token, after it was first seen.
    pub token: Option<Token>,
    /// The source token it was exchanged from, if there is a source.
    pub(super) source: Option<Source>,
    pub(super) expiry: Ends,
    /// Half of its lifetime, or how much must pass before it is renewed. `None` after that.
    pub(super) half: Option<Ends>,
    /// It replaced a rejected token. If it is rejected too, before then, that is a failure.
    pub(super) probation: Option<Ends>,
    /// It has the text of the token that it replaced.
    pub(super) same_text: bool,
    /// It was rejected, and stays.
    pub(super) doubtful: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Sourced {
    pub(super) asks: Asks,
    /// The source token that the last failure belongs to.
    pub(super) failed: Option<Source>,
}

/// A call that only the wall clock calls overdue is made again, once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Repetition {
    Allowed,
    /// It was dropped, and waits to be made again for the same reason.
    Due {
        trigger: Trigger,
        failures: u32,
    },
    Used,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub options: Options,
    pub(super) source: Option<Sourced>,
    pub disposed: bool,
    /// The waiters: neither answered nor cancelled.
    pub waiting: Vec<u32>,
    /// The waiters that want another token than the held one.
    pub(super) others: Vec<u32>,
    /// The waiters that came after the source had answered: they get another check.
    pub(super) next: Vec<u32>,
    /// The waiters that must be answered in this drain.
    pub owed: Vec<u32>,
    /// The waiters that should have been answered, but the token expired before the host drained.
    pub(super) missed: Vec<u32>,
    pub(super) held: Option<Held>,
    /// The text of the last rejected token, until the next one is accepted.
    pub(super) replaces: Option<String>,
    /// Announced, and neither answered nor cancelled.
    pub flight: Option<Flight>,
    /// A refresh that started before the last drain, and that the host has not heard of.
    pub(super) hidden: Option<Flight>,
    pub(super) repetition: Repetition,
    /// The source's answer has ended it, or it is made again. The host must drop it.
    pub released: Option<RequestId>,
    /// The last refresh or check: when it started, which of both, and why.
    pub(super) last_start: Option<(RequestId, Now, Trigger)>,
    /// No refresh starts before this. `None` as soon as either clock has shown it over.
    pub(super) min_interval: Option<Ends>,
    /// From then on a request gets no error.
    pub(super) request_backoff: Option<Ends>,
    /// By then the timer's backoff is over.
    pub(super) timer_backoff: Option<Ends>,
    /// No call of the refresher until then.
    pub(super) quiet: Option<Ends>,
    /// The longest backoff: the policy's, or the one the issuer asked for. A clock set back makes it longer.
    pub longest_backoff: u64,
    /// The last event was a request.
    pub(super) asked: bool,
    /// The host sent `RetryNow`, and no refresh has started since.
    pub(super) requested: bool,
    pub failed_once: bool,
    /// A refresh failed under a policy of no retry: the timer starts no refresh.
    pub(super) gave_up: bool,
    pub(super) reasons: Reasons,
    /// Only the wall clock calls the refresh in flight overdue, since the last event.
    pub(super) grace_began: bool,
    /// Since the last drain:
    pub events: u32,
    /// An event fell into a backoff.
    pub(super) backed_off: bool,
    pub failures: u32,
    /// Failures of tokens that were rejected, or returned, again.
    pub rejections: u32,
    /// Of these, failures of a refresher that returned a rejected token.
    pub returned: u32,
    /// Failures of refreshes that were never announced.
    pub(super) unseen: u32,
    pub accepted: u32,
    /// The answer was the held token.
    pub kept: u32,
    pub expired: u32,
}

impl Model {
    pub fn new(setup: &Setup) -> Self {
        let options = setup.options.clone();
        let longest_backoff = options.retry.map_or(0, |(_, max)| max).max(options.min_interval).max(1);
        Self {
            options,
            source: setup.source.map(|asks| Sourced { asks, failed: None }),
            disposed: false,
            waiting: Vec::new(),
            others: Vec::new(),
            next: Vec::new(),
            owed: Vec::new(),
            missed: Vec::new(),
            held: None,
            replaces: None,
            flight: None,
            hidden: None,
            repetition: Repetition::Allowed,
            released: None,
            last_start: None,
            min_interval: None,
            request_backoff: None,
            timer_backoff: None,
            quiet: None,
            longest_backoff,
            asked: false,
            // The source is asked before the first request.
            requested: setup.source.is_some_and(|asks| asks.prewarm),
            failed_once: false,
            gave_up: false,
            reasons: Reasons::new(),
            grace_began: false,
            events: 0,
            backed_off: false,
            failures: 0,
            rejections: 0,
            returned: 0,
            unseen: 0,
            accepted: 0,
            kept: 0,
            expired: 0,
        }
    }

    pub fn has_source(&self) -> bool {
        self.source.is_some()
    }

    pub fn checks_each_request(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.asks.each_request)
    }

    pub(super) fn failed_source(&self) -> Option<Source> {
        self.source.as_ref()?.failed
    }

    /// The source token of the last failure, or else of the held token.
    pub fn usual_source(&self) -> Option<Source> {
        self.failed_source().or_else(|| self.held.as_ref()?.source)
    }

    /// The secrets that a machine may have: the held token, and the one rejected before it.
    pub fn secrets(&self) -> usize {
        usize::from(self.held.is_some()) + usize::from(self.reasons.rejected.is_some())
    }

    /// The token that a request must get.
    pub fn held(&self, now: Now) -> Option<&Held> {
        self.held.as_ref().filter(|held| !held.expiry.come(now))
    }

    /// The token that the machine must drop on dispose, expired or not.
    pub fn held_mut(&mut self) -> Option<&mut Held> {
        self.held.as_mut()
    }

    pub fn expiry(&self) -> Option<Ends> {
        self.held.as_ref().map(|held| held.expiry)
    }

    /// Called before an event: a wait that either clock shows over stays over.
    pub fn before_event(&mut self, now: Now) {
        self.events += 1;
        self.asked = false;
        self.grace_began = false;
        self.min_interval.take_if(|end| end.come(now));
        self.request_backoff.take_if(|end| end.come(now));
        self.timer_backoff.take_if(|end| end.come(now));
        self.quiet.take_if(|end| end.come(now));
        self.backed_off |= self.request_backoff.is_some();
        self.reasons.before_event(now);
        if let Some(held) = &mut self.held {
            held.half.take_if(|half| half.come(now));
            if held.probation.take_if(|probation| probation.come(now)).is_some() {
                self.reasons.forget_rejections();
            }
        }
    }

    /// Called after an event: a token seen expired stays expired, and an overdue refresh is over.
    pub fn after_event(&mut self, now: Now) {
        if self.held.take_if(|held| held.expiry.come(now)).is_some() {
            self.expired += 1;
            self.reasons.lost = Trigger::Expired;
            self.others.clear();
        }
        if self.disposed {
            return;
        }
        self.expire_grace(now);
        let repeats = matches!(self.repetition, Repetition::Due { .. });
        let nothing = self.flight.as_ref().is_none_or(|flight| flight.over);
        if nothing && repeats && !self.wants_repetition() {
            self.repetition = Repetition::Allowed;
        }
        let holds = self.held.is_some();
        let used = self.repetition == Repetition::Used;
        let is_over = |flight: &Flight| {
            let check = flight.check.filter(|_| holds && flight.stage == Stage::Checking);
            let by_both = |end: Ends| end.mono <= now.monotonic.as_millis();
            let is_over = flight.timeout.is_some_and(|end| used || by_both(end)) && flight.is_overdue(now);
            is_over || check.is_some_and(|end| end.come(now))
        };
        if self.flight.as_ref().is_none_or(|flight| flight.over) {
            return;
        }
        if let Some(flight) = self.flight.take_if(|flight| is_over(flight)) {
            self.refresh_failed(&flight, Fails { permanent: false, retry_after: None }, now);
            self.flight = Some(Flight { over: true, ..flight });
        } else if let (Some(flight), None) = (&mut self.flight, self.min_interval)
            && flight.stage == Stage::AwaitingStart
        {
            flight.stage = Stage::Refreshing;
            self.start_interval(now);
        }
    }

    /// Only the wall clock calls the refresh overdue: it has up to five seconds more. Then it is made again, once.
    fn expire_grace(&mut self, now: Now) {
        let flight = self.flight.as_mut().filter(|flight| !flight.over);
        let Some(flight) = flight.or(self.hidden.as_mut()) else { return };
        let by_wall = |end: &Ends| end.mono > now.monotonic.as_millis();
        let Some(timeout) = flight.timeout.filter(|end| by_wall(end) && flight.is_overdue(now)) else { return };
        if flight.grace.is_none() {
            let most = Ends::after(now, 5_000);
            flight.grace = Some(Ends { mono: most.mono.min(timeout.mono), ..most });
            self.grace_began = true;
        }
        if flight.is_overdue(now) && self.repetition == Repetition::Allowed {
            self.repeat();
        }
    }

    /// Whether this event, the source's answer, comes too late for the check in flight.
    pub fn repeats_after(&self, now: Now) -> bool {
        let mut model = self.clone();
        model.expire_grace(now);
        matches!(model.repetition, Repetition::Due { .. })
    }

    /// Drops the refresh in flight, to make it again.
    fn repeat(&mut self) {
        let seen = self.flight.take_if(|flight| !flight.over);
        self.released = seen.as_ref().map(|flight| flight.request).or(self.released);
        if let Some(flight) = seen.or(self.hidden.take()) {
            self.repetition = Repetition::Due { trigger: flight.trigger, failures: flight.failures };
            self.next.clear();
        }
    }

    /// *Retry now* makes a refresh again that is overdue by either clock. Returns whether it is.
    pub fn repeat_overdue(&mut self, now: Now) -> bool {
        let holds = self.held.is_some();
        let is_overdue = |flight: &Flight| {
            let check = flight.check.filter(|_| holds && flight.stage == Stage::Checking);
            [flight.timeout, check].into_iter().flatten().any(|end| end.come(now))
        };
        let flight = self.flight.as_ref().filter(|flight| !flight.over).or(self.hidden.as_ref());
        let overdue = flight.is_some_and(is_overdue);
        if overdue {
            self.repeat();
        }
        overdue
    }

    /// Whether a call that was dropped is made again.
    pub(super) fn wants_repetition(&self) -> bool {
        let is_due = matches!(self.repetition, Repetition::Due { .. });
        let waits = self.waiting.iter().any(|waiter| !self.owed.contains(waiter));
        is_due && (self.held.is_some() || self.options.proactive || waits)
    }

    /// An accepted token, a failure or *retry now*.
    pub(super) fn allow_repetition(&mut self) {
        if self.repetition == Repetition::Used {
            self.repetition = Repetition::Allowed;
        }
    }

    pub fn request(&mut self, waiter: u32) {
        self.waiting.push(waiter);
        self.asked = true;
        let is_late = |flight: &Flight| flight.stage != Stage::Checking && !flight.over;
        if self.checks_each_request() && !self.disposed && self.flight.as_ref().is_some_and(is_late) {
            self.next.push(waiter);
        }
    }

    pub fn request_other(&mut self, waiter: u32, than: &Token, now: Now) {
        self.request(waiter);
        if self.held(now).and_then(|held| held.token.as_ref()).is_some_and(|held| held.ptr_eq(than)) {
            self.others.push(waiter);
        }
    }

    /// Whether a waiter for the refresh in flight, or for the next one, wants another token than the held one.
    pub fn wants_other(&self) -> bool {
        self.others.iter().any(|waiter| self.waiting.contains(waiter) && !self.next.contains(waiter))
    }

    pub fn cancel(&mut self, waiter: u32) {
        for waiters in [&mut self.waiting, &mut self.next, &mut self.others] {
            waiters.retain(|other| *other != waiter);
        }
    }

    /// Whether one more request now changes nothing for the waiters.
    pub fn may_be_joined(&self) -> bool {
        let shares = self.flight.as_ref().is_none_or(|flight| flight.stage == Stage::Checking);
        !self.waiting.is_empty() && (!self.checks_each_request() || shares || !self.next.is_empty())
    }

    pub fn answer(&mut self, text: String, verdict: Verdict, now: Now) {
        match verdict {
            Verdict::Alive { left } => {
                let flight = self.flight.take();
                self.end_backoff();
                self.allow_repetition();
                if self.held(now).is_some_and(|held| held.text == text) {
                    self.accept_again(left, flight.and_then(|flight| flight.source), now);
                } else {
                    if flight.as_ref().is_some_and(|flight| flight.before_rejection) {
                        self.replaces = None;
                    }
                    self.accepted += 1;
                    self.hold(text, left, flight.and_then(|flight| flight.source), now);
                    self.end_check();
                }
            }
            Verdict::Invalid | Verdict::Expired => self.fail(Fails { permanent: false, retry_after: None }, now),
        }
    }

    pub fn hold(&mut self, text: String, left: u64, source: Option<Source>, now: Now) {
        let replaces = self.replaces.take();
        if replaces.is_none() {
            self.reasons.forget_rejections();
        }
        let probation = self.options.retry.filter(|_| replaces.is_some()).map(|(_, max)| Ends::after(now, max));
        let same_text = replaces.is_some_and(|rejected| rejected == text);
        let (half, expiry) = (None, Ends::after(now, left));
        self.held = Some(Held { text, token: None, source, expiry, half, probation, same_text, doubtful: false });
        self.others.clear();
        self.reasons.rejected = None;
        self.lay(left, source, now);
    }

    /// The held token was accepted, for the first time or again.
    fn lay(&mut self, left: u64, source: Option<Source>, now: Now) {
        let half = if self.options.renew_before_half { 0 } else { left / 2 };
        let half = self.at_least(half, now);
        if let Some(held) = &mut self.held {
            (held.source, held.expiry, held.half) = (source, Ends::after(now, left), half);
        }
        self.reasons.origin = None;
        if let Some(source) = &mut self.source {
            source.failed = None;
        }
    }

    /// The answer has the text of the held token.
    fn accept_again(&mut self, left: u64, source: Option<Source>, now: Now) {
        let refused = self.wants_other() || self.held(now).is_some_and(|held| held.doubtful);
        self.lay(left, source, now);
        self.end_check();
        if refused {
            self.returned += 1;
            self.doubt(now);
        } else {
            self.kept += 1;
        }
    }

    /// The held token was rejected again, or returned after a rejection. It stays, and is doubtful; without retry there is
    /// no backoff, and no doubt.
    fn doubt(&mut self, now: Now) {
        self.allow_repetition();
        self.rejections += 1;
        self.requested &= self.source.is_some();
        let left = self.held.as_ref().map_or(0, |held| held.expiry.left(now));
        let doubtful = self.options.retry.is_some();
        self.reasons.origin = None;
        if let Some(held) = &mut self.held {
            held.half = None;
            if doubtful {
                (held.probation, held.doubtful) = (None, true);
                self.replaces = Some(held.text.clone());
                self.reasons.rejected = held.token.clone();
                if let Some(source) = &mut self.source {
                    source.failed = held.source;
                }
            }
        }
        self.gave_up = !doubtful;
        self.reasons.rejection_failed(&self.options, left, now);
        self.back_off(Fails { permanent: false, retry_after: None }, now);
    }

    /// How long at least until the token is renewed.
    pub(super) fn at_least(&self, half: u64, now: Now) -> Option<Ends> {
        let half = if self.options.jitter > 0.0 { 0 } else { half };
        Some(Ends::after(now, half.max(1))).filter(|half| !half.come(now))
    }

    pub(super) fn end_backoff(&mut self) {
        (self.request_backoff, self.timer_backoff, self.quiet) = (None, None, None);
        self.gave_up = false;
        self.reasons.end_backoff();
    }

    /// Ends the streak of rejections, too.
    pub(super) fn start_clean(&mut self) {
        self.end_backoff();
        self.reasons.forget_rejections();
    }

    pub fn fail(&mut self, fails: Fails, now: Now) {
        if let Some(flight) = self.flight.take() {
            self.refresh_failed(&flight, fails, now);
        }
    }

    pub(super) fn refresh_failed(&mut self, flight: &Flight, fails: Fails, now: Now) {
        let of_other_user = |held: &mut Held| {
            let users = held.source.zip(flight.source);
            users.is_some_and(|(held, given)| held.user != given.user)
        };
        if self.held.take_if(of_other_user).is_some() {
            self.others.clear();
            (self.reasons.lost, self.reasons.origin) = (Trigger::SourceChanged, None);
        }
        if let Some(source) = &mut self.source {
            source.failed = flight.source.filter(|_| flight.stage == Stage::Refreshing);
        }
        self.failures += 1;
        self.allow_repetition();
        self.gave_up = self.options.retry.is_none();
        self.requested &= self.source.is_some();
        let left = self.held.as_ref().map_or(0, |held| held.expiry.left(now));
        self.reasons.failed(fails, &self.options, left, now);
        self.back_off(fails, now);
        self.end_check();
    }

    /// How long at most a request gets an error, and how long at least the refresher is not called.
    pub(super) fn back_off(&mut self, fails: Fails, now: Now) {
        self.failed_once = true;
        let Some((initial, max)) = self.options.retry else { return };
        self.longest_backoff = self.longest_backoff.max(self.options.lengthened(fails.retry_after.unwrap_or(0)));
        let asked = fails.retry_after.unwrap_or(0).min(max);
        let (most, least) = if fails.permanent {
            (max, if self.options.jitter == 0.0 { max } else { asked })
        } else {
            let half = self.held(now).map_or(u64::MAX, |held| held.expiry.left(now) / 2);
            let calm =
                if self.options.jitter == 0.0 { initial.min(self.options.request_backoff_max).min(half) } else { 0 };
            (max.min(self.options.request_backoff_max).max(asked).max(self.options.min_interval), asked.max(calm))
        };
        let later = |end: Option<Ends>, millis: u64| {
            let new = Ends::after(now, millis);
            Some(end.map_or(new, |end| end.later(new, now)))
        };
        self.request_backoff = later(self.request_backoff, most.max(1));
        let longest = max.max(self.options.lengthened(fails.retry_after.unwrap_or(0)));
        self.timer_backoff = later(self.timer_backoff, longest.max(self.options.min_interval).max(1));
        // In a batch the start of the backoff is not known.
        if self.events == 1 {
            self.quiet = later(self.quiet, least.max(1)).filter(|end| !end.come(now));
        }
    }

    /// This many failures were reported. Some may belong to refreshes that were never announced.
    pub fn failures_seen(&mut self, seen: u32, now: Now) {
        let known = self.failures + self.rejections + self.unseen;
        if seen > known {
            self.unseen += seen - known;
            self.back_off(Fails { permanent: false, retry_after: None }, now);
            self.reasons.failed_unseen(&self.options, now);
            if let Some(source) = &mut self.source {
                source.failed = None;
            }
        }
    }

    pub fn reject(&mut self, token: &Token, now: Now) {
        let same = |held: &Held| held.token.as_ref().is_some_and(|held| held.ptr_eq(token));
        let Some(held) = self.held.as_ref().filter(|held| same(held) && !held.doubtful) else { return };
        let (text, on_probation, same_text) = (held.text.clone(), held.probation.is_some(), held.same_text);
        if let Some(flight) = &mut self.flight {
            flight.before_rejection = flight.called;
        }
        if on_probation {
            self.returned += u32::from(same_text);
            return self.doubt(now);
        }
        self.held = None;
        self.others.clear();
        // Time gave it to these waiters in this very step. They wait for the next one.
        let owed = std::mem::take(&mut self.owed);
        self.missed.extend(owed);
        self.replaces = Some(text);
        (self.reasons.lost, self.reasons.origin) = (Trigger::Rejected, None);
        self.reasons.rejected = Some(token.clone());
        self.reasons.forget_rejections();
    }

    /// `due`: the held token is due. `in_flight`: a refresh is in flight.
    pub fn retry_now(&mut self, due: bool, in_flight: bool, now: Now) {
        self.start_clean();
        self.allow_repetition();
        self.requested = self.source.is_some() || (due || self.held(now).is_none()) && !in_flight;
    }

    /// The same, when an overdue refresh is made again.
    pub fn retry_again(&mut self, due: bool, now: Now) {
        self.start_clean();
        self.requested = self.source.is_some() || due || self.held(now).is_none();
    }

    pub fn dispose(&mut self) {
        self.disposed = true;
        self.held = None;
        self.reasons.rejected = None;
        self.next.clear();
        self.others.clear();
        self.start_clean();
    }

    pub(super) fn start_interval(&mut self, now: Now) {
        self.min_interval = (self.options.min_interval > 0).then(|| Ends::after(now, self.options.min_interval));
    }

    /// What a preview of the time says about a refresh that it starts.
    pub fn learn_start(&mut self, peeked: &Self) {
        self.learn_repetition(peeked);
        self.last_start = peeked.last_start;
        self.min_interval = peeked.min_interval;
        self.requested = peeked.requested;
        self.reasons = peeked.reasons.clone();
        self.learn_half(peeked);
    }

    fn learn_repetition(&mut self, peeked: &Self) {
        let known = self.flight.as_ref().filter(|flight| !flight.over).map(|flight| flight.request);
        self.hidden = peeked.flight.clone().filter(|flight| !flight.over && known != Some(flight.request));
        self.repetition = peeked.repetition;
    }

    /// A start for a request for another token makes the held one due.
    fn learn_half(&mut self, peeked: &Self) {
        if let (Some(held), Some(peeked)) = (&mut self.held, &peeked.held) {
            held.half = peeked.half;
        }
    }

    /// What a preview of the drain says about the refreshes started, and timed out, so far.
    pub fn learn(&mut self, peeked: &Self) {
        self.learn_repetition(peeked);
        self.request_backoff = peeked.request_backoff;
        self.timer_backoff = peeked.timer_backoff;
        self.last_start = peeked.last_start;
        self.min_interval = peeked.min_interval;
        self.requested = peeked.requested;
        self.unseen = peeked.unseen;
        self.reasons = peeked.reasons.clone();
        self.source = peeked.source.clone();
        self.learn_half(peeked);
    }

    pub fn may_refuse(&self) -> bool {
        self.failures + self.rejections > 0 || self.request_backoff.is_some() || self.backed_off
    }

    pub fn drained(&mut self) {
        self.hidden = None;
        self.events = 0;
        self.backed_off = false;
        let owed = std::mem::take(&mut self.owed);
        self.missed.extend(owed);
        self.missed.retain(|waiter| self.waiting.contains(waiter));
        self.failures = 0;
        self.rejections = 0;
        self.returned = 0;
        self.unseen = 0;
        self.accepted = 0;
        self.kept = 0;
        self.expired = 0;
    }
}
