//! Two numbers stand for an Entra token, and what failed belongs to one Entra token or to none.

use acs_common::entra::{EntraToken, Exchange, ExchangeAction, ExchangeEvent, HttpResponse};
use acs_common::{CheckSource, Policy, RefresherError, Source};

use super::support::rig::{MINUTE, Rig, SECOND, contoso, jwt, now};
use super::{exact, success};

const ENTRA: &str = "an-unreadable-entra-token";

/// What an exchange says of this Entra token.
fn source(text: &str, policy_seed: u64, exchange_seed: u64) -> Source {
    let mut exchange = Exchange::new(contoso(), &Policy::default().with_seed(policy_seed), exchange_seed);
    while exchange.poll_action().is_some() {}
    exchange.handle(ExchangeEvent::EntraTokenReceived { token: EntraToken::new(text) }, now(0));
    match exchange.poll_action() {
        Some(ExchangeAction::ReportSource { source }) => source,
        other => panic!("{other:?}"),
    }
}

fn of(payload: &str) -> Source {
    source(&jwt(payload), 0, 0)
}

/// Fails when the numbers depend on anything but the text, the user and the policy's seed.
#[test]
fn the_same_text_has_the_same_numbers_and_another_text_of_the_user_another_version() {
    let (one, other) = (of(r#"{"tid":"t","oid":"o"}"#), of(r#"{"tid":"t","oid":"o","iat":5}"#));
    assert_eq!(one, of(r#"{"tid":"t","oid":"o"}"#));
    assert_eq!(one, source(&jwt(r#"{"tid":"t","oid":"o"}"#), 0, 7), "an exchange's own seed is for other things");
    assert_ne!(one.version, other.version);
    assert_eq!(one.user, other.user);
    assert_eq!(of(r#"{"oid":"\u006f","tid":"\u0074"}"#).user, one.user, "it is the claims that count");
}

/// Fails when only one of the claims is hashed, or where one ends and the next begins does not matter.
#[test]
fn two_users_have_two_numbers() {
    let users = [
        r#"{"tid":"t","oid":"o"}"#,
        r#"{"tid":"o","oid":"t"}"#,
        r#"{"tid":"to","oid":""}"#,
        r#"{"tid":"","oid":"to"}"#,
        r#"{"tid":"t\u0000o","oid":""}"#,
        r#"{"tid":"t","oid":"\u0000o"}"#,
        r#"{"tid":"t\u0000","oid":"o"}"#,
        r#"{"tid":"t","oid":"o\u0000"}"#,
        r#"{"tid":"t","oid":"other"}"#,
        r#"{"tid":"other","oid":"o"}"#,
        // These say nothing of the user.
        r#"{"oid":"o"}"#,
        r#"{"oid":"o","iat":5}"#,
        r#"{"tid":"t"}"#,
    ];
    let mut numbers: Vec<u64> = users.map(|payload| of(payload).user).to_vec();
    numbers.extend(["unreadable", "unreadable-too"].map(|text| source(text, 0, 0).user));
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "{numbers:x?}");
}

/// Fails when `source` forgets its key: anybody could then tell a token by its number.
#[test]
fn the_numbers_are_keyed_by_the_policys_seed() {
    let text = jwt(r#"{"tid":"t","oid":"o"}"#);
    let numbers = [0, 1].map(|seed| source(&text, seed, 0));
    assert_ne!(numbers[0].version, numbers[1].version);
    assert_ne!(numbers[0].user, numbers[1].user);
    assert_eq!(numbers[0], source(&text, 0, 0));
}

/// Fails when the bytes that are hashed depend on the platform: a length in front as wide as a pointer, say.
#[test]
fn the_numbers_are_the_same_on_every_platform() {
    // By another SipHash-2-4, keyed with the seed and the crate's half; each part after its length in eight bytes.
    assert_eq!(source("entra", 0, 0), Source { version: VERSION, user: VERSION });
    assert_eq!(of(r#"{"tid":"t","oid":"o"}"#).user, USER);
}

const VERSION: u64 = 0x3bfb_731f_8fa0_6f1a;
const USER: u64 = 0x3d03_aa97_7a83_8b64;

/// Fails when the numbers' making leaves the token, or part of it, to be shown.
#[test]
fn a_source_shows_nothing_of_its_token() {
    for text in ["canary", &jwt(r#"{"tid":"canary","oid":"canary"}"#)] {
        let mut exchange = Exchange::new(contoso(), &Policy::default(), 0);
        while exchange.poll_action().is_some() {}
        exchange.handle(ExchangeEvent::EntraTokenReceived { token: EntraToken::new(text) }, now(0));
        let shown = format!("{exchange:?}{:?}{exchange:?}", exchange.poll_action());
        assert!(!shown.contains("canary") && !shown.contains(text), "{shown}");
        assert!(shown.contains("ReportSource"), "{shown}");
    }
}

/// Where the source is asked in a backoff too.
fn each_request() -> Policy {
    exact().to_builder().check_source(CheckSource::EachRequest).build().unwrap()
}

/// That has failed for `ENTRA` for good, and been asked again.
fn refused_for_good() -> Rig {
    let mut rig = Rig::exchanging(ENTRA, each_request());
    rig.respond(HttpResponse::new(403).with_body(br#"{"error":{"code":"Forbidden"}}"#.to_vec()));
    rig.pass(2 * SECOND);
    rig.request(1);
    rig
}

/// Fails when `fail_refresh` leaves `of_failure` as it was although the source is what failed.
#[test]
fn a_failure_of_the_source_belongs_to_no_entra_token() {
    // Without such a failure in between, nothing is tried for the same token.
    let mut rig = refused_for_good();
    rig.sign_in(ENTRA);
    assert!(rig.sent.is_none() && matches!(rig.answers[..], [(1, Err(_))]), "{rig:?}");

    let signed_out = |rig: &mut Rig| {
        rig.source_answers(ExchangeEvent::SignedOut);
    };
    let offline = |rig: &mut Rig| {
        rig.source_answers(ExchangeEvent::EntraTokenFailed { error: RefresherError::new("offline") });
    };
    let blank = |rig: &mut Rig| {
        rig.sign_in(" ");
    };
    let silent = |rig: &mut Rig| {
        rig.run_until(rig.at + MINUTE);
    };
    let failures: [&dyn Fn(&mut Rig); 4] = [&signed_out, &offline, &blank, &silent];
    for fails in failures {
        let mut rig = refused_for_good();
        fails(&mut rig);
        assert!(matches!(rig.answers[..], [(1, Err(_))]), "{rig:?}");
        rig.request(2);
        rig.sign_in(ENTRA);
        assert!(rig.sent.is_some(), "tried at once: {rig:?}");
        rig.respond(success("acs", "2023-11-14T23:13:20Z"));
        assert!(matches!(rig.answers[1..], [(2, Ok(_))]), "{rig:?}");
    }
}

/// Fails when a user who signs out while a fresh token is asked for is a failure of the token before.
#[test]
fn a_user_who_signs_out_after_a_401_starts_clean_too() {
    let mut rig = Rig::exchanging(ENTRA, each_request());
    rig.respond(HttpResponse::new(401));
    assert!(rig.fresh);
    rig.source_answers(ExchangeEvent::SignedOut);
    rig.pass(2 * SECOND);
    rig.request(1);
    rig.sign_in(ENTRA);
    assert!(rig.sent.is_some(), "tried at once: {rig:?}");

    // The refusal itself does belong to it.
    let mut rig = Rig::exchanging(ENTRA, each_request());
    rig.respond(HttpResponse::new(401).with_header("WWW-Authenticate", "Bearer"));
    rig.source_answers(ExchangeEvent::EntraTokenFailed { error: RefresherError::new("offline") });
    rig.pass(2 * SECOND);
    rig.request(1);
    rig.sign_in(ENTRA);
    assert!(rig.sent.is_none(), "{rig:?}");
}

/// What comes of an Entra token that the source gives.
fn given(text: &str) -> Rig {
    let mut rig = Rig::of_entra_user(contoso(), exact());
    rig.sign_in(text);
    rig
}

/// Fails when what is not a token is sent, or blamed on the service, or its text gets into the error.
#[test]
fn what_is_not_a_bearer_token_is_the_sources_failure_and_is_not_sent() {
    let long = "a".repeat(1 << 20);
    let opaque = "canary+0/of-a.bearer_token~==";
    let table = [
        (String::new(), "blank"),
        (" \t\r\n\x0c".to_owned(), "blank"),
        ("\u{a0}".to_owned(), "blank"),
        (format!("Bearer {opaque}"), "starts with `Bearer `: pass only what follows"),
        (format!("bearer\t{opaque}"), "starts with `Bearer `: pass only what follows"),
        (format!("\"{opaque}\""), "in quotes: pass only what is between"),
        (format!("'{opaque}'"), "in quotes: pass only what is between"),
        (format!("{{\"access_token\":\"{opaque}\"}}"), "JSON: pass its field `token` alone (in OAuth `access_token`)"),
        (format!("[\"{opaque}\"]"), "JSON"),
        ("<!doctype html><title>canary</title>".to_owned(), "HTML"),
        ("\t".to_owned(), "is anybody signed in"),
        ("null".to_owned(), "is anybody signed in"),
        (" undefined ".to_owned(), "is anybody signed in"),
        ("canary one".to_owned(), "white space or a line break"),
        ("canary\nof two lines".to_owned(), "white space or a line break"),
        ("canary\r\nX-Evil:1".to_owned(), "white space or a line break"),
        (format!("canary\u{2028}{opaque}"), "white space or a line break"),
        ("canary,canary".to_owned(), "characters that no bearer token has"),
        ("canary\0".to_owned(), "characters that no bearer token has"),
        ("eyJcanary…".to_owned(), "characters that no bearer token has"),
        ("canary=canary".to_owned(), "characters that no bearer token has"),
        ("==".to_owned(), "characters that no bearer token has"),
        (format!("{long}\n"), "less than 1 MiB: pass the bare token"),
        (format!("Bearer {long}"), "less than 1 MiB"),
    ];
    for (text, said) in table {
        let start: String = text.chars().take(40).collect();
        let rig = given(&text);
        assert!(rig.sent.is_none() && rig.failures.len() == 1, "{start:?}");
        let shown = format!("{} {:?}", rig.failure(), rig.failure());
        assert!(
            shown.contains("the source gave") && shown.contains(said) && !shown.contains("canary"),
            "{start:?}: {shown}"
        );
        assert!(!rig.failure().is_permanent(), "{start:?}");

        // After a 401 it is the source that fails, so the 401 is the failure.
        let mut rig = given(opaque);
        rig.respond(HttpResponse::new(401));
        rig.sign_in(&text);
        assert!(rig.sent.is_none() && rig.failure().to_string().contains("status 401"), "{start:?}");
    }
}

/// Fails when white space around a token is sent, or makes it another token.
#[test]
fn white_space_around_an_entra_token_is_dropped_for_good() {
    for text in ["canary+0/of-a.bearer_token~==", "a", "nullable", "Bearer", &"a".repeat((1 << 20) - 1)] {
        for around in [("", ""), (" ", "\r\n"), ("\t\n\x0c", ""), ("", "\n")] {
            let mut rig = given(&format!("{}{text}{}", around.0, around.1));
            let (_, request) = rig.sent.clone().expect("it is sent");
            let (_, value) = request.expose_headers().find(|(name, _)| *name == "Authorization").unwrap();
            assert_eq!(value.strip_prefix("Bearer "), Some(text), "{around:?}");
            drop(request);
            rig.respond(HttpResponse::new(401));
            rig.sign_in(text);
            assert!(rig.sent.is_none(), "the same one again");
        }
    }
}
