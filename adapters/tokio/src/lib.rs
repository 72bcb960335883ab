#![doc = include_str!("../README.md")]

#[cfg(feature = "reqwest")]
mod http;

pub use acs_common_driver::*;
#[cfg(feature = "reqwest")]
pub use http::{ReqwestClient, TlsError};

use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::{Instant, Sleep};

/// A credential on tokio. See [the type it names](acs_common_driver::CommunicationTokenCredential).
///
/// ```
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJ…")?;
/// assert!(credential.try_token()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type CommunicationTokenCredential = acs_common_driver::CommunicationTokenCredential<Tokio>;

/// tokio's clock and timer, and the system's wall clock; runs drivers on the runtime it is used in.
///
/// Made within a single-threaded runtime, whose time can be [paused] in tests, it has no
/// [coarse clock](Clock::coarse_clock) and reads the exact clocks whenever a token is asked for.
///
/// [paused]: https://docs.rs/tokio/latest/tokio/time/fn.pause.html
///
/// ```
/// use acs_common_tokio::{Clock, Tokio};
///
/// let clock = Tokio::default();
/// let earlier = clock.now();
/// assert!(clock.now().monotonic >= earlier.monotonic);
/// ```
#[derive(Clone, Debug)]
pub struct Tokio {
    origin: Instant,
    /// `None` where tokio's time may be another than the system's.
    coarse_clock: Option<SystemCoarseClock>,
}

impl Default for Tokio {
    fn default() -> Self {
        let pausable = |runtime: Handle| runtime.runtime_flavor() == RuntimeFlavor::CurrentThread;
        let coarse_clock = if Handle::try_current().is_ok_and(pausable) { None } else { SystemCoarseClock::start() };
        Self { origin: Instant::now(), coarse_clock }
    }
}

impl Clock for Tokio {
    type Sleep = Sleep;

    fn now(&self) -> Now {
        Now::new(Monotonic::from_elapsed(self.origin.elapsed()), wall_clock::now())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        tokio::time::sleep(duration)
    }

    fn coarse_clock(&self) -> Option<impl CoarseClock> {
        self.coarse_clock
    }
}

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Tokio {
    /// On the runtime it is called in.
    ///
    /// That runtime needs a timer: build it with `enable_time` or `enable_all`. Without one the driver panics at its first
    /// sleep, with tokio's own message, and the credential fails with [`DriverStopped`](Error::DriverStopped) from then on.
    fn spawn(&self, driver: F) -> Result<(), SpawnError> {
        let runtime = Handle::try_current().map_err(|_| {
            SpawnError::new("call `spawn` within a tokio runtime (in an async fn, or after `Handle::enter`)")
        })?;
        runtime.spawn(driver);
        Ok(())
    }
}
