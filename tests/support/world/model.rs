//! What the contract allows at each moment: bookkeeping of its own, fed by what the host hands in and what comes out.

use acs_common::{Now, Reason, RequestId, Source, Token, Trigger, Until};

use super::ops::{Asks, Ends, Fails, Knobs, Setup, Verdict};
use super::reasons::Reasons;

/// What must hold of every life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Never a token dead by either clock, rejected, replaced, or of before the end.
    HandOut,
    /// A failure never costs a held token, unless the attempt was for another user; nor does anything else but expiry,
    /// rejection, replacement, the end.
    Kept,
    /// At most one refresh in flight.
    OneFlight,
    /// A late answer changes nothing.
    Late,
    /// No two refreshes start within the floor.
    Floor,
    /// None starts during a rest, least of all one the issuer asked for.
    Rest,
    /// None starts that nobody wants: without a demand if not by timer, or before half of the held token's life.
    Unasked,
    /// A settled machine is never already due, and looking again at the same moment does nothing.
    Settled,
    /// A good refresher leads back to a served token: whoever asks gets it as soon as the requests' rest and the floor are
    /// over, and a proactive credential has it, unasked, within the longest rest.
    Recovery,
    /// The announced timer is the deadline.
    Timer,
    /// No busy loop: a timer that fires on time never does so in vain.
    Vain,
    /// Every waiter is answered exactly once.
    Once,
    /// Nobody waits for nothing: with a valid token in the same drain, else for a refresh that is under way or planned.
    Punctual,
    /// Nobody is refused but for a failure, and what the error says about asking again is true.
    Refusal,
    /// After the end nothing but `disposed`, and no secret left.
    Disposed,
    /// What is dropped leaves no secret behind; what is rejected is kept for the refresher until the next token is accepted.
    Secrets,
    /// `token` and `snapshot` agree with a request.
    Snapshot,
    /// What happened is reported, and nothing else.
    Notices,
    /// Answers first, then the call, the timer last.
    Order,
    /// Cancelling one waiter never changes what another gets.
    Cancel,
    /// The source is asked before each refresh. If it has what the valid token held was got for, that is the answer.
    Source,
    /// Each call, and each check, says truly why it is made.
    Reason,
}

/// A law broken, and how.
#[derive(Clone, Debug)]
pub struct Broken {
    pub law: Law,
    pub how: String,
}

#[derive(Clone, Debug)]
pub struct Held {
    pub text: String,
    /// The machine's own, once it has been seen.
    pub token: Option<Token>,
    /// What it was got for, if there is a source.
    source: Option<Source>,
    dead: Ends,
    /// Half of its life, or as much of it as has to pass before it is renewed; `None` once that has passed.
    half: Option<Ends>,
    /// It replaced a rejected one: being rejected too, until then, is a failure.
    trial: Option<Ends>,
}

#[derive(Clone, Debug)]
pub struct Flight {
    pub request: RequestId,
    pub started: Now,
    pub stage: Stage,
    /// The host knows that the refresher is to be called.
    pub called: bool,
    timeout: Option<Ends>,
    /// Until when a valid token waits for the source.
    check: Option<Ends>,
    trigger: Trigger,
    /// What the source gave.
    source: Option<Source>,
    /// It has timed out, and the host is to drop it.
    over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage {
    Checking,
    /// The source has answered, and the minimum interval is not over.
    AwaitingStart,
    Refreshing,
}

#[derive(Clone, Debug)]
struct Sourced {
    asks: Asks,
    /// What the last failure belongs to.
    failed: Option<Source>,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub knobs: Knobs,
    source: Option<Sourced>,
    pub disposed: bool,
    /// Who asked, and was neither answered nor cancelled.
    pub waiting: Vec<u32>,
    /// Who of them asked after the source had answered, and gets a check of their own.
    next: Vec<u32>,
    /// Who of them must be answered in this drain.
    pub owed: Vec<u32>,
    held: Option<Held>,
    /// The last one held was rejected.
    replaces: bool,
    /// Announced, and neither answered nor called off.
    pub flight: Option<Flight>,
    /// The source's answer has ended it, and the host is to drop it.
    pub released: Option<RequestId>,
    /// When the last refresh or check started, which it was, and why.
    last_start: Option<(RequestId, Now, Trigger)>,
    /// No refresh starts before; `None` once either clock has said that it is over.
    floor: Option<Ends>,
    /// By then a request is no longer refused.
    rest: Option<Ends>,
    /// By then the timer's backoff is over, too.
    timer_rest: Option<Ends>,
    /// The refresher is to be left alone until then.
    quiet: Option<Ends>,
    /// No rest is longer: what the policy says, or what the issuer has asked for; a clock set back makes it longer.
    pub longest_rest: u64,
    /// A request came with the last event.
    asked: bool,
    /// The host said that trying makes sense, and nothing has come of it yet.
    urged: bool,
    pub failed_once: bool,
    /// Failed, with a policy of no retry: the timer is to leave the refresher alone.
    gave_up: bool,
    reasons: Reasons,
    /// Since the last drain:
    pub events: u32,
    /// Some event fell into a rest.
    rested: bool,
    pub failures: u32,
    /// Of tokens on trial.
    pub rejections: u32,
    /// Of refreshes that were never announced.
    unseen: u32,
    pub accepted: u32,
    pub expired: u32,
}

impl Model {
    pub fn new(setup: &Setup) -> Self {
        let knobs = setup.knobs.clone();
        let longest_rest = knobs.retry.map_or(0, |(_, max)| max).max(knobs.floor).max(1);
        Self {
            knobs,
            source: setup.source.map(|asks| Sourced { asks, failed: None }),
            disposed: false,
            waiting: Vec::new(),
            next: Vec::new(),
            owed: Vec::new(),
            held: None,
            replaces: false,
            flight: None,
            released: None,
            last_start: None,
            floor: None,
            rest: None,
            timer_rest: None,
            quiet: None,
            longest_rest,
            asked: false,
            // A source is asked before anybody wants a token.
            urged: setup.source.is_some_and(|asks| asks.prewarm),
            failed_once: false,
            gave_up: false,
            reasons: Reasons::new(),
            events: 0,
            rested: false,
            failures: 0,
            rejections: 0,
            unseen: 0,
            accepted: 0,
            expired: 0,
        }
    }

    pub fn has_source(&self) -> bool {
        self.source.is_some()
    }

    pub fn checks_each_request(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.asks.each_request)
    }

    fn failed_source(&self) -> Option<Source> {
        self.source.as_ref()?.failed
    }

    /// What the last failure belongs to, or else the token held.
    pub fn usual_source(&self) -> Option<Source> {
        self.failed_source().or_else(|| self.held.as_ref()?.source)
    }

    /// The secrets that a machine may have: the token held, and the one rejected before it.
    pub fn secrets(&self) -> usize {
        usize::from(self.held.is_some()) + usize::from(self.reasons.rejected.is_some())
    }

    /// The token that a request would have to get.
    pub fn held(&self, now: Now) -> Option<&Held> {
        self.held.as_ref().filter(|held| !held.dead.come(now))
    }

    /// The token that is the machine's to drop, dead or not.
    pub fn held_mut(&mut self) -> Option<&mut Held> {
        self.held.as_mut()
    }

    pub fn death(&self) -> Option<Ends> {
        self.held.as_ref().map(|held| held.dead)
    }

    /// Something is about to happen: what either clock says is over, is over for good.
    pub fn before_event(&mut self, now: Now) {
        self.events += 1;
        self.asked = false;
        self.floor.take_if(|end| end.come(now));
        self.rest.take_if(|end| end.come(now));
        self.timer_rest.take_if(|end| end.come(now));
        self.quiet.take_if(|end| end.come(now));
        self.rested |= self.rest.is_some();
        self.reasons.before_event(now);
        if let Some(held) = &mut self.held {
            held.half.take_if(|half| half.come(now));
            if held.trial.take_if(|trial| trial.past(now)).is_some() {
                self.reasons.forget_rejections();
            }
        }
    }

    /// It has happened: a token seen dead is dead for good, and a refresh seen overdue is over.
    pub fn after_event(&mut self, now: Now) {
        if self.held.take_if(|held| held.dead.come(now)).is_some() {
            self.expired += 1;
            self.reasons.lost = Trigger::Expired;
        }
        let holds = self.held.is_some();
        let is_over = |flight: &Flight| {
            let check = flight.check.filter(|_| holds && flight.stage == Stage::Checking);
            [flight.timeout, check].into_iter().flatten().any(|end| end.come(now))
        };
        if self.disposed || self.flight.as_ref().is_none_or(|flight| flight.over) {
            return;
        }
        if let Some(flight) = self.flight.take_if(|flight| is_over(flight)) {
            self.refresh_failed(&flight, Fails { permanent: false, retry_after: None }, now);
            self.flight = Some(Flight { over: true, ..flight });
        } else if let (Some(flight), None) = (&mut self.flight, self.floor)
            && flight.stage == Stage::AwaitingStart
        {
            flight.stage = Stage::Refreshing;
            self.start_floor(now);
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

    pub fn cancel(&mut self, waiter: u32) {
        self.waiting.retain(|other| *other != waiter);
        self.next.retain(|other| *other != waiter);
    }

    /// Whether one more who asks now changes nothing for those who wait.
    pub fn may_be_joined(&self) -> bool {
        let shares = self.flight.as_ref().is_none_or(|flight| flight.stage == Stage::Checking);
        !self.waiting.is_empty() && (!self.checks_each_request() || shares || !self.next.is_empty())
    }

    pub fn answer(&mut self, text: String, verdict: Verdict, now: Now) {
        match verdict {
            Verdict::Alive { left } => {
                let source = self.flight.take().and_then(|flight| flight.source);
                self.accepted += 1;
                self.end_backoff();
                self.hold(text, left, source, now);
                self.end_check();
            }
            Verdict::Invalid | Verdict::Expired => self.fail(Fails { permanent: false, retry_after: None }, now),
        }
    }

    pub fn hold(&mut self, text: String, left: u64, source: Option<Source>, now: Now) {
        let half = if self.knobs.renew_before_half { 0 } else { left / 2 };
        let half = self.at_least(half, now);
        let replaces = std::mem::take(&mut self.replaces);
        if !replaces {
            self.reasons.forget_rejections();
        }
        let trial = self.knobs.retry.filter(|_| replaces).map(|(_, max)| Ends::after(now, max));
        self.held = Some(Held { text, token: None, source, dead: Ends::after(now, left), half, trial });
        (self.reasons.origin, self.reasons.rejected) = (None, None);
        if let Some(source) = &mut self.source {
            source.failed = None;
        }
    }

    /// So long at least before the token is renewed.
    fn at_least(&self, half: u64, now: Now) -> Option<Ends> {
        let half = if self.knobs.jitter > 0.0 { 0 } else { half };
        Some(Ends::after(now, half.max(1))).filter(|half| !half.come(now))
    }

    /// The source gave something: `ended` if that is the end of the attempt.
    pub fn source_checked(&mut self, given: Source, ended: bool, now: Now) -> Result<(), Broken> {
        let (each_request, failed) = (self.checks_each_request(), self.failed_source());
        let keeps = self.held(now).is_some_and(|held| held.source == Some(given));
        let interval = self.floor.map_or(0, |end| end.left(now));
        let broken = |law, how: &str| Err(Broken { law, how: format!("{given:?} at {now:?}: {how}") });
        let Some(flight) = &mut self.flight else { return broken(Law::Source, "nothing is in flight") };
        flight.source = Some(given);
        if flight.stage != Stage::Checking {
            return if ended { broken(Law::Source, "another version ends the refresh") } else { Ok(()) };
        }
        let same_failed = failed == Some(given);
        if ended {
            self.released = self.flight.take().map(|flight| flight.request);
            let backs_off = each_request && same_failed && (self.rest.is_some() || self.timer_rest.is_some());
            if keeps {
                self.keep(now);
            }
            self.end_check();
            return if keeps || backs_off { Ok(()) } else { broken(Law::Source, "the check ends for no reason") };
        }
        if keeps {
            return broken(Law::Source, "the token held is of this source, but it is not the answer");
        }
        flight.stage = if each_request { Stage::AwaitingStart } else { Stage::Refreshing };
        if each_request {
            flight.timeout = flight.timeout.map(|end| end.plus(interval));
        }
        if !same_failed {
            if flight.trigger == Trigger::Retry {
                flight.trigger = Trigger::SourceChanged;
            }
            self.start_clean();
        } else if each_request && self.quiet.is_some() {
            return broken(Law::Rest, "it goes on in the backoff of the same source");
        }
        Ok(())
    }

    /// The token held is the answer.
    fn keep(&mut self, now: Now) {
        self.end_backoff();
        self.reasons.origin = None;
        let half = self.at_least(self.held.as_ref().map_or(0, |held| held.dead.left(now) / 2), now);
        if let Some(held) = &mut self.held {
            held.half = half;
        }
    }

    /// Those who waited for what has just ended must be answered.
    fn end_check(&mut self) {
        let next = std::mem::take(&mut self.next);
        self.owed.extend(self.waiting.iter().filter(|waiter| !next.contains(waiter)));
    }

    fn end_backoff(&mut self) {
        (self.rest, self.timer_rest, self.quiet) = (None, None, None);
        self.gave_up = false;
        self.reasons.end_backoff();
    }

    /// Ends the streak of rejections, too.
    fn start_clean(&mut self) {
        self.end_backoff();
        self.reasons.forget_rejections();
    }

    pub fn fail(&mut self, fails: Fails, now: Now) {
        if let Some(flight) = self.flight.take() {
            self.refresh_failed(&flight, fails, now);
        }
    }

    fn refresh_failed(&mut self, flight: &Flight, fails: Fails, now: Now) {
        let of_other_user = |held: &mut Held| {
            let users = held.source.zip(flight.source);
            users.is_some_and(|(held, given)| held.user != given.user)
        };
        if self.held.take_if(of_other_user).is_some() {
            (self.reasons.lost, self.reasons.origin) = (Trigger::SourceChanged, None);
        }
        if let Some(source) = &mut self.source {
            source.failed = flight.source.filter(|_| flight.stage == Stage::Refreshing);
        }
        self.failures += 1;
        self.gave_up = self.knobs.retry.is_none();
        self.urged &= self.source.is_some();
        let left = self.held.as_ref().map_or(0, |held| held.dead.left(now));
        self.reasons.failed(fails, &self.knobs, left, now);
        self.rest_after(fails, now);
        self.end_check();
    }

    /// At most so long is a request refused, and at least so long the refresher left alone.
    fn rest_after(&mut self, fails: Fails, now: Now) {
        self.failed_once = true;
        let Some((initial, max)) = self.knobs.retry else { return };
        self.longest_rest = self.longest_rest.max(fails.retry_after.unwrap_or(0));
        let asked = fails.retry_after.unwrap_or(0).min(max);
        let (most, least) = if fails.permanent {
            (max, if self.knobs.jitter == 0.0 { max } else { asked })
        } else {
            let half = self.held(now).map_or(u64::MAX, |held| held.dead.left(now) / 2);
            let calm = if self.knobs.jitter == 0.0 { initial.min(self.knobs.request_rest_max).min(half) } else { 0 };
            (max.min(self.knobs.request_rest_max).max(asked).max(self.knobs.floor), asked.max(calm))
        };
        let later = |end: Option<Ends>, millis: u64| {
            let new = Ends::after(now, millis);
            Some(end.map_or(new, |end| end.later(new)))
        };
        self.rest = later(self.rest, most.max(1));
        self.timer_rest = later(self.timer_rest, max.max(fails.retry_after.unwrap_or(0)).max(self.knobs.floor).max(1));
        // In a batch it is not known when the rest began.
        if self.events == 1 {
            self.quiet = later(self.quiet, least.max(1)).filter(|end| !end.come(now));
        }
    }

    /// So many failures were reported, some of them perhaps of refreshes that were never announced.
    pub fn failures_seen(&mut self, seen: u32, now: Now) {
        let known = self.failures + self.rejections + self.unseen;
        if seen > known {
            self.unseen += seen - known;
            self.rest_after(Fails { permanent: false, retry_after: None }, now);
            self.reasons.failed_unseen(&self.knobs, now);
            if let Some(source) = &mut self.source {
                source.failed = None;
            }
        }
    }

    pub fn reject(&mut self, token: &Token, now: Now) {
        let same = |held: &mut Held| held.token.as_ref().is_some_and(|held| held.is_same(token));
        let Some(held) = self.held.take_if(same) else { return };
        self.replaces = true;
        (self.reasons.lost, self.reasons.origin) = (Trigger::Rejected, None);
        self.reasons.rejected = Some(token.clone());
        if held.trial.is_some() {
            self.rejections += 1;
            self.urged &= self.source.is_some();
            self.reasons.rejection_failed(&self.knobs, now);
            self.rest_after(Fails { permanent: false, retry_after: None }, now);
            if let Some(source) = &mut self.source {
                source.failed = held.source;
            }
        }
    }

    /// `due`: the token held is; `in_flight`: a refresh is.
    pub fn try_now(&mut self, due: bool, in_flight: bool, now: Now) {
        self.start_clean();
        self.urged = self.source.is_some() || (due || self.held(now).is_none()) && !in_flight;
    }

    pub fn dispose(&mut self) {
        self.disposed = true;
        self.held = None;
        self.reasons.rejected = None;
        self.next.clear();
        self.start_clean();
    }

    fn start_floor(&mut self, now: Now) {
        self.floor = (self.knobs.floor > 0).then(|| Ends::after(now, self.knobs.floor));
    }

    /// A call was announced, or a check if there is a source; or would be if the host drained now. `due`: the token held is.
    pub fn start(&mut self, request: RequestId, reason: &Reason, due: bool, now: Now) -> Result<(), Broken> {
        let broken = |law, how: String| Err(Broken { law, how });
        if let Some(flight) = &self.flight {
            return broken(Law::OneFlight, format!("{request:?} while {:?} is in flight", flight.request));
        }
        let known = self.last_start.filter(|(seen, ..)| *seen == request);
        let due = self.held(now).map(|_| due);
        let (started, trigger) = match known {
            Some((_, started, trigger)) => (started, trigger),
            None => (now, self.reasons.start(due, self.urged, reason)),
        };
        let check = self.source.as_ref().map(|source| source.asks).filter(|asks| asks.each_request);
        self.flight = Some(Flight {
            request,
            started,
            stage: if self.source.is_some() { Stage::Checking } else { Stage::Refreshing },
            called: self.source.is_none(),
            timeout: self.knobs.timeout.map(|timeout| Ends::after(started, timeout)),
            check: check.map(|asks| Ends::after(started, asks.timeout.max(1))),
            trigger,
            source: None,
            over: false,
        });
        self.reasons.judge(trigger, reason).or_else(|how| broken(Law::Reason, how))?;
        if known.is_some() {
            return Ok(());
        }
        let before = self.last_start.replace((request, now, trigger));
        let urged = std::mem::take(&mut self.urged);
        if self.disposed {
            return broken(Law::Disposed, "a refresh started after the end".to_owned());
        }
        let is_wanted = self.asked || !self.waiting.is_empty();
        let by_timer = self.knobs.proactive && !self.gave_up;
        if !by_timer && !is_wanted && !urged {
            return broken(Law::Unasked, "a refresh without a demand".to_owned());
        }
        let floor = self.floor.filter(|end| !end.come(now));
        if !self.checks_each_request() {
            self.start_floor(now);
        } else if is_wanted {
            // A request's check knows neither a minimum interval nor a backoff.
            return Ok(());
        }
        if let (Some(end), Some((_, before, _))) = (floor, before) {
            return broken(Law::Floor, format!("at {now:?} after {before:?}, but not before {end:?}"));
        }
        // A source is asked in a backoff too, if that is requested.
        if let Some(end) = self.quiet.filter(|_| !urged || self.source.is_none()) {
            return broken(Law::Rest, format!("at {now:?}, though the rest lasts until {end:?}"));
        }
        let half = self.held(now).and_then(|held| held.half);
        if let Some(half) = half.filter(|_| !urged || self.source.is_none()) {
            return broken(Law::Unasked, format!("at {now:?}, before half-way {half:?}"));
        }
        Ok(())
    }

    /// The refresher is called after a check.
    pub fn call(&mut self, request: RequestId, reason: &Reason) -> Result<(), Broken> {
        let broken = |law, how: String| Err(Broken { law, how: format!("{request:?} is called: {how}") });
        let flight = self.flight.as_mut().filter(|flight| flight.request == request && !flight.over);
        let Some(flight) = flight else { return broken(Law::OneFlight, "it is not in flight".to_owned()) };
        match flight.stage {
            Stage::Checking => return broken(Law::Source, "the source has not answered".to_owned()),
            Stage::AwaitingStart => return broken(Law::Floor, format!("not before {:?}", self.floor)),
            Stage::Refreshing if flight.called => return broken(Law::OneFlight, "it has been before".to_owned()),
            Stage::Refreshing => flight.called = true,
        }
        self.reasons.judge(flight.trigger, reason).or_else(|how| broken(Law::Reason, how))
    }

    /// Whether the host is told rightly when the call is given up.
    pub fn gives_up(&self, give_up: Option<Until>, now: Now) -> Result<(), Broken> {
        let told = give_up.map(|end| end.time_left(now).as_millis());
        let timeout = self.flight.as_ref().and_then(|flight| flight.timeout).map(|end| u128::from(end.left(now)));
        let how = || format!("the call is given up in {timeout:?} ms, but the host is told {told:?}");
        if told == timeout { Ok(()) } else { Err(Broken { law: Law::Timer, how: how() }) }
    }

    /// The call was called off: why?
    pub fn call_off(&mut self, request: RequestId) -> Result<(), Broken> {
        let broken = |how: &str| Err(Broken { law: Law::OneFlight, how: format!("{request:?} called off: {how}") });
        if self.released.take_if(|released| *released == request).is_some() {
            return Ok(());
        }
        match self.flight.take_if(|flight| flight.request == request) {
            None => broken("it was not in flight"),
            Some(flight) if flight.over || self.disposed => Ok(()),
            Some(_) => broken("its time was not over"),
        }
    }

    /// What a look at what would be drained has told of the refreshes started, and timed out, so far.
    pub fn learn(&mut self, peeked: &Self) {
        self.rest = peeked.rest;
        self.timer_rest = peeked.timer_rest;
        self.last_start = peeked.last_start;
        self.floor = peeked.floor;
        self.urged = peeked.urged;
        self.unseen = peeked.unseen;
        self.reasons = peeked.reasons.clone();
        self.source = peeked.source.clone();
    }

    pub fn may_refuse(&self) -> bool {
        self.failures > 0 || self.rest.is_some() || self.rested
    }

    /// The host was to be told, and was not.
    pub fn untold(&self) -> Option<String> {
        let untold = |flight: &&Flight| flight.over || flight.stage == Stage::Refreshing && !flight.called;
        let released = self.released.map(|request| format!("{request:?} is not called off"));
        released.or_else(|| self.flight.as_ref().filter(untold).map(|flight| format!("of {flight:?}")))
    }

    /// The time of those who wait, and of the machine itself, is bounded: by when is it to act, and why?
    pub fn owes(&self, now: Now) -> Option<(u64, &'static str)> {
        if self.disposed {
            return None;
        }
        let held = self.held(now);
        if let Some(flight) = &self.flight {
            let check = flight.check.filter(|_| held.is_some() && flight.stage == Stage::Checking);
            let starts = self.floor.filter(|_| flight.stage == Stage::AwaitingStart);
            let all = [
                (flight.timeout, "the refresh's timeout"),
                (check, "the check's timeout"),
                (starts, "the floor that the refresh waits for"),
            ];
            return all.into_iter().filter_map(|(end, why)| Some((end?.left(now), why))).min_by_key(|owed| owed.0);
        }
        if !self.waiting.is_empty() && self.checks_each_request() {
            return Some((0, "the check that somebody waits for"));
        }
        if !self.waiting.is_empty() && held.is_none() {
            return Some((self.floor.map_or(0, |end| end.left(now)), "the floor that somebody waits for"));
        }
        if self.urged {
            return Some((self.floor.map_or(0, |end| end.left(now)), "the floor that a refresh is requested after"));
        }
        if self.knobs.proactive {
            return match held {
                Some(held) => Some((held.dead.left(now), "the held token's death")),
                None if self.knobs.retry.is_some() || !self.failed_once => Some((u64::MAX, "the next try")),
                None => None,
            };
        }
        None
    }

    /// After how long at most a request, repeated when it is told to be, starts a refresh.
    pub fn patience(&self, now: Now) -> u64 {
        [self.rest, self.floor].into_iter().flatten().map(|end| end.left(now)).max().unwrap_or(0)
    }

    /// An on-demand credential that nobody asks has no timer.
    pub fn is_idle(&self) -> bool {
        !self.knobs.proactive && self.waiting.is_empty() && self.flight.is_none() && !self.urged
    }

    /// What the future of a drained host depends on. Left out are texts, names and starts, which only have to be new;
    /// what is of the last event alone; and what was of any use before the end.
    pub fn state(&self, now: Now) -> String {
        let Self {
            disposed,
            waiting,
            next,
            owed,
            held,
            replaces,
            flight,
            released,
            floor,
            rest,
            timer_rest,
            quiet,
            longest_rest,
            urged,
            failed_once,
            gave_up,
            reasons,
            events,
            failures,
            rejections,
            unseen,
            accepted,
            expired,
            source,
            knobs: _,
            last_start: _,
            asked: _,
            rested: _,
        } = self;
        let counts = [*events, *failures, *rejections, *unseen, *accepted, *expired];
        assert!(counts == [0; 6] && owed.is_empty() && released.is_none(), "it is drained");
        if *disposed {
            return format!("disposed {}", waiting.len());
        }
        let ahead = |end: &Option<Ends>| end.and_then(|end| end.ahead(now));
        let holds = held.is_some();
        let held = held.as_ref().map(|Held { text: _, token: _, source, dead, half, trial }| {
            (source.map(|source| source.version), dead.ahead(now), ahead(half), ahead(trial))
        });
        let flight = flight.as_ref().map(|flight| {
            let Flight { request: _, started: _, stage, called, timeout, check, trigger, source, over } = flight;
            assert!(!over && *called == (*stage == Stage::Refreshing), "it is drained");
            // What is said to the host is said, but for a check's trigger.
            let trigger = (*stage != Stage::Refreshing).then_some(trigger);
            (stage, ahead(timeout), ahead(&check.filter(|_| *stage == Stage::Checking)), trigger, source)
        });
        let next: Vec<_> = next.iter().map(|waiter| waiting.iter().position(|other| other == waiter)).collect();
        let failed = source.as_ref().and_then(|source| source.failed);
        let ends = (ahead(floor), ahead(rest), ahead(timer_rest), ahead(quiet));
        let reasons = reasons.state(holds, self.knobs.long_row().max(1), now);
        format!(
            "{} {next:?} {held:?} {replaces} {flight:?} {failed:?} {ends:?} {longest_rest} {urged} {failed_once} {gave_up} \
             {reasons}",
            waiting.len()
        )
    }

    pub fn drained(&mut self) {
        self.events = 0;
        self.rested = false;
        self.owed.clear();
        self.failures = 0;
        self.rejections = 0;
        self.unseen = 0;
        self.accepted = 0;
        self.expired = 0;
    }
}
