//! The door: which strings are taken for tokens (contract, section 3). One door for all strings, also for Entra tokens.

use alloc::string::String;

use zeroize::Zeroizing;

use crate::error::TokenError;

/// Drops the ASCII white space around a token. In place, so that no copy is left behind.
pub(crate) fn trimmed(mut text: Zeroizing<String>) -> Zeroizing<String> {
    let end = text.trim_ascii_end().len();
    text.truncate(end);
    let start = text.len().saturating_sub(text.trim_ascii_start().len());
    text.drain(..start);
    text
}

/// Whether the trimmed text is a bearer token ([RFC 6750, section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1));
/// if not, what it looks like.
pub(crate) fn check(text: &str) -> Result<(), TokenError> {
    if text.len() >= TokenError::TOO_LONG {
        check_blank(text)?;
        return Err(TokenError::TooLong { bytes: text.len() });
    }
    if !is_bearer(text) {
        return Err(looks_like(text));
    }
    if let "null" | "undefined" = text { Err(TokenError::NullOrUndefined) } else { Ok(()) }
}

/// The whole check of [`Policy::reference`](crate::Policy::reference). Here white space is that of Unicode.
pub(crate) fn check_blank(text: &str) -> Result<(), TokenError> {
    if text.trim().is_empty() { Err(TokenError::Blank) } else { Ok(()) }
}

/// One or more characters of a bearer token, and then perhaps `=`.
pub(crate) fn is_bearer(text: &str) -> bool {
    let unpadded = text.trim_end_matches('=').as_bytes();
    !unpadded.is_empty() && (all(unpadded, is_usual) || all(unpadded, is_of_bearer))
}

/// Whether all bytes are good. It looks at a whole block without a branch: so the compiler compares sixteen bytes at once.
#[inline]
fn all(bytes: &[u8], is_good: impl Fn(u8) -> bool) -> bool {
    let (blocks, rest) = bytes.as_chunks::<128>();
    let good = |bytes: &[u8; 128]| bytes.iter().fold(true, |good, byte| good & is_good(*byte));
    // The last block overlaps with the one before it.
    blocks.iter().all(good)
        && match bytes.last_chunk() {
            Some(last) => rest.is_empty() || good(last),
            None => rest.iter().all(|byte| is_good(*byte)),
        }
}

/// The characters of JWTs, which nearly all tokens are; and of a bearer token all except two.
#[inline]
fn is_usual(byte: u8) -> bool {
    within::<b'a', b'z'>(byte | 0x20) | within::<b'-', b'9'>(byte) | (byte == b'_')
}

/// Whether it is one of `FROM..=TO`. The numbers are moved so that `TO` is the largest one with a sign: then this is one
/// addition and one comparison, also for sixteen bytes at once.
#[inline]
const fn within<const FROM: u8, const TO: u8>(byte: u8) -> bool {
    byte.wrapping_add(127_u8.wrapping_sub(TO)).cast_signed() >= 127_u8.wrapping_sub(TO).wrapping_add(FROM).cast_signed()
}

#[inline]
fn is_of_bearer(byte: u8) -> bool {
    is_usual(byte) | (byte == b'~') | (byte == b'+')
}

/// What is not a bearer token.
#[cold]
fn looks_like(text: &str) -> TokenError {
    let scheme = text.get(..7).unwrap_or_default();
    if text.trim().is_empty() {
        TokenError::Blank
    } else if scheme.trim_ascii_end().eq_ignore_ascii_case("bearer") {
        TokenError::StartsWithBearer
    } else if text.starts_with(['"', '\'', '`', '“', '‘']) {
        TokenError::InQuotes
    } else if text.starts_with(['{', '[']) {
        TokenError::Json
    } else if text.starts_with('<') {
        TokenError::Html
    } else if text.contains(char::is_whitespace) {
        TokenError::WhiteSpace
    } else {
        TokenError::OtherCharacters
    }
}
