//! Dates in the form of HTTP
//! ([RFC 9110, section 5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7), `IMF-fixdate`).

#[cfg(feature = "access-key")]
use alloc::format;
#[cfg(feature = "access-key")]
use alloc::string::String;

use crate::calendar;
use crate::time::UnixTime;

/// The moment in a text such as `Wed, 13 Apr 2022 18:09:12 GMT`. A leap second is the next second. The weekday is not looked
/// at.
#[expect(clippy::arithmetic_side_effects, reason = "ten thousand years of seconds are far from any limit")]
pub(crate) fn read(text: &[u8]) -> Option<UnixTime> {
    let text = core::str::from_utf8(text.trim_ascii()).ok()?;
    let (_, date) = text.split_once(", ")?;
    let mut parts = date.split(' ');
    let day = digits(parts.next()?, 2)?;
    let name = parts.next()?;
    let month = (1..).zip(MONTHS).find(|(_, month)| *month == name)?.0;
    let year = digits(parts.next()?, 4)?;
    let mut time = parts.next()?.split(':').map(|field| digits(field, 2));
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if time.next().is_some() || parts.next() != Some("GMT") || parts.next().is_some() {
        return None;
    }
    let days = calendar::days(year, month, day)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(UnixTime::from_secs(days * 86_400 + hour * 3_600 + minute * 60 + second))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Rounded down to the second. `None` outside the years 0 to 9999, which the form cannot hold.
#[cfg(feature = "access-key")]
#[expect(clippy::arithmetic_side_effects, reason = "ten thousand years of seconds are far from any limit")]
pub(crate) fn write(time: UnixTime) -> Option<String> {
    let seconds = time.as_millis().div_euclid(1_000);
    if !(YEAR_0..YEAR_10000).contains(&seconds) {
        return None;
    }
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let (year, month, day) = calendar::civil(days);
    // The epoch was a Thursday.
    let weekday = WEEKDAYS.get(usize::try_from((days + 4).rem_euclid(7)).ok()?)?;
    let month = MONTHS.get(usize::try_from(month - 1).ok()?)?;
    Some(format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"))
}

#[cfg(feature = "access-key")]
const YEAR_0: i64 = -62_167_219_200;
#[cfg(feature = "access-key")]
const YEAR_10000: i64 = 253_402_300_800;
#[cfg(feature = "access-key")]
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
