//! The computer that the credential runs on. Its wall clock can be set, and it can sleep. The browser's clocks stay as they are.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use acs_common_web::{Clock, Monotonic, Now, Sleep, UnixTime, Web};

/// A computer's clocks, and the true time, which only the issuer and the picture know.
#[derive(Clone, Debug, Default)]
pub struct Device(Rc<Clocks>);

#[derive(Debug, Default)]
struct Clocks {
    web: Web,
    slept: Cell<Duration>,
    /// By how many milliseconds the wall clock is ahead.
    ahead: Cell<i64>,
}

impl Device {
    /// The true time since the start, in milliseconds.
    pub fn passed(&self) -> u64 {
        let awake = Duration::from_millis(self.0.web.now().monotonic.as_millis());
        u64::try_from((awake + self.0.slept.get()).as_millis()).unwrap_or(u64::MAX)
    }

    /// The true time.
    pub fn unix(&self) -> UnixTime {
        self.unix_ahead(0)
    }

    fn unix_ahead(&self, by: i64) -> UnixTime {
        let slept = i64::try_from(self.0.slept.get().as_millis()).unwrap_or(i64::MAX);
        UnixTime::from_millis(self.0.web.now().unix.as_millis().saturating_add(slept).saturating_add(by))
    }

    /// Sleeps for so long, and wakes up at once. The wall clock has gone on, the monotonic clock has not, as on Linux and macOS.
    pub fn sleep_through(&self, duration: Duration) {
        self.0.slept.set(self.0.slept.get() + duration);
    }

    /// By how many milliseconds the wall clock is ahead.
    pub fn ahead(&self) -> i64 {
        self.0.ahead.get()
    }

    pub fn set_ahead(&self, millis: i64) {
        self.0.ahead.set(millis);
    }

    /// A pause of the program, by the browser's timer.
    pub async fn pause(&self, duration: Duration) {
        self.0.web.sleep(duration).await;
    }
}

impl Clock for Device {
    type Sleep = Sleep;

    fn now(&self) -> Now {
        let monotonic = Monotonic::from_millis(self.0.web.now().monotonic.as_millis());
        Now::new(monotonic, self.unix_ahead(self.ahead()))
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.web.sleep(duration)
    }

    fn seed(&self) -> u64 {
        self.0.web.seed()
    }
}
