//! The two kinds of credential, each with the driver and as a bare machine in the documented loop.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use acs_common::entra::{ExchangeAction, ExchangeEvent};
use acs_common::{Action, Event, Machine, RequestId};
use acs_common_driver::entra::{EntraOptions, EntraToken, HttpResponse, SourceError};
use acs_common_driver::{
    Builder, Clock as _, CommunicationTokenCredential, Error, NewToken, Now, Policy, RefresherError, Token, UnixTime,
};
use serde_json::json;

use crate::by_hand::ByHand;
use crate::composed::{Credential as Composed, ToDo};

pub(crate) type Credential = CommunicationTokenCredential<ByHand>;
type Driven = Pin<Box<dyn Future<Output = ()>>>;

/// The answer of a call: to a refresher, to a source of Entra tokens, or to the service that exchanges them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    Token {
        /// Access tokens all have different names. There are only a few Entra tokens, so that one comes again.
        name: usize,
        /// In milliseconds.
        life: u64,
    },
    /// A failure, with this status if the callee has one.
    Failure {
        status: u16,
    },
    SignedOut,
}

/// The callees of a driver.
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
        // An earlier answer without a call is dropped.
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
            let expires_on =
                chrono::DateTime::from_timestamp_millis(moment).expect("chrono knows this year").to_rfc3339();
            let body = json!({"accessToken": {"token": format!("t{name}"), "expiresOn": expires_on}}).to_string();
            Ok(HttpResponse::new(200).with_body(body.into_bytes()))
        }
        Told::Failure { status } => Ok(HttpResponse::new(status)),
        Told::SignedOut => Err(RefresherError::new("no network")),
    }
}

fn options() -> EntraOptions {
    EntraOptions::new("https://contoso.communication.azure.com").unwrap()
}

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Refreshing,
    Exchanging,
}

impl Kind {
    pub(crate) fn credential(self, clock: &ByHand, policy: &Policy, line: &Line) -> (Credential, Driven) {
        match self {
            Self::Refreshing => refreshing(clock, policy, line),
            Self::Exchanging => exchanging(clock, policy, line),
        }
    }

    fn machine(self, policy: &Policy, now: Now) -> Composed<&'static str> {
        let policy = policy.clone();
        match self {
            Self::Refreshing => Composed::new(Machine::new(None, policy, now).expect("no token")),
            Self::Exchanging => Composed::of_entra_user(options(), policy, now),
        }
    }
}

fn refreshing(clock: &ByHand, policy: &Policy, line: &Line) -> (Credential, Driven) {
    let (line, its_clock) = (line.clone(), clock.clone());
    let refresher = move || {
        let (call, clock) = (line.call(), its_clock.clone());
        async move { refreshed(call.await, clock.now()) }
    };
    let (credential, driver) = Builder::new(clock.clone(), refresher).policy(policy.clone()).build().unwrap();
    (credential, Box::pin(driver))
}

fn exchanging(clock: &ByHand, policy: &Policy, line: &Line) -> (Credential, Driven) {
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
    let builder = Builder::with_entra(clock.clone(), options(), source, client).policy(policy.clone());
    let (credential, driver) = builder.build().unwrap();
    (credential, Box::pin(driver))
}

/// The waiter.
const WHO: &str = "the caller";

/// The callee of a bare machine's host.
#[derive(Clone, Copy)]
enum Called {
    Refresher(RequestId),
    Source(RequestId),
    Service(RequestId),
}

/// A bare machine in the documented loop.
pub(crate) struct Bare {
    credential: Composed<&'static str>,
    call: Option<Called>,
    pub(crate) calls: u32,
    /// The last answer of each waiter.
    pub(crate) answers: BTreeMap<&'static str, Result<Token, Error>>,
}

impl Bare {
    pub(crate) fn new(kind: Kind, policy: &Policy, now: Now) -> Self {
        let mut bare = Self { credential: kind.machine(policy, now), call: None, calls: 0, answers: BTreeMap::new() };
        bare.drain(now);
        bare
    }

    pub(crate) fn handle(&mut self, event: Event<&'static str>, now: Now) -> Option<Result<Token, Error>> {
        self.credential.handle(event, now);
        self.drain(now)
    }

    /// Answers the call in flight, if there is one.
    pub(crate) fn tell(&mut self, told: Told, now: Now) {
        match self.call.take() {
            None => return,
            Some(Called::Refresher(request)) => {
                let event = match refreshed(told, now) {
                    Ok(token) => Event::TokenReceived { request, token },
                    Err(error) => Event::RefreshFailed { request, error },
                };
                self.credential.handle(event, now);
            }
            Some(Called::Source(request)) => {
                let event = match acquired(told) {
                    Ok(token) => ExchangeEvent::EntraTokenReceived { token },
                    Err(SourceError::Failed(error)) => ExchangeEvent::EntraTokenFailed { error },
                    Err(_) => ExchangeEvent::SignedOut,
                };
                self.credential.tell_exchange(request, event, now);
            }
            Some(Called::Service(request)) => {
                let event = match exchanged(told, now) {
                    Ok(response) => ExchangeEvent::ResponseReceived { response },
                    Err(error) => ExchangeEvent::TransportFailed { error },
                };
                self.credential.tell_exchange(request, event, now);
            }
        }
        self.drain(now);
    }

    fn drain(&mut self, now: Now) -> Option<Result<Token, Error>> {
        let mut answer = None;
        while let Some(to_do) = self.credential.poll(now) {
            match to_do {
                ToDo::Act(Action::ReturnToken { waiter, result }) => {
                    self.answers.insert(waiter, result.clone());
                    answer = Some(result);
                }
                ToDo::Act(Action::CallRefresher { request, .. }) => self.called(Called::Refresher(request)),
                ToDo::Exchange(request, ExchangeAction::AcquireEntraToken { .. }) => {
                    self.called(Called::Source(request))
                }
                ToDo::Exchange(request, ExchangeAction::SendRequest { .. }) => self.called(Called::Service(request)),
                ToDo::Act(Action::CancelRefresher { .. }) => self.call = None,
                ToDo::Act(_) | ToDo::Exchange(..) => {}
            }
        }
        answer
    }

    fn called(&mut self, call: Called) {
        self.calls += 1;
        self.call = Some(call);
    }

    pub(crate) fn wake(&mut self, now: Now) {
        if self.credential.deadline().is_some() {
            self.handle(Event::TimeAdvanced, now);
        }
    }

    pub(crate) fn ask(&mut self, now: Now) -> Result<Option<Token>, Error> {
        let answer = self.handle(Event::TokenRequested { waiter: WHO }, now);
        if answer.is_none() {
            self.handle(Event::RequestCancelled { waiter: WHO }, now);
        }
        answer.transpose()
    }

    /// Puts a request, and cancels it if there is no answer.
    pub(crate) fn ask_without_waiting(&mut self, now: Now) -> Result<Option<Token>, Error> {
        match self.ask(now)? {
            Some(token) => Ok(Some(token)),
            None => match self.credential.machine.token(now) {
                Some(token) => Ok(Some(token.clone())),
                None => self.credential.machine.pending_error(now).map_or(Ok(None), Err),
            },
        }
    }
}
