//! Connection strings are parsed as the Azure SDKs parse them, and a key never shows.

#[path = "support/vectors.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
mod vectors;

use std::collections::HashMap;

use acs_common::UrlError;
use acs_common::connection_string::{ConnectionString, ConnectionStringError};
use proptest::prelude::*;

fn parse(text: &str) -> Result<ConnectionString, ConnectionStringError> {
    text.parse()
}

fn parts(text: &str) -> Option<(String, String)> {
    let parsed = parse(text).ok()?;
    Some((parsed.endpoint().to_owned(), parsed.access_key().expose().to_owned()))
}

/// How .NET, Java and Python read pairs. Each of them refuses some strings: .NET a second pair of one name and two
/// semicolons in a row, Java another name, Python a space around a name.
fn as_others_read(text: &str) -> Option<(String, String)> {
    let mut pairs = HashMap::new();
    for (name, value) in text.split(';').filter_map(|pair| pair.split_once('=')) {
        pairs.insert(name.trim().to_lowercase(), value.trim().to_owned());
    }
    let parts = (pairs.remove("endpoint")?, pairs.remove("accesskey")?);
    let url = parts.0.to_lowercase().starts_with("http") && !parts.0.contains(char::is_whitespace);
    (url && !parts.1.is_empty()).then_some(parts)
}

/// The recorded results of the reference are reproduced, with two exceptions, which the other SDKs read in another way:
/// - the reference refuses pairs in another order, and white space around names and endpoints;
/// - the reference reads text after the key as a part of the key, and text between the two parts as a part of the
///   endpoint.
///
/// Fails when the comparison of names depends on case, when a value is not trimmed, or when the first pair counts.
#[test]
fn a_connection_string_is_read_as_the_reference_reads_it_or_else_as_the_others_do() {
    let vectors = vectors::load("connection_strings.json");
    let (mut taken, mut read_otherwise) = (0, 0);
    for vector in &vectors {
        let text = vector["input"].as_str().unwrap();
        let (got, others) = (parts(text), as_others_read(text));
        let part = |name: &str| vector[name].as_str().map(str::to_owned);
        let recorded = part("endpoint").zip(part("access_key"));
        match &recorded {
            _ if got == recorded => continue,
            None => taken += 1,
            Some((endpoint, key)) => {
                assert!(endpoint.contains(';') || key.contains(';') || key.trim() != key, "{vector}");
                read_otherwise += 1;
            }
        }
        assert_eq!(got, others, "{vector}");
    }
    assert_eq!((vectors.len(), taken, read_otherwise), (262, 73, 15));
}

/// Fails when the pairs must have a fixed order, when white space or quotes are kept, or when a `;` at the end is a
/// part of the key.
#[test]
fn pasted_strings_are_read() {
    for text in [
        "endpoint=https://a.b/;accesskey=k==",
        "accesskey=k==;endpoint=https://a.b/",
        "endpoint=https://a.b/;accesskey=k==;",
        "endpoint=https://a.b/;accesskey=k==; \r\n",
        ";;endpoint=https://a.b/;;accesskey=k==;;",
        " endpoint = https://a.b/ ; accesskey = k== ",
        "\taccesskey\t=\tk==\t;\tendpoint\t=\thttps://a.b/\t",
        "Endpoint=https://a.b/;AccessKey=k==",
        "ACCESSKEY=k==;ENDPOINT=https://a.b/",
        "endpoint=https://a.b/\r;accesskey=k==\r",
        "endpoint=https://a.b/\r\n;accesskey=k==\r\n",
        "endpoint=\r\nhttps://a.b/;\r\naccesskey=\r\nk==",
        "\u{a0}endpoint=https://a.b/;accesskey=k==\u{a0}",
        "\"endpoint=https://a.b/;accesskey=k==\"",
        "'endpoint=https://a.b/;accesskey=k=='",
        " \" accesskey = k== ; endpoint = https://a.b/ ; \" \r\n",
        "'endpoint=https://a.b/;accesskey=k==;';",
        "endpoint=https://a.b/;accesskey=k==;region=west;=;x",
        "region=west;endpoint=https://a.b/;accesskey=k==",
        "endpoint=https://x.y;accesskey=l;endpoint=https://a.b/;accesskey=k==",
    ] {
        assert_eq!(parts(text), Some(("https://a.b/".to_owned(), "k==".to_owned())), "{text:?}");
    }
}

/// Fails when a check of `from_str` or of `Url::parse` is missing, or gives the wrong reason.
#[test]
fn each_error_has_its_reason() {
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
        " https://a.b\t",
        "\rhttps://a.b\r\n",
        "https://a.b;x=y",
    ] {
        assert_eq!(endpoint(good), Ok(()), "{good}");
    }
    let url = ConnectionStringError::Endpoint;
    let cases: &[(ConnectionStringError, &[&str])] = &[
        (
            url(UrlError::Scheme),
            &["a.b", "//a.b", "file://a.b", "ftp://a.b", "wss://a.b", "https:/a.b", "https:a.b", "'https://a.b'"],
        ),
        (
            url(UrlError::Host),
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
            url(UrlError::Port),
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
            url(UrlError::Character),
            &[
                "https://a b",
                "https://a.b /",
                "https://é.b",
                "https://a.b\\c",
                "https://a\t.b",
                "https://a.b/\u{7f}",
                "https://a.b/{x}",
            ],
        ),
        (
            ConnectionStringError::EndpointNotBare,
            &[
                "https://a.b/c",
                "https://a.b//",
                "https://a.b?",
                "https://a.b/?x",
                "https://a.b#",
                "https://u:p@a.b",
                "https://@a.b",
                "https://a.b,AccessKey=k",
            ],
        ),
        (ConnectionStringError::EmptyEndpoint, &[""]),
    ];
    for (expected, endpoints) in cases {
        for text in *endpoints {
            assert_eq!(endpoint(text), Err(*expected), "{text}");
        }
    }
    for (expected, text) in [
        (ConnectionStringError::NoEndpoint, ""),
        (ConnectionStringError::NoEndpoint, "garbage"),
        (ConnectionStringError::NoEndpoint, "accesskey=k"),
        (ConnectionStringError::NoEndpoint, "endpoint:https://a.b;accesskey=k"),
        (ConnectionStringError::NoEndpoint, "my endpoint=https://a.b;accesskey=k"),
        (ConnectionStringError::NoEndpoint, "\"endpoint=https://a.b;accesskey=k"),
        (ConnectionStringError::NoEndpoint, "'endpoint=https://a.b;accesskey=k\""),
        (ConnectionStringError::NoEndpoint, "\""),
        (ConnectionStringError::NoAccessKey, "endpoint=https://a.b"),
        (ConnectionStringError::NoAccessKey, "endpoint=https://a.b;access key=k"),
        (ConnectionStringError::NoAccessKey, "endpoint=https://a.b;accesskey"),
        (ConnectionStringError::NoAccessKey, "endpoint=https://a.b\naccesskey=k"),
        (ConnectionStringError::EmptyAccessKey, "endpoint=https://a.b;accesskey="),
        (ConnectionStringError::EmptyAccessKey, "endpoint=https://a.b;accesskey= ;"),
        (ConnectionStringError::EmptyAccessKey, "endpoint=https://a.b;accesskey=k;accesskey="),
        (ConnectionStringError::EmptyEndpoint, "accesskey=k;endpoint= "),
        (ConnectionStringError::EmptyEndpoint, "endpoint=;accesskey="),
    ] {
        assert_eq!(parse(text).map(drop), Err(expected), "{text:?}");
    }
}

/// Fails when a line break that the reference's pattern does not match becomes a part of the key.
#[test]
fn a_key_ends_with_its_line() {
    for end in ["\n", "\r", "\r\n", "\u{2028}", "\u{2029}", "\nk"] {
        for before in ["# production", "x=y", "endpoint=https://x.y", "accesskey=l"] {
            let text = format!("{before}\nendpoint=https://a.b;accesskey=k{end}");
            assert_eq!(parts(&text), Some(("https://a.b".to_owned(), "k".to_owned())), "{text:?}");
        }
    }
}

/// Fails when an error's text does not say what is wrong, or what to do.
#[test]
fn each_error_says_what_to_do() {
    use ConnectionStringError as Wrong;

    for (error, says, does) in [
        (Wrong::NoEndpoint, "has no pair `endpoint=…`", "copy the whole string"),
        (Wrong::NoAccessKey, "has no pair `accesskey=…`", "copy the whole string"),
        (Wrong::EmptyEndpoint, "endpoint in the connection string is empty", "copy the whole string"),
        (Wrong::EmptyAccessKey, "access key in the connection string is empty", "copy the whole string"),
        (Wrong::EndpointNotBare, "more than a host and a port", "remove its path"),
        (UrlError::Scheme.into(), "does not begin with `https://` or `http://`", "pass the whole URL"),
        (UrlError::Host.into(), "no valid host after the `://`", "put a host name"),
        (UrlError::Port.into(), "port is not a number from 0 to 65535", "correct the port"),
        (UrlError::Character.into(), "a space, a backslash", "percent-encode"),
    ] {
        let text = error.to_string();
        assert!(text.contains(says) && text.contains(does), "{text}");
    }
}

/// Fails when a key that is pasted twice becomes a part of the host.
#[test]
fn a_key_pasted_twice_does_not_show() {
    let twice = parse("endpoint=https://a.b;accesskey=SESAME;accesskey=SESAME").unwrap();
    assert_eq!(format!("{twice:?}"), r#"ConnectionString { endpoint: "https://a.b", access_key: Secret(…) }"#);
}

proptest! {
    /// Fails when an error or `Debug` repeats the input.
    #[test]
    fn nothing_of_the_key_shows(
        key in "[A-Z]{8,20}",
        text in prop::sample::select(vec![
            "endpoint=https://a.b;accesskey=KEY", "ENDPOINT=https://a.b/x;accesskey=KEY", "endpoint=KEY;accesskey=k",
            "accesskey=KEY;endpoint=https://a.b", "endpoint=https://KEY;accesskey=KEY;accesskey=KEY", "KEY",
            "endpoint=https://a.b;accesskey=KEY;accesskey=KEY", "endpoint=;accesskey=KEY", "endpoint=https://a.b;KEY",
            "endpoint=https://a.b; accesskey=KEY;accesskey=l", "endpoint=https://a.b:KEY;accesskey=",
            "endpoint=https://a.b,accesskey=KEY;accesskey=l", "'accesskey=KEY;endpoint=https://a.b'", "accesskey=KEY;endpoint=",
            "accesskey=KEY\nendpoint=https://a.b", "\"accesskey=KEY;endpoint=https://a.b", "accesskey=l;endpoint=https://a.b accesskey=KEY",
        ]),
    ) {
        let text = text.replace("https://KEY", "https://x").replace("KEY", &key);
        let shown = match parse(&text) {
            Ok(parsed) => format!("{parsed:?} {parsed:#?}"),
            Err(error) => format!("{error} {error:?} {error:#?}"),
        };
        prop_assert!(!shown.contains(&key), "{shown}");
    }

    /// Fails when the order of the pairs, the white space around them or the quotes change the result.
    #[test]
    fn text_around_the_pairs_changes_nothing(
        key in "[A-Za-z0-9+/]{1,12}={0,2}",
        spaces in prop::array::uniform8("[ \t\r]{0,2}"),
        quote in prop::sample::select(vec!["", "\"", "'"]),
        end in prop::sample::select(vec!["", ";", ";;"]),
        turned in any::<bool>(),
    ) {
        let [a, b, c, d, e, f, g, h] = &spaces;
        let mut pairs = [format!("{a}endpoint{b}={c}https://a.b/{d}"), format!("{e}accesskey{f}={g}{key}{h}")];
        if turned {
            pairs.reverse();
        }
        let text = format!("{a}{quote}{}{end}{h}{quote}{b}", pairs.join(";"));
        prop_assert_eq!(parts(&text), Some(("https://a.b/".to_owned(), key)), "{:?}", text);
    }

    /// Fails when `Url::parse` searches for a port after the end.
    #[test]
    fn no_text_panics(text in any::<String>(), pieces in prop::collection::vec(prop::sample::select(vec![
        "endpoint=", ";accesskey=", "\"", "'", " ", "\r", "https://", "[", "]", ":", "@", "/", "?", "#", "é", "\n", "0x", "1.2.3.4", "k", ";", "%",
    ]), 0..12)) {
        for text in [text.clone(), pieces.concat(), format!("endpoint=https://{text};accesskey=k"), format!("endpoint={};accesskey=k", pieces.concat())] {
            if let Ok(parsed) = parse(&text) {
                prop_assert!(text.contains(parsed.endpoint()) && text.contains(parsed.access_key().expose()));
            }
        }
    }
}
