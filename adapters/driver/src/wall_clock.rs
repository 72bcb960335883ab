//! The system's wall clock, for adapters.

use std::time::SystemTime;

use acs_common::UnixTime;

/// What the system's wall clock says.
///
/// ```
/// use acs_common_driver::wall_clock;
///
/// let now = wall_clock::now();
/// assert!(wall_clock::now_or_later() >= now);
/// ```
#[must_use]
pub fn now() -> UnixTime {
    SystemTime::now().into()
}

/// What the system's wall clock says, or a few milliseconds more, but faster: see
/// [`Clock::now_or_later`](crate::Clock::now_or_later).
///
/// On Linux this is the time at the last tick (`CLOCK_REALTIME_COARSE`) plus the longest tick there is. That a clock which
/// only ticks might be late on a machine that is short of processors does no harm: the monotonic clock, read exactly, says
/// when a token's life is over, and the wall clock has only to tell that it was set, or that the machine slept.
///
/// ```
/// use acs_common_driver::wall_clock;
///
/// let ahead = wall_clock::now_or_later().as_millis() - wall_clock::now().as_millis();
/// assert!(ahead < 1_000);
/// ```
#[must_use]
pub fn now_or_later() -> UnixTime {
    #[cfg(target_os = "linux")]
    #[allow(clippy::useless_conversion, reason = "a C long is not always an i64")]
    {
        use rustix::time::{ClockId, clock_gettime};

        let ticked = clock_gettime(ClockId::RealtimeCoarse);
        UnixTime::from_millis(
            UnixTime::from_secs(ticked.tv_sec).as_millis().saturating_add(i64::from(ticked.tv_nsec) / 1_000_000 + TICK),
        )
    }
    #[cfg(not(target_os = "linux"))]
    now()
}

/// The longest tick, in milliseconds (`CONFIG_HZ=100`), and one for the fraction cut.
#[cfg(target_os = "linux")]
const TICK: i64 = 11;
