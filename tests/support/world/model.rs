//! What the contract allows at each moment: bookkeeping of its own, fed by what the host hands in and what comes out.

use acs_common::{Now, RequestId, Token};

use super::ops::{Ends, Fails, Knobs, Verdict};

/// What must hold of every life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Never a token dead by either clock, rejected, replaced, or of before the end.
    HandOut,
    /// A failure never costs a held token; nor does anything else but death, rejection, replacement, the end.
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
    /// What is dropped or rejected leaves no secret behind.
    Secrets,
    /// `token` and `snapshot` agree with a request.
    Snapshot,
    /// What happened is reported, and nothing else.
    Notices,
    /// Answers first, then the call, the timer last.
    Order,
    /// Cancelling one waiter never changes what another gets.
    Cancel,
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
    timeout: Option<Ends>,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub knobs: Knobs,
    pub disposed: bool,
    /// Who asked, and was neither answered nor cancelled.
    pub waiting: Vec<u32>,
    held: Option<Held>,
    /// The last one held was rejected.
    replaces: bool,
    /// Announced, and neither answered nor called off.
    pub flight: Option<Flight>,
    /// When the last refresh started, and which it was.
    last_start: Option<(RequestId, Now)>,
    /// No refresh starts before; `None` once either clock has said that it is over.
    floor: Option<Ends>,
    /// By then a request is no longer refused.
    rest: Option<Ends>,
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
    /// Since the last drain:
    pub events: u32,
    /// Some event fell into a rest.
    rested: bool,
    pub failures: u32,
    /// Of tokens on trial.
    pub rejections: u32,
    pub accepted: u32,
    pub expired: u32,
}

impl Model {
    pub fn new(knobs: Knobs) -> Self {
        let longest_rest = knobs.retry.map_or(0, |(_, max)| max).max(knobs.floor).max(1);
        Self {
            knobs,
            disposed: false,
            waiting: Vec::new(),
            held: None,
            replaces: false,
            flight: None,
            last_start: None,
            floor: None,
            rest: None,
            quiet: None,
            longest_rest,
            asked: false,
            urged: false,
            failed_once: false,
            gave_up: false,
            events: 0,
            rested: false,
            failures: 0,
            rejections: 0,
            accepted: 0,
            expired: 0,
        }
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
        self.quiet.take_if(|end| end.come(now));
        self.rested |= self.rest.is_some();
        if let Some(held) = &mut self.held {
            held.half.take_if(|half| half.come(now));
            held.trial.take_if(|trial| trial.past(now));
        }
    }

    /// It has happened: a token seen dead is dead for good.
    pub fn after_event(&mut self, now: Now) {
        if self.held.take_if(|held| held.dead.come(now)).is_some() {
            self.expired += 1;
        }
    }

    pub fn request(&mut self, waiter: u32) {
        self.waiting.push(waiter);
        self.asked = true;
    }

    pub fn answer(&mut self, text: String, verdict: Verdict, now: Now) {
        self.flight = None;
        match verdict {
            Verdict::Alive { left } => {
                self.accepted += 1;
                self.hold(text, left, now);
                self.wake_up();
                self.urged = false;
            }
            Verdict::Invalid | Verdict::Expired => self.fail(Fails { permanent: false, retry_after: None }, now),
        }
    }

    pub fn hold(&mut self, text: String, left: u64, now: Now) {
        let half = if self.knobs.renew_before_half || self.knobs.jitter > 0.0 { 0 } else { left / 2 };
        let half = Some(Ends::after(now, half.max(1))).filter(|half| !half.come(now));
        let replaces = std::mem::take(&mut self.replaces);
        let trial = self.knobs.retry.filter(|_| replaces).map(|(_, max)| Ends::after(now, max));
        self.held = Some(Held { text, token: None, dead: Ends::after(now, left), half, trial });
    }

    fn wake_up(&mut self) {
        self.rest = None;
        self.quiet = None;
        self.gave_up = false;
    }

    pub fn fail(&mut self, fails: Fails, now: Now) {
        self.flight = None;
        self.failures += 1;
        self.urged = false;
        self.gave_up = self.knobs.retry.is_none();
        self.rest_after(fails, now);
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
        // In a batch it is not known when the rest began.
        if self.events == 1 {
            self.quiet = later(self.quiet, least.max(1)).filter(|end| !end.come(now));
        }
    }

    /// A rejection turned out to be a failure.
    pub fn rejection_failed(&mut self, now: Now) {
        self.rest_after(Fails { permanent: false, retry_after: None }, now);
    }

    pub fn reject(&mut self, token: &Token) {
        let same = |held: &mut Held| held.token.as_ref().is_some_and(|held| held.is_same(token));
        if let Some(held) = self.held.take_if(same) {
            self.replaces = true;
            self.rejections += u32::from(held.trial.is_some());
        }
    }

    pub fn try_now(&mut self, now: Now) {
        self.wake_up();
        // Whether it is time to renew is the machine's to say, but never before half-way.
        self.urged = self.held(now).is_none_or(|held| held.half.is_none());
    }

    pub fn dispose(&mut self) {
        self.disposed = true;
        self.held = None;
        self.wake_up();
    }

    /// The call was announced, or would be if the host drained now.
    pub fn start(&mut self, request: RequestId, now: Now) -> Result<(), Broken> {
        let broken = |law, how: String| Err(Broken { law, how });
        if let Some(flight) = &self.flight {
            return broken(Law::OneFlight, format!("{request:?} while {:?} is in flight", flight.request));
        }
        let known = self.last_start.filter(|(seen, _)| *seen == request).map(|(_, started)| started);
        let started = known.unwrap_or(now);
        self.flight =
            Some(Flight { request, started, timeout: self.knobs.timeout.map(|timeout| Ends::after(started, timeout)) });
        if known.is_some() {
            return Ok(());
        }
        let before = self.last_start.replace((request, now));
        let floor = self.floor.take();
        self.floor = Some(Ends::after(now, self.knobs.floor)).filter(|end| !end.come(now));
        let urged = std::mem::take(&mut self.urged);
        if self.disposed {
            return broken(Law::Disposed, "a refresh started after the end".to_owned());
        }
        if let (Some(end), Some((_, before))) = (floor, before) {
            return broken(Law::Floor, format!("at {now:?} after {before:?}, but not before {end:?}"));
        }
        if let Some(end) = self.quiet {
            return broken(Law::Rest, format!("at {now:?}, though the rest lasts until {end:?}"));
        }
        let by_timer = self.knobs.proactive && !self.gave_up;
        if !by_timer && !self.asked && self.waiting.is_empty() && !urged {
            return broken(Law::Unasked, "a refresh without a demand".to_owned());
        }
        if let Some(half) = self.held(now).and_then(|held| held.half) {
            return broken(Law::Unasked, format!("at {now:?}, before half-way {half:?}"));
        }
        Ok(())
    }

    /// The call was called off: why?
    pub fn call_off(&mut self, request: RequestId, now: Now) -> Result<(), Broken> {
        let broken = |how: &str| Err(Broken { law: Law::OneFlight, how: format!("{request:?} called off: {how}") });
        let Some(flight) = self.flight.take_if(|flight| flight.request == request) else {
            return broken("it was not in flight");
        };
        if self.disposed {
            return Ok(());
        }
        let before = (self.urged, self.gave_up);
        self.fail(Fails { permanent: false, retry_after: None }, now);
        if self.events > 1 {
            // In a batch the host's "try now" may have come after it timed out.
            (self.urged, self.gave_up) = before;
        }
        match flight.timeout {
            // Likewise it may have timed out at an event before the last.
            Some(end) if self.events == 1 && !end.come(now) => broken("its time was not over"),
            None => broken("there is no timeout"),
            Some(_) => Ok(()),
        }
    }

    /// What a look at what would be drained has told of the refreshes started, and timed out, so far.
    pub fn learn(&mut self, peeked: &Self) {
        self.rest = peeked.rest;
        self.last_start = peeked.last_start;
        self.floor = peeked.floor;
        self.urged = peeked.urged;
    }

    pub fn may_refuse(&self) -> bool {
        self.failures > 0 || self.rest.is_some() || self.rested
    }

    /// The time of those who wait, and of the machine itself, is bounded: by when is it to act, and why?
    pub fn owes(&self, now: Now) -> Option<(u64, &'static str)> {
        if self.disposed {
            return None;
        }
        if let Some(flight) = &self.flight {
            return flight.timeout.map(|end| (end.left(now), "the refresh's timeout"));
        }
        let held = self.held(now);
        if !self.waiting.is_empty() && held.is_none() {
            return Some((self.floor.map_or(0, |end| end.left(now)), "the floor that somebody waits for"));
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
            held,
            replaces,
            flight,
            floor,
            rest,
            quiet,
            longest_rest,
            urged,
            failed_once,
            gave_up,
            events,
            failures,
            rejections,
            accepted,
            expired,
            knobs: _,
            last_start: _,
            asked: _,
            rested: _,
        } = self;
        assert_eq!((*events, *failures, *rejections, *accepted, *expired), (0, 0, 0, 0, 0), "it is drained");
        if *disposed {
            return format!("disposed {}", waiting.len());
        }
        let ahead = |end: &Option<Ends>| end.and_then(|end| end.ahead(now));
        let held = held
            .as_ref()
            .map(|Held { text: _, token: _, dead, half, trial }| (dead.ahead(now), ahead(half), ahead(trial)));
        let flight = flight.as_ref().map(|Flight { request: _, started: _, timeout }| ahead(timeout));
        let ends = (ahead(floor), ahead(rest), ahead(quiet));
        format!(
            "{} {held:?} {replaces} {flight:?} {ends:?} {longest_rest} {urged} {failed_once} {gave_up}",
            waiting.len()
        )
    }

    pub fn drained(&mut self) {
        self.events = 0;
        self.rested = false;
        self.failures = 0;
        self.rejections = 0;
        self.accepted = 0;
        self.expired = 0;
    }
}
