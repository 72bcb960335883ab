//! Every transition of the credential, and nothing else. That is why this file is long.
//!
//! An event changes the *lease* (the held token) and the *attempt* (the refresh in flight). Then `settle` does what follows
//! from the state, whatever led to it. A failed attempt writes the lease in one case only: its verdict revokes the token.
//!
//! Everything else is a wait. Each wait is on both clocks, and is over as soon as either clock says so:
//!
//! | wait | starts when | ends early when | as long as it runs |
//! |---|---|---|---|
//! | `lease.expiry` | a token is accepted | the token is rejected, revoked or replaced | the token is returned |
//! | `lease.renewal` | a token is accepted, or confirmed by the source | the token becomes doubtful, or a refresh starts for a request for another | no renewal starts |
//! | `min_interval` | a refresh starts | | no other refresh starts |
//! | `attempt.timeout` | a refresh starts | it is answered | the host has time to answer |
//! | `attempt.grace` | only the wall clock calls it overdue | it is answered | the host still has time to answer |
//! | `source.timeout` | the source is asked for a request | the source answers | a valid token waits for the answer |
//! | `backoff.timer` | a refresh fails, or a token on probation is rejected | a token is accepted, *retry now*, another source | no renewal and no timer starts a refresh |
//! | `backoff.request` | with `backoff.timer` | with it | requests get the last failure |
//! | `backoff.streak` | with `backoff.timer` | with it | the next failure belongs to the streak |
//! | `probation.until` | a token replaces a rejected one | the token is replaced | its rejection is a failure, and makes it doubtful |
//! | `probation.streak` | such a rejection | *retry now*, another source | the next one belongs to the streak |
//!
//! `waits.rs` has the end of each, and which comes first.

use alloc::boxed::Box;
use core::time::Duration;

use super::attempt::{Attempt, BackoffState, Repetition, Stage, TimerBackoff};
use super::lease::{Lease, Probation};
use super::pending::{PendingFailure, PendingNotice, Took, Waiter};
use super::queue::Queue;
use super::{Kind, Machine};
use crate::action::Trigger;
use crate::backoff::{self, Failure};
use crate::error::{Error, FailureCause, TokenError};
use crate::event::{Event, RequestId, Source};
use crate::server_time::Sighting;
use crate::time::{Now, Until};
use crate::token::{NewToken, Token};

/// How long a service's time that replaced another one stays, in milliseconds, if the policy has no `retry_max`.
const REPLACED_FOR: u64 = 300_000;
/// How long a call that only the wall clock calls overdue still has, in milliseconds (contract, rule 2.8).
const GRACE: u64 = 5_000;

impl<W: PartialEq> Machine<W> {
    /// Takes in an event. Read both clocks into `now` just before the call, and drain [`poll_action`](Self::poll_action) after
    /// it. This does not fail and does not panic.
    pub fn handle(&mut self, event: Event<W>, now: Now) {
        self.expire_waits(now);
        let mut asked = false;
        match event {
            Event::TokenRequested { waiter } => {
                self.queue().push(Waiter { name: waiter, other: false });
                asked = true;
            }
            Event::AnotherRequested { waiter, than } => {
                let other = self.token(now).is_some_and(|held| held.ptr_eq(&than));
                self.queue().push(Waiter { name: waiter, other });
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
                    if let Some(date) = error.server_time() {
                        self.see(date.seen(attempt.started), now);
                    }
                    self.fail_refresh(&attempt, FailureCause::Refresher(error), now);
                }
            }
            Event::TimeAdvanced => self.announce_timer = true,
            Event::ServerTimeSeen { date, sent, by } => self.see(Sighting { date, sent, by }, now),
            // These come after what follows from the time (contract, rule 2.13).
            Event::TokenRejected { token } => {
                self.settle(false, now);
                self.reject(&token, now);
            }
            Event::RetryNow => {
                let again = self.repeat_overdue(now);
                self.settle(false, now);
                self.retry_now(again, now);
            }
            Event::Disposed => self.dispose(),
        }
        self.settle(asked, now);
    }

    fn forget(&mut self, waiter: &W) {
        let checks = self.source.iter_mut().flat_map(|source| [&mut source.checking, &mut source.next]);
        for queue in core::iter::once(&mut self.waiters).chain(checks) {
            if queue.remove(|other| other.name == *waiter).is_some() {
                return;
            }
        }
        self.refused.remove(|refused| refused.0 == *waiter);
    }
}

impl Attempt {
    /// Whether this is the refresher's call with that id.
    fn is_call(&self, request: RequestId) -> bool {
        self.request == request && self.stage == Stage::Refreshing
    }
}

// What follows from an event.
impl<W> Machine<W> {
    /// The queue in which a request waits.
    fn queue(&mut self) -> &mut Queue<Waiter<W>> {
        match &mut self.source {
            Some(source) if source.each_request && self.kind == Kind::Refreshing => match &self.attempt {
                // The source is not asked before a late call has ended.
                Some(Attempt { late: true, .. }) => &mut self.waiters,
                None | Some(Attempt { stage: Stage::Checking, .. }) => &mut source.checking,
                Some(Attempt { stage: Stage::AwaitingStart | Stage::Refreshing, .. }) => &mut source.next,
            },
            Some(_) | None => &mut self.waiters,
        }
    }

    pub(super) fn checks_each_request(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.each_request)
    }

    /// The waiters for the check, or for the refresh after it, get the result. The others get another check.
    fn end_check(&mut self) {
        if let Some(source) = &mut self.source {
            source.checking.take().for_each(|waiter| self.waiters.push(waiter));
            source.next.take().for_each(|waiter| source.checking.push(waiter));
        }
    }

    /// Those who came after the source's answer share the next check with the others.
    fn share_check(&mut self) {
        if let Some(source) = &mut self.source {
            source.next.take().for_each(|waiter| source.checking.push(waiter));
        }
    }

    /// Takes the attempt, if it is the right one. That ends it.
    fn take_attempt(&mut self, is_meant: impl FnOnce(&Attempt) -> bool) -> Option<Attempt> {
        self.attempt.take_if(|attempt| is_meant(attempt))
    }

    /// Takes the attempt, if it must be given up. The host must drop it, if it knows of it.
    fn abandon_if(&mut self, is_given_up: impl FnOnce(&Attempt) -> bool) -> Option<Attempt> {
        let attempt = self.take_attempt(is_given_up)?;
        let is_answered = self.source.as_ref().is_some_and(|source| source.of_attempt.is_some());
        if attempt.announced || is_answered {
            self.abandoned = Some(attempt.request);
        }
        Some(attempt)
    }

    fn source_checked(&mut self, request: RequestId, given: Source, now: Now) {
        let is_held = self.token(now).is_some() && !self.wants_other();
        let is_doubtful = self.is_doubtful();
        // A renewal, and a refresh that no request waits for, wait for the timer's backoff. Jitter may end that before the
        // request's backoff.
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
        if is_held && !is_doubtful && source.of_lease == Some(given) {
            self.abandon_if(|_| true);
            self.keep(now);
        } else if source.of_failure != Some(given) {
            if attempt.trigger == Trigger::Retry {
                attempt.trigger = Trigger::SourceChanged;
            }
            attempt.failures = 0;
            self.await_start(now);
            self.start_clean();
        } else if each_request && backs_off {
            self.abandon_if(|_| true);
            self.end_check();
        } else {
            self.await_start(now);
        }
    }

    /// The check is over, and the call of the refresher is next.
    fn await_start(&mut self, now: Now) {
        let each_request = self.checks_each_request();
        let interval = self.min_interval.map_or(0, |interval| interval.left(now));
        if let Some(attempt) = &mut self.attempt {
            (attempt.stage, attempt.announced) = (Stage::Refreshing, false);
            if each_request {
                // The wait for the minimum interval does not count against the timeout.
                attempt.timeout = attempt.timeout.map(|end| end.plus(interval));
                attempt.stage = Stage::AwaitingStart;
            }
        }
    }

    /// The source confirms the held token, which is the result.
    fn keep(&mut self, now: Now) {
        self.end_backoff();
        self.allow_repetition();
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
        let has_own_time = token.server_time().is_some();
        match self.judge(token, attempt.started, now) {
            Err(error) => self.fail_refresh(attempt, FailureCause::InvalidToken(error), now),
            Ok((token, 0)) => {
                let is_known = self.server_time.as_ref().is_some_and(|server_time| server_time.is_known());
                let by_server_time = is_known || has_own_time && self.policy.uses_server_time();
                let cause = FailureCause::ExpiredToken {
                    expires_on: token.expires_on(),
                    device_time: now.unix,
                    by_server_time,
                };
                self.fail_refresh(attempt, cause, now);
            }
            Ok((token, left)) => {
                self.end_backoff();
                self.allow_repetition();
                match self.token(now).filter(|held| held.has_text_of(&token)).cloned() {
                    Some(held) => self.accept_again(attempt, token.continuing(&held), left, now),
                    None => self.accept_other(attempt, token, left, now),
                }
            }
        }
    }

    /// The token, and how many milliseconds it is valid, by the server's time if that is known. `asked` is when it was asked
    /// for.
    pub(super) fn judge(&mut self, token: NewToken, asked: Now, now: Now) -> Result<(Token, u64), TokenError> {
        if let Some(date) = token.server_time() {
            self.see(date.seen(asked), now);
        }
        let judge = |expires_on| self.server_time.as_mut()?.judge(expires_on, now);
        token.accept(&self.policy, asked, Some(judge), now)
    }

    /// A response told the server's time. A better one than before lays the held token anew, unless it has expired.
    fn see(&mut self, seen: Sighting, now: Now) {
        if self.kind != Kind::Refreshing || !self.policy.uses_server_time() {
            return;
        }
        let pause = self.policy.retry_millis().map_or(REPLACED_FOR, |(_, max)| max);
        let server_time = self.server_time.get_or_insert_default();
        if !server_time.see(seen, pause, now) {
            return;
        }
        if let Some(by) = server_time.skew() {
            self.notices.push(PendingNotice::ClockSkewed(by));
        }
        if let Some(lease) = self.lease.as_mut().filter(|lease| !lease.has_expired(now))
            && let Some(left) = server_time.lay(&lease.token, now)
        {
            lease.lay(left, now);
        }
    }

    /// The answer is another token than the held one.
    fn accept_other(&mut self, attempt: &Attempt, token: Token, left: u64, now: Now) {
        // A probation goes on only if the answer replaces a rejected token, and was asked for after the rejection.
        self.probation.take_if(|probation| attempt.before_rejection || probation.rejected.is_none());
        match (&mut self.probation, self.policy.retry_millis()) {
            (Some(probation), Some((_, max))) => {
                let rejected = probation.rejected.take();
                probation.same_text = rejected.is_some_and(|rejected| rejected.has_text_of(&token));
                probation.until = Some(now.plus(max));
            }
            (probation, _) => *probation = None,
        }
        self.notices.push(PendingNotice::token_changed(&token, Took::since(attempt.started, now)));
        self.drop_lease();
        self.hold(token, left, now);
        self.end_check();
    }

    /// The answer is the held token.
    fn accept_again(&mut self, attempt: &Attempt, token: Token, left: u64, now: Now) {
        let is_refused = self.is_doubtful() || self.wants_other();
        let (expires_on, took) = (token.expires_on(), Took::since(attempt.started, now));
        self.hold(token, left, now);
        self.end_check();
        if is_refused {
            let cause = FailureCause::RejectedTokenReturned;
            self.doubt(cause.clone(), Some(took), now);
            self.refuse_waiters(&cause, now);
        } else {
            self.notices.push(PendingNotice::TokenKept { expires_on, took });
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
    }

    /// Drops the held token, so no request is for another one. Returns whether one was held.
    fn drop_lease(&mut self) -> bool {
        let checks = self.source.iter_mut().flat_map(|source| [&mut source.checking, &mut source.next]);
        let waiters = core::iter::once(&mut self.waiters).chain(checks).flat_map(Queue::iter_mut);
        waiters.for_each(|waiter| waiter.other = false);
        self.lease.take().is_some()
    }

    /// Whether the held token was rejected, and stays.
    pub(super) fn is_doubtful(&self) -> bool {
        let rejected = self.probation.as_ref().and_then(|probation| probation.rejected.as_ref());
        self.lease.as_ref().is_some_and(|lease| rejected.is_some_and(|rejected| rejected.ptr_eq(&lease.token)))
    }

    /// Whether a request that shares the attempt in flight is for another token than the held one.
    fn wants_other(&self) -> bool {
        let is_other = |waiter: &Waiter<W>| waiter.other;
        self.waiters.any(is_other) || self.source.as_ref().is_some_and(|source| source.checking.any(is_other))
    }

    /// Ends the backoff, and the streak of failed refreshes.
    fn end_backoff(&mut self) {
        self.backoff = None;
    }

    /// Ends the backoff and both streaks.
    fn start_clean(&mut self) {
        self.end_backoff();
        if let Some(probation) = &mut self.probation {
            (probation.rejections, probation.streak) = (0, None);
        }
    }

    /// The refresh failed. The waiters, if no valid token is held, get the failure.
    fn fail_refresh(&mut self, attempt: &Attempt, cause: FailureCause, now: Now) {
        let revokes = cause.revokes() || self.is_of_other_user();
        if revokes && self.drop_lease() {
            (self.lost, self.origin) = (Trigger::SourceChanged, None);
        }
        if let Some(source) = &mut self.source {
            // Before the refresher works, a failure is the source's, or a timeout. And a sign-out, even later, says nothing
            // about the version from before.
            let is_of_source = attempt.stage != Stage::Refreshing || cause.revokes();
            source.of_failure = source.of_attempt.filter(|_| !is_of_source);
        }
        let streak = self.failures().saturating_add(1);
        let took = Took::since(attempt.started, now);
        self.fail(cause.clone(), Some(took), streak, now).failures = streak;
        self.end_check();
        self.refuse_waiters(&cause, now);
    }

    /// Whether the attempt is for another user than the held token's. Then its failure revokes that token.
    pub(super) fn is_of_other_user(&self) -> bool {
        let users = self.source.as_ref().and_then(|source| Some((source.of_lease?.user, source.of_attempt?.user)));
        users.is_some_and(|(of_lease, of_attempt)| of_lease != of_attempt)
    }

    /// Backs off after a failure, the `streak`-th in its streak, and reports it. `took`: how long the refresh took that failed.
    fn fail(&mut self, cause: FailureCause, took: Option<Took>, streak: u32, now: Now) -> &mut BackoffState {
        self.allow_repetition();
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
                // A new failure never shortens a backoff that runs.
                let timer = match state.timer {
                    TimerBackoff::Until(end) => end.later(now.plus(backoff.timer), now),
                    TimerBackoff::Over | TimerBackoff::UntilAccepted => now.plus(backoff.timer),
                };
                let request = now.plus(backoff.request);
                state.timer = TimerBackoff::Until(timer);
                state.request = Some(state.request.map_or(request, |end| end.later(request, now)));
                state.streak = self.policy.retry_millis().map(|(_, max)| timer.plus(max).plus(1));
            }
            None => state.timer = TimerBackoff::UntilAccepted,
        }
        // With a source the requested refresh stays: only the source knows whether anything has changed.
        self.requested &= self.source.is_some();
        let retry_in = match (self.policy.refreshes_proactively(), state.timer) {
            (true, TimerBackoff::Until(end)) => Some(end.left(now)),
            (_, TimerBackoff::UntilAccepted) => None,
            // While a token is valid, a request starts a renewal, and that waits for the timer's backoff.
            (false, TimerBackoff::Until(end)) => {
                state.request.map(|request| request.left(now).max(end.left(now).min(left)))
            }
            (_, TimerBackoff::Over) => state.request.map(|request| request.left(now)),
        };
        let retry_in = retry_in.map(Duration::from_millis);
        self.notices.push(PendingNotice::RefreshFailed(Box::new(PendingFailure { cause, retry_in, took, streak })));
        self.backoff.insert(state)
    }

    /// The waiters that the held token is not for get the failure.
    fn refuse_waiters(&mut self, cause: &FailureCause, now: Now) {
        let holds = self.token(now).is_some();
        self.refuse(|waiter| waiter.other || !holds, &self.error_for(cause, now));
    }

    pub(super) fn error_for(&self, cause: &FailureCause, now: Now) -> Error {
        let retry_in = self.request_backoff().map(|end| Duration::from_millis(end.left(now)));
        Error::RefreshFailed { cause: cause.clone(), retry_in }
    }

    fn refuse(&mut self, is_meant: impl Fn(&Waiter<W>) -> bool, error: &Error) {
        for waiter in self.waiters.take() {
            if is_meant(&waiter) {
                self.refused.push(Box::new((waiter.name, error.clone())));
            } else {
                self.waiters.push(waiter);
            }
        }
    }

    fn reject(&mut self, token: &Token, now: Now) {
        // The held token itself: a shared store may know it by another number than the caller's.
        let held = self.lease.as_ref().map(|lease| &lease.token).filter(|held| held.ptr_eq(token)).cloned();
        let Some(held) = held.filter(|_| self.kind == Kind::Refreshing && !self.is_doubtful()) else { return };
        if let Some(attempt) = &mut self.attempt {
            attempt.before_rejection = attempt.stage == Stage::Refreshing && attempt.announced;
        }
        match &self.probation {
            Some(probation) if probation.until.is_some() => {
                let same_text = probation.same_text;
                let cause = if same_text { FailureCause::RejectedTokenReturned } else { FailureCause::Rejected };
                self.doubt(cause, None, now);
            }
            Some(_) | None => {
                self.drop_lease();
                (self.lost, self.origin) = (Trigger::Rejected, None);
                self.probation = Some(Box::new(Probation { rejected: Some(held), ..Probation::default() }));
            }
        }
    }

    /// The held token is rejected, and stays: it is doubtful. That is a failure.
    fn doubt(&mut self, cause: FailureCause, took: Option<Took>, now: Now) {
        let Some(lease) = &mut self.lease else { return };
        (lease.renewal, self.origin) = (None, None);
        if self.policy.retry_millis().is_none() {
            // Without a backoff no token is doubtful.
            self.fail(cause, took, 1, now);
            return;
        }
        let mut probation = self.probation.take().unwrap_or_default();
        (probation.rejected, probation.until) = (Some(lease.token.clone()), None);
        probation.rejections = probation.rejections.saturating_add(1);
        probation.streak = self.fail(cause, took, probation.rejections, now).streak;
        if let Some(source) = &mut self.source {
            source.of_failure = source.of_lease;
        }
        self.probation = Some(probation);
    }

    /// *Retry now*, when an overdue call comes `again`.
    fn retry_now(&mut self, again: bool, now: Now) {
        self.start_clean();
        if !again {
            self.allow_repetition();
        }
        let is_due = self.token(now).is_none() || self.lease.as_ref().is_some_and(|lease| lease.renewal.is_none());
        // With a source, only the source knows whether anything has changed. Its answer to the attempt in flight may be older.
        let is_asked_again = again && self.attempt.is_some();
        self.requested = self.source.is_some() && !is_asked_again || is_due && self.attempt.is_none();
    }

    fn dispose(&mut self) {
        if self.kind == Kind::Disposed {
            return;
        }
        self.kind = Kind::Disposed;
        self.abandon_if(|_| true);
        // All waiters get `Disposed`, also those that a failure was pending for.
        let mut waiters = Queue::new();
        self.refused.take().for_each(|refused| waiters.push(Waiter { name: refused.0, other: false }));
        self.waiters.take().for_each(|waiter| waiters.push(waiter));
        if let Some(mut source) = self.source.take() {
            source.checking.take().chain(source.next.take()).for_each(|waiter| waiters.push(waiter));
        }
        self.waiters = waiters;
        self.lease = None;
        self.probation = None;
        self.server_time = None;
        self.end_backoff();
        self.requested = false;
        self.notices = Queue::new();
        self.notices.push(PendingNotice::Disposed);
    }
}

// What follows from the state.
impl<W> Machine<W> {
    /// Does what follows from the state, whatever led to it. `asked`: this event is a request.
    pub(super) fn settle(&mut self, asked: bool, now: Now) {
        if self.lease.as_ref().is_some_and(|lease| lease.has_expired(now)) {
            self.drop_lease();
            self.lost = Trigger::Expired;
            self.notices.push(PendingNotice::TokenExpired);
        }
        self.expire_attempt(now);
        if self.source_timeout().is_some_and(|end| end.has_come(now))
            && let Some(attempt) = self.abandon_if(|_| true)
        {
            self.time_out(&attempt, self.policy.source_check_millis(), now);
        }
        match self.kind {
            Kind::Disposed => self.refuse(|_| true, &Error::Disposed),
            Kind::Static => self.refuse(|waiter| waiter.other, &Error::StaticToken),
            Kind::Refreshing => {
                if !self.is_in_flight()
                    && self.has_unserved()
                    && let Some(backoff) = &self.backoff
                    && backoff.request.is_some()
                {
                    self.refuse_waiters(&backoff.last_failure.clone(), now);
                }
            }
        }
        if self.until_start(asked, now) == Some(0) {
            self.start(now);
        } else if self.attempt.is_none() && !self.is_repeated() {
            self.repetition.end(false);
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

    /// What follows if the attempt is overdue (contract, rule 2.8).
    fn expire_attempt(&mut self, now: Now) {
        let Some(attempt) = &mut self.attempt else { return };
        let Some(timeout) = attempt.timeout else { return };
        let only_wall = !timeout.has_come_by_monotonic(now);
        if only_wall && timeout.has_come(now) {
            attempt.grace.get_or_insert(timeout.or_by_monotonic(now.plus(GRACE)));
        }
        if attempt.overdue().is_none_or(|overdue| !overdue.has_come(now)) {
            return;
        }
        if only_wall && self.repetition == Repetition::Allowed {
            return self.repeat(now);
        }
        let failed = if self.lets_finish() {
            let failed = self.attempt.clone();
            if let Some(attempt) = &mut self.attempt {
                (attempt.late, attempt.timeout, attempt.grace) = (true, None, None);
            }
            self.share_check();
            failed
        } else {
            self.abandon_if(|_| true)
        };
        if let Some(failed) = failed {
            self.time_out(&failed, self.policy.timeout_millis().unwrap_or_default(), now);
        }
    }

    /// Makes the attempt again, if it is overdue by either clock. Returns whether it is.
    fn repeat_overdue(&mut self, now: Now) -> bool {
        let timeouts = [self.attempt.as_ref().and_then(|attempt| attempt.timeout), self.source_timeout()];
        let is_overdue = timeouts.into_iter().flatten().any(|end| end.has_come(now));
        if is_overdue {
            self.repeat(now);
        }
        is_overdue
    }

    /// Drops the attempt, to make it again. A call that the policy lets finish stays, with a new timeout.
    fn repeat(&mut self, now: Now) {
        let timeout = self.timeout_from(now);
        if self.lets_finish()
            && let Some(attempt) = &mut self.attempt
        {
            (attempt.timeout, attempt.grace) = (timeout, None);
            self.repetition = Repetition::Used;
        } else if let Some(attempt) = self.abandon_if(|_| true) {
            self.repetition = Repetition::Due { trigger: attempt.trigger, failures: attempt.failures };
            self.share_check();
        }
    }

    /// Whether the call in flight stays after its timeout.
    fn lets_finish(&self) -> bool {
        let is_call = |attempt: &Attempt| attempt.stage == Stage::Refreshing && attempt.announced;
        self.policy.finishes_late_calls() && self.attempt.as_ref().is_some_and(is_call)
    }

    /// An accepted token, a failure or *retry now* allows the next repetition. One that waits stays.
    fn allow_repetition(&mut self) {
        if self.repetition == Repetition::Used {
            self.repetition = Repetition::Allowed;
        }
    }

    /// When a call that starts now is overdue.
    fn timeout_from(&self, now: Now) -> Option<Until> {
        self.policy.timeout_millis().map(|timeout| now.plus(timeout))
    }

    fn time_out(&mut self, attempt: &Attempt, timeout: u64, now: Now) {
        self.fail_refresh(attempt, FailureCause::TimedOut { timeout: Duration::from_millis(timeout) }, now);
    }

    fn start(&mut self, now: Now) {
        let timeout = self.timeout_from(now);
        if let Some(late) = &mut self.attempt {
            (late.late, late.timeout) = (false, timeout);
            return;
        }
        let repeats = self.is_repeated();
        let again = self.repetition.end(repeats).filter(|_| repeats);
        let (trigger, failures) = again.unwrap_or_else(|| (self.trigger(), self.failures()));
        self.requested = false;
        if self.wants_other()
            && let Some(lease) = &mut self.lease
        {
            lease.renewal = None;
        }
        let stage = if self.source.is_some() { Stage::Checking } else { Stage::Refreshing };
        match &mut self.source {
            // A check is not a refresh: the minimum interval does not limit it. It limits the refresh that may follow.
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
            failures,
            started: now,
            timeout,
            grace: None,
            stage,
            before_rejection: false,
            announced: false,
            reported: false,
            late: false,
        });
        self.next_request = self.next_request.next();
    }

    /// Why a refresh starts. The reason of the first one is kept until a token is accepted.
    fn trigger(&mut self) -> Trigger {
        let is_first = self.origin.is_none();
        let cause = match &self.lease {
            None => self.lost,
            Some(_) if self.is_doubtful() => Trigger::Rejected,
            Some(lease) if lease.renewal.is_none() => Trigger::Renewal,
            Some(_) if self.wants_other() => Trigger::Requested,
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
