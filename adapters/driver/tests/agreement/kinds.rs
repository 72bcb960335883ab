//! The two kinds of credential, each as the driver's and as a bare machine on the documented loop.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use acs_common::entra::{CallId, EntraAction, EntraEvent, EntraMachine};
use acs_common::{Action, Event, Machine, RequestId};
use acs_common_driver::entra::{EntraOptions, EntraToken, HttpResponse, SourceError};
use acs_common_driver::{
    Builder, Clock as _, CommunicationTokenCredential, EntraBuilder, Error, Monotonic, NewToken, Now, Policy,
    RefresherError, Token, UnixTime,
};
use serde_json::json;

use crate::by_hand::ByHand;

pub(crate) type Credential = CommunicationTokenCredential<ByHand>;
type Driven = Pin<Box<dyn Future<Output = ()>>>;

/// What whoever is called says: a refresher, a source of Entra tokens, or the service that exchanges those.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    Token {
        /// Others have other names, but of Entra tokens there are only a few, so that one comes again.
        name: usize,
        /// In milliseconds.
        life: u64,
    },
    /// With this status, from who has any.
    Failure {
        status: u16,
    },
    SignedOut,
}

/// To whom a driver calls.
#[derive(Clone, Default)]
pub(crate) struct Line {
    answer: Arc<Mutex<Option<Told>>>,
    calls: Arc<Mutex<u32>>,
}

impl Line {
    pub(crate) fn tell(&self, told: Told) {
        *self.answer.lock().unwrap() = Some(told);
    }

    pub(crate) fn calls(&self) -> u32 {
        *self.calls.lock().unwrap()
    }

    fn call(&self) -> impl Future<Output = Told> + use<> {
        *self.calls.lock().unwrap() += 1;
        // What was said before, to nobody, is lost.
        *self.answer.lock().unwrap() = None;
        let answer = Arc::clone(&self.answer);
        std::future::poll_fn(move |_| answer.lock().unwrap().take().map_or(Poll::Pending, Poll::Ready))
    }
}

fn expiry(life: u64, now: Now) -> UnixTime {
    UnixTime::from_millis(now.unix.as_millis().saturating_add_unsigned(life))
}

fn refreshed(told: Told, now: Now) -> Result<NewToken, RefresherError> {
    match told {
        Told::Token { name, life } => Ok(NewToken::new(format!("t{name}")).with_expires_on(expiry(life, now))),
        Told::Failure { .. } => Err(RefresherError::new("no")),
        Told::SignedOut => Err(RefresherError::new("never").permanent()),
    }
}

fn acquired(told: Told) -> Result<EntraToken, SourceError> {
    match told {
        Told::Token { name, .. } => Ok(EntraToken::new(format!("e{}", name % 3))),
        Told::Failure { .. } => Err(RefresherError::new("no").into()),
        Told::SignedOut => Err(SourceError::SignedOut),
    }
}

fn exchanged(told: Told, now: Now) -> Result<HttpResponse, RefresherError> {
    match told {
        Told::Token { name, life } => {
            const YEAR_9999: i64 = 253_402_300_799_999;
            let moment = expiry(life, now).as_millis().min(YEAR_9999);
            let expires_on = chrono::DateTime::from_timestamp_millis(moment).expect("of our era").to_rfc3339();
            let body = json!({"accessToken": {"token": format!("t{name}"), "expiresOn": expires_on}}).to_string();
            Ok(HttpResponse::new(200).with_body(body.into_bytes()))
        }
        Told::Failure { status } => Ok(HttpResponse::new(status)),
        Told::SignedOut => Err(RefresherError::new("no network")),
    }
}

/// What befalls machines of both kinds.
pub(crate) enum Befalling {
    Requested,
    Cancelled,
    Rejected(Token),
    TimeAdvanced,
    TryNow,
    Disposed,
}

pub(crate) enum Said<C> {
    Return(Result<Token, Error>),
    Call(C),
    Cancel,
    Other,
}

pub(crate) trait Kind {
    type Call;

    /// The driver's.
    fn credential(clock: &ByHand, policy: &Policy, line: &Line) -> (Credential, Driven);

    fn new(policy: &Policy, now: Now) -> Self;
    fn befall(&mut self, befalling: Befalling, now: Now);
    fn answer(&mut self, call: Self::Call, told: Told, now: Now);
    fn poll(&mut self) -> Option<Said<Self::Call>>;
    fn token(&self, now: Now) -> Option<&Token>;
    fn refusal(&self, now: Now) -> Option<Error>;
    fn deadline(&self) -> Option<Monotonic>;
}

impl Kind for Machine<()> {
    type Call = RequestId;

    fn credential(clock: &ByHand, policy: &Policy, line: &Line) -> (Credential, Driven) {
        let (line, its_clock) = (line.clone(), clock.clone());
        let refresher = move || {
            let (call, clock) = (line.call(), its_clock.clone());
            async move { refreshed(call.await, clock.now()) }
        };
        let (credential, driver) = Builder::new(clock.clone(), refresher).policy(policy.clone()).build().unwrap();
        (credential, Box::pin(driver))
    }

    fn new(policy: &Policy, now: Now) -> Self {
        Self::new(None, policy.clone(), now).expect("no token")
    }

    fn befall(&mut self, befalling: Befalling, now: Now) {
        let event = match befalling {
            Befalling::Requested => Event::TokenRequested { waiter: () },
            Befalling::Cancelled => Event::RequestCancelled { waiter: () },
            Befalling::Rejected(token) => Event::TokenRejected { token },
            Befalling::TimeAdvanced => Event::TimeAdvanced,
            Befalling::TryNow => Event::TryNow,
            Befalling::Disposed => Event::Disposed,
        };
        self.handle(event, now);
    }

    fn answer(&mut self, request: RequestId, told: Told, now: Now) {
        let event = match refreshed(told, now) {
            Ok(token) => Event::TokenReceived { request, token },
            Err(error) => Event::RefreshFailed { request, error },
        };
        self.handle(event, now);
    }

    fn poll(&mut self) -> Option<Said<RequestId>> {
        self.poll_action().map(|action| match action {
            Action::ReturnToken { result, .. } => Said::Return(result),
            Action::CallRefresher { request } => Said::Call(request),
            Action::CancelRefresher { .. } => Said::Cancel,
            Action::Notify(_) | Action::ScheduleTimer { .. } => Said::Other,
        })
    }

    fn token(&self, now: Now) -> Option<&Token> {
        self.token(now)
    }

    fn refusal(&self, now: Now) -> Option<Error> {
        self.refusal(now)
    }

    fn deadline(&self) -> Option<Monotonic> {
        self.deadline()
    }
}

fn options() -> EntraOptions {
    EntraOptions::new("https://contoso.communication.azure.com").unwrap()
}

pub(crate) enum EntraCall {
    Source(CallId),
    Service(CallId),
}

impl Kind for EntraMachine<()> {
    type Call = EntraCall;

    fn credential(clock: &ByHand, policy: &Policy, line: &Line) -> (Credential, Driven) {
        let source = {
            let line = line.clone();
            move |_| {
                let call = line.call();
                async move { acquired(call.await) }
            }
        };
        let (line, its_clock) = (line.clone(), clock.clone());
        let client = move |_| {
            let (call, clock) = (line.call(), its_clock.clone());
            async move { exchanged(call.await, clock.now()) }
        };
        let builder = EntraBuilder::new(clock.clone(), options(), source, client).policy(policy.clone());
        let (credential, driver) = builder.build();
        (credential, Box::pin(driver))
    }

    fn new(policy: &Policy, now: Now) -> Self {
        Self::new(options(), policy.clone(), now)
    }

    fn befall(&mut self, befalling: Befalling, now: Now) {
        let event = match befalling {
            Befalling::Requested => EntraEvent::TokenRequested { waiter: () },
            Befalling::Cancelled => EntraEvent::RequestCancelled { waiter: () },
            Befalling::Rejected(token) => EntraEvent::TokenRejected { token },
            Befalling::TimeAdvanced => EntraEvent::TimeAdvanced,
            Befalling::TryNow => EntraEvent::TryNow,
            Befalling::Disposed => EntraEvent::Disposed,
        };
        self.handle(event, now);
    }

    fn answer(&mut self, call: EntraCall, told: Told, now: Now) {
        let event = match call {
            EntraCall::Source(call) => match acquired(told) {
                Ok(token) => EntraEvent::EntraTokenReceived { call, token },
                Err(SourceError::Failed(error)) => EntraEvent::EntraTokenFailed { call, error },
                Err(_) => EntraEvent::SignedOut { call },
            },
            EntraCall::Service(call) => match exchanged(told, now) {
                Ok(response) => EntraEvent::ResponseReceived { call, response },
                Err(error) => EntraEvent::TransportFailed { call, error },
            },
        };
        self.handle(event, now);
    }

    fn poll(&mut self) -> Option<Said<EntraCall>> {
        self.poll_action().map(|action| match action {
            EntraAction::ReturnToken { result, .. } => Said::Return(result),
            EntraAction::AcquireEntraToken { call, .. } => Said::Call(EntraCall::Source(call)),
            EntraAction::SendRequest { call, .. } => Said::Call(EntraCall::Service(call)),
            EntraAction::Cancel { .. } => Said::Cancel,
            EntraAction::Notify(_) | EntraAction::ScheduleTimer { .. } => Said::Other,
        })
    }

    fn token(&self, now: Now) -> Option<&Token> {
        self.token(now)
    }

    fn refusal(&self, now: Now) -> Option<Error> {
        self.refusal(now)
    }

    fn deadline(&self) -> Option<Monotonic> {
        self.deadline()
    }
}

/// A bare machine, on the documented loop.
pub(crate) struct Bare<K: Kind> {
    machine: K,
    call: Option<K::Call>,
    pub(crate) calls: u32,
}

impl<K: Kind> Bare<K> {
    pub(crate) fn new(policy: &Policy, now: Now) -> Self {
        let mut bare = Self { machine: K::new(policy, now), call: None, calls: 0 };
        bare.drain();
        bare
    }

    pub(crate) fn befall(&mut self, befalling: Befalling, now: Now) -> Option<Result<Token, Error>> {
        self.machine.befall(befalling, now);
        self.drain()
    }

    /// Answers the call in flight, if there is one.
    pub(crate) fn tell(&mut self, told: Told, now: Now) {
        if let Some(call) = self.call.take() {
            self.machine.answer(call, told, now);
            self.drain();
        }
    }

    fn drain(&mut self) -> Option<Result<Token, Error>> {
        let mut answer = None;
        while let Some(said) = self.machine.poll() {
            match said {
                Said::Return(result) => answer = Some(result),
                Said::Call(call) => {
                    self.calls += 1;
                    self.call = Some(call);
                }
                Said::Cancel => self.call = None,
                Said::Other => {}
            }
        }
        answer
    }

    pub(crate) fn wake(&mut self, now: Now) {
        if self.machine.deadline().is_some() {
            self.befall(Befalling::TimeAdvanced, now);
        }
    }

    pub(crate) fn ask(&mut self, now: Now) -> Result<Option<Token>, Error> {
        let answer = self.befall(Befalling::Requested, now);
        if answer.is_none() {
            self.befall(Befalling::Cancelled, now);
        }
        answer.transpose()
    }

    /// Puts a request and, unanswered, gives it up.
    pub(crate) fn ask_without_waiting(&mut self, now: Now) -> Result<Option<Token>, Error> {
        match self.ask(now)? {
            Some(token) => Ok(Some(token)),
            None => match self.machine.token(now) {
                Some(token) => Ok(Some(token.clone())),
                None => self.machine.refusal(now).map_or(Ok(None), Err),
            },
        }
    }
}
