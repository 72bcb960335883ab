//! The device that the credential runs on: its wall clock may be wrong from the start. The clock of the system stays as it is.

use std::time::Duration;

use acs_common_driver::{Clock, CoarseClock, Now, UnixTime};

#[derive(Clone, Default)]
pub struct Device<R> {
    runtime: R,
    /// By how many seconds its wall clock is ahead.
    ahead: i64,
}

impl<R> Device<R> {
    pub fn new(runtime: R, ahead: i64) -> Self {
        Self { runtime, ahead }
    }
}

impl<R: Clock> Clock for Device<R> {
    type Sleep = R::Sleep;

    fn now(&self) -> Now {
        let now = self.runtime.now();
        let ahead = self.ahead.saturating_mul(1_000);
        Now::new(now.monotonic, UnixTime::from_millis(now.unix.as_millis().saturating_add(ahead)))
    }

    fn sleep(&self, duration: Duration) -> R::Sleep {
        self.runtime.sleep(duration)
    }

    // The coarse clock of the system does not know of the wrong clock.
    fn coarse_clock(&self) -> Option<impl CoarseClock> {
        self.runtime.coarse_clock().filter(|_| self.ahead == 0)
    }

    fn seed(&self) -> u64 {
        self.runtime.seed()
    }
}
