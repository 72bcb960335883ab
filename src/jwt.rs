//! Reads `exp` and `iat` of a JWT, and nothing else. No signature is verified.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::json;
use crate::time::UnixTime;

/// What the machine uses of a JWT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) exp: UnixTime,
    /// `None` unless it is a finite number below `exp`.
    pub(crate) iat: Option<UnixTime>,
}

/// The claims, if the text is a JWT with a usable `exp`: two or more parts, of which the second is a JSON object in base64.
///
/// What is decoded is wiped, except in registers. Other claims may be nested to any depth: `serde_json` limits the depth of what
/// it reads, not of what it skips.
pub(crate) fn read(text: &str) -> Option<Claims> {
    let mut payload = payload(text)?;
    let [exp, iat] = json::fields(&payload, ["exp", "iat"])?;
    let exp = exp.and_then(moment)?;
    let iat = iat.and_then(seconds).filter(|iat| *iat < exp);
    // Wiping spare capacity takes whole words; wiping text takes a byte at a time.
    payload.clear();
    Some(Claims { exp, iat })
}

/// The payload's JSON. Bytes that are not UTF-8 are replaced, as in the reference: they can be in strings only.
pub(crate) fn payload(text: &str) -> Option<Zeroizing<String>> {
    let mut json = decode(text.split('.').nth(1)?)?;
    let bytes = match String::from_utf8(core::mem::take(&mut *json)) {
        Ok(json) => return Some(Zeroizing::new(json)),
        Err(error) => Zeroizing::new(error.into_bytes()),
    };
    // Each byte becomes three at most. So the buffer does not grow, which would leave a copy behind.
    let mut json = Zeroizing::new(String::with_capacity(bytes.len().saturating_mul(3)));
    for chunk in bytes.utf8_chunks() {
        json.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            json.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Some(json)
}

/// With or without padding. Spare bits are ignored.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Either alphabet, or both mixed: all that the reference's decoders accept.
fn decode(part: &str) -> Option<Zeroizing<Vec<u8>>> {
    // The decoder reserves the space before it writes.
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

/// Seconds since 1970 as a JSON number, or as a string of digits.
pub(crate) fn moment(json: &str) -> Option<UnixTime> {
    seconds(json).or_else(|| digits(json))
}

/// A JSON number in seconds, if it is finite. Read from its text, because `serde_json` rejects numbers above the largest
/// `f64`.
fn seconds(json: &str) -> Option<UnixTime> {
    match json.parse() {
        Ok(number) => Some(from_whole(number)),
        Err(_) => json.parse().ok().filter(|number: &f64| number.is_finite()).map(from_fraction),
    }
}

/// Seconds as a JSON string of digits.
fn digits(json: &str) -> Option<UnixTime> {
    let text = json::string(json)?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| from_whole(text.parse().unwrap_or(i64::MAX)))
}

/// Numbers that are too large for seconds are milliseconds, microseconds or nanoseconds: a common mistake of issuers (contract,
/// section 3). The largest integers that JavaScript and others use for "never" stay seconds.
const MILLISECONDS: i64 = 1_000_000_000_000;
const MICROSECONDS: i64 = 100_000_000_000_000;
const NANOSECONDS: i64 = 100_000_000_000_000_000;
const LARGEST: i64 = 1_000_000_000_000_000_000;
const NEVER: i64 = (1 << 53) - 1;

fn from_whole(number: i64) -> UnixTime {
    match number {
        NEVER => UnixTime::from_secs(number),
        MILLISECONDS..MICROSECONDS => UnixTime::from_millis(number),
        MICROSECONDS..NANOSECONDS => UnixTime::from_millis(number.div_euclid(1_000)),
        NANOSECONDS..=LARGEST => UnixTime::from_millis(number.div_euclid(1_000_000)),
        _ => UnixTime::from_secs(number),
    }
}

/// Rounded down to the millisecond. Half a microsecond is added first, because `1700000000.123` has no exact binary form and
/// would become `….122`. The cast saturates.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates on purpose")]
fn from_fraction(number: f64) -> UnixTime {
    #[expect(clippy::cast_precision_loss, reason = "a power of ten is exact")]
    if (MILLISECONDS as f64..=LARGEST as f64).contains(&number) {
        // As large as that, what is behind the point is less than a millisecond.
        return from_whole(number as i64);
    }
    let millis = number * 1_000.0 + 0.000_5;
    let cut = millis as i64;
    #[expect(clippy::cast_precision_loss, reason = "only the sign of the difference matters")]
    let above = cut as f64 > millis;
    UnixTime::from_millis(if above { cut.saturating_sub(1) } else { cut })
}
