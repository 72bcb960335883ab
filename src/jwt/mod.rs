//! Reading `exp` and `iat` out of a JWT, and nothing else. No signature is verified.

mod payload;
mod reader;

#[cfg(feature = "entra")]
use alloc::string::String;
#[cfg(feature = "entra")]
use alloc::vec::Vec;

#[cfg(feature = "entra")]
use zeroize::Zeroizing;

use self::payload::{Payload, second_part};
use self::reader::Reader;
use crate::time::UnixTime;

/// What the machine needs to know of a JWT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) exp: UnixTime,
    /// Only if it is a finite number below `exp`.
    pub(crate) iat: Option<UnixTime>,
}

/// The claims, if the text is a JWT with a usable `exp`: two or more parts, the second a base64 JSON object. Memory is
/// allocated only for what no token has: see `reader`. What is decoded is wiped, but for what of it went through registers.
///
/// Bytes that are not UTF-8 do not matter, as to the reference: they can only stand in claims nobody reads here.
#[inline(never)] // So that its piece is on the stack no longer than it has to be.
pub(crate) fn read(text: &str) -> Option<Claims> {
    let mut payload = Payload::new(second_part(text)?);
    let (exp, iat) = Reader(&mut payload).dates()?;
    let exp = exp?;
    Some(Claims { exp, iat: iat.filter(|iat| *iat < exp) })
}

/// The payload's JSON. Bytes that are not UTF-8 are replaced, as the reference does.
#[cfg(feature = "entra")]
pub(crate) fn payload(text: &str) -> Option<Zeroizing<String>> {
    let mut payload = Payload::new(second_part(text)?);
    // Large enough, so that none of it is left behind where it has been.
    let mut json = Zeroizing::new(Vec::with_capacity(text.len()));
    while let bytes @ [_, ..] = payload.bytes() {
        json.extend_from_slice(bytes);
        let count = bytes.len();
        payload.take(count);
    }
    if !payload.is_over() {
        return None;
    }
    let text = String::from_utf8(core::mem::take(&mut *json)).unwrap_or_else(|error| {
        let json = Zeroizing::new(error.into_bytes());
        String::from_utf8_lossy(&json).into_owned()
    });
    Some(Zeroizing::new(text))
}
