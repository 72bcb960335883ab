//! The host's events, passed to the machine and to the model. The model says what must follow.

use acs_common::{Action, Event, Machine, NewToken, Notice, RequestId, Source, Token};

use super::flight::Stage;
use super::law::Law;
use super::ops::{Brings, Fails, Rejects};
use super::{NOBODY, World, last_part};

impl World {
    pub(super) fn before_event(&mut self) {
        self.was_due = self.machine.is_due(self.now);
        self.retried = false;
        self.model.before_event(self.now);
    }

    pub(super) fn new_waiter(&mut self) -> u32 {
        self.waiters += 1;
        self.waiters
    }

    pub(super) fn lay_ghost(&mut self) {
        match self.ghost.take() {
            Some(waiter) => self.cancel(waiter),
            None => self.cancel(NOBODY),
        }
    }

    pub(super) fn request(&mut self, waiter: u32) {
        self.before_event();
        self.model.request(waiter);
        self.hand_in(Event::TokenRequested { waiter });
    }

    pub(super) fn request_other(&mut self, waiter: u32, than: Token) {
        self.before_event();
        self.model.request_other(waiter, &than, self.now);
        self.hand_in(Event::AnotherRequested { waiter, than });
    }

    pub(super) fn cancel(&mut self, waiter: u32) {
        self.before_event();
        self.model.cancel(waiter);
        self.hand_in(Event::RequestCancelled { waiter });
    }

    pub(super) fn look(&mut self) {
        self.before_event();
        // The event may be the timer that fired: then the timer is spent.
        self.timer = None;
        self.hand_in(Event::TimeAdvanced);
    }

    pub(super) fn retry_now(&mut self) {
        self.before_event();
        self.retried = true;
        if self.model.repeat_overdue(self.now) {
            self.model.after_event(self.now);
            self.model.retry_again(self.was_due, self.now);
        } else {
            let (due, in_flight) = self.time_first();
            self.model.retry_now(due, in_flight, self.now);
        }
        self.hand_in(Event::RetryNow);
    }

    /// For an event that comes after what follows from the time. Returns whether the held token is due then, and whether a
    /// refresh is in flight.
    pub(super) fn time_first(&mut self) -> (bool, bool) {
        self.model.after_event(self.now);
        let mut machine = self.machine.clone();
        machine.handle(Event::TimeAdvanced, self.now);
        let due = machine.is_due(self.now);
        let known = |request: &RequestId| self.checks.contains(request) || self.calls.contains(request);
        let (mut started, mut failed) = (None, 0);
        for action in std::iter::from_fn(|| machine.poll_action()) {
            match action {
                Action::CheckSource { request, reason } | Action::CallRefresher { request, reason, .. } => {
                    started = Some((request, reason)).filter(|(request, _)| !known(request));
                }
                Action::Notify(Notice::RefreshFailed { .. }) => failed += 1,
                _ => {}
            }
        }
        self.model.failures_seen(failed, self.now);
        let Some((request, reason)) = started else {
            return (due, self.model.flight.as_ref().is_some_and(|flight| !flight.over));
        };
        let mut model = self.model.clone();
        model.flight = None;
        let was_due = if model.wants_other() { self.was_due } else { due };
        let allowed = model.start(request, &reason, was_due, self.now);
        self.allow(allowed);
        self.model.learn_start(&model);
        (due, true)
    }

    /// The call of the refresher in flight, as far as the host knows.
    pub(super) fn call(&self) -> Option<RequestId> {
        self.model.flight.as_ref().filter(|flight| flight.called).map(|flight| flight.request)
    }

    /// The same for a check.
    pub(super) fn check_in_flight(&self) -> Option<RequestId> {
        self.model.flight.as_ref().filter(|flight| flight.stage == Stage::Checking).map(|flight| flight.request)
    }

    /// The check or call that would be in flight if the host drained first.
    pub(super) fn in_flight(&self) -> Option<RequestId> {
        let flight = |world: &Self| world.model.flight.as_ref().map(|flight| flight.request);
        if !self.undrained {
            return flight(self);
        }
        let mut twin = self.clone();
        twin.drain();
        flight(&twin)
    }

    /// The same for a call of the refresher.
    fn call_in_flight(&self) -> Option<RequestId> {
        let mut twin = self.clone();
        if self.undrained {
            twin.drain();
        }
        twin.call()
    }

    /// A call that is no longer in flight, or a check without a call so far: the machine wants no token from it.
    pub(super) fn not_called(&self, index: u8) -> Option<RequestId> {
        let in_flight = self.call_in_flight();
        let calls: Vec<_> = self.checks.iter().chain(&self.calls).filter(|call| Some(**call) != in_flight).collect();
        calls.get(usize::from(index) % calls.len().max(1)).map(|call| **call)
    }

    pub(super) fn late(&self, known: &[RequestId], index: u8) -> Option<RequestId> {
        let in_flight = self.in_flight();
        let late: Vec<_> = known.iter().filter(|call| Some(**call) != in_flight).collect();
        late.get(usize::from(index) % late.len().max(1)).map(|call| **call)
    }

    fn new_text(&mut self, brings: Brings) -> String {
        self.texts += 1;
        let again = self.tokens.last().filter(|_| matches!(brings, Brings::Again(_)) && !self.has_server());
        again.map_or(format!("t{}", self.texts), |token| token.secret().expose().to_owned())
    }

    pub(super) fn answer(&mut self, request: RequestId, brings: Brings, dated: bool) {
        let late = self.call_in_flight() != Some(request);
        let text = self.new_text(brings);
        let (token, verdict) = self.issue(&text, brings, dated);
        self.before_event();
        if late {
            return self.hand_in_late(Event::TokenReceived { request, token });
        }
        let verdict = if self.has_server() { self.learn_verdict(request, &text, brings, dated) } else { verdict };
        self.model.answer(last_part(&text), verdict, self.now);
        self.hand_in(Event::TokenReceived { request, token });
    }

    pub(super) fn fail(&mut self, request: RequestId, fails: Fails) {
        let late = self.in_flight() != Some(request);
        self.before_event();
        let event = Event::RefreshFailed { request, error: self.failure(fails) };
        if late {
            return self.hand_in_late(event);
        }
        if self.has_server() {
            self.learn_from_failure(request, fails);
        }
        self.model.fail(fails, self.now);
        self.hand_in(event);
    }

    pub(super) fn source_checked(&mut self, request: RequestId, source: Source) {
        let late = self.in_flight() != Some(request);
        let failures = self.pending().1;
        self.before_event();
        let event = Event::SourceChecked { request, source };
        if late {
            return self.hand_in_late(event);
        }
        self.machine.handle(event, self.now);
        let (dropped, failures_then) = self.pending();
        // This does not end a check that timed out at this moment.
        let ended = dropped == Some(request) && failures_then == failures && !self.model.repeats_after(self.now);
        let allowed = self.model.source_checked(source, ended, self.now);
        self.allow(allowed);
        self.settle();
    }

    /// What the machine would tell the host in a drain now: which call to drop, and how many failures.
    pub(super) fn pending(&self) -> (Option<RequestId>, usize) {
        let mut machine = self.machine.clone();
        let actions: Vec<_> = std::iter::from_fn(|| machine.poll_action()).collect();
        let dropped = actions.iter().find_map(|action| match action {
            Action::CancelRefresher { request } => Some(*request),
            _ => None,
        });
        let failed = |action: &&Action<u32>| matches!(action, Action::Notify(Notice::RefreshFailed { .. }));
        (dropped, actions.iter().filter(failed).count())
    }

    pub(super) fn rejectable(&self, rejects: Rejects) -> Option<Token> {
        match rejects {
            Rejects::Held => self.tokens.last().cloned(),
            Rejects::Older(index) => self.tokens.get(usize::from(index) % self.tokens.len().max(1)).cloned(),
            Rejects::Impostor => {
                let held = self.tokens.last()?;
                let same = NewToken::new(held.secret().expose()).with_expires_on(held.expires_on());
                let other = Machine::<()>::with_static_token(same, self.model.options.policy(), self.now);
                other.ok()?.token(self.now).cloned()
            }
        }
    }

    pub(super) fn hand_in_late(&mut self, event: Event<u32>) {
        let mut untouched = self.machine.clone();
        untouched.handle(Event::RequestCancelled { waiter: NOBODY }, self.now);
        let untouched = format!("{untouched:?}");
        self.machine.handle(event, self.now);
        let same = format!("{:?}", self.machine) == untouched;
        self.check(Law::Late, same, |_| format!("instead of {untouched}"));
        self.settle();
    }

    pub(super) fn hand_in(&mut self, event: Event<u32>) {
        self.machine.handle(event, self.now);
        self.settle();
    }
}
