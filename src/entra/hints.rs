//! Moments and delays in the words of HTTP and JSON.

use chrono::{DateTime, NaiveDateTime};

use super::http::HttpResponse;
use crate::time::UnixTime;

/// A moment by [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339#section-5.6), cut to the millisecond; a leap second is the
/// next second.
pub(super) fn rfc3339(text: &str) -> Option<UnixTime> {
    // More digits of a second than nine, and a typographer's minus, are the parser's own.
    let fraction = text.split('.').nth(1).unwrap_or_default();
    if !text.is_ascii() || fraction.bytes().take_while(u8::is_ascii_digit).count() > 9 {
        return None;
    }
    DateTime::parse_from_rfc3339(text).ok().map(|moment| UnixTime::from_millis(moment.timestamp_millis()))
}

/// For how many milliseconds the service asks to be left alone.
pub(super) fn retry_after(response: &HttpResponse, now: UnixTime) -> Option<u64> {
    let millis = |name| response.header(name).and_then(digits);
    millis("retry-after-ms").or_else(|| millis("x-ms-retry-after-ms")).or_else(|| {
        let value = response.header("retry-after")?;
        let seconds = digits(value).map(|seconds| seconds.saturating_mul(1_000));
        seconds.or_else(|| http_date(value.trim_ascii()).map(|moment| moment.millis_since(now)))
    })
}

fn digits(text: &str) -> Option<u64> {
    let text = text.trim_ascii();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // The only way for digits not to be a number is to be too large a one.
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// All three forms of [RFC 9110, section 5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7).
fn http_date(text: &str) -> Option<UnixTime> {
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|moment| UnixTime::from_millis(moment.and_utc().timestamp_millis()))
}
