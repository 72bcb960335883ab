//! When to try again: the service's hints in all their forms, and the pauses without one.

use std::time::Duration;

use acs_common::entra::{ExchangeError, HttpResponse};
use acs_common::{Event, Policy};

use super::exact;
use super::support::rig::{Rig, SECOND};

/// What the error says of when to come back, from a response that is not tried again.
fn hint(headers: &[(&str, &str)]) -> Option<u64> {
    let mut rig = Rig::exchanging("entra", exact());
    rig.respond(headers.iter().fold(HttpResponse::new(403), |it, (name, value)| it.with_header(name, value)));
    match rig.exchange_error() {
        ExchangeError::Refused(response) => response.retry_after.map(|delay| u64::try_from(delay.as_millis()).unwrap()),
        other => panic!("{other:?}"),
    }
}

/// Fails when `retry_after` reads a form it does not know, or misses one it should. The start is 22:13:20.
#[test]
fn a_hint_is_a_number_or_a_date_and_nothing_else() {
    for (value, millis) in [
        ("0", Some(0)),
        ("7", Some(7_000)),
        ("007", Some(7_000)),
        (" 7\t", Some(7_000)),
        ("86400", Some(86_400_000)),
        ("18446744073709551615", Some(u64::MAX)),
        ("99999999999999999999999999", Some(u64::MAX)),
        ("Tue, 14 Nov 2023 22:13:27 GMT", Some(7_000)),
        (" Tue, 14 Nov 2023 22:13:27 GMT ", Some(7_000)),
        ("Tuesday, 14-Nov-23 22:13:27 GMT", Some(7_000)),
        ("Tue Nov 14 22:13:27 2023", Some(7_000)),
        ("Fri Dec  1 00:00:00 2023", Some(1_388_800_000)),
        ("Tue, 14 Nov 2023 22:13:60 GMT", Some(40_000)),
        ("Tue, 14 Nov 2023 22:13:20 GMT", Some(0)),
        ("Tue, 14 Nov 2023 22:13:19 GMT", Some(0)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(251_702_300_799_000)),
        ("", None),
        (" ", None),
        ("-7", None),
        ("+7", None),
        ("30.0", Some(30_000)),
        ("29.997", Some(30_000)),
        ("7.000000000000000000000000000001", Some(8_000)),
        ("0.0", Some(0)),
        (".5", Some(1_000)),
        ("7.", Some(7_000)),
        ("18446744073709551615.5", Some(u64::MAX)),
        ("Tue, 14 Nov 2023 22:13:27 UTC", Some(7_000)),
        ("Tue, 14 Nov 2023 22:13:27 UT", Some(7_000)),
        ("Tue, 14 Nov 2023 22:13:27 Z", Some(7_000)),
        ("tue, 14 nov 2023 22:13:27 gmt", Some(7_000)),
        ("Tue, 14 Nov 2023 23:13:27 +0100", Some(7_000)),
        ("Tue, 14 Nov 2023 17:13:27 -05:00", Some(7_000)),
        ("Tue, 14 Nov 2023 14:13:27 PST", Some(7_000)),
        ("Tue, 14 Nov 2023 15:13:27 PDT", Some(7_000)),
        ("Tue, 14 Nov 2023 22:13:27", Some(7_000)),
        ("Tue, 4 Nov 2025 22:13:27 GMT", Some(62_294_407_000)),
        ("14 Nov 2023 22:13 GMT", Some(0)),
        ("14 November 2023 22:13:27 GMT", Some(7_000)),
        ("Tue, 14-Nov-2023 22:13:27 GMT", Some(7_000)),
        ("Tue, 14-Nov-23 22:13:27 GMT", Some(7_000)),
        ("Tuesday, 14-Nov-2023 22:13:27 UTC", Some(7_000)),
        ("Friday, 14-Nov-49 22:13:27 GMT", Some(820_540_807_000)),
        ("Tue Nov 14 22:13:27 GMT 2023", Some(7_000)),
        ("Tue Nov 14 2023 23:13:27 GMT+0100 (Central European Standard Time)", Some(7_000)),
        ("2023-11-14T22:13:27Z", Some(7_000)),
        ("2023-11-14T22:13:27.5Z", Some(7_500)),
        ("2023-11-14T22:13:27.1234567890123Z", Some(7_123)),
        ("2023-11-14T23:13:27+01:00", Some(7_000)),
        ("2023-11-14T17:13:27-0500", Some(7_000)),
        ("2023-11-14T23:13:27+01", Some(7_000)),
        ("2023-11-14T22:13:27", Some(7_000)),
        ("2023-11-14 22:13:27", Some(7_000)),
        ("2023-11-14 22:13:27 UTC", Some(7_000)),
        ("2023-11-14 23:13:27 +0100", Some(7_000)),
        ("2023-11-14T22:14Z", Some(40_000)),
        ("2023-11-15", Some(6_400_000)),
        ("2023-11-14", Some(0)),
        ("Wed, 14 Nov 2023 22:13:27 GMT", Some(7_000)),
        ("9999-12-31T23:59:59-23:59", Some(251_702_300_799_000 + 86_340_000)),
        ("7..5", None),
        ("7.5.", None),
        (".", None),
        ("-0.5", None),
        ("7,5", None),
        ("7s", None),
        ("1e3", None),
        ("0x7", None),
        ("７", None),
        ("soon", None),
        ("7 7", None),
        ("Tue, 31 Nov 2023 22:13:27 GMT", None),
        ("Tue, 14 Nov 2023 24:13:27 GMT", None),
        ("Tue, 14 Nov 2023 22:13:27 GMT junk", None),
        ("Tue, 14 Nov 2023 22:13:27 GMT GMT", None),
        ("Tue, 14 Nov 2023 22:13:27 CET", None),
        ("Tue, 14 Nov 2023 22:13:27 +2400", None),
        ("Tue, 14 Nov 2023 22:13:27 +0160", None),
        ("Tue, 14 Nov 2023 22:13:27 GMT (", None),
        ("Tue, 14 Nov 2023 22:13:61 GMT", None),
        ("Tue, 14 Nov 2023 22 GMT", None),
        ("Tue, 14 Nov 2023", None),
        ("Tue, 14 Nov 123 22:13:27 GMT", None),
        ("Tue, 14 Nov 12023 22:13:27 GMT", None),
        ("Tue, 14 No 2023 22:13:27 GMT", None),
        ("Tue, 14 14 Nov 2023 22:13:27 GMT", None),
        ("Tue, 14 Nov 22:13:27 GMT", None),
        ("Nov 2023 22:13:27 GMT", None),
        ("Tue", None),
        ("2023-11-14T", None),
        ("2023-11-14T22Z", None),
        ("2023-11-14T22:13:27.Z", None),
        ("2023-11-14T22:13:27Zulu", None),
        ("2023-11-14T24:00:00Z", None),
        ("2023-02-29T22:13:27Z", None),
        ("2023-11-14T22:13:27+1", None),
        ("2023-1-14T22:13:27Z", None),
        ("+2023-11-14T22:13:27Z", None),
        ("２０２３-11-14T22:13:27Z", None),
    ] {
        assert_eq!(hint(&[("Retry-After", value)]), millis, "{value:?}");
    }
    for name in ["retry-after-ms", "x-ms-retry-after-ms"] {
        for (value, millis) in [
            ("0", Some(0)),
            ("750", Some(750)),
            (" 750 ", Some(750)),
            ("99999999999999999999999999", Some(u64::MAX)),
            ("", None),
            ("-1", None),
            ("7.5", Some(8)),
            ("750.000", Some(750)),
            ("Tue, 14 Nov 2023 22:13:27 GMT", None),
        ] {
            assert_eq!(hint(&[(name, value)]), millis, "{name}: {value:?}");
        }
    }
}

/// Fails when a date is held against this host's clock although the answer has the service's own, or against a clock that
/// cannot be read.
#[test]
fn a_date_is_measured_against_the_answers_own() {
    let after = "Tue, 14 Nov 2023 22:13:27 GMT";
    for (date, millis) in [
        ("Tue, 14 Nov 2023 22:13:20 GMT", 7_000),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 27_000),
        ("Sun, 12 Nov 2023 22:13:27 GMT", 172_800_000),
        ("Tue, 14 Nov 2023 23:13:20 GMT", 0),
        ("2023-11-14T22:13:26Z", 1_000),
        ("", 7_000),
        ("today", 7_000),
        ("7", 7_000),
    ] {
        assert_eq!(hint(&[("Date", date), ("Retry-After", after)]), Some(millis), "{date:?}");
        assert_eq!(hint(&[("Date", date), ("Retry-After", "5")]), Some(5_000), "{date:?}");
        assert_eq!(hint(&[("Date", date)]), None, "{date:?}");
    }
}

/// Fails when a hint shortens a pause other than the first: with `0`, or a date that is past, all tries were made at once.
#[test]
fn from_the_second_wait_on_a_hint_only_lengthens() {
    for (value, pauses) in [
        ("0", [0, 1_600, 3_200]),
        ("Tue, 14 Nov 2023 22:13:20 GMT", [0, 1_600, 3_200]),
        ("2020-01-01", [0, 1_600, 3_200]),
        ("1", [1_000, 1_600, 3_200]),
        ("2", [2_000, 2_000, 3_200]),
        ("10", [10_000, 10_000, 10_000]),
        ("soon", [800, 1_600, 3_200]),
    ] {
        let mut rig = Rig::exchanging("entra", exact());
        for pause in pauses {
            rig.respond(HttpResponse::new(429).with_header("Retry-After", value));
            let got = if rig.sent.is_some() { 0 } else { rig.pause().expect("it is tried again") };
            assert_eq!(got, pause, "{value}");
        }
    }
    // Whatever the hint was first, and whatever failed.
    let mut rig = Rig::exchanging("entra", exact());
    rig.unreachable(acs_common::RefresherError::new("reset"));
    assert_eq!(rig.pause(), Some(800));
    rig.respond(HttpResponse::new(503).with_header("Retry-After", "0"));
    assert_eq!(rig.pause(), Some(1_600));
}

/// Fails when the order of the three is another, or garbage in one hides the next.
#[test]
fn the_finer_hint_goes_first_and_garbage_is_as_good_as_none() {
    let (fine, ours, plain) = ("Retry-After-MS", "X-MS-Retry-After-MS", "RETRY-AFTER");
    for (headers, millis) in [
        (&[(plain, "3"), (ours, "2"), (fine, "1")][..], Some(1)),
        (&[(plain, "3"), (ours, "2")], Some(2)),
        (&[(plain, "3"), (ours, "2"), (fine, "x")], Some(2)),
        (&[(plain, "3"), (ours, "x"), (fine, "-1")], Some(3_000)),
        (&[(plain, "x"), (ours, "x"), (fine, "x")], None),
        (&[(plain, "3"), (plain, "4")], Some(3_000)),
        (&[("after", "3"), ("retry", "4")], None),
        (&[], None),
    ] {
        assert_eq!(hint(headers), millis, "{headers:?}");
    }
}

/// Fails when a hint is shortened, or held against the wrong limit.
#[test]
fn what_the_service_asks_for_is_kept_to_the_millisecond_or_ends_the_refresh() {
    let full_jitter = Policy::builder().exchange_jitter(1.0).refresh_timeout(Duration::from_secs(90)).build().unwrap();
    for (status, header, value, pause) in [
        (503, "retry-after-ms", "1", Some(1)),
        (429, "retry-after-ms", "750", Some(750)),
        (408, "x-ms-retry-after-ms", "59999", Some(59_999)),
        (500, "Retry-After", "60", Some(60_000)),
        (503, "retry-after-ms", "60001", None),
        (503, "Retry-After", "99999999999999999999", None),
    ] {
        let mut rig = Rig::exchanging("entra", full_jitter.clone());
        rig.respond(HttpResponse::new(status).with_header(header, value));
        match pause {
            Some(pause) => assert_eq!(rig.pause(), Some(pause), "{status} {header}: {value}"),
            None => assert!(rig.sent.is_none() && rig.failures.len() == 1, "{status} {header}: {value}"),
        }
    }
    // Of ten seconds, four are gone.
    let short = Policy::builder().refresh_timeout(Duration::from_secs(10)).build().unwrap();
    for (millis, goes_on) in [("6000", true), ("6001", false)] {
        let mut rig = Rig::exchanging("entra", short.clone());
        rig.at = 4 * SECOND;
        rig.respond(HttpResponse::new(429).with_header("retry-after-ms", millis));
        assert_eq!(rig.failures.is_empty(), goes_on, "{millis}");
    }
    // No more tries, no more pauses: but the error tells.
    let mut rig = Rig::exchanging("entra", exact());
    for _ in 0..3 {
        rig.respond(HttpResponse::new(503));
        rig.pause();
    }
    rig.respond(HttpResponse::new(503).with_header("Retry-After", "20"));
    assert!(rig.sent.is_none() && rig.failures.len() == 1);
    let end = rig.at;
    rig.handle(Event::TokenRequested { waiter: 1 });
    assert!(rig.asked.is_none(), "within the backoff");
    rig.at = end + 20 * SECOND;
    rig.handle(Event::TokenRequested { waiter: 2 });
    assert!(rig.asked.is_some(), "after it");
}

/// Fails when pauses do not double, are longer than they say, or are cut by more than the jitter.
#[test]
fn pauses_without_a_hint_double_and_are_cut_by_jitter_within_bounds() {
    for (jitter, least) in [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)] {
        let mut shares = [Vec::new(), Vec::new(), Vec::new()];
        for seed in 0..200 {
            let policy = Policy::builder().exchange_jitter(jitter).seed(seed).build().unwrap();
            let mut rig = Rig::exchanging("entra", policy);
            for (base, shares) in [800, 1_600, 3_200].into_iter().zip(&mut shares) {
                rig.respond(HttpResponse::new(503));
                // With all of it cut away the next try is at once.
                let pause = if rig.sent.is_some() { 0 } else { rig.pause().unwrap() };
                assert!(pause <= base, "{pause} of {base}");
                shares.push(pause as f64 / base as f64);
            }
            rig.respond(HttpResponse::new(503));
            assert_eq!(rig.failures.len(), 1, "the fourth is the last");
        }
        for shares in shares {
            let (low, high) = shares.iter().fold((1.0_f64, 0.0_f64), |(low, high), it| (low.min(*it), high.max(*it)));
            assert!(low >= least - 1e-9 && high <= 1.0, "jitter {jitter}: {low} to {high}");
            // All of the room is used.
            assert!(low <= least + 0.05 && high >= 0.95, "jitter {jitter}: {low} to {high}");
        }
    }
}

/// Fails when the jitter is drawn from anything but the seed.
#[test]
fn the_same_seed_pauses_the_same_and_another_does_not() {
    let pauses = |seed| {
        let mut rig = Rig::exchanging("entra", Policy::default().with_seed(seed));
        [(); 3].map(|()| {
            rig.respond(HttpResponse::new(503));
            rig.pause().unwrap()
        })
    };
    assert_eq!(pauses(1), pauses(1));
    assert_ne!(pauses(1), pauses(2));
}

/// Fails when a status is on the wrong side: what is between the host and the service may answer in its place.
#[test]
fn only_what_may_pass_is_tried_again_and_only_the_service_itself_refuses_for_good() {
    let code = br#"{"error":{"code":"Refused"}}"#;
    for status in 0..=1_000 {
        if matches!(status, 200 | 401) {
            continue;
        }
        let meant = matches!(status, 408 | 425 | 429) || (500..600).contains(&status) && !matches!(status, 501 | 505);
        for (body, has_code) in [
            (&b""[..], false),
            (b"<html>", false),
            (b"{}", false),
            (br#"{"error":{"message":"no"}}"#, false),
            (br#"{"error":"Not Found"}"#, false),
            (br#"{"statusCode":404,"message":"Resource not found"}"#, false),
            (br#"{"title":"Not Found","status":404,"detail":"no route"}"#, false),
            (code, true),
            (br#"{"error":"invalid_grant"}"#, true),
            (br#"{"error":{"code":7}}"#, true),
            ("\u{feff}{\"code\":\"Refused\"}".as_bytes(), true),
        ] {
            let mut rig = Rig::exchanging("entra", exact());
            let header = [("WWW-Authenticate", "Bearer"), ("x-ms-error-code", "Refused"), ("Location", "https://a/")];
            let response = HttpResponse::new(status).with_body(body.to_vec());
            rig.respond(header.iter().fold(response, |it, (name, value)| it.with_header(name, value)));
            let again = rig.failures.is_empty() && rig.pause() == Some(800);
            assert_eq!(again, meant, "{status}");
            assert_eq!(rig.failures.is_empty(), meant, "{status}");
            let permanent = has_code && matches!(status, 400 | 403 | 404 | 409);
            let said = String::from_utf8_lossy(body);
            assert!(rig.failures.iter().all(|it| it.is_permanent() == permanent), "{status} {said}");
        }
    }
}

/// Fails when a 401 without a word of the service's is for good, or one with a challenge is not.
#[test]
fn a_401_is_for_good_with_a_challenge_or_a_code() {
    let respond = |challenge: bool, body: &str, second: &str| {
        let mut rig = Rig::exchanging("entra", exact());
        for entra in ["other", "third"] {
            let response = HttpResponse::new(401).with_body(body.as_bytes().to_vec());
            rig.respond(if challenge { response.with_header("www-authenticate", "Bearer") } else { response });
            if rig.failures.is_empty() {
                rig.sign_in(if second == "same" { "entra" } else { entra });
            }
            if !rig.failures.is_empty() {
                break;
            }
        }
        rig.failure().is_permanent()
    };
    for second in ["same", "other"] {
        assert!(!respond(false, "", second));
        assert!(!respond(false, "<html>", second));
        assert!(respond(true, "<html>", second));
        assert!(respond(false, r#"{"error":{"code":"Refused"}}"#, second));
    }
}
