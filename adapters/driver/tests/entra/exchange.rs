//! Exchanges that succeed.

use std::time::Duration;

use acs_common_driver::{CheckSource, Notice};
use futures_lite::future;

use super::fake_acs::{Answer, FakeAcs, Seen};
use super::{ENTRA, Source, Stage, options, policy, result_of, rt, stage, stage_of, stage_with};

const CLIENTS: [&str; 2] =
    ["https://communication.azure.com/clients/VoIP", "https://communication.azure.com/clients/Chat"];
const TEAMS: [&str; 1] = ["https://auth.msft.communication.azure.com/TeamsExtension.ManageCalls"];

fn stage_for(scopes: &[&str]) -> Stage {
    let acs = FakeAcs::start().unwrap();
    let (options, client) = (options(&acs).with_scopes(scopes.to_vec()).unwrap(), rt::client(acs.trusting()));
    stage_of(acs, options, Source::new(), client, policy().build().unwrap())
}

/// Fails when `poll_call` asks for the default scope.
#[test]
fn the_source_is_asked_for_exactly_the_scopes_given() {
    for scopes in [&CLIENTS[..], &TEAMS] {
        rt::run(async move {
            let stage = stage_for(scopes);
            assert_eq!(stage.token().await, "acs-token-1");
            let asked = stage.source.asked().await;
            assert_eq!((asked.scopes, asked.fresh), (scopes.iter().map(ToString::to_string).collect(), false));
        });
    }
}

/// The requests of `@azure/communication-common` 2.5.0, recorded at its socket.
const SAMPLES: [(&[&str], &str); 2] = [
    (&CLIENTS, include_str!("../../../fake_acs/samples/clients.http")),
    (&TEAMS, include_str!("../../../fake_acs/samples/teams_extension.http")),
];

/// A recorded request, in the form of the fake's requests.
fn sample(recorded: &str) -> Seen {
    let (head, body) = recorded.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let [method, target, "HTTP/1.1"] = lines.next().unwrap().split(' ').collect::<Vec<_>>()[..] else {
        panic!("no request line")
    };
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    Seen {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        body: body.to_owned(),
    }
}

/// Fails when the path has no colon, when the HTTP client sets `Accept`, or when a body is `null`.
#[test]
fn the_request_on_the_wire_is_the_same_as_the_references() {
    for (scopes, recorded) in SAMPLES {
        rt::run(async move {
            let reference = sample(recorded);
            let stage = stage_for(scopes);
            stage.token().await;
            let ours = stage.acs.request().await;
            assert_eq!((&ours.method, &ours.target), (&reference.method, &reference.target));
            for name in ["authorization", "content-type", "accept", "content-length"] {
                assert_eq!(ours.header(name), reference.header(name), "{name}");
            }
            let form = |seen: &Seen| {
                let id = seen.header("x-ms-client-request-id").to_owned();
                id.chars().map(|c| if matches!(c, '0'..='9' | 'a'..='f') { 'x' } else { c }).collect::<String>()
            };
            assert_eq!(form(&ours), form(&reference));
            assert_eq!(ours.body, reference.body);
        });
    }
}

/// Fails when the URL has the token in its query, or when an HTTP client adds a header.
#[test]
fn nothing_of_the_request_but_one_header_holds_the_secret_and_nothing_is_added() {
    rt::run(async {
        let stage = stage_for(&CLIENTS);
        stage.token().await;
        let Seen { method, target, mut headers, body } = stage.acs.request().await;
        headers.sort();
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "accept",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "x-ms-client-request-id",
        ];
        assert_eq!(names, expected);
        headers.retain(|(name, _)| name != "authorization");
        let others = format!("{method} {target} {headers:?} {body}");
        assert!(!others.contains(ENTRA), "{others}");
    });
}

/// Fails when there is never a snapshot, and `settle` starts a refresh for every request.
#[test]
fn a_second_request_for_a_token_costs_no_second_exchange() {
    rt::run(async {
        let stage = stage(FakeAcs::start().unwrap());
        for _ in 0..5 {
            assert_eq!(stage.token().await, "acs-token-1");
        }
        assert_eq!(stage.acs.asked(), 1);
    });
}

/// Fails when every waiter starts an exchange.
#[test]
fn all_waiting_requests_share_one_exchange() {
    rt::run(async {
        let stage = stage(FakeAcs::start().unwrap());
        stage.acs.then(Answer::token("shared").after(Duration::from_millis(50)));
        let waiting: Vec<_> = (0..10).map(|_| stage.token()).collect();
        for token in waiting {
            assert_eq!(token.await, "shared");
        }
        assert_eq!(stage.acs.asked(), 1);
    });
}

/// Fails when construction does not ask for a first token.
#[test]
fn the_token_is_there_before_the_first_request() {
    rt::run(async {
        let acs = FakeAcs::start().unwrap();
        let (options, client) = (options(&acs).with_prewarm(true), rt::client(acs.trusting()));
        let stage = stage_of(acs, options, Source::new(), client, policy().build().unwrap());
        stage.acs.request().await;
        assert_eq!(stage.token().await, "acs-token-1");
        assert_eq!(stage.acs.asked(), 1);
    });
}

/// Fails when a token is never found unchanged, or always.
#[test]
fn only_another_entra_token_is_exchanged_again() {
    rt::run(async {
        let stage = stage(FakeAcs::start().unwrap());
        let mut notices = stage.credential.notices();
        stage.token().await;
        stage.source.asked().await;
        assert!(matches!(result_of(&mut notices).await, Some(Notice::TokenChanged { .. })));

        // The source is asked at each request after a backoff.
        stage.credential.retry_now();
        stage.source.asked().await;
        assert_eq!((stage.token().await.as_str(), stage.acs.asked()), ("acs-token-1", 1));

        stage.source.sign_in("another-entra-token");
        stage.credential.retry_now();
        assert!(matches!(result_of(&mut notices).await, Some(Notice::TokenChanged { .. })));
        assert_eq!(stage.token().await, "acs-token-2");
        assert_eq!(stage.acs.request().await.bearer(), ENTRA);
        assert_eq!(stage.acs.request().await.bearer(), "another-entra-token");
        assert_eq!(stage.acs.asked(), 2);
    });
}

/// Fails when `retry_now` has no effect while a call is in flight, or when the failure of that call removes its effect.
#[test]
fn a_change_of_user_during_an_exchange_is_not_lost() {
    for first in [Answer::token("for the first"), Answer::status(403)] {
        rt::run(async move {
            let stage = stage(FakeAcs::start().unwrap());
            stage.acs.then(first.after(Duration::from_millis(50)));
            let mut notices = stage.credential.notices();
            let asking = stage.credential.get_token();
            let signing_in = async {
                stage.acs.request().await;
                stage.source.sign_in("another-entra-token");
                stage.credential.retry_now();
            };
            let _ = future::zip(asking, signing_in).await;
            result_of(&mut notices).await;
            assert!(matches!(result_of(&mut notices).await, Some(Notice::TokenChanged { .. })));
            let second = stage.acs.request().await;
            assert_eq!((second.bearer(), stage.token().await.as_str()), ("another-entra-token", "acs-token-2"));
        });
    }
}

/// Fails when a rejected token counts as unchanged.
#[test]
fn a_token_the_service_refuses_is_exchanged_again_for_the_same_entra_token() {
    rt::run(async {
        let stage = stage(FakeAcs::start().unwrap());
        let refused = stage.credential.get_token().await.unwrap();
        stage.credential.reject(&refused);
        assert_eq!(stage.token().await, "acs-token-2");
    });
}

/// Fails when `check_source` has no effect.
#[test]
fn checked_at_each_request_a_change_of_user_is_seen_at_once() {
    rt::run(async {
        let policy = policy().check_source(CheckSource::EachRequest).build().unwrap();
        let stage = stage_with(FakeAcs::start().unwrap(), policy);
        assert_eq!((stage.token().await.as_str(), stage.token().await.as_str()), ("acs-token-1", "acs-token-1"));
        assert_eq!(stage.acs.asked(), 1, "the same Entra token is not exchanged twice");
        stage.source.sign_in("another-entra-token");
        assert_eq!(stage.token().await, "acs-token-2");
        stage.acs.request().await;
        assert_eq!(stage.acs.request().await.bearer(), "another-entra-token");
    });
}

/// Fails when an expired token is kept, or returned as the reference does.
#[test]
fn a_token_that_comes_expired_is_a_failure_and_not_kept() {
    rt::run(async {
        let stage = stage_with(FakeAcs::start().unwrap(), policy().no_retry().build().unwrap());
        let body = r#"{"accessToken":{"token":"stale","expiresOn":"2020-01-01T00:00:00.1234567-07:00"}}"#;
        stage.acs.then(Answer::status(200).body(body));
        let error = stage.error().await;
        assert!(error.to_string().contains("already expired at 2020-01-01T07:00:00.123Z"), "{error}");
        assert_eq!(stage.token().await, "acs-token-2");
    });
}
