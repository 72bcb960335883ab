#![doc = include_str!("../README.md")]

#[cfg(feature = "hyper")]
mod http;

pub use acs_common_driver::*;
#[cfg(feature = "hyper")]
pub use http::{HyperClient, TlsError};

use std::time::{Duration, Instant};

use async_io::Timer;

/// A credential on smol. See [the type it names](acs_common_driver::CommunicationTokenCredential).
///
/// ```
/// use acs_common_smol::CommunicationTokenCredential;
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJ…")?;
/// assert!(credential.try_token()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type CommunicationTokenCredential = acs_common_driver::CommunicationTokenCredential<Smol>;

/// async-io's timer and the system's clocks; runs drivers on smol's global executor.
///
/// ```
/// use acs_common_smol::{Clock, Smol};
///
/// let clock = Smol::default();
/// let earlier = clock.now();
/// assert!(clock.now().monotonic >= earlier.monotonic);
/// ```
#[derive(Clone, Debug)]
pub struct Smol {
    origin: Instant,
    coarse_clock: Option<SystemCoarseClock>,
}

impl Default for Smol {
    fn default() -> Self {
        // First: should the process be stopped in between, it is ahead, and not behind.
        let coarse_clock = SystemCoarseClock::start();
        Self { origin: Instant::now(), coarse_clock }
    }
}

impl Clock for Smol {
    type Sleep = Timer;

    fn now(&self) -> Now {
        Now::new(Monotonic::from_elapsed(self.origin.elapsed()), wall_clock::now())
    }

    fn sleep(&self, duration: Duration) -> Timer {
        Timer::after(duration)
    }

    fn coarse_clock(&self) -> Option<impl CoarseClock> {
        self.coarse_clock
    }
}

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Smol {
    fn spawn(&self, driver: F) -> Result<(), SpawnError> {
        smol::spawn(driver).detach();
        Ok(())
    }
}
