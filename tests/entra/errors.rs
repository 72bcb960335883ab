//! What becomes of a refusal: a typed error with the service's words in it, short, and without any secret.

use std::error::Error as _;
use std::time::Duration;

use acs_common::entra::{ErrorResponse, ExchangeError, ExchangeEvent, HttpResponse};
use acs_common::{Error, Event, FailureCause, FailureKind, RefresherError};

use super::support::rig::{MINUTE, Rig, SECOND, jwt};
use super::{exact, success};

const ENTRA: &str = "entra+canary.of~one==";

pub(crate) fn refused_for(entra: &str, response: HttpResponse) -> ErrorResponse {
    let mut rig = Rig::exchanging(entra, exact());
    rig.respond(response);
    match rig.exchange_error() {
        ExchangeError::Refused(response) => (**response).clone(),
        other => panic!("{other:?}"),
    }
}

fn refused(body: impl Into<Vec<u8>>) -> ErrorResponse {
    refused_for(ENTRA, HttpResponse::new(403).with_body(body.into()))
}

/// Fails when a field is not read, or read from elsewhere.
#[test]
fn a_refusal_carries_what_the_service_said() {
    let body = r#"{"error": {"code": "Forbidden", "message": "not assigned", "target": "user",
        "details": [{"code": "A", "message": "a", "target": "x"}, {"code": "B", "message": "b", "details": [{"code": "C"}]}],
        "innererror": {"code": "Inner", "innererror": {"code": "Innermost"}}}}"#;
    let response = HttpResponse::new(403)
        .with_header("X-MS-Request-ID", "service-id")
        .with_header("x-ms-error-code", "Other")
        .with_header("retry-after", "7")
        .with_body(body.into());
    let error = refused_for(ENTRA, response);
    assert_eq!(error.status, 403);
    assert_eq!((error.code.as_deref(), error.message.as_deref()), (Some("Forbidden"), Some("not assigned")));
    assert_eq!((error.request_id.as_str(), error.retry_after), ("service-id", Some(Duration::from_secs(7))));
    let codes: Vec<_> = error.details.iter().map(|detail| detail.code.as_deref().unwrap()).collect();
    assert_eq!(codes, ["A", "B", "Inner"]);
    assert_eq!((error.details[0].message.as_deref(), error.details[0].target.as_deref()), (Some("a"), Some("x")));
    assert_eq!(error.details[1].details[0].code.as_deref(), Some("C"));
    assert_eq!(error.details[2].details[0].code.as_deref(), Some("Innermost"));
    assert_eq!(
        ExchangeError::Refused(error.clone().into()).to_string(),
        "the exchange was refused with status 403 (Forbidden): not assigned [request service-id]"
    );
}

/// Fails when `advice` is for another status, or speaks although the service has.
#[test]
fn a_refusal_without_words_says_what_to_look_at() {
    let shown = |status, body: &str| {
        let response =
            HttpResponse::new(status).with_header("x-ms-request-id", "service-id").with_body(body.as_bytes().to_vec());
        ExchangeError::Refused(refused_for(ENTRA, response).into()).to_string()
    };
    let endpoint = "is the endpoint that of an Azure Communication Services resource?";
    assert_eq!(shown(404, ""), format!("the exchange was refused with status 404: {endpoint} [request service-id]"));
    assert!(
        shown(403, r#"{"error":{"code":"Forbidden"}}"#).contains("403 (Forbidden): is the Entra token for the scopes")
    );
    assert_eq!(shown(422, ""), "the exchange was refused with status 422 [request service-id]");
    let told = shown(404, r#"{"error":{"message":"no such user"}}"#);
    assert_eq!(told, "the exchange was refused with status 404: no such user [request service-id]");

    let mut rig = Rig::exchanging(ENTRA, exact());
    rig.respond(HttpResponse::new(401));
    rig.sign_in(ENTRA);
    assert!(rig.exchange_error().to_string().contains("status 401: is the Entra token for the scopes"));
}

/// Fails when an unusual body panics, or is carried as it is.
#[test]
fn a_refusal_without_words_has_a_status_all_the_same() {
    for body in [
        &b""[..],
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"<html>Bad Gateway canary</html>",
        b"{\"error\": null}",
        b"{\"error\": [{\"code\": \"canary\"}]}",
        b"{\"error\": {}}",
        b"{\"error\": \" \"}",
        b"{\"error\": {\"code\": null, \"message\": \"\"}}",
        b"{\"error\": {\"code\": [5], \"message\": [\"canary\"], \"details\": {}, \"innererror\": \"canary\"}}",
        b"{\"error\": {\"message\": \"\\ud800\"}}",
    ] {
        let error = refused(body);
        let text = String::from_utf8_lossy(body);
        assert_eq!((error.status, error.code.clone(), error.message.clone()), (403, None, None), "{text}");
        assert!(error.details.is_empty() && !error.request_id.is_empty(), "{text}");
        assert!(!format!("{error:?}{error}").contains("canary"), "{text}");
    }
    let header = HttpResponse::new(403).with_header("x-ms-error-code", "Denied").with_body(b"<html>".to_vec());
    assert_eq!(refused_for(ENTRA, header).code.as_deref(), Some("Denied"));
    let too_long = [br#"{"error":{"code":"x"}}"#.as_slice(), &vec![b' '; 1 << 20]].concat();
    assert_eq!(refused(too_long).code, None);
}

/// Fails when `body` knows Azure's own form alone: what answers may be Entra, API Management, a gateway or a proxy.
#[test]
fn errors_are_read_in_the_forms_there_are() {
    for (body, code, message) in [
        (
            r#"{"error":"invalid_grant","error_description":"it has expired"}"#,
            Some("invalid_grant"),
            Some("it has expired"),
        ),
        (r#"{"error":"invalid_grant"}"#, Some("invalid_grant"), None),
        (r#"{"error":"invalid_grant","code":"B","message":"m"}"#, Some("invalid_grant"), Some("m")),
        (r#"{"error":"Not Found","status":404}"#, Some("Not Found"), None),
        (r#"{"statusCode":401,"message":"Access denied"}"#, None, Some("Access denied")),
        (
            r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"no role"}"#,
            Some("Forbidden"),
            Some("no role"),
        ),
        (r#"{"title":"Forbidden","code":"NoRole","detail":"no role"}"#, Some("NoRole"), Some("no role")),
        (r#"{"code":"Denied","message":"no role"}"#, Some("Denied"), Some("no role")),
        (r#"{"error":{"code":403,"message":"no role"}}"#, Some("403"), Some("no role")),
        (r#"{"error":{"code":-1.5,"message":"no role"}}"#, Some("-1.5"), Some("no role")),
        ("\u{feff}{\"error\":{\"code\":\"Denied\"}}", Some("Denied"), None),
        (
            r#"{"error":{"code":"D\u0065nied","message":"\ud83d\udeab \"no\"\/\\\n\r\t\b\f."}}"#,
            Some("Denied"),
            Some("🚫 \"no\"/\\    ."),
        ),
        (r#"{"error":{"code":"\ud83d","message":"\udeab\ud83d"}}"#, None, None),
        (r#"{"error":{"code":"\ud83d\u0041","message":"\ud83d\ud83d"}}"#, None, None),
    ] {
        let error = refused(body);
        assert_eq!((error.code.as_deref(), error.message.as_deref()), (code, message), "{body}");
        let shown = error.to_string();
        assert!(shown.contains(code.unwrap_or_default()) && shown.contains(message.unwrap_or_default()), "{shown}");
    }
    let header = HttpResponse::new(403).with_header("x-ms-error-code", "H").with_body(br#"{"title":"T"}"#.to_vec());
    assert_eq!(refused_for(ENTRA, header).code.as_deref(), Some("H"), "a title is but a phrase");
}

/// Fails when a header that says more is not looked at, or one with a secret is shown as it is.
#[test]
fn a_refusal_names_the_challenge_and_where_a_redirect_leads() {
    let challenge = |value: &str| {
        let mut rig = Rig::exchanging(ENTRA, exact());
        rig.respond(HttpResponse::new(401).with_header("WWW-Authenticate", value));
        rig.sign_in(ENTRA);
        let ExchangeError::Refused(response) = rig.exchange_error() else { panic!("{rig:?}") };
        assert_eq!(response.to_string().contains("WWW-Authenticate"), response.challenge.is_some(), "{value}");
        response.challenge.clone()
    };
    for (value, read) in [
        ("Bearer", Some("Bearer")),
        (
            "Bearer realm=\"x, error=no\", Error=\"invalid_token\", error_description=\"a, b\"",
            Some("Bearer error=invalid_token"),
        ),
        ("Bearer error=invalid_token", Some("Bearer error=invalid_token")),
        ("Bearer last_error=\"x\"", Some("Bearer")),
        (&format!("Bearer error=\"{ENTRA}\""), Some("Bearer [removed]")),
        ("Bearer error=\"a\r\nb\"", Some("Bearer error=a  b")),
        (" ", None),
    ] {
        assert_eq!(challenge(value).as_deref(), read, "{value}");
    }
    let location = |status, value: &str| {
        let error = refused_for(ENTRA, HttpResponse::new(status).with_header("Location", value));
        assert_eq!(error.to_string().contains("Location"), error.location.is_some(), "{value}");
        error.location
    };
    for (value, host) in [
        ("https://portal.example/sign-in?token=canary", Some("portal.example")),
        ("HTTP://user:canary@Portal.Example:8080", Some("Portal.Example")),
        ("//portal.example/x", Some("portal.example")),
        ("https://[::1]:1/", Some("[::1]")),
        ("/elsewhere//canary", None),
        ("https:///", None),
        ("", None),
    ] {
        assert_eq!(location(302, value).as_deref(), host, "{value}");
        assert_eq!(location(409, value), None, "{value}");
    }
    assert_eq!(location(307, &format!("https://{ENTRA}/")).as_deref(), Some("[removed]"));
}

/// Fails when `detail` goes as deep, or as broad, as it is led.
#[test]
fn errors_within_errors_are_read_to_a_depth_and_a_breadth() {
    let mut nested = r#"{"code":"0"}"#.to_owned();
    for level in 1..100 {
        nested = format!(r#"{{"code":"{level}","innererror":{nested}}}"#);
    }
    let error = refused(format!(r#"{{"error":{nested}}}"#));
    let mut levels = 0;
    let mut within = &error.details;
    while let [detail] = &within[..] {
        levels += 1;
        within = &detail.details;
    }
    assert_eq!(levels, 4, "{error:?}");

    let listed = vec![r#"{"code":"x"}"#; 1_000].join(",");
    assert_eq!(refused(format!(r#"{{"error":{{"details":[5,null,{listed}]}}}}"#)).details.len(), 8);
    // Deeper than any stack: not read, and no harm done.
    let bomb = format!(r#"{{"error":{}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(refused(bomb).code, None);
}

/// Fails when `text` cuts at a byte that is not the first of a character, or not at all.
#[test]
fn long_words_are_cut_at_a_kibibyte_between_characters() {
    for (message, kept) in [
        ("a b ".repeat(256), None),
        ("a b ".repeat(256) + "c", Some("a b ".repeat(256) + "…")),
        ("ä ".repeat(600), Some("ä ".repeat(341) + "…")),
        ("😀".repeat(300), Some("😀".repeat(256) + "…")),
        ("x".to_owned() + &"😀".repeat(300), Some("x".to_owned() + &"😀".repeat(255) + "…")),
    ] {
        let kept = kept.unwrap_or_else(|| message.clone());
        let body = serde_json::json!({"error": {
            "code": message, "message": message, "details": [{"code": message, "message": message, "target": message}],
        }});
        let error = refused(body.to_string());
        let detail = &error.details[0];
        for text in [&error.code, &error.message, &detail.code, &detail.message, &detail.target] {
            assert_eq!(text.as_deref(), Some(kept.as_str()));
        }
    }
    let id = HttpResponse::new(403).with_header("x-ms-request-id", &"a b ".repeat(1_000));
    assert!(refused_for(ENTRA, id).request_id.len() <= 1_024 + "…".len());
}

/// Fails when `scrub` misses a field, a form of the token, or what looks like one.
#[test]
fn no_token_is_left_in_the_services_words() {
    let readable = jwt(r#"{"tid":"t","oid":"o","canary":"canary"}"#);
    let long = "canary".repeat(20);
    let encoded = readable.replace('.', "%2E");
    let padded = format!("{}%3D%3D%2Bcanary", "Ab1".repeat(30));
    for quoted in [
        ENTRA.to_owned(),
        format!("Bearer {ENTRA}"),
        format!("the token '{ENTRA}' is expired"),
        format!("{ENTRA}{ENTRA}"),
        readable.clone(),
        format!("bearer {readable}, and again {readable}"),
        format!("cut: {}canary…", &readable[..12]),
        encoded,
        padded,
        format!("?token={readable}&x=1"),
        format!("\"{readable}\""),
        long,
        format!("{}/{}canary+=", "a".repeat(40), "b".repeat(40)),
    ] {
        let detail = serde_json::json!({"code": quoted, "message": quoted, "target": quoted});
        let body = serde_json::json!({"error": {
            "code": quoted, "message": quoted, "target": quoted, "details": [detail], "innererror": detail,
        }});
        let response =
            HttpResponse::new(403).with_header("x-ms-request-id", &quoted).with_body(body.to_string().into());
        let error = refused_for(ENTRA, response);
        let shown = format!("{error:?} {error}");
        assert!(!shown.contains("canary"), "{quoted}: {shown}");
        assert_eq!(error.details.len(), 2);
        let header = HttpResponse::new(403).with_header("x-ms-error-code", &quoted);
        assert!(!format!("{:?}", refused_for(ENTRA, header)).contains("canary"), "{quoted}");
    }
    // White space round a token does not reach the service, nor does it come back.
    let response = HttpResponse::new(403).with_body(format!(r#"{{"error":{{"message":"no {ENTRA}"}}}}"#).into());
    assert_eq!(refused_for(&format!(" {ENTRA}\n"), response).message.as_deref(), Some("no [removed]"));
    // What is no token stays: names, GUIDs, URLs.
    let words =
        "user 8:acs:b6aada1f-0b1d-47ac-866f-91aae00a1d01_wf not found, see https://aka.ms/acs/errors?code=40101 (100%)";
    let error = refused(serde_json::json!({"error": {"message": words}}).to_string());
    assert_eq!(error.message.as_deref(), Some(words));
}

/// Fails when `visible` lets through what a log, or a terminal, takes for something else; or makes it after the tokens are
/// taken out, which are then whole again.
#[test]
fn what_cannot_be_seen_is_not_among_the_services_words() {
    let breaks = ['\n', '\r', '\t', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];
    let unseen = ['\0', '\u{1b}', '\u{8}', '\u{7f}', '\u{9b}', '\u{ad}', '\u{61c}', '\u{200b}', '\u{200d}', '\u{200e}'];
    let more =
        ['\u{200f}', '\u{202a}', '\u{202e}', '\u{2060}', '\u{2066}', '\u{2069}', '\u{feff}', '\u{fffa}', '\u{e0041}'];
    for (c, shown) in breaks.map(|c| (c, " ")).into_iter().chain(unseen.into_iter().chain(more).map(|c| (c, ""))) {
        let text = format!("no{c}entry");
        let detail = serde_json::json!({"code": text, "message": text, "target": text});
        let body = serde_json::json!({"error": {"code": text, "message": text, "innererror": detail}});
        let response = HttpResponse::new(403).with_header("x-ms-request-id", &text).with_body(body.to_string().into());
        let error = refused_for(ENTRA, response);
        let detail = &error.details[0];
        for kept in [&error.code, &error.message, &detail.code, &detail.message, &detail.target] {
            assert_eq!(kept.as_deref(), Some(format!("no{shown}entry").as_str()), "{c:?}");
        }
        assert!(!error.to_string().contains(c) && !error.request_id.contains(c), "{c:?}");
        let header = HttpResponse::new(403).with_header("x-ms-error-code", &text);
        assert_eq!(refused_for(ENTRA, header).code, Some(format!("no{shown}entry")), "{c:?}");

        let spread: String = ENTRA.chars().flat_map(|letter| [letter, c]).collect();
        let body = serde_json::json!({"error": {"message": spread}});
        let error = refused_for(ENTRA, HttpResponse::new(403).with_body(body.to_string().into()));
        assert!(!error.to_string().contains(ENTRA), "{c:?}: {error}");
    }
    // What can be seen stays, in any script.
    let words = "kein Zutritt: Übung № 5, 立入禁止, דרך סגורה, 🚫";
    assert_eq!(refused(serde_json::json!({"error": {"message": words}}).to_string()).message.as_deref(), Some(words));
}

/// Fails when a caller's error loses that of the exchange on its way.
#[test]
fn a_caller_finds_the_exchanges_error_in_the_one_returned() {
    let mut rig = Rig::exchanging(ENTRA, exact());
    rig.handle(Event::TokenRequested { waiter: 1 });
    rig.respond(HttpResponse::new(403).with_body(br#"{"error":{"code":"Forbidden"}}"#.to_vec()));
    let Some((1, Err(error))) = rig.answers.pop() else { panic!("{:?}", rig.answers) };
    let Error::RefreshFailed { cause: FailureCause::Refresher(cause), retry_in, .. } = &error else {
        panic!("{error}")
    };
    assert!(cause.is_permanent() && retry_in.is_some());
    match cause.get_ref().downcast_ref() {
        Some(ExchangeError::Refused(response)) => assert_eq!(response.status, 403),
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains("status 403"), "{error}");
    assert!(error.source().is_none(), "its text says it all");
}

/// Fails when `unreachable` loses what the host reported, or believes it that this is permanent.
#[test]
fn a_host_that_gets_no_answer_finds_its_error_again() {
    let mut rig = Rig::exchanging(ENTRA, exact());
    for attempt in 1..=4 {
        assert_eq!(rig.sent.as_ref().unwrap().1.attempt(), attempt);
        rig.unreachable(RefresherError::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)).permanent());
        if attempt < 4 {
            rig.pause().expect("it is tried again");
        }
    }
    assert!(!rig.failure().is_permanent());
    match rig.exchange_error() {
        ExchangeError::Transport(error) => assert!(error.get_ref().is::<std::io::Error>()),
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.failure().kind(), FailureKind::RefresherFailed);
    assert!(rig.failure().to_string().contains("connection reset"), "{}", rig.failure());
}

/// As HTTP clients' errors do, it leaves to its source what came about, and that one to its own.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Because {
    text: &'static str,
    #[source]
    source: Option<Box<Self>>,
}

/// Fails when `down_to_the_cause` stops before the last source, or repeats what has been said.
#[test]
fn a_host_that_gets_no_answer_says_why_down_to_the_cause_and_each_thing_once() {
    let because = |text, source| Because { text, source: Some(Box::new(source)) };
    let refused = Because { text: "connection refused", source: None };
    let connect = because("cannot connect: connection refused", refused);
    let mut rig = Rig::exchanging(ENTRA, exact());
    let error = RefresherError::new(because("cannot send", because("client error", connect)));
    for attempt in 1..=4 {
        rig.unreachable(error.clone());
        if attempt < 4 {
            rig.pause().expect("it is tried again");
        }
    }
    let said = "no complete answer from the exchange: cannot send: client error: cannot connect: connection refused";
    assert_eq!(rig.exchange_error().to_string(), said);
    assert!(rig.exchange_error().source().is_none(), "its text says it all");
}

/// Fails when the first rejection of a token counts as a failure of the Entra token it came of.
#[test]
fn a_failure_of_the_source_does_not_count_against_what_it_gives_after_a_rejection() {
    let mut rig = Rig::exchanging(ENTRA, exact());
    rig.respond(success("acs", "2023-11-14T23:13:20Z"));
    rig.at = 58 * MINUTE;
    rig.handle(Event::TokenRequested { waiter: 1 });
    rig.source_answers(ExchangeEvent::EntraTokenFailed { error: RefresherError::new("no network") });

    rig.handle(Event::TokenRejected { token: rig.held().expect("the failure did not cost it") });
    rig.at += 2 * SECOND;
    rig.handle(Event::TokenRequested { waiter: 2 });
    rig.sign_in(ENTRA);
    rig.respond(HttpResponse::new(200));
    match rig.answers.pop() {
        Some((2, Err(Error::RefreshFailed { retry_in, .. }))) => assert_eq!(retry_in, Some(Duration::from_secs(1))),
        other => panic!("{other:?}"),
    }
}
