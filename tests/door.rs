//! What is taken for a token, and what is said of everything else (contract, section 3, "At the door").

mod support;

use std::time::Duration;

use acs_common::{Error, FailureCause, NewToken, Notice, Policy, TokenError};
use proptest::prelude::*;

use support::rig::{Did, Rig, jwt, unix};
use support::tokens::{AROUND, is_bearer_token};

/// A text that must not show in an error.
const CANARY: &str = "eyJcanary+0/of-a.bearer_token~==";

/// A string on each way into the machine: as a static token, as the initial token, and as a renewal. Bare, read before, with
/// an expiry and with a lifetime. The renewal must not cost the token that is held.
fn doors(text: &str, policy: &Policy) -> Vec<Result<String, TokenError>> {
    let bare = || NewToken::new(text);
    let given = || {
        let lasting = bare().with_expires_in(Duration::from_secs(7_200)).decoded();
        [bare(), bare().decoded(), bare().with_expires_on(unix(7_200_000)), lasting]
    };
    let held = |rig: Rig| rig.held().expect("it is accepted").secret().expose().to_owned();
    let mut found = Vec::new();
    found.extend(given().map(|token| Rig::fixed(token, policy.clone()).map(held)));
    found.extend(given().map(|token| Rig::new(Some(token), policy.clone()).map(held)));
    found.extend(given().map(|token| {
        let valid = NewToken::new("valid").with_expires_in(Duration::from_secs(600));
        let mut rig = Rig::new(Some(valid), policy.clone()).expect("a token");
        rig.sleep_until(590_000).request(1);
        match rig.answer(token).swap_remove(0) {
            Did::Notice(Notice::RefreshFailed { cause: FailureCause::InvalidToken(error), .. }) => {
                assert_eq!(held(rig), "valid", "{text:?} costs the token that is valid");
                Err(error)
            }
            Did::Notice(Notice::TokenChanged { .. }) => Ok(held(rig)),
            other => panic!("{text:?}: {other:?}"),
        }
    }));
    found
}

/// On demand, with a renewal in the background ten minutes before the expiry.
fn renewing(policy: Policy) -> Policy {
    policy.to_builder().background_window(Duration::from_secs(600)).build().expect("a good policy")
}

/// Fails when a way into the machine has no door, when a stated expiry opens it, or when the error does not say what the
/// string looks like and what to pass instead, or shows it.
#[test]
fn what_is_not_a_token_is_refused_by_what_it_looks_like() {
    use TokenError::{Blank, Html, InQuotes, Json, NullOrUndefined, OtherCharacters, StartsWithBearer, WhiteSpace};

    let long = "a".repeat(1 << 20);
    let too_long = |bytes: usize| format!("has {bytes} bytes");
    let table = [
        (String::new(), Some(Blank), "is empty or blank: see whether your server"),
        (" \t\r\n\x0c".to_owned(), Some(Blank), "is empty or blank"),
        ("\u{a0}\x0b".to_owned(), Some(Blank), "is empty or blank"),
        (format!("Bearer {CANARY}"), Some(StartsWithBearer), "starts with `Bearer `: pass only what follows"),
        (format!(" bearer\t{CANARY}"), Some(StartsWithBearer), "starts with `Bearer `"),
        (format!("BEARER\n{CANARY}\n"), Some(StartsWithBearer), "starts with `Bearer `"),
        (format!("\"{CANARY}\""), Some(InQuotes), "in quotes: pass only what is between"),
        (format!("'{CANARY}'"), Some(InQuotes), "in quotes"),
        (format!("\"Bearer {CANARY}\""), Some(InQuotes), "in quotes"),
        (format!("{{\"token\":\"{CANARY}\"}}"), Some(Json), "JSON: pass its field `token` alone"),
        (format!("\n[\"{CANARY}\"]"), Some(Json), "JSON"),
        ("{}".to_owned(), Some(Json), "JSON"),
        ("<!DOCTYPE html><html><title>canary</title></html>".to_owned(), Some(Html), "HTML or XML"),
        ("<?xml version=\"1.0\"?><Error>canary</Error>".to_owned(), Some(Html), "HTML or XML"),
        ("null".to_owned(), Some(NullOrUndefined), "the word `null` or `undefined`: check that there is a token"),
        ("\tundefined\n".to_owned(), Some(NullOrUndefined), "the word"),
        ("canary canary".to_owned(), Some(WhiteSpace), "white space or a line break in it: pass"),
        ("canary\ncanary".to_owned(), Some(WhiteSpace), "white space or a line break"),
        ("canary\r\nX-Evil: 1".to_owned(), Some(WhiteSpace), "white space or a line break"),
        (format!("canary\u{2028}{CANARY}"), Some(WhiteSpace), "white space or a line break"),
        (format!("{CANARY}\u{a0}"), Some(WhiteSpace), "white space or a line break"),
        ("canary,canary".to_owned(), Some(OtherCharacters), "characters that no bearer token has: pass"),
        ("canary\0".to_owned(), Some(OtherCharacters), "characters that no bearer token has"),
        ("eyJcanary…".to_owned(), Some(OtherCharacters), "characters that no bearer token has"),
        ("\u{feff}canary".to_owned(), Some(OtherCharacters), "characters that no bearer token has"),
        ("canary=canary".to_owned(), Some(OtherCharacters), "characters that no bearer token has"),
        ("=".to_owned(), Some(OtherCharacters), "characters that no bearer token has"),
        (format!(" {long}\n"), None, &too_long(1 << 20)),
        (format!("Bearer {long}"), None, &too_long((1 << 20) + 7)),
        (" ".repeat(1 << 20), Some(Blank), "is empty or blank"),
        ("\u{a0}".repeat(1 << 19), Some(Blank), "is empty or blank"),
    ];
    for (text, kind, said) in table {
        let start: String = text.chars().take(40).collect();
        for got in doors(&text, &renewing(Policy::default())) {
            let error = got.expect_err(&start);
            assert!(kind.is_none_or(|kind| kind == error), "{start:?}: {error:?}");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(said) && !shown.to_lowercase().contains("canary"), "{start:?}: {shown}");
        }
        // The reference takes all that is not blank for a token.
        for got in doors(&text, &renewing(Policy::reference())) {
            match got {
                Ok(held) => assert_eq!(held, text.trim_matches(AROUND), "{start:?}"),
                Err(error) => assert!(error == Blank && kind == Some(Blank), "{start:?}: {error}"),
            }
        }
    }
}

/// Fails when white space around a token stays in it, when 1 MiB is counted with that, or when a string that is like one of the
/// refused ones is refused.
#[test]
fn white_space_around_a_token_is_dropped_for_good() {
    let longest = "a".repeat((1 << 20) - 1);
    let signed = jwt(r#"{"exp":1700007200}"#);
    for text in [CANARY, "a", "0", "nullable", "Null", "undefined.", "Bearer", "bearer.x", &signed, &longest] {
        for (before, after) in [("", ""), (" ", "\r\n"), ("\t\n\x0c", ""), ("", "\n")] {
            for got in doors(&format!("{before}{text}{after}"), &renewing(Policy::default())) {
                assert_eq!(got.as_deref(), Ok(text), "{before:?}, {after:?}");
            }
        }
    }
}

/// Fails when waiters of a refresh that brings no token hear of nothing, or of another failure.
#[test]
fn the_waiters_hear_what_the_string_looked_like() {
    let mut rig = Rig::empty(Policy::default());
    rig.request(1);
    match rig.answer(NewToken::new("Bearer eyJhbGci")).swap_remove(0) {
        Did::Error(1, error @ Error::RefreshFailed { .. }) => assert_eq!(
            error.to_string(),
            "no valid token: the refresher returned an invalid token: the token starts with `Bearer `: pass only what follows"
        ),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Fails when a character anywhere in a token, of any length, is not looked at.
    #[test]
    fn the_door_agrees_with_a_plain_reading_of_the_rule(
        text in prop_oneof![
            "[ A-Za-z0-9._~+/=-]{0,300}",
            ("[A-Za-z0-9._~+/-]{0,400}", any::<char>(), "[A-Za-z0-9._~+/-]{0,400}", "={0,3}")
                .prop_map(|(before, any, after, end)| format!("{before}{any}{after}{end}")),
            "[ \\t\\n\\r\\x0b\\x0c]{0,2}(null|undefined|Bearer|bearer|=)?[ \\t\\n\\r\\x0b\\x0c\\u{a0}]{0,2}",
            any::<String>(),
        ],
    ) {
        let given = text.trim_matches(AROUND);
        let got = Rig::fixed(NewToken::new(text.as_str()), Policy::default());
        match got {
            Ok(rig) => {
                prop_assert!(is_bearer_token(given));
                let token = rig.held().expect("a static token");
                prop_assert_eq!(token.secret().expose(), given);
            }
            Err(error) => {
                prop_assert!(!is_bearer_token(given), "{:?}", error);
                prop_assert_eq!(error == TokenError::Blank, text.trim().is_empty());
            }
        }
    }
}
