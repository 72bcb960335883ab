//! Every form of a token string, and what is read from it, on each way into the machine (a "door").
//!
//! This file is long because it has one table for each form, and the properties of all forms.

mod support;

use std::time::Duration;

use acs_common::{Error, FailureCause, NewToken, Policy, Token, TokenError, UndecodableTokens, UnixTime};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use support::rig::{self, Did, Rig, START, jwt, unix};
use support::tokens::{AROUND, is_bearer_token};

const MIB: usize = 1 << 20;
/// An `exp` in the future, in seconds.
const EXP: i64 = START + 3_600;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Read {
    /// The expiry, in Unix milliseconds.
    Exp(i64),
    Opaque,
}
use Read::{Exp, Opaque};

const GOOD: Read = Exp(EXP * 1_000);

fn policy(undecodable: UndecodableTokens) -> Policy {
    rig::steady().undecodable_tokens(undecodable).build().unwrap()
}

/// Reads what is not a bearer token, too.
fn any_text(undecodable: UndecodableTokens) -> Policy {
    Policy::reference().to_builder().undecodable_tokens(undecodable).build().unwrap()
}

/// As a static token, as the initial token, and as a refresher's answer. Read by the machine, or once or twice before.
fn doors(text: &str, policy: &Policy) -> [Result<Token, FailureCause>; 3] {
    let fixed = Rig::fixed(text.into(), policy.clone());
    let initial = Rig::new(Some(NewToken::new(text).decoded()), policy.clone());
    let mut refreshed = Rig::empty(policy.clone());
    refreshed.request(1);
    let answer = match refreshed.answer(NewToken::new(text).decoded().decoded()).swap_remove(0) {
        Did::Token(1, token) => Ok(token),
        Did::Error(1, Error::RefreshFailed { cause, .. }) => Err(cause),
        other => panic!("{other:?}"),
    };
    let held = |rig: Result<Rig, TokenError>| match rig {
        // An initial token that has already expired is not held.
        Ok(rig) => rig.held().ok_or_else(|| answer.clone().expect_err("one door accepts it, the other does not")),
        Err(error) => Err(FailureCause::InvalidToken(error)),
    };
    [held(fixed), held(initial), answer.clone()]
}

fn check(what: &str, text: &str, expected: Read) {
    let place = format!("{what}: {}", text.chars().take(80).collect::<String>());
    for undecodable in [UndecodableTokens::AcceptAsOpaque, UndecodableTokens::Reject] {
        let refused = expected == Opaque && undecodable == UndecodableTokens::Reject;
        let expires_on = match expected {
            Exp(millis) => UnixTime::from_millis(millis),
            Opaque => unix(600_000),
        };
        let given = text.trim_matches(AROUND);
        let mut read = doors(text, &any_text(undecodable)).to_vec();
        if is_bearer_token(given) {
            read.extend(doors(text, &policy(undecodable)));
        } else {
            let refused = doors(text, &policy(undecodable));
            let invalid = |got: &Result<_, _>| matches!(got, Err(FailureCause::InvalidToken(error)) if *error != TokenError::Undecodable);
            assert!(refused.iter().all(invalid), "{place}: {refused:?}");
        }
        for (door, got) in read.into_iter().enumerate() {
            match got {
                Ok(token) => {
                    assert!(!refused, "{place}: accepted through door {door}");
                    assert_eq!(token.expires_on(), expires_on, "{place}: door {door}");
                    assert_eq!(token.is_opaque(), expected == Opaque, "{place}: door {door}");
                    assert_eq!(token.secret().expose(), given, "{place}: door {door}");
                }
                Err(FailureCause::InvalidToken(TokenError::Undecodable)) => assert!(refused, "{place}: door {door}"),
                Err(FailureCause::ExpiredToken { expires_on: moment, .. }) => {
                    assert!(!refused && door % 3 > 0 && expires_on <= unix(0), "{place}: expired at door {door}");
                    assert_eq!(moment, expires_on, "{place}: door {door}");
                }
                Err(other) => panic!("{place}: door {door}: {other:?}"),
            }
        }
    }
}

/// Fails when the number of parts is fixed, the header is decoded, or the text is not trimmed before reading.
#[test]
fn only_the_second_part_is_looked_at() {
    let payload = URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{EXP}}}"));
    for (what, text, expected) in [
        ("three parts", format!("h.{payload}.s"), GOOD),
        ("two parts", format!("h.{payload}"), GOOD),
        ("empty signature", format!("h.{payload}."), GOOD),
        ("empty header", format!(".{payload}.s"), GOOD),
        ("four parts", format!("h.{payload}.s.t"), GOOD),
        ("header and signature are not base64", format!("*ž*.{payload}.{{}}"), GOOD),
        ("ASCII white space round it", format!(" \t\r\n\x0Ch.{payload}\n \t\r\x0C"), GOOD),
        ("white space in the header and in the signature", format!("h h.{payload}.s s"), GOOD),
        ("white space in the payload", format!("h.{} {}.s", &payload[..8], &payload[8..]), Opaque),
        ("a line break in the payload", format!("h.{}\n{}.s", &payload[..8], &payload[8..]), Opaque),
        ("white space before the payload", format!("h. {payload}.s"), Opaque),
        ("a no-break space after it", format!("h.{payload}\u{a0}"), Opaque),
        ("one part", payload.clone(), Opaque),
        ("one part, as JSON", format!("{{\"exp\":{EXP}}}"), Opaque),
        ("the payload as the third part", format!("h.s.{payload}"), Opaque),
        ("JWE", "eyJhbGciOiJSU0EtT0FFUCJ9.OKOawDo13gRp.48V1_ALb6US0.5eym8TW_c8.XFBoMYUZod".to_owned(), Opaque),
        ("JWE with a direct key", "eyJhbGciOiJkaXIifQ..48V1_ALb6US0.5eym8TW_c8.XFBoMYUZod".to_owned(), Opaque),
        ("not a token", "IAmNotAToken".to_owned(), Opaque),
        ("a dot", ".".to_owned(), Opaque),
        ("dots", "....".to_owned(), Opaque),
        ("a zero-width space, which is not white space", "\u{200b}".to_owned(), Opaque),
    ] {
        check(what, &text, expected);
    }
}

/// Fails when `decode` knows only one alphabet, requires or forbids padding, or ignores unknown characters.
#[test]
fn the_payload_may_be_in_either_alphabet_padded_or_not() {
    for spaces in 0..3 {
        // These bytes encode to `+` and `/`. The spaces give every length of padding.
        let payload = format!("{{\"s\":\"???>>>ûÿ~~\",\"exp\":{EXP}{}}}", " ".repeat(spaces));
        let bare = STANDARD_NO_PAD.encode(&payload);
        assert!(bare.contains('+') && bare.contains('/'), "{bare}");
        let needed = (4 - bare.len() % 4) % 4;
        let mixed = bare.replacen('+', "-", 1);
        for text in [&bare, &URL_SAFE_NO_PAD.encode(&payload), &mixed, &bare.replace('/', "_")] {
            for padding in 0..=needed {
                check("padded", &format!("h.{text}{}.s", "=".repeat(padding)), GOOD);
            }
            check("padded too much", &format!("h.{text}{}.s", "=".repeat(needed + 1)), Opaque);
            check("padded in the middle", &format!("h.{}={}.s", &text[..4], &text[4..]), Opaque);
            for other in ["*", "%3D", "ž", ",", "\0"] {
                check("an unknown character", &format!("h.{text}{other}.s"), Opaque);
            }
        }
        if needed == 0 {
            check("length % 4 == 1", &format!("h.{bare}A.s"), Opaque);
        }
    }
    // Some bits of the last character carry no data if the length is odd.
    let odd = URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{EXP}}}"));
    let odd = if odd.len() % 4 == 0 { URL_SAFE_NO_PAD.encode(format!("{{\"exp\": {EXP}}}")) } else { odd };
    let last = odd.chars().last().unwrap();
    let next = char::from_u32(u32::from(last) + 1).unwrap();
    check("spare bits set", &format!("h.{}{next}.s", &odd[..odd.len() - 1]), GOOD);
}

/// Fails when `seconds` or `digits` accepts one form more or one form less, `from_fraction` rounds, or the first of two
/// counts.
#[test]
fn exp_is_a_finite_number_or_digits() {
    const MAX: Read = Exp(i64::MAX);
    const MIN: Read = Exp(i64::MIN);
    for (exp, expected) in [
        ("1700003600", GOOD),
        ("\t 1700003600\r\n", GOOD),
        ("1700003600.0", GOOD),
        ("17000036e2", GOOD),
        ("1.7000036E+9", GOOD),
        ("1700003600.123", Exp(1_700_003_600_123)),
        ("1700003600.1239", Exp(1_700_003_600_123)),
        ("1700003600.999999", Exp(1_700_003_600_999)),
        // These floats, times a thousand, are slightly less than a whole millisecond.
        ("2152874128.444", Exp(2_152_874_128_444)),
        ("2179478968.483", Exp(2_179_478_968_483)),
        ("1.5", Exp(1_500)),
        ("0", Exp(0)),
        ("-0", Exp(0)),
        ("-1", Exp(-1_000)),
        ("-1.5", Exp(-1_500)),
        ("1e-3", Exp(1)),
        ("253402300800", Exp(253_402_300_800_000)),
        ("9223372036854775807", MAX),
        ("9223372036854775808", MAX),
        ("99999999999999999999999999", MAX),
        // Issuers that write milliseconds, microseconds or nanoseconds; and those that write "never".
        ("999999999999", Exp(999_999_999_999_000)),
        ("1000000000000", Exp(1_000_000_000_000)),
        ("1700003600000", GOOD),
        ("1700003600000.9", GOOD),
        ("1.7000036e12", GOOD),
        ("99999999999999", Exp(99_999_999_999_999)),
        ("100000000000000", Exp(100_000_000_000)),
        ("1700003600000999", GOOD),
        ("99999999999999999", Exp(99_999_999_999_999)),
        ("100000000000000000", Exp(100_000_000_000)),
        ("1700003600000999999", Exp(i64::MAX)),
        ("1000000000000000000", Exp(1_000_000_000_000)),
        ("1000000000000000001", MAX),
        ("9007199254740990", Exp(9_007_199_254_740)),
        ("9007199254740991", Exp(9_007_199_254_740_991_000)),
        ("9007199254740992", Exp(9_007_199_254_740)),
        ("1e15", Exp(1_000_000_000_000)),
        ("\"1700003600000\"", GOOD),
        ("1e300", MAX),
        ("-9223372036854775809", MIN),
        ("-1e300", MIN),
        ("1e400", Opaque),
        ("-1e400", Opaque),
        ("\"1700003600\"", GOOD),
        ("\"0001700003600\"", GOOD),
        ("\"\\u0031700003600\"", GOOD),
        ("\"99999999999999999999999999\"", MAX),
        ("\"\"", Opaque),
        ("\" 1700003600\"", Opaque),
        ("\"+1700003600\"", Opaque),
        ("\"-1\"", Opaque),
        ("\"1.5\"", Opaque),
        ("\"1e3\"", Opaque),
        ("\"0x10\"", Opaque),
        ("\"\u{661}\u{662}\u{663}\"", Opaque),
        ("null", Opaque),
        ("true", Opaque),
        ("false", Opaque),
        ("[1700003600]", Opaque),
        ("{\"exp\":1700003600}", Opaque),
        // Not JSON:
        ("NaN", Opaque),
        ("Infinity", Opaque),
        ("+1700003600", Opaque),
        ("01700003600", Opaque),
        ("1700003600.", Opaque),
        (".5", Opaque),
        ("0x10", Opaque),
        ("1_700_003_600", Opaque),
        ("", Opaque),
        // Of duplicates, the last:
        ("1,\"exp\":1700003600", GOOD),
        ("null,\"exp\":1700003600", GOOD),
        ("\"x\",\"exp\":1700003600", GOOD),
        ("1700003600,\"exp\":null", Opaque),
        ("1700003600,\"exp\":1", Exp(1_000)),
        ("1e400,\"exp\":1700003600", GOOD),
    ] {
        check("exp", &jwt(format!("{{\"exp\":{exp}}}")), expected);
    }
}

/// Fails when the payload may be something else than an object, may have text after its end, must be UTF-8, or must not
/// be deep, or when an escape is not known.
#[test]
fn the_payload_is_a_json_object_and_nothing_else_of_it_matters() {
    let deep = 200_000;
    for (payload, expected) in [
        (format!("{{\"exp\":{EXP}}}"), GOOD),
        (format!(" \t\r\n{{ \"exp\" : {EXP} }} \n"), GOOD),
        (format!("{{\"\\u0065xp\":{EXP}}}"), GOOD),
        (format!("{{\"name\":\"Žluťoučký kůň 𝄞\",\"exp\":{EXP}}}"), GOOD),
        (format!("{{\"\\ud834\\udd1e\":\"\\ud800\",\"exp\":{EXP}}}"), GOOD),
        (format!("{{\"\\ud800\":1,\"exp\":{EXP}}}"), GOOD),
        (format!("{{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"exp\":{EXP}}}"), GOOD),
        (format!("{{\"a\":\"\\v\",\"exp\":{EXP}}}"), Opaque),
        (format!("{{\"nbf\":1e400,\"iat\":[],\"exp\":{EXP},\"acsScope\":\"chat,voip\"}}"), GOOD),
        (format!("{{\"a\":{}{},\"exp\":{EXP}}}", "[".repeat(deep), "]".repeat(deep)), GOOD),
        (format!("{{\"a\":{}1{},\"exp\":{EXP}}}", "{\"a\":".repeat(deep / 5), "}".repeat(deep / 5)), GOOD),
        (format!("{{\"exp\":{}{}}}", "[".repeat(deep), "]".repeat(deep)), Opaque),
        (format!("{}{{\"exp\":{EXP}}}", "[".repeat(deep)), Opaque),
        (format!("{{\"iat\":{}", "[".repeat(deep)), Opaque),
        ("{}".to_owned(), Opaque),
        (format!("{{\"EXP\":{EXP}}}"), Opaque),
        (format!("{{\"a\":{{\"exp\":{EXP}}}}}"), Opaque),
        (format!("[{{\"exp\":{EXP}}}]"), Opaque),
        (format!("[\"exp\",{EXP}]"), Opaque),
        (EXP.to_string(), Opaque),
        (format!("\"{{\\\"exp\\\":{EXP}}}\""), Opaque),
        ("null".to_owned(), Opaque),
        ("true".to_owned(), Opaque),
        (String::new(), Opaque),
        (" ".to_owned(), Opaque),
        (format!("{{\"exp\":{EXP}"), Opaque),
        (format!("{{\"exp\":{EXP},}}"), Opaque),
        (format!("{{exp:{EXP}}}"), Opaque),
        (format!("{{'exp':{EXP}}}"), Opaque),
        (format!("{{\"exp\" {EXP}}}"), Opaque),
        (format!("{{\"exp\":{EXP}}}x"), Opaque),
        (format!("{{\"exp\":{EXP}}}{{}}"), Opaque),
        (format!("{{\"exp\":{EXP}}}\0"), Opaque),
        (format!("\u{feff}{{\"exp\":{EXP}}}"), Opaque),
        (format!("{{\"a\":\"\n\",\"exp\":{EXP}}}"), Opaque),
    ] {
        check("payload", &jwt(payload), expected);
    }
    let with = |name: &[u8]| [b"{\"name\":\"", name, format!("\",\"exp\":{EXP}}}").as_bytes()].concat();
    check("bytes that are not UTF-8", &jwt(with(b"\xff\xfe\x80")), GOOD);
    check("Latin 1", &jwt(with(b"M\xfcller")), GOOD);
    check("a date that is not UTF-8, before", &jwt(with(b"\",\"exp\":\"\xfc")), GOOD);
    check("an iat that is not UTF-8", &jwt(with(b"\",\"iat\":[\"\xfc\"],\"x\":\"")), GOOD);
    check("a control character in a name", &jwt(with(b"\",\"a\x01\":\"")), Opaque);
    check("bytes that are not UTF-8, outside a string", &jwt([b"\xff".to_vec(), with(b"")].concat()), Opaque);
}

/// How long a token that arrives now is valid, in milliseconds.
fn lifetime(token: NewToken) -> u64 {
    let policy = rig::steady().refresh_proactively(true).refresh_window(Duration::ZERO).build().unwrap();
    let mut rig = Rig::new(Some(token), policy).unwrap();
    rig.drain();
    let death = rig.deadline().unwrap();
    assert!(rig.sleep_until(death - 1).held().is_some());
    assert!(rig.sleep_until(death).held().is_none());
    death
}

/// Fails when `read` uses an `iat` that is at or past `exp`, not a number, or missing, or when `accept` lets it
/// lengthen a lifetime.
#[test]
fn a_valid_iat_limits_the_lifetime_and_an_invalid_one_is_ignored() {
    let issued = |iat: &str| NewToken::new(jwt(format!("{{\"iat\":{iat},\"exp\":{EXP}}}")));
    let hour = 3_600_000;
    for (iat, expected) in [
        // The wall clock is slow by 3000 s. The token is valid for ten minutes, as issued.
        ((EXP - 600).to_string(), 600_000),
        (format!("{}.5", EXP - 1), 500),
        (format!("{}.999", EXP - 1), 1),
        (START.to_string(), hour),
        ((START - 9).to_string(), hour),
        ("0".to_owned(), hour),
        ("-1e300".to_owned(), hour),
        (EXP.to_string(), hour),
        ((EXP + 1).to_string(), hour),
        ("1e300".to_owned(), hour),
        ("1e400".to_owned(), hour),
        ("-1e400".to_owned(), hour),
        (format!("\"{}\"", EXP - 600), hour),
        ("null".to_owned(), hour),
        ("true".to_owned(), hour),
        ("[]".to_owned(), hour),
        (format!("{},\"iat\":null", EXP - 600), hour),
        (format!("null,\"iat\":{}", EXP - 600), 600_000),
    ] {
        assert_eq!(lifetime(issued(&iat)), expected, "iat {iat}");
        check("iat", &jwt(format!("{{\"iat\":{iat},\"exp\":{EXP}}}")), GOOD);
    }
    let after = NewToken::new(jwt(format!("{{\"exp\":{EXP},\"iat\":{}}}", EXP - 600)));
    assert_eq!(lifetime(after), 600_000, "in any order");
}

/// Fails when `accept` forgets either check, or makes it only for bare strings.
#[test]
fn blank_and_overlong_strings_are_refused_with_advice_at_every_door() {
    let given = |text: &str| {
        let bare = || NewToken::new(text);
        let lasting = bare().with_expires_in(Duration::from_secs(9)).decoded();
        [bare(), bare().decoded(), bare().with_expires_on(unix(9_000)), lasting]
    };
    let refusals = |text: &str| -> Vec<TokenError> {
        let mut found = Vec::new();
        for undecodable in [UndecodableTokens::AcceptAsOpaque, UndecodableTokens::Reject] {
            found.extend(given(text).map(|token| Rig::fixed(token, policy(undecodable)).unwrap_err()));
            found.extend(given(text).map(|token| Rig::new(Some(token), policy(undecodable)).unwrap_err()));
            found.extend(given(text).map(|token| {
                let mut rig = Rig::empty(policy(undecodable));
                rig.request(1);
                match rig.answer(token).swap_remove(0) {
                    Did::Error(1, Error::RefreshFailed { cause: FailureCause::InvalidToken(error), .. }) => error,
                    other => panic!("{other:?}"),
                }
            }));
        }
        found
    };
    for blank in ["", " ", "\t\r\n\x0B\x0C ", "\u{a0}", "\u{2003}\u{3000}\u{2028}\u{85}"] {
        let found = refusals(blank);
        assert!(found.iter().all(|error| *error == TokenError::Blank), "{blank:?}: {found:?}");
        assert!(found[0].to_string().contains("see whether"), "{}", found[0]);
    }
    let long = "x".repeat(MIB);
    for error in refusals(&long) {
        assert!(matches!(error, TokenError::TooLong { bytes: MIB, .. }), "{error:?}");
        assert!(error.to_string().contains("1048576 bytes") && error.to_string().contains("1 MiB"), "{error}");
    }
    let longest = &long[1..];
    for token in given(longest) {
        assert!(Rig::fixed(token, rig::steady_policy()).is_ok(), "one byte less is accepted");
    }
    let room = MIB - 1 - jwt(format!("{{\"exp\":{EXP}}}")).len();
    let signed = format!("{}{}", jwt(format!("{{\"exp\":{EXP}}}")), "x".repeat(room));
    assert_eq!(signed.len(), MIB - 1);
    check("the longest JWT", &signed, GOOD);
    let bytes: String = "é".repeat(MIB / 2);
    assert!(matches!(refusals(&bytes)[0], TokenError::TooLong { bytes: MIB, .. }), "bytes count, not characters");
}

/// Fails when `accept` decodes, or uses the policy, although the expiry is stated, or when it marks such a token as
/// opaque.
#[test]
fn a_stated_expiry_is_taken_as_it_is_and_nothing_is_decoded() {
    let stated = |token: NewToken| {
        let rig = Rig::fixed(token, policy(UndecodableTokens::Reject)).unwrap();
        let token = rig.held().unwrap();
        assert!(!token.is_opaque());
        token.expires_on()
    };
    for text in [jwt(format!("{{\"exp\":{EXP}}}")), "opaque".to_owned(), "a.b.c.d.e".to_owned(), "h.~.s".to_owned()] {
        let bare = || NewToken::new(text.as_str());
        for moment in [i64::MIN, -1, 0, START * 1_000, i64::MAX].map(UnixTime::from_millis) {
            assert_eq!(stated(bare().with_expires_on(moment)), moment);
            assert_eq!(stated(bare().with_expires_on(moment).decoded()), moment);
            assert_eq!(stated(bare().decoded().with_expires_on(moment)), moment);
        }
        assert_eq!(stated(bare().with_expires_in(Duration::from_secs(60))), unix(60_000));
        assert_eq!(stated(bare().with_expires_in(Duration::ZERO)), unix(0));
        assert_eq!(stated(bare().with_expires_in(Duration::from_nanos(1_999_999))), unix(1), "it is rounded down");
        assert_eq!(stated(bare().with_expires_in(Duration::MAX)), UnixTime::from_millis(i64::MAX), "it saturates");
    }
    let iat = NewToken::new(jwt(format!("{{\"iat\":{},\"exp\":{EXP}}}", EXP - 60)));
    assert_eq!(lifetime(iat.with_expires_on(unix(5_000_000))), 5_000_000, "iat is not read either");
}

/// The token of an answer ten seconds after the request, if it is accepted. The wall clock is set meanwhile.
fn answered(token: NewToken, stepped: i64) -> Option<(UnixTime, u64)> {
    let mut rig = Rig::empty(rig::steady_policy());
    rig.request(1);
    rig.sleep_until(10_000).stepped = stepped;
    rig.answer(token);
    let expires_on = rig.held()?.expires_on();
    let death = (rig.at..).find(|at| rig.clone().sleep_until(*at).held().is_none()).unwrap();
    Some((expires_on, death))
}

/// Fails when `accept` counts a lifetime from `now`, or by only one clock.
#[test]
fn a_lifetime_counts_from_the_start_of_the_refresh_by_either_clock() {
    let lasting = |secs: u64| NewToken::new("x").with_expires_in(Duration::from_secs(secs));
    assert_eq!(answered(lasting(60), 0), Some((unix(60_000), 60_000)));
    assert_eq!(answered(lasting(10), 0), None, "expired on arrival");
    assert_eq!(answered(lasting(60), 30_000), Some((unix(60_000), 30_000)), "the wall clock says that 40 s are over");
    assert_eq!(
        answered(lasting(60), -5_000),
        Some((unix(55_000), 60_000)),
        "a clock set back does not lengthen the lifetime"
    );
    let initial = Rig::new(Some(lasting(60)), rig::steady_policy()).unwrap();
    assert_eq!(initial.held().unwrap().expires_on(), unix(60_000));
}

/// Fails when `accept` counts an opaque token's lifetime from the start of the refresh.
#[test]
fn an_opaque_tokens_lifetime_starts_at_its_arrival() {
    let policy = rig::steady().opaque_token_lifetime(Duration::from_secs(20)).build().unwrap();
    let mut rig = Rig::empty(policy);
    rig.request(1);
    rig.sleep_until(10_000).answer("opaque".into());
    let token = rig.held().unwrap();
    assert!(token.is_opaque());
    assert_eq!(token.expires_on(), unix(30_000));
    assert!(rig.sleep_until(29_999).held().is_some());
    assert!(rig.sleep_until(30_000).held().is_none());
}

/// Any text, a text similar to a JWT, or a JWT with one wrong character.
fn text() -> impl Strategy<Value = String> {
    let spoilt = (any::<i64>(), any::<prop::sample::Index>(), any::<char>()).prop_map(|(exp, at, character)| {
        let whole = jwt(format!("{{\"exp\":{exp}}}"));
        let at = at.index(whole.len());
        format!("{}{character}{}", &whole[..at], &whole[at + 1..])
    });
    prop_oneof![
        any::<String>(),
        "[ \\t\\n.=A-Za-z0-9_+/-]{0,60}",
        prop::collection::vec(any::<u8>(), 0..60).prop_map(jwt),
        "\\{\"exp\":[-+0-9.eE\"\\\\nulx ,]{0,20}\\}".prop_map(jwt),
        spoilt,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Fails when any input panics or is changed (except for white space around it), or when the two policies read it differently.
    #[test]
    fn any_text_is_a_token_with_an_expiry_or_a_typed_error(text in text()) {
        let read = |undecodable| {
            Rig::fixed(text.as_str().into(), any_text(undecodable)).map(|rig| rig.held().unwrap())
        };
        match (read(UndecodableTokens::AcceptAsOpaque), read(UndecodableTokens::Reject)) {
            (Ok(token), Ok(same)) => {
                prop_assert!(!token.is_opaque() && !same.is_opaque());
                prop_assert_eq!(token.expires_on(), same.expires_on());
                prop_assert_eq!(token.secret().expose(), text.trim_matches(AROUND));
            }
            (Ok(token), Err(TokenError::Undecodable)) => {
                prop_assert!(token.is_opaque());
                prop_assert_eq!(token.expires_on(), unix(600_000));
                prop_assert_eq!(token.secret().expose(), text.trim_matches(AROUND));
            }
            (Err(TokenError::Blank), Err(TokenError::Blank)) => prop_assert!(text.trim().is_empty()),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    /// Fails when the result depends on alphabet, padding, white space, other claims or their order.
    #[test]
    fn a_jwt_reads_the_same_however_it_is_written(
        millis in -4_000_000_000_000_i64..4_000_000_000_000,
        form in 0..3,
        names in prop::collection::vec("[a-z\"\\\\é𝄞]{1,8}", 4),
        values in prop::collection::vec(any::<String>(), 4),
        first in 0..=4_usize,
        alphabet in 0..4,
        space in "[ \\t\\r\\n]{0,3}",
        around in ("[^.]{0,9}", "[^ \\t\\r\\n]{0,9}"),
    ) {
        let (sign, secs, rest) = (if millis < 0 { "-" } else { "" }, millis.abs() / 1_000, millis.abs() % 1_000);
        let (exp, millis) = match form {
            0 => (format!("{sign}{secs}.{rest:03}"), millis),
            1 => (format!("{sign}{secs}"), millis / 1_000 * 1_000),
            _ => (format!("\"{secs}\""), secs * 1_000),
        };
        let quoted = |text: &String| serde_json::to_string(text).unwrap();
        let mut claims: Vec<_> = names.iter().zip(&values)
            .map(|(name, value)| format!("{}{space}:{}", quoted(&format!("x{name}")), quoted(value)))
            .collect();
        claims.insert(first, format!("\"exp\":{space}{exp}"));
        let json = format!("{space}{{{space}{}}}{space}", claims.join(","));
        let payload = match alphabet {
            0 => STANDARD.encode(json),
            1 => STANDARD_NO_PAD.encode(json),
            2 => URL_SAFE.encode(json),
            _ => URL_SAFE_NO_PAD.encode(json),
        };
        let text = format!("{space}{}.{payload}.{}{space}", around.0, around.1);
        let token = Rig::fixed(text.as_str().into(), any_text(UndecodableTokens::Reject)).unwrap().held().unwrap();
        prop_assert_eq!(token.expires_on().as_millis(), millis);
    }
}
