#![doc = include_str!("../README.md")]

#[cfg(feature = "reqwest")]
mod http;

pub use acs_common_driver::*;
#[cfg(feature = "reqwest")]
pub use http::{ReqwestClient, TlsError};

use std::panic::catch_unwind;
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
/// Made within a single-threaded runtime, whose time may be [paused] in tests, it reads both clocks whenever a token is
/// asked for; elsewhere the system's [ticks](Ticks) usually do, which is faster.
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
    /// The system's time is not always tokio's.
    ticks: Option<Ticks>,
}

impl Default for Tokio {
    fn default() -> Self {
        let pausable = |runtime: Handle| runtime.runtime_flavor() == RuntimeFlavor::CurrentThread;
        let ticks = if Handle::try_current().is_ok_and(pausable) { None } else { Ticks::start() };
        Self { origin: Instant::now(), ticks }
    }
}

impl Clock for Tokio {
    type Sleep = Sleep;

    fn now(&self) -> Now {
        Now::new(Monotonic::from_elapsed(self.origin.elapsed()), wall_clock::now())
    }

    fn now_or_later(&self) -> Now {
        self.ticks.map_or_else(|| self.now(), Ticks::now_or_later)
    }

    #[inline]
    fn tick(&self) -> Option<u64> {
        self.ticks.map(Ticks::tick)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        tokio::time::sleep(duration)
    }

    /// On a worker of a multi-threaded runtime, as [`block_in_place`](tokio::task::block_in_place): what the worker was to run
    /// next, which is often the driver, no other would come for.
    #[cfg(not(target_family = "wasm"))]
    fn block<T>(&self, wait: impl FnOnce() -> T) -> T {
        // Elsewhere it panics: in a `LocalSet`, say, which runs on no worker, even if its runtime has some.
        let has_workers = |runtime: Handle| runtime.runtime_flavor() == RuntimeFlavor::MultiThread;
        if tokio::runtime::worker_index().is_some() && Handle::try_current().is_ok_and(has_workers) {
            tokio::task::block_in_place(wait)
        } else {
            wait()
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Tokio {
    /// On the runtime it is called in.
    ///
    /// A runtime without a timer is refused, but not silently: tokio tells of it only by a panic. That is caught, but the
    /// panic hook prints it, and a program built with `panic = "abort"` ends there.
    fn spawn(&self, driver: F) -> Result<(), SpawnError> {
        let runtime = Handle::try_current().map_err(|_| {
            SpawnError::new("call `spawn` within a tokio runtime (in an async fn, or after `Handle::enter`)")
        })?;
        let timer = catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO)));
        timer.map_err(|_| {
            SpawnError::new("this tokio runtime has no timer: build it with `enable_time` or `enable_all`")
        })?;
        runtime.spawn(driver);
        Ok(())
    }
}
