//! Every transition of the credential, and nothing else.

use alloc::boxed::Box;
use core::time::Duration;

#[cfg(feature = "entra")]
use super::lease::Given;
use super::lease::{Attempt, Lease, News, Setback, Stage, TimerRest};
use super::queue::Queue;
use super::{Kind, Machine};
use crate::backoff::{self, Failure};
use crate::error::{Error, RefreshError};
use crate::event::{Event, RequestId};
use crate::time::{Now, Until};
use crate::token::{NewToken, Token};

impl<W: PartialEq> Machine<W> {
    /// Takes in what happened. Infallible, and the only thing that changes the machine; `now` is read just before. Drain
    /// [`poll_action`](Self::poll_action) afterwards.
    pub fn handle(&mut self, event: Event<W>, now: Now) {
        self.lapse(now);
        let mut asked = false;
        match event {
            Event::TokenRequested { waiter } => {
                self.queue().push(waiter);
                asked = true;
            }
            Event::RequestCancelled { waiter } => self.forget(&waiter),
            Event::TokenReceived { request, token } => {
                if let Some(attempt) = self.answered(request) {
                    self.receive(&attempt, token, now);
                }
            }
            Event::RefreshFailed { request, error } => {
                if let Some(attempt) = self.answered(request) {
                    self.fail_refresh(&attempt, RefreshError::Refresher(error), now);
                }
            }
            Event::TimeAdvanced => self.rearm = true,
            Event::TokenRejected { token } => self.reject(&token, now),
            Event::TryNow => self.try_now(now),
            Event::Disposed => self.dispose(),
        }
        self.settle(asked, now);
    }

    fn forget(&mut self, waiter: &W) {
        let checks = self.checks.iter_mut().flat_map(|checks| [&mut checks.joined, &mut checks.later]);
        for queue in core::iter::once(&mut self.waiters).chain(checks) {
            if queue.remove(|other| other == waiter).is_some() {
                return;
            }
        }
        self.failed.remove(|(other, _)| other == waiter);
    }
}

impl<W> Machine<W> {
    // What follows from an event.

    /// Where a request waits.
    fn queue(&mut self) -> &mut Queue<W> {
        match &mut self.checks {
            Some(checks) if checks.each_request && self.kind == Kind::Refreshing => match &self.attempt {
                None | Some(Attempt { stage: Stage::Asking, .. }) => &mut checks.joined,
                Some(Attempt { stage: Stage::Cleared | Stage::Exchanging { .. }, .. }) => &mut checks.later,
            },
            Some(_) | None => &mut self.waiters,
        }
    }

    pub(super) fn checks_each_request(&self) -> bool {
        self.checks.as_ref().is_some_and(|checks| checks.each_request)
    }

    /// Whoever waited for the check, or for the exchange it led to, gets what there is; the others get a check of their own.
    fn end_check(&mut self) {
        if let Some(checks) = &mut self.checks {
            self.waiters.extend(checks.joined.take());
            checks.joined = checks.later.take();
        }
    }

    fn answered(&mut self, request: RequestId) -> Option<Attempt> {
        self.attempt.take_if(|attempt| attempt.request == request)
    }

    fn receive(&mut self, attempt: &Attempt, token: NewToken, now: Now) {
        match token.accept(&self.policy, attempt.started, now) {
            Err(error) => self.fail_refresh(attempt, RefreshError::InvalidToken(error), now),
            Ok((token, 0)) => {
                self.fail_refresh(attempt, RefreshError::ExpiredToken { expires_on: token.expires_on() }, now);
            }
            Ok((token, left)) => {
                self.notices.push(News::TokenChanged(token.expires_on()));
                self.wake_up();
                self.hold(token, left, now);
                self.end_check();
            }
        }
    }

    pub(super) fn hold(&mut self, token: Token, left: u64, now: Now) {
        let renew = backoff::until_renewal(&self.policy, left, &mut self.random);
        self.lease = Some(Lease { token, dead: Some(now.plus(left)), renew: Some(now.plus(renew)) });
        // Of a token that was on trial itself, and not rejected, the trial ends with it.
        self.trial.take_if(|trial| trial.until.is_some());
        match (&mut self.trial, self.policy.retry_millis()) {
            (Some(trial), Some((_, max))) => trial.until = Some(now.plus(max).plus(1)),
            (trial, _) => *trial = None,
        }
    }

    /// Ends the rest, and the row of failed refreshes.
    fn wake_up(&mut self) {
        self.setback = None;
    }

    /// That of rejections, too.
    fn start_clean(&mut self) {
        self.wake_up();
        if let Some(trial) = &mut self.trial {
            (trial.rejections, trial.row) = (0, None);
        }
    }

    pub(super) fn timer_rest(&self) -> TimerRest {
        self.setback.as_ref().map_or(TimerRest::Over, |setback| setback.timer_rest)
    }

    pub(super) fn request_rest(&self) -> Option<Until> {
        self.setback.as_ref()?.request_rest
    }

    /// The refresh failed: whoever waited for it, for want of a valid token, is told so.
    fn fail_refresh(&mut self, attempt: &Attempt, cause: RefreshError, now: Now) {
        if attempt.stranger || cause.forgets_token() {
            self.lease = None;
        }
        let row = self.setback.as_ref().map_or(0, |setback| setback.failures).saturating_add(1);
        self.fail(cause.clone(), row, now).failures = row;
        self.end_check();
        if self.token(now).is_none() {
            self.refuse_waiters(&cause, now);
        }
    }

    /// Rests after the `row`-th failure in a row, and reports it.
    fn fail(&mut self, cause: RefreshError, row: u32, now: Now) -> &mut Setback {
        let left = self.lease.as_ref().and_then(|lease| lease.dead).map_or(0, |dead| dead.left(now));
        let failure = Failure { row, permanent: cause.is_permanent(), retry_after: cause.retry_after(), left };
        let last_failure = cause.clone();
        let mut setback = match self.setback.take() {
            Some(mut before) => {
                before.last_failure = last_failure;
                before
            }
            None => Box::new(Setback::none(last_failure)),
        };
        match backoff::rest(&self.policy, failure, &mut self.random) {
            Some(rest) => {
                // A rest that is running is never shortened.
                let timer = match setback.timer_rest {
                    TimerRest::Until(end) => end.later(now.plus(rest.timer)),
                    TimerRest::Over | TimerRest::UntilAccepted => now.plus(rest.timer),
                };
                let request = now.plus(rest.request);
                setback.timer_rest = TimerRest::Until(timer);
                setback.request_rest = Some(setback.request_rest.map_or(request, |end| end.later(request)));
                setback.row = self.policy.retry_millis().map(|(_, max)| timer.plus(max).plus(1));
            }
            None => setback.timer_rest = TimerRest::UntilAccepted,
        }
        self.urged &= self.checks.is_some();
        let request_rest = setback.request_rest;
        let retry_in = match (self.policy.refreshes_proactively(), setback.timer_rest) {
            (true, TimerRest::Until(end)) => Some(end.left(now)),
            (_, TimerRest::UntilAccepted) => None,
            // As long as a token is valid, what a request starts is a renewal, and that waits for the timer's rest.
            (false, TimerRest::Until(end)) => request_rest.map(|rest| rest.left(now).max(end.left(now).min(left))),
            (_, TimerRest::Over) => request_rest.map(|rest| rest.left(now)),
        };
        self.notices.push(News::RefreshFailed(Box::new((cause, retry_in.map(Duration::from_millis)))));
        self.setback.insert(setback)
    }

    fn refuse_waiters(&mut self, cause: &RefreshError, now: Now) {
        self.refuse(&self.refused_for(cause, now));
    }

    pub(super) fn refused_for(&self, cause: &RefreshError, now: Now) -> Error {
        let retry_in = self.request_rest().map(|end| Duration::from_millis(end.left(now)));
        Error::RefreshFailed { cause: cause.clone(), retry_in }
    }

    fn refuse(&mut self, error: &Error) {
        for waiter in self.waiters.take() {
            self.failed.push((waiter, error.clone()));
        }
    }

    fn reject(&mut self, token: &Token, now: Now) {
        if self.kind != Kind::Refreshing {
            return;
        }
        if self.lease.take_if(|lease| lease.token.is_same(token)).is_none() {
            return;
        }
        let mut trial = self.trial.take().unwrap_or_default();
        if trial.until.take().is_some() {
            trial.rejections = trial.rejections.saturating_add(1);
            trial.row = self.fail(RefreshError::Rejected, trial.rejections, now).row;
        }
        self.trial = Some(trial);
    }

    fn try_now(&mut self, now: Now) {
        self.start_clean();
        let due = self.token(now).is_none() || self.lease.as_ref().is_some_and(|lease| lease.renew.is_none());
        // Whether anything has changed is for the source to say, if there is one; if it is being asked, it may have
        // answered before that.
        self.urged = self.checks.is_some() || due && self.attempt.is_none();
    }

    fn dispose(&mut self) {
        if self.kind == Kind::Disposed {
            return;
        }
        self.kind = Kind::Disposed;
        self.abandon_if(|_| true);
        self.end_check();
        self.end_check();
        self.lease = None;
        self.wake_up();
        self.urged = false;
        self.notices = Queue::new();
        self.notices.push(News::Disposed);
        self.failed.iter_mut().for_each(|(_, error)| *error = Error::Disposed);
    }

    fn abandon_if(&mut self, given_up: impl FnOnce(&Attempt) -> bool) -> Option<Attempt> {
        let attempt = self.attempt.take_if(|attempt| given_up(attempt))?;
        if attempt.announced {
            self.abandoned = Some(attempt.request);
        }
        Some(attempt)
    }

    // What follows from the time.

    /// Forgets the waits that are over.
    pub(super) fn lapse(&mut self, now: Now) {
        let over = |end: &mut Until| end.has_come(now);
        self.floor.take_if(over);
        if let Some(setback) = &mut self.setback {
            setback.request_rest.take_if(over);
            if setback.row.take_if(over).is_some() {
                setback.failures = 0;
            }
            if matches!(setback.timer_rest, TimerRest::Until(end) if end.has_come(now)) {
                setback.timer_rest = TimerRest::Over;
            }
        }
        if let Some(lease) = &mut self.lease {
            lease.renew.take_if(over);
        }
        if let Some(trial) = &mut self.trial
            && trial.row.take_if(over).is_some()
        {
            trial.rejections = 0;
        }
        self.trial.take_if(|trial| trial.until.is_some_and(|end| end.has_come(now)));
    }

    /// Runs what follows from the state, however it came about; `asked`: a request has just come.
    pub(super) fn settle(&mut self, asked: bool, now: Now) {
        if self.lease.take_if(|lease| lease.is_dead(now)).is_some() {
            self.notices.push(News::TokenExpired);
        }
        if let Some(attempt) = self.abandon_if(|attempt| attempt.timeout.is_some_and(|end| end.has_come(now))) {
            let timeout = Duration::from_millis(self.policy.timeout_millis().unwrap_or_default());
            self.fail_refresh(&attempt, RefreshError::TimedOut { timeout }, now);
        }
        let overdue = self.check().is_some_and(|end| end.has_come(now));
        if let Some(attempt) = self.abandon_if(|_| overdue) {
            let timeout = Duration::from_millis(self.policy.source_check_millis());
            self.fail_refresh(&attempt, RefreshError::TimedOut { timeout }, now);
        }
        if self.kind == Kind::Disposed {
            self.refuse(&Error::Disposed);
        } else if self.lease.is_none()
            && self.attempt.is_none()
            && let Some(setback) = &self.setback
            && setback.request_rest.is_some()
        {
            self.refuse_waiters(&setback.last_failure.clone(), now);
        }
        if self.until_start(asked, now) == Some(0) {
            self.start(now);
        }
        if let Some(attempt) = &mut self.attempt
            && attempt.stage == Stage::Cleared
            && self.floor.is_none()
        {
            attempt.stage = Stage::Exchanging { announced: false };
            self.raise_floor(now);
        }
        let deadline = self.until_due(now).map(|wait| now.monotonic.saturating_add_millis(wait));
        self.rearm |= deadline != self.deadline;
        self.deadline = deadline;
    }

    fn start(&mut self, now: Now) {
        self.urged = false;
        // A check is no refresh, and knows no floor; the exchange that may follow does.
        match &mut self.checks {
            Some(checks) if checks.each_request => {
                checks.until = Some(now.plus(self.policy.source_check_millis()));
            }
            Some(_) | None => self.raise_floor(now),
        }
        self.attempt = Some(Attempt {
            request: self.next_request,
            started: now,
            timeout: self.policy.timeout_millis().map(|timeout| now.plus(timeout)),
            announced: false,
            stage: Stage::Asking,
            stranger: false,
        });
        self.next_request = self.next_request.next();
    }

    /// Until when the valid token held waits for the source.
    fn check(&self) -> Option<Until> {
        let asking = self.attempt.as_ref().is_some_and(|attempt| attempt.stage == Stage::Asking);
        self.checks.as_ref().filter(|_| asking && self.lease.is_some()).and_then(|checks| checks.until)
    }

    fn raise_floor(&mut self, now: Now) {
        self.floor = (self.policy.floor_millis() > 0).then(|| now.plus(self.policy.floor_millis()));
    }

    /// In how many milliseconds a refresh is to start, if nothing else happens.
    fn until_start(&self, asked: bool, now: Now) -> Option<u64> {
        if self.kind != Kind::Refreshing || self.attempt.is_some() {
            return None;
        }
        if self.checks.as_ref().is_some_and(|checks| !checks.joined.is_empty()) {
            return Some(0);
        }
        // Whoever may not ask yet has been refused.
        let demanded = self.urged || self.lease.is_none() && !self.waiters.is_empty();
        let rested = match self.timer_rest() {
            TimerRest::Over => Some(0),
            TimerRest::Until(end) => Some(end.left(now)),
            TimerRest::UntilAccepted => None,
        };
        let renewal = self.lease.as_ref().and_then(|lease| lease.renew).map_or(0, |renew| renew.left(now));
        let due = rested.map(|rest| rest.max(renewal));
        let wait = if demanded {
            Some(0)
        } else if self.policy.refreshes_proactively() {
            due
        } else {
            due.filter(|wait| *wait == 0 && asked && self.lease.is_some())
        };
        wait.map(|wait| wait.max(self.floor.map_or(0, |floor| floor.left(now))))
    }

    /// In how many milliseconds something follows from the time.
    fn until_due(&self, now: Now) -> Option<u64> {
        let start = self.until_start(false, now);
        let timeout = self.attempt.as_ref().and_then(|attempt| attempt.timeout).map(|end| end.left(now));
        let proactive = self.policy.refreshes_proactively();
        let death = self.lease.as_ref().filter(|_| proactive).and_then(|lease| lease.dead).map(|dead| dead.left(now));
        let check = self.check().map(|end| end.left(now));
        let cleared = self.attempt.as_ref().filter(|attempt| attempt.stage == Stage::Cleared);
        let floor = cleared.and(self.floor).map(|floor| floor.left(now));
        [start, timeout, death, check, floor].into_iter().flatten().min()
    }
}

/// For the exchange of Entra tokens.
#[cfg(feature = "entra")]
impl<W> Machine<W> {
    /// The source has answered the call in flight.
    pub(crate) fn source_answered(&mut self, request: RequestId, given: Given, now: Now) {
        self.lapse(now);
        let each_request = self.checks_each_request();
        let held = self.token(now).is_some();
        let floor = self.floor.map_or(0, |floor| floor.left(now));
        // With a valid token held this is a renewal, and that waits for the timer's rest.
        let rests = self.request_rest().is_some() || held && matches!(self.timer_rest(), TimerRest::Until(_));
        if let Some(attempt) = &mut self.attempt
            && attempt.request == request
            && matches!(attempt.stage, Stage::Asking)
        {
            if each_request {
                // Waiting for the floor is not taking too long.
                attempt.timeout = attempt.timeout.map(|end| end.plus(floor));
                attempt.stage = Stage::Cleared;
            } else {
                attempt.stage = Stage::Exchanging { announced: false };
            }
            attempt.stranger = given.stranger;
            if given.unchanged && held {
                self.attempt = None;
                self.keep(now);
            } else if given.another {
                self.start_clean();
            } else if each_request && rests {
                self.attempt = None;
                self.end_check();
            }
        }
        self.settle(false, now);
    }

    /// The exchange goes on with another Entra token than the source first gave.
    pub(crate) fn source_changed_its_mind(&mut self, request: RequestId, stranger: bool) {
        if let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.request == request) {
            attempt.stranger = stranger;
        }
    }

    /// The token held is the answer.
    fn keep(&mut self, now: Now) {
        self.wake_up();
        if let Some(lease) = &mut self.lease
            && let Some(dead) = lease.dead
        {
            let renew = backoff::until_half(&self.policy, dead.left(now), &mut self.random);
            lease.renew = Some(now.plus(renew));
        }
        self.end_check();
    }
}
