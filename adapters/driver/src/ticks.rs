//! The system's clocks as they were at its last tick: a fraction of what reading them exactly costs.

use acs_common::Now;

/// The system's clocks at its last tick, for a clock's [`now_or_later`](crate::Clock::now_or_later) and
/// [`tick`](crate::Clock::tick). On Linux only (`CLOCK_MONOTONIC_COARSE` and `CLOCK_REALTIME_COARSE`).
///
/// A tick comes late where the system is short of processors, or has none for a while because it is a virtual machine. So
/// what is read here is put a second later than it says, and no tick is later than that. A token is served to its last
/// millisecond all the same, since in that second the clocks are read exactly.
///
/// ```
/// use acs_common_driver::{Ticks, wall_clock};
///
/// if let Some(ticks) = Ticks::start() {
///     let now = wall_clock::now();
///     assert!(ticks.now_or_later().unix > now);
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    /// What the monotonic clock said at the start, in nanoseconds.
    #[cfg(target_os = "linux")]
    origin: u64,
    #[cfg(not(target_os = "linux"))]
    never: std::convert::Infallible,
}

#[cfg(target_os = "linux")]
impl Ticks {
    /// A monotonic clock that starts now, as does an [`Instant`](std::time::Instant) that is read now. `None`: the system has
    /// nothing faster than its exact clocks.
    ///
    /// To be called before that instant is read: if the process is stopped in between, its ticks are then ahead, so that the
    /// exact clocks are read more often. The other way round they would be behind for ever, and serve tokens that are dead.
    #[must_use]
    pub fn start() -> Option<Self> {
        Some(Self { origin: linux::monotonic() })
    }

    /// What both clocks say, or a second more.
    #[must_use]
    #[inline]
    pub fn now_or_later(self) -> Now {
        linux::now_or_later(self.origin)
    }

    /// The same number until the next tick, or until the wall clock is set.
    #[must_use]
    #[inline]
    pub fn tick(self) -> u64 {
        // Setting the wall clock counts as a tick of both, so this one tells of it too.
        linux::monotonic()
    }
}

#[cfg(not(target_os = "linux"))]
impl Ticks {
    /// `None`: the system has nothing faster than its exact clocks.
    #[must_use]
    pub fn start() -> Option<Self> {
        None
    }

    /// What both clocks say, or a second more.
    #[must_use]
    pub fn now_or_later(self) -> Now {
        match self.never {}
    }

    /// The same number until the next tick, or until the wall clock is set.
    #[must_use]
    pub fn tick(self) -> u64 {
        match self.never {}
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use acs_common::{Monotonic, Now, UnixTime};
    use rustix::time::{ClockId, clock_gettime};

    /// By how many milliseconds a tick is late at most.
    const LATE: u64 = 1_000;

    #[allow(clippy::useless_conversion, reason = "a C long is not always an i64")]
    #[inline]
    pub(super) fn monotonic() -> u64 {
        let ticked = clock_gettime(ClockId::MonotonicCoarse);
        ticked
            .tv_sec
            .cast_unsigned()
            .wrapping_mul(1_000_000_000)
            .wrapping_add(i64::from(ticked.tv_nsec).cast_unsigned())
    }

    #[allow(clippy::useless_conversion, reason = "a C long is not always an i64")]
    pub(super) fn now_or_later(origin: u64) -> Now {
        let elapsed = monotonic().saturating_sub(origin) / 1_000_000;
        let wall = clock_gettime(ClockId::RealtimeCoarse);
        let unix = UnixTime::from_secs(wall.tv_sec).as_millis().saturating_add(i64::from(wall.tv_nsec) / 1_000_000);
        Now::new(
            Monotonic::from_millis(elapsed.saturating_add(LATE)),
            UnixTime::from_millis(unix.saturating_add(LATE.cast_signed())),
        )
    }
}
