//! Coarse clocks: reading them costs a fraction of reading exact clocks.

use acs_common::Now;

/// A clock that is read faster, but less exactly, than its [`Clock`](crate::Clock). It comes from
/// [`Clock::coarse_clock`](crate::Clock::coarse_clock). It moves in steps of some milliseconds, the ticks. Use
/// [`SystemCoarseClock`] where the system has it.
///
/// ```
/// use acs_common_driver::{Clock, CoarseClock};
///
/// /// Whether the coarse clock has not moved since this tick.
/// fn stands_still(clock: &impl Clock, tick: u64) -> bool {
///     clock.coarse_clock().is_some_and(|coarse| coarse.tick() == tick)
/// }
/// # stands_still(&acs_common_smol::Smol::default(), 0);
/// ```
pub trait CoarseClock {
    /// An upper bound of both clocks. It must not be behind the exact clocks, with one exception: after the wall clock was
    /// set, or the machine slept, it may be a few milliseconds late. A token that is valid at this time is returned without
    /// reading the exact clocks.
    fn now_at_latest(&self) -> Now;

    /// A number that changes at the next tick, and when the wall clock is set. Until then
    /// [`now_at_latest`](Self::now_at_latest) stays the same too.
    fn tick(&self) -> u64;
}

/// The system's coarse clocks: `CLOCK_MONOTONIC_COARSE` and `CLOCK_REALTIME_COARSE`. Only on Linux; on other systems
/// [`start`](Self::start) returns `None`, and requests read the exact clocks.
///
/// On a busy system a tick can be late, but not by more than a second. So this clock adds one second to what it reads. A
/// token is still returned until its last millisecond, because the exact clocks are read in its last second.
///
/// ```
/// use acs_common_driver::{CoarseClock, SystemCoarseClock, wall_clock};
///
/// if let Some(coarse) = SystemCoarseClock::start() {
///     let now = wall_clock::now();
///     assert!(coarse.now_at_latest().unix > now);
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SystemCoarseClock {
    /// The monotonic clock at the start, in nanoseconds.
    #[cfg(target_os = "linux")]
    origin: u64,
    #[cfg(not(target_os = "linux"))]
    never: std::convert::Infallible,
}

#[cfg(target_os = "linux")]
impl SystemCoarseClock {
    /// Starts the monotonic clock now. It has the same origin as an [`Instant`](std::time::Instant) that you read now.
    /// `None`: the system has no coarse clock.
    ///
    /// Call this before you read the instant. If the process is stopped between the two, the coarse clock is ahead, and the
    /// exact clocks are read more often. In the other order the coarse clock would be behind, and expired tokens would be
    /// returned.
    #[must_use]
    pub fn start() -> Option<Self> {
        Some(Self { origin: linux::monotonic() })
    }
}

#[cfg(target_os = "linux")]
impl CoarseClock for SystemCoarseClock {
    #[inline]
    fn now_at_latest(&self) -> Now {
        linux::now_at_latest(self.origin)
    }

    #[inline]
    fn tick(&self) -> u64 {
        // When the wall clock is set, both clocks tick. So this clock is enough.
        linux::monotonic()
    }
}

#[cfg(not(target_os = "linux"))]
impl SystemCoarseClock {
    /// `None`: the system has no coarse clock.
    #[must_use]
    pub fn start() -> Option<Self> {
        None
    }
}

#[cfg(not(target_os = "linux"))]
impl CoarseClock for SystemCoarseClock {
    fn now_at_latest(&self) -> Now {
        match self.never {}
    }

    fn tick(&self) -> u64 {
        match self.never {}
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use acs_common::{Monotonic, Now, UnixTime};
    use rustix::time::{ClockId, clock_gettime};

    /// The longest delay of a tick, in milliseconds.
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
    pub(super) fn now_at_latest(origin: u64) -> Now {
        let elapsed = monotonic().saturating_sub(origin) / 1_000_000;
        let wall = clock_gettime(ClockId::RealtimeCoarse);
        let unix = UnixTime::from_secs(wall.tv_sec).as_millis().saturating_add(i64::from(wall.tv_nsec) / 1_000_000);
        Now::new(
            Monotonic::from_millis(elapsed.saturating_add(LATE)),
            UnixTime::from_millis(unix.saturating_add(LATE.cast_signed())),
        )
    }
}
