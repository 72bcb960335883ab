//! The system's wall clock, for adapters.

use std::time::SystemTime;

use acs_common::UnixTime;

/// The time of the system's wall clock.
///
/// ```
/// use acs_common_driver::wall_clock;
///
/// assert!(wall_clock::now().as_millis() > 1_700_000_000_000, "it is later than 2023");
/// ```
#[must_use]
pub fn now() -> UnixTime {
    SystemTime::now().into()
}
