//! A simulated host round the machine that checks every law after every event. It knows the contract, not the machine.

use acs_common::{Action, Error, Event, Machine, Monotonic, NewToken, Notice, Now, RequestId, Token, UnixTime};

#[path = "world/model.rs"]
pub mod model;
#[path = "world/ops.rs"]
pub mod ops;
#[path = "world/probes.rs"]
mod probes;

use model::{Broken, Law, Model};
use ops::{Brings, Fails, Op, Rejects, Setup, Span, Verdict};

/// Nobody's name: a waiter that never asked.
const NOBODY: u32 = u32::MAX;
/// How often the host's timer may fire while time passes, before it oversleeps.
const WAKE_UPS: u32 = 48;
/// More actions at once than any list of operations can cause.
const FLOOD: usize = 10_000;
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
    /// Every call announced, and every token accepted.
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
        let mut model = Model::new(setup.knobs.clone());
        let policy = setup.knobs.policy();
        let initial = setup.initial.map(|brings| brings.make("initial", &setup.knobs, now, now));
        let (initial, verdict) = initial.unzip();
        let machine = match (Machine::new(initial, policy.clone(), now), verdict) {
            (Ok(machine), Some(Verdict::Alive { left })) => {
                model.hold("initial".to_owned(), left, now);
                machine
            }
            (Ok(machine), None | Some(Verdict::Expired)) => machine,
            (Err(_), Some(Verdict::Invalid)) => {
                Machine::new(None, policy, now).expect("no initial token, nothing to be wrong with")
            }
            (machine, verdict) => panic!("{:?} is {verdict:?}, but {:?}", setup.initial, machine.err()),
        };
        let mut world = Self {
            machine,
            model,
            now,
            waiters: 0,
            texts: 0,
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
                let joins = !self.undrained && self.hold == 0 && !self.model.waiting.is_empty();
                let waiter = self.new_waiter();
                if joins && self.ghosts_ask {
                    self.ghost = Some(waiter);
                    self.request(waiter);
                } else {
                    self.cancel(NOBODY);
                }
            }
            Op::Answer(brings) => match self.model.flight.as_ref().map(|flight| flight.request) {
                Some(request) => self.answer(request, brings),
                None => self.look(),
            },
            Op::AnswerLate(index, brings) => match self.late_call(index) {
                Some(request) => self.answer(request, brings),
                None => self.look(),
            },
            Op::Fail(fails) => match self.model.flight.as_ref().map(|flight| flight.request) {
                Some(request) => self.fail(request, fails),
                None => self.look(),
            },
            Op::FailLate(index, fails) => match self.late_call(index) {
                Some(request) => self.fail(request, fails),
                None => self.look(),
            },
            Op::Reject(rejects) => match self.rejectable(rejects) {
                Some(token) => {
                    self.model.before_event(self.now);
                    self.model.reject(&token);
                    self.hand_in(Event::TokenRejected { token });
                }
                None => self.look(),
            },
            Op::TryNow => {
                self.model.before_event(self.now);
                self.model.try_now(self.now);
                self.hand_in(Event::TryNow);
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
                let monotonic = self.now.monotonic.as_millis().saturating_sub(self.millis(span));
                self.now.monotonic = Monotonic::from_millis(monotonic);
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
        self.model.waiting.retain(|other| *other != waiter);
        self.hand_in(Event::RequestCancelled { waiter });
    }

    fn look(&mut self) {
        self.model.before_event(self.now);
        // At worst it was the timer that fired, and it is spent.
        self.timer = None;
        self.hand_in(Event::TimeAdvanced);
    }

    /// The call in flight, as the machine would have it if the host drained first.
    fn in_flight(&self) -> Option<RequestId> {
        let flight = |world: &Self| world.model.flight.as_ref().map(|flight| flight.request);
        if !self.undrained {
            return flight(self);
        }
        let mut twin = self.clone();
        twin.drain();
        flight(&twin)
    }

    fn late_call(&self, index: u8) -> Option<RequestId> {
        let in_flight = self.in_flight();
        let late: Vec<_> = self.calls.iter().filter(|call| Some(**call) != in_flight).collect();
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
        let end = self.now.monotonic.as_millis().saturating_add(millis);
        for _ in 0..WAKE_UPS {
            let timer = self.timer.map(Monotonic::as_millis);
            let Some(wake) = [timer, self.look].into_iter().flatten().min().filter(|wake| *wake <= end) else { break };
            self.pass(wake.saturating_sub(self.now.monotonic.as_millis()));
            if timer == Some(wake) {
                let excused = self.undrained || self.hold > 0 || self.set_back || self.at_the_end();
                self.look();
                self.check(Law::Vain, self.effective || excused, |_| "it fired in vain".to_owned());
            } else {
                self.look = None;
                self.look();
            }
        }
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
        self.check(Law::Secrets, secrets == usize::from(may.is_some()), |_| format!("{secrets} secrets in it"));
    }

    fn drain(&mut self) {
        let actions: Vec<_> = std::iter::from_fn(|| self.machine.poll_action()).take(FLOOD).collect();
        self.check(Law::Order, actions.len() < FLOOD, |_| "there is no end to its actions".to_owned());
        let ranks: Vec<_> = actions.iter().map(rank).collect();
        let timers = ranks.iter().filter(|rank| **rank == TIMER).count();
        self.check(Law::Order, ranks.is_sorted() && timers <= 1, |_| format!("{actions:?}"));
        self.effective = actions.iter().any(|action| rank(action) != TIMER);
        self.answers.clear();
        let mut notices = Seen::default();
        // The calls off first: they say why somebody is refused.
        for action in &actions {
            if let Action::CancelRefresher { request } = action {
                let allowed = self.model.call_off(*request, self.now);
                self.broken.extend(allowed.err());
            }
            if let Action::Notify(notice) = action {
                notices.count(notice);
            }
        }
        self.check_notices(&notices);
        for action in actions {
            let ghostly = matches!(&action, Action::ReturnToken { waiter, .. } if self.ghost == Some(*waiter));
            if let (Some(journal), false) = (&mut self.journal, ghostly) {
                journal.push(format!("{:?} {action:?}", self.now));
            }
            self.take(action, &notices);
        }
        self.batch = self.model.events > 1;
        self.model.drained();
        self.undrained = false;
        self.set_back = false;
        self.check_settled();
        if self.journal.is_none() {
            self.probe();
        }
    }

    fn take(&mut self, action: Action<u32>, notices: &Seen) {
        match action {
            Action::ReturnToken { waiter, result } => {
                let waits = self.model.waiting.iter().position(|other| *other == waiter);
                self.check(Law::Once, waits.is_some(), |_| format!("{waiter} does not wait any more"));
                if let Some(index) = waits {
                    self.model.waiting.remove(index);
                }
                if self.ghost == Some(waiter) {
                    self.ghost = None;
                }
                self.take_answer(waiter, result, notices);
            }
            Action::CancelRefresher { .. } | Action::Notify(_) => {}
            Action::CallRefresher { request } => {
                let new = !self.calls.contains(&request);
                self.check(Law::OneFlight, new, |_| format!("{request:?} is called again"));
                self.calls.push(request);
                let allowed = self.model.start(request, self.now);
                self.broken.extend(allowed.err());
            }
            Action::ScheduleTimer { at } => self.timer = at,
        }
    }

    fn take_answer(&mut self, waiter: u32, result: Result<Token, Error>, notices: &Seen) {
        let held = self.model.held(self.now).and_then(|held| held.token.clone());
        let disposed = self.model.disposed;
        let answer = match result {
            Ok(token) => {
                let right = held.is_some_and(|held| held.is_same(&token));
                self.check(Law::HandOut, right, |_| format!("{waiter} got {token:?}"));
                Ok(())
            }
            Err(Error::RefreshFailed { cause, retry_in, .. }) => {
                self.check(Law::Disposed, !disposed, |_| format!("{waiter} was told {cause}"));
                let justified = self.model.may_refuse() || self.model.events > 1 && notices.failed > 0;
                let justified = held.is_none() && justified;
                self.check(Law::Refusal, justified, |_| format!("{waiter} was told {cause}"));
                Err(retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
            }
            Err(other) => {
                let right = disposed && matches!(other, Error::Disposed);
                self.check(Law::Disposed, right, |_| format!("{waiter} was told {other}"));
                Err(None)
            }
        };
        self.answers.push((waiter, answer));
    }
}

fn is_the_end(now: Now) -> bool {
    const MARGIN: u64 = 1 << 60;
    now.monotonic.as_millis() > u64::MAX - MARGIN || now.unix.as_millis() > i64::MAX.saturating_sub_unsigned(MARGIN)
}

const TIMER: u8 = 3;

fn rank(action: &Action<u32>) -> u8 {
    match action {
        Action::ReturnToken { .. } => 0,
        Action::CancelRefresher { .. } | Action::CallRefresher { .. } => 1,
        Action::Notify(_) => 2,
        Action::ScheduleTimer { .. } => TIMER,
    }
}

/// The notices of one drain.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    changed: u32,
    failed: u32,
    expired: u32,
    disposed: u32,
}

impl Seen {
    fn count(&mut self, notice: &Notice) {
        match notice {
            Notice::TokenChanged { .. } => self.changed += 1,
            Notice::RefreshFailed { .. } => self.failed += 1,
            Notice::TokenExpired => self.expired += 1,
            Notice::Disposed => self.disposed += 1,
            _ => {}
        }
    }
}
