//! Clocks that are set by hand, with ticks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use acs_common_driver::{Clock, Monotonic, Now, UnixTime};

/// How long a tick is, in milliseconds.
pub(crate) const TICK: u64 = 10;

#[derive(Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) monotonic: u64,
    pub(crate) ahead: i64,
    /// How often the wall clock was set: that counts as a tick.
    pub(crate) set: u64,
    /// How often the clocks were read exactly, and by ticks.
    exact: u32,
    by_ticks: u32,
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
        let Times { exact, by_ticks, .. } = self.times();
        (exact, by_ticks)
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

    fn now_or_later(&self) -> Now {
        self.set(|times| times.by_ticks += 1);
        let times = self.times();
        at((times.monotonic / TICK + 1) * TICK, times.ahead)
    }

    fn tick(&self) -> Option<u64> {
        let times = self.times();
        Some(times.monotonic / TICK + (times.set << 40))
    }

    /// Over at once, so that the driver looks at the clocks whenever it is polled.
    fn sleep(&self, _: Duration) -> Self::Sleep {
        std::future::ready(())
    }
}
