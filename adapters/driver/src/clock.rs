//! What the driver needs of a runtime.

use std::borrow::Cow;
use std::time::Duration;

use acs_common::Now;

use crate::coarse_clock::{CoarseClock, SystemCoarseClock};

/// A runtime's clocks and its timer.
///
/// The clock decides what is due; a sleep only wakes the driver. One that ends early or late, or never, harms nothing but
/// punctuality (and, if it always ends at once, a processor).
///
/// ```
/// use acs_common_driver::{Clock, Monotonic, Now, UnixTime};
/// use std::time::{Duration, Instant, SystemTime};
///
/// /// For a thread of its own: a sleep that blocks.
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
    /// A sleep, ready when it is over.
    type Sleep: Future;

    /// What both clocks say. Called often, also with a lock held: it must be quick and not call back.
    fn now(&self) -> Now;

    /// A sleep of this length, at most a minute.
    fn sleep(&self, duration: Duration) -> Self::Sleep;

    /// The same clocks, read faster but less exactly: [`SystemCoarseClock`], on Linux. It is asked whenever a token is.
    ///
    /// `None`, the default: [`now`](Self::now) is read each time. A clock whose time can be paused or set, as tokio's
    /// single-threaded runtime can in tests, returns `None`, since the system's coarse clock does not follow.
    fn coarse_clock(&self) -> Option<impl CoarseClock> {
        None::<SystemCoarseClock>
    }
}

/// A runtime that can run a future of type `F` to its end in the background.
///
/// The bound on `F` is the runtime's own (`Send + 'static`, say), which is why it is a parameter of the trait.
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
/// let refresher = || async { Ok::<_, std::io::Error>("eyJ…") };
/// let credential = Builder::new(Threads::default(), refresher).spawn()?;
/// assert_eq!(credential.get_token_blocking()?.secret().expose(), "eyJ…");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run this credential's driver in the background",
    note = "a multi-threaded runtime needs a refresher that is `Send + 'static`, and so its future; otherwise `build()` \
            the credential and run the driver on a local executor"
)]
pub trait Spawn<F> {
    /// Runs `future` in the background, detached.
    ///
    /// # Errors
    /// There is no runtime to run it on.
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
    /// With what to do about it.
    #[must_use]
    pub fn new(advice: impl Into<Cow<'static, str>>) -> Self {
        Self { advice: advice.into() }
    }
}
