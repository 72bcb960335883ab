//! Plays a scenario through the machine alone, in virtual time. The host sleeps exactly until the deadline.

use std::collections::{BTreeMap, VecDeque};

use acs_common::entra::{EntraToken, ExchangeAction, ExchangeEvent, HttpRequest, HttpResponse};
use acs_common::{
    Action, DateSource, Error, Event, Machine, Monotonic, Notice, Now, RefresherError, RequestId, Token, UnixTime,
};
use serde_json::{Value, json};

use super::credential::{self, ToDo};
use super::scenario::{Credential, Do, Exchanged, Failed, Given, Outcome, Scenario};
use super::tokens::{entra_text, new_token, token_response};

/// How long after a step of the wall clock, or a suspension, a host that sleeps in slices reads its clocks.
const SLICE: u64 = 60_000;

/// The result of a scenario.
#[derive(Debug, Default)]
pub struct Played {
    /// The timeline, in the format of scenario files.
    pub timeline: Vec<Value>,
    /// The HTTP requests of an Entra user's credential, with tokens by their names.
    pub requests: Vec<Value>,
}

/// The timeline of a scenario, in the format of scenario files.
pub fn timeline(scenario: &Scenario) -> Vec<Value> {
    play(scenario).timeline
}

/// The timeline of the first `most` steps: a scenario may be long and busy.
pub fn beginning(scenario: &Scenario, most: usize) -> Vec<Value> {
    play_at_most(scenario, most).timeline
}

pub fn play(scenario: &Scenario) -> Played {
    play_at_most(scenario, usize::MAX)
}

fn play_at_most(scenario: &Scenario, most: usize) -> Played {
    match credential(scenario) {
        Ok(credential) => Host::new(scenario, credential).play(most),
        Err(error) => {
            let timeline = vec![json!({"at": 0, "event": "construction_failed", "error": error})];
            Played { timeline, ..Played::default() }
        }
    }
}

fn credential(scenario: &Scenario) -> Result<credential::Credential<&str>, &'static str> {
    let policy = scenario.policy.clone().map_err(|_| "invalid_policy")?;
    let now = Clocks::new(scenario).now(0);
    let machine = match &scenario.credential {
        Credential::Static(token) => {
            Machine::with_static_token(new_token(token, "static", scenario.start), policy, now)
        }
        Credential::Refreshing { initial } => {
            let initial = initial.as_ref().map(|token| new_token(token, "initial", scenario.start));
            Machine::new(initial, policy, now)
        }
        Credential::Entra { options, .. } => {
            let options = options.clone().map_err(|_| "invalid_options")?;
            return Ok(credential::Credential::of_entra_user(options, policy, now));
        }
    };
    machine.map(credential::Credential::new).map_err(|_| "invalid_token")
}

/// Both clocks of the host, computed from the true time, which an external clock would show.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    start: i64,
    stepped: i64,
    suspended: u64,
}

impl Clocks {
    pub fn new(scenario: &Scenario) -> Self {
        Self { start: scenario.start, stepped: scenario.ahead, suspended: 0 }
    }

    pub fn now(self, at: u64) -> Now {
        let unix = self.start.saturating_mul(1_000).saturating_add_unsigned(at).saturating_add(self.stepped);
        Now::new(Monotonic::from_millis(at.saturating_sub(self.suspended)), UnixTime::from_millis(unix))
    }

    /// The true time at which the monotonic clock shows this, if nothing else happens.
    fn true_time(self, monotonic: Monotonic) -> u64 {
        monotonic.as_millis().saturating_add(self.suspended)
    }
}

/// The next thing to happen. The order of the variants is the order within a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Script,
    Answer,
    Timer,
    Look,
}

/// A call without an answer yet, with its number among calls of its kind, from 0.
#[derive(Clone, Copy, Debug)]
enum Call {
    Refresher(RequestId, usize),
    Source(RequestId, usize),
    Service(RequestId, usize),
}

struct Host<'a> {
    scenario: &'a Scenario,
    credential: credential::Credential<&'a str>,
    clocks: Clocks,
    at: u64,
    /// The end of the suspension. Nothing happens before it.
    awake: u64,
    script: VecDeque<&'a super::scenario::Step>,
    /// The calls of the refresher, or of the source of Entra tokens.
    calls: usize,
    exchanges: usize,
    /// The Entra token of the signed-in user, if any.
    signed_in: Option<&'a str>,
    /// The names of the Entra tokens that the source has given.
    given: Vec<&'a str>,
    /// By due time, then in the order of the calls.
    answers: BTreeMap<(u64, usize), Call>,
    timer: Option<Monotonic>,
    /// When to read the clocks additionally.
    looks: VecDeque<Monotonic>,
    /// The accepted tokens, the latest last.
    tokens: Vec<(Token, String)>,
    /// The name of the next token that is accepted.
    naming: String,
    played: Played,
}

impl<'a> Host<'a> {
    fn new(scenario: &'a Scenario, credential: credential::Credential<&'a str>) -> Self {
        let (name, signed_in) = match &scenario.credential {
            Credential::Static(_) => ("static", None),
            Credential::Refreshing { .. } => ("initial", None),
            Credential::Entra { signed_in, .. } => ("", signed_in.as_deref()),
        };
        let mut host = Self {
            scenario,
            credential,
            clocks: Clocks::new(scenario),
            at: 0,
            awake: 0,
            script: scenario.script.iter().collect(),
            calls: 0,
            exchanges: 0,
            signed_in,
            given: Vec::new(),
            answers: BTreeMap::new(),
            timer: None,
            looks: VecDeque::new(),
            tokens: Vec::new(),
            naming: name.to_owned(),
            played: Played::default(),
        };
        host.learn_token();
        host.drain();
        host
    }

    fn play(mut self, most: usize) -> Played {
        for _ in 0..most {
            let Some((at, next)) = self.next().filter(|(at, _)| *at <= self.scenario.until) else { break };
            self.at = at;
            match next {
                Next::Script => {
                    let step = self.script.pop_front().expect("the script has a next step");
                    self.run(&step.action);
                }
                Next::Answer => {
                    let (_, call) = self.answers.pop_first().expect("the next answer exists");
                    self.answer(call);
                }
                Next::Timer => {
                    self.timer = None;
                    self.handle(Event::TimeAdvanced);
                }
                Next::Look => {
                    self.looks.pop_front();
                    self.handle(Event::TimeAdvanced);
                }
            }
        }
        self.played
    }

    /// When the next thing happens. What falls into a suspension happens at its end, in the original order.
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
            Do::GetToken { id } => self.handle(Event::TokenRequested { waiter: id.as_str() }),
            Do::Cancel { id } => self.handle(Event::RequestCancelled { waiter: id.as_str() }),
            Do::Reject { token } => {
                let known = self.tokens.iter().find(|(_, name)| name == token).map(|(token, _)| token.clone());
                // A token that was never accepted cannot be rejected. The host reads its clocks all the same.
                self.handle(known.map_or(Event::TimeAdvanced, |token| Event::TokenRejected { token }));
            }
            Do::Dispose => self.handle(Event::Disposed),
            Do::RetryNow => self.handle(Event::RetryNow),
            Do::SignIn { with } => self.signed_in = Some(with),
            Do::SignOut => self.signed_in = None,
            Do::StepWallClock { by } => {
                self.clocks.stepped = self.clocks.stepped.saturating_add(*by);
                self.look_later();
            }
            Do::ServiceDate { ahead, took } => {
                let date = self.date(*ahead);
                let sent = self.clocks.now(self.at.saturating_sub(*took));
                self.handle(Event::ServerTimeSeen { date, sent, by: DateSource::Service });
            }
            Do::Suspend { millis } => {
                self.clocks.suspended = self.clocks.suspended.saturating_add(*millis);
                self.awake = self.at.saturating_add(*millis);
                self.look_later();
            }
        }
    }

    fn look_later(&mut self) {
        // A suspension needs no correction: the monotonic time at its end is the same as at its start.
        let monotonic = self.clocks.now(self.at.max(self.awake)).monotonic.as_millis();
        self.looks.push_back(Monotonic::from_millis(monotonic.saturating_add(SLICE)));
    }

    fn answer(&mut self, call: Call) {
        let now = self.now();
        match call {
            Call::Refresher(request, index) => {
                self.naming = format!("r{}", index + 1);
                self.credential.handle(self.refreshed(request, index), now);
            }
            Call::Source(request, index) => {
                let event = match self.scenario.source.get(index).map(|answer| &answer.given) {
                    None | Some(Given::WhoIsSignedIn) => match self.signed_in {
                        Some(with) => {
                            self.given.push(with);
                            ExchangeEvent::EntraTokenReceived { token: EntraToken::new(entra_text(with)) }
                        }
                        None => ExchangeEvent::SignedOut,
                    },
                    Some(Given::Blank) => ExchangeEvent::EntraTokenReceived { token: EntraToken::new(" ") },
                    Some(Given::Error(failed)) => ExchangeEvent::EntraTokenFailed { error: error(failed) },
                };
                self.credential.tell_exchange(request, event, now);
            }
            Call::Service(request, index) => {
                self.naming = format!("x{}", index + 1);
                let event = self.exchanged(index);
                self.credential.tell_exchange(request, event, now);
            }
        }
        self.drain();
    }

    /// The `Date` of a server whose clock is ahead by so many milliseconds: cut to the second.
    fn date(&self, ahead: i64) -> UnixTime {
        let true_time = self.scenario.start.saturating_mul(1_000).saturating_add_unsigned(self.at);
        UnixTime::from_secs(UnixTime::from_millis(true_time.saturating_add(ahead)).as_secs())
    }

    fn refreshed(&self, request: RequestId, call: usize) -> Event<&'a str> {
        match &self.scenario.refresher[call].outcome {
            Outcome::Token(token) => {
                let token = new_token(token, &self.naming, self.scenario.start);
                let token = if self.scenario.server_date { token.with_server_time(self.date(0)) } else { token };
                Event::TokenReceived { request, token }
            }
            Outcome::Error(failed) => {
                let error = error(failed);
                let error = if self.scenario.server_date { error.with_server_time(self.date(0)) } else { error };
                Event::RefreshFailed { request, error }
            }
        }
    }

    fn exchanged(&self, call: usize) -> ExchangeEvent {
        let answer = &self.scenario.exchange[call];
        let (status, body) = match &answer.exchanged {
            Exchanged::Token(token) => (200, token_response(token, &self.naming, self.scenario.start)),
            Exchanged::Response { status, body } => (*status, body.clone()),
            Exchanged::Unreachable(what) => {
                return ExchangeEvent::TransportFailed { error: RefresherError::new(what.as_str()) };
            }
        };
        let response = HttpResponse::new(status).with_body(body.into_bytes());
        let headers = answer.headers.iter();
        let mut response = headers.fold(response, |response, (name, value)| response.with_header(name, value));
        if self.scenario.server_date
            && let Some(date) = chrono::DateTime::from_timestamp(self.date(0).as_secs(), 0)
        {
            response = response.with_header("Date", &date.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        }
        ExchangeEvent::ResponseReceived { response }
    }

    fn now(&self) -> Now {
        self.clocks.now(self.at)
    }

    fn handle(&mut self, event: Event<&'a str>) {
        self.credential.handle(event, self.now());
        self.drain();
    }

    /// Remembers the held token, if it has changed.
    fn learn_token(&mut self) {
        if let Some(token) = self.credential.machine.token(self.now())
            && self.tokens.last().is_none_or(|(last, _)| !last.ptr_eq(token))
        {
            self.tokens.push((token.clone(), self.naming.clone()));
        }
    }

    fn drain(&mut self) {
        while let Some(to_do) = self.credential.poll(self.now()) {
            // The last event may have brought a token.
            self.learn_token();
            match to_do {
                ToDo::Act(Action::ReturnToken { waiter, result: Ok(token) }) => {
                    let name = self.tokens.iter().rev().find(|(known, _)| known.ptr_eq(&token)).map(|(_, name)| name);
                    let event = json!({"at": self.at, "event": "token", "id": waiter, "token": name});
                    self.played.timeline.push(event);
                }
                ToDo::Act(Action::ReturnToken { waiter, result: Err(error) }) => {
                    let event = json!({"at": self.at, "event": "error", "id": waiter, "error": kind(&error)});
                    self.played.timeline.push(event);
                }
                ToDo::Act(Action::CallRefresher { request, .. }) => {
                    let after = self.scenario.refresher.get(self.calls).map(|answer| answer.after);
                    self.called("refresher_called", self.calls);
                    self.expect(Call::Refresher(request, self.calls), after);
                    self.calls += 1;
                }
                // This host cannot cancel: the late answer must change nothing.
                ToDo::Act(Action::CancelRefresher { .. }) => {}
                ToDo::Act(Action::CheckSource { .. }) => unreachable!("it is passed on to the exchange"),
                ToDo::Act(Action::Notify(notice)) => self.notice(&notice),
                ToDo::Act(Action::ScheduleTimer { .. }) | ToDo::Exchange(_, ExchangeAction::ScheduleTimer { .. }) => {
                    self.timer = self.credential.deadline();
                }
                ToDo::Exchange(request, ExchangeAction::AcquireEntraToken { fresh, .. }) => {
                    self.called("source_called", self.calls);
                    if fresh && let Some(event) = self.played.timeline.last_mut() {
                        event["fresh"] = Value::Bool(true);
                    }
                    let after = self.scenario.source.get(self.calls).map_or(0, |answer| answer.after);
                    self.expect(Call::Source(request, self.calls), Some(after));
                    self.calls += 1;
                }
                ToDo::Exchange(request, ExchangeAction::SendRequest { request: sent }) => {
                    self.called("exchange_requested", self.exchanges);
                    self.sent(&sent);
                    let after = self.scenario.exchange.get(self.exchanges).map(|answer| answer.after);
                    self.expect(Call::Service(request, self.exchanges), after);
                    self.exchanges += 1;
                }
                ToDo::Exchange(_, ExchangeAction::ReportSource { .. } | ExchangeAction::Finish { .. }) => {
                    unreachable!("it is passed on to the machine")
                }
            }
        }
        self.learn_token();
    }

    fn notice(&mut self, notice: &Notice) {
        let name = match notice {
            Notice::TokenChanged { .. } => "token_changed",
            Notice::RefreshFailed { .. } => "refresh_failed",
            Notice::TokenExpired => "token_expired",
            Notice::ClockSkewed { .. } => "clock_skewed",
            Notice::Disposed => "disposed",
            _ => return,
        };
        if self.scenario.notices {
            self.played.timeline.push(json!({"at": self.at, "event": "notice", "notice": name}));
        }
    }

    fn called(&mut self, event: &str, index: usize) {
        self.played.timeline.push(json!({"at": self.at, "event": event, "call": index + 1}));
    }

    fn expect(&mut self, call: Call, after: Option<u64>) {
        if let Some(after) = after {
            let nth = self.calls + self.exchanges;
            self.answers.insert((self.at.saturating_add(after), nth), call);
        }
    }

    fn sent(&mut self, request: &HttpRequest) {
        let header = |(name, value): (&str, &str)| {
            let is_sent = |entra: &&&str| value.strip_prefix("Bearer ") == Some(&entra_text(entra));
            let value = match self.given.iter().find(is_sent) {
                Some(entra) => format!("Bearer {entra}"),
                None => value.to_owned(),
            };
            (name.to_owned(), Value::String(value))
        };
        let headers: serde_json::Map<_, _> = request.expose_headers().map(header).collect();
        self.played.requests.push(json!({
            "at": self.at,
            "call": self.exchanges + 1,
            "method": request.method(),
            "url": request.url(),
            "headers": headers,
            "body": request.body(),
        }));
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

/// The kind of an error, as timelines name it.
pub fn kind(error: &Error) -> &'static str {
    match error {
        Error::RefreshFailed { cause, .. } => cause.kind().as_str(),
        Error::Disposed => "disposed",
        _ => "unknown",
    }
}
