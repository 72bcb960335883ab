//! What is sent.

use std::time::Duration;

use acs_common::issuer::{HttpRequest, Issuer, IssuerOptionsError};
use acs_common::{Action, Event, Machine, NewToken, Policy, RefresherError, UrlError};

use super::{URL, at, first, issuer, rejected};

/// In the form of HTTP/1.1: the request line, headers, an empty line, the body.
fn written(request: &HttpRequest) -> String {
    let headers = request.expose_headers().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>();
    format!("{} {}\n{headers}\n{}", request.method(), request.url(), request.body())
}

const DEFAULTS: &str = "Accept: application/json, text/plain\nAccept-Encoding: identity\nCache-Control: no-cache\n";

/// Fails when a header is lost, comes twice or is added, or when the reason goes elsewhere than where the caller says.
#[test]
fn the_request_is_what_the_caller_describes_and_no_more() {
    let cases: [(Result<Issuer, IssuerOptionsError>, String); 7] = [
        (Issuer::get(URL), format!("GET {URL}\n{DEFAULTS}\n")),
        (Issuer::post(&format!(" {URL}?room=7\n")), format!("POST {URL}?room=7\n{DEFAULTS}\n")),
        (
            issuer()
                .with_header("Authorization", "Bearer a")
                .and_then(|it| it.with_header("AUTHORIZATION", " Bearer b ")),
            format!("GET {URL}\nAUTHORIZATION: Bearer b\n{DEFAULTS}\n"),
        ),
        (
            issuer().with_header("accept", "text/plain"),
            format!("GET {URL}\naccept: text/plain\nAccept-Encoding: identity\nCache-Control: no-cache\n\n"),
        ),
        (
            issuer().with_body("application/json", "{}"),
            format!("POST {URL}\nContent-Type: application/json\n{DEFAULTS}\n{{}}"),
        ),
        (issuer().with_reason_header("x-why"), format!("GET {URL}\nx-why: first\n{DEFAULTS}\n")),
        (issuer().with_rejected_token_header("x-refused"), format!("GET {URL}\n{DEFAULTS}\n")),
    ];
    for (issuer, expected) in cases {
        assert_eq!(written(&issuer.unwrap().request(&first())), expected);
    }
}

/// Fails when the parameter replaces the query, or is joined to it by the wrong mark.
#[test]
fn the_reason_is_the_last_parameter_of_the_query() {
    for (url, expected) in [
        (URL.to_owned(), format!("{URL}?why=first")),
        (format!("{URL}?"), format!("{URL}?why=first")),
        (format!("{URL}?room=7&"), format!("{URL}?room=7&&why=first")),
        (format!("{URL}?room=7"), format!("{URL}?room=7&why=first")),
    ] {
        let issuer = Issuer::get(&url).unwrap().with_reason_query("why").unwrap();
        assert_eq!(issuer.request(&first()).url(), expected);
        assert_eq!(issuer.request(&first()).display_url(), URL);
    }
}

/// Fails when a rejection is not said, or when the refused token is sent although the caller does not ask for that.
#[test]
fn a_rejection_is_said_and_the_refused_token_is_sent_only_on_demand() {
    let reason = rejected("the-refused-token");
    let told = issuer().with_reason_header("x-why").unwrap().with_reason_query("why").unwrap();
    let sent = written(&told.request(&reason));
    assert!(sent.starts_with(&format!("GET {URL}?why=rejected\nx-why: rejected\n")), "{sent}");
    assert!(!sent.contains("the-refused-token"), "{sent}");
    let sent = written(&told.with_rejected_token_header("x-refused").unwrap().request(&reason));
    assert!(sent.contains("\nx-refused: the-refused-token\n"), "{sent}");
}

/// Fails when a retry, or a renewal that had failed before, hides from the server's cache that a token was refused.
#[test]
fn a_rejection_is_said_until_a_token_is_accepted() {
    let held = NewToken::new("held").with_expires_in(Duration::from_secs(3_600));
    let mut machine = Machine::<u32>::new(Some(held), Policy::default(), at(0)).unwrap();
    let held = machine.token(at(0)).unwrap().clone();
    let told = issuer().with_reason_header("x-why").unwrap();
    let mut ask = |events: Vec<Event<u32>>, secs: i64| {
        events.into_iter().for_each(|event| machine.handle(event, at(secs)));
        let mut why = None;
        while let Some(action) = machine.poll_action() {
            if let Action::CallRefresher { request, reason, .. } = action {
                let sent = told.request(&reason);
                why = sent.expose_headers().find(|(name, _)| *name == "x-why").map(|(_, why)| why.to_owned());
                machine.handle(Event::RefreshFailed { request, error: RefresherError::new("down") }, at(secs));
            }
        }
        why
    };
    let request = || Event::TokenRequested { waiter: 1 };
    assert_eq!(ask(vec![request()], 3_590).as_deref(), Some("renewal"));
    // The next renewal has started when the rejection comes, and the refresher has not been called for it.
    assert_eq!(ask(vec![request(), Event::TokenRejected { token: held }], 3_595).as_deref(), Some("rejected"));
    assert_eq!(ask(vec![request()], 3_700).as_deref(), Some("rejected"));
}

/// Fails when a URL is accepted that would send secrets in clear, or that a client cannot send to; or a good one is not.
#[test]
fn a_url_is_https_or_loopback_and_can_be_sent_as_it_is() {
    use IssuerOptionsError as E;
    for (url, expected) in [
        ("https://contoso.example", Ok(())),
        ("HTTPS://contoso.example:8443/a%20b?x=%7B&y=(1)/?", Ok(())),
        ("http://localhost:3000/token", Ok(())),
        ("http://127.0.0.1/token", Ok(())),
        ("http://[::1]/token", Ok(())),
        ("http://contoso.example/token", Err(E::NotHttps)),
        ("http://localhost.example/token", Err(E::NotHttps)),
        ("ftp://contoso.example", Err(E::Url(UrlError::Scheme))),
        ("contoso.example/token", Err(E::Url(UrlError::Scheme))),
        ("", Err(E::Url(UrlError::Scheme))),
        ("https://", Err(E::Url(UrlError::Host))),
        ("https://contoso.example:70000", Err(E::Url(UrlError::Port))),
        ("https://me:pass@contoso.example", Err(E::UserInfo)),
        ("https://contoso.example/token#top", Err(E::Fragment)),
        ("https://contoso.example/to ken", Err(E::Url(UrlError::Character))),
        ("https://contoso.example/token?x={1}", Err(E::Url(UrlError::Character))),
        ("https://contoso.example/token?x=\"1\"", Err(E::Url(UrlError::Character))),
        ("https://contoso.example/token?x=<1>", Err(E::Url(UrlError::Character))),
        ("https://contoso.example/tökén", Err(E::Url(UrlError::Character))),
    ] {
        assert_eq!(Issuer::get(url).map(drop), expected, "{url}");
        if expected.is_ok() {
            let issuer = Issuer::get(url).unwrap();
            #[cfg(feature = "http")]
            http::Request::try_from(issuer.request(&first())).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(issuer.request(&first()).is_loopback(), !url.contains("contoso"), "{url}");
        }
    }
}

/// Fails when a header can break the request in two, or contradict what the client says.
#[test]
fn a_header_is_valid_and_is_not_the_clients() {
    for name in ["", "a b", "a:", "ä", "a\r\nb", "Host", "content-LENGTH", "Transfer-Encoding", "connection"] {
        for refused in [
            issuer().with_header(name, "x"),
            issuer().with_reason_header(name),
            issuer().with_rejected_token_header(name),
        ] {
            let is_named =
                matches!(refused, Err(IssuerOptionsError::HeaderName { name: ref said, .. }) if said == name);
            assert!(is_named, "{name:?}: {refused:?}");
        }
    }
    for value in ["a\r\nb: c", "a\nb", "\u{7f}", "ä", "\0"] {
        let error = issuer().with_header("x-key", value).unwrap_err();
        assert!(matches!(error, IssuerOptionsError::HeaderValue { .. }));
        assert!(issuer().with_body(value, "x").is_err());
    }
    for name in ["", "a=b", "a&b", "ä", "%41"] {
        assert_eq!(issuer().with_reason_query(name).unwrap_err(), IssuerOptionsError::QueryName);
    }
}

/// Fails when the `http` crate's request is not the same one, or shows a secret.
#[cfg(feature = "http")]
#[test]
fn the_http_crates_request_is_the_same_one() {
    let issuer = Issuer::post(URL).unwrap().with_header("x-key", "canary").unwrap();
    let issuer = issuer.with_body("text/plain", "the body").unwrap().with_reason_header("x-why").unwrap();
    let plain = written(&issuer.request(&first()));
    let converted = http::Request::try_from(issuer.request(&first())).unwrap();
    let headers = converted.headers();
    assert_eq!(headers.len(), plain.matches(": ").count());
    for (name, value) in headers {
        let line = format!("\n{}: {}\n", name.as_str(), value.to_str().unwrap()).to_ascii_lowercase();
        assert!(plain.to_ascii_lowercase().contains(&line), "{line}");
    }
    assert!(
        headers["x-key"].is_sensitive() && headers["content-type"].is_sensitive() && !headers["x-why"].is_sensitive()
    );
    assert_eq!((converted.method().as_str(), converted.body().as_ref()), ("POST", b"the body".as_slice()));
    assert!(!format!("{:?}", converted.headers()).contains("canary"));
}
