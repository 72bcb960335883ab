//! A simulated host round the exchange of Entra tokens, with bookkeeping of its own, that checks every law after every
//! event. It knows the contract, not the machine.

use std::collections::{BTreeSet, VecDeque};

use acs_common::entra::{CallId, EntraAction, EntraEvent, EntraMachine, EntraOptions};
use acs_common::{Error, FailureKind, Monotonic, Notice, Now, RefresherError, Token, UnixTime};

#[path = "exchange_world/calls.rs"]
mod calls;
#[path = "exchange_world/ops.rs"]
pub mod ops;

use ops::{Answer, Entra, Op, Setup};

const START: i64 = 1_700_000_000_000;
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
    /// Dead from then on, by either clock; `None` if only the machine can tell.
    dead: Option<(u64, i64)>,
    token: Option<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Source,
    Service,
}

struct World {
    machine: EntraMachine<u32>,
    setup: Setup,
    now: Now,
    timer: Option<Monotonic>,
    waiting: BTreeSet<u32>,
    waiters: u32,
    issued: u32,
    outstanding: Option<(CallId, Asked)>,
    calls: Vec<(CallId, Asked)>,
    held: Option<Held>,
    /// What the next token announced is.
    brought: Option<Held>,
    gone: Vec<Token>,
    /// Of the refresh under way.
    in_hand: Option<Entra>,
    /// Its text, which must not be shown.
    secret: Option<String>,
    requests: u32,
    questions: u32,
    request_id: Option<String>,
    request_ids: BTreeSet<String>,
    started: Option<Now>,
    floor_over: bool,
    disposed: bool,
    /// So many events are yet to come before the host drains.
    hold: u8,
    undrained: bool,
    told: VecDeque<(u32, Result<(), Option<u64>>)>,
    broken: Option<String>,
}

impl World {
    fn new(setup: &Setup) -> Self {
        let now = Now::new(Monotonic::from_millis(1_000), UnixTime::from_millis(START));
        let options = EntraOptions::new("https://contoso.communication.azure.com").expect("it is right");
        let mut world = Self {
            machine: EntraMachine::new(options.with_prewarm(setup.prewarm), setup.policy(), now),
            setup: setup.clone(),
            now,
            timer: None,
            waiting: BTreeSet::new(),
            waiters: 0,
            issued: 0,
            outstanding: None,
            calls: Vec::new(),
            held: None,
            brought: None,
            gone: Vec::new(),
            in_hand: None,
            secret: None,
            requests: 0,
            questions: 0,
            request_id: None,
            request_ids: BTreeSet::new(),
            started: None,
            floor_over: true,
            disposed: false,
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
            self.broken = Some(format!("{} (at {:?}, {:?})", law(), self.now, self.machine));
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
                self.handle(EntraEvent::RequestCancelled { waiter });
            }
            Op::Answer(answer) => match self.outstanding {
                Some((call, asked)) => self.answer(call, asked, answer),
                None => self.handle(EntraEvent::TimeAdvanced),
            },
            Op::Late(index, answer) => self.answer_late(*index, answer),
            Op::Reject(older) => {
                let held = self.held.as_ref().and_then(|held| held.token.clone());
                match if *older { self.gone.last().cloned() } else { held } {
                    Some(token) => {
                        if self.held.as_ref().and_then(|held| held.token.as_ref()).is_some_and(|it| it.is_same(&token))
                        {
                            self.held = None;
                            self.gone.push(token.clone());
                        }
                        self.handle(EntraEvent::TokenRejected { token });
                    }
                    None => self.handle(EntraEvent::TimeAdvanced),
                }
            }
            Op::TryNow => self.handle(EntraEvent::TryNow),
            Op::Dispose => {
                self.disposed = true;
                self.held = None;
                self.handle(EntraEvent::Disposed);
            }
            Op::Look => self.handle(EntraEvent::TimeAdvanced),
            Op::Advance(millis) => self.advance(*millis),
            Op::Oversleep(millis) => self.pass(*millis),
            Op::ToDeadline(more) => {
                let due = self.machine.deadline().unwrap_or(self.now.monotonic).saturating_since(self.now.monotonic);
                let millis = u64::try_from(due.as_millis()).unwrap_or(u64::MAX).min(1 << 40);
                self.pass(millis.saturating_add_signed(*more));
                self.handle(EntraEvent::TimeAdvanced);
            }
            Op::StepWall(by) => {
                self.now.unix = UnixTime::from_millis(self.now.unix.as_millis() + by);
            }
            Op::Hold(events) => self.hold = *events,
        }
    }

    fn pass(&mut self, millis: u64) {
        self.now.monotonic = Monotonic::from_millis(self.now.monotonic.as_millis() + millis);
        self.now.unix = UnixTime::from_millis(self.now.unix.as_millis().saturating_add_unsigned(millis));
    }

    fn advance(&mut self, millis: u64) {
        let end = self.now.monotonic.as_millis() + millis;
        for _ in 0..WAKE_UPS {
            let Some(due) = self.timer.map(Monotonic::as_millis).filter(|due| *due <= end) else { break };
            self.pass(due.saturating_sub(self.now.monotonic.as_millis()));
            self.handle(EntraEvent::TimeAdvanced);
        }
        self.pass(end.saturating_sub(self.now.monotonic.as_millis()));
    }

    fn request(&mut self) -> u32 {
        self.waiters += 1;
        self.waiting.insert(self.waiters);
        self.handle(EntraEvent::TokenRequested { waiter: self.waiters });
        self.waiters
    }

    /// An answer to a call that is not waited for, or of the wrong kind, changes nothing.
    fn answer_late(&mut self, index: u8, answer: &Answer) {
        // First whatever the time brings, with nothing to do with the answer.
        self.handle(EntraEvent::RequestCancelled { waiter: NOBODY });
        let Some((call, _)) = self.calls.get(usize::from(index) % self.calls.len().max(1)).copied() else { return };
        let (asked, current) = match self.outstanding {
            Some((outstanding, asked)) => (asked, outstanding == call),
            None => (Asked::Source, false),
        };
        let other = if asked == Asked::Source { Asked::Service } else { Asked::Source };
        let (event, _) = self.event(call, if current { other } else { asked }, answer);
        let before = format!("{:?}", self.machine);
        self.machine.handle(event, self.now);
        let after = format!("{:?}", self.machine);
        self.check(before == after, || format!("a late answer changed {before}"));
        self.drain();
    }

    fn answer(&mut self, call: CallId, asked: Asked, answer: &Answer) {
        self.outstanding = None;
        let (event, brought) = self.event(call, asked, answer);
        match &event {
            EntraEvent::EntraTokenReceived { .. } => {
                let Answer::Gives(entra) = answer.of_source() else { unreachable!("it gave one") };
                if !entra.is_blank() && (self.in_hand.is_none() || self.questions == 2) {
                    self.in_hand = Some(entra);
                    // A fuzzer may have guessed it, and put it into a service's mouth before.
                    let (text, shown) = (entra.text(), format!("{:?}", self.machine));
                    self.secret = Some(text).filter(|text| !shown.contains(text.as_str()));
                }
            }
            EntraEvent::SignedOut { .. } => self.held = None,
            _ => {}
        }
        self.brought = brought;
        self.handle(event);
    }

    /// The event of an answer, and what token it would bring.
    fn event(&mut self, call: CallId, asked: Asked, answer: &Answer) -> (EntraEvent<u32>, Option<Held>) {
        if asked == Asked::Source {
            let event = match answer.of_source() {
                Answer::Gives(entra) => EntraEvent::EntraTokenReceived { call, token: entra.token() },
                Answer::SignsOut => EntraEvent::SignedOut { call },
                _ => EntraEvent::EntraTokenFailed { call, error: RefresherError::new("offline") },
            };
            return (event, None);
        }
        self.issued += 1;
        let text = format!("acs {}", self.issued);
        let mut brought = None;
        let response = match answer {
            Answer::Succeeds(lives) => {
                let dead = (
                    self.now.monotonic.as_millis().saturating_add_signed(*lives),
                    self.now.unix.as_millis().saturating_add(*lives),
                );
                if let Some(entra) = self.in_hand.filter(|_| *lives > 0) {
                    brought = Some(Held { text: text.clone(), entra, dead: Some(dead), token: None });
                }
                ops::success(&text, dead.1)
            }
            Answer::Raw(response) => {
                let entra = self.in_hand.unwrap_or(Entra::ALICE);
                brought = Some(Held { text: String::new(), entra, dead: None, token: None });
                response.make(&entra.text())
            }
            Answer::Unreachable => {
                let event = EntraEvent::TransportFailed { call, error: RefresherError::new("reset") };
                return (event, None);
            }
            other => other.refusal(&self.in_hand.unwrap_or(Entra::ALICE).text()),
        };
        (EntraEvent::ResponseReceived { call, response }, brought)
    }

    fn handle(&mut self, event: EntraEvent<u32>) {
        let timer = matches!(event, EntraEvent::TimeAdvanced);
        if timer {
            self.timer = None;
        }
        self.pass_floor();
        self.machine.handle(event, self.now);
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
        while let Some(action) = self.machine.poll_action() {
            let shown = format!("{action:?}");
            let (place, known) = match &action {
                EntraAction::ReturnToken { .. } => (0, true),
                EntraAction::Notify(_) => (1, true),
                EntraAction::Cancel { call } => (2, self.outstanding.is_some_and(|(other, _)| other == *call)),
                EntraAction::AcquireEntraToken { .. } | EntraAction::SendRequest { .. } => (3, true),
                EntraAction::ScheduleTimer { .. } => (4, true),
            };
            let in_order = order(place);
            self.check(in_order && known, || format!("out of order, or of nothing known: {shown}"));
            self.check_secrets(&shown);
            match action {
                EntraAction::ReturnToken { waiter, result } => answers.push((waiter, result)),
                EntraAction::Notify(notice) => self.notice(&notice),
                EntraAction::Cancel { .. } => self.outstanding = None,
                EntraAction::AcquireEntraToken { call, fresh, .. } => self.asked(call, fresh),
                EntraAction::SendRequest { call, request } => {
                    self.sent(call, request.attempt(), request.request_id());
                }
                EntraAction::ScheduleTimer { at } => self.timer = at,
            }
        }
        self.brought = None;
        let now = self.now;
        if let Some(held) = &self.held
            && let Some((mono, wall)) = held.dead
            && (now.monotonic.as_millis() >= mono || now.unix.as_millis() >= wall)
        {
            self.gone.extend(self.held.take().and_then(|held| held.token));
        }
        self.check_held();
        for (waiter, result) in answers {
            self.answered(waiter, result);
        }
        self.check_waiting();
        let (timer, deadline) = (self.timer, self.machine.deadline());
        self.check(timer == deadline, || format!("the timer is {timer:?}, the deadline {deadline:?}"));
        let due = deadline.is_some_and(|deadline| deadline <= self.now.monotonic);
        self.check(!due, || "already due".to_owned());
        let shown = format!("{:?}", self.machine);
        self.check_secrets(&shown);
        if self.disposed {
            let over = deadline.is_none() && self.outstanding.is_none() && self.held.is_none();
            self.check(over, || "something is left after the end".to_owned());
        }
    }

    fn check_secrets(&mut self, shown: &str) {
        let leak = self.secret.clone().filter(|secret| shown.contains(secret.as_str()));
        self.check(leak.is_none(), || format!("{leak:?} is shown in {shown}"));
    }

    fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::TokenChanged { .. } => {
                let brought = self.brought.take();
                self.check(brought.is_some(), || "a token from nowhere".to_owned());
                self.gone.extend(self.held.take().and_then(|held| held.token));
                self.held = brought;
            }
            Notice::RefreshFailed { cause, .. } if cause.kind() != FailureKind::Rejected => {
                let stranger = |held: &Held| self.in_hand.is_some_and(|entra| !entra.is_of_same_user(held.entra));
                if self.held.as_ref().is_some_and(stranger) {
                    self.gone.extend(self.held.take().and_then(|held| held.token));
                }
                let shown = format!("{cause} {cause:?}");
                self.check_secrets(&shown);
            }
            Notice::Disposed => {
                let disposed = self.disposed;
                self.check(disposed, || "disposed by nobody".to_owned());
            }
            _ => {}
        }
    }

    /// What the machine holds is what it should, no more and no less.
    fn check_held(&mut self) {
        let has = self.machine.token(self.now).cloned();
        if let Some(held) = self.held.as_mut().filter(|held| held.dead.is_none()) {
            // Only the machine can tell how long it lives.
            match &has {
                Some(token) => held.text = token.secret().expose().to_owned(),
                None => self.held = None,
            }
        }
        let (wanted, got) =
            (self.held.as_ref().map(|held| held.text.clone()), has.as_ref().map(|it| it.secret().expose()));
        let (agree, said) = (wanted.as_deref() == got, format!("{wanted:?} is held, but the machine has {got:?}"));
        self.check(agree, || said);
        if let (Some(held), Some(token)) = (&mut self.held, has) {
            let expired = token.expires_on() <= self.now.unix && held.dead.is_none();
            held.token = Some(token);
            self.check(!expired, || "it is dead".to_owned());
        }
    }

    fn answered(&mut self, waiter: u32, result: Result<Token, Error>) {
        let waited = self.waiting.remove(&waiter);
        self.check(waited, || format!("{waiter} is answered, but does not wait"));
        match result {
            Ok(token) => {
                let held = self.held.as_ref().and_then(|held| held.token.as_ref()).is_some_and(|it| it.is_same(&token));
                self.check(held, || format!("{waiter} gets a token that is not held: {token:?}"));
                self.told.push_back((waiter, Ok(())));
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                self.check_secrets(&shown);
                let disposed = self.disposed;
                let right = disposed == matches!(error, Error::Disposed) && (disposed || self.held.is_none());
                self.check(right, || format!("{waiter} is refused: {error}"));
                let retry_in = match error {
                    Error::RefreshFailed { retry_in, .. } => retry_in,
                    _ => None,
                };
                let millis = retry_in.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
                self.told.push_back((waiter, Err(millis)));
            }
        }
    }

    /// Nobody waits for nothing.
    fn check_waiting(&mut self) {
        let served = self.held.is_some() && !self.setup.each_request;
        let for_something = self.outstanding.is_some() || self.machine.deadline().is_some();
        let fine = self.waiting.is_empty() || for_something && !served && !self.disposed;
        let waiting = self.waiting.clone();
        self.check(fine, || format!("{waiting:?} wait for nothing"));
        // And whatever is waited for has an end.
        let endless = self.setup.has_timeout() && self.outstanding.is_some() && self.machine.deadline().is_none();
        self.check(!endless, || "a call without an end".to_owned());
    }

    /// Somebody asks, asks again when he is told to, and a good source and a good service answer.
    fn recover(&mut self) {
        self.hold = 0;
        self.handle(EntraEvent::TimeAdvanced);
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
                    Some((call, Asked::Source)) => self.answer(call, Asked::Source, &Answer::Gives(Entra::ALICE)),
                    Some((call, Asked::Service)) => self.answer(call, Asked::Service, &Answer::Succeeds(3_600_000)),
                    None => self.run(&Op::ToDeadline(0)),
                },
            }
        }
        self.check(false, || "there is no way back".to_owned());
    }
}
