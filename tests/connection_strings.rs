//! Connection strings are taken apart as the reference takes them apart, and no key ever shows.

mod support;

use acs_common::InvalidUrl;
use acs_common::connection_string::{ConnectionString, InvalidConnectionString};
use proptest::prelude::*;

use support::vectors;

fn parse(text: &str) -> Result<ConnectionString, InvalidConnectionString> {
    text.parse()
}

/// Bites when `around_last` takes the first `;accesskey=`, when `behind` looks at case, or when either part is trimmed.
#[test]
fn a_connection_string_is_read_as_the_reference_reads_it() {
    let vectors = vectors::load("connection_strings.json");
    assert!(vectors.len() > 150, "the vectors are gone");
    for vector in vectors {
        match parse(vector["input"].as_str().unwrap()) {
            Ok(parsed) => {
                assert_eq!(parsed.endpoint(), vector["endpoint"], "{vector}");
                assert_eq!(parsed.access_key().expose(), vector["access_key"], "{vector}");
            }
            Err(error) => assert_eq!(vector["error"], true, "{vector}: {error}"),
        }
    }
}

/// Bites when a check of `from_str` or of `Url::parse` is left out, or gives another's reason.
#[test]
fn what_is_wrong_is_said() {
    let endpoint = |endpoint: &str| parse(&format!("endpoint={endpoint};accesskey=k")).map(drop);
    for good in [
        "https://a.b",
        "http://a.b",
        "HTTPS://A.b:443/",
        "https://a.b:65535",
        "https://a.b:",
        "https://127.0.0.1:5000",
        "https://[::1]:5000/",
        "https://[2001:db8::1]",
        "https://a_b.c",
        "https://xn--4ca.b",
        "https://a.b;x=y",
    ] {
        assert_eq!(endpoint(good), Ok(()), "{good}");
    }
    let url = InvalidConnectionString::Endpoint;
    let cases: &[(InvalidConnectionString, &[&str])] = &[
        (
            url(InvalidUrl::Scheme),
            &["a.b", "//a.b", "file://a.b", "ftp://a.b", "wss://a.b", "https:/a.b", "https:a.b", " https://a.b"],
        ),
        (
            url(InvalidUrl::Host),
            &[
                "https://",
                "https:///",
                "https://:443",
                "https://a%62",
                "https://[::1",
                "https://::1]",
                "https://a]",
                "https://[x]",
                "https://[]",
                "https://127.1",
                "https://256.0.0.1",
                "https://1.2.3.4.5",
                "https://0x7f.1",
                "https://a.1",
                "https://a|b",
                "https://a[::1]",
                "https://u@",
            ],
        ),
        (
            url(InvalidUrl::Port),
            &[
                "https://a.b:65536",
                "https://a.b:x",
                "https://a.b:-1",
                "https://a.b:+1",
                "https://a.b:1:2",
                "https://[::1]5",
                "https://[::1]x:5",
            ],
        ),
        (
            url(InvalidUrl::Character),
            &[
                "https://a b",
                "https://a.b ",
                "https://é.b",
                "https://a.b\\c",
                "https://a\t.b",
                "https://a.b/\u{7f}",
                "https://a.b/{x}",
            ],
        ),
        (
            InvalidConnectionString::EndpointNotBare,
            &[
                "https://a.b/c",
                "https://a.b//",
                "https://a.b?",
                "https://a.b/?x",
                "https://a.b#",
                "https://u:p@a.b",
                "https://@a.b",
            ],
        ),
        (InvalidConnectionString::EmptyEndpoint, &[""]),
    ];
    for (expected, endpoints) in cases {
        for text in *endpoints {
            assert_eq!(endpoint(text), Err(*expected), "{text}");
        }
    }
    for (expected, text) in [
        (InvalidConnectionString::NoEndpoint, ""),
        (InvalidConnectionString::NoEndpoint, "garbage"),
        (InvalidConnectionString::NoEndpoint, "accesskey=k"),
        (InvalidConnectionString::NoEndpoint, "endpoint =https://a.b;accesskey=k"),
        (InvalidConnectionString::NoAccessKey, "endpoint=https://a.b"),
        (InvalidConnectionString::NoAccessKey, "endpoint=https://a.b;access key=k"),
        (InvalidConnectionString::NoAccessKey, "endpoint=https://a.b; accesskey=k"),
        (InvalidConnectionString::NoAccessKey, "accesskey=k;endpoint=https://a.b"),
        (InvalidConnectionString::NoAccessKey, "endpoint=https://a.b\n;accesskey=k"),
        (InvalidConnectionString::EmptyAccessKey, "endpoint=https://a.b;accesskey="),
        (InvalidConnectionString::EmptyAccessKey, "endpoint=https://a.b;accesskey=k;accesskey="),
        (InvalidConnectionString::EmptyAccessKey, "endpoint=https://a.b;accesskey=\nk"),
        (InvalidConnectionString::EmptyEndpoint, "endpoint=;accesskey="),
    ] {
        assert_eq!(parse(text).map(drop), Err(expected), "{text:?}");
    }
}

/// Bites when a break that the reference's pattern does not match is taken for a part of the key.
#[test]
fn a_key_ends_with_its_line() {
    for end in ["\n", "\r", "\r\n", "\u{2028}", "\u{2029}", "\nk"] {
        let parsed = parse(&format!("# production{end}endpoint=https://a.b;accesskey=k{end}")).unwrap();
        assert_eq!((parsed.endpoint(), parsed.access_key().expose()), ("https://a.b", "k"), "{end:?}");
    }
}

/// Bites when `Debug` of `ConnectionString` shows the whole endpoint, in which a key that was pasted twice ends up.
#[test]
fn a_key_pasted_twice_does_not_show_as_part_of_the_host() {
    let twice = parse("endpoint=https://a.b;accesskey=SESAME;accesskey=SESAME").unwrap();
    assert_eq!(twice.endpoint(), "https://a.b;accesskey=SESAME");
    assert_eq!(format!("{twice:?}"), r#"ConnectionString { endpoint: "https://a.b", access_key: Secret(…) }"#);
}

proptest! {
    /// Bites when an error or `Debug` repeats what it was given.
    #[test]
    fn nothing_of_the_key_shows(
        key in "[A-Z]{8,20}",
        text in prop::sample::select(vec![
            "endpoint=https://a.b;accesskey=KEY", "ENDPOINT=https://a.b/x;accesskey=KEY", "endpoint=KEY;accesskey=k",
            "accesskey=KEY;endpoint=https://a.b", "endpoint=https://KEY;accesskey=KEY;accesskey=KEY", "KEY",
            "endpoint=https://a.b;accesskey=KEY;accesskey=KEY", "endpoint=;accesskey=KEY", "endpoint=https://a.b;KEY",
            "endpoint=https://a.b; accesskey=KEY;accesskey=l", "endpoint=https://a.b:KEY;accesskey=",
        ]),
    ) {
        let text = text.replace("https://KEY", "https://x").replace("KEY", &key);
        let shown = match parse(&text) {
            Ok(parsed) => format!("{parsed:?} {parsed:#?}"),
            Err(error) => format!("{error} {error:?} {error:#?}"),
        };
        prop_assert!(!shown.contains(&key), "{shown}");
    }

    /// Bites when `Url::parse` looks for a port beyond the end.
    #[test]
    fn no_text_panics(text in any::<String>(), pieces in prop::collection::vec(prop::sample::select(vec![
        "endpoint=", ";accesskey=", "https://", "[", "]", ":", "@", "/", "?", "#", "é", "\n", "0x", "1.2.3.4", "k", ";", "%",
    ]), 0..12)) {
        for text in [text.clone(), pieces.concat(), format!("endpoint=https://{text};accesskey=k"), format!("endpoint={};accesskey=k", pieces.concat())] {
            if let Ok(parsed) = parse(&text) {
                prop_assert!(text.contains(parsed.endpoint()) && text.contains(parsed.access_key().expose()));
            }
        }
    }
}
