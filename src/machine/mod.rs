//! The machine from outside: how it is made, what it can be asked, what it says to do.
//!
//! Two little machines inside: the *lease* (what is held) and the *attempt* (the refresh in flight). A failed attempt has
//! no way to write the lease, so that it cannot cost a valid token.

mod lease;
mod queue;
#[cfg(feature = "entra")]
mod source;
mod transitions;

use alloc::boxed::Box;

use self::lease::{Attempt, Checks, Lease, News, Setback, Stage, TimerRest, Trial};
use self::queue::{Queue, Rare};
use crate::action::Action;
use crate::backoff::Random;
use crate::error::{Error, InvalidToken};
use crate::event::RequestId;
use crate::policy::Policy;
use crate::time::{Monotonic, Now, Until};
use crate::token::{NewToken, Token};

#[cfg(feature = "entra")]
pub(crate) use self::lease::Given;
pub use self::lease::Snapshot;

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
/// let Some(Action::CallRefresher { request }) = machine.poll_action() else { panic!("it has no token yet") };
///
/// let token = NewToken::new("eyJ…").with_expires_on(UnixTime::from_secs(1_700_003_600));
/// machine.handle(Event::TokenReceived { request, token }, at(80));
/// let actions: Vec<_> = std::iter::from_fn(|| machine.poll_action()).collect();
/// assert!(matches!(&actions[0], Action::ReturnToken { waiter: "me", result: Ok(_) }));
/// assert_eq!(machine.token(at(90)).unwrap().secret().expose(), "eyJ…");
/// # Ok::<(), acs_common::InvalidToken>(())
/// ```
#[derive(Clone, Debug)]
pub struct Machine<W> {
    policy: Policy,
    kind: Kind,
    lease: Option<Lease>,
    attempt: Option<Attempt>,
    /// An announced refresh that the host has yet to be told to drop.
    abandoned: Option<RequestId>,
    /// No refresh starts before.
    floor: Option<Until>,
    /// On the heap, and only from a failure to the next success.
    setback: Option<Box<Setback>>,
    /// On the heap, and only from a rejection to the end of the trial it leads to.
    trial: Option<Box<Trial>>,
    /// A refresh is to start as soon as the floor allows, whether anybody waits or not.
    urged: bool,
    /// Whoever gets the lease if there is one, or waits for it.
    waiters: Queue<W>,
    failed: Rare<(W, Error)>,
    notices: Queue<News>,
    deadline: Option<Monotonic>,
    /// The host has yet to be told of the deadline: it has moved, or the timer may have fired.
    rearm: bool,
    next_request: RequestId,
    random: Random,
    /// Of a credential whose refresher is the exchange of Entra tokens.
    checks: Option<Box<Checks<W>>>,
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
    pub fn new(initial: Option<NewToken>, policy: Policy, now: Now) -> Result<Self, InvalidToken> {
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
    /// # Ok::<(), acs_common::InvalidToken>(())
    /// ```
    ///
    /// # Errors
    /// The token is blank, too long, or undecodable against the policy.
    pub fn with_static_token(token: NewToken, policy: Policy, now: Now) -> Result<Self, InvalidToken> {
        let (token, _) = token.accept(&policy, now, now)?;
        let mut machine = Self::empty(Kind::Static, policy);
        machine.lease = Some(Lease { token, dead: None, renew: None });
        Ok(machine)
    }

    fn empty(kind: Kind, policy: Policy) -> Self {
        Self {
            random: Random::new(policy.seed().unwrap_or_default()),
            policy,
            kind,
            lease: None,
            attempt: None,
            abandoned: None,
            floor: None,
            setback: None,
            trial: None,
            urged: false,
            waiters: Queue::new(),
            failed: Rare::new(),
            notices: Queue::new(),
            deadline: None,
            rearm: false,
            next_request: RequestId::FIRST,
            checks: None,
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
    /// # Ok::<(), acs_common::InvalidToken>(())
    /// ```
    ///
    /// Its answer changes with each [`handle`](Self::handle), and as time passes.
    #[must_use]
    pub fn token(&self, now: Now) -> Option<&Token> {
        self.lease.as_ref().filter(|lease| !lease.is_dead(now)).map(|lease| &lease.token)
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
    /// let Some(Action::CallRefresher { request }) = machine.poll_action() else { panic!("it has no token yet") };
    /// machine.handle(Event::RefreshFailed { request, error: RefresherError::new("down") }, at(10));
    ///
    /// assert!(matches!(machine.refusal(at(11)), Some(Error::RefreshFailed { .. })));
    /// assert!(machine.refusal(at(1_010)).is_none(), "the rest is over");
    /// # Ok::<(), acs_common::InvalidToken>(())
    /// ```
    ///
    /// Its answer changes with each [`handle`](Self::handle), and as time passes.
    #[must_use]
    pub fn refusal(&self, now: Now) -> Option<Error> {
        if self.kind == Kind::Disposed {
            return Some(Error::Disposed);
        }
        // Whoever asks the source asks in a rest too; whoever does more is waited for.
        let waited_for =
            self.attempt.as_ref().is_some_and(|attempt| !self.checks_each_request() || attempt.stage != Stage::Asking);
        let setback = self.setback.as_ref().filter(|_| !waited_for && self.token(now).is_none())?;
        setback.request_rest.filter(|end| !end.has_come(now))?;
        Some(self.refused_for(&setback.last_failure, now))
    }

    /// Whether the token held is to be renewed, or is being renewed.
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
    ///
    /// let at = |secs: i64| Now::new(Monotonic::from_millis(1_000 * secs as u64), UnixTime::from_secs(secs));
    /// let hour = NewToken::new("opaque").with_expires_on(UnixTime::from_secs(3_600));
    /// let machine = Machine::<()>::new(Some(hour), Policy::default(), at(0))?;
    /// assert!(!machine.is_due(at(3_479)) && machine.is_due(at(3_480)));
    /// # Ok::<(), acs_common::InvalidToken>(())
    /// ```
    ///
    /// Its answer changes with each [`handle`](Self::handle), and as time passes.
    #[must_use]
    pub fn is_due(&self, now: Now) -> bool {
        let renewed = |lease: &Lease| lease.dead.is_some() && lease.renew.is_none_or(|renew| renew.has_come(now));
        self.token(now).is_some() && self.lease.as_ref().is_some_and(renewed)
    }

    /// The held token with the time for which a request would do no more than return it: what a host needs for a fast
    /// path of its own. `None` if a request would do more (start a refresh, wait, fail), so hand it in.
    ///
    /// Its answer changes with each [`handle`](Self::handle) only.
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        let lease = self.lease.as_ref().filter(|_| !self.checks_each_request())?;
        let token = lease.token.clone();
        let Some(dead) = lease.dead else { return Some(Snapshot { token, until: None }) };
        let rest = match (lease.renew, self.timer_rest()) {
            (_, TimerRest::Until(end)) => Some(end),
            (None, TimerRest::Over) if self.attempt.is_none() => return None,
            (_, TimerRest::Over | TimerRest::UntilAccepted) => None,
        };
        let row = self.setback.as_ref().and_then(|setback| setback.row);
        let timeout = self.attempt.as_ref().and_then(|attempt| attempt.timeout);
        // A request also forgets the waits that are over, which counts if the wall clock is set back afterwards.
        let trial = self.trial.as_ref().map_or([None; 2], |trial| [trial.until, trial.row]);
        let waits = [lease.renew, self.floor, rest, self.request_rest(), row, timeout];
        let until = waits.into_iter().chain(trial).flatten().fold(dead, Until::earlier);
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
    /// # Ok::<(), acs_common::InvalidToken>(())
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
    /// # Ok::<(), acs_common::InvalidToken>(())
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
        if let Some((waiter, error)) = self.failed.pop() {
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
        if let Some(attempt) = &mut self.attempt
            && !attempt.announced
        {
            attempt.announced = true;
            return Some(Action::CallRefresher { request: attempt.request });
        }
        if let Some(news) = self.notices.pop() {
            return Some(Action::Notify(news.into()));
        }
        if core::mem::take(&mut self.rearm) {
            return Some(Action::ScheduleTimer { at: self.deadline });
        }
        None
    }
}
