//! Several credentials with real machines, a modelled store, a network that loses, delays and repeats, and an issuer. It checks
//! the laws of contract section 9 after each step.
//!
//! All parts of the host stand together here, so the file is long. `store.rs` has the store, `state.rs` says which worlds have the
//! same future.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use acs_common::sharing::{
    EntryName, Owner, Sharing, SharingAction, SharingEvent, SharingOptions, StoreAnswer, StoreCall,
};
use acs_common::{
    Action, Event, Machine, Monotonic, NewToken, Now, Policy, RefresherError, RequestId, Token, UnixTime,
};

mod state;
#[allow(unnameable_types, reason = "it is the world's own")]
mod store;

pub use store::Planted;
use store::{Call, Reply, Store};

use super::rig::START;

/// A token's life, the policy's window, a lease, the store's time and the wait for others, in milliseconds.
const LIFE: u64 = 3_600_000;
const WINDOW: u64 = 120_000;
const LEASE: u64 = 5_000;
const STORE_TIMEOUT: u64 = 250;
const LEASE_WAIT: u64 = 30_000;

/// What happens next. A process is named by its place, an operation by its place in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Request(usize),
    /// The store does it, and the answer comes at once.
    Do(usize),
    /// The store does it, and the answer is lost.
    LoseAnswer(usize),
    /// The store never gets it.
    Lose(usize),
    /// It is done now, and once more at any time.
    Repeat(usize),
    /// The store answers with an error.
    Break(usize),
    /// What was given up or repeated is done after all.
    DoLate(usize),
    Issue(usize),
    Fail(usize),
    Reject(usize),
    /// The next moment at which something follows from the time.
    Tick,
    /// Somewhat more than half of a lease passes.
    Half,
    /// The newest token expires.
    Expire,
    /// The newest token becomes due.
    Due,
    /// Twenty minutes pass.
    Later,
    Pause(usize),
    Resume(usize),
    Kill(usize),
    Start(usize),
    Hint(usize),
    /// The store loses everything.
    Forget,
    /// The store's clock is set back by a minute.
    SetBack,
}

#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub processes: usize,
    /// By how much the wall clock of the first process is ahead, in milliseconds.
    pub ahead: i64,
    /// The issuer states a lifetime; else it states a moment only.
    pub lifetime: bool,
    pub planted: Option<Planted>,
}

impl Setup {
    pub fn of(processes: usize) -> Self {
        Self { processes, ahead: 0, lifetime: false, planted: None }
    }
}

#[derive(Clone)]
struct Process {
    machine: Machine<u32>,
    sharing: Sharing,
    paused: bool,
    since_paused: u64,
    /// Answers that came while it was paused.
    inbox: Vec<Answer>,
    /// The refresher's call.
    call: Option<RequestId>,
    issued: bool,
    waiting: bool,
    /// The last answer of the store.
    last: Option<(Reply, When)>,
    /// Fences of rejected tokens, and when these expire by the time of the process.
    rejected: BTreeMap<u64, u64>,
    /// What the run has waited for the store, and since when it waits for another process.
    waited: u64,
    watching: Option<u64>,
    /// The fence that each owner was given first.
    fences: Vec<(Owner, u64)>,
    runs: u8,
}

/// An operation on its way to the store.
#[derive(Clone)]
struct Sent {
    process: usize,
    /// `None`: nobody waits for it.
    call: Option<StoreCall>,
    what: Call,
    at: u64,
    /// The first half of a take that is two commands was done, and the lease was free.
    half_done: bool,
}

/// When an operation was sent, and when the store did it.
#[derive(Clone, Copy)]
struct When {
    sent: u64,
    done: u64,
}

/// What comes back from the store.
#[derive(Clone)]
struct Answer {
    call: StoreCall,
    owner: Owner,
    /// `None`: an error.
    reply: Option<Reply>,
    when: When,
}

#[derive(Clone)]
struct Issued {
    ends: u64,
    spent: bool,
}

#[derive(Clone)]
pub struct World {
    setup: Setup,
    processes: Vec<Option<Process>>,
    store: Store,
    net: Vec<Sent>,
    at: u64,
    /// The store's clock, before `at` is added.
    clock: u64,
    tokens: Vec<Issued>,
    refreshes: usize,
    failures: usize,
    pub faults: usize,
    owners: u8,
    newest: u64,
    was_set_back: bool,
    /// Owners whose finish the store has done.
    finished: Vec<Owner>,
    /// A record without a moment came late: it seems younger than it is.
    was_late: bool,
    pub broken: Option<String>,
}

impl World {
    pub fn new(setup: Setup) -> Self {
        let mut world = Self {
            setup,
            processes: vec![None; setup.processes],
            store: Store::default(),
            net: Vec::new(),
            at: 0,
            clock: 1_000_000,
            tokens: Vec::new(),
            refreshes: 0,
            failures: 0,
            faults: 0,
            owners: 0,
            newest: 0,
            was_set_back: false,
            finished: Vec::new(),
            was_late: false,
            broken: None,
        };
        (0..setup.processes).for_each(|index| world.processes[index] = Some(world.process(index)));
        world
    }

    fn process(&self, index: usize) -> Process {
        let policy = Policy::builder().min_refresh_interval(Duration::ZERO).build().expect("a good policy");
        Process {
            machine: Machine::new(None, policy.clone(), self.now(index)).expect("no token"),
            sharing: Sharing::new(SharingOptions::default(), &policy, 7),
            paused: false,
            since_paused: 0,
            inbox: Vec::new(),
            call: None,
            issued: false,
            waiting: false,
            last: None,
            rejected: BTreeMap::new(),
            waited: 0,
            watching: None,
            fences: Vec::new(),
            runs: 0,
        }
    }

    fn now(&self, index: usize) -> Now {
        let ahead = if index == 0 { self.setup.ahead } else { 0 };
        let unix = START * 1_000 + i64::try_from(self.at).expect("it is not that late") + ahead;
        Now::new(Monotonic::from_millis(self.at), UnixTime::from_millis(unix))
    }

    fn store_now(&self) -> u64 {
        self.clock + self.at
    }

    fn awake(&self, index: usize) -> Option<&Process> {
        self.processes.get(index)?.as_ref().filter(|process| !process.paused)
    }

    /// What can happen now. At most `faults` faults happen in all.
    pub fn choices(&self, faults: usize) -> Vec<Op> {
        let mut ops = vec![Op::Tick, Op::Expire, Op::Due, Op::Later];
        let may_fail = self.faults < faults;
        for index in 0..self.processes.len() {
            let Some(process) = &self.processes[index] else {
                ops.push(Op::Start(index));
                continue;
            };
            if process.paused {
                ops.push(Op::Resume(index));
                continue;
            }
            ops.extend((!process.waiting).then_some(Op::Request(index)));
            if process.call.is_some() {
                ops.extend([Op::Issue(index), Op::Fail(index)]);
            }
            if process.machine.token(self.now(index)).is_some() {
                ops.push(Op::Reject(index));
            }
            ops.extend(process.watching.is_some().then_some(Op::Hint(index)));
            if may_fail {
                ops.extend([Op::Kill(index), Op::Pause(index)]);
            }
        }
        for (index, sent) in self.net.iter().enumerate() {
            if sent.call.is_none() {
                ops.push(Op::DoLate(index));
                continue;
            }
            ops.push(Op::Do(index));
            if may_fail {
                ops.extend([Op::LoseAnswer(index), Op::Lose(index), Op::Repeat(index), Op::Break(index)]);
            }
        }
        if may_fail {
            ops.extend([Op::Half, Op::Forget, Op::SetBack]);
        }
        ops
    }

    pub fn run(&mut self, op: Op) {
        match op {
            Op::Request(index) => self.request(index),
            Op::Do(index) => self.deliver(index, true, false),
            Op::LoseAnswer(index) => {
                self.faults += 1;
                self.deliver(index, false, false);
            }
            Op::Repeat(index) => {
                self.faults += 1;
                self.deliver(index, true, true);
            }
            Op::Lose(index) => {
                if self.net.get(index).is_some_and(|sent| sent.call.is_some()) {
                    self.faults += 1;
                    let sent = self.net.remove(index);
                    // The process waits for it, in vain.
                    drop(sent);
                }
            }
            Op::Break(index) => {
                if self.net.get(index).is_some_and(|sent| sent.call.is_some()) {
                    self.faults += 1;
                    let sent = self.net.remove(index);
                    self.answer(&sent, None);
                }
            }
            Op::DoLate(index) => {
                if self.net.get(index).is_some_and(|sent| sent.call.is_none()) {
                    let sent = self.net.remove(index);
                    self.was_late |= self.brings_record(&sent.what);
                    self.act(&sent.what);
                }
            }
            Op::Issue(index) => self.issue(index),
            Op::Fail(index) => {
                let Some(request) = self.take_call(index) else { return };
                self.failures += 1;
                self.tell(index, SharingEvent::RefreshFailed { request, error: RefresherError::new("down") });
            }
            Op::Reject(index) => self.reject(index),
            Op::Tick => {
                let next = self.next_deadline().unwrap_or(self.at + LEASE);
                self.advance(next.max(self.at + 1));
            }
            Op::Half => self.advance(self.at + LEASE / 2 + 100),
            Op::Expire => {
                let end = self.tokens.last().map_or(self.at, |token| token.ends);
                self.advance(end.max(self.at + 1));
            }
            Op::Due => {
                let due = self.tokens.last().map_or(self.at, |token| token.ends - WINDOW / 2);
                self.advance(due.max(self.at + 1));
            }
            Op::Later => self.advance(self.at + LIFE / 3),
            Op::Pause(index) => {
                if let Some(process) = self.processes[index].as_mut().filter(|process| !process.paused) {
                    (process.paused, process.since_paused) = (true, self.at);
                }
            }
            Op::Resume(index) => self.resume(index),
            Op::Kill(index) => self.kill(index),
            Op::Start(index) => {
                if self.processes[index].is_none() {
                    self.processes[index] = Some(self.process(index));
                }
            }
            Op::Hint(index) => {
                if self.awake(index).is_some_and(|process| process.watching.is_some()) {
                    self.tell(index, SharingEvent::Hinted);
                }
            }
            Op::Forget => {
                self.faults += 1;
                (self.store, self.newest) = (Store::default(), 0);
            }
            Op::SetBack => {
                self.faults += 1;
                self.was_set_back = true;
                self.clock = self.clock.saturating_sub(60_000);
            }
        }
        self.check();
    }

    fn request(&mut self, index: usize) {
        let now = self.now(index);
        let Some(process) = self.processes[index].as_mut().filter(|process| !process.paused && !process.waiting) else {
            return;
        };
        process.waiting = true;
        process.machine.handle(Event::TokenRequested { waiter: 1 }, now);
        self.drain(index);
    }

    fn take_call(&mut self, index: usize) -> Option<RequestId> {
        self.processes[index].as_mut().filter(|process| !process.paused)?.call.take()
    }

    fn issue(&mut self, index: usize) {
        let Some(request) = self.take_call(index) else { return };
        let text = format!("t{}", self.tokens.len());
        let ends = self.at + LIFE;
        self.tokens.push(Issued { ends, spent: false });
        let moment = START * 1_000 + i64::try_from(ends).expect("it is not that late");
        let token = NewToken::new(text);
        let token = if self.setup.lifetime {
            token.with_expires_in(Duration::from_millis(LIFE))
        } else {
            token.with_expires_on(UnixTime::from_millis(moment))
        };
        self.tell(index, SharingEvent::TokenReceived { request, token });
    }

    fn reject(&mut self, index: usize) {
        let now = self.now(index);
        let Some(process) = self.processes[index].as_mut().filter(|process| !process.paused) else { return };
        let Some(token) = process.machine.token(now).cloned() else { return };
        if let Some(fence) = fence_of(&token) {
            process.rejected.insert(fence, self.at + left(&process.machine, now));
        }
        let number = number_of(&token);
        process.machine.handle(Event::TokenRejected { token: token.clone() }, now);
        let standing = process.machine.standing();
        self.tokens[number].spent = true;
        self.tell(index, SharingEvent::TokenRejected { token, standing });
        self.drain(index);
    }

    fn kill(&mut self, index: usize) {
        let Some(process) = self.processes[index].take() else { return };
        self.faults += usize::from(!process.sharing.is_idle());
        // What is on its way may still arrive.
        for sent in self.net.iter_mut().filter(|sent| sent.process == index) {
            sent.call = None;
        }
    }

    fn resume(&mut self, index: usize) {
        let Some(process) = self.processes[index].as_mut().filter(|process| process.paused) else { return };
        process.paused = false;
        if self.at - process.since_paused > LEASE / 2 && !process.sharing.is_idle() {
            self.faults += 1;
        }
        let inbox = std::mem::take(&mut process.inbox);
        for answer in inbox {
            self.arrive(index, answer);
        }
        self.look(index);
    }

    /// Whether the store takes a record from it that it does not have.
    fn brings_record(&self, call: &Call) -> bool {
        let stored = self.store.record.as_ref().map(|(_, fence, _)| *fence);
        matches!(call, Call::Finish { fence, record: Some(_), .. } if stored != Some(*fence))
    }

    /// The store does the operation.
    fn act(&mut self, call: &Call) -> Reply {
        // No store does two operations in one millisecond. So its clock, and with it each fence, moves on.
        self.clock += 1;
        let (before, now) = (self.store.record.as_ref().map(|(_, fence, _)| *fence), self.store_now());
        let marked = self.store.marked;
        let written = self.store.record.as_ref().map(|(_, _, at)| *at);
        let held = self.store.lease.as_ref().filter(|lease| call.is_of(lease.owner)).map(|lease| lease.fence);
        let holder = self.store.lease.as_ref().map(|lease| (lease.owner, lease.ends > now));
        let reply = self.store.act(call, now, self.setup.planted);
        let after = self.store.record.as_ref().map(|(_, fence, _)| *fence);
        if before.is_some_and(|before| after.is_none_or(|after| after < before)) {
            self.breaks("an older fence never replaces a newer record");
        }
        if let Call::Finish { fence, .. } = call
            && before == Some(*fence)
            && self.store.record.as_ref().map(|(_, _, at)| *at) != written
        {
            self.breaks("a finish that comes again changes nothing");
        }
        if let Reply::Granted(fence, _) = &reply
            && held.is_some_and(|held| held != *fence)
        {
            self.breaks("who extends a lease keeps its fence");
        }
        if self.store.marked < marked {
            self.breaks("a mark stays");
        }
        if let Call::Mark { fence } = call
            && *fence > self.store.given
            && self.store.marked == *fence
        {
            self.breaks("no fence is marked that was never given");
        }
        if let Reply::Granted(fence, _) = &reply {
            let is_new = *fence > self.newest;
            if !is_new && !self.was_set_back && holder.is_none_or(|(owner, _)| !call.is_of(owner)) {
                self.breaks("each lease has a greater fence");
            }
            self.newest = self.newest.max(*fence);
        }
        if let (Call::Finish { owner, .. }, Some((holder, true))) = (call, holder)
            && *owner != holder
            && self.store.lease.is_none()
        {
            self.breaks("nobody releases the lease of another");
        }
        if let Call::Finish { fence, record: Some(_), .. } = call
            && *fence == self.newest
            && after != Some(*fence)
            && !self.was_set_back
        {
            self.breaks("the newest record is never refused");
        }
        reply
    }

    fn deliver(&mut self, index: usize, is_answered: bool, is_repeated: bool) {
        let Some(sent) = self.net.get_mut(index).filter(|sent| sent.call.is_some()) else { return };
        if self.setup.planted == Some(Planted::TwoCommands)
            && let Call::Take { owner, lease } = sent.what
        {
            let now = self.clock + self.at;
            if !sent.half_done && self.store.is_held(owner, now, None).is_none() {
                sent.half_done = true;
                return;
            }
            if sent.half_done {
                let sent = self.net.remove(index);
                let reply = self.store.grant(owner, lease, now, None);
                return self.answer(&sent, Some(reply));
            }
        }
        let sent = self.net.remove(index);
        self.was_late |= self.at - sent.at > STORE_TIMEOUT && self.brings_record(&sent.what);
        if matches!(sent.what, Call::Take { .. }) && self.finished.contains(&sent.what.owner()) {
            self.breaks("once a run is over nothing extends its lease");
        }
        let reply = self.act(&sent.what);
        if let Call::Finish { owner, .. } = &sent.what {
            self.finished.push(*owner);
            let before = self.finished.len().saturating_sub(4);
            self.finished.drain(..before);
        }
        if is_repeated {
            self.net.push(Sent { call: None, ..sent.clone() });
        }
        if is_answered {
            self.answer(&sent, Some(reply));
        }
    }

    /// The store answers, if somebody waits for it. `None`: an error.
    fn answer(&mut self, sent: &Sent, reply: Option<Reply>) {
        let Some(call) = sent.call else { return };
        let when = When { sent: sent.at, done: self.at };
        self.arrive(sent.process, Answer { call, owner: sent.what.owner(), reply, when });
    }

    /// The answer of the store arrives.
    fn arrive(&mut self, index: usize, answer: Answer) {
        let held = self.holds(index);
        let Some(process) = &mut self.processes[index] else { return };
        if process.paused {
            process.inbox.push(answer);
            return;
        }
        let Answer { call, owner, reply, when } = answer;
        let Some(reply) = reply else {
            let error = RefresherError::new("the store is down");
            return self.tell(index, SharingEvent::StoreFailed { call, error });
        };
        if let Reply::Granted(fence, _) = &reply
            && matches!(process.sharing.stage(), "taking" | "polling")
        {
            process.fences.push((owner, *fence));
            let before = process.fences.len().saturating_sub(4);
            process.fences.drain(..before);
        }
        process.last = Some((reply.clone(), when));
        if self.setup.planted == Some(Planted::MarkIsRejection)
            && let Reply::Read(seen) | Reply::Granted(_, seen) | Reply::Held(_, seen) = &reply
            && let Some((_, fence, _, true)) = &seen.0
        {
            self.take_mark_for_rejection(index, *fence);
        }
        self.tell(index, SharingEvent::StoreAnswered { call, answer: StoreAnswer::from(reply) });
        if held && !self.holds(index) {
            self.breaks("nobody loses a valid token through the store");
        }
    }

    fn take_mark_for_rejection(&mut self, index: usize, fence: u64) {
        let now = self.now(index);
        let Some(process) = &mut self.processes[index] else { return };
        let Some(token) = process.machine.token(now).filter(|token| fence_of(token) == Some(fence)).cloned() else {
            return;
        };
        process.machine.handle(Event::TokenRejected { token: token.clone() }, now);
        let standing = process.machine.standing();
        self.tell(index, SharingEvent::TokenRejected { token, standing });
    }

    fn tell(&mut self, index: usize, event: SharingEvent) {
        let now = self.now(index);
        if let Some(process) = &mut self.processes[index] {
            process.sharing.handle(event, now);
            self.drain(index);
        }
    }

    fn look(&mut self, index: usize) {
        let now = self.now(index);
        if let Some(process) = self.processes[index].as_mut().filter(|process| !process.paused) {
            process.machine.handle(Event::TimeAdvanced, now);
            self.drain(index);
            self.tell(index, SharingEvent::TimeAdvanced);
        }
    }

    /// Does what both machines say.
    fn drain(&mut self, index: usize) {
        let now = self.now(index);
        loop {
            let Some(process) = &mut self.processes[index] else { return };
            if let Some(action) = process.machine.poll_action() {
                match action {
                    Action::ReturnToken { .. } => process.waiting = false,
                    Action::CallRefresher { request, reason, give_up } => {
                        let standing = process.machine.standing();
                        (process.waited, process.last) = (0, None);
                        process.runs = process.runs.wrapping_add(1);
                        self.owners = self.owners.wrapping_add(1);
                        let seeded = self.setup.planted == Some(Planted::SeededOwner);
                        let owner = Owner::from_bytes([if seeded { process.runs } else { self.owners }; 16]);
                        let entry = Some(EntryName::new("v1.a"));
                        let started = SharingEvent::Started { request, reason, give_up, standing, entry, owner };
                        process.sharing.handle(started, now);
                    }
                    Action::CancelRefresher { request } => {
                        process.sharing.handle(SharingEvent::Cancelled { request }, now);
                    }
                    Action::CheckSource { .. } | Action::Notify(_) | Action::ScheduleTimer { .. } => {}
                }
                continue;
            }
            let Some(action) = process.sharing.poll_action() else { return };
            match action {
                SharingAction::Return { request, result: Ok(token) } => {
                    self.check_answer(index, request, token);
                }
                SharingAction::Return { request, result: Err(error) } => {
                    process.machine.handle(Event::RefreshFailed { request, error }, now);
                }
                SharingAction::CancelRefresher { .. } => {
                    process.call = None;
                    self.failures += 1;
                }
                SharingAction::CallRefresher { request, .. } => {
                    (process.call, process.issued) = (Some(request), false);
                    self.refreshes += 1;
                }
                SharingAction::CancelStore { call } => {
                    // Nobody waits for it. It may be done all the same.
                    self.faults += 1;
                    for sent in self.net.iter_mut().filter(|sent| sent.process == index && sent.call == Some(call)) {
                        sent.call = None;
                    }
                }
                SharingAction::CallStore { call, operation, .. } => {
                    let what = Call::from(operation);
                    if let Call::Finish { owner, fence, record: Some(_) } = &what
                        && !process.fences.contains(&(*owner, *fence))
                    {
                        self.breaks("a record is stored under the fence of its lease only");
                    }
                    self.net.push(Sent { process: index, call: Some(call), what, at: self.at, half_done: false });
                }
                SharingAction::Watch { .. } => process.watching = Some(self.at),
                SharingAction::StopWatching => {
                    let since = process.watching.take().unwrap_or(self.at);
                    self.faults += usize::from(self.at - since >= LEASE_WAIT);
                }
                SharingAction::Notify(_) | SharingAction::ScheduleTimer { .. } => {}
            }
        }
    }

    /// A run returns a token. If it is from the store, it must be one that may be taken.
    fn check_answer(&mut self, index: usize, request: RequestId, token: NewToken) {
        let now = self.now(index);
        let Some(process) = &mut self.processes[index] else { return };
        let held = process.machine.token(now).cloned();
        let held_left = left(&process.machine, now);
        process.machine.handle(Event::TokenReceived { request, token }, now);
        let Some(accepted) = process.machine.token(now).cloned() else {
            return self.breaks("a run returns a token that is accepted");
        };
        if !accepted.is_from_store() {
            return;
        }
        let new_left = left(&process.machine, now);
        let last = process.last.clone();
        // A rejection is remembered until the token expires.
        let ends = fence_of(&accepted).and_then(|fence| process.rejected.get(&fence));
        let rejected = ends.is_some_and(|ends| *ends > self.at);
        let seen = match last {
            Some((Reply::Read(seen) | Reply::Granted(_, seen) | Reply::Held(_, seen), when)) => {
                seen.0.map(|seen| (seen, when))
            }
            Some((Reply::Finished | Reply::Marked, _)) | None => None,
        };
        let Some(((record, _, age, marked), when)) = seen else { return self.breaks("what is taken was read") };
        if marked || rejected {
            self.breaks("no token is taken that was marked when read, or rejected here");
        }
        let life = record.life.as_millis() as u64;
        if held.is_some() && (new_left <= held_left || new_left <= WINDOW.min(life / 2)) {
            self.breaks("a valid token is replaced by a better one only");
        }
        let by_moment = record.expires_on.map(|moment| (moment.as_millis() - now.unix.as_millis()).max(0) as u64);
        let by_life =
            |since: u64| (record.life_known || by_moment.is_none()).then(|| life.saturating_sub(age + self.at - since));
        let left_since = |since| by_moment.into_iter().chain(by_life(since)).min().unwrap_or(0);
        // The store looked at some time after it was asked. All of that time may count as age.
        if new_left > left_since(when.done) || new_left < left_since(when.sent) {
            self.breaks("what is left goes by the moment and by a known life");
        }
    }

    fn next_deadline(&self) -> Option<u64> {
        let of = |process: &Process| {
            [process.machine.deadline(), process.sharing.deadline()]
                .into_iter()
                .flatten()
                .map(Monotonic::as_millis)
                .min()
        };
        (0..self.processes.len()).filter_map(|index| self.awake(index)).filter_map(of).min()
    }

    /// Time passes. Nobody who is awake misses a deadline.
    fn advance(&mut self, to: u64) {
        while self.at < to {
            let next = self.next_deadline().unwrap_or(to).clamp(self.at + 1, to);
            let passed = next - self.at;
            for process in self.processes.iter_mut().flatten().filter(|process| !process.paused) {
                if matches!(process.sharing.stage(), "marking" | "reading" | "taking") {
                    process.waited += passed;
                }
            }
            self.at = next;
            for index in 0..self.processes.len() {
                self.look(index);
            }
            for process in self.processes.iter().flatten().filter(|process| !process.paused) {
                let too_long = process.waited > STORE_TIMEOUT;
                let waits_on = process.watching.is_some_and(|since| self.at - since > LEASE_WAIT + STORE_TIMEOUT);
                if too_long || waits_on {
                    return self.breaks("no caller waits for the store, or for others, longer than it may");
                }
            }
        }
    }

    fn holds(&self, index: usize) -> bool {
        self.processes[index].as_ref().is_some_and(|process| process.machine.token(self.now(index)).is_some())
    }

    /// Tokens that were rejected, or are used up by some process's clock.
    fn spent(&self) -> usize {
        let ahead = u64::try_from(self.setup.ahead).unwrap_or(0);
        self.tokens.iter().filter(|token| token.spent || self.at + WINDOW + ahead >= token.ends).count()
    }

    /// Pauses over half a lease that are not over.
    fn pauses(&self) -> usize {
        let is_long = |process: &&Process| {
            process.paused && self.at - process.since_paused > LEASE / 2 && !process.sharing.is_idle()
        };
        self.processes.iter().flatten().filter(is_long).count()
    }

    /// The laws that hold at any time.
    fn check(&mut self) {
        let spent = self.spent();
        // A refresh whose answer is not there may be the one that is needed.
        if self.refreshes > 1 + spent + self.failures + self.faults + self.pauses() {
            self.breaks("refreshes are at most what is needed, and one for each fault");
        }
        for index in 0..self.processes.len() {
            let Some(process) = &self.processes[index] else { continue };
            let now = self.now(index);
            let Some(token) = process.machine.token(now) else { continue };
            let number = number_of(token);
            let offset = if self.setup.lifetime || index != 0 { 0 } else { self.setup.ahead };
            let ends = i64::try_from(self.tokens[number].ends).expect("it is not that late") - offset;
            // By the store's clock alone a record can seem younger than it is.
            let is_late = (self.was_late || self.was_set_back) && self.setup.lifetime;
            if i64::try_from(self.at).expect("it is not that late") >= ends + 1_000 && !is_late {
                self.breaks("no token is held for longer than it is valid");
            }
        }
        for (index, process) in self.processes.iter().enumerate() {
            let Some(process) = process else { continue };
            for deadline in [process.machine.deadline(), process.sharing.deadline()].into_iter().flatten() {
                if !process.paused && deadline.as_millis() <= self.at {
                    self.broken.get_or_insert_with(|| format!("process {index} is already due"));
                }
            }
        }
    }

    /// From here on store and issuer are good. Who waits, or asks now, gets a token within a lease and a refresh. With `down` the
    /// issuer is down, and a good record in the store serves all.
    pub fn recovers(&self, down: bool) -> Result<(), String> {
        let mut world = self.clone();
        let serves = |world: &Self| {
            let now = world.store_now();
            world.store.seen(now).0.filter(|(record, _, age, marked)| {
                let ends = record.expires_on.map_or(i64::MAX, |moment| moment.as_millis());
                let by_life =
                    record.life.as_millis() as u64 > *age || !record.life_known && record.expires_on.is_some();
                !marked && by_life && ends > world.now(1).unix.as_millis() + 60_000
            })
        };
        let record = serves(&world);
        // Who has rejected it may be about to mark it.
        let is_rejected =
            |process: &Process| record.as_ref().is_some_and(|(_, fence, ..)| process.rejected.contains_key(fence));
        if down && (record.is_none() || world.processes.iter().flatten().any(is_rejected)) {
            return Ok(());
        }
        let is_tested = |world: &Self, index: usize| {
            let Some(process) = world.awake(index) else { return false };
            let backs_off = process.machine.pending_error(world.now(index)).is_some();
            // With the issuer down, a store that backs off, or a run that is alone, cannot help.
            let is_new = process.sharing.is_idle() && world.faults == 0 && process.call.is_none();
            // By a clock that is ahead, the record may have expired.
            let is_right = index != 0 || world.setup.ahead == 0;
            !backs_off && (!down || is_new && !process.waiting && is_right)
        };
        let mut tested: Vec<usize> = (0..world.processes.len()).filter(|index| is_tested(&world, *index)).collect();
        tested.iter().for_each(|index| world.request(*index));
        let end = world.at + LEASE + 2_000;
        loop {
            // The oldest first, as long as somebody waits for its answer.
            while let Some(index) = world.net.iter().position(|sent| sent.call.is_some()) {
                world.run(Op::Do(index));
            }
            for index in 0..world.processes.len() {
                if world.awake(index).is_some_and(|process| process.call.is_some()) {
                    world.run(if down { Op::Fail(index) } else { Op::Issue(index) });
                }
            }
            if world.net.iter().any(|sent| sent.call.is_some()) {
                continue;
            }
            // Each needs one once. A token that seems younger than it is may soon expire.
            tested.retain(|index| !world.holds(*index));
            if tested.is_empty() {
                return world.broken.map_or(Ok(()), Err);
            }
            if world.at >= end
                || down && tested.iter().all(|index| !world.processes[*index].as_ref().is_some_and(|p| p.waiting))
            {
                let law = if down {
                    "a good record serves all while the issuer is down"
                } else {
                    "all get a token within a lease and a refresh"
                };
                return Err(law.to_owned());
            }
            world.run(Op::Tick);
        }
    }

    fn breaks(&mut self, law: &str) {
        self.broken.get_or_insert_with(|| law.to_owned());
    }
}

impl Call {
    fn is_of(&self, who: Owner) -> bool {
        self.owner() == who
    }

    /// Zeros, if the operation has none.
    fn owner(&self) -> Owner {
        match self {
            Self::Take { owner, .. } | Self::Finish { owner, .. } => *owner,
            Self::Read | Self::Mark { .. } => Owner::from_bytes([0; 16]),
        }
    }
}

/// The number of the token, which its text tells.
fn number_of(token: &Token) -> usize {
    token.secret().expose().trim_start_matches('t').parse().expect("the issuer's token")
}

/// The fence of a token, which only its `Debug` text tells.
fn fence_of(token: &Token) -> Option<u64> {
    let shown = format!("{token:?}");
    shown.split("fence: ").nth(1)?.split(',').next()?.parse().ok()
}

fn left(machine: &Machine<u32>, now: Now) -> u64 {
    use acs_common::TokenStatus::{Due, Fresh};
    match machine.status(now).token {
        Fresh { left, .. } | Due { left, .. } => left.as_millis() as u64,
        _ => 0,
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("World");
        shown.field("at", &self.at).field("refreshes", &self.refreshes).field("faults", &self.faults);
        shown.field("failures", &self.failures).field("tokens", &self.tokens.len());
        for process in &self.processes {
            let stage = process.as_ref().map(|process| (process.sharing.stage(), process.paused, process.waiting));
            shown.field("process", &stage);
        }
        let net: Vec<_> = self.net.iter().map(|sent| (sent.process, sent.call.is_some(), &sent.what)).collect();
        shown.field("store", &self.store).field("net", &net).finish()
    }
}

/// Any bytes are operations: each byte chooses one of those that are possible.
pub fn play(setup: Setup, bytes: &[u8], faults: usize) -> Result<World, String> {
    let mut world = World::new(setup);
    let mut history = Vec::new();
    for byte in bytes {
        let choices = world.choices(faults);
        let op = choices[usize::from(*byte) % choices.len()];
        history.push(op);
        world.run(op);
        if let Some(broken) = &world.broken {
            return Err(format!("{broken}\nin {setup:?}\n{history:?}\n{world:#?}"));
        }
    }
    for down in [false, true] {
        world.recovers(down).map_err(|broken| format!("{broken}\nin {setup:?}\n{history:?}\n{world:#?}"))?;
    }
    Ok(world)
}
