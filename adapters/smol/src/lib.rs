#![doc = include_str!("../README.md")]

#[cfg(feature = "hyper")]
mod http;

#[cfg(feature = "http")]
pub use acs_common_driver::BearerError;
#[cfg(feature = "azure")]
pub use acs_common_driver::azure;
#[cfg(feature = "entra")]
pub use acs_common_driver::entra;
pub use acs_common_driver::{
    BuildError, Builder, CheckSource, Clock, Driver, Error, FailureCause, FailureKind, IntoRefresher, Monotonic,
    NewToken, Notice, Now, Policy, PolicyBuilder, PolicyError, Reason, Refresher, RefresherError, RefresherPanicked,
    Secret, Spawn, SpawnError, Token, TokenError, Trigger, UndecodableTokens, UnixTime,
};
#[cfg(feature = "hyper")]
pub use http::{HyperClient, TlsError};

use std::time::{Duration, Instant};

use acs_common_driver::{CoarseClock, SystemCoarseClock, wall_clock};
use async_io::Timer;

/// A credential on smol. For its methods see [the generic type](acs_common_driver::CommunicationTokenCredential).
///
/// ```
/// use acs_common_smol::CommunicationTokenCredential;
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJ…")?;
/// assert!(credential.try_token()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type CommunicationTokenCredential = acs_common_driver::CommunicationTokenCredential<Smol>;

/// A reader of a credential on smol. For its methods see [the generic type](acs_common_driver::Reader).
///
/// ```
/// use acs_common_smol::{CommunicationTokenCredential, Reader};
///
/// struct Connection {
///     tokens: Reader,
/// }
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJ…")?;
/// let mut connection = Connection { tokens: credential.reader() };
/// assert!(connection.tokens.token()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Reader = acs_common_driver::Reader<Smol>;

/// The notices of a credential on smol. For its methods see [the generic type](acs_common_driver::Notices).
///
/// ```
/// use acs_common_smol::{CommunicationTokenCredential, Notices};
///
/// async fn log(mut notices: Notices) {
///     while let Some(notice) = notices.next().await {
///         println!("{notice:?}");
///     }
/// }
/// # let credential = CommunicationTokenCredential::with_static_token("eyJ…")?;
/// # drop(log(credential.notices()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Notices = acs_common_driver::Notices<Smol>;

/// A request for a token on smol. See [the generic type](acs_common_driver::GetToken).
///
/// ```
/// use acs_common_smol::{CommunicationTokenCredential, GetToken};
///
/// struct Waiting<'a> {
///     token: GetToken<'a>,
/// }
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJ…")?;
/// let waiting = Waiting { token: credential.get_token() };
/// # drop(waiting.token);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type GetToken<'a> = acs_common_driver::GetToken<'a, Smol>;

/// The clock of smol: async-io's timer and the system's clocks. It runs drivers on smol's global executor.
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
        // First: if the process is stopped between the two, the coarse clock is ahead, not behind.
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
