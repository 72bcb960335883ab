//! A simulated host round the machine that checks every law after every event. It knows the contract, not the machine.

use acs_common::{Action, Event, Machine, Monotonic, NewToken, Notice, Now, RequestId, Source, Token, UnixTime};

#[path = "world/drain.rs"]
mod drain;
#[path = "world/model.rs"]
pub mod model;
#[path = "world/ops.rs"]
pub mod ops;
#[path = "world/probes.rs"]
mod probes;
#[path = "world/reasons.rs"]
mod reasons;
#[path = "world/states.rs"]
pub mod states;

use model::{Broken, Law, Model, Stage};
use ops::{Brings, Fails, Op, Rejects, Setup, Span, Verdict};

/// Nobody's name: a waiter that never asked.
const NOBODY: u32 = u32::MAX;
/// How often the host's timer may fire while time passes, before it oversleeps.
const WAKE_UPS: u32 = 48;
/// How long after a step or a suspension a host that sleeps in slices looks at its clocks.
const SLICE: u64 = 60_000;
/// Longer than any host lives.
const AGES: u64 = 10_000 * 365 * 86_400_000;

/// Plays a life with all laws checked, or only one, and sees from its end whether a good refresher leads back to a token.
pub fn play(setup: &Setup, ops: &[Op], only: Option<Law>) -> Vec<Broken> {
    let mut world = World::new(setup);
    let settle = |world: &mut World| {
        world.broken.retain(|broken| only.is_none_or(|law| law == broken.law));
        world.broken.is_empty()
    };
    if ops.iter().all(|op| {
        world.run(*op);
        settle(&mut world)
    }) {
        world.recover();
        settle(&mut world);
    }
    world.broken
}

/// What everyone but the ghosts saw of a life in which they asked, or did not.
pub fn journal(setup: &Setup, ops: &[Op], ghosts_ask: bool) -> Vec<String> {
    let mut world = World { ghosts_ask, journal: Some(Vec::new()), ..World::new(setup) };
    ops.iter().for_each(|op| world.run(*op));
    world.journal.unwrap_or_default()
}

#[derive(Clone)]
pub struct World {
    machine: Machine<u32>,
    model: Model,
    now: Now,
    waiters: u32,
    texts: u32,
    /// Every check and every call announced, and every token accepted.
    checks: Vec<RequestId>,
    calls: Vec<RequestId>,
    tokens: Vec<Token>,
    timer: Option<Monotonic>,
    look: Option<u64>,
    /// A clock was set back since the timer was armed, so that it may well come too early.
    set_back: bool,
    /// A clock has been at its end.
    ended: bool,
    /// So many events are yet to come before the host drains.
    hold: u8,
    undrained: bool,
    ghost: Option<u32>,
    ghosts_ask: bool,
    journal: Option<Vec<String>>,
    /// The last drain's answers; the time after which to ask again, if one was an error.
    answers: Vec<(u32, Result<(), Option<u64>>)>,
    /// The last drain did something besides arming the timer.
    effective: bool,
    /// It came after several events.
    batch: bool,
    pub broken: Vec<Broken>,
}

impl World {
    pub fn new(setup: &Setup) -> Self {
        let now = setup.start;
        let mut model = Model::new(setup);
        let policy = setup.policy();
        let initial = setup.initial.map(|brings| brings.make("initial", &setup.knobs, now, now));
        let (initial, verdict) = initial.unzip();
        let empty = || Machine::new(None, policy.clone(), now).expect("no initial token, nothing to be wrong with");
        let machine = match (Machine::new(initial, policy.clone(), now), verdict) {
            (Ok(machine), Some(Verdict::Alive { left })) => {
                model.hold("initial".to_owned(), left, None, now);
                machine
            }
            (Ok(machine), None | Some(Verdict::Expired)) => match setup.source {
                Some(asks) => Machine::with_source(policy, asks.prewarm, now),
                None => machine,
            },
            (Err(_), Some(Verdict::Invalid)) => empty(),
            (machine, verdict) => panic!("{:?} is {verdict:?}, but {:?}", setup.initial, machine.err()),
        };
        let mut world = Self {
            machine,
            model,
            now,
            waiters: 0,
            texts: 0,
            checks: Vec::new(),
            calls: Vec::new(),
            tokens: Vec::new(),
            timer: None,
            look: None,
            set_back: false,
            ended: is_the_end(now),
            hold: 0,
            undrained: false,
            ghost: None,
            ghosts_ask: true,
            journal: None,
            answers: Vec::new(),
            effective: false,
            batch: false,
            broken: Vec::new(),
        };
        world.model.before_event(now);
        world.model.after_event(now);
        world.check_held();
        world.drain();
        world
    }

    pub fn run(&mut self, op: Op) {
        self.ended |= is_the_end(self.now);
        if matches!(op, Op::Cancel(_) | Op::Ghost | Op::Dispose) {
            self.lay_ghost();
        }
        match op {
            Op::Request => {
                let waiter = self.new_waiter();
                self.request(waiter);
            }
            Op::Cancel(index) => {
                let waiting = &self.model.waiting;
                let waiter =
                    waiting.get(usize::from(index) % waiting.len().max(1)).copied().unwrap_or(self.waiters / 2);
                self.cancel(waiter);
            }
            Op::Ghost => {
                let joins = !self.undrained && self.hold == 0 && self.model.may_be_joined();
                let waiter = self.new_waiter();
                if joins && self.ghosts_ask {
                    self.ghost = Some(waiter);
                    self.request(waiter);
                } else {
                    self.cancel(NOBODY);
                }
            }
            Op::Answer(brings) => match self.call() {
                Some(request) => self.answer(request, brings),
                None => self.look(),
            },
            Op::AnswerLate(index, brings) => match self.late(&self.calls, index) {
                Some(request) => self.answer(request, brings),
                None => self.look(),
            },
            Op::Fail(fails) => match self.check_in_flight().or(self.call()) {
                Some(request) => self.fail(request, fails),
                None => self.look(),
            },
            Op::FailLate(index, fails) => match self.late(&[&self.checks[..], &self.calls].concat(), index) {
                Some(request) => self.fail(request, fails),
                None => self.look(),
            },
            Op::Gives(gives) => match self.check_in_flight().or(self.call().filter(|_| self.model.has_source())) {
                Some(request) => self.source_checked(request, gives.make()),
                None => self.look(),
            },
            Op::GivesLate(index, gives) => match self.late(&self.checks, index) {
                Some(request) => self.source_checked(request, gives.make()),
                None => self.look(),
            },
            Op::Reject(rejects) => match self.rejectable(rejects) {
                Some(token) => {
                    self.model.before_event(self.now);
                    if !matches!(rejects, Rejects::Impostor) {
                        self.model.reject(&token, self.now);
                    }
                    self.hand_in(Event::TokenRejected { token });
                }
                None => self.look(),
            },
            Op::TryNow => {
                self.try_now();
            }
            Op::Dispose => {
                self.model.before_event(self.now);
                self.model.dispose();
                self.hand_in(Event::Disposed);
            }
            Op::Advance(span) => self.advance(self.millis(span)),
            Op::Oversleep(span) => self.pass(self.millis(span)),
            Op::Suspend(span) => {
                self.step_wall(i64::try_from(self.millis(span)).unwrap_or(i64::MAX));
            }
            Op::StepWall { back, by } => {
                let by = i64::try_from(self.millis(by)).unwrap_or(i64::MAX);
                self.step_wall(if back { -by } else { by });
            }
            Op::StepMonotonicBack(span) => {
                let before = self.now.monotonic.as_millis();
                let monotonic = before.saturating_sub(self.millis(span));
                self.now.monotonic = Monotonic::from_millis(monotonic);
                self.model.longest_rest = self.model.longest_rest.saturating_add(before - monotonic);
                self.set_back = true;
            }
            Op::Look => self.look(),
            Op::Hold(events) => self.hold = events,
        }
    }

    fn new_waiter(&mut self) -> u32 {
        self.waiters += 1;
        self.waiters
    }

    fn lay_ghost(&mut self) {
        match self.ghost.take() {
            Some(waiter) => self.cancel(waiter),
            None => self.cancel(NOBODY),
        }
    }

    fn request(&mut self, waiter: u32) {
        self.model.before_event(self.now);
        self.model.request(waiter);
        self.hand_in(Event::TokenRequested { waiter });
    }

    fn cancel(&mut self, waiter: u32) {
        self.model.before_event(self.now);
        self.model.cancel(waiter);
        self.hand_in(Event::RequestCancelled { waiter });
    }

    fn look(&mut self) {
        self.model.before_event(self.now);
        // At worst it was the timer that fired, and it is spent.
        self.timer = None;
        self.hand_in(Event::TimeAdvanced);
    }

    fn try_now(&mut self) {
        let in_flight = self.in_flight().is_some();
        self.model.before_event(self.now);
        self.model.try_now(self.machine.is_due(self.now), in_flight, self.now);
        self.hand_in(Event::TryNow);
    }

    /// The call of the refresher that the host knows to be in flight.
    fn call(&self) -> Option<RequestId> {
        self.model.flight.as_ref().filter(|flight| flight.called).map(|flight| flight.request)
    }

    /// The same of a check.
    fn check_in_flight(&self) -> Option<RequestId> {
        self.model.flight.as_ref().filter(|flight| flight.stage == Stage::Checking).map(|flight| flight.request)
    }

    /// The check or call in flight, as the machine would have it if the host drained first.
    fn in_flight(&self) -> Option<RequestId> {
        let flight = |world: &Self| world.model.flight.as_ref().map(|flight| flight.request);
        if !self.undrained {
            return flight(self);
        }
        let mut twin = self.clone();
        twin.drain();
        flight(&twin)
    }

    fn late(&self, known: &[RequestId], index: u8) -> Option<RequestId> {
        let in_flight = self.in_flight();
        let late: Vec<_> = known.iter().filter(|call| Some(**call) != in_flight).collect();
        late.get(usize::from(index) % late.len().max(1)).map(|call| **call)
    }

    fn new_token(&mut self, brings: Brings) -> (String, NewToken, Verdict) {
        self.texts += 1;
        let text = format!("t{}", self.texts);
        let asked = self.model.flight.as_ref().map_or(self.now, |flight| flight.started);
        let (token, verdict) = brings.make(&text, &self.model.knobs, asked, self.now);
        (text, token, verdict)
    }

    fn answer(&mut self, request: RequestId, brings: Brings) {
        let late = self.in_flight() != Some(request);
        let (text, token, verdict) = self.new_token(brings);
        self.model.before_event(self.now);
        if late {
            return self.hand_in_late(Event::TokenReceived { request, token });
        }
        self.model.answer(text, verdict, self.now);
        self.hand_in(Event::TokenReceived { request, token });
    }

    fn fail(&mut self, request: RequestId, fails: Fails) {
        let late = self.in_flight() != Some(request);
        self.model.before_event(self.now);
        let event = Event::RefreshFailed { request, error: fails.make() };
        if late {
            return self.hand_in_late(event);
        }
        self.model.fail(fails, self.now);
        self.hand_in(event);
    }

    fn source_checked(&mut self, request: RequestId, source: Source) {
        let late = self.in_flight() != Some(request);
        let failures = self.pending().1;
        self.model.before_event(self.now);
        let event = Event::SourceChecked { request, source };
        if late {
            return self.hand_in_late(event);
        }
        self.machine.handle(event, self.now);
        let (dropped, failures_then) = self.pending();
        // It is not the end of a check that timed out at this moment.
        let ended = dropped == Some(request) && failures_then == failures;
        let allowed = self.model.source_checked(source, ended, self.now);
        self.broken.extend(allowed.err());
        self.settle();
    }

    /// What the host would be told if it drained now: which call to drop, and of how many failures.
    fn pending(&self) -> (Option<RequestId>, usize) {
        let mut machine = self.machine.clone();
        let actions: Vec<_> = std::iter::from_fn(|| machine.poll_action()).collect();
        let dropped = actions.iter().find_map(|action| match action {
            Action::CancelRefresher { request } => Some(*request),
            _ => None,
        });
        let failed = |action: &&Action<u32>| matches!(action, Action::Notify(Notice::RefreshFailed { .. }));
        (dropped, actions.iter().filter(failed).count())
    }

    fn rejectable(&self, rejects: Rejects) -> Option<Token> {
        match rejects {
            Rejects::Held => self.tokens.last().cloned(),
            Rejects::Older(index) => self.tokens.get(usize::from(index) % self.tokens.len().max(1)).cloned(),
            Rejects::Impostor => {
                let held = self.tokens.last()?;
                let same = NewToken::new(held.secret().expose()).with_expires_on(held.expires_on());
                let other = Machine::<()>::with_static_token(same, self.model.knobs.policy(), self.now);
                other.ok()?.token(self.now).cloned()
            }
        }
    }

    fn millis(&self, span: Span) -> u64 {
        let (millis, more) = match span {
            Span::Millis(millis) => (millis, 0),
            Span::Deadline(more) => {
                let deadline = self.machine.deadline().unwrap_or(self.now.monotonic);
                (deadline.as_millis().saturating_sub(self.now.monotonic.as_millis()), more)
            }
            Span::Death(more) => (self.model.death().map_or(0, |end| end.left(self.now)), more),
        };
        millis.saturating_add_signed(more)
    }

    fn pass(&mut self, millis: u64) {
        self.now.monotonic = Monotonic::from_millis(self.now.monotonic.as_millis().saturating_add(millis));
        self.now.unix = UnixTime::from_millis(self.now.unix.as_millis().saturating_add_unsigned(millis));
    }

    fn step_wall(&mut self, by: i64) {
        self.now.unix = UnixTime::from_millis(self.now.unix.as_millis().saturating_add(by));
        self.look = Some(self.now.monotonic.as_millis().saturating_add(SLICE));
        self.set_back |= by < 0;
    }

    fn advance(&mut self, millis: u64) {
        let begin = self.now.monotonic.as_millis();
        let end = begin.saturating_add(millis);
        let mut fired = 0_u32;
        for _ in 0..WAKE_UPS {
            // What was overslept comes now, the timer first.
            let now = self.now.monotonic.as_millis();
            let [timer, look] = [self.timer.map(Monotonic::as_millis), self.look].map(|at| at.map(|at| at.max(now)));
            let Some(wake) = [timer, look].into_iter().flatten().min().filter(|wake| *wake <= end) else { break };
            self.pass(wake - now);
            if timer == Some(wake) {
                fired += 1;
                let excused = self.undrained || self.hold > 0 || self.set_back || self.at_the_end();
                self.look();
                self.check(Law::Vain, self.effective || excused, |_| "it fired in vain".to_owned());
            } else {
                self.look = None;
                self.look();
            }
        }
        // It starts, it gives up; a token dies.
        let starts = (self.now.monotonic.as_millis() - begin) / self.model.knobs.floor.max(1);
        let calm = u64::from(fired.saturating_sub(5).div_ceil(2)) <= starts || self.at_the_end();
        self.check(Law::Vain, calm, |_| format!("it fired {fired} times since {begin}"));
        self.pass(end.saturating_sub(self.now.monotonic.as_millis()));
    }

    /// A clock that stands at its end measures nothing any more: what takes time is done at once, or never.
    fn at_the_end(&self) -> bool {
        self.ended || is_the_end(self.now)
    }

    fn check(&mut self, law: Law, holds: bool, how: impl FnOnce(&Self) -> String) {
        if !holds {
            let how = format!("{} (at {:?}, {:?})", how(self), self.now, self.machine);
            self.broken.push(Broken { law, how });
        }
    }

    fn hand_in_late(&mut self, event: Event<u32>) {
        let mut untouched = self.machine.clone();
        untouched.handle(Event::RequestCancelled { waiter: NOBODY }, self.now);
        let untouched = format!("{untouched:?}");
        self.machine.handle(event, self.now);
        let same = format!("{:?}", self.machine) == untouched;
        self.check(Law::Late, same, |_| format!("instead of {untouched}"));
        self.settle();
    }

    fn hand_in(&mut self, event: Event<u32>) {
        self.machine.handle(event, self.now);
        self.settle();
    }

    fn settle(&mut self) {
        self.model.after_event(self.now);
        self.check_held();
        if self.hold > 0 {
            self.hold -= 1;
            self.undrained = true;
            let mut twin = self.clone();
            twin.drain();
            self.model.learn(&twin.model);
            self.broken = twin.broken;
        } else {
            self.drain();
        }
    }

    /// The held token, and that alone, is what the machine has.
    fn check_held(&mut self) {
        let now = self.now;
        let has = self.machine.token(now).cloned();
        let text = |token: &Token| token.secret().expose().rsplit('.').next().unwrap_or_default().to_owned();
        let (has_text, may) = (has.as_ref().map(text), self.model.held(now).map(|held| held.text.clone()));
        if has_text != may {
            let law = if may.is_some() { Law::Kept } else { Law::HandOut };
            return self.check(law, false, |_| format!("{may:?} is to be held, but it has {has_text:?}"));
        }
        if let (Some(token), Some(held)) = (has, self.model.held_mut())
            && held.token.is_none()
        {
            held.token = Some(token.clone());
            self.tokens.push(token);
        }
        let secrets = format!("{:?}", self.machine).matches("Secret(").count();
        let most = self.model.secrets();
        self.check(Law::Secrets, secrets == most, |_| format!("{secrets} secrets in it, not {most}"));
    }
}

fn is_the_end(now: Now) -> bool {
    const MARGIN: u64 = 1 << 60;
    now.monotonic.as_millis() > u64::MAX - MARGIN || now.unix.as_millis() > i64::MAX.saturating_sub_unsigned(MARGIN)
}
