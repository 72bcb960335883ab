//! The machine from outside: its constructors, its queries and its actions.
//!
//! It has two small machines inside: the *lease* (the held token) and the *attempt* (the refresh in flight). A failed attempt
//! does not write the lease, unless its verdict revokes the token. So a failure never costs a valid token.
//!
//! The file is long because each method has its documentation and an example.

mod attempt;
mod lease;
mod pending;
mod queue;
mod snapshot;
mod status;
mod transitions;
mod waits;

use alloc::boxed::Box;

use self::attempt::{Attempt, BackoffState, Repetition, SourceChecks, Stage, TimerBackoff};
use self::lease::{Lease, Probation};
use self::pending::{PendingNotice, Waiter};
use self::queue::Queue;
pub use self::snapshot::Snapshot;
pub use self::status::{RefreshStatus, Status, TokenStatus};
use crate::action::{Action, Notice, Reason, Trigger};
use crate::backoff::Random;
use crate::error::{Error, TokenError};
use crate::event::RequestId;
use crate::policy::{CheckSource, Policy};
use crate::server_time::ServerTime;
use crate::sharing::Standing;
use crate::time::{Monotonic, Now, UnixTime, Until};
use crate::token::{NewToken, Token};

/// One credential, without a clock, I/O or threads. The [crate's documentation](crate) has the host's contract.
///
/// `W` is how the host names a waiter. A machine without waiters and without a token takes at most 256 bytes, if `W` takes
/// 8 or fewer, and with the default policy nothing on the heap.
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
/// let token = NewToken::new("eyJhbGci").with_expires_on(UnixTime::from_secs(1_700_003_600));
/// machine.handle(Event::TokenReceived { request, token }, at(80));
/// let actions: Vec<_> = std::iter::from_fn(|| machine.poll_action()).collect();
/// assert!(matches!(&actions[0], Action::ReturnToken { waiter: "me", result: Ok(_) }));
/// assert_eq!(machine.token(at(90)).unwrap().secret().expose(), "eyJhbGci");
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Machine<W> {
    policy: Policy,
    kind: Kind,
    lease: Option<Lease>,
    /// Why no token is held, if none is held.
    lost: Trigger,
    attempt: Option<Attempt>,
    repetition: Repetition,
    /// What led to the first attempt since a token was last accepted.
    origin: Option<Trigger>,
    /// An attempt that the host knows of and must drop.
    abandoned: Option<RequestId>,
    /// No refresh starts before this.
    min_interval: Option<Until>,
    /// On the heap, and only from a failure to the next success.
    backoff: Option<Box<BackoffState>>,
    /// On the heap, and only from a rejection to the end of the probation that follows, if the token is not rejected.
    probation: Option<Box<Probation>>,
    /// A refresh starts as soon as the minimum interval allows, even if no request waits.
    requested: bool,
    /// They get the held token, or wait for one.
    waiters: Queue<Waiter<W>>,
    refused: Queue<Box<(W, Error)>>,
    notices: Queue<PendingNotice>,
    deadline: Option<Monotonic>,
    /// The host must hear of the deadline: it has moved, or the timer may have fired.
    announce_timer: bool,
    next_request: RequestId,
    random: Random,
    /// On the heap, and only if a server's time was seen.
    server_time: Option<Box<ServerTime>>,
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
    /// Makes a refreshing credential. An initial token that has expired is dropped.
    ///
    /// Drain [`poll_action`](Self::poll_action) afterwards: a proactive machine has actions at once.
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
    /// [`TokenError`]: the initial token is not a token, or the policy rejects it as undecodable.
    pub fn new(initial: Option<NewToken>, policy: Policy, now: Now) -> Result<Self, TokenError> {
        let mut machine = Self::empty(Kind::Refreshing, policy);
        if let Some(token) = initial {
            let (token, left) = machine.judge(token, now, now)?;
            if left > 0 {
                machine.hold(token, left, now);
            }
        }
        machine.settle(false, now);
        Ok(machine)
    }

    /// Makes a static credential: one token, which is never refreshed (contract, section 1). It is returned until the
    /// credential is disposed, even after it has expired, because the service decides.
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
    ///
    /// let at = |secs: i64| Now::new(Monotonic::from_millis(1_000 * secs as u64), UnixTime::from_secs(secs));
    /// let token = NewToken::new("opaque").with_expires_on(UnixTime::from_secs(60));
    /// let machine = Machine::<()>::with_static_token(token, Policy::default(), at(0))?;
    /// assert!(machine.token(at(3_600)).is_some(), "a static token is returned after its expiry too");
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    ///
    /// # Errors
    /// [`TokenError`]: it is not a token, or the policy rejects it as undecodable.
    pub fn with_static_token(token: NewToken, policy: Policy, now: Now) -> Result<Self, TokenError> {
        let (token, _) = token.accept(&policy, now, None::<fn(UnixTime) -> Option<u64>>, now)?;
        let mut machine = Self::empty(Kind::Static, policy);
        machine.lease = Some(Lease { token, expiry: None, renewal: None });
        Ok(machine)
    }

    /// Makes a refreshing credential with a source: its refresher exchanges what the source has, such as a user's sign-in, for
    /// an access token (contract, section 5).
    ///
    /// The machine asks the source before each refresh ([`CheckSource`](Action::CheckSource)). With
    /// [`CheckSource::EachRequest`] it also asks before it answers a request. If the source still has the version that the held
    /// token was fetched with, and that token is valid, it stays. With `prewarm` the machine asks the source at once, before a
    /// caller wants a token.
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
            repetition: Repetition::Allowed,
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
            server_time: None,
            source: None,
        }
    }

    /// The token that a request at `now` gets at once; `None` if it must wait, or gets an error. This does not change the
    /// machine: it neither starts a renewal nor drops an expired token.
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
    ///
    /// let at = |secs: i64| Now::new(Monotonic::from_millis(1_000 * secs as u64), UnixTime::from_secs(secs));
    /// let token = NewToken::new("opaque").with_expires_on(UnixTime::from_secs(60));
    /// let machine = Machine::<()>::new(Some(token), Policy::default(), at(0))?;
    /// assert!(machine.token(at(59)).is_some() && machine.token(at(60)).is_none());
    ///
    /// // Either clock counts: by the wall clock a second has passed, by the monotonic clock an hour.
    /// assert!(machine.token(Now::new(Monotonic::from_millis(3_600_000), UnixTime::from_secs(1))).is_none());
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    ///
    /// The result changes with each [`handle`](Self::handle), and with time.
    #[must_use]
    pub fn token(&self, now: Now) -> Option<&Token> {
        self.lease.as_ref().filter(|lease| !lease.has_expired(now)).map(|lease| &lease.token)
    }

    /// The error that a request at `now` gets at once: [`Error::Disposed`], or the last failure if no valid token is held and
    /// the request's backoff still runs (contract, rule 2.6). This does not change the machine.
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
    /// assert!(machine.pending_error(at(1_010)).is_none(), "the backoff is over");
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    ///
    /// The result changes with each [`handle`](Self::handle), and with time.
    #[must_use]
    pub fn pending_error(&self, now: Now) -> Option<Error> {
        if self.kind == Kind::Disposed {
            return Some(Error::Disposed);
        }
        // The source is asked in a backoff too. A request waits for a refresh in flight.
        let is_check = |attempt: &Attempt| self.checks_each_request() && attempt.stage == Stage::Checking;
        let is_pending = self.is_in_flight() && !self.attempt.as_ref().is_some_and(is_check);
        let backoff = self.backoff.as_ref().filter(|_| !is_pending && self.token(now).is_none())?;
        backoff.request.filter(|end| !end.has_come(now))?;
        Some(self.error_for(&backoff.last_failure, now))
    }

    /// The server's time, in the middle of what the last `Date` allows (contract, section 7); `None` if none was seen, or if
    /// the device's clocks have disagreed since, as after a sleep. It is for signing requests. It never sets a clock.
    ///
    /// The example of [`DateSource`](crate::DateSource) shows it. The result changes with each [`handle`](Self::handle), and
    /// with time.
    #[must_use]
    pub fn server_time(&self, now: Now) -> Option<UnixTime> {
        self.server_time.as_ref()?.middle(now)
    }

    /// What a run of [`Sharing`](crate::sharing::Sharing) must know of this credential: whether it holds a valid token, until
    /// when, and what it knows of the server's time.
    ///
    /// The result changes with each [`handle`](Self::handle).
    #[must_use]
    pub fn standing(&self) -> Standing {
        // The token of another user is not to be compared with.
        let lease = self.lease.as_ref().filter(|_| !self.is_of_other_user());
        let held = lease.and_then(|lease| Some((lease.expiry?, lease.token.share())));
        Standing::new(held, self.server_time.as_ref().and_then(|server_time| server_time.anchor()))
    }

    /// Whether the held token is due for renewal, or its renewal is in flight.
    ///
    /// Hidden: only this crate's tests use it. Hosts use [`snapshot`](Self::snapshot).
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
    ///
    /// let at = |secs: i64| Now::new(Monotonic::from_millis(1_000 * secs as u64), UnixTime::from_secs(secs));
    /// let hour = NewToken::new("opaque").with_expires_on(UnixTime::from_secs(3_600));
    /// let machine = Machine::<()>::new(Some(hour), Policy::builder().jitter(0.0).build()?, at(0))?;
    /// assert!(!machine.is_due(at(3_479)) && machine.is_due(at(3_480)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The result changes with each [`handle`](Self::handle), and with time.
    #[doc(hidden)]
    #[must_use]
    pub fn is_due(&self, now: Now) -> bool {
        let due = |lease: &Lease| lease.expiry.is_some() && lease.renewal.is_none_or(|renewal| renewal.has_come(now));
        self.token(now).is_some() && self.lease.as_ref().is_some_and(due)
    }

    /// The held token, and how long a request does nothing except return it. A host keeps this for a fast path.
    ///
    /// `None` if a request does more now (starts a refresh, waits or fails): hand the request in.
    ///
    /// The result changes with each [`handle`](Self::handle) only.
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
        let timeout = self.attempt.as_ref().and_then(Attempt::overdue);
        // A request also forgets the waits that are over. That matters if the wall clock is set back later.
        let probation = self.probation.as_ref().map_or([None; 2], |probation| [probation.until, probation.streak]);
        let waits = [lease.renewal, self.min_interval, timer_backoff, self.request_backoff(), streak, timeout];
        let until = waits.into_iter().chain(probation).flatten().fold(expiry, Until::earlier);
        Some(Snapshot { token, until: Some(until) })
    }

    /// When the host must hand in [`TimeAdvanced`](crate::Event::TimeAdvanced), if nothing else happens before. It is what the
    /// last [`ScheduleTimer`](Action::ScheduleTimer) says, polled or not yet polled. `None`: the machine waits for an event.
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, Now, Policy, UnixTime};
    ///
    /// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(0));
    /// let machine = Machine::<()>::new(None, Policy::default(), now)?;
    /// assert_eq!(machine.deadline(), None, "on demand, so it waits for a request");
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    ///
    /// The result changes with each [`handle`](Self::handle) only.
    #[must_use]
    pub fn deadline(&self) -> Option<Monotonic> {
        self.deadline
    }

    /// The machine's policy.
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

    /// The next action: results for waiters first, the timer last; `None` when there are no more.
    ///
    /// An action is derived when it is polled. So a token that had expired at the last [`handle`](Self::handle) is not
    /// returned, even if several events come before the host polls.
    ///
    /// The result changes with each [`handle`](Self::handle), and each call takes one action.
    pub fn poll_action(&mut self) -> Option<Action<W>> {
        if let Some(refused) = self.refused.pop() {
            let (waiter, error) = *refused;
            return Some(Action::ReturnToken { waiter, result: Err(error) });
        }
        if let Some(lease) = &self.lease
            && let Some(waiter) = self.waiters.remove(|waiter| !waiter.other)
        {
            return Some(Action::ReturnToken { waiter: waiter.name, result: Ok(lease.token.clone()) });
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
        if let Some(notice) = self.poll_started() {
            return Some(Action::Notify(notice));
        }
        if core::mem::take(&mut self.announce_timer) {
            return Some(Action::ScheduleTimer { at: self.deadline });
        }
        None
    }

    /// The action for the attempt, if the host does not know of its stage.
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

    /// The notice of the call, if the host knows of the call and has not had it.
    fn poll_started(&mut self) -> Option<Notice> {
        let first = self.origin;
        let is_new =
            |attempt: &&mut Attempt| attempt.stage == Stage::Refreshing && attempt.announced && !attempt.reported;
        let attempt = self.attempt.as_mut().filter(is_new)?;
        attempt.reported = true;
        let (trigger, failures) = (attempt.trigger, attempt.failures);
        Some(Notice::RefreshStarted { trigger, first: first.unwrap_or(trigger), failures })
    }

    fn reason(&self, attempt: &Attempt) -> Reason {
        Reason {
            trigger: attempt.trigger,
            first: self.origin.unwrap_or(attempt.trigger),
            failures: attempt.failures,
            rejected: self.probation.as_ref().and_then(|probation| probation.rejected.clone()),
        }
    }
}
