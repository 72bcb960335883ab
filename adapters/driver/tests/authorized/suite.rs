//! The suite. Each host includes it beside a module `host` (`Client`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acs_common_driver::{ClientArguments, Policy};
use futures_lite::future::{poll_once, zip};

use super::host::Client;
use crate::authorized::service::{ENDPOINT, Service, arguments, credential, post, status, with, with_policy};
use crate::rt;

mod keys;

const ALWAYS: fn(usize) -> bool = |_| false;

/// Fails when the host leaves out the header, or changes anything else.
#[test]
fn a_request_gets_the_token_and_nothing_else_changes() {
    rt::run(async {
        let (credential, refreshes) = credential(ALWAYS);
        let service = Service::accepting(|token| token == "t1");
        let client = Client::new(arguments(&credential), service.clone());
        for _ in 0..3 {
            let response = client.call(post("/chat?a=b%20c")).await.unwrap();
            assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"body of 200"[..]));
        }
        assert_eq!((refreshes.count(), service.sends()), (1, 3));
        for seen in service.seen() {
            assert_eq!((&*seen.method, &*seen.url), ("POST", &*format!("{ENDPOINT}/chat?a=b%20c")));
            assert_eq!((seen.header("x-caller"), &seen.body[..]), (Some("me"), &b"hello"[..]));
        }
    });
}

/// Fails when the host rejects no token, sends again with the same, loses the body, or keeps the first response meanwhile.
#[test]
fn a_refused_token_is_replaced_and_the_request_sent_once_more() {
    rt::run(async {
        let (credential, refreshes) = credential(ALWAYS);
        let service = Service::accepting(|token| token == "t2");
        let client = Client::new(arguments(&credential), service.clone());
        let response = client.call(post("/chat")).await.unwrap();
        assert_eq!((response.status().as_u16(), refreshes.count()), (200, 2));
        assert_eq!(service.tokens(), ["t1", "t2"]);
        let seen = service.seen();
        assert_eq!((&seen[0].body, &seen[0].url, &seen[0].method), (&seen[1].body, &seen[1].url, &seen[1].method));
        assert_eq!(seen[1].header("x-caller"), Some("me"));
        assert_eq!(seen[1].responses_alive, 0, "the first response is dropped before the second send");
    });
}

/// Fails when each call refreshes for itself, or a late 401 rejects the new token.
#[test]
fn many_calls_on_a_revoked_token_share_one_refresh() {
    rt::run(async {
        let (credential, refreshes) = credential(ALWAYS);
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "t1");
        let service = Service::accepting(|token| token == "t2");
        let client = Arc::new(Client::new(arguments(&credential), service.clone()));
        let good = Arc::new(AtomicUsize::new(0));
        let (tell, told) = async_channel::bounded(64);
        for _ in 0..64 {
            let (client, good, tell) = (Arc::clone(&client), Arc::clone(&good), tell.clone());
            rt::spawn(async move {
                let response = client.call(post("/chat")).await.unwrap();
                good.fetch_add(usize::from(response.status() == 200), Ordering::SeqCst);
                tell.send(()).await.unwrap();
            });
        }
        for _ in 0..64 {
            told.recv().await.unwrap();
        }
        let counts = (refreshes.count() - 1, service.sends(), good.load(Ordering::SeqCst));
        println!("64 calls on a revoked token: {} refresh, {} sends, {} × 200", counts.0, counts.1, counts.2);
        assert_eq!(counts, (1, 128, 64));
    });
}

/// The default policy without jitter: the number of refreshes in ten minutes depends on no draw. With it, one more may fall into them.
fn steady() -> Policy {
    Policy::builder().jitter(0.0).build().expect("the options are within their limits")
}

/// Fails when a call sends more than twice, or each 401 costs a refresh.
#[test]
fn a_service_that_refuses_everything_causes_no_storm() {
    rt::run(async {
        let (credential, refreshes) = with_policy(steady(), ALWAYS);
        let service = Service::accepting(|_| false);
        let client = Client::new(arguments(&credential), service.clone());
        let (calls, pause) = if rt::IS_VIRTUAL { (600, 1_000) } else { (40, 10) };
        for _ in 0..calls {
            let before = service.sends();
            if let Ok(response) = client.call(post("/chat")).await {
                assert_eq!((response.status().as_u16(), &response.body()[..]), (401, &b"body of 401"[..]));
            }
            assert!(service.sends() - before <= 2);
            rt::sleep(Duration::from_millis(pause)).await;
        }
        println!("{calls} calls, one in {pause} ms: {} refreshes, {} sends", refreshes.count(), service.sends());
        assert!(refreshes.count() <= 25, "{} refreshes", refreshes.count());
    });
}

/// Fails when the refusals of one endpoint take the token from the calls to the others.
#[test]
fn an_endpoint_that_refuses_everything_costs_the_others_nothing() {
    rt::run(async {
        let (credential, refreshes) = with_policy(steady(), ALWAYS);
        let service = Service::new(|seen| Ok(status(if seen.url.ends_with("/bad") { 401 } else { 200 })));
        let client = Client::new(arguments(&credential), service.clone());
        let (rounds, pause) = if rt::IS_VIRTUAL { (600, 1_000) } else { (20, 10) };
        for _ in 0..rounds {
            assert_eq!(client.call(post("/bad")).await.unwrap().status().as_u16(), 401);
            for _ in 0..9 {
                let before = service.sends();
                assert_eq!(client.call(post("/good")).await.unwrap().status().as_u16(), 200);
                assert_eq!(service.sends() - before, 1);
            }
            rt::sleep(Duration::from_millis(pause)).await;
        }
        println!("{rounds} × 9 calls beside an endpoint that refuses everything: {} refreshes", refreshes.count());
        assert!(refreshes.count() <= 25, "{} refreshes", refreshes.count());
    });
}

/// Fails when the origin is not compared, or a header of the caller is replaced.
#[test]
fn what_goes_elsewhere_or_has_a_header_of_its_own_passes_untouched() {
    rt::run(async {
        let (credential, refreshes) = credential(ALWAYS);
        let service = Service::new(|_| Ok(status(401)));
        let client = Client::new(arguments(&credential), service.clone());
        for url in [
            "https://contoso.communication.azure.com.evil.example/",
            "https://evil.example/?https://contoso.communication.azure.com",
            "http://contoso.communication.azure.com/",
            "https://contoso.communication.azure.com:8443/",
        ] {
            let request = http::Request::get(url).body(Vec::new()).unwrap();
            assert_eq!(client.call(request).await.unwrap().status().as_u16(), 401, "{url}");
        }
        let mut request = post("/chat");
        request.headers_mut().insert("authorization", "Bearer mine".parse().unwrap());
        assert_eq!(client.call(request).await.unwrap().status().as_u16(), 401);
        assert_eq!(service.tokens(), ["none", "none", "none", "none", "mine"]);
        assert_eq!(refreshes.count(), 0);
    });
}

/// Fails when the origin is compared as text.
#[test]
fn the_same_origin_may_be_spelled_otherwise() {
    rt::run(async {
        let (credential, _) = credential(ALWAYS);
        let service = Service::accepting(|token| token == "t1");
        let client = Client::new(arguments(&credential), service.clone());
        for url in ["https://Contoso.Communication.Azure.COM/", "https://contoso.communication.azure.com:443/"] {
            let request = http::Request::get(url).body(Vec::new()).unwrap();
            assert_eq!(client.call(request).await.unwrap().status().as_u16(), 200, "{url}");
        }
    });
}

/// Fails when a status besides 401, or a challenge about something else, counts as a refusal of the token.
#[test]
fn what_another_token_would_not_mend_is_returned() {
    rt::run(async {
        let (credential, refreshes) = credential(ALWAYS);
        let service = Service::new(|seen| {
            let path = seen.url.rsplit('/').next().unwrap();
            Ok(match path {
                "scope" => with(status(401), "www-authenticate", "Bearer error=\"insufficient_scope\""),
                "basic" => with(status(401), "www-authenticate", "Basic realm=\"x\""),
                code => status(code.parse().unwrap()),
            })
        });
        let client = Client::new(arguments(&credential), service.clone());
        for (path, code) in
            [("scope", 401), ("basic", 401), ("403", 403), ("407", 407), ("429", 429), ("500", 500), ("302", 302)]
        {
            let response = client.call(post(&format!("/{path}"))).await.unwrap();
            let body = format!("body of {code}");
            assert_eq!((response.status().as_u16(), &response.body()[..]), (code, body.as_bytes()), "{path}");
        }
        assert_eq!((refreshes.count(), service.sends()), (1, 7));
    });
}

/// Fails when only the first `WWW-Authenticate` line is read.
#[test]
fn every_challenge_line_is_read() {
    rt::run(async {
        let (credential, _) = credential(ALWAYS);
        let service = Service::new(|seen| {
            let refused = with(status(401), "www-authenticate", "Basic realm=\"x\"");
            let refused = with(refused, "www-authenticate", "bearer error=\"invalid_token\"");
            Ok(if seen.authorization() == Some("Bearer t1") { refused } else { status(200) })
        });
        let client = Client::new(arguments(&credential), service.clone());
        assert_eq!(client.call(post("/")).await.unwrap().status().as_u16(), 200);
    });
}

/// Fails when the host sends without a token, or swallows the credential's error.
#[test]
fn without_a_token_nothing_is_sent() {
    rt::run(async {
        let (credential, _) = credential(|_| true);
        let service = Service::accepting(|_| true);
        let client = Client::new(arguments(&credential), service.clone());
        let error = client.call(post("/chat")).await.unwrap_err();
        assert!(error.contains("the issuer is down"), "{error}");
        credential.dispose();
        assert!(client.call(post("/chat")).await.unwrap_err().contains("disposed"));
        assert_eq!(service.sends(), 0);
    });
}

/// Fails when the failure of the second token replaces the first response.
#[test]
fn without_another_token_the_first_response_is_returned() {
    rt::run(async {
        let (failing, _) = credential(|number| number > 1);
        let fixed = rt::Credential::with_static_token("t1").unwrap();
        for credential in [failing, fixed] {
            let service = Service::accepting(|_| false);
            let client = Client::new(arguments(&credential), service.clone());
            let response = client.call(post("/chat")).await.unwrap();
            assert_eq!((response.status().as_u16(), &response.body()[..]), (401, &b"body of 401"[..]));
            assert_eq!(service.sends(), 1);
        }
    });
}

/// Fails when the host hides what the second send brings.
#[test]
fn whatever_the_second_send_brings_is_returned() {
    rt::run(async {
        for expected in [Ok(500), Err("the connection was reset")] {
            let (credential, _) = credential(ALWAYS);
            let service = Service::new(move |seen| match seen.authorization() {
                Some("Bearer t1") => Ok(status(401)),
                _ => expected.map(status),
            });
            let client = Client::new(arguments(&credential), service.clone());
            match (client.call(post("/chat")).await, expected) {
                (Ok(response), Ok(code)) => assert_eq!(response.status().as_u16(), code),
                (Err(error), Err(message)) => assert!(error.contains(message), "{error}"),
                (other, _) => panic!("{other:?} instead of {expected:?}"),
            }
            assert_eq!(service.tokens(), ["t1", "t2"]);
        }
    });
}

/// Fails when a dropped call ends the refresh that another call waits for.
#[test]
fn a_call_that_is_dropped_costs_no_other_call_anything() {
    rt::run(async {
        let (credential, refreshes) = credential(ALWAYS);
        let service = Service::accepting(|token| token == "t1");
        let client = Client::new(arguments(&credential), service.clone());
        {
            let mut dropped = Box::pin(client.call(post("/dropped")));
            assert!(poll_once(&mut dropped).await.is_none());
            rt::sleep(Duration::from_millis(1)).await;
        }
        let both = zip(client.call(post("/one")), client.call(post("/other"))).await;
        assert_eq!((both.0.unwrap().status().as_u16(), both.1.unwrap().status().as_u16()), (200, 200));
        assert_eq!((refreshes.count(), service.sends()), (1, 2));
    });
}

/// Fails when the service's `Date` does not reach the credential, or comes from a cache.
#[test]
fn the_services_date_reaches_the_credential() {
    rt::run(async {
        let date = "Tue, 14 Nov 2023 22:13:20 GMT";
        for (name, value, is_taken) in [("x-x", "x", true), ("age", "0", true), ("age", "7", false)] {
            for already_held in [false, true] {
                let (credential, _) = credential(ALWAYS);
                if already_held {
                    credential.get_token().await.unwrap();
                }
                let service = Service::new(move |_| Ok(with(with(status(200), "date", date), name, value)));
                Client::new(arguments(&credential), service).call(post("/chat")).await.unwrap();
                let known = credential.server_time().map(|time| time.as_secs());
                let is_near = known.is_some_and(|time| time.abs_diff(1_700_000_000) < 5);
                assert_eq!(is_near, is_taken, "{name}: {value}, {already_held}: {known:?}");
            }
        }
    });
}
