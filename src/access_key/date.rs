//! Dates in the form of HTTP.

use alloc::format;
use alloc::string::String;

use crate::calendar::civil;
use crate::time::UnixTime;

/// The form of [RFC 9110, section 5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7), rounded down to the second.
/// `None` outside the years 0 to 9999, which the form cannot hold.
#[expect(clippy::arithmetic_side_effects, reason = "ten thousand years of seconds are far from any limit")]
pub(super) fn imf_fixdate(time: UnixTime) -> Option<String> {
    let seconds = time.as_millis().div_euclid(1_000);
    if !(YEAR_0..YEAR_10000).contains(&seconds) {
        return None;
    }
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let (year, month, day) = civil(days);
    // The epoch was a Thursday.
    let weekday = WEEKDAYS.get(usize::try_from((days + 4).rem_euclid(7)).ok()?)?;
    let month = MONTHS.get(usize::try_from(month - 1).ok()?)?;
    Some(format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"))
}

const YEAR_0: i64 = -62_167_219_200;
const YEAR_10000: i64 = 253_402_300_800;
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
