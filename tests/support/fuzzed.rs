//! The bodies of the fuzz targets. The ordinary tests replay them too.
//!
//! The file is long because all targets stand together, each with its oracle.

use std::collections::BTreeMap;
use std::time::Duration;

use acs_common::call::CallResponse;
use acs_common::identifier::CommunicationIdentifier;
use acs_common::sharing::Record;
use acs_common::{Action, Event, Machine, Monotonic, NewToken, Now, Policy, TokenError, UndecodableTokens, UnixTime};
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_core::de::{Deserialize, Deserializer, IgnoredAny, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::call_world;
use super::exchange_world::{self, ops::Bytes};
use super::extremes::Values;
use super::rig::START;
use super::scenario::{self, Base, Malformed};
use super::tokens::{AROUND, is_bearer_token};
use super::world::{self, ops};
use super::{check, play, sharing_world};

/// Any bytes spell a run, and every run obeys the laws.
pub fn machine(bytes: &[u8]) {
    let (setup, ops) = ops::ops(bytes);
    let broken = world::play(&setup, &ops, None);
    assert!(broken.is_empty(), "{broken:#?}\nin {setup:?}\n{ops:?}");
    let (with, without) = (world::journal(&setup, &ops, true), world::journal(&setup, &ops, false));
    assert_eq!(with, without, "the cancelled waiters changed what the others got in {setup:?}\n{ops:?}");
}

/// Any bytes spell a run with exchanges. The answers have statuses, headers and bodies of all kinds, and come in any
/// order with timers and clock changes.
pub fn exchange(bytes: &[u8]) {
    let (setup, ops) = exchange_world::ops::ops(bytes);
    exchanges(&setup, &ops);
}

fn exchanges(setup: &exchange_world::ops::Setup, ops: &[exchange_world::ops::Op]) {
    for play in [exchange_world::play, exchange_world::alone::play] {
        if let Err(broken) = play(setup, ops) {
            panic!("{broken}\nin {setup:?}\n{ops:?}");
        }
    }
}

/// Any bytes spell a call and what happens to it, and every law holds; or they are a line of `WWW-Authenticate`.
pub fn call(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0..128, rest)) => {
            let (setup, ops) = call_world::ops(rest);
            let world = call_world::World::play(setup, &ops).unwrap_or_else(|broken| panic!("{broken}"));
            assert!(!format!("{world:?}").contains("Canary"), "a token shows: {world:?}");
        }
        Some((_, line)) => challenge(line),
        None => {}
    }
}

/// Any bytes are a run of two or three credentials with a shared store, and every law holds; or they are a record of the store.
pub fn sharing(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    if *first >= 224 {
        if let Ok(record) = Record::decode(rest) {
            assert_eq!(*record.encode(), rest, "a record has one form");
        }
        return;
    }
    let setup = sharing_world::Setup {
        processes: 2 + usize::from(first & 1),
        ahead: if first & 2 == 0 { 0 } else { 3_000_000 },
        lifetime: first & 4 != 0,
        planted: None,
    };
    if let Err(broken) = sharing_world::play(setup, rest.get(..100).unwrap_or(rest), usize::from(first >> 3) % 12) {
        panic!("{broken}");
    }
}

/// A line is read as the crate `http-auth` reads it, if that can read it at all.
pub fn challenge(line: &[u8]) {
    let refuses = CallResponse::new(401).with_challenge(line).refuses_the_token();
    assert!(!CallResponse::new(403).with_challenge(line).refuses_the_token());
    let Ok(text) = std::str::from_utf8(line) else { return };
    let Ok(challenges) = http_auth::ChallengeParser::new(text).collect::<Result<Vec<_>, _>>() else { return };
    let about_the_token = |challenge: &http_auth::ChallengeRef<'_>| {
        let error = challenge.params.iter().find(|(name, _)| name.eq_ignore_ascii_case("error"));
        challenge.scheme.eq_ignore_ascii_case("bearer")
            && error.is_none_or(|(_, value)| value.to_unescaped() == "invalid_token")
    };
    let expected = challenges.is_empty() || challenges.iter().any(about_the_token);
    assert_eq!(refuses, expected, "{text:?}: {challenges:?}");
}

/// Any values of all options are refused by an error that names a wrong one, or make a policy under which every law
/// holds. The last bytes spell a run under this policy.
pub fn policy(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let (entra, values) = (bytes.byte() % 2 == 1, Values::read(&mut bytes));
    let wrong = values.wrong();
    match values.build() {
        Err(error) => {
            let named = wrong.iter().any(|(expected, option)| *expected == error && error.to_string().contains(option));
            return assert!(named, "{error:?}, {error}: instead of one of {wrong:?} in {values:?}");
        }
        Ok(policy) => {
            assert!(wrong.is_empty(), "{wrong:?} are accepted in {values:?}");
            assert_eq!(Ok(&policy), values.rounded().as_ref(), "a fraction of a millisecond counts as one: {values:?}");
            assert_eq!(
                Ok(&policy),
                policy.to_builder().build().as_ref(),
                "a policy is equal to what its builder builds"
            );
        }
    }
    if entra {
        let (setup, ops) = exchange_world::ops::ops(bytes.0);
        exchanges(&values.exchange(setup), &ops);
    } else {
        let (setup, ops) = ops::ops(bytes.0);
        let setup = ops::Setup { options: values.options(), ..setup };
        let broken = world::play(&setup, &ops, None);
        assert!(broken.is_empty(), "{broken:#?}\nin {setup:?}\n{ops:?}");
    }
}

/// Any bytes are scenarios or an error that says where. A scenario that can be read can be played, under any policy,
/// with the same timeline each time. With that timeline as its `expected`, it passes.
pub fn scenario(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let scenarios = match scenario::read(&text, None) {
        Ok(scenarios) => scenarios,
        Err(Malformed(what)) => {
            let says_where = match what.strip_prefix("not JSON: ") {
                Some(what) => what.contains(" at line "),
                None => what.starts_with("scenario ") || what.starts_with("the scenario: "),
            };
            return assert!(says_where, "{what}");
        }
    };
    for base in [Base::Default, Base::Reference] {
        let again = scenario::read(&text, Some(base)).expect("a replaced policy is as valid as the scenario's");
        assert_eq!(again.len(), scenarios.len());
    }
    let file: Value = serde_json::from_str(&text).expect("it was read before");
    let values = if let Value::Array(values) = &file { values.as_slice() } else { std::slice::from_ref(&file) };
    for (value, scenario) in values.iter().zip(&scenarios) {
        let timeline = play::beginning(scenario, MOST);
        assert!(timeline.is_sorted_by_key(|event| event["at"].as_u64()), "{timeline:?}");
        assert!(timeline.iter().all(|event| event["at"].as_u64() <= Some(scenario.until)), "{timeline:?}");
        let mut recorded = value.clone();
        recorded["expected"] = Value::Array(timeline);
        let recorded = scenario::read(&recorded.to_string(), None).expect("a played timeline can be read");
        let expected = recorded[0].expected.as_deref().expect("it is there");
        let differences = check::differences(expected, &play::beginning(&recorded[0], MOST));
        assert!(differences.is_empty(), "{text}: {differences:?}");
    }
}

/// This many events of a run are enough.
const MOST: usize = 500;

/// Any bytes given to the parser are a token with an expiry, or a typed error. The first byte says what the other bytes
/// are: the token string itself, its payload before encoding, or its claim `exp`.
pub fn token(bytes: &[u8]) {
    let Some((mode, rest)) = bytes.split_first() else { return };
    let encode = |payload: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload);
    match mode % 3 {
        0 => token_string(&String::from_utf8_lossy(rest)),
        1 => token_string(&format!("e30.{}.c2ln", encode(rest))),
        _ => token_string(&format!("e30.{}.c2ln", encode(&[b"{\"exp\":", rest, b"}"].concat()))),
    }
}

const NOW: i64 = START * 1_000;
const LIFETIME: u64 = 600_000;

fn now() -> Now {
    Now::new(Monotonic::from_millis(1), UnixTime::from_millis(NOW))
}

/// Checks what each way to pass a token makes of the string.
pub fn token_string(text: &str) {
    let accept = Policy::default();
    let reject =
        Policy::builder().undecodable_tokens(UndecodableTokens::Reject).build().expect("these options are valid");
    let fixed = |token: NewToken, policy: &Policy| Machine::<()>::with_static_token(token, policy.clone(), now());

    let given = text.trim_matches(AROUND);
    let taken = given.len() < 1 << 20 && is_bearer_token(given);
    match fixed(NewToken::new(text), &accept) {
        Ok(machine) => {
            assert!(taken, "{text:?} is taken for a token");
            bare_token(given, &machine, fixed(NewToken::new(text), &reject).err());
        }
        Err(error) => not_a_token(text, error, !taken),
    }
    // The reference takes all that is not blank for a token.
    if !taken && !text.trim().is_empty() {
        let strict = Policy::reference().to_builder().undecodable_tokens(UndecodableTokens::Reject).build();
        let machine = fixed(NewToken::new(text), &Policy::reference()).expect("it is not blank");
        bare_token(given, &machine, fixed(NewToken::new(text), &strict.expect("these options are valid")).err());
    }
    let expiries = [i64::MIN, -1, 0, NOW, NOW + 1, i64::MAX].map(UnixTime::from_millis);
    let lifetimes = [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(3_600), Duration::MAX];
    let explicit = expiries.iter().map(|expiry| (NewToken::new(text).with_expires_on(*expiry), *expiry));
    let lasting = lifetimes.iter().map(|lifetime| {
        let millis = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
        (NewToken::new(text).with_expires_in(*lifetime), UnixTime::from_millis(NOW.saturating_add(millis)))
    });
    for (token, expiry) in explicit.chain(lasting) {
        match fixed(token, &reject) {
            Ok(machine) => {
                let token = machine.token(now()).expect("a static token is always held");
                assert_eq!((token.expires_on(), token.is_opaque()), (expiry, false), "{text:?} is not decoded");
                assert!(taken, "{text:?} is taken for a token");
            }
            Err(error) => not_a_token(text, error, !taken),
        }
    }
    answer(text, &accept);
    answer(text, &reject);
}

/// What is said of a string that is refused.
fn not_a_token(text: &str, error: TokenError, refused: bool) {
    assert!(refused, "{text:?}: {error}");
    let given = text.trim_matches(AROUND);
    let right = match error {
        TokenError::Blank => text.trim().is_empty(),
        TokenError::TooLong { bytes, .. } => bytes == given.len() && bytes >= 1 << 20,
        TokenError::NullOrUndefined => matches!(given, "null" | "undefined"),
        TokenError::StartsWithBearer => given.is_char_boundary(7) && given[..6].eq_ignore_ascii_case("bearer"),
        TokenError::InQuotes => given.starts_with(['"', '\'', '`', '“', '‘']),
        TokenError::Json => given.starts_with(['{', '[']),
        TokenError::Html => given.starts_with('<'),
        TokenError::WhiteSpace => given.contains(char::is_whitespace),
        TokenError::OtherCharacters => !given.contains(char::is_whitespace),
        other => panic!("{text:?}: {other}"),
    };
    assert!(right, "{text:?}: {error}");
}

fn bare_token(text: &str, machine: &Machine<()>, strictly: Option<TokenError>) {
    let token = machine.token(now()).expect("a static token is always held");
    assert_eq!(token.secret().expose(), text, "the text is unchanged");
    assert_eq!(strictly, token.is_opaque().then_some(TokenError::Undecodable), "{text:?}");
    if token.is_opaque() {
        assert_eq!(token.expires_on(), UnixTime::from_millis(NOW + LIFETIME as i64), "{text:?}");
    }
    let shown = format!("{token:?}{machine:?}");
    let neutral = NewToken::new("x").with_expires_on(token.expires_on());
    let neutral = Machine::<()>::with_static_token(neutral, machine.policy().clone(), now()).expect("it is not blank");
    let expected = format!("{:?}{neutral:?}", neutral.token(now()).expect("a static token is always held"));
    let expected = if token.is_opaque() { expected.replace("opaque: false", "opaque: true") } else { expected };
    assert_eq!(shown, expected, "what is shown depends on the secret {text:?}");
    match (plain_reading(text), token.is_opaque()) {
        (Some(claims), false) => {
            let got = token.expires_on().as_millis();
            assert!(got.abs_diff(claims.exp.millis) <= claims.exp.slack, "{text:?}: {got} ms instead of {claims:?}");
            is_valid_as_long_as(claims, text, machine.policy());
        }
        (None, true) => {}
        (expected, opaque) => panic!("{text:?}: opaque {opaque}, but the plain reading is {expected:?}"),
    }
}

/// As an initial token it is valid until its `exp`, and no longer than the lifetime it was issued with.
fn is_valid_as_long_as(Plain { exp, iat }: Plain, text: &str, policy: &Policy) {
    let machine = Machine::<()>::new(Some(text.into()), policy.clone(), now()).expect("it was accepted before");
    let since = |start: i64| if exp.millis > start { exp.millis.abs_diff(start) } else { 0 };
    let issued = iat.filter(|iat| iat.millis < exp.millis);
    let lifetime = issued.map_or(u64::MAX, |iat| since(iat.millis)).min(since(NOW));
    let slack = exp.slack.saturating_add(iat.map_or(0, |iat| iat.slack));
    let after = |millis: u64| Now::new(Monotonic::from_millis(millis.saturating_add(1)), now().unix);
    assert!(machine.token(after(lifetime.saturating_add(slack))).is_none(), "{text:?} outlives {exp:?}, {iat:?}");
    let last = lifetime.checked_sub(slack.saturating_add(1));
    assert!(last.is_none_or(|last| machine.token(after(last)).is_some()), "{text:?} expires before {exp:?}, {iat:?}");
}

#[derive(Clone, Copy, Debug)]
struct Plain {
    exp: Moment,
    iat: Option<Moment>,
}

/// Unix milliseconds, and how many more or less are allowed.
#[derive(Clone, Copy, Debug)]
struct Moment {
    millis: i64,
    slack: u64,
}

/// The claims, read by other means, if they are readable: the whole payload is decoded, then `serde_json` reads all of
/// it.
fn plain_reading(text: &str) -> Option<Plain> {
    let payload = text.split('.').nth(1)?;
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let alphabet = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    let payload = alphabet.decode(payload.replace('-', "+").replace('_', "/")).ok()?;
    let payload = String::from_utf8_lossy(&payload);
    // Read twice: the second reading accepts anything in the names it does not use.
    serde_json::from_str::<IgnoredAny>(&payload).ok()?;
    let fields: BTreeMap<Name, &RawValue> = serde_json::from_str(&payload).ok()?;
    let field = |name: &str| fields.get(&Name(name.into())).map(|value| value.get());
    let exp = number(field("exp")?).or_else(|| digits(field("exp")?))?;
    Some(Plain { exp, iat: field("iat").and_then(number) })
}

/// A field's name as bytes, since half a surrogate pair is not a valid string.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name(Vec<u8>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Name;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name")
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                Ok(Name(name.into()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

fn number(json: &str) -> Option<Moment> {
    if let Ok(number) = json.parse::<i64>() {
        return Some(Moment { millis: whole(number), slack: 0 });
    }
    let number = json.parse::<f64>().ok().filter(|number| number.is_finite())?;
    if (1e12..=1e18).contains(&number) {
        return Some(Moment { millis: whole(number as i64), slack: 1 });
    }
    let millis = number * 1_000.0;
    Some(Moment { millis: millis.floor() as i64, slack: 1 + (millis.abs() / f64::from(2).powi(52)).min(1e18) as u64 })
}

fn digits(json: &str) -> Option<Moment> {
    let text: String = serde_json::from_str(json).ok()?;
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    digits.then(|| Moment { millis: whole(text.parse().unwrap_or(i64::MAX)), slack: 0 })
}

/// By the number of its digits, a number is in seconds or in a smaller unit.
fn whole(number: i64) -> i64 {
    let never = number == 9_007_199_254_740_991 || number > 10_i64.pow(18);
    match number.to_string().len() {
        _ if never || number < 0 => number.saturating_mul(1_000),
        ..=12 => number * 1_000,
        13 | 14 => number,
        15..=17 => number / 1_000,
        _ => number / 1_000_000,
    }
}

/// As a refresher's answer it is served, or every waiter gets the reason why not.
fn answer(text: &str, policy: &Policy) {
    let mut machine = Machine::new(None, policy.clone(), now()).expect("a missing initial token is always valid");
    machine.handle(Event::TokenRequested { waiter: () }, now());
    let Some(Action::CallRefresher { request, .. }) = machine.poll_action() else { panic!("no token is held yet") };
    machine.handle(Event::TokenReceived { request, token: text.into() }, now());
    match machine.poll_action() {
        Some(Action::ReturnToken { result: Ok(token), .. }) => {
            assert!(token.expires_on() > now().unix, "{text:?} is served after its expiry");
            assert_eq!(token.secret().expose(), text.trim_matches(AROUND));
        }
        Some(Action::ReturnToken { result: Err(_), .. }) => assert!(machine.token(now()).is_none(), "{text:?}"),
        other => panic!("{text:?}: the waiter gets no answer: {other:?}"),
    }
}

/// Any text is an identifier, and any JSON is an identifier or a typed error. Writing and reading again loses nothing.
/// The first byte says whether the rest is text or JSON.
pub fn identifier(bytes: &[u8]) {
    let Some((mode, rest)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    if mode % 2 == 0 { raw_id(&text) } else { wire(&text) }
}

fn raw_id(text: &str) {
    let identifier = CommunicationIdentifier::from_raw_id(text);
    assert_eq!(identifier.raw_id(), text);
    let parts: Vec<&str> = text.split(':').collect();
    let expected = match parts[..] {
        ["4", _, ..] => "phoneNumber",
        ["8", "acs" | "dod-acs" | "gcch-acs", id] if id.matches('_').count() == 2 => "teamsExtensionUser",
        ["8", "acs" | "dod-acs" | "gcch-acs" | "spool", _] => "communicationUser",
        ["8", "orgid" | "dod" | "gcch" | "teamsvisitor", _] => "microsoftTeamsUser",
        ["28", "orgid" | "dod" | "gcch", _] => "microsoftTeamsApp",
        _ => "unknown",
    };
    assert_eq!(kind(&identifier), expected, "{text:?}");
    written(&identifier);
}

fn wire(text: &str) {
    let parsed = serde_json::from_str::<CommunicationIdentifier>(text);
    // Ignored parts may be too deep, too large or half a surrogate pair for `Value`. Then there is nothing to compare
    // with.
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    match (plainly(&value), parsed) {
        (Some((expected, raw_id)), Ok(identifier)) => {
            assert_eq!(kind(&identifier), expected, "{text}");
            assert_eq!(raw_id.unwrap_or(identifier.raw_id()), identifier.raw_id(), "{text}");
            written(&identifier);
        }
        (None, Err(_)) => {}
        (expected, parsed) => panic!("{text}: {parsed:?}, but the plain reading is {expected:?}"),
    }
}

/// The type that a property of a model must have, the optional ones last.
enum Form {
    Text,
    MaybeText,
    MaybeFlag,
}

/// The kind and the raw id, read by other means, if it is an identifier. No raw id if it follows from the parts.
fn plainly(value: &Value) -> Option<(&'static str, Option<&str>)> {
    use Form::{MaybeFlag, MaybeText, Text};

    let models: [(_, &[(&str, Form)]); 5] = [
        ("communicationUser", &[("id", Text)]),
        ("phoneNumber", &[("value", Text), ("isAnonymous", MaybeFlag), ("assertedId", MaybeText)]),
        ("microsoftTeamsUser", &[("userId", Text), ("isAnonymous", MaybeFlag), ("cloud", MaybeText)]),
        ("microsoftTeamsApp", &[("appId", Text), ("cloud", MaybeText)]),
        ("teamsExtensionUser", &[("userId", Text), ("tenantId", Text), ("resourceId", Text), ("cloud", MaybeText)]),
    ];
    let stated = |value: &Value, name: &str| value.get(name).is_some_and(|value| !value.is_null());
    let mut there = models.iter().filter(|(name, _)| stated(value, name));
    let (found, None) = (there.next(), there.next()) else { return None };
    let falsy = |model: &Value| model == false || model == "" || model.as_f64() == Some(0.0);
    let said = value.get("kind").filter(|kind| !kind.is_null());
    let says = |kind: &Value, name: &str| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(name));
    let Some((name, forms)) =
        found.filter(|(name, _)| !falsy(&value[name]) && said.is_none_or(|kind| says(kind, name)))
    else {
        return Some(("unknown", Some(value.get("rawId")?.as_str()?)));
    };
    for (property, form) in *forms {
        let well = match (form, value[name].get(property).filter(|value| !value.is_null())) {
            (MaybeFlag | MaybeText, None) => true,
            (MaybeFlag, Some(value)) => value.is_boolean(),
            (MaybeText | Text, Some(value)) => value.is_string(),
            (Text, None) => false,
        };
        well.then_some(())?;
    }
    match value.get("rawId") {
        _ if *name == "communicationUser" => Some((name, value[name]["id"].as_str())),
        Some(Value::Null) => Some((name, None)),
        raw_id => Some((name, Some(raw_id?.as_str()?))),
    }
}

fn kind(identifier: &CommunicationIdentifier) -> &'static str {
    match identifier {
        CommunicationIdentifier::CommunicationUser(_) => "communicationUser",
        CommunicationIdentifier::PhoneNumber(_) => "phoneNumber",
        CommunicationIdentifier::MicrosoftTeamsUser(_) => "microsoftTeamsUser",
        CommunicationIdentifier::MicrosoftTeamsApp(_) => "microsoftTeamsApp",
        CommunicationIdentifier::TeamsExtensionUser(_) => "teamsExtensionUser",
        CommunicationIdentifier::Unknown(_) => "unknown",
        other => panic!("a kind the tests do not know: {other:?}"),
    }
}

/// Its JSON reads back as the same identifier, and that writes the same JSON.
fn written(identifier: &CommunicationIdentifier) {
    let json = serde_json::to_string(identifier).expect("every identifier can be written");
    let again: CommunicationIdentifier = serde_json::from_str(&json).expect("what was written can be read");
    assert_eq!((kind(&again), again.raw_id()), (kind(identifier), identifier.raw_id()), "{json}");
    assert_eq!(serde_json::to_string(&again).expect("as above"), json);
}
