//! Where a token may go (contract, rule 8.1).

use acs_common::UrlError;
use acs_common::call::{Origin, OriginError};

/// Fails when `covers` leaves out the scheme, the host or the port.
#[test]
fn an_origin_is_a_scheme_a_host_and_a_port() {
    let origin = Origin::new(" HTTPS://Contoso.Example:8443/chat?x#y ").unwrap();
    assert_eq!(origin.to_string(), "https://contoso.example:8443");
    assert!(origin.covers("https", "CONTOSO.example", Some(8443)));
    for (scheme, host, port) in [
        ("http", "contoso.example", Some(8443)),
        ("wss", "contoso.example", Some(8443)),
        ("", "contoso.example", Some(8443)),
        ("https", "contoso.example", None),
        ("https", "contoso.example", Some(443)),
        ("https", "contoso.example.", Some(8443)),
        ("https", "a.contoso.example", Some(8443)),
        ("https", "", Some(8443)),
    ] {
        assert!(!origin.covers(scheme, host, port), "{scheme}://{host}:{port:?}");
    }
}

/// Fails when the scheme's own port is not the same as no port.
#[test]
fn the_schemes_own_port_may_be_left_out() {
    for (endpoint, scheme, host, port) in [
        ("https://contoso.example", "https", "contoso.example", 443),
        ("https://contoso.example:443/", "https", "contoso.example", 443),
        ("http://localhost", "http", "localhost", 80),
        ("http://127.0.0.9:80", "http", "127.0.0.9", 80),
        ("http://[::1]", "http", "[::1]", 80),
        ("https://[2001:DB8::1]", "https", "[2001:db8::1]", 443),
        ("https://[2001:db8::1]:443", "https", "[2001:db8::1]", 443),
    ] {
        let origin = Origin::new(endpoint).unwrap();
        assert!(origin.covers(scheme, host, None) && origin.covers(scheme, host, Some(port)), "{endpoint}");
        assert!(!origin.covers(scheme, host, Some(port + 1)), "{endpoint}");
        assert_eq!(origin.to_string(), format!("{scheme}://{host}"));
    }
    let origin = Origin::new("http://[::1]:8080").unwrap();
    assert!(origin.covers("http", "[::1]", Some(8080)) && !origin.covers("http", "[::1]", None));
    assert_eq!(origin.to_string(), "http://[::1]:8080");
}

/// Fails when plain http is accepted for a host that only looks like a loopback host.
#[test]
fn what_is_no_place_for_a_token_is_refused() {
    for (endpoint, error) in [
        ("", OriginError::Url(UrlError::Scheme)),
        ("contoso.example", OriginError::Url(UrlError::Scheme)),
        ("file:///etc", OriginError::Url(UrlError::Scheme)),
        ("https://", OriginError::Url(UrlError::Host)),
        ("https://contoso.example:99999", OriginError::Url(UrlError::Port)),
        ("https://me@contoso.example", OriginError::UserInfo),
        ("http://contoso.example", OriginError::NotHttps),
        ("http://localhost.contoso.example", OriginError::NotHttps),
        ("http://128.0.0.1", OriginError::NotHttps),
        ("http://[::2]", OriginError::NotHttps),
    ] {
        assert_eq!(Origin::new(endpoint), Err(error), "{endpoint}");
    }
}
