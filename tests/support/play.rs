//! Plays a scenario through the machine alone, in virtual time. The host sleeps exactly until the deadline.
//!
//! The file is long because it is one host: all events and actions of it.

use std::collections::{BTreeMap, VecDeque};

use acs_common::entra::{EntraToken, ExchangeAction, ExchangeEvent};
use acs_common::{Action, DateSource, Event, FailureCause, Machine, Monotonic, Notice, Now, RequestId, Token};
use serde_json::{Value, json};

mod answers;
mod clocks;
mod shown;

use self::answers::error;
pub use self::answers::kind;
pub use self::clocks::Clocks;
pub use self::shown::{Seen, Watch};
use super::credential::{self, ToDo};
use super::scenario::{Answer, Credential, Do, Given, Scenario};
use super::tokens::{entra_text, new_token};

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

/// Plays the scenario, and shows what happens, with its true time, to someone who draws it.
pub fn play_watched<'a>(scenario: &'a Scenario, most: usize, watch: Watch<'a>) -> Played {
    play_for(scenario, most, Some(watch))
}

fn play_at_most(scenario: &Scenario, most: usize) -> Played {
    play_for(scenario, most, None)
}

fn play_for<'a>(scenario: &'a Scenario, most: usize, watch: Option<Watch<'a>>) -> Played {
    match credential(scenario) {
        Ok(credential) => Host::new(scenario, credential, watch).play(most),
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

/// The next thing to happen. The order of the variants is the order within a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Script,
    Answer,
    Timer,
    Look,
}

/// A call without an answer yet, with its number among calls of its kind, from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Call {
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
    /// The answers to the calls of the refresher, in order. `None`: it never answers.
    planned: Vec<Option<&'a Answer>>,
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
    /// The last event is an answer.
    answering: bool,
    played: Played,
    watch: Option<Watch<'a>>,
    /// The last token that was shown: its number, and when it is due and expires.
    shown: Option<(usize, Option<u64>, Option<u64>)>,
    /// The kind of the last failure, until it is shown.
    failure: Option<&'static str>,
}

impl<'a> Host<'a> {
    fn new(scenario: &'a Scenario, credential: credential::Credential<&'a str>, watch: Option<Watch<'a>>) -> Self {
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
            planned: Vec::new(),
            exchanges: 0,
            signed_in,
            given: Vec::new(),
            answers: BTreeMap::new(),
            timer: None,
            looks: VecDeque::new(),
            tokens: Vec::new(),
            naming: name.to_owned(),
            answering: false,
            played: Played::default(),
            watch,
            shown: None,
            failure: None,
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
        self.show(Seen::Step(action));
        match action {
            Do::GetToken { id } => self.handle(Event::TokenRequested { waiter: id.as_str() }),
            Do::Cancel { id } => self.handle(Event::RequestCancelled { waiter: id.as_str() }),
            Do::Reject { token } => {
                let held = self.credential.machine.token(self.now()).filter(|_| token == "held").cloned();
                let named = self.tokens.iter().find(|(_, name)| name == token).map(|(token, _)| token.clone());
                let known = held.or(named);
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
                self.show_token(true);
            }
            Do::ServiceDate { ahead, took } => {
                let date = self.clocks.date(self.at, *ahead);
                let sent = self.clocks.now(self.at.saturating_sub(*took));
                self.handle(Event::ServerTimeSeen { date, sent, by: DateSource::Service });
            }
            Do::Suspend { millis } => {
                self.clocks.suspended = self.clocks.suspended.saturating_add(*millis);
                self.awake = self.at.saturating_add(*millis);
                self.look_later();
                self.show_token(true);
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
        self.failure = None;
        self.answering = true;
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
        self.answering = false;
        self.show(Seen::Returned(call, self.failure));
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

    /// An answer that reads the same as the held token is the held token, under a new name.
    fn learn_name(&mut self) {
        if let Some(token) = self.credential.machine.token(self.now())
            && let Some((last, name)) = self.tokens.last()
            && last.ptr_eq(token)
            && *name != self.naming
        {
            self.tokens.push((token.clone(), self.naming.clone()));
        }
    }

    fn drain(&mut self) {
        while let Some(to_do) = self.credential.poll(self.now()) {
            // The last event may have brought a token.
            self.learn_token();
            self.show_token(false);
            match to_do {
                ToDo::Act(Action::ReturnToken { waiter, result: Ok(token) }) => {
                    let name = self.tokens.iter().rev().find(|(known, _)| known.ptr_eq(&token)).map(|(_, name)| name);
                    let event = json!({"at": self.at, "event": "token", "id": waiter, "token": name});
                    self.played.timeline.push(event);
                    self.show(Seen::Answered(waiter, None));
                }
                ToDo::Act(Action::ReturnToken { waiter, result: Err(error) }) => {
                    let event = json!({"at": self.at, "event": "error", "id": waiter, "error": kind(&error)});
                    self.played.timeline.push(event);
                    self.show(Seen::Answered(waiter, Some(kind(&error))));
                }
                ToDo::Act(Action::CallRefresher { request, .. }) => {
                    let answer = self.plan();
                    self.planned.push(answer);
                    self.called("refresher_called", self.calls);
                    self.expect(Call::Refresher(request, self.calls), answer.map(|answer| answer.after));
                    self.calls += 1;
                }
                // This host cannot cancel: the late answer must change nothing.
                ToDo::Act(Action::CancelRefresher { request }) => self.show(Seen::Dropped(request)),
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
        self.show_token(false);
    }

    fn notice(&mut self, notice: &Notice) {
        if let Notice::RefreshFailed { cause, retry_in, .. } = notice {
            self.failure = Some(cause.kind().as_str());
            self.show(Seen::Failed { retry_in: *retry_in });
        }
        match notice {
            Notice::TokenKept { .. } | Notice::RefreshFailed { cause: FailureCause::RejectedTokenReturned, .. }
                if self.answering =>
            {
                self.learn_name();
            }
            _ => {}
        }
        let name = match notice {
            Notice::TokenChanged { .. } => "token_changed",
            Notice::RefreshFailed { .. } => "refresh_failed",
            Notice::TokenExpired => "token_expired",
            Notice::ClockSkewed { .. } => "clock_skewed",
            Notice::Disposed => "disposed",
            // The format has no `token_kept`, and `refresher_called` says what `refresh_started` would say.
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
        self.show(Seen::Called(call));
        if let Some(after) = after {
            let nth = self.calls + self.exchanges;
            self.answers.insert((self.at.saturating_add(after), nth), call);
        }
    }
}
