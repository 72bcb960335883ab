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
