//! Every transition of the credential, and nothing else: that is why this file is long.
//!
//! An event changes the *lease* (what is held) and the *attempt* (what is under way). Then `settle` runs what follows from
//! the state, however the machine got there. A failed attempt writes the lease in one case only: its verdict is to
//! revoke it.
//!
//! All else is waiting. These are the waits, each laid on both clocks, and over as soon as either clock says so:
//!
//! | wait | starts when | ends early when | as long as it runs |
//! |---|---|---|---|
//! | `lease.expiry` | a token is accepted | the token is rejected, revoked or replaced | the token is given out |
//! | `lease.renewal` | a token is accepted, or confirmed by the source | a refresh is requested | no renewal starts |
//! | `min_interval` | a refresh starts | | no other refresh starts |
//! | `attempt.timeout` | a refresh starts | it is answered | the host has time to answer |
//! | `source.timeout` | a request has the source asked | the source answers | a valid token waits for the answer |
//! | `backoff.timer` | a refresh fails, or a token on probation is rejected | a token is accepted, *retry now*, another source | no renewal and no timer starts a refresh |
//! | `backoff.request` | with `backoff.timer` | as that | requests get the last failure |
//! | `backoff.streak` | with `backoff.timer` | as that | the next failure counts on |
//! | `probation.until` | a token replaces a rejected one | the token is replaced | its rejection is a failure |
//! | `probation.streak` | such a rejection | *retry now*, another source | the next one counts on |
//!
//! `waits.rs` says when each is over, and which comes first.

use alloc::boxed::Box;
use core::time::Duration;

use super::attempt::{Attempt, BackoffState, Stage, TimerBackoff};
use super::lease::Lease;
use super::pending::PendingNotice;
use super::queue::Queue;
use super::{Kind, Machine};
use crate::action::Trigger;
use crate::backoff::{self, Failure};
use crate::error::{Error, FailureCause};
use crate::event::{Event, RequestId, Source};
use crate::time::Now;
use crate::token::{NewToken, Token};

impl<W: PartialEq> Machine<W> {
    /// Takes in what happened. Infallible, and the only thing that changes the machine; `now` is read just before. Drain
    /// [`poll_action`](Self::poll_action) afterwards.
    pub fn handle(&mut self, event: Event<W>, now: Now) {
        self.expire_waits(now);
        let mut asked = false;
        match event {
            Event::TokenRequested { waiter } => {
                self.queue().push(waiter);
                asked = true;
            }
            Event::RequestCancelled { waiter } => self.forget(&waiter),
            Event::SourceChecked { request, source } => self.source_checked(request, source, now),
            Event::TokenReceived { request, token } => {
                if let Some(attempt) = self.take_attempt(|attempt| attempt.is_call(request)) {
                    self.receive(&attempt, token, now);
                }
            }
            Event::RefreshFailed { request, error } => {
                if let Some(attempt) = self.take_attempt(|attempt| attempt.request == request) {
                    self.fail_refresh(&attempt, FailureCause::Refresher(error), now);
                }
            }
            Event::TimeAdvanced => self.announce_timer = true,
            Event::TokenRejected { token } => self.reject(&token, now),
            Event::RetryNow => self.retry_now(now),
            Event::Disposed => self.dispose(),
        }
        self.settle(asked, now);
    }

    fn forget(&mut self, waiter: &W) {
        let checks = self.source.iter_mut().flat_map(|source| [&mut source.checking, &mut source.next]);
        for queue in core::iter::once(&mut self.waiters).chain(checks) {
            if queue.remove(|other| other == waiter).is_some() {
                return;
            }
        }
        self.refused.remove(|refused| refused.0 == *waiter);
    }
}

impl Attempt {
    /// Whether this is the refresher's call of that id.
    fn is_call(&self, request: RequestId) -> bool {
        self.request == request && self.stage == Stage::Refreshing
    }
}

// What follows from an event.
impl<W> Machine<W> {
    /// Where a request waits.
    fn queue(&mut self) -> &mut Queue<W> {
        match &mut self.source {
            Some(source) if source.each_request && self.kind == Kind::Refreshing => match &self.attempt {
                None | Some(Attempt { stage: Stage::Checking, .. }) => &mut source.checking,
                Some(Attempt { stage: Stage::AwaitingStart | Stage::Refreshing, .. }) => &mut source.next,
            },
            Some(_) | None => &mut self.waiters,
        }
    }

    pub(super) fn checks_each_request(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.each_request)
    }

    /// Those who waited for the check, or for the refresh it led to, get what there is. The others get a check of their own.
    fn end_check(&mut self) {
        if let Some(source) = &mut self.source {
            source.checking.take().for_each(|waiter| self.waiters.push(waiter));
            source.next.take().for_each(|waiter| source.checking.push(waiter));
        }
    }

    /// The attempt, if it is the one that is meant. It is over then.
    fn take_attempt(&mut self, is_meant: impl FnOnce(&Attempt) -> bool) -> Option<Attempt> {
        self.attempt.take_if(|attempt| is_meant(attempt))
    }

    /// The attempt, if it is to be given up. The host is told to drop it, if it knows of it.
    fn abandon_if(&mut self, is_given_up: impl FnOnce(&Attempt) -> bool) -> Option<Attempt> {
        let attempt = self.take_attempt(is_given_up)?;
        let is_answered = self.source.as_ref().is_some_and(|source| source.of_attempt.is_some());
        if attempt.announced || is_answered {
            self.abandoned = Some(attempt.request);
        }
        Some(attempt)
    }

    fn source_checked(&mut self, request: RequestId, given: Source, now: Now) {
        let is_held = self.token(now).is_some();
        // A renewal, and what nobody asked for, wait for the timer's backoff. Jitter may end that before a request's.
        let timer_backs_off = matches!(self.timer_backoff(), TimerBackoff::Until(_));
        let is_asked =
            !self.waiters.is_empty() || self.source.as_ref().is_some_and(|source| !source.checking.is_empty());
        let backs_off = is_asked && self.request_backoff().is_some() || (is_held || !is_asked) && timer_backs_off;
        let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.request == request) else { return };
        let Some(source) = &mut self.source else { return };
        source.of_attempt = Some(given);
        if attempt.stage != Stage::Checking {
            return;
        }
        let each_request = source.each_request;
        if is_held && source.of_lease == Some(given) {
            self.abandon_if(|_| true);
            self.keep(now);
        } else if source.of_failure != Some(given) {
            if attempt.trigger == Trigger::Retry {
                attempt.trigger = Trigger::SourceChanged;
            }
            self.await_start(now);
            self.start_clean();
        } else if each_request && backs_off {
            self.abandon_if(|_| true);
            self.end_check();
        } else {
            self.await_start(now);
        }
    }

    /// The check is over, and the refresher's turn comes.
    fn await_start(&mut self, now: Now) {
        let each_request = self.checks_each_request();
        let interval = self.min_interval.map_or(0, |interval| interval.left(now));
        if let Some(attempt) = &mut self.attempt {
            (attempt.stage, attempt.announced) = (Stage::Refreshing, false);
            if each_request {
                // A wait for the minimum interval does not count as a slow answer.
                attempt.timeout = attempt.timeout.map(|end| end.plus(interval));
                attempt.stage = Stage::AwaitingStart;
            }
        }
    }

    /// The token held is the answer.
    fn keep(&mut self, now: Now) {
        self.end_backoff();
        self.origin = None;
        if let Some(lease) = &mut self.lease
            && let Some(expiry) = lease.expiry
        {
            let renewal = backoff::until_half(&self.policy, expiry.left(now), &mut self.random);
            lease.renewal = Some(now.plus(renewal));
        }
        self.end_check();
    }

    fn receive(&mut self, attempt: &Attempt, token: NewToken, now: Now) {
        match token.accept(&self.policy, attempt.started, now) {
            Err(error) => self.fail_refresh(attempt, FailureCause::InvalidToken(error), now),
            Ok((token, 0)) => {
                self.fail_refresh(attempt, FailureCause::ExpiredToken { expires_on: token.expires_on() }, now);
            }
            Ok((token, left)) => {
                self.notices.push(PendingNotice::TokenChanged(token.expires_on()));
                self.end_backoff();
                self.hold(token, left, now);
                self.end_check();
            }
        }
    }

    pub(super) fn hold(&mut self, token: Token, left: u64, now: Now) {
        let renewal = backoff::until_renewal(&self.policy, left, &mut self.random);
        self.lease = Some(Lease { token, expiry: Some(now.plus(left)), renewal: Some(now.plus(renewal)) });
        self.origin = None;
        if let Some(source) = &mut self.source {
            source.of_lease = source.of_attempt;
            source.of_failure = None;
        }
        // A token on probation that was not rejected ends the probation.
        self.probation.take_if(|probation| probation.until.is_some());
        match (&mut self.probation, self.policy.retry_millis()) {
            (Some(probation), Some((_, max))) => {
                probation.rejected = None;
                probation.until = Some(now.plus(max).plus(1));
            }
            (probation, _) => *probation = None,
        }
    }

    /// Ends the backoff, and the streak of failed refreshes.
    fn end_backoff(&mut self) {
        self.backoff = None;
    }

    /// Ends the streak of rejections, too.
    fn start_clean(&mut self) {
        self.end_backoff();
        if let Some(probation) = &mut self.probation {
            (probation.rejections, probation.streak) = (0, None);
        }
    }

    /// The refresh failed. Those who waited for it, because no valid token is held, are told so.
    fn fail_refresh(&mut self, attempt: &Attempt, cause: FailureCause, now: Now) {
        let revokes = cause.revokes() || self.is_of_other_user();
        if revokes && self.lease.take().is_some() {
            (self.lost, self.origin) = (Trigger::SourceChanged, None);
        }
        if let Some(source) = &mut self.source {
            // Before the refresher is at work, the source failed, or the time ran out. And a user who signs out, even then,
            // says nothing of what was given before.
            let is_of_source = attempt.stage != Stage::Refreshing || cause.revokes();
            source.of_failure = source.of_attempt.filter(|_| !is_of_source);
        }
        let streak = self.failures().saturating_add(1);
        self.fail(cause.clone(), streak, now).failures = streak;
        self.end_check();
        if self.token(now).is_none() {
            self.refuse_waiters(&cause, now);
        }
    }

    /// Whether the attempt is for another user than the token held was got for: its failure revokes that token.
    fn is_of_other_user(&self) -> bool {
        let users = self.source.as_ref().and_then(|source| Some((source.of_lease?.user, source.of_attempt?.user)));
        users.is_some_and(|(of_lease, of_attempt)| of_lease != of_attempt)
    }

    /// Backs off after a failure, the `streak`-th in its streak, and reports it.
    fn fail(&mut self, cause: FailureCause, streak: u32, now: Now) -> &mut BackoffState {
        let left = self.lease.as_ref().and_then(|lease| lease.expiry).map_or(0, |expiry| expiry.left(now));
        let failure = Failure { streak, permanent: cause.is_permanent(), retry_after: cause.retry_after(), left };
        let last_failure = cause.clone();
        let mut state = match self.backoff.take() {
            Some(mut before) => {
                before.last_failure = last_failure;
                before
            }
            None => Box::new(BackoffState::new(last_failure)),
        };
        match backoff::after(&self.policy, failure, &mut self.random) {
            Some(backoff) => {
                // A backoff that is running is never shortened.
                let timer = match state.timer {
                    TimerBackoff::Until(end) => end.later(now.plus(backoff.timer)),
                    TimerBackoff::Over | TimerBackoff::UntilAccepted => now.plus(backoff.timer),
                };
                let request = now.plus(backoff.request);
                state.timer = TimerBackoff::Until(timer);
                state.request = Some(state.request.map_or(request, |end| end.later(request)));
                state.streak = self.policy.retry_millis().map(|(_, max)| timer.plus(max).plus(1));
            }
            None => state.timer = TimerBackoff::UntilAccepted,
        }
        // With a source the wish stays: whether anything has changed is for the source to say.
        self.requested &= self.source.is_some();
        let retry_in = match (self.policy.refreshes_proactively(), state.timer) {
            (true, TimerBackoff::Until(end)) => Some(end.left(now)),
            (_, TimerBackoff::UntilAccepted) => None,
            // As long as a token is valid, what a request starts is a renewal, and that waits for the timer's backoff.
            (false, TimerBackoff::Until(end)) => {
                state.request.map(|request| request.left(now).max(end.left(now).min(left)))
            }
            (_, TimerBackoff::Over) => state.request.map(|request| request.left(now)),
        };
        self.notices.push(PendingNotice::RefreshFailed(Box::new((cause, retry_in.map(Duration::from_millis)))));
        self.backoff.insert(state)
    }

    fn refuse_waiters(&mut self, cause: &FailureCause, now: Now) {
        self.refuse(&self.error_for(cause, now));
    }

    pub(super) fn error_for(&self, cause: &FailureCause, now: Now) -> Error {
        let retry_in = self.request_backoff().map(|end| Duration::from_millis(end.left(now)));
        Error::RefreshFailed { cause: cause.clone(), retry_in }
    }

    fn refuse(&mut self, error: &Error) {
        self.waiters.take().for_each(|waiter| self.refused.push(Box::new((waiter, error.clone()))));
    }

    fn reject(&mut self, token: &Token, now: Now) {
        if self.kind != Kind::Refreshing || self.lease.take_if(|lease| lease.token.ptr_eq(token)).is_none() {
            return;
        }
        (self.lost, self.origin) = (Trigger::Rejected, None);
        let mut probation = self.probation.take().unwrap_or_default();
        probation.rejected = Some(token.clone());
        if probation.until.take().is_some() {
            probation.rejections = probation.rejections.saturating_add(1);
            probation.streak = self.fail(FailureCause::Rejected, probation.rejections, now).streak;
            if let Some(source) = &mut self.source {
                source.of_failure = source.of_lease;
            }
        }
        self.probation = Some(probation);
    }

    fn retry_now(&mut self, now: Now) {
        self.start_clean();
        let is_due = self.token(now).is_none() || self.lease.as_ref().is_some_and(|lease| lease.renewal.is_none());
        // With a source, that one says whether anything has changed. It may have answered the attempt in flight before.
        self.requested = self.source.is_some() || is_due && self.attempt.is_none();
    }

    fn dispose(&mut self) {
        if self.kind == Kind::Disposed {
            return;
        }
        self.kind = Kind::Disposed;
        self.abandon_if(|_| true);
        // All who wait, those too who are to hear of a failure, hear of the end.
        let mut waiters = Queue::new();
        self.refused.take().for_each(|refused| waiters.push(refused.0));
        self.waiters.take().for_each(|waiter| waiters.push(waiter));
        if let Some(mut source) = self.source.take() {
            source.checking.take().chain(source.next.take()).for_each(|waiter| waiters.push(waiter));
        }
        self.waiters = waiters;
        self.lease = None;
        self.probation = None;
        self.end_backoff();
        self.requested = false;
        self.notices = Queue::new();
        self.notices.push(PendingNotice::Disposed);
    }
}

// What follows from the state.
impl<W> Machine<W> {
    /// Runs what follows from the state, however it came about; `asked`: a request has just come.
    pub(super) fn settle(&mut self, asked: bool, now: Now) {
        if self.lease.take_if(|lease| lease.has_expired(now)).is_some() {
            self.lost = Trigger::Expired;
            self.notices.push(PendingNotice::TokenExpired);
        }
        if let Some(attempt) = self.abandon_if(|attempt| attempt.timeout.is_some_and(|end| end.has_come(now))) {
            self.time_out(&attempt, self.policy.timeout_millis().unwrap_or_default(), now);
        }
        if self.source_timeout().is_some_and(|end| end.has_come(now))
            && let Some(attempt) = self.abandon_if(|_| true)
        {
            self.time_out(&attempt, self.policy.source_check_millis(), now);
        }
        if self.kind == Kind::Disposed {
            self.refuse(&Error::Disposed);
        } else if self.lease.is_none()
            && self.attempt.is_none()
            && let Some(backoff) = &self.backoff
            && backoff.request.is_some()
        {
            self.refuse_waiters(&backoff.last_failure.clone(), now);
        }
        if self.until_start(asked, now) == Some(0) {
            self.start(now);
        }
        if let Some(attempt) = &mut self.attempt
            && attempt.stage == Stage::AwaitingStart
            && self.min_interval.is_none()
        {
            attempt.stage = Stage::Refreshing;
            self.start_interval(now);
        }
        let deadline = self.until_due(now).map(|wait| now.monotonic.saturating_add_millis(wait));
        self.announce_timer |= deadline != self.deadline;
        self.deadline = deadline;
    }

    fn time_out(&mut self, attempt: &Attempt, timeout: u64, now: Now) {
        self.fail_refresh(attempt, FailureCause::TimedOut { timeout: Duration::from_millis(timeout) }, now);
    }

    fn start(&mut self, now: Now) {
        let trigger = self.trigger();
        self.requested = false;
        let stage = if self.source.is_some() { Stage::Checking } else { Stage::Refreshing };
        match &mut self.source {
            // A check is no refresh, and knows no minimum interval. The refresh that may follow does.
            Some(source) if source.each_request => {
                source.timeout = Some(now.plus(self.policy.source_check_millis()));
                source.of_attempt = None;
            }
            Some(source) => {
                source.of_attempt = None;
                self.start_interval(now);
            }
            None => self.start_interval(now),
        }
        self.attempt = Some(Attempt {
            request: self.next_request,
            trigger,
            started: now,
            timeout: self.policy.timeout_millis().map(|timeout| now.plus(timeout)),
            stage,
            announced: false,
        });
        self.next_request = self.next_request.next();
    }

    /// Why a refresh starts; the reason of the first one is kept until a token is accepted.
    fn trigger(&mut self) -> Trigger {
        let is_first = self.origin.is_none();
        let cause = match &self.lease {
            None => self.lost,
            Some(lease) if lease.renewal.is_none() => Trigger::Renewal,
            Some(_) => Trigger::SourceChanged,
        };
        self.origin.get_or_insert(cause);
        if cause == Trigger::First && is_first {
            Trigger::First
        } else if self.requested {
            Trigger::Requested
        } else if self.failures() > 0 {
            Trigger::Retry
        } else {
            cause
        }
    }

    fn start_interval(&mut self, now: Now) {
        let interval = self.policy.min_interval_millis();
        self.min_interval = (interval > 0).then(|| now.plus(interval));
    }
}
