//! Scenario files, read strictly: an error names the scenario and the field. The format is in `tests/scenarios/README.md`.

use std::fmt::{self, Display};
use std::time::Duration;

use acs_common::{Policy, PolicyError, UndecodableTokens};
use serde_json::{Map, Value};

#[derive(Debug)]
pub struct Scenario {
    pub name: String,
    /// Unix seconds.
    pub start: i64,
    pub policy: Result<Policy, PolicyError>,
    /// Whether the timeline shows notices: under any policy but the plain reference.
    pub notices: bool,
    pub credential: Credential,
    pub refresher: Vec<Answer>,
    pub script: Vec<Step>,
    pub until: u64,
    pub expected: Option<Vec<Value>>,
}

#[derive(Debug)]
pub enum Credential {
    Static(TokenSpec),
    Refreshing { initial: Option<TokenSpec> },
}

#[derive(Clone, Debug)]
pub enum TokenSpec {
    Jwt { exp: Seconds, iat: Option<Seconds> },
    ExpiresIn(Seconds),
    ExpiresOn(Seconds),
    Opaque,
    Raw(String),
}

/// Seconds, whole or not, kept as they were written.
#[derive(Clone, Copy, Debug)]
pub enum Seconds {
    Whole(i64),
    Fraction(f64),
}

impl Seconds {
    /// These seconds after `start`.
    pub fn after(self, start: i64) -> Self {
        match self {
            Self::Whole(secs) => Self::Whole(start.saturating_add(secs)),
            Self::Fraction(secs) => Self::Fraction(start as f64 + secs),
        }
    }

    pub fn as_millis(self) -> i64 {
        match self {
            Self::Whole(secs) => secs.saturating_mul(1_000),
            Self::Fraction(secs) => (secs * 1_000.0).round() as i64,
        }
    }
}

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(secs) => secs.fmt(f),
            Self::Fraction(secs) => secs.fmt(f),
        }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub after: u64,
    pub outcome: Outcome,
}

#[derive(Debug)]
pub enum Outcome {
    Token(TokenSpec),
    Error { message: String, permanent: bool, retry_after: Option<Duration> },
}

#[derive(Debug)]
pub struct Step {
    pub at: u64,
    pub action: Do,
}

#[derive(Debug)]
pub enum Do {
    GetToken { id: String },
    Cancel { id: String },
    Reject { token: String },
    Dispose,
    TryNow,
    StepWallClock { by: i64 },
    Suspend { millis: u64 },
}

/// Whose policy to play a scenario under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Default,
    Reference,
}

impl Base {
    fn policy(self) -> Policy {
        match self {
            Self::Default => Policy::default(),
            Self::Reference => Policy::reference(),
        }
    }
}

/// What is wrong with a scenario, and where.
#[derive(Debug)]
pub struct Malformed(String);

impl Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads one scenario, or an array of them, from a file's text. `policy` replaces the scenarios' own.
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
    let mut script = fields.optional("script").map_or(Ok(Vec::new()), |list| list.list(step))?;
    script.sort_by_key(|step| step.at);
    let until = fields.required("until")?.millis()?;
    let expected = fields.optional("expected").map(|list| list.list(observed)).transpose()?;
    fields.no_others()?;

    let (builder, notices) = match (replaced, policy) {
        (Some(base), _) => (base.policy().to_builder(), base != Base::Reference),
        (None, None) => (Policy::builder(), true),
        (None, Some(node)) => read_policy(node)?,
    };
    let (credential, builder) = read_credential(credential, builder)?;
    Ok(Scenario { name, start, policy: builder.build(), notices, credential, refresher, script, until, expected })
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
            "request_rest_max" => policy.request_rest_max(node.duration()?),
            "refresh_timeout" if node.value.is_null() => policy.refresh_timeout(None),
            "refresh_timeout" => policy.refresh_timeout(node.duration()?),
            "jitter" => policy.jitter(node.number()?),
            "seed" => policy.seed(node.millis()?),
            "opaque_token_lifetime" => policy.opaque_token_lifetime(node.duration()?),
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

fn read_credential(
    node: Node,
    mut policy: acs_common::PolicyBuilder,
) -> Result<(Credential, acs_common::PolicyBuilder), Malformed> {
    let mut fields = node.fields()?;
    let fixed = fields.optional("static");
    let initial = fields.optional("initial_token").filter(|node| !node.value.is_null());
    if let Some(on) = fields.optional("refresh_proactively") {
        policy = policy.refresh_proactively(on.boolean()?);
    }
    if let Some(lifetime) = fields.optional("opaque_token_lifetime") {
        policy = policy.opaque_token_lifetime(lifetime.lifetime()?);
    }
    fields.no_others()?;
    let credential = match (fixed, initial) {
        (Some(node), None) => Credential::Static(token(node)?),
        (None, initial) => Credential::Refreshing { initial: initial.map(token).transpose()? },
        (Some(_), Some(initial)) => return Err(initial.error("a static credential has no initial token")),
    };
    Ok((credential, policy))
}

fn token(node: Node) -> Result<TokenSpec, Malformed> {
    let whole = node.error("expected one of exp (with or without iat), expires_in, expires_on, opaque: true, raw");
    let mut fields = node.fields()?;
    let exp = fields.optional("exp").map(|node| node.seconds()).transpose()?;
    let iat = fields.optional("iat").map(|node| node.seconds()).transpose()?;
    let expires_in = fields.optional("expires_in").map(|node| node.seconds()).transpose()?;
    let expires_on = fields.optional("expires_on").map(|node| node.seconds()).transpose()?;
    let opaque = fields.optional("opaque").map(|node| node.boolean()).transpose()?;
    let raw = fields.optional("raw").map(|node| node.string()).transpose()?;
    fields.no_others()?;
    match (exp, iat, expires_in, expires_on, opaque, raw) {
        (Some(exp), iat, None, None, None, None) => Ok(TokenSpec::Jwt { exp, iat }),
        (None, None, Some(secs), None, None, None) if secs.as_millis() >= 0 => Ok(TokenSpec::ExpiresIn(secs)),
        (None, None, None, Some(secs), None, None) => Ok(TokenSpec::ExpiresOn(secs)),
        (None, None, None, None, Some(true), None) => Ok(TokenSpec::Opaque),
        (None, None, None, None, None, Some(raw)) => Ok(TokenSpec::Raw(raw)),
        _ => Err(whole),
    }
}

/// An event of a timeline; what else it says is compared, not read.
fn observed(node: Node) -> Result<Value, Malformed> {
    let whole = node.value.clone();
    let mut fields = node.fields()?;
    fields.required("at")?.millis()?;
    let event = fields.required("event")?;
    match event.value.as_str() {
        Some("refresher_called" | "token" | "error" | "construction_failed" | "notice") => Ok(whole),
        _ => Err(event.expected("refresher_called, token, error, construction_failed or notice")),
    }
}

fn answer(node: Node) -> Result<Answer, Malformed> {
    let whole = node.error("expected either a token or an error");
    let mut fields = node.fields()?;
    let after = fields.required("after")?.millis()?;
    let token_spec = fields.optional("token").map(token).transpose()?;
    let message = fields.optional("error").map(|node| node.string()).transpose()?;
    let permanent = fields.optional("permanent").map(|node| node.boolean()).transpose()?;
    let retry_after = fields.optional("retry_after").map(|node| node.duration()).transpose()?;
    fields.no_others()?;
    let outcome = match (token_spec, message, permanent, retry_after) {
        (Some(token), None, None, None) => Outcome::Token(token),
        (None, Some(message), permanent, retry_after) => {
            Outcome::Error { message, permanent: permanent.unwrap_or(false), retry_after }
        }
        _ => return Err(whole),
    };
    Ok(Answer { after, outcome })
}

fn step(node: Node) -> Result<Step, Malformed> {
    let mut fields = node.fields()?;
    let at = fields.required("at")?.millis()?;
    let what = fields.required("do")?;
    let action = match what.value.as_str() {
        Some("get_token") => Do::GetToken { id: fields.required("id")?.string()? },
        Some("cancel") => Do::Cancel { id: fields.required("id")?.string()? },
        Some("reject") => Do::Reject { token: fields.required("token")?.string()? },
        Some("dispose") => Do::Dispose,
        Some("try_now") => Do::TryNow,
        Some("step_wall_clock") => Do::StepWallClock { by: fields.required("by")?.integer()? },
        Some("suspend") => Do::Suspend { millis: fields.required("for")?.millis()? },
        _ => return Err(what.expected("get_token, cancel, reject, dispose, try_now, step_wall_clock or suspend")),
    };
    fields.no_others()?;
    Ok(Step { at, action })
}

/// A value and where it stands.
struct Node {
    value: Value,
    path: String,
}

impl Node {
    fn error(&self, what: impl Display) -> Malformed {
        if self.path.is_empty() { Malformed(what.to_string()) } else { Malformed(format!("{}: {what}", self.path)) }
    }

    fn expected(&self, what: &str) -> Malformed {
        let found = self.value.to_string();
        // Not the whole file.
        let (shown, rest) = found.split_at(found.char_indices().nth(60).map_or(found.len(), |(at, _)| at));
        let more = if rest.is_empty() { "" } else { "…" };
        self.error(format!("expected {what}, found {shown}{more}"))
    }

    fn fields(self) -> Result<Fields, Malformed> {
        match self.value {
            Value::Object(map) => Ok(Fields { map, path: self.path }),
            _ => Err(self.expected("an object")),
        }
    }

    fn list<T>(self, read: impl Fn(Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let Value::Array(items) = self.value else { return Err(self.expected("an array")) };
        let items = items.into_iter().enumerate();
        items.map(|(index, value)| read(Self { value, path: format!("{}[{index}]", self.path) })).collect()
    }

    fn string(self) -> Result<String, Malformed> {
        match self.value {
            Value::String(text) => Ok(text),
            _ => Err(self.expected("a string")),
        }
    }

    fn boolean(self) -> Result<bool, Malformed> {
        self.value.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    fn integer(self) -> Result<i64, Malformed> {
        self.value.as_i64().ok_or_else(|| self.expected("an integer"))
    }

    fn millis(self) -> Result<u64, Malformed> {
        self.value.as_u64().ok_or_else(|| self.expected("an integer, 0 or more"))
    }

    fn duration(self) -> Result<Duration, Malformed> {
        self.millis().map(Duration::from_millis)
    }

    /// Seconds, as a length of time.
    fn lifetime(self) -> Result<Duration, Malformed> {
        let number = self.number()?;
        Duration::try_from_secs_f64(number).map_err(|_| self.expected("seconds, 0 or more"))
    }

    fn number(&self) -> Result<f64, Malformed> {
        self.value.as_f64().ok_or_else(|| self.expected("a number"))
    }

    fn seconds(self) -> Result<Seconds, Malformed> {
        match self.value.as_i64() {
            Some(secs) => Ok(Seconds::Whole(secs)),
            None => self.number().map(Seconds::Fraction),
        }
    }
}

struct Fields {
    map: Map<String, Value>,
    path: String,
}

impl Fields {
    fn node(&self, name: &str, value: Value) -> Node {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Node { value, path }
    }

    fn optional(&mut self, name: &str) -> Option<Node> {
        self.map.remove(name).map(|value| self.node(name, value))
    }

    fn required(&mut self, name: &str) -> Result<Node, Malformed> {
        self.optional(name).ok_or_else(|| self.node(name, Value::Null).error("missing"))
    }

    /// The fields not read yet, but for those whose name starts with `_`.
    fn rest(self) -> impl Iterator<Item = (String, Node)> {
        let Self { map, path } = self;
        let fields = Self { map: Map::new(), path };
        map.into_iter().filter(|(name, _)| !name.starts_with('_')).map(move |(name, value)| {
            let node = fields.node(&name, value);
            (name, node)
        })
    }

    fn no_others(self) -> Result<(), Malformed> {
        match self.rest().next() {
            Some((_, node)) => Err(node.error("unknown field")),
            None => Ok(()),
        }
    }
}
