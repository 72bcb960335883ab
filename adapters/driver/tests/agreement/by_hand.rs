//! Clocks that the test sets, with a coarse clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use acs_common_driver::{Clock, CoarseClock, Monotonic, Now, UnixTime};

/// The length of a tick, in milliseconds.
pub(crate) const TICK: u64 = 10;

#[derive(Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) monotonic: u64,
    pub(crate) ahead: i64,
    /// How often the wall clock was set. That counts as a tick.
    pub(crate) set: u64,
    /// How often the exact clocks and the coarse clock were read.
    exact: u32,
    coarse: u32,
}

#[derive(Clone, Default)]
pub(crate) struct ByHand(Arc<Mutex<Times>>);

impl ByHand {
    fn times(&self) -> Times {
        *self.0.lock().unwrap()
    }

    pub(crate) fn set(&self, set: impl FnOnce(&mut Times)) {
        set(&mut self.0.lock().unwrap());
    }

    pub(crate) fn reads(&self) -> (u32, u32) {
        let Times { exact, coarse, .. } = self.times();
        (exact, coarse)
    }
}

fn at(monotonic: u64, ahead: i64) -> Now {
    let unix = UnixTime::from_millis(1_700_000_000_000 + i64::try_from(monotonic).unwrap() + ahead);
    Now::new(Monotonic::from_millis(monotonic), unix)
}

impl Clock for ByHand {
    type Sleep = std::future::Ready<()>;

    fn now(&self) -> Now {
        self.set(|times| times.exact += 1);
        let times = self.times();
        at(times.monotonic, times.ahead)
    }

    /// Ready at once, so that the driver looks at the clocks at each poll.
    fn sleep(&self, _: Duration) -> Self::Sleep {
        std::future::ready(())
    }

    fn coarse_clock(&self) -> Option<impl CoarseClock> {
        Some(self)
    }
}

impl CoarseClock for &ByHand {
    fn now_at_latest(&self) -> Now {
        self.set(|times| times.coarse += 1);
        let times = self.times();
        at((times.monotonic / TICK + 1) * TICK, times.ahead)
    }

    fn tick(&self) -> u64 {
        let times = self.times();
        times.monotonic / TICK + (times.set << 40)
    }
}
