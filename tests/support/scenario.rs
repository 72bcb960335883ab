//! Scenario files, read strictly: an error names the scenario and the field. The format is in
//! `tests/scenarios/README.md`.

use std::fmt::{self, Display};
use std::time::Duration;

use acs_common::entra::{EntraOptions, EntraOptionsError};
use acs_common::{CheckSource, Policy, PolicyError, UndecodableTokens};
use serde_json::Value;

mod credential;
mod results;
mod seconds;

use self::credential::read_credential;
use self::results::{answer, exchange_answer, issuer, source_answer};
pub use self::seconds::Seconds;
use super::node::Node;

#[derive(Debug)]
pub struct Scenario {
    pub name: String,
    /// Unix seconds.
    pub start: i64,
    pub policy: Result<Policy, PolicyError>,
    /// Whether the timeline shows notices: under any policy but the plain reference.
    pub notices: bool,
    pub credential: Credential,
    /// `None`: this call gets no answer.
    pub refresher: Vec<Option<Answer>>,
    /// Answers the calls after the list's end.
    pub issuer: Option<Issuer>,
    /// The answers of the source of Entra tokens. After the list's end it returns the signed-in user's token at once.
    pub source: Vec<SourceAnswer>,
    pub exchange: Vec<ExchangeAnswer>,
    pub script: Vec<Step>,
    pub until: u64,
    /// By how many milliseconds the device's wall clock is ahead of the true time.
    pub ahead: i64,
    /// Whether the answers of the issuer have a `Date`.
    pub server_date: bool,
    pub expected: Option<Vec<Value>>,
}

#[derive(Debug)]
pub enum Credential {
    Static(TokenSpec),
    Refreshing { initial: Option<TokenSpec> },
    Entra { options: Result<EntraOptions, EntraOptionsError>, signed_in: Option<String> },
}

#[derive(Clone, Debug)]
pub enum TokenSpec {
    Jwt { exp: Seconds, iat: Option<Seconds> },
    ExpiresIn(Seconds),
    ExpiresOn(Seconds),
    Opaque,
    Raw(String),
}

#[derive(Debug)]
pub struct Answer {
    pub after: u64,
    pub outcome: Outcome,
}

/// An issuer that answers each call the same, except during its outages.
#[derive(Debug)]
pub struct Issuer {
    pub usual: Answer,
    pub outages: Vec<Outage>,
}

#[derive(Debug)]
pub struct Outage {
    pub from: u64,
    pub until: u64,
    /// `None`: a call that starts in it gets no answer.
    pub answer: Option<Answer>,
}

#[derive(Debug)]
pub enum Outcome {
    Token(TokenSpec),
    Error(Failed),
}

#[derive(Debug)]
pub struct Failed {
    pub message: String,
    pub permanent: bool,
    pub retry_after: Option<Duration>,
}

#[derive(Debug)]
pub struct SourceAnswer {
    pub after: u64,
    pub given: Given,
}

#[derive(Debug)]
pub enum Given {
    WhoIsSignedIn,
    Blank,
    Error(Failed),
}

#[derive(Debug)]
pub struct ExchangeAnswer {
    pub after: u64,
    pub headers: Vec<(String, String)>,
    pub exchanged: Exchanged,
}

#[derive(Debug)]
pub enum Exchanged {
    Token(TokenSpec),
    Response { status: u16, body: String },
    Unreachable(String),
}

#[derive(Debug)]
pub struct Step {
    pub at: u64,
    pub action: Do,
}

#[derive(Clone, Debug)]
pub enum Do {
    GetToken {
        id: String,
    },
    Cancel {
        id: String,
    },
    Reject {
        token: String,
    },
    Dispose,
    RetryNow,
    SignIn {
        with: String,
    },
    SignOut,
    StepWallClock {
        by: i64,
    },
    /// A response of the service has a `Date` that is ahead of the true time by so many milliseconds. Its request took so long.
    ServiceDate {
        ahead: i64,
        took: u64,
    },
    Suspend {
        millis: u64,
    },
}

/// Which policy to play a scenario under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Default,
    Reference,
}

impl Base {
    /// Its name above a timeline.
    pub fn heading(self) -> String {
        match self {
            Self::Default => "Policy::default()".to_owned(),
            Self::Reference => "Policy::reference()".to_owned(),
        }
    }

    fn policy(self) -> Policy {
        match self {
            // Timelines are exact.
            Self::Default => Policy::builder().jitter(0.0).build().unwrap_or_default(),
            Self::Reference => Policy::reference(),
        }
    }
}

/// What is wrong with a scenario, and where.
#[derive(Debug)]
pub struct Malformed(pub String);

impl Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads one scenario, or an array of them, from a file's text. `policy` replaces the policies of the scenarios.
pub fn read(text: &str, policy: Option<Base>) -> Result<Vec<Scenario>, Malformed> {
    let file: Value = serde_json::from_str(text).map_err(|error| Malformed(format!("not JSON: {error}")))?;
    match file {
        Value::Array(scenarios) => {
            scenarios.into_iter().enumerate().map(|(index, one)| named(Some(index), one, policy)).collect()
        }
        one => Ok(vec![named(None, one, policy)?]),
    }
}

fn named(index: Option<usize>, value: Value, policy: Option<Base>) -> Result<Scenario, Malformed> {
    let name = value.get("name").and_then(Value::as_str).map(str::to_owned);
    scenario(Node { value, path: String::new() }, policy).map_err(|Malformed(what)| {
        let which = match (index, name) {
            (Some(index), Some(name)) => format!("scenario {} ({name:?})", index + 1),
            (Some(index), None) => format!("scenario {}", index + 1),
            (None, Some(name)) => format!("scenario {name:?}"),
            (None, None) => "the scenario".to_owned(),
        };
        Malformed(format!("{which}: {what}"))
    })
}

fn scenario(node: Node, replaced: Option<Base>) -> Result<Scenario, Malformed> {
    let mut fields = node.fields()?;
    let name = fields.required("name")?.string()?;
    let start = fields.required("start")?.integer()?;
    let policy = fields.optional("policy");
    let credential = fields.required("credential")?;
    let refresher = fields.optional("refresher").map_or(Ok(Vec::new()), |list| list.list(answer))?;
    let issuer = fields.optional("issuer").map(issuer).transpose()?;
    let source = fields.optional("source").map_or(Ok(Vec::new()), |list| list.list(source_answer))?;
    let exchange = fields.optional("exchange").map_or(Ok(Vec::new()), |list| list.list(exchange_answer))?;
    let script = fields.optional("script").map_or(Ok(Vec::new()), |list| list.list(step))?;
    let mut script: Vec<_> = script.into_iter().flatten().collect();
    script.sort_by_key(|step| step.at);
    let until = fields.required("until")?.millis()?;
    let ahead = fields.optional("device_clock").map_or(Ok(0), device_clock)?;
    let server_date = fields.optional("server_date").map_or(Ok(false), |node| node.boolean())?;
    let expected = fields.optional("expected").map(|list| list.list(observed)).transpose()?;
    fields.no_others()?;

    let (builder, notices) = match (replaced, policy) {
        (Some(base), _) => (base.policy().to_builder(), base != Base::Reference),
        (None, None) => (Policy::builder(), true),
        (None, Some(node)) => read_policy(node)?,
    };
    let (credential, builder) = read_credential(credential, builder)?;
    let policy = builder.build();
    Ok(Scenario {
        name,
        start,
        policy,
        notices,
        credential,
        refresher,
        issuer,
        source,
        exchange,
        script,
        until,
        ahead,
        server_date,
        expected,
    })
}

fn device_clock(node: Node) -> Result<i64, Malformed> {
    let mut fields = node.fields()?;
    let ahead = fields.required("ahead")?.integer()?;
    fields.no_others()?;
    Ok(ahead)
}

fn base(node: Node) -> Result<Base, Malformed> {
    match node.value.as_str() {
        Some("default") => Ok(Base::Default),
        Some("reference") => Ok(Base::Reference),
        _ => Err(node.expected("\"default\" or \"reference\"")),
    }
}

fn read_policy(node: Node) -> Result<(acs_common::PolicyBuilder, bool), Malformed> {
    if !node.value.is_object() {
        let base = base(node)?;
        return Ok((base.policy().to_builder(), base != Base::Reference));
    }
    let mut fields = node.fields()?;
    let mut policy = fields.optional("base").map_or(Ok(Base::Default), base)?.policy().to_builder();
    let mut retries = true;
    for (name, node) in fields.rest() {
        policy = match name.as_str() {
            "refresh_proactively" => policy.refresh_proactively(node.boolean()?),
            "refresh_window" => policy.refresh_window(node.duration()?),
            "background_window" => policy.background_window(node.duration()?),
            "min_refresh_interval" => policy.min_refresh_interval(node.duration()?),
            "renew_before_half" => policy.renew_before_half(node.boolean()?),
            "retry_initial" | "retry_max" if node.value.is_null() => {
                retries = false;
                policy
            }
            "retry_initial" => policy.retry_initial(node.duration()?),
            "retry_max" => policy.retry_max(node.duration()?),
            "request_rest_max" => policy.request_backoff_max(node.duration()?),
            "refresh_timeout" if node.value.is_null() => policy.refresh_timeout(None),
            "refresh_timeout" => policy.refresh_timeout(node.duration()?),
            "jitter" => policy.jitter(node.number()?),
            "finish_late_calls" => policy.finish_late_calls(node.boolean()?),
            "seed" => policy.seed(node.millis()?),
            "opaque_token_lifetime" => policy.opaque_token_lifetime(node.duration()?),
            "check_source" => policy.check_source(match node.value.as_str() {
                Some("on_refresh") => CheckSource::OnRefresh,
                Some("each_request") => CheckSource::EachRequest,
                _ => return Err(node.expected("\"on_refresh\" or \"each_request\"")),
            }),
            "source_check_timeout" => policy.source_check_timeout(node.duration()?),
            "exchange_jitter" => policy.exchange_jitter(node.number()?),
            "use_server_time" => policy.use_server_time(node.boolean()?),
            "undecodable_tokens" => policy.undecodable_tokens(match node.value.as_str() {
                Some("accept") => UndecodableTokens::AcceptAsOpaque,
                Some("reject") => UndecodableTokens::Reject,
                _ => return Err(node.expected("\"accept\" or \"reject\"")),
            }),
            _ => return Err(node.error("unknown field")),
        };
    }
    Ok((if retries { policy } else { policy.no_retry() }, true))
}

/// An event of a timeline. Its other fields are compared, not read.
fn observed(node: Node) -> Result<Value, Malformed> {
    let whole = node.value.clone();
    let mut fields = node.fields()?;
    fields.required("at")?.millis()?;
    let event = fields.required("event")?;
    match event.value.as_str() {
        Some("refresher_called" | "source_called" | "exchange_requested") => Ok(whole),
        Some("token" | "error" | "construction_failed" | "notice") => Ok(whole),
        _ => Err(event.expected(
            "refresher_called, source_called, exchange_requested, token, error, construction_failed or notice",
        )),
    }
}

/// A step, and its repetitions.
fn step(node: Node) -> Result<Vec<Step>, Malformed> {
    let whole = node.error("every and times (1 to 1000) belong together");
    let mut fields = node.fields()?;
    let at = fields.required("at")?.millis()?;
    let every = fields.optional("every").map(Node::millis).transpose()?;
    let times = fields.optional("times").map(Node::millis).transpose()?;
    let what = fields.required("do")?;
    let action = match what.value.as_str() {
        Some("get_token") => Do::GetToken { id: fields.required("id")?.string()? },
        Some("cancel") => Do::Cancel { id: fields.required("id")?.string()? },
        Some("reject") => Do::Reject { token: fields.required("token")?.string()? },
        Some("dispose") => Do::Dispose,
        Some("try_now") => Do::RetryNow,
        Some("sign_in") => Do::SignIn { with: fields.required("with")?.string()? },
        Some("sign_out") => Do::SignOut,
        Some("step_wall_clock") => Do::StepWallClock { by: fields.required("by")?.integer()? },
        Some("service_date") => Do::ServiceDate {
            ahead: fields.required("ahead")?.integer()?,
            took: fields.optional("took").map_or(Ok(0), |node| node.millis())?,
        },
        Some("suspend") => Do::Suspend { millis: fields.required("for")?.millis()? },
        _ => {
            return Err(what.expected(
                "get_token, cancel, reject, dispose, try_now, sign_in, sign_out, step_wall_clock, service_date or suspend",
            ));
        }
    };
    fields.no_others()?;
    let (every, times) = match (every, times) {
        (None, None) => return Ok(vec![Step { at, action }]),
        (Some(every), Some(times @ 1..=1_000)) => (every, times),
        _ => return Err(whole),
    };
    let step = |number: u64| {
        let action = match &action {
            Do::GetToken { id } => Do::GetToken { id: format!("{id}{}", number + 1) },
            other => other.clone(),
        };
        Step { at: at.saturating_add(every.saturating_mul(number)), action }
    };
    Ok((0..times).map(step).collect())
}
