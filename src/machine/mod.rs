//! The machine from outside: how it is made, what it can be asked, what it says to do.
//!
//! Two little machines inside: the *lease* (what is held) and the *attempt* (the refresh in flight). A failed attempt does
//! not write the lease, unless its verdict is to revoke it: so a failure never costs a valid token.

mod attempt;
mod lease;
mod pending;
mod queue;
mod snapshot;
mod transitions;
mod waits;

use alloc::boxed::Box;

use self::attempt::{Attempt, BackoffState, SourceChecks, Stage, TimerBackoff};
use self::lease::{Lease, Probation};
use self::pending::PendingNotice;
use self::queue::Queue;
pub use self::snapshot::Snapshot;
use crate::action::{Action, Reason, Trigger};
use crate::backoff::Random;
use crate::error::{Error, TokenError};
use crate::event::RequestId;
use crate::policy::{CheckSource, Policy};
use crate::time::{Monotonic, Now, Until};
use crate::token::{NewToken, Token};

/// The life of one credential, without a clock, I/O or threads. See the [crate's documentation](crate) for the contract
/// with its host.
///
/// `W` names a waiter. A machine of no waiters and no token costs its own size, 256 bytes.
///
/// ```
/// use acs_common::{Action, Event, Machine, Monotonic, NewToken, Now, Policy, UnixTime};
///
/// let at = |ms: u64| Now::new(Monotonic::from_millis(ms), UnixTime::from_millis(1_700_000_000_000 + ms as i64));
/// let mut machine = Machine::<&str>::new(None, Policy::default(), at(0))?;
///
/// machine.handle(Event::TokenRequested { waiter: "me" }, at(0));
/// let Some(Action::CallRefresher { request, .. }) = machine.poll_action() else { panic!("it has no token yet") };
///
/// let token = NewToken::new("eyJ…").with_expires_on(UnixTime::from_secs(1_700_003_600));
/// machine.handle(Event::TokenReceived { request, token }, at(80));
/// let actions: Vec<_> = std::iter::from_fn(|| machine.poll_action()).collect();
/// assert!(matches!(&actions[0], Action::ReturnToken { waiter: "me", result: Ok(_) }));
/// assert_eq!(machine.token(at(90)).unwrap().secret().expose(), "eyJ…");
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Machine<W> {
    policy: Policy,
    kind: Kind,
    lease: Option<Lease>,
    /// Why none is held, if none is.
    lost: Trigger,
    attempt: Option<Attempt>,
    /// What led to the first attempt since a token was last accepted.
    origin: Option<Trigger>,
    /// An announced attempt that the host is to be told to drop.
    abandoned: Option<RequestId>,
    /// No refresh starts before.
    min_interval: Option<Until>,
    /// On the heap, and only from a failure to the next success.
    backoff: Option<Box<BackoffState>>,
    /// On the heap, and only from a rejection to the end of the probation it leads to.
    probation: Option<Box<Probation>>,
    /// A refresh is to start as soon as the minimum interval allows, whether a request waits or not.
    requested: bool,
    /// They get the lease if there is one, or wait for it.
    waiters: Queue<W>,
    refused: Queue<Box<(W, Error)>>,
    notices: Queue<PendingNotice>,
    deadline: Option<Monotonic>,
    /// The host is to be told of the deadline: it has moved, or the timer may have fired.
    announce_timer: bool,
    next_request: RequestId,
    random: Random,
    /// On the heap, and only if the credential has a source.
    source: Option<Box<SourceChecks<W>>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Static,
    Refreshing,
    Disposed,
}

impl<W> Machine<W> {
    /// A refreshing credential. An initial token that has expired already is as good as none.
    ///
    /// A proactive one with no valid token has an action at once, so drain [`poll_action`](Self::poll_action) first.
    ///
    /// ```
    /// use acs_common::{Action, Machine, Monotonic, Now, Policy, UnixTime};
    ///
    /// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(1_700_000_000));
    /// let proactive = Policy::builder().refresh_proactively(true).build()?;
    /// let mut machine = Machine::<()>::new(None, proactive, now)?;
    /// assert!(matches!(machine.poll_action(), Some(Action::CallRefresher { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The initial token is blank, too long, or undecodable against the policy.
    pub fn new(initial: Option<NewToken>, policy: Policy, now: Now) -> Result<Self, TokenError> {
        let mut machine = Self::empty(Kind::Refreshing, policy);
        if let Some(token) = initial {
            let (token, left) = token.accept(&machine.policy, now, now)?;
            if left > 0 {
                machine.hold(token, left, now);
            }
        }
        machine.settle(false, now);
        Ok(machine)
    }

    /// A static credential: one token, returned unchanged until it is disposed, even after it expired, since the service
    /// decides; never refreshed.
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
    ///
    /// let at = |secs: i64| Now::new(Monotonic::from_millis(1_000 * secs as u64), UnixTime::from_secs(secs));
    /// let token = NewToken::new("opaque").with_expires_on(UnixTime::from_secs(60));
    /// let machine = Machine::<()>::with_static_token(token, Policy::default(), at(0))?;
    /// assert!(machine.token(at(3_600)).is_some(), "expired for long, but that is the service's to say");
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    ///
    /// # Errors
    /// The token is blank, too long, or undecodable against the policy.
    pub fn with_static_token(token: NewToken, policy: Policy, now: Now) -> Result<Self, TokenError> {
        let (token, _) = token.accept(&policy, now, now)?;
        let mut machine = Self::empty(Kind::Static, policy);
        machine.lease = Some(Lease { token, expiry: None, renewal: None });
        Ok(machine)
    }

    /// A refreshing credential with a source: something that its refresher exchanges for a token, such as a user's sign-in.
    /// Before each refresh the source is asked what it has ([`CheckSource`](Action::CheckSource)), with
    /// [`CheckSource::EachRequest`] before each answer too. If it still has what the valid token held was got for, that
    /// token is the answer. `prewarm`: the source is asked at once, before anybody wants a token.
    ///
    /// ```
    /// use acs_common::{Action, Event, Machine, Monotonic, Now, Policy, Source, UnixTime};
    ///
    /// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(1_700_000_000));
    /// let mut machine = Machine::<()>::with_source(Policy::default(), true, now);
    /// let Some(Action::CheckSource { request, .. }) = machine.poll_action() else { panic!("it warms up") };
    ///
    /// machine.handle(Event::SourceChecked { request, source: Source { version: 1, user: 1 } }, now);
    /// let Some(Action::CallRefresher { request: same, .. }) = machine.poll_action() else { panic!("it holds no token") };
    /// assert_eq!(request, same);
    /// ```
    #[must_use]
    pub fn with_source(policy: Policy, prewarm: bool, now: Now) -> Self {
        let each_request = policy.check_source() == CheckSource::EachRequest;
        let mut machine = Self::empty(Kind::Refreshing, policy);
        machine.source = Some(Box::new(SourceChecks::new(each_request)));
        machine.requested = prewarm;
        machine.settle(false, now);
        machine
    }

    fn empty(kind: Kind, policy: Policy) -> Self {
        Self {
            random: Random::new(policy.seed().unwrap_or_default()),
            policy,
            kind,
            lease: None,
            lost: Trigger::First,
            attempt: None,
            origin: None,
            abandoned: None,
            min_interval: None,
            backoff: None,
            probation: None,
            requested: false,
            waiters: Queue::new(),
            refused: Queue::new(),
            notices: Queue::new(),
            deadline: None,
            announce_timer: false,
            next_request: RequestId::FIRST,
            source: None,
        }
    }

    /// The token a request at `now` would get at once. Changes nothing: it neither renews nor drops a dead token.
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
    ///
    /// let at = |secs: i64| Now::new(Monotonic::from_millis(1_000 * secs as u64), UnixTime::from_secs(secs));
    /// let token = NewToken::new("opaque").with_expires_on(UnixTime::from_secs(60));
    /// let machine = Machine::<()>::new(Some(token), Policy::default(), at(0))?;
    /// assert!(machine.token(at(59)).is_some() && machine.token(at(60)).is_none());
    ///
    /// // By either clock: the wall clock says a second has passed, the other one an hour.
    /// assert!(machine.token(Now::new(Monotonic::from_millis(3_600_000), UnixTime::from_secs(1))).is_none());
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    ///
    /// Its answer changes with each [`handle`](Self::handle), and as time passes.
    #[must_use]
    pub fn token(&self, now: Now) -> Option<&Token> {
        self.lease.as_ref().filter(|lease| !lease.has_expired(now)).map(|lease| &lease.token)
    }

    /// What a request at `now` would be told at once, if no valid token is held and it may not try yet: the last failure, or
    /// that all is over. Changes nothing.
    ///
    /// ```
    /// use acs_common::{Action, Error, Event, Machine, Monotonic, Now, Policy, RefresherError, UnixTime};
    ///
    /// let at = |ms: u64| Now::new(Monotonic::from_millis(ms), UnixTime::from_millis(ms as i64));
    /// let mut machine = Machine::<()>::new(None, Policy::default(), at(0))?;
    /// machine.handle(Event::TokenRequested { waiter: () }, at(0));
    /// let Some(Action::CallRefresher { request, .. }) = machine.poll_action() else { panic!("it has no token yet") };
    /// machine.handle(Event::RefreshFailed { request, error: RefresherError::new("down") }, at(10));
    ///
    /// assert!(matches!(machine.pending_error(at(11)), Some(Error::RefreshFailed { .. })));
    /// assert!(machine.pending_error(at(1_010)).is_none(), "the rest is over");
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    ///
    /// Its answer changes with each [`handle`](Self::handle), and as time passes.
    #[must_use]
    pub fn pending_error(&self, now: Now) -> Option<Error> {
        if self.kind == Kind::Disposed {
            return Some(Error::Disposed);
        }
        // The source is asked in a backoff too. Whoever has a refresh in flight to wait for waits.
        let waits_for = |attempt: &Attempt| !self.checks_each_request() || attempt.stage != Stage::Checking;
        let is_pending = self.attempt.as_ref().is_some_and(waits_for);
        let backoff = self.backoff.as_ref().filter(|_| !is_pending && self.token(now).is_none())?;
        backoff.request.filter(|end| !end.has_come(now))?;
        Some(self.error_for(&backoff.last_failure, now))
    }

    /// Whether the token held is to be renewed, or is being renewed.
    ///
    /// Hidden: only this crate's tests use it. Hosts use [`snapshot`](Self::snapshot).
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
    ///
    /// let at = |secs: i64| Now::new(Monotonic::from_millis(1_000 * secs as u64), UnixTime::from_secs(secs));
    /// let hour = NewToken::new("opaque").with_expires_on(UnixTime::from_secs(3_600));
    /// let machine = Machine::<()>::new(Some(hour), Policy::default(), at(0))?;
    /// assert!(!machine.is_due(at(3_479)) && machine.is_due(at(3_480)));
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    ///
    /// Its answer changes with each [`handle`](Self::handle), and as time passes.
    #[doc(hidden)]
    #[must_use]
    pub fn is_due(&self, now: Now) -> bool {
        let due = |lease: &Lease| lease.expiry.is_some() && lease.renewal.is_none_or(|renewal| renewal.has_come(now));
        self.token(now).is_some() && self.lease.as_ref().is_some_and(due)
    }

    /// The held token with the time for which a request would do no more than return it: what a host needs for a fast
    /// path of its own. `None` if a request would do more (start a refresh, wait, fail), so hand it in.
    ///
    /// Its answer changes with each [`handle`](Self::handle) only.
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        let lease = self.lease.as_ref().filter(|_| !self.checks_each_request())?;
        let token = lease.token.clone();
        let Some(expiry) = lease.expiry else { return Some(Snapshot { token, until: None }) };
        let timer_backoff = match (lease.renewal, self.timer_backoff()) {
            (_, TimerBackoff::Until(end)) => Some(end),
            (None, TimerBackoff::Over) if self.attempt.is_none() => return None,
            (_, TimerBackoff::Over | TimerBackoff::UntilAccepted) => None,
        };
        let streak = self.backoff.as_ref().and_then(|backoff| backoff.streak);
        let timeout = self.attempt.as_ref().and_then(|attempt| attempt.timeout);
        // A request also forgets the waits that are over, which counts if the wall clock is set back afterwards.
        let probation = self.probation.as_ref().map_or([None; 2], |probation| [probation.until, probation.streak]);
        let waits = [lease.renewal, self.min_interval, timer_backoff, self.request_backoff(), streak, timeout];
        let until = waits.into_iter().chain(probation).flatten().fold(expiry, Until::earlier);
        Some(Snapshot { token, until: Some(until) })
    }

    /// When the host is to hand in [`TimeAdvanced`](crate::Event::TimeAdvanced), if nothing else happens before: what the last
    /// [`ScheduleTimer`](Action::ScheduleTimer) said or, undrained, is about to say. Changes with each
    /// [`handle`](Self::handle) only.
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, Now, Policy, UnixTime};
    ///
    /// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(0));
    /// let machine = Machine::<()>::new(None, Policy::default(), now)?;
    /// assert_eq!(machine.deadline(), None, "on demand, so nothing happens while nobody asks");
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Monotonic> {
        self.deadline
    }

    /// The policy it was made with.
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, Now, Policy, UnixTime};
    ///
    /// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(0));
    /// assert_eq!(Machine::<()>::new(None, Policy::reference(), now)?.policy(), &Policy::reference());
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The next thing to do: answers first, the timer last; `None` when all is said. Derived when polled, so a token that
    /// had died by the last [`handle`](Self::handle) is not given out.
    ///
    /// Its answer changes with each [`handle`](Self::handle) only.
    pub fn poll_action(&mut self) -> Option<Action<W>> {
        if let Some(refused) = self.refused.pop() {
            let (waiter, error) = *refused;
            return Some(Action::ReturnToken { waiter, result: Err(error) });
        }
        if let Some(lease) = &self.lease
            && let Some(waiter) = self.waiters.pop()
        {
            return Some(Action::ReturnToken { waiter, result: Ok(lease.token.clone()) });
        }
        if let Some(request) = self.abandoned.take() {
            return Some(Action::CancelRefresher { request });
        }
        if let Some(action) = self.poll_attempt() {
            return Some(action);
        }
        if let Some(notice) = self.notices.pop() {
            return Some(Action::Notify(notice.into()));
        }
        if core::mem::take(&mut self.announce_timer) {
            return Some(Action::ScheduleTimer { at: self.deadline });
        }
        None
    }

    /// What the attempt needs of the host, if the host does not know.
    fn poll_attempt(&mut self) -> Option<Action<W>> {
        let attempt = self.attempt.as_ref().filter(|attempt| !attempt.announced)?;
        let (request, give_up) = (attempt.request, attempt.timeout);
        let action = match attempt.stage {
            Stage::Checking => Action::CheckSource { request, reason: self.reason(attempt) },
            Stage::AwaitingStart => return None,
            Stage::Refreshing => Action::CallRefresher { request, reason: self.reason(attempt), give_up },
        };
        if let Some(attempt) = &mut self.attempt {
            attempt.announced = true;
        }
        Some(action)
    }

    fn reason(&self, attempt: &Attempt) -> Reason {
        Reason {
            trigger: attempt.trigger,
            first: self.origin.unwrap_or(attempt.trigger),
            failures: self.failures(),
            rejected: self.probation.as_ref().and_then(|probation| probation.rejected.clone()),
        }
    }
}
