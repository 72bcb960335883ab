//! What the driver needs from a runtime.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use acs_common::Now;

use crate::coarse_clock::{CoarseClock, SystemCoarseClock};

/// The clocks and the timer of a runtime.
///
/// The clocks decide what is due; a sleep only wakes the driver. A sleep that ends late makes the credential late. A sleep
/// that ends early costs processor time. Neither has another effect (contract, rule 2.13).
///
/// # Suspension
///
/// A monotonic clock need not count the time that a computer is suspended, and systems differ. Both kinds are fine here: a wait
/// is over as soon as either clock says so, and the wall clock counts that time everywhere. Where [`Instant`](std::time::Instant)
/// counts it too, a refresh that was in flight has timed out on waking; elsewhere it is made again with a full timeout (contract,
/// rule 2.8). The [standard library](std::time#os-specific-behaviors) promises neither.
///
/// | system | what `Instant` reads | while suspended | source |
/// |---|---|---|---|
/// | Linux, Android | `CLOCK_MONOTONIC` | stands still | [clock_gettime(2)](https://man7.org/linux/man-pages/man2/clock_gettime.2.html) |
/// | macOS, iOS | `CLOCK_UPTIME_RAW` | stands still | [clock_gettime(3)](https://www.manpagez.com/man/3/clock_gettime/) |
/// | Windows | `QueryPerformanceCounter` | runs on | [rust-lang/rust#79462](https://github.com/rust-lang/rust/issues/79462) |
/// | browsers | none; `performance.now()` instead | depends on browser and system | [w3c/hr-time#115](https://github.com/w3c/hr-time/issues/115) |
///
/// ```
/// use acs_common_driver::{Clock, Monotonic, Now, UnixTime};
/// use std::time::{Duration, Instant, SystemTime};
///
/// /// For a separate thread: its sleep blocks.
/// struct Blocking(Instant);
///
/// impl Clock for Blocking {
///     type Sleep = std::future::Ready<()>;
///
///     fn now(&self) -> Now {
///         let monotonic = Monotonic::from_elapsed(self.0.elapsed());
///         Now::new(monotonic, UnixTime::from(SystemTime::now()))
///     }
///
///     fn sleep(&self, duration: Duration) -> Self::Sleep {
///         std::thread::sleep(duration);
///         std::future::ready(())
///     }
/// }
/// # let clock = Blocking(Instant::now());
/// # clock.sleep(Duration::from_millis(2));
/// # assert!(clock.now().monotonic.as_millis() >= 2);
/// ```
pub trait Clock {
    /// A sleep: a future that is ready at its end.
    type Sleep: Future;

    /// The time of both clocks. The driver calls it often, also while it holds a lock: so it must be quick, and must not call
    /// the credential.
    fn now(&self) -> Now;

    /// A sleep of this length. The driver asks for one minute at most.
    fn sleep(&self, duration: Duration) -> Self::Sleep;

    /// The same clocks, read faster but less exactly: on Linux [`SystemCoarseClock`]. It is read at each request for a token.
    ///
    /// `None`, the default: [`now`](Self::now) is read each time. If the time of a clock can be paused or set, it must return
    /// `None`, because the system's coarse clock does not follow. tokio's single-threaded runtime is such a clock in tests.
    fn coarse_clock(&self) -> Option<impl CoarseClock> {
        None::<SystemCoarseClock>
    }

    /// A random number, for a credential whose policy has no [seed](acs_common::PolicyBuilder::seed). It must differ from client
    /// to client and from call to call, so that clients which start together do not refresh together.
    ///
    /// Default: from the keys of [`RandomState`], which come from the system. On a target where the standard library has no
    /// randomness (WebAssembly in a browser) these are always the same: then implement this method.
    fn seed(&self) -> u64 {
        RandomState::new().hash_one(())
    }
}

/// A runtime that can run a future of type `F` in the background, to its end.
///
/// `F` is a parameter of the trait because each runtime has its own bound on it, for instance `Send + 'static`.
///
/// ```
/// use acs_common_driver::{Builder, Clock, Now, Spawn, SpawnError};
/// use acs_common_smol::Smol;
///
/// /// A thread for each credential.
/// #[derive(Clone, Default)]
/// struct Threads(Smol);
///
/// impl Clock for Threads {
///     type Sleep = <Smol as Clock>::Sleep;
///
///     fn now(&self) -> Now {
///         self.0.now()
///     }
///
///     fn sleep(&self, duration: std::time::Duration) -> Self::Sleep {
///         self.0.sleep(duration)
///     }
/// }
///
/// impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Threads {
///     fn spawn(&self, driver: F) -> Result<(), SpawnError> {
///         let thread = std::thread::Builder::new().spawn(|| futures_lite::future::block_on(driver));
///         thread.map(drop).map_err(|_| SpawnError::new("the system has no thread left"))
///     }
/// }
///
/// let refresher = || async { Ok::<_, std::io::Error>("eyJhbGci") };
/// let credential = Builder::new(Threads::default(), refresher).spawn()?;
/// assert_eq!(credential.get_token_blocking()?.secret().expose(), "eyJhbGci");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run this credential's driver in the background",
    note = "on a multi-threaded runtime the refresher and its future must be `Send + 'static`; otherwise `build()` \
    the credential and run the driver on a local executor"
)]
pub trait Spawn<F> {
    /// Runs `future` in the background, and returns at once.
    ///
    /// # Errors
    /// There is no runtime.
    fn spawn(&self, future: F) -> Result<(), SpawnError>;
}

/// There is no runtime to run the credential's driver on.
///
/// ```
/// use acs_common_driver::SpawnError;
///
/// let error = SpawnError::new("start one first");
/// assert_eq!(error.to_string(), "there is no runtime to run the credential's driver on: start one first");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no runtime to run the credential's driver on: {advice}")]
pub struct SpawnError {
    advice: Cow<'static, str>,
}

impl SpawnError {
    /// `advice` says what the user can do.
    #[must_use]
    pub fn new(advice: impl Into<Cow<'static, str>>) -> Self {
        Self { advice: advice.into() }
    }
}
