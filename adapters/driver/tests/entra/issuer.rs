//! The ready refresher: a server that issues tokens, and one that misbehaves.

use std::time::Duration;

use acs_common_driver::issuer::{BadResponse, HttpRefresher, Issuer, IssuerError};
use acs_common_driver::{Builder, CommunicationTokenCredential, Error, FailureCause, Notice, Policy, RefresherError};

use super::fake_acs::{Answer, FakeAcs};
use super::{Hurried, cause, policy, rt, spawn};

type Credential = CommunicationTokenCredential<Hurried>;

fn issuer(acs: &FakeAcs) -> Issuer {
    Issuer::post(&format!("{}/token?room=7", acs.endpoint()))
        .and_then(|issuer| issuer.with_header("Authorization", "Bearer my-session"))
        .and_then(|issuer| issuer.with_reason_header("x-reason"))
        .unwrap()
}

/// One try each time, so that each answer is seen.
fn credential(acs: &FakeAcs) -> Credential {
    credential_of(issuer(acs), acs, policy().no_retry().build().unwrap())
}

fn credential_of(issuer: Issuer, acs: &FakeAcs, policy: Policy) -> Credential {
    let refresher = HttpRefresher::new(issuer, rt::client(acs.trusting()));
    spawn(Builder::new(Hurried::default(), refresher).policy(policy))
}

fn json(token: &str) -> Answer {
    Answer::status(200).body(&format!(r#"{{"token": "{token}", "expires_in": 3600}}"#))
}

#[track_caller]
fn why(error: &Error) -> &IssuerError {
    cause(error).get_ref().downcast_ref().expect("the issuer's own error")
}

/// Fails when a header, the query or the method is lost on the way, or the refused token is sent unasked.
#[test]
fn each_refresh_is_one_request_that_says_why() {
    rt::run(async {
        let acs = FakeAcs::start().unwrap();
        acs.then(json("first")).then(Answer::status(201).body("second")).then(json("third"));
        let credential = credential(&acs);
        let first = credential.get_token().await.unwrap();
        assert_eq!(first.secret().expose(), "first");
        let left = first.expires_on().as_millis() - acs_common_driver::wall_clock::now().as_millis();
        assert!((3_590_000..=3_600_000).contains(&left), "{left}");
        let second = credential.replace(&first).await.unwrap();
        assert_eq!((second.secret().expose(), second.is_opaque()), ("second", true));

        for (reason, seen) in [("first", acs.request().await), ("rejected", acs.request().await)] {
            assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.body.as_str()), ("POST", "/token?room=7", ""));
            assert_eq!((seen.bearer(), seen.header("x-reason")), ("my-session", reason));
            assert_eq!((seen.header("accept-encoding"), seen.header("cache-control")), ("identity", "no-cache"));
            assert_eq!(
                seen.headers.iter().filter(|(_, value)| value.contains("first")).count(),
                usize::from(reason == "first")
            );
        }
        assert_eq!((acs.asked(), acs.connections()), (2, 2));
    });
}

/// Fails when the caller's session stays that of the start, or when a failure to prepare sends a request.
#[test]
fn the_caller_can_change_a_header_before_each_refresh() {
    rt::run(async {
        let acs = FakeAcs::start().unwrap();
        acs.then(json("one")).then(json("two"));
        let mut sessions = vec![Some("b"), None, Some("a")];
        let refresher = HttpRefresher::new(issuer(&acs), rt::client(acs.trusting())).before_each(move |issuer| {
            let session = sessions.pop().flatten().ok_or_else(|| RefresherError::new("signed out").permanent())?;
            Ok(issuer.with_header("Authorization", &format!("Bearer {session}"))?)
        });
        let policy = policy().no_retry().build().unwrap();
        let credential = spawn(Builder::new(Hurried::default(), refresher).policy(policy));
        let first = credential.get_token().await.unwrap();
        assert_eq!(acs.request().await.bearer(), "a");
        let error = credential.replace(&first).await.unwrap_err();
        assert!(cause(&error).is_permanent() && error.to_string().contains("signed out"), "{error}");
        assert_eq!(acs.asked(), 1);
        assert_eq!(credential.replace(&first).await.unwrap().secret().expose(), "two");
        assert_eq!(acs.request().await.bearer(), "b");
    });
}

/// Fails when one of these answers is a token, panics, is followed or read without end, or is final although it can pass.
#[test]
fn a_server_that_misbehaves_is_a_failure_that_says_so_and_the_next_refresh_brings_a_token() {
    rt::run(async {
        let acs = FakeAcs::start().unwrap();
        let away = format!("{}/elsewhere", acs.endpoint());
        let answers = [
            (Answer::status(200).body("\u{1}\u{2} garbage \u{fffd}"), "white space", false),
            (Answer::status(200).header("Content-Type", "text/html").body("<!doctype html>Wi-Fi"), "text/html", false),
            (Answer::status(200).body(&"x".repeat(1 << 20)), "1 MiB", false),
            (Answer::endless(200), "1 MiB", false),
            (Answer::status(200).body("{}"), "it has no token", false),
            (Answer::status(204), "blank", false),
            (Answer::status(302).header("Location", &away), "redirects are not followed", false),
            (Answer::status(429).header("Retry-After", "7").body("slow down"), "status 429", false),
            (Answer::status(503).body("<html>maintenance"), "status 503", false),
            (Answer::status(401).body("<html>sign in"), "still signed in", false),
            (Answer::status(401).header("WWW-Authenticate", "Bearer"), "still signed in", true),
            (
                Answer::status(403).body(r#"{"error": {"code": "Blocked", "message": "no chat"}}"#),
                "(Blocked): no chat",
                true,
            ),
            (Answer::hang_up(), "no complete answer", false),
            (Answer::status(200).broken_body(r#"{"token": "half"#), "no complete answer", false),
        ];
        let credential = credential(&acs);
        for (asked, (answer, said, permanent)) in (1..).zip(answers) {
            acs.then(answer);
            let error = credential.get_token().await.unwrap_err();
            assert!(error.to_string().contains(said), "{said}: {error}");
            assert_eq!(cause(&error).is_permanent(), permanent, "{error}");
            let _ = why(&error);
            assert_eq!(acs.asked(), asked, "one request each: {error}");
        }
        assert!(acs.poured() < 64 << 20, "{} bytes were read", acs.poured());
        acs.then(json("at-last"));
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "at-last");
    });
}

/// Fails when the server's delay or time does not reach the credential.
#[test]
fn the_servers_delay_and_time_reach_the_credential() {
    rt::run(async {
        let acs = FakeAcs::start().unwrap();
        acs.then(Answer::status(429).header("Retry-After", "40")).then(json("eyJ"));
        let credential = credential_of(issuer(&acs), &acs, policy().jitter(0.0).build().unwrap());
        let mut notices = credential.notices();
        let error = credential.get_token().await.unwrap_err();
        assert!(matches!(why(&error), IssuerError::Refused(response) if response.retry_after.is_some()), "{error}");
        assert!(matches!(notices.next().await, Some(Notice::RefreshStarted { .. })));
        let Some(Notice::RefreshFailed { retry_in: Some(delay), .. }) = notices.next().await else { panic!() };
        assert!((Duration::from_secs(39)..=Duration::from_secs(40)).contains(&delay), "{delay:?}");
        // The server of this test is hyper, which sends its `Date`.
        credential.retry_now();
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "eyJ");
    });
}

/// Fails when the shape of a token without one is not told apart, or plain http to this computer does not work.
#[test]
fn plain_http_works_on_loopback_and_a_field_is_named_that_is_not_there() {
    rt::run(async {
        let acs = FakeAcs::start_plain().unwrap();
        let url = format!("{}/token", acs.endpoint());
        let issuer = Issuer::get(&url).unwrap().with_token_field("accessToken.token");
        let credential = credential_of(issuer, &acs, policy().build().unwrap());
        // The fake's answer is that of the Azure service, with the expiry beside the token.
        let token = credential.get_token().await.unwrap();
        assert!(token.secret().expose() == "acs-token-1" && !token.is_opaque());
        assert_eq!(acs.request().await.method, "GET");

        let credential = credential_of(Issuer::get(&url).unwrap(), &acs, policy().build().unwrap());
        let error = credential.get_token().await.unwrap_err();
        let IssuerError::BadResponse(BadResponse::NoToken { field }) = why(&error) else { panic!("{error:?}") };
        assert_eq!(field, "token");
        let Error::RefreshFailed { cause: FailureCause::Refresher(_), .. } = error else { panic!("{error:?}") };
    });
}

/// Fails when a refresh that is not needed any more goes on.
#[test]
fn a_disposed_credential_closes_its_connection() {
    rt::run(async {
        let acs = FakeAcs::start().unwrap();
        acs.then(Answer::never());
        let credential = credential(&acs);
        let waiting = credential.get_token();
        let dispose = async {
            acs.request().await;
            credential.dispose();
        };
        let (error, ()) = futures_lite::future::zip(waiting, dispose).await;
        assert!(matches!(error, Err(Error::Disposed)));
        acs.closed().await;
    });
}
