//! A token's header.

use acs_common::{BearerError, Machine, Monotonic, NewToken, Now, Policy, Token, UnixTime};

fn accepted(text: &str) -> Token {
    let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(1_700_000_000));
    let token = NewToken::new(text).with_expires_on(UnixTime::from_secs(1_700_003_600));
    let machine = Machine::<()>::with_static_token(token, Policy::reference(), now).expect("a token");
    machine.token(now).expect("it holds it").clone()
}

/// Fails when the header is not marked as sensitive, is built again at each call, or does not outlive the token.
#[test]
fn the_header_is_built_once_and_outlives_the_token() {
    let token = accepted(" eyJhbGci\n");
    let header = token.authorization().expect("a bearer token");
    assert_eq!(header, "Bearer eyJhbGci");
    assert!(header.is_sensitive());
    assert!(std::ptr::eq(header, token.clone().authorization().expect("as before")));

    let kept = header.clone();
    drop(token);
    assert_eq!(kept, "Bearer eyJhbGci", "a request in flight keeps it in memory");
}

/// Fails when every visible character is accepted, or `=` anywhere else than at the end.
#[test]
fn text_around_a_token_makes_no_header() {
    for refused in [
        "\"eyJhbGci\"",
        "'eyJhbGci'",
        r#"{"token":"eyJhbGci"}"#,
        "<eyJhbGci>",
        "eyJ,hbGci",
        "eyJ%hbGci",
        "eyJ\thbGci",
        "eyJ…",
        "=",
        "==",
        "eyJ=hbGci",
        "=eyJhbGci",
    ] {
        assert_eq!(accepted(refused).authorization(), Err(BearerError), "{refused}");
    }
    // All characters that RFC 6750, section 2.1, allows.
    for taken in ["eyJ.hbG.ci", "AZaz09-._~+/", "opaque=", "opaque==", " eyJhbGci==\r\n"] {
        assert_eq!(accepted(taken).authorization().unwrap(), &format!("Bearer {}", taken.trim()), "{taken:?}");
    }
}
