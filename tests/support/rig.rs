//! The host of tests that step through a credential's states by hand. Both clocks run together unless a test changes
//! one of them, and the timer fires exactly when it is due.

use std::ops::Deref;
use std::rc::Rc;

use acs_common::entra::{EntraOptions, EntraToken, ExchangeAction, ExchangeError, ExchangeEvent};
use acs_common::entra::{HttpRequest, HttpResponse};
use acs_common::{
    Action, Error, Event, FailureCause, Machine, Monotonic, NewToken, Notice, Now, Policy, PolicyBuilder,
    RefresherError, RequestId, Token, TokenError, UnixTime,
};
use base64::Engine as _;

use super::credential::{Credential, ToDo};

mod words;

/// What the wall clock shows at the start of every test, in seconds.
pub const START: i64 = 1_700_000_000;

pub const SECOND: u64 = 1_000;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;

/// An action that the host did, except for the timer.
#[derive(Debug)]
pub enum Did {
    Token(u32, Token),
    Error(u32, Error),
    Cancel(RequestId),
    Call(RequestId),
    /// A check of a source. The test plays the source.
    Check(RequestId),
    Notice(Notice),
    /// The source is asked for an Entra token.
    Ask,
    Send,
}

#[derive(Clone, Debug)]
pub struct Rig {
    pub credential: Credential<u32>,
    /// What the monotonic clock shows, in milliseconds.
    pub at: u64,
    /// By how much the wall clock was set forward, in milliseconds.
    pub stepped: i64,
    /// Every call of the refresher so far.
    pub calls: Vec<RequestId>,
    pub cancelled: Vec<RequestId>,
    pub answers: Vec<(u32, Result<Token, Error>)>,
    pub failures: Vec<FailureCause>,
    /// The call of the source without an answer yet, and whether a fresh token is wanted.
    pub asked: Option<RequestId>,
    pub fresh: bool,
    /// The request that was sent and has no answer yet.
    pub sent: Option<(RequestId, Rc<HttpRequest>)>,
    called_at: Option<u64>,
    timer: Option<Monotonic>,
    exchange_timer: Option<Monotonic>,
    /// The last drain has announced the machine's timer.
    announced: bool,
}

/// The default options without jitter: tests name each millisecond.
pub fn steady() -> PolicyBuilder {
    Policy::builder().jitter(0.0)
}

/// The default policy without jitter.
pub fn steady_policy() -> Policy {
    steady().build().expect("no option is out of range")
}

impl Rig {
    pub fn new(initial: Option<NewToken>, policy: Policy) -> Result<Self, TokenError> {
        Ok(Self::of(Machine::new(initial, policy, now(0))?))
    }

    pub fn fixed(token: NewToken, policy: Policy) -> Result<Self, TokenError> {
        Ok(Self::of(Machine::with_static_token(token, policy, now(0))?))
    }

    /// A refreshing credential that holds no token.
    pub fn empty(policy: Policy) -> Self {
        Self::new(None, policy).expect("a missing initial token is always valid")
    }

    /// A refreshing credential that holds a token for `lifetime` milliseconds.
    pub fn holding(lifetime: u64, policy: Policy) -> Self {
        Self::new(Some(until(lifetime)), policy).expect("a good token")
    }

    /// An Entra user's credential.
    pub fn of_entra_user(options: EntraOptions, policy: Policy) -> Self {
        Self::with(Credential::of_entra_user(options, policy, now(0)))
    }

    /// An Entra user's credential that has sent its first request, for this Entra token.
    pub fn exchanging(entra: &str, policy: Policy) -> Self {
        let mut rig = Self::of_entra_user(contoso(), policy);
        rig.sign_in(entra);
        rig
    }

    /// A host for any machine made at the start.
    pub fn of(machine: Machine<u32>) -> Self {
        Self::with(Credential::new(machine))
    }

    fn with(credential: Credential<u32>) -> Self {
        let mut rig = Self {
            credential,
            at: 0,
            stepped: 0,
            calls: Vec::new(),
            cancelled: Vec::new(),
            answers: Vec::new(),
            failures: Vec::new(),
            asked: None,
            fresh: false,
            sent: None,
            called_at: None,
            timer: None,
            exchange_timer: None,
            announced: false,
        };
        rig.drain();
        rig
    }

    pub fn now(&self) -> Now {
        let Now { monotonic, unix } = now(self.at);
        Now::new(monotonic, UnixTime::from_millis(unix.as_millis() + self.stepped))
    }

    /// Waits until `at`, without a look at the clocks.
    pub fn sleep_until(&mut self, at: u64) -> &mut Self {
        assert!(at >= self.at, "time runs forward");
        self.at = at;
        self
    }

    /// Waits for this long, without a look at the clocks.
    pub fn pass(&mut self, millis: u64) {
        self.at += millis;
    }

    /// The monotonic clock stands still meanwhile. This is the same as setting the wall clock forward.
    pub fn suspend(&mut self, millis: u64) {
        self.stepped += i64::try_from(millis).expect("a test's time is short");
    }

    pub fn set_forward(&mut self, millis: u64) {
        self.suspend(millis);
    }

    pub fn set_back(&mut self, millis: u64) {
        self.stepped -= i64::try_from(millis).expect("a test's time is short");
    }

    pub fn handle(&mut self, event: Event<u32>) -> Vec<Did> {
        self.credential.handle(event, self.now());
        self.drain()
    }

    pub fn drain(&mut self) -> Vec<Did> {
        let mut done = Vec::new();
        self.announced = false;
        let mut unreported = Vec::new();
        while let Some(to_do) = self.credential.poll(self.now()) {
            let is_machines = matches!(to_do, ToDo::Act(_));
            assert!(!(self.announced && is_machines), "the timer comes last, but then came {to_do:?}");
            done.push(match to_do {
                ToDo::Act(Action::ReturnToken { waiter, result }) => {
                    self.answers.push((waiter, result.clone()));
                    result.map_or_else(|error| Did::Error(waiter, error), |token| Did::Token(waiter, token))
                }
                ToDo::Act(Action::CancelRefresher { request }) => {
                    self.cancelled.push(request);
                    self.exchange_timer = None;
                    Did::Cancel(request)
                }
                ToDo::Act(Action::CheckSource { request, .. }) => Did::Check(request),
                ToDo::Act(Action::CallRefresher { request, reason, .. }) => {
                    unreported.push((reason.trigger, reason.first, reason.failures));
                    self.calls.push(request);
                    self.called_at = Some(self.at);
                    Did::Call(request)
                }
                // It goes without saying: each call has it. An exchange takes the call itself.
                ToDo::Act(Action::Notify(Notice::RefreshStarted { trigger, first, failures, .. })) => {
                    let exchanged = self.credential.exchange.as_ref().map(|_| (trigger, first, failures));
                    let called = unreported.pop().or(exchanged);
                    assert_eq!(called, Some((trigger, first, failures)), "a notice without a call");
                    continue;
                }
                ToDo::Act(Action::Notify(notice)) => {
                    if let Notice::RefreshFailed { cause, .. } = &notice {
                        self.failures.push(cause.clone());
                    }
                    Did::Notice(notice)
                }
                ToDo::Act(Action::ScheduleTimer { at }) => {
                    (self.announced, self.timer) = (true, at);
                    continue;
                }
                ToDo::Exchange(request, ExchangeAction::AcquireEntraToken { fresh, .. }) => {
                    (self.asked, self.fresh) = (Some(request), fresh);
                    Did::Ask
                }
                ToDo::Exchange(request, ExchangeAction::SendRequest { request: sent }) => {
                    self.sent = Some((request, Rc::new(sent)));
                    Did::Send
                }
                ToDo::Exchange(_, ExchangeAction::ScheduleTimer { at }) => {
                    self.exchange_timer = at;
                    continue;
                }
                ToDo::Exchange(_, ExchangeAction::ReportSource { .. } | ExchangeAction::Finish { .. }) => {
                    unreachable!("it is passed on to the machine")
                }
            });
        }
        if self.credential.exchange.is_none() {
            self.exchange_timer = None;
        }
        assert!(unreported.is_empty(), "a call without its notice: {unreported:?}");
        let timers = [self.timer, self.exchange_timer];
        let deadlines = [self.machine.deadline(), self.credential.exchange_deadline()];
        assert_eq!(timers, deadlines, "the announced timer is the deadline");
        let is_later = |due: Monotonic| due.as_millis() > self.at;
        assert!(deadlines.into_iter().flatten().all(is_later), "a settled machine is never already due");
        done
    }

    /// Runs the timers until `at`, inclusive. Returns what happened, and when.
    pub fn run_until(&mut self, at: u64) -> Vec<(u64, Did)> {
        let mut done = Vec::new();
        while let Some(due) = self.deadline().filter(|due| *due <= at) {
            self.at = due.max(self.at);
            let when = self.at;
            done.extend(self.handle(Event::TimeAdvanced).into_iter().map(|did| (when, did)));
        }
        self.sleep_until(at);
        done
    }

    pub fn request(&mut self, waiter: u32) -> Vec<Did> {
        self.handle(Event::TokenRequested { waiter })
    }

    /// Answers the last call.
    pub fn answer(&mut self, token: NewToken) -> Vec<Did> {
        self.handle(self.received(token))
    }

    /// Lets the last call fail.
    pub fn fail(&mut self, error: RefresherError) -> Vec<Did> {
        self.handle(self.failed(error))
    }

    pub fn last_call(&self) -> RequestId {
        *self.calls.last().expect("the refresher has been called")
    }

    /// The event that the last call returns this token.
    pub fn received(&self, token: NewToken) -> Event<u32> {
        Event::TokenReceived { request: self.last_call(), token }
    }

    /// The event that the last call returns a token valid for `lifetime` milliseconds, by the wall clock.
    pub fn received_for(&self, lifetime: u64) -> Event<u32> {
        let expires_on = self.now().unix.as_millis().saturating_add_unsigned(lifetime);
        self.received(NewToken::new(format!("until{expires_on}")).with_expires_on(UnixTime::from_millis(expires_on)))
    }

    pub fn failed(&self, error: RefresherError) -> Event<u32> {
        Event::RefreshFailed { request: self.last_call(), error }
    }

    pub fn held(&self) -> Option<Token> {
        self.machine.token(self.now()).cloned()
    }

    /// A token with the text of the held one, valid for `lifetime` milliseconds from now on.
    pub fn held_for(&self, lifetime: u64) -> Option<NewToken> {
        let expires_on = unix(self.at + lifetime);
        self.held().map(|held| NewToken::new(held.secret().expose()).with_expires_on(expires_on))
    }

    pub fn holds(&self) -> bool {
        self.machine.token(self.now()).is_some()
    }

    /// Whether the last call was made in this millisecond.
    pub fn called_just_now(&self) -> bool {
        self.called_at == Some(self.at)
    }

    /// When the next refresh may start, under a minimum interval of this many milliseconds.
    pub fn earliest_refresh(&self, millis: u64) -> u64 {
        self.called_at.map_or(0, |at| at + millis)
    }

    /// When the next timer is due.
    pub fn deadline(&self) -> Option<u64> {
        self.credential.deadline().map(Monotonic::as_millis)
    }
}

// An exchange, step by step.
impl Rig {
    /// Answers the source's call, or the request that was sent.
    pub fn tell(&mut self, request: RequestId, event: ExchangeEvent) -> Vec<Did> {
        self.credential.tell_exchange(request, event, self.now());
        self.drain()
    }

    pub fn source_answers(&mut self, event: ExchangeEvent) -> Vec<Did> {
        let request = self.asked.take().expect("the source is asked");
        self.tell(request, event)
    }

    pub fn sign_in(&mut self, entra: &str) -> Vec<Did> {
        self.source_answers(ExchangeEvent::EntraTokenReceived { token: EntraToken::new(entra) })
    }

    /// Answers the request that was sent, and returns it.
    pub fn respond(&mut self, response: HttpResponse) -> HttpRequest {
        let (request, sent) = self.sent.take().expect("a request was sent");
        self.tell(request, ExchangeEvent::ResponseReceived { response });
        Rc::into_inner(sent).expect("the rig has the only copy")
    }

    pub fn unreachable(&mut self, error: RefresherError) -> HttpRequest {
        let (request, sent) = self.sent.take().expect("a request was sent");
        self.tell(request, ExchangeEvent::TransportFailed { error });
        Rc::into_inner(sent).expect("the rig has the only copy")
    }

    /// How long until the timer sends the next request, if it does.
    pub fn pause(&mut self) -> Option<u64> {
        assert!(self.sent.is_none());
        let due = self.deadline().expect("a refresh in flight has a timeout");
        let before = self.at;
        self.at = due;
        self.handle(Event::TimeAdvanced);
        self.sent.is_some().then(|| due - before)
    }

    pub fn failure(&self) -> &FailureCause {
        self.failures.last().expect("a refresh has failed")
    }

    /// Why the exchange failed.
    pub fn exchange_error(&self) -> &ExchangeError {
        let FailureCause::Refresher(error) = self.failure() else { panic!("{:?}", self.failure()) };
        error.get_ref().downcast_ref().expect("an error of the exchange")
    }
}

/// The rig has all methods of its credential.
impl Deref for Rig {
    type Target = Credential<u32>;

    fn deref(&self) -> &Credential<u32> {
        &self.credential
    }
}

pub fn now(at: u64) -> Now {
    Now::new(Monotonic::from_millis(at), unix(at))
}

/// What the wall clock shows `at` milliseconds after the start, if it is never set.
pub fn unix(at: u64) -> UnixTime {
    UnixTime::from_millis(START * 1_000 + i64::try_from(at).expect("a test's time is short"))
}

/// A token that expires `at` milliseconds after the start.
pub fn until(at: u64) -> NewToken {
    NewToken::new(format!("until{at}")).with_expires_on(unix(at))
}

/// A JWT with this payload.
pub fn jwt(payload: impl AsRef<[u8]>) -> String {
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload);
    format!("eyJhbGciOiJub25lIn0.{payload}.c2ln")
}

pub fn contoso() -> EntraOptions {
    EntraOptions::new("https://contoso.communication.azure.com").expect("it is right")
}

/// The number of refresher calls among these actions.
pub fn calls<'a>(done: impl IntoIterator<Item = &'a Did>) -> usize {
    done.into_iter().filter(|did| matches!(did, Did::Call(_))).count()
}
