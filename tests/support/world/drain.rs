//! Takes the machine's actions one after another, and checks them.

use acs_common::{Action, Error, FailureCause, Notice, Reason, RequestId, Token};

use super::World;
use super::law::Law;

/// More actions in one drain than any list of operations can cause.
const FLOOD: usize = 10_000;

impl World {
    pub(super) fn drain(&mut self) {
        let actions: Vec<_> = std::iter::from_fn(|| self.machine.poll_action()).take(FLOOD).collect();
        self.check(Law::Order, actions.len() < FLOOD, |_| "its actions never end".to_owned());
        let ranks: Vec<_> = actions.iter().map(rank).collect();
        let timers = ranks.iter().filter(|rank| **rank == TIMER).count();
        self.check(Law::Order, ranks.is_sorted() && timers <= 1, |_| format!("{actions:?}"));
        self.effective = actions.iter().any(|action| rank(action) != TIMER);
        self.answers.clear();
        let mut notices = Seen::default();
        self.check_started(&actions);
        self.check_skew(&actions);
        // Cancelled calls first: they say why a waiter gets an error.
        for action in &actions {
            if let Action::CancelRefresher { request } = action {
                let allowed = self.model.call_off(*request);
                self.allow(allowed);
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
        if !self.batch && !self.at_the_end() {
            let (owed, waiting) = (self.model.owed.clone(), self.model.waiting.clone());
            let told = !owed.iter().any(|waiter| waiting.contains(waiter));
            self.check(Law::Punctual, told, |_| format!("of {owed:?}, who must be answered, {waiting:?} still wait"));
        }
        if !self.at_the_end() {
            let untold = self.model.untold();
            self.check(Law::Punctual, untold.is_none(), |_| format!("the host is not told: {untold:?}"));
        }
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
                self.check(Law::Once, waits.is_some(), |_| format!("{waiter} no longer waits"));
                if let Some(index) = waits {
                    self.model.waiting.remove(index);
                }
                if self.ghost == Some(waiter) {
                    self.ghost = None;
                }
                self.take_answer(waiter, result, notices);
            }
            Action::CancelRefresher { .. } | Action::Notify(_) => {}
            Action::CheckSource { request, reason } => {
                let new = !self.checks.contains(&request) && self.model.has_source();
                self.check(Law::OneFlight, new, |_| format!("{request:?} is asked again"));
                self.checks.push(request);
                self.start(request, &reason);
            }
            Action::CallRefresher { request, reason, give_up } => {
                let new = !self.calls.contains(&request);
                self.check(Law::OneFlight, new, |_| format!("{request:?} is called again"));
                self.calls.push(request);
                if self.model.has_source() {
                    let allowed = self.model.call(request, &reason);
                    self.allow(allowed);
                } else {
                    self.start(request, &reason);
                }
                let told = self.model.gives_up(give_up, self.now);
                self.allow(told);
            }
            Action::ScheduleTimer { at } => self.timer = at,
        }
    }

    fn start(&mut self, request: RequestId, reason: &Reason) {
        // A start for a request for another token makes the held one due.
        let due = if self.model.wants_other() { self.was_due } else { self.machine.is_due(self.now) };
        let allowed = self.model.start(request, reason, due, self.now);
        self.allow(allowed);
    }

    fn take_answer(&mut self, waiter: u32, result: Result<Token, Error>, notices: &Seen) {
        let held = self.model.held(self.now).and_then(|held| held.token.clone());
        let disposed = self.model.disposed;
        let other = self.model.others.iter().position(|other| *other == waiter);
        let other = other.map(|index| self.model.others.remove(index)).is_some();
        let answer = match result {
            Ok(token) => {
                let right = held.is_some_and(|held| held.ptr_eq(&token)) && !other;
                self.check(Law::HandOut, right, |_| format!("{waiter} got {token:?}"));
                Ok(())
            }
            Err(Error::RefreshFailed { cause, retry_in, .. }) => {
                self.check(Law::Disposed, !disposed, |_| format!("{waiter} was told {cause}"));
                let justified = self.model.may_refuse() || self.model.events > 1 && notices.failed > 0;
                let justified = (held.is_none() || other) && justified;
                self.check(Law::Refusal, justified || self.at_the_end(), |_| format!("{waiter} was told {cause}"));
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

const TIMER: u8 = 3;

fn rank(action: &Action<u32>) -> u8 {
    match action {
        Action::ReturnToken { .. } => 0,
        Action::CancelRefresher { .. } | Action::CheckSource { .. } | Action::CallRefresher { .. } => 1,
        Action::Notify(_) => 2,
        Action::ScheduleTimer { .. } => TIMER,
    }
}

/// The notices of one drain.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) changed: u32,
    pub(super) kept: u32,
    pub(super) failed: u32,
    pub(super) returned: u32,
    pub(super) expired: u32,
    pub(super) disposed: u32,
}

impl Seen {
    fn count(&mut self, notice: &Notice) {
        match notice {
            Notice::TokenChanged { .. } => self.changed += 1,
            Notice::RefreshFailed { cause, .. } => {
                self.failed += 1;
                self.returned += u32::from(matches!(cause, FailureCause::RejectedTokenReturned));
            }
            Notice::TokenKept { .. } => self.kept += 1,
            Notice::TokenExpired => self.expired += 1,
            Notice::Disposed => self.disposed += 1,
            _ => {}
        }
    }
}
