//! Requests are signed as the reference signs them, and a key never shows.
//!
//! This file is long because it has a second implementation of SHA-256 and HMAC, to compare with.

#[path = "support/vectors.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
mod vectors;

use acs_common::access_key::{AccessKey, AccessKeyError, SignableBody, SignedHeaders, SigningError};
use acs_common::{UnixTime, UrlError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

fn key(text: &str) -> AccessKey {
    AccessKey::from_base64(text).unwrap()
}

const DATE: UnixTime = UnixTime::from_millis(1_649_873_352_451);

fn signature(signed: &SignedHeaders) -> &str {
    signed.authorization().rsplit_once("&Signature=").unwrap().1
}

/// Fails when `canonical` does not change the query, when `Url::parse` keeps a scheme's default port or does not
/// normalize an IPv6 address, when `civil` is off by a day, or when the parts of the signed text are in another order.
#[test]
fn a_request_is_signed_as_the_reference_signs_it() {
    let vectors = vectors::load("signed_requests.json");
    assert!(vectors.len() > 150, "the vectors are lost");
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let body = vector["body"].as_str().unwrap_or_default();
        let date = UnixTime::from_millis(vector["unix_ms"].as_i64().unwrap());
        let signed = key(text("access_key")).sign(text("method"), text("url"), body.as_bytes(), date);
        let signed = signed.unwrap_or_else(|error| panic!("{vector}: {error}"));
        let headers: serde_json::Map<_, _> =
            signed.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        assert_eq!(serde_json::to_string(&headers).unwrap(), vector["headers"].to_string(), "{vector}");
    }
}

/// The examples from the reference's tests. Fails when the body's hash is written in another alphabet.
#[test]
fn the_examples_of_the_reference_give_the_same_signatures() {
    let sign = |url: &str, body: &str| key("pw==").sign("GET", url, body.as_bytes(), DATE).unwrap();
    let signed = sign("https://example.com/testPath?testQuery=test", "");
    assert_eq!(signed.date(), "Wed, 13 Apr 2022 18:09:12 GMT");
    assert_eq!(signed.content_hash(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    for (body, hash) in [
        ("banana", "tJPUg2Sv5E0RwBZc9HCkFk0eJgmRHvmYvoaNRq3j3k4="),
        ("\u{1f600}", "8EQ6NCxe9UeDoRG1G6Vsk45HTDIyTZDDpgycjjo34tk="),
    ] {
        assert_eq!(sign("https://example.com/", body).content_hash(), hash, "{body}");
    }
    assert_eq!(
        STANDARD.encode(oracle::hmac_sha256(&[0xa7], b"banana")),
        "88EC05aAS9iXnaimtNO78JLjiPtfWryQB/5QYEzEsu8="
    );
    assert_eq!(
        STANDARD.encode(oracle::hmac_sha256(&[0xa7], "\u{1f600}".as_bytes())),
        "1rudJKjn2Zi+3hRrBG29wIF6pD6YyAeQR1ZcFtXoKAU="
    );
}

/// The vectors of the Python SDK's `test_hmac.py`, and two of the reference's vectors for its access key policy: the
/// same key and date, GET without a body. Python's `hmac` gives the same results.
///
/// Fails when the path, the query or the host is not signed, or the key is not decoded.
#[test]
fn the_vectors_of_the_other_sdks_give_the_same_signatures() {
    for (url, expected) in [
        ("https://contoso.communicationservices.azure.com/", "88MDmJhUR3m5QhFxb8ztShsSwlGrg7g/6XPnWf7QEO4="),
        ("https://contoso.communicationservices.azure.com/testPath", "RoCrHjw7fb9fpHSbqvRUY2xa8RBS0YvI1cxI1x8AS38="),
        (
            "https://contoso.communicationservices.azure.com/testPath?testQuery=yes",
            "il99+rd6V5O136roX/zVePCNle78HmvC4B7tu9zRH3I=",
        ),
        ("https://example.com/testPath", "+6tWkg3lNKVjQHHmxkdGQcJjUgzclsWTMebnuCz1ngU="),
        ("https://example.com/testPath?testQuery=test", "DGdgwggJWnQyc6EHjR/Vbqg1ES64KpD6U2XwTDDj3tU="),
    ] {
        let signed = key("pw==").sign("GET", url, b"", DATE).unwrap();
        assert_eq!(signature(&signed), expected, "{url}");
        let mut request = http::Request::get(url).body(()).unwrap();
        key("pw==").sign_request(&mut request, DATE).unwrap();
        assert_eq!(request.headers()["authorization"], signed.authorization(), "{url}");
    }
}

/// Fails when `Url::parse` or `canonical` treats one of these forms differently.
#[test]
fn each_form_of_url_gives_its_host_and_target() {
    for (url, host, target) in [
        ("https://example.com", "example.com", "/"),
        ("https://example.com?x=1", "example.com", "/?x=1"),
        ("https://example.com/p?", "example.com", "/p"),
        ("https://example.com/p?&", "example.com", "/p"),
        ("https://example.com/p?#f", "example.com", "/p"),
        ("https://example.com/p#f?x", "example.com", "/p"),
        ("HTTPS://EXAMPLE.com:443/P?X", "example.com", "/P?X="),
        ("http://example.com:80/", "example.com", "/"),
        ("http://example.com:443/", "example.com:443", "/"),
        ("https://example.com:80/", "example.com:80", "/"),
        ("https://example.com:0443/", "example.com", "/"),
        ("https://example.com:/", "example.com", "/"),
        ("https://[::1]:5000/a", "[::1]:5000", "/a"),
        ("https://[2001:DB8:0:0::1]/a", "[2001:db8::1]", "/a"),
        ("https://[::ffff:1.2.3.4]/", "[::ffff:102:304]", "/"),
        ("https://u:p@example.com/a", "example.com", "/a"),
        ("https://example.com/%2f%2F%zz?%41", "example.com", "/%2f%2F%zz?A="),
        ("https://example.com//a//b", "example.com", "//a//b"),
        ("https://example.com/a/../b/./c", "example.com", "/b/c"),
        ("https://example.com/a/%2E%2e", "example.com", "/"),
        ("https://example.com/a/b/..", "example.com", "/a/"),
        ("https://example.com/../..", "example.com", "/"),
        ("https://example.com/a/.", "example.com", "/a/"),
        ("https://example.com/...", "example.com", "/..."),
        ("https://example.com/?a=b?c/d", "example.com", "/?a=b%3Fc%2Fd"),
        ("https://example.com/?x=a%20b+c", "example.com", "/?x=a+b+c"),
        ("https://example.com/?%zz=%&%4", "example.com", "/?%25zz=%25&%254="),
        ("https://example.com/?a=%FF", "example.com", "/?a=%EF%BF%BD"),
        ("https://example.com/?a=%c3%a9*-._~", "example.com", "/?a=%C3%A9*-._%7E"),
    ] {
        let signed = key("pw==").sign("GET", url, b"", DATE).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!((signed.host(), signed.target()), (host, target), "{url}");
    }
}

/// Fails when `imf_fixdate` divides towards zero, or forgets a limit.
#[test]
fn dates_are_written_from_the_first_year_to_the_last_and_refused_beyond() {
    for (millis, date) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (951_782_400_000, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_799_999, "Tue, 29 Feb 2000 23:59:59 GMT"),
        (-2_203_891_200_000, "Thu, 01 Mar 1900 00:00:00 GMT"),
        (-62_167_219_200_000, "Sat, 01 Jan 0000 00:00:00 GMT"),
        (-62_162_121_600_000, "Tue, 29 Feb 0000 00:00:00 GMT"),
        (253_402_300_799_999, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        let signed = key("pw==").sign("GET", "https://a.b", b"", UnixTime::from_millis(millis)).unwrap();
        assert_eq!(signed.date(), date, "{millis}");
    }
    for millis in [i64::MIN, -62_167_219_200_001, 253_402_300_800_000, i64::MAX] {
        let refused = key("pw==").sign("GET", "https://a.b", b"", UnixTime::from_millis(millis));
        assert_eq!(refused, Err(SigningError::Date), "{millis}");
    }
}

/// Fails when `sign` checks less than the whole method or URL.
#[test]
fn an_invalid_request_is_refused() {
    for method in ["", "GET ", "G\nET", "É", "GET\r", "GE/T"] {
        assert_eq!(key("pw==").sign(method, "https://a.b", b"", DATE), Err(SigningError::Method), "{method:?}");
    }
    for (url, error) in [
        ("/path", UrlError::Scheme),
        ("example.com/", UrlError::Scheme),
        ("https:///path", UrlError::Host),
        ("https://127.1/", UrlError::Host),
        ("https://a.b:70000/", UrlError::Port),
        ("https://a.b/a b", UrlError::Character),
        ("https://a.b/?é", UrlError::Character),
        ("https://a.b/\nx", UrlError::Character),
    ] {
        assert_eq!(key("pw==").sign("GET", url, b"", DATE), Err(SigningError::Url(error)), "{url:?}");
    }
    let lower = key("pw==").sign("post", "https://a.b", b"", DATE).unwrap();
    assert_eq!(lower, key("pw==").sign("POST", "https://a.b", b"", DATE).unwrap());
}

/// Fails when `BASE64` requires padding, when white space is not trimmed, or when an empty key is accepted.
#[test]
fn a_key_is_base64_or_an_error_that_does_not_repeat_it() {
    let reference = key("cGF/+w==").sign("GET", "https://a.b", b"", DATE).unwrap();
    for same in ["cGF/+w", " cGF/+w==\r\n", "cGF/+x=="] {
        assert_eq!(key(same).sign("GET", "https://a.b", b"", DATE).unwrap(), reference, "{same:?}");
    }
    for (text, expected) in [
        ("", AccessKeyError::Empty),
        ("  ", AccessKeyError::Empty),
        ("SESAME!", AccessKeyError::NotBase64),
        ("SES AME", AccessKeyError::NotBase64),
        ("SESAM", AccessKeyError::NotBase64),
        ("SE==SAME", AccessKeyError::NotBase64),
    ] {
        let error = AccessKey::from_base64(text).unwrap_err();
        assert_eq!(error, expected, "{text:?}");
        assert!(!format!("{error} {error:?}").contains("SE"), "{error}");
    }
}

/// Fails when `sign_request` keeps an existing header, does not change the target, or does half of its work before it
/// fails.
#[test]
fn a_request_of_the_crate_http_carries_the_same_headers() {
    let url = "https://Example.com:8443/a/../b?x=a%20b&";
    let mut request =
        http::Request::post(url).header("host", "wrong").header("authorization", "wrong").body("{}").unwrap();
    key("pw==").sign_request(&mut request, DATE).unwrap();
    let signed = key("pw==").sign("POST", url, b"{}", DATE).unwrap();
    for (name, value) in signed.iter() {
        let values: Vec<_> = request.headers().get_all(name).iter().collect();
        assert_eq!(values, [value], "{name}");
    }
    assert_eq!(request.headers().len(), 4);
    assert!(request.headers()["authorization"].is_sensitive());
    assert_eq!(request.uri().path_and_query().unwrap(), "/b?x=a+b");
    assert_eq!(request.uri().authority().unwrap(), "Example.com:8443");

    let mut relative = http::Request::get("/path?").header("host", "a.b").body(()).unwrap();
    let refused = key("pw==").sign_request(&mut relative, DATE);
    assert_eq!(refused, Err(SigningError::Url(UrlError::Scheme)));
    assert_eq!((relative.uri().to_string(), relative.headers().len()), ("/path?".to_owned(), 1));
}

/// Fails when `sign_request` hashes anything except the body of the request, or a kind of body returns wrong bytes.
#[test]
fn a_request_is_signed_with_the_body_it_carries() {
    fn hash<B: SignableBody>(body: B) -> String {
        let mut request = http::Request::post("https://a.b/").body(body).unwrap();
        key("pw==").sign_request(&mut request, DATE).unwrap();
        request.headers()["x-ms-content-sha256"].to_str().unwrap().to_owned()
    }
    let expected = |body: &[u8]| STANDARD.encode(oracle::sha256(body));
    let (text, bytes) = ("banana", b"banana");
    for got in [
        hash(text),
        hash(text.to_owned()),
        hash(Box::<str>::from(text)),
        hash(bytes),
        hash(*bytes),
        hash(&bytes[..]),
        hash(bytes.to_vec()),
        hash::<&Vec<u8>>(&bytes.to_vec()),
        hash(bytes::Bytes::from_static(bytes)),
        hash(Some(text)),
    ] {
        assert_eq!(got, expected(bytes));
    }
    for got in [hash(()), hash(""), hash(None::<String>), hash(Vec::new())] {
        assert_eq!(got, expected(b""));
    }
}

/// Fails when a second signature keeps a header of the first one, or uses any part of it.
#[test]
fn a_redirected_request_is_signed_again() {
    let mut request = http::Request::get("https://a.b/old?x=1").body("{}").unwrap();
    key("pw==").sign_request(&mut request, DATE).unwrap();
    *request.uri_mut() = "https://c.d:8443/new".parse().unwrap();
    let later = UnixTime::from_secs(1_649_873_360);
    key("pw==").sign_request(&mut request, later).unwrap();
    let signed = key("pw==").sign("GET", "https://c.d:8443/new", b"{}", later).unwrap();
    assert_eq!(request.headers().len(), 4);
    for (name, value) in signed.iter() {
        assert_eq!(request.headers()[name], value, "{name}");
    }
}

/// Fails when a text does not say what is wrong, or what to do.
#[test]
fn each_error_says_what_to_do() {
    for (text, says, does) in [
        (AccessKeyError::Empty.to_string(), "is empty", "copy it from the Azure portal"),
        (AccessKeyError::NotBase64.to_string(), "is not base64", "copy the whole key"),
        (SigningError::Method.to_string(), "the method is empty or holds", "pass an HTTP method"),
        (SigningError::Url(UrlError::Scheme).to_string(), "the URL cannot be signed", "pass the whole URL"),
        (SigningError::Date.to_string(), "outside the years 0 to 9999", "check the clock"),
    ] {
        assert!(text.contains(says) && text.contains(does), "{text}");
    }
}

fn urls() -> impl Strategy<Value = String> {
    let pieces = |pieces: Vec<&'static str>| prop::collection::vec(prop::sample::select(pieces), 0..6);
    let host = prop::sample::select(vec!["a.b", "A.B:443", "[::1]:80", "127.0.0.1", "a.b:8443"]);
    (
        host,
        pieces(vec!["/", "a", "..", ".", "%2e", "%C3", ":"]),
        pieces(vec!["&", "=", "a", "+", "%20", "%", "?", "%FF", "~", "é"]),
    )
        .prop_map(|(host, path, query)| {
            format!("https://{host}/{}?{}", path.concat(), query.concat()).replace('é', "%E9")
        })
}

proptest! {
    /// Fails when the signed text is not the method, the target and the three headers that are sent.
    #[test]
    fn the_signature_belongs_to_the_sent_request(
        secret in prop::collection::vec(any::<u8>(), 1..150),
        method in "[A-Za-z]{1,7}",
        url in urls(),
        body in prop::collection::vec(any::<u8>(), 0..200),
        millis in -62_167_219_200_000..253_402_300_800_000_i64,
    ) {
        let signed = key(&STANDARD.encode(&secret)).sign(&method, &url, &body, UnixTime::from_millis(millis)).unwrap();
        prop_assert_eq!(signed.content_hash(), STANDARD.encode(oracle::sha256(&body)));
        let (target, date, host) = (signed.target(), signed.date(), signed.host());
        let text = format!("{}\n{target}\n{date};{host};{}", method.to_uppercase(), signed.content_hash());
        prop_assert_eq!(signature(&signed), STANDARD.encode(oracle::hmac_sha256(&secret, text.as_bytes())));
        // Signing the sent target again gives the same signature.
        let again = key(&STANDARD.encode(&secret)).sign(&method, &format!("https://{host}{target}"), &body, UnixTime::from_millis(millis));
        prop_assert_eq!(again.unwrap(), signed);
    }

    /// Fails when the key, the method, the target, the date or the body does not change the signature.
    #[test]
    fn any_difference_changes_the_signature(one in "[A-Za-z0-9+/]{8,40}", other in "[A-Za-z0-9+/]{8,40}", at in 0_usize..5) {
        let (Ok(_), Ok(_)) = (STANDARD.decode(&one), STANDARD.decode(&other)) else { return Ok(()) };
        prop_assume!(one != other);
        let mut parts = [[&*one, "GET", "/a", "1", "x"]; 2];
        parts[1][at] = [&*other, "PUT", "/b", "2", "y"][at];
        let [first, second] = parts.map(|[secret, method, path, second, body]| {
            let date = UnixTime::from_secs(second.parse().unwrap());
            let signed = key(secret).sign(method, &format!("https://a.b{path}"), body.as_bytes(), date).unwrap();
            signature(&signed).to_owned()
        });
        prop_assert_ne!(first, second);
    }

    /// Fails when `Debug` of the headers is derived.
    #[test]
    fn neither_key_nor_signature_shows(secret in prop::collection::vec(any::<u8>(), 16..70)) {
        let text = STANDARD.encode(&secret);
        let key = key(&text);
        let signed = key.sign("GET", "https://a.b", b"", DATE).unwrap();
        let shown = format!("{key:?} {key:#?} {signed:?} {signed:#?}");
        prop_assert!(shown.starts_with("AccessKey(…)") && shown.contains("SignedHeaders") && shown.contains("a.b"), "{shown}");
        prop_assert!(!shown.contains(&text) && !shown.contains(signature(&signed)) && !shown.contains(&format!("{secret:?}")), "{shown}");
    }

    /// Fails when `decode` assumes that two digits follow a `%`.
    #[test]
    fn no_text_panics(method in any::<String>(), url in any::<String>(), millis in any::<i64>()) {
        for url in [url.clone(), format!("https://a.b/{url}"), format!("https://{url}"), format!("https://a.b?{}", url.escape_default())] {
            let _ = key("pw==").sign("GET", &url, b"", UnixTime::from_millis(millis));
            let _ = key("pw==").sign(&method, &url, b"", DATE);
        }
        let _ = AccessKey::from_base64(&url);
    }
}

/// SHA-256 and HMAC from their standards, independent of the library.
mod oracle {
    /// [FIPS 180-4, section 6.2](https://doi.org/10.6028/NIST.FIPS.180-4), with constants computed from the primes.
    pub(crate) fn sha256(message: &[u8]) -> [u8; 32] {
        let primes: Vec<u64> = (2..).filter(|n| (2..*n).all(|divisor| n % divisor != 0)).take(64).collect();
        let mut hash: Vec<u32> = primes[..8].iter().map(|prime| fraction_of_root(*prime, 2)).collect();
        let constants: Vec<u32> = primes.iter().map(|prime| fraction_of_root(*prime, 3)).collect();
        let mut padded = message.to_vec();
        padded.push(0x80);
        padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
        padded.extend((message.len() as u64 * 8).to_be_bytes());
        for block in padded.chunks(64) {
            let mut words: Vec<u32> =
                block.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
            for t in 16..64 {
                let (a, b) = (words[t - 15], words[t - 2]);
                let s0 = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
                let s1 = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
                words.push(words[t - 16].wrapping_add(s0).wrapping_add(words[t - 7]).wrapping_add(s1));
            }
            let mut v = hash.clone();
            for t in 0..64 {
                let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
                let choice = (v[4] & v[5]) ^ (!v[4] & v[6]);
                let one = v[7].wrapping_add(s1).wrapping_add(choice).wrapping_add(constants[t]).wrapping_add(words[t]);
                let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
                let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
                v.rotate_right(1);
                v[4] = v[4].wrapping_add(one);
                v[0] = one.wrapping_add(s0).wrapping_add(majority);
            }
            hash.iter_mut().zip(v).for_each(|(hash, v)| *hash = hash.wrapping_add(v));
        }
        let bytes: Vec<u8> = hash.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.try_into().unwrap()
    }

    /// The first 32 bits after the binary point of the square or cube root, by bisection.
    fn fraction_of_root(of: u64, degree: u32) -> u32 {
        let (mut low, mut high) = (0_u64, 20 << 32);
        while high - low > 1 {
            let middle = low.midpoint(high);
            // Shifted by 32 bits for each factor. A product that overflows is too large.
            let power = (0..degree).try_fold(1_u128, |power, _| power.checked_mul(middle.into()));
            if power.is_some_and(|power| power <= u128::from(of) << (32 * degree)) {
                low = middle
            } else {
                high = middle
            }
        }
        low as u32
    }

    /// [RFC 2104, section 2](https://www.rfc-editor.org/rfc/rfc2104#section-2).
    pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
        let mut block = if key.len() > 64 { sha256(key).to_vec() } else { key.to_vec() };
        block.resize(64, 0);
        let padded =
            |pad: u8, rest: &[u8]| [block.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>().as_slice(), rest].concat();
        sha256(&padded(0x5c, &sha256(&padded(0x36, message))))
    }
}
