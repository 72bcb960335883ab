//! Dates as HTTP writes them.

use alloc::format;
use alloc::string::String;

use crate::time::UnixTime;

/// The form of [RFC 9110, section 5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7), a fraction of a second
/// cut; `None` outside of the years 0 to 9999, which it cannot write.
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
    let month = MONTHS.get(usize::try_from(month).ok()?)?;
    Some(format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"))
}

const YEAR_0: i64 = -62_167_219_200;
const YEAR_10000: i64 = 253_402_300_800;
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Year, month (from 0) and day, in eras of 400 years whose years begin in March, so that a leap day comes last
/// ([Hinnant, `civil_from_days`](https://howardhinnant.github.io/date_algorithms.html#civil_from_days)).
#[expect(clippy::arithmetic_side_effects, reason = "the caller has looked at the range")]
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + i64::from(month >= 10);
    (year, (month + 2) % 12, day)
}
