//! The request on the wire, byte for byte, and what the service knows it by.

use std::collections::BTreeSet;
#[cfg(feature = "http")]
use std::rc::Rc;

use acs_common::entra::{EntraOptions, EntraToken, HttpRequest, HttpResponse};
use acs_common::{Event, Policy, RefresherError};

use super::support::rig::{MINUTE, Rig, contoso, unix};
use super::{exact, success};

/// In the form of the recorded samples: the request line, headers, an empty line, the body.
fn recorded(request: &HttpRequest) -> String {
    let headers = request.expose_headers().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>();
    format!("{} {}\n{headers}\n{}\n", request.method(), request.url(), request.body())
}

/// Fails when a path, an API version, a header or the body differs in a byte from what the service expects.
#[test]
fn the_request_is_what_the_service_was_seen_to_take() {
    let teams = |cloud| format!("https://auth.msft.communication.azure.{cloud}/TeamsExtension.ManageCalls");
    for (scopes, sample) in [
        (None, include_str!("../wire/clients.http")),
        (Some("https://communication.azure.com/clients/VoIP".to_owned()), include_str!("../wire/clients.http")),
        (Some(teams("com")), include_str!("../wire/teams.http")),
        (Some(teams("us")), include_str!("../wire/teams.http")),
    ] {
        let options = match scopes {
            Some(scope) => contoso().with_scopes([scope]).unwrap(),
            None => contoso(),
        };
        let mut rig = Rig::of_entra_user(options, exact());
        rig.sign_in("entra-token");
        let (_, request) = rig.sent.take().unwrap();
        assert_eq!(recorded(&request), sample.replace("REQUEST-ID", request.request_id()));
    }
}

/// Fails when a request to this computer is not known as one, and goes through a proxy; or when any other is.
#[test]
fn a_request_says_whether_it_leads_to_this_computer() {
    for (endpoint, loopback) in [
        ("http://localhost", true),
        ("https://LOCALHOST:8443/acs", true),
        ("https://localhost.", true),
        ("http://127.0.0.1:1", true),
        ("https://127.255.255.254", true),
        ("https://[::1]/acs", true),
        ("https://[::ffff:127.0.0.1]", true),
        ("https://contoso.communication.azure.com", false),
        ("https://contoso.communication.azure.com/://localhost", false),
        ("https://localhost.example.com", false),
        ("https://128.0.0.1", false),
        ("https://[::2]", false),
    ] {
        let mut rig = Rig::of_entra_user(EntraOptions::new(endpoint).unwrap(), exact());
        rig.sign_in("entra-token");
        assert_eq!(rig.sent.take().unwrap().1.is_loopback(), loopback, "{endpoint}");
    }
}

/// Fails when each try draws another id, or a refresh repeats the last id; or when tries are miscounted.
#[test]
fn every_try_of_a_refresh_has_its_id_and_the_next_refresh_another() {
    let mut rig = Rig::exchanging("one", exact());
    let first = rig.respond(HttpResponse::new(503));
    rig.pause().unwrap();
    let second = rig.respond(HttpResponse::new(401));
    assert!(rig.fresh);
    rig.sign_in("two");
    let third = rig.respond(HttpResponse::new(503));
    rig.pause().unwrap();
    let fourth = rig.unreachable(RefresherError::new("reset"));
    rig.pause().unwrap();
    let fifth = rig.respond(HttpResponse::new(404));
    let tries = [first, second, third, fourth, fifth];
    assert_eq!(tries.each_ref().map(HttpRequest::attempt), [1, 2, 3, 4, 5]);
    assert!(tries.iter().all(|request| request.request_id() == tries[0].request_id()), "{tries:?}");

    rig.at += 6 * MINUTE;
    rig.handle(Event::TokenRequested { waiter: 1 });
    rig.sign_in("two");
    let next = rig.respond(success("acs", "2030-01-01T00:00:00Z"));
    assert_ne!(next.request_id(), tries[0].request_id());
    assert_eq!(next.attempt(), 1);
}

/// Fails when `guid` sets neither version nor variant, or does not draw its bits anew.
#[test]
fn a_request_id_is_a_random_guid_of_its_seed() {
    let id = |seed| {
        let mut rig = Rig::exchanging("entra", Policy::default().with_seed(seed));
        rig.sent.take().unwrap().1.request_id().to_owned()
    };
    let mut seen = BTreeSet::new();
    let mut ones = [0_u32; 36];
    for seed in 0..256 {
        let id = id(seed);
        let parts: Vec<&str> = id.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
        assert!(id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{id}");
        assert!(parts[2].starts_with('4'), "version 4: {id}");
        assert!(parts[3].starts_with(['8', '9', 'a', 'b']), "the RFC's variant: {id}");
        for (digit, count) in id.chars().zip(&mut ones) {
            *count += digit.to_digit(16).map_or(0, u32::count_ones);
        }
        assert!(seen.insert(id));
    }
    // Every free digit has about half of its bits set.
    let fixed = [8, 13, 14, 18, 19, 23];
    let loaded = ones.iter().enumerate().find(|(index, ones)| !fixed.contains(index) && !(410..=614).contains(*ones));
    assert!(loaded.is_none(), "{loaded:?} of 1024 bits");
    assert_eq!(id(7), id(7), "same seed, same life");
}

/// Fails when `HttpRequest` derives `Debug`, or the Entra token gets into the URL.
#[test]
fn the_token_is_in_one_header_and_is_not_shown() {
    let mut rig = Rig::exchanging("canary", exact());
    let (_, request) = rig.sent.take().unwrap();
    let shown = format!("{request:?}{}{}{:?}", request.url(), request.body(), rig.credential);
    assert!(!shown.contains("canary"), "{shown}");
    let debug = format!("{request:?}");
    assert!(debug.contains(request.url()) && debug.contains(request.request_id()), "{debug}");
    let with: Vec<_> = request.expose_headers().filter(|(_, value)| value.contains("canary")).collect();
    assert_eq!(with, [("Authorization", "Bearer canary")]);
}

/// Fails when the `http` crate's request is not the same one, or shows the token.
#[cfg(feature = "http")]
#[test]
fn the_http_crates_request_is_the_same_one() {
    let mut rig = Rig::exchanging("entra-token", exact());
    let (_, request) = rig.sent.take().unwrap();
    let plain = recorded(&request);
    let request = Rc::into_inner(request).expect("nobody has a copy");
    let converted = http::Request::try_from(request).unwrap();
    for (name, value) in converted.headers() {
        let (name, value) = (name.as_str(), value.to_str().unwrap());
        assert!(plain.to_ascii_lowercase().contains(&format!("\n{name}: {value}\n").to_ascii_lowercase()));
    }
    assert_eq!(converted.headers().len(), 5);
    assert!(plain.starts_with(&format!("{} {}\n", converted.method(), converted.uri())));
    assert!(!format!("{converted:?}").contains("entra-token"));
    assert_eq!(*converted.body(), "{}");
}

/// Fails when `HttpResponse` derives `Debug`, or does not show what a log may hold.
#[test]
fn of_a_response_the_status_and_the_headers_names_are_shown_and_no_word_more() {
    let response = HttpResponse::new(429).with_header("Retry-After", "canary").with_body(b"canary".to_vec());
    assert_eq!(format!("{response:?}"), r#"HttpResponse { status: 429, headers: ["Retry-After"], body: "6 bytes" }"#);
    assert_eq!((response.status(), response.header("RETRY-AFTER")), (429, Some("canary")));
}

/// Fails when the first value that is no text ends the reading, or panics.
#[cfg(feature = "http")]
#[test]
fn a_header_that_is_no_text_is_left_out_of_the_http_crates_response_and_nothing_else() {
    let latin = http::HeaderValue::from_bytes(b"m\xfcde").unwrap();
    let response = http::Response::builder().status(503).header("Retry-After", latin).header("x-ms-request-id", "7");
    let response = HttpResponse::from(response.body(b"down".to_vec()).unwrap());
    assert_eq!((response.header("retry-after"), response.header("x-ms-request-id")), (None, Some("7")));
    assert_eq!(
        format!("{response:?}"),
        r#"HttpResponse { status: 503, headers: ["x-ms-request-id"], body: "4 bytes" }"#
    );
}

/// Fails when an Entra token does not keep the expiry it was given.
#[test]
fn an_entra_token_tells_the_expiry_it_was_given() {
    assert_eq!(EntraToken::new("entra").expires_on(), None);
    assert_eq!(EntraToken::new("entra").with_expires_on(unix(5)).expires_on(), Some(unix(5)));
}
