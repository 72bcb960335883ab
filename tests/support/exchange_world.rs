//! A simulated host around an Entra user's credential. It keeps its own books, and checks every law after every event. It
//! knows the contract, not the machines.

use std::collections::{BTreeSet, VecDeque};

use acs_common::entra::ExchangeAction;
use acs_common::{Action, Event, Monotonic, Now, RequestId, Token, UnixTime};

use super::credential::{Credential, ToDo};
use super::rig;

#[path = "exchange_world/alone.rs"]
pub mod alone;
#[path = "exchange_world/answers.rs"]
mod answers;
#[path = "exchange_world/calls.rs"]
mod calls;
#[path = "exchange_world/laws.rs"]
mod laws;
#[path = "exchange_world/ops.rs"]
pub mod ops;

use ops::{Answer, Entra, Op, Setup};

/// Nobody's name: a waiter that never asked.
const NOBODY: u32 = u32::MAX;
/// How often the timer may fire while time passes, before the host oversleeps.
const WAKE_UPS: u32 = 64;

/// Plays a life with all laws checked; then a good source and a good service must lead back to a token.
pub fn play(setup: &Setup, ops: &[Op]) -> Result<(), String> {
    let mut world = World::new(setup);
    for (index, op) in ops.iter().enumerate() {
        world.run(op);
        if let Some(broken) = world.broken {
            return Err(format!("{broken} after operation {index}, {op:?}"));
        }
    }
    world.recover();
    world.broken.map_or(Ok(()), |broken| Err(format!("{broken}, at the end")))
}

/// An access token as the host expects to find it held.
struct Held {
    text: String,
    /// What it was exchanged for.
    entra: Entra,
    /// Expired from then on, by either clock; `None` if only the machine can tell.
    expiry: Option<(u64, i64)>,
    token: Option<Token>,
    /// It came after a rejection, so it may be doubtful after the next one, instead of dropped.
    replaces: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Source,
    Service,
}

struct World {
    credential: Credential<u32>,
    setup: Setup,
    now: Now,
    /// What the machine, and the exchange, announced last.
    timers: [Option<Monotonic>; 2],
    waiting: BTreeSet<u32>,
    waiters: u32,
    issued: u32,
    outstanding: Option<(RequestId, Asked)>,
    /// All refreshes so far.
    refreshes: Vec<RequestId>,
    held: Option<Held>,
    /// What the next token announced is.
    brought: Option<Held>,
    gone: Vec<Token>,
    /// What the last failure, or rejection, belongs to.
    failed: Option<Entra>,
    failures: u32,
    /// Of the refresh under way.
    in_hand: Option<Entra>,
    /// What the token rejected last was exchanged for.
    rejected: Option<Entra>,
    /// Its text, which must not be shown.
    secret: Option<String>,
    requests: u32,
    questions: u32,
    request_id: Option<String>,
    request_ids: BTreeSet<String>,
    started: Option<Now>,
    interval_over: bool,
    /// Of the pause in hand: when it began, how many milliseconds it takes at least, and whether they have passed.
    pause: Option<(Now, u64, bool)>,
    /// Of the refresh under way.
    pauses: u32,
    disposed: bool,
    /// The answer in hand is that the user has signed out.
    signed_out: bool,
    /// So many events are yet to come before the host drains.
    hold: u8,
    undrained: bool,
    told: VecDeque<(u32, Result<(), Option<u64>>)>,
    broken: Option<String>,
}

impl World {
    fn new(setup: &Setup) -> Self {
        let now = Now::new(Monotonic::from_millis(1_000), rig::unix(0));
        let options = rig::contoso().with_prewarm(setup.prewarm);
        let mut world = Self {
            credential: Credential::of_entra_user(options, setup.policy(), now),
            setup: setup.clone(),
            now,
            timers: [None; 2],
            waiting: BTreeSet::new(),
            waiters: 0,
            issued: 0,
            outstanding: None,
            refreshes: Vec::new(),
            held: None,
            brought: None,
            gone: Vec::new(),
            failed: None,
            failures: 0,
            in_hand: None,
            rejected: None,
            secret: None,
            requests: 0,
            questions: 0,
            request_id: None,
            request_ids: BTreeSet::new(),
            started: None,
            interval_over: true,
            pause: None,
            pauses: 0,
            disposed: false,
            signed_out: false,
            hold: 0,
            undrained: false,
            told: VecDeque::new(),
            broken: None,
        };
        world.drain();
        world
    }

    fn check(&mut self, holds: bool, law: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(format!("{} (at {:?}, {:?})", law(), self.now, self.credential));
        }
    }

    fn run(&mut self, op: &Op) {
        if !op.may_be_held() {
            self.hold = 0;
            if self.undrained {
                self.drain();
            }
        }
        match op {
            Op::Request => {
                self.request();
            }
            Op::Cancel(index) => {
                let waiter = self.waiting.iter().nth(usize::from(*index) % self.waiting.len().max(1)).copied();
                let waiter = waiter.unwrap_or(NOBODY);
                self.waiting.remove(&waiter);
                self.handle(Event::RequestCancelled { waiter });
            }
            Op::Answer(answer) => match self.outstanding {
                Some((request, asked)) => self.answer(request, asked, answer),
                None => self.handle(Event::TimeAdvanced),
            },
            Op::Late(index, answer) => self.answer_late(*index, answer),
            Op::Reject(older) => {
                let held = self.held.as_ref().and_then(|held| held.token.clone());
                match if *older { self.gone.last().cloned() } else { held } {
                    Some(token) => {
                        if self.held.as_ref().and_then(|held| held.token.as_ref()).is_some_and(|it| it.ptr_eq(&token)) {
                            self.reject(&token);
                        }
                        self.handle(Event::TokenRejected { token });
                    }
                    None => self.handle(Event::TimeAdvanced),
                }
            }
            Op::RetryNow => self.handle(Event::RetryNow),
            Op::Dispose => {
                self.disposed = true;
                self.held = None;
                self.handle(Event::Disposed);
            }
            Op::Look => self.handle(Event::TimeAdvanced),
            Op::Advance(millis) => self.advance(*millis),
            Op::Oversleep(millis) => self.pass(*millis),
            Op::ToDeadline(more) => {
                let due = self.credential.deadline().unwrap_or(self.now.monotonic).saturating_since(self.now.monotonic);
                let millis = u64::try_from(due.as_millis()).unwrap_or(u64::MAX).min(1 << 40);
                self.pass(millis.saturating_add_signed(*more));
                self.handle(Event::TimeAdvanced);
            }
            Op::StepWall(by) => {
                self.now.unix = UnixTime::from_millis(self.now.unix.as_millis() + by);
            }
            Op::Hold(events) => self.hold = *events,
        }
    }

    /// The held token is dropped; if it replaced a rejected one, the machine decides.
    fn reject(&mut self, token: &Token) {
        let mut machine = self.credential.machine.clone();
        machine.handle(Event::TokenRejected { token: token.clone() }, self.now);
        let stays = machine.token(self.now).is_some_and(|held| held.ptr_eq(token));
        self.rejected = self.held.as_ref().map(|held| held.entra);
        if !(stays && self.held.as_ref().is_some_and(|held| held.replaces)) {
            self.held = None;
            self.gone.push(token.clone());
        }
    }

    fn pass(&mut self, millis: u64) {
        self.now.monotonic = Monotonic::from_millis(self.now.monotonic.as_millis() + millis);
        self.now.unix = UnixTime::from_millis(self.now.unix.as_millis().saturating_add_unsigned(millis));
    }

    fn advance(&mut self, millis: u64) {
        let end = self.now.monotonic.as_millis() + millis;
        for _ in 0..WAKE_UPS {
            let due = self.timers.into_iter().flatten().min().map(Monotonic::as_millis);
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.pass(due.saturating_sub(self.now.monotonic.as_millis()));
            self.handle(Event::TimeAdvanced);
        }
        self.pass(end.saturating_sub(self.now.monotonic.as_millis()));
    }

    fn request(&mut self) -> u32 {
        self.waiters += 1;
        self.waiting.insert(self.waiters);
        self.handle(Event::TokenRequested { waiter: self.waiters });
        self.waiters
    }

    fn handle(&mut self, event: Event<u32>) {
        if matches!(event, Event::TimeAdvanced) {
            self.timers = [None; 2];
        }
        self.pass_interval();
        self.credential.handle(event, self.now);
        if self.hold > 0 {
            self.hold -= 1;
            self.undrained = true;
        } else {
            self.drain();
        }
    }

    fn drain(&mut self) {
        self.undrained = false;
        let mut answers = Vec::new();
        let mut last = 0;
        let mut order = |place: u8| {
            let in_order = last <= place;
            last = place;
            in_order
        };
        while let Some(to_do) = self.credential.poll(self.now) {
            let shown = format!("{to_do:?}");
            let (place, known) = match &to_do {
                ToDo::Act(Action::ReturnToken { .. }) => (0, true),
                // A refresh that has no call under way may wait for the interval, or pause.
                ToDo::Act(Action::CancelRefresher { request }) => (1, self.refreshes.last() == Some(request)),
                ToDo::Act(Action::Notify(_)) => (2, true),
                ToDo::Act(Action::ScheduleTimer { .. }) => (3, true),
                ToDo::Act(Action::CheckSource { .. } | Action::CallRefresher { .. }) => (4, false),
                ToDo::Exchange(request, _) => {
                    (4, self.credential.exchange.as_ref().is_some_and(|(current, _)| current == request))
                }
            };
            let in_order = order(place);
            self.check(in_order && known, || format!("out of order, or of nothing known: {shown}"));
            self.check_secrets(&shown);
            match to_do {
                ToDo::Act(Action::ReturnToken { waiter, result }) => answers.push((waiter, result)),
                ToDo::Act(Action::Notify(notice)) => self.notice(&notice),
                ToDo::Act(Action::CancelRefresher { .. }) => (self.outstanding, self.timers[1]) = (None, None),
                ToDo::Act(Action::ScheduleTimer { at }) => self.timers[0] = at,
                ToDo::Exchange(request, ExchangeAction::AcquireEntraToken { fresh, .. }) => self.asked(request, fresh),
                ToDo::Exchange(request, ExchangeAction::SendRequest { request: sent }) => {
                    self.sent(request, sent.attempt(), sent.request_id());
                }
                ToDo::Exchange(_, ExchangeAction::ScheduleTimer { at }) => self.timers[1] = at,
                // The composition passes these on, and what is not known has been reported.
                ToDo::Act(Action::CheckSource { .. } | Action::CallRefresher { .. })
                | ToDo::Exchange(_, ExchangeAction::ReportSource { .. } | ExchangeAction::Finish { .. }) => {}
            }
        }
        if self.credential.exchange.is_none() {
            self.timers[1] = None;
        }
        self.brought = None;
        let now = self.now;
        if let Some(held) = &self.held
            && let Some((mono, wall)) = held.expiry
            && (now.monotonic.as_millis() >= mono || now.unix.as_millis() >= wall)
        {
            self.gone.extend(self.held.take().and_then(|held| held.token));
        }
        self.check_held();
        for (waiter, result) in answers {
            self.answered(waiter, result);
        }
        self.check_waiting();
        let (timers, deadlines) =
            (self.timers, [self.credential.machine.deadline(), self.credential.exchange_deadline()]);
        self.check(timers == deadlines, || format!("the timers are {timers:?}, the deadlines {deadlines:?}"));
        let due = deadlines.into_iter().flatten().any(|deadline| deadline <= self.now.monotonic);
        self.check(!due, || "already due".to_owned());
        let shown = format!("{:?}", self.credential);
        self.check_secrets(&shown);
        if self.disposed {
            let over = deadlines == [None; 2]
                && self.outstanding.is_none()
                && self.credential.exchange.is_none()
                && self.held.is_none();
            self.check(over, || "something is left after the end".to_owned());
        }
    }

    /// Somebody asks, and again when told to; and a good source and a good service answer.
    fn recover(&mut self) {
        self.hold = 0;
        self.handle(Event::TimeAdvanced);
        if self.disposed {
            return;
        }
        let mut waiter = self.request();
        for _ in 0..40 {
            if self.broken.is_some() {
                return;
            }
            match self.told.iter().find(|(other, _)| *other == waiter).map(|(_, told)| *told) {
                Some(Ok(())) => return,
                Some(Err(wait)) => {
                    self.pass(wait.unwrap_or_default());
                    waiter = self.request();
                }
                None => match self.outstanding {
                    Some((request, Asked::Source)) => self.answer(request, Asked::Source, &Answer::Gives(Entra::ALICE)),
                    Some((request, Asked::Service)) => {
                        self.answer(request, Asked::Service, &Answer::Succeeds(3_600_000))
                    }
                    None => self.run(&Op::ToDeadline(0)),
                },
            }
        }
        self.check(false, || "there is no way back".to_owned());
    }
}
