//! Days in the Gregorian calendar.

/// Year, month and day of a day since 1970-01-01. It counts in eras of 400 years; a year begins in March, so that a leap day
/// is its last day ([Hinnant, `civil_from_days`](https://howardhinnant.github.io/date_algorithms.html#civil_from_days)).
#[expect(clippy::arithmetic_side_effects, reason = "every `UnixTime` is within 300 million years")]
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + i64::from(month >= 10);
    (year, (month + 2) % 12 + 1, day)
}

/// The days from 1970-01-01 to this day of the years 0 to 9999; `None` if there is no such day
/// ([Hinnant, `days_from_civil`](https://howardhinnant.github.io/date_algorithms.html#days_from_civil)).
#[expect(clippy::arithmetic_side_effects, reason = "ten thousand years of days are far from any limit")]
pub(crate) fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(0..=9_999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let march_year = year - i64::from(month <= 2);
    let (era, year_of_era) = (march_year.div_euclid(400), march_year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    // A day that the month does not have is one of the next month.
    (civil(days) == (year, month, day)).then_some(days)
}
