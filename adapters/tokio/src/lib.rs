#![doc = include_str!("../README.md")]
//!
//! # Where to find what
//!
//! Some examples name `acs_common` or `acs_common_driver`, where an item is from: here it is in `acs_common_tokio`. A rule of the contract
//! is one of `docs/semantics.md` in the repository.
//!
//! The handle is generic over its clock, and its methods are in [`generic`]; [`CommunicationTokenCredential`], [`Reader`],
//! [`Notices`], [`Tokens`], [`GetToken`] and [`ReplaceToken`] name these types for tokio.
//!
//! | to | |
//! |---|---|
//! | make a credential | [`with_refresher`](generic::CommunicationTokenCredential::with_refresher), `with_entra` (feature `entra`), [`with_static_token`](generic::CommunicationTokenCredential::with_static_token), [`Builder`] |
//! | get a token | [`get_token`](generic::CommunicationTokenCredential::get_token), [`try_token`](generic::CommunicationTokenCredential::try_token) |
//! | get a token in a plain thread | [`get_token_blocking`](generic::CommunicationTokenCredential::get_token_blocking), [`get_token_blocking_for`](generic::CommunicationTokenCredential::get_token_blocking_for) |
//! | say that the service refused a token (401), and get another one | [`replace`](generic::CommunicationTokenCredential::replace), [`Reader::replace`](generic::Reader::replace); or only say it: [`reject`](generic::CommunicationTokenCredential::reject) |
//! | try again at once after failures | [`retry_now`](generic::CommunicationTokenCredential::retry_now) |
//! | hear of new tokens and failures | [`notices`](generic::CommunicationTokenCredential::notices), [`Notice`] |
//! | keep a connection signed in | [`tokens`](generic::CommunicationTokenCredential::tokens), [`Tokens`](generic::Tokens) |
//! | end the credential | [`dispose`](generic::CommunicationTokenCredential::dispose) |
//! | ask very often | [`reader`](generic::CommunicationTokenCredential::reader), [`Reader`](generic::Reader) |
//! | use a token | [`Token`], [`Secret::expose`] |
//! | get each token from a URL of your server | `issuer::HttpRefresher` (feature `entra`), with an HTTP client such as this crate's |
//! | return a token, or fail, in a refresher | [`IntoRefresher`], [`NewToken`], [`RefresherError`], [`Reason`] |
//! | put the token on requests, and get over a 401 | `tower::AuthorizeLayer` (feature `tower`), `AuthorizeMiddleware` (`reqwest-middleware`), `azure::AuthorizePolicy` (`azure`), made from `ClientArguments` |
//! | take any credential in your own client | [`TokenProvider`] |
//! | set options | [`PolicyBuilder`] |
//! | handle errors | [`Error`], [`FailureCause`], [`BuildError`] |

#[cfg(feature = "reqwest")]
mod http;
#[cfg(feature = "reqwest-middleware")]
mod middleware;

#[cfg(feature = "http")]
pub use acs_common_driver::BearerError;
#[cfg(all(feature = "access-key", feature = "http"))]
pub use acs_common_driver::CallError;
#[cfg(feature = "access-key")]
pub use acs_common_driver::access_key;
#[cfg(feature = "azure")]
pub use acs_common_driver::azure;
#[cfg(feature = "entra")]
pub use acs_common_driver::entra;
#[cfg(feature = "entra")]
pub use acs_common_driver::issuer;
#[cfg(feature = "store")]
pub use acs_common_driver::store;
#[cfg(feature = "tower")]
pub use acs_common_driver::tower;
pub use acs_common_driver::{
    BuildError, Builder, CheckSource, Clock, Driver, Error, FailureCause, FailureKind, IntoRefresher, Monotonic,
    NewToken, Notice, NoticeStream, Now, Policy, PolicyBuilder, PolicyError, Reason, RefreshStatus, Refresher,
    RefresherError, RefresherPanicked, Secret, Spawn, SpawnError, Status, Token, TokenError, TokenFuture,
    TokenProvider, TokenReader, TokenStatus, Trigger, UndecodableTokens, UnixTime,
};
#[cfg(feature = "access-key")]
pub use acs_common_driver::{ClientArguments, ClientArgumentsError, ClientAuth, OriginError, SharedKey};
#[cfg(feature = "reqwest")]
pub use http::{ReqwestClient, TlsError};
#[cfg(feature = "reqwest-middleware")]
pub use middleware::AuthorizeMiddleware;

/// The handle and what it gives, for any clock: every method is documented here.
pub mod generic {
    #[doc(inline)]
    pub use acs_common_driver::{CommunicationTokenCredential, GetToken, Notices, Reader, ReplaceToken, Tokens};
}

use std::time::Duration;

use acs_common_driver::{CoarseClock, SystemCoarseClock, wall_clock};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::{Instant, Sleep};

/// A credential on tokio. Its methods: [`generic::CommunicationTokenCredential`].
///
/// ```
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
/// assert!(credential.try_token()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type CommunicationTokenCredential = acs_common_driver::CommunicationTokenCredential<Tokio>;

/// A reader of a credential on tokio. Its methods: [`generic::Reader`].
///
/// ```
/// use acs_common_tokio::{CommunicationTokenCredential, Reader};
///
/// struct Connection {
///     tokens: Reader,
/// }
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
/// let mut connection = Connection { tokens: credential.reader() };
/// assert!(connection.tokens.token()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Reader = acs_common_driver::Reader<Tokio>;

/// The notices of a credential on tokio. Its methods: [`generic::Notices`].
///
/// ```
/// use acs_common_tokio::{CommunicationTokenCredential, Notices};
///
/// async fn log(mut notices: Notices) {
///     while let Some(notice) = notices.next().await {
///         println!("{notice:?}");
///     }
/// }
/// # let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
/// # drop(log(credential.notices()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Notices = acs_common_driver::Notices<Tokio>;

/// The latest token of a credential on tokio. Its methods: [`generic::Tokens`].
///
/// ```
/// use acs_common_tokio::{CommunicationTokenCredential, Tokens};
///
/// async fn keep_signed_in(mut tokens: Tokens) {
///     while let Some(token) = tokens.next().await {
///         println!("sign in with a token that is valid until {}", token.expires_on());
///     }
/// }
/// # let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
/// # drop(keep_signed_in(credential.tokens()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Tokens = acs_common_driver::Tokens<Tokio>;

/// A request for a token on tokio. Its methods: [`generic::GetToken`].
///
/// ```
/// use acs_common_tokio::{CommunicationTokenCredential, GetToken};
///
/// struct Waiting<'a> {
///     token: GetToken<'a>,
/// }
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
/// let waiting = Waiting { token: credential.get_token() };
/// # drop(waiting.token);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type GetToken<'a> = acs_common_driver::GetToken<'a, Tokio>;

/// A report that the service refused a token, and a request for another one, on tokio. Its methods:
/// [`generic::ReplaceToken`].
///
/// ```
/// use acs_common_tokio::{CommunicationTokenCredential, ReplaceToken, Token};
///
/// /// The second try of a call that got a 401.
/// fn second_try<'a>(credential: &'a CommunicationTokenCredential, refused: &Token) -> ReplaceToken<'a> {
///     credential.replace(refused)
/// }
/// # let _ = second_try;
/// ```
pub type ReplaceToken<'a> = acs_common_driver::ReplaceToken<'a, Tokio>;

/// The clock of tokio: tokio's time and timer, and the system's wall clock. It runs drivers on the current runtime.
///
/// In a single-threaded runtime it has no [coarse clock](Clock::coarse_clock), because tests can [pause][paused] the time
/// of such a runtime. There it reads the exact clocks at each request for a token.
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
    /// Spawns the future on the current runtime.
    ///
    /// The runtime needs a timer: build it with `enable_time` or `enable_all`. Without a timer the driver panics at its first
    /// sleep, with tokio's message. After that the credential fails with [`DriverStopped`](Error::DriverStopped).
    fn spawn(&self, driver: F) -> Result<(), SpawnError> {
        let runtime = Handle::try_current().map_err(|_| {
            SpawnError::new("call `spawn` inside a tokio runtime (in an async fn, or after `Handle::enter`)")
        })?;
        runtime.spawn(driver);
        Ok(())
    }
}
