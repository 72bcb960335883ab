//! Reading `exp` and `iat` out of a JWT, and nothing else. No signature is verified.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::json;
use crate::time::UnixTime;

/// What the machine needs to know of a JWT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) exp: UnixTime,
    /// Only if it is a finite number below `exp`.
    pub(crate) iat: Option<UnixTime>,
}

/// The claims, if the text is a JWT with a usable `exp`: two or more parts, the second a base64 JSON object.
pub(crate) fn read(text: &str) -> Option<Claims> {
    parse(&payload(text)?)
}

/// The payload's JSON. Bytes that are not UTF-8 are replaced, as the reference does: they can only stand in claims nobody
/// reads here.
pub(crate) fn payload(text: &str) -> Option<Zeroizing<String>> {
    let mut payload = decode(text.trim_ascii().split('.').nth(1)?)?;
    let text = String::from_utf8(core::mem::take(&mut *payload)).unwrap_or_else(|error| {
        let payload = Zeroizing::new(error.into_bytes());
        String::from_utf8_lossy(&payload).into_owned()
    });
    Some(Zeroizing::new(text))
}

/// Both alphabets, mixed too, padded or not, spare bits ignored: what the reference's decoders accept together.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn decode(part: &str) -> Option<Zeroizing<Vec<u8>>> {
    let standard = |byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let part = Zeroizing::new(part.bytes().map(standard).collect::<Vec<u8>>());
    BASE64.decode(&*part).ok().map(Zeroizing::new)
}

fn parse(json: &str) -> Option<Claims> {
    let [exp, iat] = json::fields(json, ["exp", "iat"])?;
    let exp = number(exp?).or_else(|| digits(exp?))?;
    Some(Claims { exp, iat: iat.and_then(number).filter(|iat| *iat < exp) })
}

/// A JSON number in seconds, if it is finite: no other JSON value reads as one of Rust's.
fn number(json: &str) -> Option<UnixTime> {
    match json.parse() {
        Ok(secs) => Some(UnixTime::from_secs(secs)),
        Err(_) => json.parse().ok().filter(|secs: &f64| secs.is_finite()).map(from_fraction),
    }
}

/// A JSON string of nothing but digits, in seconds.
fn digits(json: &str) -> Option<UnixTime> {
    let text = json::string(json)?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // The only way for digits not to be a number is to be too large a one.
    digits.then(|| UnixTime::from_secs(text.parse().unwrap_or(i64::MAX)))
}

/// Cut to the millisecond. Half a microsecond is granted first, since `1700000000.123` has no exact binary form
/// and would otherwise read as `….122`; the cast saturates.
#[expect(clippy::cast_possible_truncation, reason = "saturating is meant")]
fn from_fraction(secs: f64) -> UnixTime {
    let millis = secs * 1_000.0 + 0.000_5;
    let cut = millis as i64;
    #[expect(clippy::cast_precision_loss, reason = "only the sign of the difference matters")]
    let above = cut as f64 > millis;
    UnixTime::from_millis(if above { cut.saturating_sub(1) } else { cut })
}
