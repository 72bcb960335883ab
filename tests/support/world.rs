//! A simulated host around the machine. It checks every law after every event. It knows the contract, not the machine.

use acs_common::{Event, Machine, Monotonic, Now, RequestId, Token, UnixTime};

#[path = "world/drain.rs"]
mod drain;
#[path = "world/duties.rs"]
mod duties;
#[path = "world/events.rs"]
mod events;
#[path = "world/flight.rs"]
mod flight;
#[path = "world/law.rs"]
pub mod law;
#[path = "world/model.rs"]
mod model;
#[path = "world/ops.rs"]
pub mod ops;
#[path = "world/probes.rs"]
mod probes;
#[path = "world/reasons.rs"]
mod reasons;
#[path = "world/server.rs"]
pub mod server;
#[path = "world/states.rs"]
pub mod states;

use law::{Broken, Law};
use model::Model;
use ops::{Op, Rejects, Setup, Span, Verdict};
use server::Server;

/// The name of a waiter that never requested a token.
const NOBODY: u32 = u32::MAX;
/// How often the host's timer may fire in one operation. After that, the host oversleeps.
const WAKE_UPS: u32 = 48;
/// How long after a step or a suspension a host that sleeps in slices reads its clocks.
const SLICE: u64 = 60_000;
/// Longer than any host runs.
const AGES: u64 = 10_000 * 365 * 86_400_000;
/// Beside a server with a clock of its own, no clock comes to its maximum.
const CENTURIES: u64 = 300 * 365 * 86_400_000;

/// Plays a run and checks all laws, or only one. At the end it checks that a good refresher leads back to a token.
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

/// What all waiters except the ghosts saw in a run, with or without the ghosts' requests.
pub fn journal(setup: &Setup, ops: &[Op], ghosts_ask: bool) -> Vec<String> {
    let mut world = World { ghosts_ask, journal: Some(Vec::new()), ..World::new(setup) };
    ops.iter().for_each(|op| world.run(*op));
    world.journal.unwrap_or_default()
}

#[derive(Clone)]
pub struct World {
    machine: Machine<u32>,
    model: Model,
    /// The issuer and the service, if their clock is not the device's.
    server: Option<Server>,
    now: Now,
    waiters: u32,
    texts: u32,
    /// Every announced check and call, and every accepted token.
    checks: Vec<RequestId>,
    calls: Vec<RequestId>,
    tokens: Vec<Token>,
    timer: Option<Monotonic>,
    look: Option<u64>,
    /// A clock was set back after the timer was armed, so the timer may fire too early.
    set_back: bool,
    /// A clock has reached its maximum or minimum.
    ended: bool,
    /// How many more events come before the host drains.
    hold: u8,
    undrained: bool,
    /// The held token was due before the last event.
    was_due: bool,
    /// The last event was *retry now*, which ends the backoff of an error that time led to just before.
    retried: bool,
    ghost: Option<u32>,
    ghosts_ask: bool,
    journal: Option<Vec<String>>,
    /// The last drain's answers. For an error, the time after which to ask again.
    answers: Vec<(u32, Result<(), Option<u64>>)>,
    /// The last drain did more than arm the timer.
    effective: bool,
    /// The last drain came after several events.
    batch: bool,
    pub broken: Vec<Broken>,
}

impl World {
    pub fn new(setup: &Setup) -> Self {
        let now = setup.start;
        let mut model = Model::new(setup);
        let policy = setup.policy();
        let initial = setup.initial.map(|brings| brings.make("initial", &setup.options, now, now));
        let (initial, verdict) = initial.unzip();
        let empty = || Machine::new(None, policy.clone(), now).expect("a missing initial token is always valid");
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
            server: setup.server.map(|ahead| Server::new(ahead, now)),
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
            was_due: false,
            retried: false,
            ghost: None,
            ghosts_ask: true,
            journal: None,
            answers: Vec::new(),
            effective: false,
            batch: false,
            broken: Vec::new(),
        };
        world.before_event();
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
            Op::RequestOther(rejects) => match self.rejectable(rejects) {
                Some(than) => {
                    let waiter = self.new_waiter();
                    self.request_other(waiter, than);
                }
                None => self.look(),
            },
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
                Some(request) => self.answer(request, brings, true),
                None => self.look(),
            },
            Op::AnswerWithoutDate(brings) => match self.call() {
                Some(request) => self.answer(request, brings, false),
                None => self.look(),
            },
            Op::ServerDate(dated) => self.server_date(dated),
            Op::AnswerLate(index, brings) => match self.not_called(index) {
                Some(request) => self.answer(request, brings, true),
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
                    self.before_event();
                    self.time_first();
                    if !matches!(rejects, Rejects::Impostor) {
                        self.model.reject(&token, self.now);
                    }
                    self.hand_in(Event::TokenRejected { token });
                }
                None => self.look(),
            },
            Op::RetryNow => {
                self.retry_now();
            }
            Op::Dispose => {
                self.before_event();
                self.model.dispose();
                self.hand_in(Event::Disposed);
            }
            Op::Advance(span) => self.advance(self.length(span)),
            Op::Oversleep(span) => self.pass(self.length(span)),
            Op::Suspend(span) => {
                let span = self.length(span);
                self.server.iter_mut().for_each(|server| server.sleeps(span));
                self.step_wall(i64::try_from(span).unwrap_or(i64::MAX));
            }
            Op::StepWall { back, by } => {
                let by = i64::try_from(self.length(by)).unwrap_or(i64::MAX);
                let by = if back { -by } else { by };
                self.server.iter_mut().for_each(|server| server.wall_clock_set(by));
                self.step_wall(by);
            }
            Op::StepMonotonicBack(span) => {
                let before = self.now.monotonic.as_millis();
                let monotonic = before.saturating_sub(self.length(span));
                self.now.monotonic = Monotonic::from_millis(monotonic);
                self.model.longest_backoff = self.model.longest_backoff.saturating_add(before - monotonic);
                // How long a backoff still lasts is not exact any more.
                self.model.quiet = None;
                self.set_back = true;
                self.server.iter_mut().for_each(Server::monotonic_clock_set);
            }
            Op::Look => self.look(),
            Op::Hold(events) => self.hold = events,
        }
    }

    fn millis(&self, span: Span) -> u64 {
        let (millis, more) = match span {
            Span::Millis(millis) => (millis, 0),
            Span::Deadline(more) => {
                let deadline = self.machine.deadline().unwrap_or(self.now.monotonic);
                (deadline.as_millis().saturating_sub(self.now.monotonic.as_millis()), more)
            }
            Span::Expiry(more) => (self.model.expiry().map_or(0, |end| end.left(self.now)), more),
        };
        millis.saturating_add_signed(more)
    }

    /// How long an operation takes.
    fn length(&self, span: Span) -> u64 {
        self.millis(span).min(if self.has_server() { CENTURIES } else { u64::MAX })
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
            // What fell into the sleep happens now, the timer first.
            let now = self.now.monotonic.as_millis();
            let [timer, look] = [self.timer.map(Monotonic::as_millis), self.look].map(|at| at.map(|at| at.max(now)));
            let Some(wake) = [timer, look].into_iter().flatten().min().filter(|wake| *wake <= end) else { break };
            self.pass(wake - now);
            if timer == Some(wake) {
                fired += 1;
                let excused = self.undrained || self.hold > 0 || self.set_back || self.at_the_end();
                self.look();
                let effective = self.effective || self.model.grace_began;
                self.check(Law::Vain, effective || excused, |_| "it fired without effect".to_owned());
            } else {
                self.look = None;
                self.look();
            }
        }
        // A refresh starts or times out; a token expires.
        let starts = (self.now.monotonic.as_millis() - begin) / self.model.options.min_interval.max(1);
        let calm = u64::from(fired.saturating_sub(5).div_ceil(2)) <= starts || self.at_the_end();
        self.check(Law::Vain, calm, |_| format!("it fired {fired} times since {begin}"));
        self.pass(end.saturating_sub(self.now.monotonic.as_millis()));
    }

    /// A clock at its maximum cannot measure time any more: a wait ends at once, or never.
    fn at_the_end(&self) -> bool {
        self.ended || is_the_end(self.now)
    }

    fn check(&mut self, law: Law, holds: bool, how: impl FnOnce(&Self) -> String) {
        if !holds {
            let how = format!("{} (at {:?}, {:?})", how(self), self.now, self.machine);
            self.broken.push(Broken { law, how });
        }
    }

    /// A refresh is made again by the difference of the clocks, and clocks at their maximum tell none.
    fn allow(&mut self, allowed: Result<(), Broken>) {
        let ended = self.at_the_end();
        self.broken.extend(allowed.err().filter(|broken| !ended || !matches!(broken.law, Law::Reason | Law::Source)));
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

    /// The machine has the held token, and no other.
    fn check_held(&mut self) {
        let now = self.now;
        let has = self.machine.token(now).cloned();
        let text = |token: &Token| last_part(token.secret().expose());
        let (has_text, may) = (has.as_ref().map(text), self.model.held(now).map(|held| held.text.clone()));
        if has_text != may {
            let law = if may.is_some() { Law::Kept } else { Law::HandOut };
            return self.check(law, false, |_| format!("{may:?} must be held, but it has {has_text:?}"));
        }
        self.check_served();
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

/// A token's name. In a JWT it stands in place of the signature.
fn last_part(text: &str) -> String {
    text.rsplit('.').next().unwrap_or_default().to_owned()
}

fn is_the_end(now: Now) -> bool {
    const MARGIN: u64 = 1 << 60;
    now.monotonic.as_millis() > u64::MAX - MARGIN || now.unix.as_millis() > i64::MAX.saturating_sub_unsigned(MARGIN)
}
