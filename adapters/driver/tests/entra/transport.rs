//! Failures of the connection.

use std::future::Ready;
use std::time::Duration;

use acs_common_driver::entra::{EntraTokenRequest, ExchangeError, HttpRequest, HttpResponse, SourceError};
use acs_common_driver::{Builder, Clock, Error, FailureKind, Notice, RefresherError};

use super::fake_acs::{Answer, FakeAcs};
use super::{
    Hurried, Source, Stage, cause, exchange_error, options, policy, refused, result_of, rt, spawn, stage, stage_of,
    stage_with,
};

/// The exchange ended without a response, after all its tries.
#[track_caller]
fn never_reached(error: &Error) {
    assert!(matches!(exchange_error(error), ExchangeError::Transport(_)), "{error}");
    assert!(!cause(error).is_permanent());
}

/// Fails when certificates are not checked.
#[test]
fn a_server_with_a_certificate_that_is_not_trusted_gets_no_request() {
    rt::run(async {
        let acs = FakeAcs::start().unwrap();
        let (options, policy) = (options(&acs), policy().build().unwrap());
        let stage = stage_of(acs, options, Source::new(), rt::system_client(), policy);
        never_reached(&stage.error().await);
        assert_eq!((stage.acs.asked(), stage.acs.connections()), (0, 4));
    });
}

/// Fails when the host name of the certificate is not checked.
#[test]
fn a_server_with_the_certificate_of_another_host_gets_no_request() {
    rt::run(async {
        let (acs, another) = (FakeAcs::start().unwrap(), FakeAcs::start().unwrap());
        let (options, client) = (options(&acs), rt::client(another.trusting()));
        let stage = stage_of(acs, options, Source::new(), client, policy().build().unwrap());
        never_reached(&stage.error().await);
        assert_eq!(stage.acs.asked(), 0);
    });
}

/// Fails when a closed port counts as an answer, or when the error does not say where and why.
#[test]
fn a_closed_port_is_tried_four_times() {
    rt::run(async {
        let acs = FakeAcs::start().unwrap();
        let (endpoint, client) = (options(&acs), rt::client(acs.trusting()));
        drop(acs);
        let clock = Hurried::default();
        let builder = Builder::with_entra(clock.clone(), endpoint.clone(), Source::new(), client);
        let credential = spawn(builder.policy(policy().build().unwrap()));
        let error = credential.get_token().await.unwrap_err();
        never_reached(&error);
        let said = error.to_string();
        assert!(said.matches(endpoint.endpoint()).count() == 1 && said.to_lowercase().contains("refused"), "{said}");
        // All three pauses, each shortened by at most half.
        assert!(clock.skipped() >= Duration::from_millis(2_800), "{:?}", clock.skipped());
    });
}

/// Fails when a panic of the client or the source ends the driver, or counts as an answer of the other.
#[test]
fn a_client_or_a_source_that_panics_fails_and_is_called_again() {
    rt::run(async {
        let acs = FakeAcs::start().unwrap();
        let options = options(&acs);
        let mut requests = 0;
        let client = move |_: HttpRequest| {
            requests += 1;
            assert!(requests > 2, "a panic in the client (on purpose)");
            std::future::ready(Ok::<_, RefresherError>(HttpResponse::new(403)))
        };
        let credential = spawn(Builder::with_entra(Hurried::default(), options.clone(), Source::new(), client));
        let error = credential.get_token().await.unwrap_err();
        assert_eq!(refused(&error).status, 403);

        let source =
            |_: EntraTokenRequest| -> Ready<Result<String, SourceError>> { panic!("in the source (on purpose)") };
        let client = rt::client(acs.trusting());
        let credential = spawn(Builder::with_entra(Hurried::default(), options, source, client));
        for _ in 0..2 {
            let error = credential.get_token().await.unwrap_err();
            assert!(error.to_string().contains("panicked") && !cause(&error).is_permanent(), "{error}");
            credential.retry_now();
        }
        assert_eq!(acs.asked(), 0);
    });
}

/// Fails when a connection is kept, for the next exchange or the next try.
#[test]
fn each_request_has_a_connection_of_its_own() {
    rt::run(async {
        let stage = stage(FakeAcs::start().unwrap());
        stage.acs.then(Answer::status(503).header("Retry-After", "0").body("later"));
        let mut notices = stage.credential.notices();
        for user in ["first-user", "second-user", "third-user"] {
            stage.source.sign_in(user);
            stage.credential.retry_now();
            assert!(matches!(result_of(&mut notices).await, Some(Notice::TokenChanged { .. })));
        }
        assert_eq!((stage.acs.asked(), stage.acs.connections()), (4, 4));
    });
}

/// Fails when a broken connection is final, or when the HTTP client repeats a request without our knowledge.
#[test]
fn a_connection_that_breaks_causes_another_try_on_another_connection() {
    rt::run(async {
        let stage = stage(FakeAcs::start().unwrap());
        stage.acs.then(Answer::hang_up());
        assert_eq!(stage.token().await, "acs-token-2");
        assert_eq!((stage.acs.asked(), stage.acs.connections()), (2, 2));
    });
}

/// Fails when half a body counts as a whole body.
#[test]
fn a_body_that_breaks_off_causes_another_try() {
    rt::run(async {
        let stage = stage(FakeAcs::start().unwrap());
        let body = r#"{"accessToken":{"token":"half","expiresOn":"2999-01-01T00:00:00Z"}}"#;
        stage.acs.then(Answer::status(200).broken_body(body));
        assert_eq!(stage.token().await, "acs-token-2");
    });
}

/// Fails when the error does not name the URL, or does not say that the response was incomplete.
#[test]
fn bodies_that_always_break_off_are_a_failure_that_says_so() {
    rt::run(async {
        let stage = stage(FakeAcs::start().unwrap());
        for _ in 0..4 {
            stage.acs.then(Answer::status(200).broken_body("half of it"));
        }
        let error = stage.error().await;
        never_reached(&error);
        let (said, endpoint) = (error.to_string(), stage.acs.endpoint());
        assert!(said.contains("no complete answer") && said.matches(&endpoint).count() == 1, "{said}");
        assert!(said.contains("end of file") || said.contains("close_notify"), "{said}");
    });
}

/// Fails when the exchange ends after fewer or more than four broken connections.
#[test]
fn a_service_that_always_closes_the_connection_was_never_reached() {
    rt::run(async {
        let stage = stage(FakeAcs::start().unwrap());
        for _ in 0..4 {
            stage.acs.then(Answer::hang_up());
        }
        never_reached(&stage.error().await);
        assert_eq!(stage.acs.asked(), 4);
    });
}

/// Runs in real time, because this is a test of the timeout.
#[test]
fn a_service_that_never_responds_times_out_and_its_connection_is_closed() {
    rt::run(async {
        let acs = FakeAcs::start().unwrap();
        acs.then(Answer::never());
        let policy = policy().refresh_timeout(Duration::from_secs(2)).no_retry().build().unwrap();
        let (clock, client) = (rt::Clock::default(), rt::client(acs.trusting()));
        let started = clock.now().monotonic;
        let builder = Builder::with_entra(clock.clone(), options(&acs), Source::new(), client);
        let credential = spawn(builder.policy(policy));
        let error = credential.get_token().await.unwrap_err();
        let Error::RefreshFailed { cause, .. } = error else { panic!("{error:?}") };
        assert_eq!(cause.kind(), FailureKind::TimedOut);
        // Either clock can end the wait, and both count whole milliseconds. So one may be ahead of the other.
        let elapsed = clock.now().monotonic.saturating_since(started);
        assert!(elapsed + Duration::from_millis(2) >= Duration::from_secs(2), "{elapsed:?}");
        acs.closed().await;
        assert_eq!(acs.asked(), 1);
    });
}

/// Fails when a client requires TLS although the endpoint does not use it.
#[test]
fn plain_http_works_on_loopback() {
    rt::run(async {
        let acs = FakeAcs::start_plain().unwrap();
        assert!(acs.endpoint().starts_with("http://localhost:"));
        let Stage { acs, credential, .. } = stage_with(acs, policy().build().unwrap());
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "acs-token-1");
        assert_eq!(acs.asked(), 1);
    });
}
