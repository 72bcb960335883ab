//! The part of the suite that is for access keys.

use super::*;
use acs_common::UnixTime;
use acs_common::access_key::AccessKey;
use acs_common_driver::SharedKey;

use crate::authorized::service::Seen;

/// Whether the request is signed with this key, by the date it names.
fn is_signed(seen: &Seen, key: &AccessKey) -> bool {
    let Some(date) = seen.header("x-ms-date").and_then(date) else { return false };
    let signed = key.sign(&seen.method, &seen.url, &seen.body, date).unwrap();
    seen.header("x-ms-content-sha256") == Some(signed.content_hash())
        && seen.authorization() == Some(signed.authorization())
        && seen.header("x-ms-date") == Some(signed.date())
}

fn date(text: &str) -> Option<UnixTime> {
    acs_common::call::CallResponse::new(200).with_date(text.as_bytes()).date()
}

fn key(text: &str) -> AccessKey {
    AccessKey::from_base64(text).unwrap()
}

fn http_date(time: UnixTime) -> String {
    key("pw==").sign("GET", ENDPOINT, b"", time).unwrap().date().to_owned()
}

fn now() -> UnixTime {
    SharedKey::new(key("pw==")).date()
}

/// Fails when the body, the method or the target that is sent is not the one that was signed.
#[test]
fn a_key_signs_each_request() {
    rt::run(async {
        let arguments = ClientArguments::new(ENDPOINT, key("pw==")).unwrap();
        let service = Service::new(|seen| Ok(status(if is_signed(seen, &key("pw==")) { 200 } else { 403 })));
        let client = Client::new(arguments, service.clone());
        for path in ["/testPath?testQuery=test", "/testPath", "/a%20b?c=d%20e"] {
            assert_eq!(client.call(post(path)).await.unwrap().status().as_u16(), 200, "{path}");
        }
        let text = format!("endpoint={ENDPOINT}/;accesskey=pw==");
        let client = Client::new(ClientArguments::from_connection_string(&text).unwrap(), service);
        assert_eq!(client.call(post("/")).await.unwrap().status().as_u16(), 200);
    });
}

/// Fails when what a host sends is not what the reference's policy sends for the same request.
#[test]
fn the_references_signatures_pass_through() {
    rt::run(async {
        for (url, signature) in [
            ("https://example.com/testPath?testQuery=test", "DGdgwggJWnQyc6EHjR/Vbqg1ES64KpD6U2XwTDDj3tU="),
            ("https://example.com/testPath", "+6tWkg3lNKVjQHHmxkdGQcJjUgzclsWTMebnuCz1ngU="),
        ] {
            let shared = SharedKey::new(key("pw=="));
            let service = Service::new(|_| Ok(status(200)));
            let arguments = ClientArguments::new("https://example.com", shared.clone()).unwrap();
            let client = Client::new(arguments, service.clone());
            let mut last = None;
            for _ in 0..50 {
                // The vectors are of this second, and the clock runs on.
                shared.learn_date(UnixTime::from_secs(1_649_873_352));
                client.call(http::Request::get(url).body(Vec::new()).unwrap()).await.unwrap();
                last = service.seen().pop();
                if last.as_ref().and_then(|seen| seen.header("x-ms-date")) == Some("Wed, 13 Apr 2022 18:09:12 GMT") {
                    break;
                }
            }
            let seen = last.unwrap();
            let expected =
                format!("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}");
            assert_eq!(seen.authorization(), Some(&*expected), "{url}");
            let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
            assert_eq!((seen.header("x-ms-content-sha256"), seen.header("host")), (Some(hash), Some("example.com")));
        }
    });
}

/// Fails when a host signs with a date of its own, or when what was learnt is forgotten.
#[test]
fn a_wrong_clock_costs_one_send() {
    rt::run(async {
        for ahead in [7_200_000, -7_200_000] {
            let service = Service::new(move |seen| {
                let now = UnixTime::from_millis(now().as_millis() + ahead);
                let signed = seen.header("x-ms-date").and_then(date).map_or(0, |date| date.as_millis());
                let good = signed.abs_diff(now.as_millis()) < 300_000 && is_signed(seen, &key("pw=="));
                Ok(with(status(if good { 200 } else { 401 }), "date", &http_date(now)))
            });
            let shared = SharedKey::new(key("pw=="));
            let client = Client::new(ClientArguments::new(ENDPOINT, shared).unwrap(), service.clone());
            for _ in 0..3 {
                assert_eq!(client.call(post("/")).await.unwrap().status().as_u16(), 200);
            }
            assert_eq!(service.sends(), 4, "the first request is sent twice");
        }
    });
}

/// Fails when any 401 is a reason to sign again.
#[test]
fn a_refused_key_is_not_tried_again() {
    rt::run(async {
        let service = Service::new(|_| Ok(with(status(401), "date", &http_date(now()))));
        let client = Client::new(ClientArguments::new(ENDPOINT, key("pw==")).unwrap(), service.clone());
        assert_eq!(client.call(post("/")).await.unwrap().status().as_u16(), 401);
        assert_eq!(service.sends(), 1);
    });
}

/// Fails when a call keeps the old key, or a request falls between two keys.
#[test]
fn a_key_is_rotated_without_a_failed_request() {
    rt::run(async {
        let old_ends = Arc::new(AtomicUsize::new(0));
        let ended = Arc::clone(&old_ends);
        let service = Service::new(move |seen| {
            let old = ended.load(Ordering::SeqCst) == 0 && is_signed(seen, &key("b2xk"));
            Ok(status(if old || is_signed(seen, &key("bmV3")) { 200 } else { 401 }))
        });
        let shared = SharedKey::new(key("b2xk"));
        let old = Arc::downgrade(&shared.key());
        let client = Arc::new(Client::new(ClientArguments::new(ENDPOINT, shared.clone()).unwrap(), service.clone()));
        let (tell, told) = async_channel::unbounded();
        for _ in 0..8 {
            let (client, tell) = (Arc::clone(&client), tell.clone());
            rt::spawn(async move {
                for _ in 0..20 {
                    tell.send(client.call(post("/")).await.unwrap().status().as_u16()).await.unwrap();
                }
            });
        }
        drop(tell);
        let mut answers = 0;
        while let Ok(status) = told.recv().await {
            assert_eq!(status, 200);
            answers += 1;
            if answers == 40 {
                shared.rotate(key("bmV3"));
            }
            if answers == 60 {
                old_ends.store(1, Ordering::SeqCst);
                assert!(old.upgrade().is_none(), "the old key is gone, and so wiped");
            }
        }
        assert_eq!(answers, 160);
    });
}
