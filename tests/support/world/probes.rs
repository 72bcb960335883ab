//! Checks of a drained machine: that it is settled and, on copies of it, what a request would get.

use acs_common::{Action, Error, Event, Machine, Notice, Now, Token};

use super::drain::Seen;
use super::flight::Stage;
use super::law::Law;
use super::ops::{Brings, Gives, Span};
use super::{AGES, World, is_the_end};

/// The waiter of an experiment.
const PROBE: u32 = u32::MAX - 1;

impl World {
    pub(super) fn check_notices(&mut self, seen: &Seen) {
        let model = &self.model;
        let batch = model.events > 1;
        let right = if model.disposed {
            seen.changed + seen.kept + seen.failed + seen.expired == 0 && seen.disposed <= 1
        } else {
            // In a batch, a refresh that was never announced may fail.
            let failures = model.failures + model.rejections;
            (seen.changed, seen.kept) == (model.accepted, model.kept)
                && seen.expired == model.expired
                && seen.returned == model.returned
                && (seen.failed == failures || seen.failed > failures && batch || self.at_the_end())
                && seen.disposed == 0
        };
        self.model.failures_seen(seen.failed, self.now);
        self.check(Law::Notices, right, |world| format!("{seen:?}, but {:?}", world.model));
    }

    /// Each call of the refresher, and nothing else, has its notice.
    pub(super) fn check_started(&mut self, actions: &[Action<u32>]) {
        let reason = |action: &Action<u32>| match action {
            Action::CallRefresher { reason, .. } => Some((reason.trigger, reason.first, reason.failures)),
            _ => None,
        };
        let notice = |action: &Action<u32>| match action {
            Action::Notify(Notice::RefreshStarted { trigger, first, failures, .. }) => {
                Some((*trigger, *first, *failures))
            }
            _ => None,
        };
        let right = actions.iter().filter_map(reason).eq(actions.iter().filter_map(notice));
        self.check(Law::Notices, right, |_| {
            format!("a call without its notice, or a notice without its call: {actions:?}")
        });
    }

    pub(super) fn check_settled(&mut self) {
        let (now, deadline) = (self.now, self.machine.deadline());
        let (timer, at_the_end) = (self.timer, self.at_the_end());
        self.check(Law::Timer, timer == deadline, |_| format!("armed for {timer:?}, not for {deadline:?}"));
        self.check(Law::Order, self.machine.clone().poll_action().is_none(), |_| "an action after the last".to_owned());
        if self.model.disposed {
            let silent = self.model.waiting.is_empty() && deadline.is_none() && self.model.flight.is_none();
            self.check(Law::Disposed, silent, |world| format!("it is not disposed: {:?}", world.model));
            let gone = self.machine.token(now).is_none() && self.machine.snapshot().is_none();
            self.check(Law::Disposed, gone, |_| "it still has a token".to_owned());
        }
        if self.model.held(now).is_some() && !(self.model.checks_each_request() && self.model.flight.is_some()) {
            let others = &self.model.others;
            let waiting: Vec<_> =
                self.model.waiting.iter().filter(|waiter| !others.contains(waiter)).copied().collect();
            self.check(Law::Punctual, waiting.is_empty(), |_| format!("{waiting:?} wait, but a token is held"));
        }
        if at_the_end {
            return;
        }
        if let Some(deadline) = deadline {
            self.check(Law::Settled, deadline > now.monotonic, |_| "it is already due".to_owned());
        }
        if let Some((within, why)) = self.model.owes(now) {
            let by = now.monotonic.as_millis().saturating_add(within);
            let punctual = deadline.is_some_and(|deadline| deadline.as_millis() <= by);
            self.check(Law::Punctual, punctual, |_| format!("{why} is due by {by}, but it sleeps until {deadline:?}"));
        } else if self.model.is_idle() {
            self.check(Law::Unasked, deadline.is_none(), |_| "an idle on-demand credential has a timer".to_owned());
        }
    }

    /// Experiments on copies.
    pub(super) fn probe(&mut self) {
        self.probe_settled();
        self.probe_request();
        self.probe_request_for_another();
        if !self.at_the_end() {
            self.probe_boundaries();
            self.probe_snapshot_later();
            self.probe_promises();
        }
    }

    fn copy_after(&self, event: Event<u32>, now: Now) -> (Machine<u32>, Vec<Action<u32>>) {
        let mut machine = self.machine.clone();
        machine.handle(event, now);
        let actions = std::iter::from_fn(|| machine.poll_action()).collect();
        (machine, actions)
    }

    /// Another look at the same moment only arms the spent timer again.
    fn probe_settled(&mut self) {
        let (machine, actions) = self.copy_after(Event::TimeAdvanced, self.now);
        let rearmed = match &actions[..] {
            [Action::ScheduleTimer { at }] => *at == self.machine.deadline() && *at == machine.deadline(),
            _ => false,
        };
        self.check(Law::Settled, rearmed || self.at_the_end(), |_| format!("a second look yields {actions:?}"));
    }

    fn probe_request(&mut self) {
        let now = self.now;
        let (_, actions) = self.copy_after(Event::TokenRequested { waiter: PROBE }, now);
        let held = self.machine.token(now).cloned();
        let snapshot = self.machine.snapshot().and_then(|snapshot| snapshot.token(now).cloned());
        let got = actions.iter().find_map(|action| match action {
            Action::ReturnToken { waiter: PROBE, result } => Some(result.as_ref().ok()),
            _ => None,
        });
        let asks = self.model.checks_each_request() && !self.model.disposed;
        if asks {
            let checks = |action: &Action<u32>| matches!(action, Action::CheckSource { .. });
            let right = actions.iter().any(checks) == self.model.flight.is_none() && got.is_none();
            self.check(Law::Source, right || self.at_the_end(), |_| {
                format!("the source is not asked first: {actions:?}")
            });
        }
        let agree = match (&held, got) {
            (Some(_), None) if asks => true,
            (Some(held), Some(Some(token))) => held.ptr_eq(token),
            (None, None | Some(None)) => true,
            _ => false,
        };
        self.check(Law::Snapshot, agree, |_| format!("token() says {held:?}, a request {got:?}"));
        if let Some(snapshot) = snapshot {
            let same = held.is_some_and(|held| held.ptr_eq(&snapshot));
            self.check(Law::Snapshot, same && actions.len() == 1, |_| {
                format!("the snapshot says that only {snapshot:?} happens, but {actions:?} do")
            });
        }
        if self.model.disposed {
            let right = matches!(&actions[..], [Action::ReturnToken { waiter: PROBE, result: Err(Error::Disposed) }]);
            self.check(Law::Disposed, right, |_| format!("a request yields {actions:?}"));
        }
    }

    /// A request for another token than the held one gets the last failure in the backoff, or waits.
    fn probe_request_for_another(&mut self) {
        let Some(than) = self.model.held(self.now).and_then(|held| held.token.clone()) else { return };
        let (_, actions) = self.copy_after(Event::AnotherRequested { waiter: PROBE, than }, self.now);
        let got = actions.iter().find_map(|action| match action {
            Action::ReturnToken { waiter: PROBE, result } => Some(result.is_err()),
            _ => None,
        });
        let backs_off = self.model.flight.is_none() && self.model.request_backoff.is_some();
        let right = got.is_none_or(|refused| refused && backs_off);
        self.check(Law::HandOut, right || self.at_the_end(), |_| format!("a request for another yields {actions:?}"));
    }

    /// A token is valid up to its last millisecond, and then expired by either clock alone.
    fn probe_boundaries(&mut self) {
        let (now, Some(end)) = (self.now, self.model.expiry()) else { return };
        if self.model.held(now).is_none() {
            return;
        }
        let at = |mono: u64, wall: i64| {
            Now::new(acs_common::Monotonic::from_millis(mono), acs_common::UnixTime::from_millis(wall))
        };
        let (mono, wall) = (now.monotonic.as_millis(), now.unix.as_millis());
        for (moment, alive) in [
            (at(end.mono - 1, wall), true),
            (at(end.mono, wall), false),
            (at(mono, end.wall - 1), true),
            (at(mono, end.wall), false),
        ] {
            let says = self.machine.token(moment).is_some();
            self.check(Law::HandOut, says == alive, |_| {
                format!("at {moment:?} it says {says} about the token's validity")
            });
        }
    }

    /// A snapshot is valid for as long as it says, without an event in between, if both clocks run at the same speed.
    fn probe_snapshot_later(&mut self) {
        let Some(snapshot) = self.machine.snapshot() else { return };
        let left = self.model.expiry().map_or(0, |end| end.left(self.now));
        for wait in [left / 2, left / 2 + left / 4, left.saturating_sub(1), left] {
            let mut later = self.clone();
            later.pass(wait);
            let Some(token) = snapshot.token(later.now).filter(|_| !is_the_end(later.now)) else { continue };
            let (_, actions) = later.copy_after(Event::TokenRequested { waiter: PROBE }, later.now);
            let alone =
                matches!(&actions[..], [Action::ReturnToken { waiter: PROBE, result: Ok(got) }] if got.ptr_eq(token));
            self.check(Law::Snapshot, alone, |_| format!("{wait} ms later a request yields {actions:?}"));
        }
    }

    /// An error says when to ask again: a request before that gets an error, and from then on a refresh starts.
    fn probe_promises(&mut self) {
        // What happened after the error, and before the drain, may have changed that time.
        if self.model.disposed || self.batch || self.retried || self.model.checks_each_request() {
            return;
        }
        let refused = self.answers.iter().find_map(|(_, answer)| answer.err());
        let pending = self.model.flight.is_some() || self.model.wants_repetition();
        let Some(retry_in) = refused.filter(|_| !pending) else { return };
        let held = self.machine.token(self.now).cloned();
        let wait = retry_in.unwrap_or(0);
        if wait > AGES {
            return;
        }
        let refuses = |after: u64| {
            let mut later = self.clone();
            later.pass(after);
            // With a token held, the error was for a request for another one.
            let again = match held.clone() {
                Some(than) => Event::AnotherRequested { waiter: PROBE, than },
                None => Event::TokenRequested { waiter: PROBE },
            };
            let (_, actions) = later.copy_after(again, later.now);
            let refuses = actions.iter().any(|action| matches!(action, Action::ReturnToken { waiter: PROBE, .. }));
            (refuses, actions)
        };
        let (too_late, actions) = refuses(wait);
        let too_early = wait == 0 || refuses(wait - 1).0;
        self.check(Law::Refusal, !too_late && too_early, |_| {
            format!("told to ask again after {wait} ms, a request then yields {actions:?}, refused before: {too_early}")
        });
    }

    /// From here a good refresher leads back to a served token.
    pub fn recover(&mut self) {
        self.hold = 0;
        self.look();
        if self.model.disposed || self.at_the_end() {
            return;
        }
        let (mut asking, mut replacing, mut waiting) = (self.clone(), self.clone(), self.clone());
        asking.recover_asking(None);
        if let Some(than) = self.model.held(self.now).and_then(|held| held.token.clone()) {
            replacing.recover_asking(Some(&than));
        }
        waiting.recover_waiting();
        self.broken.extend(asking.broken);
        self.broken.extend(replacing.broken);
        self.broken.extend(waiting.broken);
    }

    fn answer_well(&mut self) -> bool {
        match self.model.flight.as_ref().map(|flight| (flight.request, flight.stage)) {
            Some((request, Stage::Checking)) => {
                // An answer that is not better than the last one.
                let source = self.model.usual_source().unwrap_or(Gives::First.make());
                self.source_checked(request, source);
            }
            Some((request, Stage::Refreshing)) => self.answer(request, Brings::Until(3_600_000), true),
            Some((_, Stage::AwaitingStart)) | None => return false,
        }
        true
    }

    /// A caller asks for a token, or for another one than this, waits if necessary, and asks again when the error says so.
    fn recover_asking(&mut self, than: Option<&Token>) {
        let start = self.now.monotonic.as_millis();
        let patience = self.model.patience(self.now);
        for _ in 0..4 {
            let waiter = self.new_waiter();
            match than {
                None => self.request(waiter),
                Some(than) => self.request_other(waiter, than.clone()),
            }
            for _ in 0..8 {
                if self.answers.contains(&(waiter, Ok(()))) {
                    let took = self.now.monotonic.as_millis() - start;
                    // A clock that was set while the refresher worked makes its answer look old by its own `Date`.
                    let prompt = took <= patience || self.has_server();
                    return self.check(Law::Recovery, prompt, |_| format!("it took {took} ms"));
                }
                if self.answers.iter().any(|(other, _)| *other == waiter) {
                    break;
                }
                if !self.answer_well() {
                    self.advance(self.millis(Span::Deadline(0)));
                }
            }
            let told = self.answers.iter().find(|(other, _)| *other == waiter).map(|(_, answer)| *answer);
            match told {
                Some(Ok(())) => return,
                Some(Err(Some(wait))) if wait < AGES => self.pass(wait),
                Some(Err(_)) => {
                    // The end of that backoff is never reached.
                    self.retry_now();
                }
                None => break,
            }
        }
        self.check(Law::Recovery, false, |_| "repeated requests get no token".to_owned());
    }

    /// Without a request: a proactive credential gets a token again by itself.
    fn recover_waiting(&mut self) {
        // A clock that was set while the refresher worked makes its answer a failure.
        let may_have_failed = self.model.failed_once || self.has_server();
        if !self.model.options.proactive || self.model.options.retry.is_none() && may_have_failed {
            return;
        }
        let start = self.now.monotonic.as_millis();
        for _ in 0..16 {
            if self.model.held(self.now).is_some() {
                let took = self.now.monotonic.as_millis() - start;
                return self.check(Law::Recovery, took <= self.model.longest_backoff, |_| {
                    format!("without a request, it took {took} ms")
                });
            }
            if self.answer_well() {
                continue;
            }
            let deadline = self.machine.deadline();
            self.check(Law::Recovery, deadline.is_some(), |_| "it has given up".to_owned());
            let wait = self.millis(Span::Deadline(0));
            if wait > AGES || !self.broken.is_empty() {
                return;
            }
            self.advance(wait);
        }
        self.check(Law::Recovery, false, |_| "it gets no token again".to_owned());
    }
}
