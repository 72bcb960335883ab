//! Requests that the service refuses.

use std::time::Duration;

use acs_common_driver::Error;

use super::fake_acs::{Answer, FakeAcs};
use super::{ENTRA, Source, cause, options, policy, refused, rt, stage, stage_of, stage_with};

fn acs_that(answers: impl IntoIterator<Item = Answer>) -> FakeAcs {
    let acs = FakeAcs::start().unwrap();
    for answer in answers {
        acs.then(answer);
    }
    acs
}

const SECOND: Duration = Duration::from_secs(1);

/// Fails when a 503 is not repeated, or when each try has its own id.
#[test]
fn after_a_503_the_same_request_is_sent_again_and_brings_the_token() {
    rt::run(async {
        let stage = stage(acs_that([Answer::status(503).header("Retry-After", "0")]));
        assert_eq!(stage.token().await, "acs-token-2");
        let (first, second) = (stage.acs.request().await, stage.acs.request().await);
        assert_eq!((first.target, first.headers, first.body), (second.target, second.headers, second.body));
        assert_eq!((stage.acs.asked(), stage.clock.skipped()), (2, Duration::ZERO));
    });
}

/// Fails when `RETRIES` is not 3, or when the error loses the status.
#[test]
fn four_503s_are_a_temporary_failure_with_the_status() {
    rt::run(async {
        let busy = Answer::status(503).header("Retry-After", "0").header("x-ms-request-id", "for support");
        let body = r#"{"error":{"code":"Busy","message":"come back"}}"#;
        let stage = stage_with(acs_that(vec![busy.body(body); 4]), policy().no_retry().build().unwrap());
        let error = stage.error().await;
        let (response, id) = (refused(&error), "for support");
        assert_eq!((response.status, response.code.as_deref(), response.request_id.as_str()), (503, Some("Busy"), id));
        assert!(!cause(&error).is_permanent());
        assert_eq!(stage.acs.asked(), 4);
        assert_eq!(stage.token().await, "acs-token-5", "the next exchange starts from the beginning");
    });
}

/// Fails when the pauses do not double, or when the jitter takes more than half of a pause.
#[test]
fn without_a_hint_the_pauses_grow_and_429_is_repeated_too() {
    rt::run(async {
        let stage = stage(acs_that([429, 500, 408].map(Answer::status)));
        assert_eq!(stage.token().await, "acs-token-4");
        let all = Duration::from_millis(800 + 1_600 + 3_200);
        assert!((all / 2..=all).contains(&stage.clock.skipped()), "{:?}", stage.clock.skipped());
    });
}

/// Fails when hints in milliseconds are read as seconds, or when `Retry-After` has priority over them.
#[test]
fn a_429_is_repeated_when_it_says() {
    for (name, value, pause) in [
        ("Retry-After", "7", 7 * SECOND),
        ("retry-after-ms", "1250", SECOND * 5 / 4),
        ("x-ms-retry-after-ms", "3", SECOND * 3 / 1_000),
    ] {
        rt::run(async move {
            let answer = Answer::status(429).header(name, value);
            let answer = if name == "Retry-After" { answer } else { answer.header("Retry-After", "9") };
            let stage = stage(acs_that([answer]));
            assert_eq!(stage.token().await, "acs-token-2");
            let skipped = stage.clock.skipped();
            assert!(skipped <= pause && skipped + SECOND / 100 >= pause, "{name}: {value}, but paused {skipped:?}");
        });
    }
}

/// Fails when a hint is limited to the longest pause.
#[test]
fn a_429_with_a_delay_beyond_the_timeout_ends_the_refresh_and_passes_the_delay_on() {
    rt::run(async {
        let stage = stage(acs_that([Answer::status(429).header("Retry-After", "120")]));
        let error = stage.error().await;
        let asked = Duration::from_secs(120);
        assert_eq!((refused(&error).status, refused(&error).retry_after), (429, Some(asked)));
        let Error::RefreshFailed { retry_in: Some(backoff), .. } = error else { panic!("{error:?}") };
        assert!(asked - SECOND <= backoff && backoff <= asked, "{backoff:?}");
        assert_eq!(stage.acs.asked(), 1);
    });
}

/// Fails when a 401 is final.
#[test]
fn a_401_is_asked_again_with_a_fresh_entra_token() {
    rt::run(async {
        let acs = acs_that([Answer::status(401)]);
        let (options, client) = (options(&acs), rt::client(acs.trusting()));
        let source = Source { fresh: vec!["a-fresh-entra-token"], ..Source::new() };
        let stage = stage_of(acs, options, source, client, policy().build().unwrap());
        assert_eq!(stage.token().await, "acs-token-2");
        assert_eq!((stage.source.asked().await.fresh, stage.source.asked().await.fresh), (false, true));
        assert_eq!(stage.acs.request().await.bearer(), ENTRA);
        assert_eq!(stage.acs.request().await.bearer(), "a-fresh-entra-token");
    });
}

/// Fails when a 401 is repeated although the source returns the same token.
#[test]
fn a_401_is_final_if_the_source_has_no_fresher_token() {
    rt::run(async {
        let body = r#"{"error":{"code":"Unauthorized","message":"who are you?"}}"#;
        let stage = stage(acs_that([Answer::status(401).body(body)]));
        let error = stage.error().await;
        assert_eq!((refused(&error).status, refused(&error).code.as_deref()), (401, Some("Unauthorized")));
        assert!(cause(&error).is_permanent());
        assert_eq!(stage.acs.asked(), 1);
    });
}

/// Fails when a 401 for a fresh token makes the exchange ask for a third.
#[test]
fn a_second_401_is_final_too() {
    rt::run(async {
        let body = r#"{"error":{"code":"Unauthorized"}}"#;
        let acs = acs_that([Answer::status(401).body(body), Answer::status(401).body(body)]);
        let (options, client) = (options(&acs), rt::client(acs.trusting()));
        let source = Source { fresh: vec!["a-fresh-entra-token", "an-even-fresher-one"], ..Source::new() };
        let stage = stage_of(acs, options, source, client, policy().build().unwrap());
        let error = stage.error().await;
        assert!(cause(&error).is_permanent() && refused(&error).status == 401);
        assert_eq!(stage.acs.asked(), 2);
    });
}

/// Fails when one of them counts as a success, is sent again, or is permanent although the service's code is missing.
#[test]
fn every_other_status_ends_the_exchange_even_a_2xx() {
    for status in [201, 202, 204, 304, 400, 403, 404, 409, 422, 501, 505] {
        rt::run(async move {
            let answer = Answer::status(status);
            // With a token in the body, where a body is allowed.
            let body = r#"{"accessToken":{"token":"no","expiresOn":"2999-01-01T00:00:00Z"}}"#;
            let answer = if matches!(status, 204 | 304) { answer } else { answer.body(body) };
            let stage = stage(acs_that([answer]));
            let error = stage.error().await;
            assert_eq!((refused(&error).status, cause(&error).is_permanent()), (status, false));
            assert_eq!(stage.acs.asked(), 1);
        });
    }
}

/// Fails when the service's own word, its error code, does not count (contract, rule 5.5).
#[test]
fn a_refusal_with_the_services_code_is_permanent() {
    for status in [400, 403, 404, 409] {
        rt::run(async move {
            let stage = stage(acs_that([Answer::status(status).body(r#"{"error":{"code":"No"}}"#)]));
            let error = stage.error().await;
            assert_eq!((refused(&error).status, cause(&error).is_permanent()), (status, true));
        });
    }
}

/// Fails when an HTTP client follows a redirect and sends the token to another server.
#[test]
fn the_entra_token_follows_no_redirect() {
    for status in [301, 302, 303, 307, 308] {
        rt::run(async move {
            // Over plain HTTP, because this tests the default clients, which do not trust the certificates of these servers.
            let (acs, elsewhere) = (FakeAcs::start_plain().unwrap(), FakeAcs::start_plain().unwrap());
            acs.then(Answer::status(status).header("Location", &elsewhere.endpoint()));
            let (options, policy) = (options(&acs), policy().build().unwrap());
            let stage = stage_of(acs, options, Source::new(), rt::system_client(), policy);
            let error = stage.error().await;
            assert_eq!((refused(&error).status, cause(&error).is_permanent()), (status, false));
            assert_eq!((stage.acs.asked(), elsewhere.connections()), (1, 0));
        });
    }
}
