//! Reads moments and delays as HTTP and JSON write them.

use chrono::{DateTime, NaiveDate};

use super::message::HttpResponse;
use crate::time::UnixTime;

/// A moment in the form of [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339#section-5.6), cut to the millisecond. A leap
/// second counts as the next second.
pub(crate) fn rfc3339(text: &str) -> Option<UnixTime> {
    // The parser also accepts more than nine digits of a second and the minus sign U+2212. RFC 3339 does not.
    let fraction = text.split('.').nth(1).unwrap_or_default();
    if !text.is_ascii() || fraction.bytes().take_while(u8::is_ascii_digit).count() > 9 {
        return None;
    }
    DateTime::parse_from_rfc3339(text).ok().map(|moment| UnixTime::from_millis(moment.timestamp_millis()))
}

/// How many milliseconds the service asks to wait.
pub(crate) fn retry_after(response: &HttpResponse, now: UnixTime) -> Option<u64> {
    let millis = |name| response.header(name).and_then(rounded_up);
    millis("retry-after-ms").or_else(|| millis("x-ms-retry-after-ms")).or_else(|| {
        let value = response.header("retry-after")?;
        let seconds = rounded_up(value).map(|seconds| seconds.saturating_mul(1_000));
        seconds.or_else(|| {
            // The service's clock made this moment, so its clock measures it: the clock of this device may be wrong.
            let now = response.header("date").and_then(date).unwrap_or(now);
            date(value).map(|moment| moment.millis_since(now))
        })
    })
}

/// The server's time (contract, section 7): the header `Date`, but not that of a cache.
pub(crate) fn server_time(response: &HttpResponse) -> Option<UnixTime> {
    let is_fresh = response.header("age").is_none_or(|age| age.trim_ascii() == "0");
    response.header("date").filter(|_| is_fresh).and_then(date)
}

/// A number without a sign, decimals rounded up.
fn rounded_up(text: &str) -> Option<u64> {
    let text = text.trim_ascii();
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = text.bytes().any(|byte| byte.is_ascii_digit())
        && [whole, decimals].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let more = u64::from(decimals.bytes().any(|digit| digit != b'0'));
    // Digits fail to parse only if the number is too large.
    let whole = if whole.is_empty() { Some(0) } else { whole.parse().ok() };
    is_number.then(|| whole.unwrap_or(u64::MAX).saturating_add(more))
}

/// A moment in any form that HTTP, mail, cookies and JavaScript use. Without a zone it is UTC.
fn date(text: &str) -> Option<UnixTime> {
    let text = text.trim_ascii();
    let parts = iso_8601(text).or_else(|| named_month(text))?;
    let [hour, minute, second] = parts.time;
    let day = NaiveDate::from_ymd_opt(parts.year, parts.month, parts.day)?;
    // A leap second is the next second.
    let start = day.and_hms_opt(hour, minute, second.min(59))?.and_utc().timestamp_millis();
    let leap = match second {
        0..=59 => 0,
        60 => 1_000,
        _ => return None,
    };
    let minutes_east = i64::from(parts.minutes_east);
    let millis = start.checked_add(leap)?.checked_add(i64::from(parts.millis))?;
    Some(UnixTime::from_millis(millis.checked_sub(minutes_east.checked_mul(60_000)?)?))
}

struct Parts {
    year: i32,
    month: u32,
    day: u32,
    time: [u32; 3],
    millis: u32,
    minutes_east: i32,
}

/// `2026-09-21`, `2026-09-21T14:13`, with seconds, with a fraction, with an offset.
fn iso_8601(text: &str) -> Option<Parts> {
    let (day, rest) = text.split_at_checked(10)?;
    let mut fields = day.split('-');
    let (year, month) = (digits(fields.next()?, 4..=4)?, digits(fields.next()?, 2..=2)?);
    let day = digits(fields.next()?, 2..=2)?;
    let (time, zone) = if rest.is_empty() {
        ("00:00", "")
    } else {
        let time = rest.strip_prefix(['T', 't', ' '])?;
        time.split_at(time.find(|c: char| c.is_ascii_alphabetic() || "+-".contains(c)).unwrap_or(time.len()))
    };
    let (time, fraction) = time.trim_ascii_end().split_once('.').unwrap_or((time.trim_ascii_end(), "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis =
        fraction.bytes().chain(*b"00").take(3).fold(0, |millis: u32, digit| {
            millis.saturating_mul(10).saturating_add(u32::from(digit.saturating_sub(b'0')))
        });
    let minutes_east = if zone.is_empty() { 0 } else { zone_of(zone)? };
    Some(Parts { year: i32::try_from(year).ok()?, month, day, time: time_of(time, 2)?, millis, minutes_east })
}

/// All forms of [RFC 9110, section 5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7), and similar ones: the day
/// comes before the year, and the month is a name. The name of the day (which is not checked), the zone and the zone's name in
/// brackets are optional.
fn named_month(text: &str) -> Option<Parts> {
    let text = match text.split_once('(') {
        Some((before, comment)) => comment.ends_with(')').then_some(before)?,
        None => text,
    };
    let mut words = text.split([',', ' ', '\t']).filter(|word| !word.is_empty()).peekable();
    words.next_if(|word| DAYS.iter().any(|day| begins(word, day)));
    let (mut day, mut month, mut year, mut time, mut minutes_east) = (None, None, None, None, None);
    for word in words {
        if word.contains(':') && time.is_none() {
            time = Some(time_of(word, 1)?);
        } else if time.is_some() && minutes_east.is_none() && !word.starts_with(|c: char| c.is_ascii_digit()) {
            minutes_east = Some(zone_of(word)?);
        } else {
            // `21-Sep-2026` is three words.
            for word in word.split('-') {
                if day.is_none() && digits(word, 1..=2).is_some() {
                    day = digits(word, 1..=2);
                } else if month.is_none() && month_of(word).is_some() {
                    month = month_of(word);
                } else if year.is_none() {
                    year = Some(year_of(word)?);
                } else {
                    return None;
                }
            }
        }
    }
    Some(Parts {
        year: year?,
        month: month?,
        day: day?,
        time: time?,
        millis: 0,
        minutes_east: minutes_east.unwrap_or_default(),
    })
}

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Whether the word is the name, or at least its first three letters.
fn begins(word: &str, name: &str) -> bool {
    word.len() >= 3 && name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn month_of(word: &str) -> Option<u32> {
    (1..).zip(MONTHS).find(|(_, name)| begins(word, name)).map(|(month, _)| month)
}

/// Two digits mean a year from 1950 to 2049, as in JavaScript.
fn year_of(word: &str) -> Option<i32> {
    let year = match digits(word, 2..=2) {
        Some(year @ 0..50) => year.saturating_add(2_000),
        Some(year) => year.saturating_add(1_900),
        None => digits(word, 4..=4)?,
    };
    i32::try_from(year).ok()
}

/// Hours of at least this many digits, minutes, and optional seconds.
fn time_of(text: &str, hours: usize) -> Option<[u32; 3]> {
    let mut fields = text.split(':');
    let (hour, minute) = (digits(fields.next()?, hours..=2)?, digits(fields.next()?, 2..=2)?);
    let second = fields.next().map_or(Some(0), |second| digits(second, 2..=2))?;
    fields.next().is_none().then_some([hour, minute, second])
}

/// Minutes east of UTC: `Z`, `GMT`, `UTC+0100`, `-07:00`, or one of the zones of North America that mail has names for.
fn zone_of(word: &str) -> Option<i32> {
    let (name, offset) = word.split_at(word.find(['+', '-']).unwrap_or(word.len()));
    let named = |names: [&str; 4]| names.iter().any(|other| name.eq_ignore_ascii_case(other));
    let american = ["EDT", "EST", "CST", "MST", "PST"].iter().zip([-4, -5, -6, -7, -8]);
    let summer = ["CDT", "MDT", "PDT"].iter().zip([-5, -6, -7]);
    if offset.is_empty() {
        let hours = american.chain(summer).find(|(other, _)| name.eq_ignore_ascii_case(other)).map(|(_, hours)| hours);
        return if named(["GMT", "UTC", "UT", "Z"]) {
            Some(0)
        } else {
            hours.map(|hours: i32| hours.saturating_mul(60))
        };
    }
    if !named(["GMT", "UTC", "UT", ""]) {
        return None;
    }
    let (sign, offset) = offset.split_at(1);
    let (hours, minutes) = match offset.split_once(':') {
        Some(parts) => parts,
        None => offset.split_at_checked(2)?,
    };
    let minutes = if minutes.is_empty() { 0 } else { digits(minutes, 2..=2)? };
    let east = digits(hours, 2..=2)?.checked_mul(60)?.checked_add(minutes)?;
    let east = i32::try_from(east).ok().filter(|east| *east < 24 * 60 && minutes < 60)?;
    Some(if sign == "-" { east.saturating_neg() } else { east })
}

/// A number of this many digits.
fn digits(text: &str, count: core::ops::RangeInclusive<usize>) -> Option<u32> {
    let is_number = count.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}
