//! A token's header; and a token with a count of its own, which is still that token.

use acs_common::{InvalidBearer, Machine, Monotonic, NewToken, Now, Policy, Token, UnixTime};

fn accepted(text: &str) -> Token {
    let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(1_700_000_000));
    let token = NewToken::new(text).with_expires_on(UnixTime::from_secs(1_700_003_600));
    let machine = Machine::<()>::with_static_token(token, Policy::default(), now).expect("a token");
    machine.token(now).expect("it holds it").clone()
}

/// Bites when a share copies the secret, compares as another token, or says something else of itself.
#[test]
fn a_token_with_its_own_count_is_the_same_token() {
    let token = accepted("eyJhbGci");
    for share in [token.with_own_count(), token.with_own_count().with_own_count()] {
        assert!(share.is_same(&token) && token.is_same(&share) && share.is_same(&token.with_own_count()));
        assert_eq!(share.secret().expose().as_ptr(), token.secret().expose().as_ptr());
        assert_eq!(share.expires_on(), token.expires_on());
        assert_eq!(share.is_opaque(), token.is_opaque());
        assert_eq!(format!("{share:?}"), format!("{token:?}"));
    }
    assert!(!token.with_own_count().is_same(&accepted("eyJhbGci")));
}

/// Bites when a share's header is built of a copy of the secret, not marked as sensitive, or another at each call.
#[test]
fn the_header_of_a_share_is_the_tokens_own_text() {
    let token = accepted(" eyJhbGci\n");
    let share = token.with_own_count();
    let of_share = share.authorization().expect("a bearer token");
    assert_eq!(of_share, "Bearer eyJhbGci");
    assert!(of_share.is_sensitive());
    assert!(std::ptr::eq(of_share, share.authorization().expect("as before")));
    let whole = token.authorization().expect("a bearer token");
    assert_eq!(whole.as_bytes().as_ptr(), of_share.as_bytes().as_ptr());

    let kept = of_share.clone();
    drop((token, share));
    assert_eq!(kept, "Bearer eyJhbGci", "a request on its way keeps it alive");
}

/// Bites when a share's header is not refused as the token's is.
#[test]
fn the_header_of_a_share_is_refused_as_the_tokens_is() {
    let token = accepted("Bearer eyJhbGci");
    assert_eq!(token.with_own_count().authorization(), Err(InvalidBearer));
}

/// Bites when the token is only looked at for visible characters, or `=` is taken elsewhere than at its end.
#[test]
fn what_a_token_came_in_makes_no_header() {
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
        assert_eq!(accepted(refused).authorization(), Err(InvalidBearer), "{refused}");
    }
    // RFC 6750, section 2.1: every character that there is.
    for taken in ["eyJ.hbG.ci", "AZaz09-._~+/", "opaque=", "opaque==", " eyJhbGci==\r\n"] {
        assert_eq!(accepted(taken).authorization().unwrap(), &format!("Bearer {}", taken.trim()), "{taken:?}");
    }
}
