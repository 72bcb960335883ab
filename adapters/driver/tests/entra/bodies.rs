//! The bodies of the service's responses, and their limits.

use acs_common_driver::entra::{BadResponse, ExchangeError};
use acs_common_driver::{Error, FailureKind};

use super::fake_acs::{Answer, FakeAcs};
use super::{Stage, cause, exchange_error, policy, refused, rt, stage_with};

fn stage_that(answer: Answer) -> Stage {
    let acs = FakeAcs::start().unwrap();
    acs.then(answer);
    stage_with(acs, policy().no_retry().build().unwrap())
}

#[track_caller]
fn is_bad(error: &Error, expected: BadResponse) {
    let Error::RefreshFailed { cause: failure, .. } = error else { panic!("{error:?}") };
    assert_eq!(failure.kind(), FailureKind::BadResponse);
    assert!(!failure.is_permanent());
    assert!(matches!(exchange_error(error), ExchangeError::BadResponse(bad) if *bad == expected), "{error}");
}

fn no_token() -> BadResponse {
    BadResponse::NoToken { field: "accessToken.token".to_owned() }
}

const MIB: usize = 1 << 20;

/// Fails when a body is read to its end.
#[test]
fn a_body_without_end_is_read_only_to_the_limit() {
    rt::run(async {
        let stage = stage_that(Answer::endless(200));
        is_bad(&stage.error().await, BadResponse::TooLong);
        stage.acs.closed().await;
        // The bytes beyond the limit were in buffers.
        let poured = stage.acs.poured();
        assert!(poured <= 16 * MIB as u64, "{poured} bytes");
        assert_eq!(stage.token().await, "acs-token-2");
    });
}

/// Fails when an error's body is read to its end.
#[test]
fn an_errors_body_without_end_is_read_only_to_the_limit_too() {
    rt::run(async {
        let stage = stage_that(Answer::endless(403));
        let error = stage.error().await;
        assert_eq!((refused(&error).status, &refused(&error).message), (403, &None));
        stage.acs.closed().await;
    });
}

/// Fails when the limit is one byte too small or too large.
#[test]
fn a_body_of_one_mebibyte_is_read_and_one_byte_more_is_not() {
    let body = |length: usize| {
        let json = r#"{"accessToken":{"token":"ok","expiresOn":"2999-01-01T00:00:00Z"}}"#;
        format!("{json}{}", " ".repeat(length - json.len()))
    };
    rt::run(async move {
        let stage = stage_that(Answer::status(200).body(&body(MIB)));
        assert_eq!(stage.token().await, "ok");
        let stage = stage_that(Answer::status(200).body(&body(MIB + 1)));
        is_bad(&stage.error().await, BadResponse::TooLong);
    });
}

/// Fails when one of them counts as a token, or when the exchange tries again at once.
#[test]
fn a_200_that_cannot_be_read_is_a_bad_response() {
    for (body, expected) in [
        ("", BadResponse::NotJson),
        ("null", BadResponse::NotJson),
        ("<!doctype html><title>Wi-Fi</title>", BadResponse::NotJson),
        ("{}", no_token()),
        (r#"{"accessToken":{"token":" ","expiresOn":"2999-01-01T00:00:00Z"}}"#, no_token()),
    ] {
        rt::run(async move {
            let stage = stage_that(Answer::status(200).body(body));
            is_bad(&stage.error().await, expected);
            assert_eq!(stage.acs.asked(), 1, "{body}");
            assert_eq!(stage.token().await, "acs-token-2", "the bad response is not kept");
        });
    }
}

/// Fails when an error body must be JSON.
#[test]
fn an_errors_body_may_be_anything() {
    for body in ["", "{", "null", "[]", r#"{"error":7}"#, "<html>Bad Gateway</html>", "\u{0}\u{fffd}"] {
        rt::run(async move {
            let stage = stage_that(Answer::status(400).body(body));
            let error = stage.error().await;
            let response = refused(&error);
            assert_eq!((response.status, &response.code, &response.message), (400, &None, &None), "{body}");
            assert!(error.to_string().contains("the exchange was refused with status 400 [request "), "{error}");
            assert!(body.is_empty() || body.len() < 3 || !error.to_string().contains(body), "{error}");
        });
    }
}

/// Fails when only the outermost error is read.
#[test]
fn an_error_within_an_error_is_read() {
    rt::run(async {
        let body = r#"{"error":{"code":"Outer","message":"no","details":[{"code":"Detail","message":"why","target":"scope"}],
            "innererror":{"code":"Inner","innererror":{"code":"Innermost"}}}}"#;
        let stage = stage_that(Answer::status(403).body(body));
        let error = stage.error().await;
        let response = refused(&error);
        assert_eq!((response.code.as_deref(), response.message.as_deref()), (Some("Outer"), Some("no")));
        let codes: Vec<_> = response.details.iter().map(|detail| detail.code.as_deref()).collect();
        assert_eq!(codes, [Some("Detail"), Some("Inner")]);
        assert_eq!(response.details[0].target.as_deref(), Some("scope"));
        assert_eq!(response.details[1].details[0].code.as_deref(), Some("Innermost"));
        assert!(cause(&error).is_permanent());
    });
}
