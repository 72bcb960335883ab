//! What status 200 brings: a token and its expiry to the millisecond, or why not.

use acs_common::entra::{BadResponse, ExchangeError, HttpResponse};
use acs_common::{CheckSource, Event, FailureKind, Policy, UnixTime};

use super::support::rig::{MINUTE, Rig, START, jwt, unix};
use super::{exact, success};

const MIB: usize = 1 << 20;

fn respond(response: HttpResponse) -> Rig {
    let mut rig = Rig::exchanging("entra", exact());
    rig.respond(response);
    rig
}

fn bad(body: impl Into<Vec<u8>>) -> BadResponse {
    let rig = respond(HttpResponse::new(200).with_body(body.into()));
    assert!(rig.held().is_none() && rig.sent.is_none(), "neither taken nor tried again");
    assert_eq!(rig.failure().kind(), FailureKind::BadResponse);
    assert!(!rig.failure().is_permanent());
    match rig.exchange_error() {
        ExchangeError::BadResponse(why) => why.clone(),
        other => panic!("{other:?}"),
    }
}

fn no_token() -> BadResponse {
    BadResponse::NoToken { field: "accessToken.token".to_owned() }
}

/// Fails when `rfc3339` rounds, forgets the offset, or lets through what is not a moment. The start is
/// 2023-11-14T22:13:20Z.
#[test]
fn an_expiry_is_read_to_the_millisecond_whatever_its_form() {
    const YEAR_10000: i64 = 253_402_300_800_000;
    let table: [(&str, i64); 31] = [
        ("2023-11-14T23:13:20Z", 3_600_000),
        ("2023-11-14t23:13:20z", 3_600_000),
        ("2023-11-14 23:13:20Z", 3_600_000),
        ("2023-11-14 23:13:20+00:00", 3_600_000),
        ("2023-11-14T23:13:20-00:00", 3_600_000),
        ("2023-11-14T23:13:20.0Z", 3_600_000),
        ("2023-11-14T23:13:20.1Z", 3_600_100),
        ("2023-11-14T23:13:20.12Z", 3_600_120),
        ("2023-11-14T23:13:20.123Z", 3_600_123),
        ("2023-11-14T23:13:20.1239Z", 3_600_123),
        ("2023-11-14T23:13:20.12399Z", 3_600_123),
        ("2023-11-14T23:13:20.123999Z", 3_600_123),
        ("2023-11-14T23:13:20.1239999+00:00", 3_600_123),
        ("2023-11-14T23:13:20.12399999Z", 3_600_123),
        ("2023-11-14T23:13:20.999999999Z", 3_600_999),
        ("2023-11-14T16:13:20.3244584-07:00", 3_600_324),
        ("2023-11-15T13:13:20+14:00", 3_600_000),
        ("2023-11-15T04:58:20+05:45", 3_600_000),
        ("2023-11-14T11:13:20-12:00", 3_600_000),
        ("2023-11-15T23:12:20+23:59", 3_600_000),
        ("2023-11-14T22:13:60Z", 40_000),
        ("2023-11-14T22:13:60.5Z", 40_500),
        ("2023-12-31T23:59:60Z", 4_067_200_000),
        ("2023-11-14T22:13:20.001Z", 1),
        ("2024-02-29T00:00:00Z", 9_164_800_000),
        ("2100-02-28T23:59:59Z", 4_107_542_399_000 - START * 1_000),
        ("9999-12-31T23:59:59.999Z", YEAR_10000 - 1 - START * 1_000),
        ("9999-12-31T23:59:60Z", YEAR_10000 - START * 1_000),
        ("9999-12-31T23:59:59-23:59", YEAR_10000 - 1_000 + 86_340_000 - START * 1_000),
        ("2023-11-14T23:13:20.0000000Z", 3_600_000),
        ("2023-11-14T22:13:21+00:00", 1_000),
    ];
    for (text, left) in table {
        let mut rig = respond(success("opaque", text));
        let token = rig.held().unwrap_or_else(|| panic!("{text}: {:?}", rig.failures));
        let expiry = UnixTime::from_millis(START * 1_000 + left);
        assert_eq!(token.expires_on(), expiry, "{text}");
        rig.at = u64::try_from(left).unwrap() - 1;
        assert!(rig.held().is_some(), "{text}: alive to the last millisecond");
        rig.at += 1;
        assert!(rig.held().is_none(), "{text}: expired");
    }
}

/// Fails when a form that is not a moment passes for one, or costs the token. Elsewhere such a token never expired.
#[test]
fn an_expiry_that_cannot_be_read_is_that_of_an_opaque_token() {
    for text in [
        "",
        " ",
        "soon",
        "1700003600",
        "2023-11-14T23:13:20",
        "2023-11-14",
        "23:13:20Z",
        "2023-11-14T24:00:00Z",
        "2023-11-14T23:60:00Z",
        "2023-11-14T23:13:61Z",
        "2023-11-31T23:13:20Z",
        "2023-02-29T23:13:20Z",
        "2100-02-29T23:13:20Z",
        "2023-00-14T23:13:20Z",
        "2023-13-14T23:13:20Z",
        "2023-11-00T23:13:20Z",
        "23-11-14T23:13:20Z",
        "12023-11-14T23:13:20Z",
        "+2023-11-14T23:13:20Z",
        "-2023-11-14T23:13:20Z",
        "2023-11-14T23:13:20.Z",
        "2023-11-14T23:13:20,5Z",
        "2023-11-14T23:13Z",
        "2023-11-14T23:13:20Z ",
        " 2023-11-14T23:13:20Z",
        "2023-11-14T23:13:20Zjunk",
        "2023-11-14T23:13:20+00:00:00",
        "2023-11-14T23:13:20+0000",
        "2023-11-14T23:13:20+00",
        "2023-11-14T23:13:20+24:00",
        "2023-11-14T23:13:20+00:60",
        "2023-11-14  23:13:20Z",
        "2023-11-14_23:13:20Z",
        "2023/11/14T23:13:20Z",
        "2023-11-14T23:13:20UTC",
        "Tue, 14 Nov 2023 23:13:20 GMT",
        "11/14/2023 23:13:20 +00:00",
        "11/14/2023 11:13:20 PM +00:00",
        "２０２３-11-14T23:13:20Z",
        "2023-11-14T23:13:20.1234567890Z",
        "2023-11-14T16:13:20\u{2212}07:00",
    ] {
        assert_lives_as_opaque(success("opaque", text), text);
    }
    for expires_on in ["", r#","expiresOn":null"#, r#","expiresOn":1700003600"#, r#","expiresOn":{}"#] {
        let body = format!(r#"{{"accessToken":{{"token":"opaque"{expires_on}}}}}"#);
        assert_lives_as_opaque(HttpResponse::new(200).with_body(body.into_bytes()), expires_on);
    }
}

fn assert_lives_as_opaque(response: HttpResponse, expires_on: &str) {
    let policy = exact().to_builder().opaque_token_lifetime(std::time::Duration::from_secs(77)).build().unwrap();
    let mut rig = Rig::exchanging("entra", policy);
    rig.respond(response);
    let token = rig.held().unwrap_or_else(|| panic!("{expires_on:?}: {:?}", rig.failures));
    assert!(token.is_opaque() && token.expires_on() == unix(77_000), "{expires_on:?}: {token:?}");
}

/// Fails when a token that has expired on arrival is stored, or its `expiresOn` taken for 1970.
#[test]
fn an_access_token_that_has_expired_on_arrival_is_not_taken() {
    for text in ["2023-11-14T22:13:20Z", "2023-11-14T22:13:20.0009Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z"] {
        let rig = respond(success("opaque", text));
        assert!(rig.held().is_none(), "{text}");
        assert_eq!(rig.failure().kind(), FailureKind::ExpiredToken, "{text}");
    }
}

/// Fails when a JWT's own `exp` is not asked, or asked before a readable `expiresOn`.
#[test]
fn a_jwts_own_expiry_serves_only_where_the_service_states_none() {
    let exp = START + 600;
    let token = jwt(format!("{{\"exp\":{exp}}}"));
    for expires_on in
        ["", r#","expiresOn":null"#, r#","expiresOn":"soon""#, r#","expiresOn":1700003600"#, r#","expiresOn":{}"#]
    {
        let body = format!(r#"{{"accessToken":{{"token":"{token}"{expires_on}}}}}"#);
        let rig = respond(HttpResponse::new(200).with_body(body.into_bytes()));
        assert_eq!(rig.held().unwrap().expires_on(), unix(600_000), "{expires_on}");
    }
    let rig = respond(success(&token, "2023-11-14T23:13:20Z"));
    assert_eq!(rig.held().unwrap().expires_on(), unix(3_600_000));
    let unreadable = jwt(r#"{"sub":"me"}"#);
    assert_lives_as_opaque(success(&unreadable, "soon"), "soon");
}

/// Fails when `token` takes another type for a string, or looks for its fields elsewhere.
#[test]
fn a_body_without_a_token_in_its_place_is_unusable() {
    let until = r#""expiresOn":"2023-11-14T23:13:20Z""#;
    for (body, why) in [
        (String::new(), BadResponse::NotJson),
        ("null".into(), BadResponse::NotJson),
        ("[]".into(), BadResponse::NotJson),
        ("5".into(), BadResponse::NotJson),
        ("\"text\"".into(), BadResponse::NotJson),
        ("<html>".into(), BadResponse::NotJson),
        (format!(r#"[{{"accessToken":{{"token":"t",{until}}}}}]"#), BadResponse::NotJson),
        (format!(r#"{{"accessToken":{{"token":"t",{until}}}}} x"#), BadResponse::NotJson),
        (format!(r#"{{"accessToken":{{"token":"t",{until}}}"#), BadResponse::NotJson),
        (format!("\u{feff}\u{feff}{{\"accessToken\":{{\"token\":\"t\",{until}}}}}"), BadResponse::NotJson),
        ("{}".into(), no_token()),
        (r#"{"accessToken":null}"#.into(), no_token()),
        (r#"{"accessToken":"t"}"#.into(), no_token()),
        (format!(r#"{{"accessToken":[{{"token":"t",{until}}}]}}"#), no_token()),
        (format!(r#"{{"token":"t",{until}}}"#), no_token()),
        (format!(r#"{{"accesstoken":{{"token":"t",{until}}}}}"#), no_token()),
        (format!(r#"{{"accessToken":{{{until}}}}}"#), no_token()),
        (format!(r#"{{"accessToken":{{"token":null,{until}}}}}"#), no_token()),
        (format!(r#"{{"accessToken":{{"token":7,{until}}}}}"#), no_token()),
        (format!(r#"{{"accessToken":{{"token":["t"],{until}}}}}"#), no_token()),
        (format!(r#"{{"accessToken":{{"token":"",{until}}}}}"#), no_token()),
        (format!(r#"{{"accessToken":{{"token":" \t\n\u00a0",{until}}}}}"#), no_token()),
        (format!(r#"{{"accessToken":{{"token":"\ud800",{until}}}}}"#), no_token()),
        (format!(r#"{{"accessToken":{{"accessToken":{{"token":"t",{until}}}}}}}"#), no_token()),
    ] {
        assert_eq!(bad(body.clone()), why, "{body}");
    }
    let mut latin1 = format!(r#"{{"accessToken":{{"token":"t",{until}}},"x":""#).into_bytes();
    latin1.extend(b"\xe9\"}");
    assert_eq!(bad(latin1), BadResponse::NotJson);
}

/// Fails when a mark that text editors put before a text is read as part of it.
#[test]
fn a_byte_order_mark_before_the_body_is_passed_over() {
    let body = "\u{feff}{\"accessToken\":{\"token\":\"t\",\"expiresOn\":\"2023-11-14T23:13:20Z\"}}";
    let rig = respond(HttpResponse::new(200).with_body(body.into()));
    assert_eq!(rig.held().expect("it is read").expires_on(), unix(3_600_000));
}

/// Fails when `or_more` loses what the service says, or takes it for a refusal.
#[test]
fn an_error_with_status_200_is_a_bad_response_with_the_services_words() {
    for body in [
        r#"{"error":{"code":"Busy","message":"come back"}}"#,
        r#"{"error":"Busy","error_description":"come back"}"#,
        r#"{"accessToken":null,"error":{"code":"Busy","message":"come back"}}"#,
        "\u{feff}{\"code\":\"Busy\",\"message\":\"come back\"}",
    ] {
        let BadResponse::Error(error) = bad(body) else { panic!("{body}") };
        assert_eq!((error.status, error.code.as_deref()), (200, Some("Busy")), "{body}");
        assert_eq!(error.message.as_deref(), Some("come back"), "{body}");
        let rig = respond(HttpResponse::new(200).with_body(body.into()));
        assert!(rig.failure().to_string().contains("Busy") && rig.failure().to_string().contains("come back"));
    }
}

/// Fails when a page in the service's place, or bytes that nobody can read, do not say what they are.
#[test]
fn a_body_that_is_not_json_says_what_it_is() {
    let zipped = b"\x1f\x8b\x08\0\0\0";
    for (headers, body, shown) in [
        (
            &[("Content-Type", "text/html; charset=utf-8")][..],
            &b"<html>"[..],
            Some("Content-Type: text/html; charset=utf-8"),
        ),
        (&[("Content-Type", "application/json")], b"{", Some("Content-Type: application/json")),
        (&[("Content-Encoding", "gzip"), ("Content-Type", "application/json")], zipped, Some("Content-Encoding: gzip")),
        (&[("Content-Encoding", "br")], zipped, Some("Content-Encoding: br")),
        (&[("Content-Encoding", "Identity")], b"<html>", None),
        (&[("Content-Type", "text/html")], b"", None),
        (&[], b"<html>", None),
    ] {
        for status in [200, 502, 501] {
            let mut rig = Rig::exchanging("entra", exact().to_builder().refresh_timeout(None).build().unwrap());
            for _ in 0..4 {
                let response = HttpResponse::new(status).with_body(body.to_vec());
                rig.respond(headers.iter().fold(response, |it, (name, value)| it.with_header(name, value)));
                if !rig.failures.is_empty() {
                    break;
                }
                rig.pause();
            }
            let said = rig.failure().to_string();
            assert_eq!(said.contains("Content-"), shown.is_some(), "{status} {headers:?}: {said}");
            assert!(said.contains(shown.unwrap_or_default()), "{status} {headers:?}: {said}");
            assert!(!said.contains("<html>"), "{said}");
        }
    }
    // A client that has decompressed it may leave the header.
    let good = success("t", "2023-11-14T23:13:20Z").with_header("Content-Encoding", "gzip");
    assert!(respond(good).held().is_some());
}

/// Fails when the first of two fields counts, or what else is in the body is looked at.
#[test]
fn of_two_fields_the_last_counts_and_the_rest_of_the_body_does_not_matter() {
    let good = r#"{"token":"t","expiresOn":"2023-11-14T23:13:20Z"}"#;
    for body in [
        format!(r#"{{"accessToken":null,"accessToken":{good}}}"#),
        r#"{"accessToken":{"token":5,"expiresOn":"x","expiresOn":"2023-11-14T23:13:20Z","token":"t"}}"#.into(),
        format!(r#" {{"identity":{{"id":"8:acs:x"}},"more":[1,2e400,{{}}],"accessToken":{good}}} "#),
        format!(r#"{{"access\u0054oken":{good}}}"#),
        format!(r#"{{"\ud800":"\ud800","accessToken":{good}}}"#),
        r#"{"accessToken":{"token":"\u0074","expiresOn":"2023-11-14T23:13:20\u005a"}}"#.into(),
    ] {
        let rig = respond(HttpResponse::new(200).with_body(body.clone().into_bytes()));
        let token = rig.held().unwrap_or_else(|| panic!("{body}: {:?}", rig.failures));
        assert_eq!((token.secret().expose(), token.expires_on()), ("t", unix(3_600_000)), "{body}");
        assert!(!token.is_opaque(), "its life was stated");
    }
    let rig =
        respond(HttpResponse::new(200).with_body(format!(r#"{{"accessToken":{good},"accessToken":{{}}}}"#).into()));
    assert!(rig.held().is_none());
}

/// Fails when `body` takes a byte more, or refuses the last one that is allowed.
#[test]
fn a_body_of_a_mebibyte_is_read_and_one_byte_more_is_not() {
    let good = r#"{"accessToken":{"token":"t","expiresOn":"2023-11-14T23:13:20Z"}}"#;
    let padded = |length: usize| [good.as_bytes(), &vec![b' '; length - good.len()]].concat();
    assert_eq!(HttpResponse::MAX_BODY, MIB);
    assert!(respond(HttpResponse::new(200).with_body(padded(MIB))).held().is_some());
    assert_eq!(bad(padded(MIB + 1)), BadResponse::TooLong);
}

/// Fails when an unusable answer is kept in any way: the next one starts from nothing.
#[test]
fn nothing_of_an_unusable_answer_is_kept() {
    let mut rig = respond(HttpResponse::new(200).with_body(br#"{"accessToken": {"Token": "canary"}}"#.to_vec()));
    assert!(!format!("{:?}{:?}{}", rig.credential, rig.failures, rig.failure()).contains("canary"));
    rig.at = 1_000;
    rig.handle(Event::TokenRequested { waiter: 1 });
    rig.sign_in("entra");
    rig.respond(success("t", "2023-11-14T23:13:20Z"));
    assert!(matches!(&rig.answers[..], [(1, Ok(token))] if token.secret().expose() == "t"));
}

/// Fails when there is no `snapshot`, so that every request has to be handed in; or there is one although the source goes
/// first.
#[test]
fn a_token_held_is_there_to_be_served_past_the_machine_unless_the_source_goes_first() {
    let snapshot = |policy: Policy| {
        let mut rig = Rig::exchanging("entra", policy);
        rig.respond(success("acs", "2023-11-14T23:13:20Z"));
        let held = rig.held().expect("it was accepted");
        rig.machine.snapshot().map(|snapshot| snapshot.token(rig.now()).is_some_and(|token| token.ptr_eq(&held)))
    };
    assert_eq!(snapshot(exact()), Some(true));
    assert_eq!(snapshot(Policy::builder().check_source(CheckSource::EachRequest).build().unwrap()), None);
}

/// Fails when a pause between two tries is laid on the monotonic clock alone, or ends a snapshot: the token is good all the
/// same.
#[test]
fn a_pause_of_a_renewal_is_over_as_soon_as_either_clock_says_so() {
    let mut rig = Rig::exchanging("entra", exact());
    rig.respond(success("acs", "2023-11-14T23:13:20Z"));
    rig.pass(MINUTE);
    rig.handle(Event::RetryNow);
    rig.sign_in("another");
    rig.respond(HttpResponse::new(503));
    let snapshot = rig.machine.snapshot().expect("the token is good");
    // The wall clock is set forward, which no timer tells of.
    rig.set_forward(799);
    rig.handle(Event::TimeAdvanced);
    assert!(rig.sent.is_none() && snapshot.token(rig.now()).is_some());
    rig.set_forward(1);
    assert!(snapshot.token(rig.now()).is_some());
    rig.request(1);
    assert!(rig.sent.is_some(), "the request was a look at the clocks");
}

/// Fails when a claim that is missing, or no string, counts as one: of the same user are only those who say so, both of them.
#[test]
fn a_refusal_costs_the_held_token_unless_both_entra_tokens_name_one_user() {
    let whole = r#"{"tid":"t","oid":"o"}"#;
    for (before, now, kept) in [
        (whole, r#"{"tid":"t","oid":"o","iat":5}"#, true),
        (whole, r#"{"tid":"t","oid":"other"}"#, false),
        (whole, r#"{"tid":"other","oid":"o"}"#, false),
        (whole, r#"{"oid":"o"}"#, false),
        (whole, r#"{"tid":"t"}"#, false),
        (r#"{"oid":"o"}"#, whole, false),
        (r#"{"tid":"t"}"#, whole, false),
        (r#"{"oid":"o"}"#, r#"{"oid":"o","iat":5}"#, false),
        (r#"{"tid":"t"}"#, r#"{"tid":"t","iat":5}"#, false),
        ("{}", r#"{"iat":5}"#, false),
        (r#"{"tid":"t","oid":null}"#, r#"{"tid":"t","oid":null,"iat":5}"#, false),
        (r#"{"tid":"t","oid":7}"#, r#"{"tid":"t","oid":7,"iat":5}"#, false),
    ] {
        assert_eq!(refusal_spares_the_token(&jwt(before), &jwt(now)), kept, "{before}, then {now}");
    }
}

/// Fails when a payload with bytes that are no text is refused, or one that is not base64 to its end is read.
#[test]
fn a_user_is_known_by_a_payload_that_is_not_all_text_but_not_by_half_of_one() {
    let whole = jwt(r#"{"tid":"t","oid":"o"}"#);
    let not_all_text = jwt(b"{\"tid\":\"t\",\"oid\":\"o\",\"name\":\"\xff\"}");
    assert!(refusal_spares_the_token(&whole, &not_all_text));
    let half = jwt(format!(r#"{{"tid":"t","oid":"o"}}{}"#, " ".repeat(1_000))).replace(".c2ln", "~.c2ln");
    assert!(!refusal_spares_the_token(&whole, &half));
}

fn refusal_spares_the_token(before: &str, now: &str) -> bool {
    let mut rig = Rig::exchanging(before, exact());
    rig.respond(success("acs", "2023-11-14T23:13:20Z"));
    rig.at = MINUTE;
    rig.handle(Event::RetryNow);
    rig.sign_in(now);
    rig.respond(HttpResponse::new(403));
    rig.held().is_some()
}
