//! The exchange of Entra tokens: what it may be told, what it sends, and what it makes of each answer.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod coverage;
mod errors;
mod hints;
mod laws;
mod options;
mod wire;

use acs_common::entra::{CallId, EntraAction, EntraEvent, EntraMachine, EntraOptions, EntraToken, ExchangeError};
use acs_common::entra::{HttpRequest, HttpResponse};
use acs_common::{Error, Monotonic, Notice, Now, Policy, RefreshError, RefresherError, Token, UnixTime};

use support::rig::START;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

/// A host that steps through an exchange by hand; both clocks run together.
struct Host {
    machine: EntraMachine<u32>,
    at: u64,
    /// The last call of each kind.
    source: Option<CallId>,
    sent: Option<(CallId, HttpRequest)>,
    fresh: bool,
    cancelled: Vec<CallId>,
    answers: Vec<(u32, Result<Token, Error>)>,
    failures: Vec<RefreshError>,
}

impl Host {
    fn new(options: EntraOptions, policy: Policy) -> Self {
        let mut host = Self {
            machine: EntraMachine::new(options, policy, now(0)),
            at: 0,
            source: None,
            sent: None,
            fresh: false,
            cancelled: Vec::new(),
            answers: Vec::new(),
            failures: Vec::new(),
        };
        host.drain();
        host
    }

    /// That has sent its first request, for the Entra token given.
    fn exchanging(entra: &str, policy: Policy) -> Self {
        let mut host = Self::new(contoso(), policy);
        host.sign_in(entra);
        host
    }

    fn now(&self) -> Now {
        now(self.at)
    }

    fn handle(&mut self, event: EntraEvent<u32>) {
        self.machine.handle(event, self.now());
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                EntraAction::ReturnToken { waiter, result } => self.answers.push((waiter, result)),
                EntraAction::Cancel { call } => self.cancelled.push(call),
                EntraAction::AcquireEntraToken { call, fresh, .. } => {
                    self.source = Some(call);
                    self.fresh = fresh;
                }
                EntraAction::SendRequest { call, request } => self.sent = Some((call, request)),
                EntraAction::Notify(Notice::RefreshFailed { cause, .. }) => self.failures.push(cause),
                EntraAction::Notify(_) | EntraAction::ScheduleTimer { .. } => {}
            }
        }
    }

    /// Answers the source's call.
    fn sign_in(&mut self, entra: &str) {
        let call = self.source.take().expect("the source is asked");
        self.handle(EntraEvent::EntraTokenReceived { call, token: EntraToken::new(entra) });
    }

    /// Answers the request, and hands it back.
    fn respond(&mut self, response: HttpResponse) -> HttpRequest {
        let (call, request) = self.sent.take().expect("a request was sent");
        self.handle(EntraEvent::ResponseReceived { call, response });
        request
    }

    fn unreachable(&mut self, error: RefresherError) {
        let (call, _) = self.sent.take().expect("a request was sent");
        self.handle(EntraEvent::TransportFailed { call, error });
    }

    /// How long until the next request is sent by the timer, if by then.
    fn pause(&mut self) -> Option<u64> {
        assert!(self.sent.is_none());
        let due = self.machine.deadline().expect("a refresh in flight has a timeout").as_millis();
        let before = self.at;
        self.at = due;
        self.handle(EntraEvent::TimeAdvanced);
        self.sent.is_some().then(|| due - before)
    }

    fn held(&self) -> Option<Token> {
        self.machine.token(self.now()).cloned()
    }

    fn failure(&self) -> &RefreshError {
        self.failures.last().expect("a refresh has failed")
    }

    /// Why the exchange failed.
    fn exchange_error(&self) -> &ExchangeError {
        let RefreshError::Refresher(error) = self.failure() else { panic!("{:?}", self.failure()) };
        error.get_ref().downcast_ref().expect("the exchange's own error")
    }
}

fn now(at: u64) -> Now {
    Now::new(Monotonic::from_millis(at), unix(at))
}

fn unix(at: u64) -> UnixTime {
    UnixTime::from_millis(START * 1_000 + i64::try_from(at).expect("a test's time is short"))
}

fn contoso() -> EntraOptions {
    EntraOptions::new("https://contoso.communication.azure.com").expect("it is right")
}

/// The default policy without jitter, so that pauses can be told.
fn exact() -> Policy {
    Policy::builder().exchange_jitter(0.0).build().expect("nothing is refused")
}

/// Status 200 and a token of this expiry.
fn success(token: &str, expires_on: &str) -> HttpResponse {
    let body = format!(r#"{{"accessToken": {{"token": "{token}", "expiresOn": "{expires_on}"}}}}"#);
    HttpResponse::new(200).with_body(body.into_bytes())
}
