//! Plays a scenario through the machine alone, in virtual time: a host that sleeps exactly until the deadline.

use std::collections::{BTreeMap, VecDeque};

use acs_common::entra::{EntraEvent, EntraMachine, EntraToken, HttpResponse};
use acs_common::{Error, Event, Machine, Monotonic, Notice, Now, RefresherError, RequestId, Token, UnixTime};
use serde_json::{Value, json};

use super::scenario::{Credential, Do, Exchanged, Failed, Given, Outcome, Scenario};
use super::subject::{Happened, Pending, Subject, Told};
use super::tokens::{entra_token, new_token, token_response};

/// How long after a step of the wall clock, or a suspension, a host that sleeps in slices looks at its clocks.
const SLICE: u64 = 60_000;

/// The timeline of a scenario, as its file would have it.
pub fn timeline(scenario: &Scenario) -> Vec<Value> {
    beginning(scenario, usize::MAX)
}

/// What comes of the first so many things that happen: a life may be long, and busy.
pub fn beginning(scenario: &Scenario, most: usize) -> Vec<Value> {
    let policy = match &scenario.policy {
        Ok(policy) => policy.clone(),
        Err(_) => return vec![construction_failed("invalid_policy")],
    };
    let now = Clocks::new(scenario.start).now(0);
    let machine = match &scenario.credential {
        Credential::Static(token) => {
            Machine::with_static_token(new_token(token, "static", scenario.start), policy, now)
        }
        Credential::Refreshing { initial } => {
            let initial = initial.as_ref().map(|token| new_token(token, "initial", scenario.start));
            Machine::new(initial, policy, now)
        }
        Credential::Entra { options: Ok(options), .. } => {
            let machine = EntraMachine::new(options.clone(), policy, now);
            return Host::new(scenario, Subject::Entra(Box::new(machine))).play(most);
        }
        Credential::Entra { options: Err(_), .. } => return vec![construction_failed("invalid_options")],
    };
    match machine {
        Ok(machine) => Host::new(scenario, Subject::Refresher(Box::new(machine))).play(most),
        Err(_) => vec![construction_failed("invalid_token")],
    }
}

fn construction_failed(error: &str) -> Value {
    json!({"at": 0, "event": "construction_failed", "error": error})
}

/// Both clocks of the host, told from the true time, as a watch outside would show it.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    start: i64,
    stepped: i64,
    suspended: u64,
}

impl Clocks {
    pub fn new(start: i64) -> Self {
        Self { start, stepped: 0, suspended: 0 }
    }

    pub fn now(self, at: u64) -> Now {
        let unix = self.start.saturating_mul(1_000).saturating_add_unsigned(at).saturating_add(self.stepped);
        Now::new(Monotonic::from_millis(at.saturating_sub(self.suspended)), UnixTime::from_millis(unix))
    }

    /// When the monotonic clock will show this, if nothing else happens.
    fn true_time(self, monotonic: Monotonic) -> u64 {
        monotonic.as_millis().saturating_add(self.suspended)
    }
}

/// What comes next; the order of the variants is the order within a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Script,
    Answer,
    Timer,
    Look,
}

struct Host<'a> {
    scenario: &'a Scenario,
    machine: Subject<'a>,
    clocks: Clocks,
    at: u64,
    /// The end of the suspension; nothing happens before.
    awake: u64,
    script: VecDeque<&'a super::scenario::Step>,
    /// Of the refresher, or of the source of Entra tokens.
    calls: usize,
    exchanges: usize,
    /// Who is signed in, and with which Entra token.
    signed_in: Option<&'a str>,
    /// By when they are due, in the order of the calls; and which of its kind each is, from 0.
    answers: BTreeMap<(u64, usize), (Pending, usize)>,
    timer: Option<Monotonic>,
    /// When to look at the clocks besides.
    looks: VecDeque<Monotonic>,
    /// The accepted tokens, the latest last.
    tokens: Vec<(Token, String)>,
    timeline: Vec<Value>,
}

impl<'a> Host<'a> {
    fn new(scenario: &'a Scenario, machine: Subject<'a>) -> Self {
        let (name, signed_in) = match &scenario.credential {
            Credential::Static(_) => ("static", None),
            Credential::Refreshing { .. } => ("initial", None),
            Credential::Entra { signed_in, .. } => ("", signed_in.as_deref()),
        };
        let mut host = Self {
            scenario,
            machine,
            clocks: Clocks::new(scenario.start),
            at: 0,
            awake: 0,
            script: scenario.script.iter().collect(),
            calls: 0,
            exchanges: 0,
            signed_in,
            answers: BTreeMap::new(),
            timer: None,
            looks: VecDeque::new(),
            tokens: Vec::new(),
            timeline: Vec::new(),
        };
        host.learn_token(|| name.to_owned());
        host.drain();
        host
    }

    fn play(mut self, most: usize) -> Vec<Value> {
        for _ in 0..most {
            let Some((at, next)) = self.next().filter(|(at, _)| *at <= self.scenario.until) else { break };
            self.at = at;
            match next {
                Next::Script => {
                    let step = self.script.pop_front().expect("it was next");
                    self.run(&step.action);
                }
                Next::Answer => {
                    let (_, (pending, index)) = self.answers.pop_first().expect("it was next");
                    self.answer(pending, index);
                }
                Next::Timer => {
                    self.timer = None;
                    self.handle(Happened::TimeAdvanced);
                }
                Next::Look => {
                    self.looks.pop_front();
                    self.handle(Happened::TimeAdvanced);
                }
            }
        }
        self.timeline
    }

    /// When the next thing happens. What falls into a suspension happens at its end, in its original order.
    fn next(&self) -> Option<(u64, Next)> {
        let script = self.script.front().map(|step| (step.at, Next::Script));
        let answer = self.answers.keys().next().map(|(due, _)| (*due, Next::Answer));
        let timer = self.timer.map(|at| (self.clocks.true_time(at), Next::Timer));
        let look = self.looks.front().map(|at| (self.clocks.true_time(*at), Next::Look));
        let planned = |next: (u64, Next)| (next.0.max(self.awake), next.1 >= Next::Timer, next.0, next.1);
        [script, answer, timer, look].into_iter().flatten().map(planned).min().map(|(at, _, _, next)| (at, next))
    }

    fn run(&mut self, action: &'a Do) {
        match action {
            Do::GetToken { id } => self.handle(Happened::Requested(id)),
            Do::Cancel { id } => self.handle(Happened::Cancelled(id)),
            Do::Reject { token } => {
                let known = self.tokens.iter().find(|(_, name)| name == token).map(|(token, _)| token.clone());
                // A token that was never accepted is nothing to report; the host has looked at its clocks all the same.
                self.handle(known.map_or(Happened::TimeAdvanced, Happened::Rejected));
            }
            Do::Dispose => self.handle(Happened::Disposed),
            Do::TryNow => self.handle(Happened::TryNow),
            Do::SignIn { with } => self.signed_in = Some(with),
            Do::SignOut => self.signed_in = None,
            Do::StepWallClock { by } => {
                self.clocks.stepped = self.clocks.stepped.saturating_add(*by);
                self.look_later();
            }
            Do::Suspend { millis } => {
                self.clocks.suspended = self.clocks.suspended.saturating_add(*millis);
                self.awake = self.at.saturating_add(*millis);
                self.look_later();
            }
        }
    }

    fn look_later(&mut self) {
        // A suspension has been accounted for: its end shows the same monotonic time as its start.
        let monotonic = self.clocks.now(self.at.max(self.awake)).monotonic.as_millis();
        self.looks.push_back(Monotonic::from_millis(monotonic.saturating_add(SLICE)));
    }

    fn answer(&mut self, pending: Pending, index: usize) {
        let now = self.now();
        match pending {
            Pending::Refresh(request) => {
                let event = self.refreshed(request, index);
                self.machine.answer(event, now);
                self.learn_token(|| format!("r{}", index + 1));
            }
            Pending::Source { call, .. } => {
                let event = match self.scenario.source.get(index).map(|answer| &answer.given) {
                    None | Some(Given::WhoIsSignedIn) => match self.signed_in {
                        Some(with) => EntraEvent::EntraTokenReceived { call, token: entra_token(with) },
                        None => EntraEvent::SignedOut { call },
                    },
                    Some(Given::Blank) => EntraEvent::EntraTokenReceived { call, token: EntraToken::new(" ") },
                    Some(Given::Error(failed)) => EntraEvent::EntraTokenFailed { call, error: error(failed) },
                };
                self.machine.answer_entra(event, now);
            }
            Pending::Exchange(call) => {
                let answer = &self.scenario.exchange[index];
                let respond = |status, body: String| {
                    let response = HttpResponse::new(status).with_body(body.into_bytes());
                    let headers = answer.headers.iter();
                    let response = headers.fold(response, |response, (name, value)| response.with_header(name, value));
                    EntraEvent::ResponseReceived { call, response }
                };
                let event = match &answer.exchanged {
                    Exchanged::Token(token) => {
                        respond(200, token_response(token, &format!("x{}", index + 1), self.scenario.start))
                    }
                    Exchanged::Response { status, body } => respond(*status, body.clone()),
                    Exchanged::Unreachable(what) => {
                        EntraEvent::TransportFailed { call, error: RefresherError::new(what.as_str()) }
                    }
                };
                self.machine.answer_entra(event, now);
                self.learn_token(|| format!("x{}", index + 1));
            }
        }
        self.drain();
    }

    fn refreshed(&self, request: RequestId, call: usize) -> Event<&'a str> {
        match &self.scenario.refresher[call].outcome {
            Outcome::Token(token) => {
                let token = new_token(token, &format!("r{}", call + 1), self.scenario.start);
                Event::TokenReceived { request, token }
            }
            Outcome::Error(failed) => Event::RefreshFailed { request, error: error(failed) },
        }
    }

    fn now(&self) -> Now {
        self.clocks.now(self.at)
    }

    fn handle(&mut self, happened: Happened<'a>) {
        self.machine.handle(happened, self.now());
        self.drain();
    }

    /// Remembers the token held, if it is another than before.
    fn learn_token(&mut self, name: impl FnOnce() -> String) {
        if let Some(token) = self.machine.token(self.now())
            && self.tokens.last().is_none_or(|(last, _)| !last.is_same(token))
        {
            self.tokens.push((token.clone(), name()));
        }
    }

    fn drain(&mut self) {
        while let Some(told) = self.machine.poll() {
            match told {
                Told::Answer(waiter, Ok(token)) => {
                    let name = self.tokens.iter().rev().find(|(known, _)| known.is_same(&token)).map(|(_, name)| name);
                    let event = json!({"at": self.at, "event": "token", "id": waiter, "token": name});
                    self.timeline.push(event);
                }
                Told::Answer(waiter, Err(error)) => {
                    self.timeline.push(json!({"at": self.at, "event": "error", "id": waiter, "error": kind(&error)}));
                }
                Told::Call(pending) => self.call(pending),
                // A host that cannot cancel: the late answer must change nothing.
                Told::Cancel => {}
                Told::Notice(notice) => {
                    let name = match notice {
                        Notice::TokenChanged { .. } => "token_changed",
                        Notice::RefreshFailed { .. } => "refresh_failed",
                        Notice::TokenExpired => "token_expired",
                        Notice::Disposed => "disposed",
                        _ => continue,
                    };
                    if self.scenario.notices {
                        self.timeline.push(json!({"at": self.at, "event": "notice", "notice": name}));
                    }
                }
                Told::Timer(at) => self.timer = at,
            }
        }
    }

    fn call(&mut self, pending: Pending) {
        let (index, name, after) = match pending {
            Pending::Refresh(_) => {
                let after = self.scenario.refresher.get(self.calls).map(|answer| answer.after);
                self.calls += 1;
                (self.calls - 1, "refresher_called", after)
            }
            Pending::Source { .. } => {
                let after = self.scenario.source.get(self.calls).map_or(0, |answer| answer.after);
                self.calls += 1;
                (self.calls - 1, "source_called", Some(after))
            }
            Pending::Exchange(_) => {
                let after = self.scenario.exchange.get(self.exchanges).map(|answer| answer.after);
                self.exchanges += 1;
                (self.exchanges - 1, "exchange_requested", after)
            }
        };
        let mut event = json!({"at": self.at, "event": name, "call": index + 1});
        if matches!(pending, Pending::Source { fresh: true, .. }) {
            event["fresh"] = Value::Bool(true);
        }
        self.timeline.push(event);
        if let Some(after) = after {
            let nth = self.calls + self.exchanges;
            self.answers.insert((self.at.saturating_add(after), nth), (pending, index));
        }
    }
}

fn error(failed: &Failed) -> RefresherError {
    let mut error = RefresherError::new(failed.message.as_str());
    if failed.permanent {
        error = error.permanent();
    }
    match failed.retry_after {
        Some(delay) => error.with_retry_after(delay),
        None => error,
    }
}

/// The kind of an error, as timelines have it.
pub fn kind(error: &Error) -> &'static str {
    match error {
        Error::RefreshFailed { cause, .. } => cause.kind().as_str(),
        Error::Disposed => "disposed",
        _ => "unknown",
    }
}
