//! Reading `exp` and `iat` of a JWT, and nothing else. No signature is verified.

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
///
/// What is decoded is wiped, apart from what went through registers; only a name or an `exp` that is written with escapes
/// leaves a copy of itself behind, in `serde_json`. How deep other claims are does not matter: `serde_json` limits that for
/// what it reads, and not for what it passes over.
pub(crate) fn read(text: &str) -> Option<Claims> {
    let payload = payload(text)?;
    let [exp, iat] = json::fields(&payload, ["exp", "iat"])?;
    let exp = exp.and_then(|exp| seconds(exp).or_else(|| digits(exp)))?;
    Some(Claims { exp, iat: iat.and_then(seconds).filter(|iat| *iat < exp) })
}

/// The payload's JSON. Bytes that are not UTF-8 are replaced, as the reference does: they can only stand in strings.
pub(crate) fn payload(text: &str) -> Option<Zeroizing<String>> {
    let mut json = decode(text.trim_ascii().split('.').nth(1)?)?;
    let bytes = match String::from_utf8(core::mem::take(&mut *json)) {
        Ok(json) => return Some(Zeroizing::new(json)),
        Err(error) => Zeroizing::new(error.into_bytes()),
    };
    // Three bytes take the place of one at most, so it does not grow and leave itself behind.
    let mut json = Zeroizing::new(String::with_capacity(bytes.len().saturating_mul(3)));
    for chunk in bytes.utf8_chunks() {
        json.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            json.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Some(json)
}

/// Padded or not, spare bits ignored.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Either alphabet, mixed too: what the reference's decoders accept together.
fn decode(part: &str) -> Option<Zeroizing<Vec<u8>>> {
    // The decoder makes it large enough before anything is in it.
    let mut decoded = Zeroizing::new(Vec::new());
    if BASE64.decode_vec(part, &mut decoded).is_err() {
        let url_safe = |byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => other,
        };
        let part: Zeroizing<Vec<u8>> = Zeroizing::new(part.bytes().map(url_safe).collect());
        decoded.clear();
        BASE64.decode_vec(&*part, &mut decoded).ok()?;
    }
    Some(decoded)
}

/// A JSON number in seconds, if it is finite. From its text, since `serde_json` knows no number above the largest `f64`.
fn seconds(json: &str) -> Option<UnixTime> {
    match json.parse() {
        Ok(secs) => Some(UnixTime::from_secs(secs)),
        Err(_) => json.parse().ok().filter(|secs: &f64| secs.is_finite()).map(from_fraction),
    }
}

/// Seconds as a JSON string of digits.
fn digits(json: &str) -> Option<UnixTime> {
    let text = Zeroizing::new(json::string(json)?);
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
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
