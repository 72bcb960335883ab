//! What a response brings: a token and its expiry, or a failure of the right kind.

use std::time::Duration;

use acs_common::issuer::{BadResponse, HttpResponse, Issuer, IssuerError};
use acs_common::{Action, Error, Event, FailureCause, FailureKind, Machine, Policy, TokenError};

use super::{at, first, held, issuer, ok, refused, why};

const MIB: usize = 1 << 20;
const HOUR: i64 = 3_600;
/// When an opaque token of the default policy ends: it came a second after the start.
const ASSUMED: i64 = 601;

/// Fails when a body's form is not recognised, or a field's name is not the caller's.
#[test]
fn a_token_is_text_a_json_string_or_a_field_of_a_json_object() {
    let oauth = || issuer().with_token_field("access_token");
    let nested = || issuer().with_token_field("accessToken.token");
    let deep = || issuer().with_token_field("a.b.c");
    for (issuer, body) in [
        (issuer(), "eyJhbGci"),
        (issuer(), " \r\neyJhbGci\n"),
        (issuer(), "\u{feff}eyJhbGci"),
        (issuer(), "\"eyJhbGci\""),
        (issuer(), r#"{"token": "eyJhbGci"}"#),
        (issuer(), "\u{feff}\n {\"user\": {\"token\": \"no\"}, \"token\": \"\\u0065yJhbGci\\n\"}\n"),
        (issuer(), r#"{"token": "no", "token": "eyJhbGci"}"#),
        (oauth(), r#"{"token_type": "Bearer", "token": "no", "access_token": "eyJhbGci"}"#),
        (oauth(), "eyJhbGci"),
        (nested(), r#"{"token": "no", "accessToken": {"token": "eyJhbGci"}}"#),
        (deep(), r#"{"a": {"b": {"c": "eyJhbGci"}}, "c": "no"}"#),
    ] {
        assert_eq!(held(&issuer, &ok(body)), ("eyJhbGci".to_owned(), ASSUMED, true), "{body}");
    }
    for status in [200, 201, 203, 299] {
        let response = HttpResponse::new(status).with_body(b"eyJhbGci".to_vec());
        assert_eq!(held(&issuer(), &response).0, "eyJhbGci");
    }
}

/// Fails when a name, a unit or a form of the expiry is not read, or when one that cannot be read counts.
#[test]
fn an_expiry_beside_the_token_counts_and_one_that_cannot_be_read_is_absent() {
    for (fields, end) in [
        (r#""expires_in": 3600"#, HOUR),
        (r#""expiresIn": "3600""#, HOUR),
        (r#""expires_in": 3600.5"#, HOUR),
        (r#""expiresOn": "2023-11-14T23:13:20Z""#, HOUR),
        (r#""expires_on": "2023-11-15T00:13:20.0000000+01:00""#, HOUR),
        (r#""expiresAt": 1700003600"#, HOUR),
        (r#""expires_at": "1700003600""#, HOUR),
        (r#""expiresOn": 1700003600000"#, HOUR),
        // A lifetime first: it needs no clock.
        (r#""expiresOn": "2023-11-14T23:13:20Z", "expires_in": 60"#, 60),
        (r#""expiresOn": "2023-11-14T23:13:20Z", "expires_in": null"#, HOUR),
        (r#""expiresOn": "soon", "expiresAt": 1700003600"#, HOUR),
        // None of these can be read.
        (r#""expires_in": -60"#, ASSUMED),
        (r#""expires_in": "an hour""#, ASSUMED),
        (r#""expires_in": """#, ASSUMED),
        (r#""expires_in": {"seconds": 60}"#, ASSUMED),
        (r#""expiresOn": null"#, ASSUMED),
        (r#""expiresOn": "2023-11-14T23:13:20""#, ASSUMED),
        (r#""expiresOn": true"#, ASSUMED),
        (r#""ExpiresOn": "2023-11-14T23:13:20Z""#, ASSUMED),
    ] {
        let body = format!(r#"{{{fields}, "token": "opaque"}}"#);
        assert_eq!(held(&issuer(), &ok(&body)), ("opaque".into(), end, end == ASSUMED), "{body}");
        // In the object of the token, not outside of it.
        let nested = format!(r#"{{{fields}, "accessToken": {{"token": "opaque"}}}}"#);
        assert_eq!(held(&issuer().with_token_field("accessToken.token"), &ok(&nested)).1, ASSUMED, "{nested}");
        let nested = format!(r#"{{"accessToken": {{{fields}, "token": "opaque"}}}}"#);
        assert_eq!(held(&issuer().with_token_field("accessToken.token"), &ok(&nested)).1, end, "{nested}");
    }
    let never = held(&issuer(), &ok(r#"{"token": "opaque", "expires_in": 1e999}"#));
    assert_eq!(never.1, ASSUMED, "an exponent is not a lifetime");
    let long = held(&issuer(), &ok(&format!(r#"{{"token": "opaque", "expires_in": {}}}"#, "9".repeat(400))));
    assert!(long.1 > i64::MAX / 2_000, "a large lifetime is a long one, not an error: {}", long.1);
}

/// Fails when garbage counts as a token, or when the failure does not say what it is.
#[test]
fn a_success_without_a_token_is_a_bad_response_that_says_what_it_is() {
    let no_token = |field: &str| BadResponse::NoToken { field: field.to_owned() };
    let like = |error| BadResponse::NotAToken { error, content_type: None };
    for (field, body, expected) in [
        ("token", "", like(TokenError::Blank)),
        ("token", "<!doctype html><title>Wi-Fi</title>", like(TokenError::Html)),
        ("token", "Bearer eyJhbGci", like(TokenError::StartsWithBearer)),
        ("token", "null", like(TokenError::NullOrUndefined)),
        ("token", "[\"eyJhbGci\"]", like(TokenError::Json)),
        ("token", "two words", like(TokenError::WhiteSpace)),
        ("token", "\"eyJhbGci", like(TokenError::InQuotes)),
        ("token", r#"{"token": "Bearer eyJhbGci"}"#, like(TokenError::StartsWithBearer)),
        ("token", r#"{"token": ""}"#, like(TokenError::Blank)),
        ("token", r#"{"token": "eyJhbGci""#, BadResponse::NotJson),
        ("token", "{}", no_token("token")),
        ("token", r#"{"Token": "eyJhbGci"}"#, no_token("token")),
        ("token", r#"{"token": 7}"#, no_token("token")),
        ("token", r#"{"token": null}"#, no_token("token")),
        ("token", r#"{"token": ["eyJhbGci"]}"#, no_token("token")),
        ("a.token", r#"{"token": "eyJhbGci"}"#, no_token("a.token")),
        ("a.token", r#"{"a": "eyJhbGci"}"#, no_token("a.token")),
        ("a.token", r#"{"a": {"b": 1}}"#, no_token("a.token")),
        ("", r#"{"token": "eyJhbGci"}"#, no_token("")),
    ] {
        let error = refused(&issuer().with_token_field(field), &ok(body));
        assert!(matches!(why(&error), IssuerError::BadResponse(bad) if *bad == expected), "{body}: {error:?}");
        assert_eq!(FailureCause::Refresher(error.clone()).kind(), FailureKind::BadResponse);
        assert!(!error.is_permanent(), "{body}");
    }
    let not_text = HttpResponse::new(200).with_body(vec![0x1f, 0x8b, 8, 0xff]);
    assert!(refused(&issuer(), &not_text).to_string().contains("no bearer token has"));
    let zipped = HttpResponse::new(200).with_header("Content-Encoding", "gzip").with_body(vec![0x1f, 0x8b, 8, 0xff]);
    assert!(refused(&issuer(), &zipped).to_string().contains("compressed"));
    let portal = ok("<html>").with_header("Content-Type", "text/html");
    let said = refused(&issuer(), &portal).to_string();
    assert!(said.contains("HTML") && said.ends_with("; Content-Type: text/html"), "{said}");
    let excuse = ok(r#"{"error": "login_required", "error_description": "sign in again"}"#);
    let said = refused(&issuer(), &excuse).to_string();
    assert_eq!(said, "the issuer's response is unusable: status 200 (login_required): sign in again");
}

/// Fails when a body over 1 MiB is read, or one of 1 MiB is refused for its length.
#[test]
fn a_body_may_have_one_mib() {
    let padded = |length: usize| format!("{}eyJhbGci", " ".repeat(length - 8));
    assert_eq!(held(&issuer(), &ok(&padded(MIB))).0, "eyJhbGci");
    let error = refused(&issuer(), &ok(&padded(MIB + 1)));
    assert!(matches!(why(&error), IssuerError::BadResponse(BadResponse::TooLong)), "{error}");
    let error = refused(&issuer(), &ok(&"x".repeat(MIB)));
    assert!(matches!(why(&error), IssuerError::BadResponse(BadResponse::NotAToken { .. })), "{error}");
}

/// Fails when a gateway's answer counts as the server's own word, or the server's word as a gateway's (rule 5.5).
#[test]
fn only_the_servers_own_refusal_is_permanent() {
    let code = r#"{"error": {"code": "Blocked", "message": "no chat for this user"}}"#;
    for (status, body, permanent) in [
        (400, code, true),
        (401, code, true),
        (403, code, true),
        (404, code, true),
        (409, code, true),
        (400, r#"{"error": "invalid_grant"}"#, true),
        (400, "<html>", false),
        (401, "", false),
        (403, r#"{"message": "blocked by the firewall"}"#, false),
        (404, "", false),
        (402, code, false),
        (407, code, false),
        (408, code, false),
        (429, code, false),
        (500, code, false),
        (501, code, false),
        (503, code, false),
        (100, code, false),
        (302, code, false),
        (0, code, false),
    ] {
        let error = refused(&issuer(), &HttpResponse::new(status).with_body(body.into()));
        assert_eq!(error.is_permanent(), permanent, "{status} {body}");
        let IssuerError::Refused(response) = why(&error) else { panic!("{error:?}") };
        assert_eq!(response.status, status);
        assert_eq!(FailureCause::Refresher(error.clone()).kind(), FailureKind::RefresherFailed);
    }
    let challenged = HttpResponse::new(401).with_header("WWW-Authenticate", r#"Bearer error="invalid_token""#);
    let error = refused(&issuer(), &challenged);
    assert!(error.is_permanent());
    let said = error.to_string();
    assert!(said.starts_with("the issuer answered with status 401: is the user still signed in"), "{said}");
    assert!(said.ends_with("; WWW-Authenticate: Bearer error=invalid_token"), "{said}");
    let moved = HttpResponse::new(302).with_header("Location", "https://login.example/?next=/token");
    let said = refused(&issuer(), &moved).to_string();
    assert_eq!(
        said,
        "the issuer answered with status 302: redirects are not followed: use the URL that it leads to; Location: login.example"
    );
    let named = HttpResponse::new(500).with_header("x-ms-request-id", "17");
    assert_eq!(refused(&issuer(), &named).to_string(), "the issuer answered with status 500 [request 17]");
}

/// The wait that a machine announces after this response.
fn wait_after(response: &HttpResponse) -> Duration {
    let policy = Policy::builder().jitter(0.0).refresh_proactively(true).build().unwrap();
    let mut machine = Machine::<()>::new(None, policy, at(0)).unwrap();
    let Some(Action::CallRefresher { request, reason, .. }) = machine.poll_action() else { panic!() };
    let error = issuer().read(&reason, response, at(0).unix).unwrap_err();
    machine.handle(Event::RefreshFailed { request, error }, at(0));
    Duration::from_millis(machine.deadline().unwrap().as_millis())
}

/// Fails when a form of the delay is not read, or a date is measured by this device's clock although the server said its own.
#[test]
fn the_issuers_delay_counts() {
    let busy = |value: &str| HttpResponse::new(429).with_header("Retry-After", value);
    assert_eq!(wait_after(&busy("20")), Duration::from_secs(20));
    assert_eq!(wait_after(&HttpResponse::new(503).with_header("retry-after-ms", "7000")), Duration::from_secs(7));
    assert_eq!(wait_after(&busy("Tue, 14 Nov 2023 22:13:50 GMT")), Duration::from_secs(30));
    let dated = busy("Tue, 14 Nov 2023 21:00:40 GMT").with_header("Date", "Tue, 14 Nov 2023 21:00:00 GMT");
    assert_eq!(wait_after(&dated), Duration::from_secs(40));
    assert_eq!(wait_after(&busy("soon")), Duration::from_secs(1), "the policy's own backoff");
}

/// Fails when the response's `Date` is not taken for the issuer's time (rule 7.4), or that of a cache is.
#[test]
fn the_date_of_the_response_is_the_issuers_time() {
    // The device's clock is a day ahead, so that a token of an hour seems to have expired.
    let body = r#"{"token": "opaque", "expiresOn": "2023-11-13T23:13:20Z"}"#;
    let dated = |response: HttpResponse| response.with_header("Date", "Mon, 13 Nov 2023 22:13:20 GMT");
    let take = |response: &HttpResponse| {
        let mut machine = Machine::<()>::new(None, Policy::default(), at(0)).unwrap();
        machine.handle(Event::TokenRequested { waiter: () }, at(0));
        let Some(Action::CallRefresher { request, reason, .. }) = machine.poll_action() else { panic!() };
        let event = match issuer().read(&reason, response, at(0).unix) {
            Ok(token) => Event::TokenReceived { request, token },
            Err(error) => Event::RefreshFailed { request, error },
        };
        machine.handle(event, at(0));
        machine
    };
    assert!(take(&dated(ok(body))).token(at(3_500)).is_some());
    for cached in [ok(body), dated(ok(body)).with_header("Age", "7")] {
        let mut machine = take(&cached);
        assert!(machine.token(at(0)).is_none());
        let expired = |cause: &FailureCause| matches!(cause, FailureCause::ExpiredToken { .. });
        let Some(Action::ReturnToken { result: Err(Error::RefreshFailed { cause, .. }), .. }) = machine.poll_action()
        else {
            panic!()
        };
        assert!(expired(&cause), "{cause}");
    }
    // A failure tells the time too.
    let failed = take(&dated(HttpResponse::new(503)));
    let late = failed.server_time(at(0)).expect("known").as_millis() - at(0).unix.as_millis();
    assert!((-86_400_000..=-86_398_000).contains(&late), "{late}");
}

/// Fails when the text of an unreachable issuer does not name the cause.
#[test]
fn an_unreachable_issuer_is_a_transient_failure_that_names_the_cause() {
    let error = Issuer::unreachable(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into());
    assert!(!error.is_permanent() && matches!(why(&error), IssuerError::Transport(_)));
    assert_eq!(error.to_string(), "no complete answer from the issuer: connection refused");
    assert!(issuer().read(&first(), &ok("eyJhbGci"), at(0).unix).is_ok());
}
