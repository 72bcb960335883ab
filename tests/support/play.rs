//! Plays a scenario through the machine alone, in virtual time: a host that sleeps exactly until the deadline.

use std::collections::{BTreeMap, VecDeque};

use acs_common::{
    Action, Error, Event, Machine, Monotonic, NewToken, Notice, Now, RefresherError, RequestId, Token, UnixTime,
};
use base64::Engine as _;
use serde_json::{Value, json};

use super::scenario::{Credential, Do, Outcome, Scenario, TokenSpec};

/// How long after a step of the wall clock, or a suspension, a host that sleeps in slices looks at its clocks.
const SLICE: u64 = 60_000;

/// The timeline of a scenario, as its file would have it.
pub fn timeline(scenario: &Scenario) -> Vec<Value> {
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
    };
    match machine {
        Ok(machine) => Host::new(scenario, machine).play(),
        Err(_) => vec![construction_failed("invalid_token")],
    }
}

fn construction_failed(error: &str) -> Value {
    json!({"at": 0, "event": "construction_failed", "error": error})
}

/// A token as the scenario describes it; `name` makes opaque ones differ.
pub fn new_token(token: &TokenSpec, name: &str, start: i64) -> NewToken {
    match token {
        TokenSpec::Jwt { exp, iat } => {
            let exp = exp.after(start);
            let payload = match iat {
                Some(iat) => format!("{{\"exp\":{exp},\"iat\":{}}}", iat.after(start)),
                None => format!("{{\"exp\":{exp}}}"),
            };
            let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload);
            NewToken::new(format!("eyJhbGciOiJub25lIn0.{payload}.{name}"))
        }
        TokenSpec::ExpiresIn(secs) => {
            let lifetime = std::time::Duration::from_millis(secs.as_millis().unsigned_abs());
            NewToken::new(format!("opaque {name}")).with_expires_in(lifetime)
        }
        TokenSpec::ExpiresOn(secs) => {
            let moment = UnixTime::from_millis(secs.after(start).as_millis());
            NewToken::new(format!("opaque {name}")).with_expires_on(moment)
        }
        TokenSpec::Opaque => NewToken::new(format!("opaque {name}")),
        TokenSpec::Raw(text) => NewToken::new(text.as_str()),
    }
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
    machine: Machine<&'a str>,
    clocks: Clocks,
    at: u64,
    /// The end of the suspension; nothing happens before.
    awake: u64,
    script: VecDeque<&'a super::scenario::Step>,
    calls: usize,
    /// By when they are due and which call they answer.
    answers: BTreeMap<(u64, usize), RequestId>,
    timer: Option<Monotonic>,
    /// When to look at the clocks besides.
    looks: VecDeque<Monotonic>,
    /// The accepted tokens, the latest last.
    tokens: Vec<(Token, String)>,
    timeline: Vec<Value>,
}

impl<'a> Host<'a> {
    fn new(scenario: &'a Scenario, machine: Machine<&'a str>) -> Self {
        let name = match scenario.credential {
            Credential::Static(_) => "static",
            Credential::Refreshing { .. } => "initial",
        };
        let mut host = Self {
            scenario,
            machine,
            clocks: Clocks::new(scenario.start),
            at: 0,
            awake: 0,
            script: scenario.script.iter().collect(),
            calls: 0,
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

    fn play(mut self) -> Vec<Value> {
        while let Some((at, next)) = self.next() {
            if at > self.scenario.until {
                break;
            }
            self.at = at;
            match next {
                Next::Script => {
                    let step = self.script.pop_front().expect("it was next");
                    self.run(&step.action);
                }
                Next::Answer => {
                    let ((_, call), request) = self.answers.pop_first().expect("it was next");
                    self.answer(call, request);
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
            Do::GetToken { id } => self.handle(Event::TokenRequested { waiter: id }),
            Do::Cancel { id } => self.handle(Event::RequestCancelled { waiter: id }),
            Do::Reject { token } => {
                let known = self.tokens.iter().find(|(_, name)| name == token).map(|(token, _)| token.clone());
                // A token that was never accepted is nothing to report; the host has looked at its clocks all the same.
                self.handle(known.map_or(Event::TimeAdvanced, |token| Event::TokenRejected { token }));
            }
            Do::Dispose => self.handle(Event::Disposed),
            Do::TryNow => self.handle(Event::TryNow),
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

    fn answer(&mut self, call: usize, request: RequestId) {
        let name = || format!("r{}", call + 1);
        match &self.scenario.refresher[call].outcome {
            Outcome::Token(token) => {
                let token = new_token(token, &name(), self.scenario.start);
                self.machine.handle(Event::TokenReceived { request, token }, self.now());
                self.learn_token(name);
                self.drain();
            }
            Outcome::Error { message, permanent, retry_after } => {
                let mut error = RefresherError::new(message.as_str());
                if *permanent {
                    error = error.permanent();
                }
                if let Some(delay) = retry_after {
                    error = error.with_retry_after(*delay);
                }
                self.handle(Event::RefreshFailed { request, error });
            }
        }
    }

    fn now(&self) -> Now {
        self.clocks.now(self.at)
    }

    fn handle(&mut self, event: Event<&'a str>) {
        self.machine.handle(event, self.now());
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
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::ReturnToken { waiter, result: Ok(token) } => {
                    let name = self.tokens.iter().rev().find(|(known, _)| known.is_same(&token)).map(|(_, name)| name);
                    let event = json!({"at": self.at, "event": "token", "id": waiter, "token": name});
                    self.timeline.push(event);
                }
                Action::ReturnToken { waiter, result: Err(error) } => {
                    self.timeline.push(json!({"at": self.at, "event": "error", "id": waiter, "error": kind(&error)}));
                }
                Action::CallRefresher { request } => {
                    if let Some(answer) = self.scenario.refresher.get(self.calls) {
                        self.answers.insert((self.at.saturating_add(answer.after), self.calls), request);
                    }
                    self.calls += 1;
                    self.timeline.push(json!({"at": self.at, "event": "refresher_called", "call": self.calls}));
                }
                // A host that cannot cancel: the late answer must change nothing.
                Action::CancelRefresher { .. } => {}
                Action::Notify(notice) => {
                    if self.scenario.notices {
                        let notice = match notice {
                            Notice::TokenChanged { .. } => "token_changed",
                            Notice::RefreshFailed { .. } => "refresh_failed",
                            Notice::TokenExpired => "token_expired",
                            Notice::Disposed => "disposed",
                            _ => continue,
                        };
                        self.timeline.push(json!({"at": self.at, "event": "notice", "notice": notice}));
                    }
                }
                Action::ScheduleTimer { at } => self.timer = at,
            }
        }
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
