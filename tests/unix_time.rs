//! A moment as text, as seconds and as JSON, and the number of a request for a foreign function interface.

use acs_common::{RequestId, UnixTime};
use proptest::prelude::*;

/// 0000-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z
const YEARS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

proptest! {
    /// Fails when a leap year is missed, a month starts at 0, or a fraction is cut the wrong way before 1970.
    #[test]
    fn a_moment_reads_as_another_calendar_writes_it(millis in YEARS) {
        let moment = chrono::DateTime::from_timestamp_millis(millis).unwrap();
        let written = if millis.rem_euclid(1_000) == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%.3fZ" };
        prop_assert_eq!(UnixTime::from_millis(millis).to_string(), moment.format(written).to_string());
        prop_assert_eq!(UnixTime::from_millis(millis).as_secs(), moment.timestamp());
    }

    /// Fails when an id loses a bit in a conversion, or 0 becomes an id.
    #[test]
    fn a_request_is_named_by_a_number_and_back(id in any::<u64>()) {
        prop_assert_eq!(RequestId::from_u64(id).map(RequestId::as_u64), Some(id).filter(|id| *id > 0));
    }
}

/// Fails when the first or last possible time panics, or a long year has no sign.
#[test]
fn moments_outside_of_four_digit_years_have_a_sign() {
    let shown = |millis| UnixTime::from_millis(millis).to_string();
    assert_eq!(shown(i64::MAX), "+292278994-08-17T07:12:55.807Z");
    assert_eq!(shown(i64::MIN), "-292275055-05-16T16:47:04.192Z");
    assert_eq!(shown(*YEARS.end() + 1), "+10000-01-01T00:00:00Z");
    assert_eq!(shown(*YEARS.start() - 1), "-0001-12-31T23:59:59.999Z");
    assert_eq!(shown(0), "1970-01-01T00:00:00Z");
}

/// Fails when the JSON is in seconds, or is a string.
#[test]
fn a_moment_is_milliseconds_in_json() {
    let moment = UnixTime::from_millis(1_700_000_000_123);
    assert_eq!(serde_json::to_string(&moment).unwrap(), "1700000000123");
    assert_eq!(serde_json::from_str::<UnixTime>("1700000000123").unwrap(), moment);
    assert!(serde_json::from_str::<UnixTime>("\"2023-11-14T22:13:20Z\"").is_err());
}
