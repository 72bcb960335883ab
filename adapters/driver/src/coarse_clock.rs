//! Coarse clocks: a fraction of what reading exact ones costs.

use acs_common::Now;

/// A clock that is read faster, but less exactly, than the [`Clock`](crate::Clock) that [offers](crate::Clock::coarse_clock)
/// it. Coarse: it moves in steps of some milliseconds, the ticks. [`SystemCoarseClock`] is the one to use, where there is one.
///
/// ```
/// use acs_common_driver::{Clock, CoarseClock};
///
/// /// Whether nothing has moved, as far as that can be told without reading the exact clocks.
/// fn stands_still(clock: &impl Clock, tick: u64) -> bool {
///     clock.coarse_clock().is_some_and(|coarse| coarse.tick() == tick)
/// }
/// # stands_still(&acs_common_smol::Smol::default(), 0);
/// ```
pub trait CoarseClock {
    /// What both clocks say at the latest. It must not be behind the exact clocks, but that the wall clock was set, or that
    /// the machine slept, may show a few milliseconds late. A token that has not expired by this is served without a look at
    /// the exact clocks.
    fn now_at_latest(&self) -> Now;

    /// A number that stays the same until the next tick, or until the wall clock is set. As long as it does,
    /// [`now_at_latest`](Self::now_at_latest) does too.
    fn tick(&self) -> u64;
}

/// The system's coarse clocks: `CLOCK_MONOTONIC_COARSE` and `CLOCK_REALTIME_COARSE`. On Linux only.
///
/// A tick comes late where the system is short of processors. So a second is added to what is read here, and no tick is later
/// than that. A token is served until its last millisecond all the same, since in that second the exact clocks are read.
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
    /// What the monotonic clock said at the start, in nanoseconds.
    #[cfg(target_os = "linux")]
    origin: u64,
    #[cfg(not(target_os = "linux"))]
    never: std::convert::Infallible,
}

#[cfg(target_os = "linux")]
impl SystemCoarseClock {
    /// A monotonic clock that starts now, as does an [`Instant`](std::time::Instant) that is read now. `None`: the system has
    /// no coarse clock.
    ///
    /// Call it before you read that instant. If the process is stopped in between, the coarse clock is then ahead, and the
    /// exact clocks are read more often. The other way around it would stay behind, and serve tokens that have expired.
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
        // Setting the wall clock counts as a tick of both, so this one tells of it too.
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
