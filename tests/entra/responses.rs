//! What the exchange answers: tokens, and errors of every shape.

use acs_common::entra::{BadResponse, ErrorResponse, ExchangeError, HttpResponse};
use acs_common::{Error, FailureKind, RefreshError, UnixTime};
use serde_json::{Value, json};

use super::{Came, ENTRA, START, respond};

fn ok(body: impl ToString) -> Came {
    respond(HttpResponse::new(200).with_body(body.to_string().into_bytes()))
}

fn token(token: &str, expires_on: Value) -> Value {
    json!({"identity": {"id": "8:acs:x"}, "accessToken": {"token": token, "expiresOn": expires_on}})
}

/// Bites when `rfc3339` rounds, keeps a leap second in its minute, or ignores an offset.
#[test]
fn an_expiry_is_read_in_every_form_of_rfc_3339_and_cut_to_the_millisecond() {
    for (form, after) in [
        ("2023-11-14T23:13:20Z", 3_600_000),
        ("2023-11-14t23:13:20z", 3_600_000),
        ("2023-11-14 23:13:20Z", 3_600_000),
        ("2023-11-14T23:13:20.1Z", 3_600_100),
        ("2023-11-14T23:13:20.1239Z", 3_600_123),
        ("2023-11-14T23:13:20.1234567+00:00", 3_600_123),
        ("2023-11-14T23:13:20.123456789-00:00", 3_600_123),
        ("2023-11-14T16:13:20.9999999-07:00", 3_600_999),
        ("2023-11-15T13:13:20+14:00", 3_600_000),
        ("2023-11-14T23:12:60Z", 3_580_000),
        ("9999-12-31T23:59:59Z", 253_402_300_799_000 - START),
    ] {
        let Came::Token(token) = ok(token("opaque", json!(form))) else { panic!("{form}") };
        assert_eq!(token.expires_on(), UnixTime::from_millis(START + after), "{form}");
    }
    for unreadable in [
        "",
        "never",
        "2023-11-14",
        "2023-11-14T23:13:20",
        "2023-02-30T00:00:00Z",
        "2023-11-14T25:00:00Z",
        "23-11-14T23:13:20Z",
        "2023-11-14T23:13:20Z!",
        "2023-11-14T23:13:20+0",
        "1700003600",
    ] {
        assert!(matches!(bad(ok(token("opaque", json!(unreadable)))), BadResponse::NoExpiry), "{unreadable}");
        // But a token that says so itself needs none.
        let jwt = "h.eyJleHAiOjE3MDAwMDM2MDB9.s";
        assert!(matches!(ok(token(jwt, json!(unreadable))), Came::Token(_)), "{unreadable}");
    }
}

/// What is wrong with a response that said it succeeded.
#[track_caller]
fn bad(came: Came) -> BadResponse {
    let Came::Error(Error::RefreshFailed { cause, .. }) = came else { panic!("{came:?}") };
    assert_eq!((cause.kind(), cause.is_permanent()), (FailureKind::BadResponse, false));
    let RefreshError::Refresher(error) = cause else { panic!() };
    match error.get_ref().downcast_ref() {
        Some(ExchangeError::BadResponse(bad)) => *bad,
        other => panic!("{other:?}"),
    }
}

/// Bites when `body` does not count, when an `accessToken` of another type is taken for one, when a blank token passes.
#[test]
fn a_success_that_brings_no_token_is_told_by_what_is_missing() {
    let expires_on = json!("2999-01-01T00:00:00Z");
    for body in [json!({}), json!({"accessToken": null}), json!({"accessToken": []}), token(" ", expires_on.clone())] {
        assert_eq!(bad(ok(body)), BadResponse::NoToken);
    }
    assert_eq!(bad(ok(json!({"accessToken": {"token": 7, "expiresOn": expires_on}}))), BadResponse::NoToken);
    for body in ["", "<html>", "[]", "null", "\u{feff}{}", "{} trailing"] {
        assert_eq!(bad(ok(body)), BadResponse::NotJson, "{body:?}");
    }
    assert_eq!(bad(respond(HttpResponse::new(200).with_body(vec![0xff, 0xfe]))), BadResponse::NotJson);

    let padded = |length: usize| {
        let mut body = token("opaque", json!("2999-01-01T00:00:00Z")).to_string().into_bytes();
        body.resize(length, b' ');
        respond(HttpResponse::new(200).with_body(body))
    };
    assert!(matches!(padded(HttpResponse::MAX_BODY), Came::Token(_)));
    assert_eq!(bad(padded(HttpResponse::MAX_BODY + 1)), BadResponse::TooLong);

    // Of duplicates the last counts, as in JavaScript.
    let twice = r#"{"accessToken":null,"accessToken":{"token":"a","token":"b","expiresOn":"2999-01-01T00:00:00Z"}}"#;
    assert!(matches!(ok(twice), Came::Token(token) if token.secret().expose() == "b"));
}

fn refused(response: HttpResponse) -> ErrorResponse {
    let came = respond(response);
    let Came::Error(Error::RefreshFailed { cause: RefreshError::Refresher(error), .. }) = &came else {
        panic!("{came:?}")
    };
    assert!(error.is_permanent());
    match error.get_ref().downcast_ref() {
        Some(ExchangeError::Refused(refused)) => (**refused).clone(),
        other => panic!("{other:?}"),
    }
}

fn forbidden(body: impl ToString) -> ErrorResponse {
    refused(HttpResponse::new(403).with_body(body.to_string().into_bytes()))
}

/// Bites when `innererror` is not read, or an error body that is no JSON is taken for none at all.
#[test]
fn an_error_body_becomes_a_typed_error_whatever_its_shape() {
    let whole = forbidden(json!({"error": {
        "code": "Forbidden", "message": "not assigned", "target": "user",
        "details": [{"code": "A", "message": "a", "details": [{"code": "B"}]}, 7],
        "innererror": {"code": "Inner", "innererror": {"code": "Innermost"}},
    }}));
    assert_eq!(
        (whole.status, whole.code.as_deref(), whole.message.as_deref()),
        (403, Some("Forbidden"), Some("not assigned"))
    );
    let codes = |details: &[acs_common::entra::ErrorDetail]| {
        details.iter().map(|it| it.code.clone().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(codes(&whole.details), ["A", "Inner"]);
    assert_eq!(
        (codes(&whole.details[0].details), codes(&whole.details[1].details)),
        (vec!["B".into()], vec!["Innermost".into()])
    );
    assert!(
        whole.to_string().starts_with("the exchange was refused with status 403 (Forbidden): not assigned [request ")
    );

    for body in ["", "<h1>403</h1>", "{}", "[]", r#"{"error":"x"}"#, r#"{"error":{"code":7}}"#] {
        let nothing = forbidden(body);
        assert_eq!((nothing.code, nothing.message, nothing.details.len()), (None, None, 0), "{body}");
    }
    let named =
        refused(HttpResponse::new(404).with_header("X-Ms-Error-Code", "Gone").with_header("x-ms-request-id", "r-1"));
    assert_eq!((named.code.as_deref(), named.request_id.as_str()), (Some("Gone"), "r-1"));
}

/// Bites when `read_detail` counts no depth, takes every detail there is, or `text` cuts within a character.
#[test]
fn an_error_body_without_measure_is_kept_in_measure() {
    let deep = (0..60)
        .fold(json!({"code": "bottom"}), |inner, depth| json!({"code": format!("{depth}"), "innererror": inner}));
    let mut error = forbidden(json!({"error": deep}));
    let mut depth = 0;
    while let Some(detail) = error.details.pop() {
        error.details = detail.details;
        depth += 1;
    }
    assert_eq!(depth, 4);
    let wide = forbidden(json!({"error": {"code": "x", "details": vec![json!({"code": "y"}); 1_000]}}));
    assert_eq!(wide.details.len(), 8);
    let long = forbidden(json!({"error": {"code": "x", "message": "ä ".repeat(5_000)}})).message.unwrap();
    assert!(long.len() <= 1_024 + '…'.len_utf8() && long.ends_with('…'), "{}", long.len());
}

/// Bites when `scrub` is left out, looks for the whole token only, or for JWTs only.
#[test]
fn what_looks_like_a_token_is_taken_out_of_what_the_service_says() {
    let run = "Zx9".repeat(30);
    for (said, kept) in [
        ("the token the-entra-token is bad".to_owned(), "the token [removed] is bad"),
        ("Bearer the-entra-token".to_owned(), "Bearer [removed]"),
        ("starts with the-entra-tok…".to_owned(), "starts with [removed]…"),
        ("got eyJhbGciOi.e30".to_owned(), "got [removed]"),
        (format!("key={run}, try again"), "[removed], try again"),
        (
            "request 1b4e28ba-2fa1-11d2-883f-0016d3cca427 to /access/entra".to_owned(),
            "request 1b4e28ba-2fa1-11d2-883f-0016d3cca427 to /access/entra",
        ),
    ] {
        let error = forbidden(json!({"error": {"code": said, "message": said, "details": [{"target": said}]}}));
        assert_eq!((error.code.as_deref(), error.message.as_deref()), (Some(kept), Some(kept)));
        assert_eq!(error.details[0].target.as_deref(), Some(kept));
        assert!(!format!("{error} {error:?}").contains(ENTRA));
    }
}
