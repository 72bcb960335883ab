#![doc = include_str!("../README.md")]
//!
//! # Where to find what
//!
//! Some examples name `acs_common` or `acs_common_driver`, where an item is from: here it is in `acs_common_web`. A rule of the contract
//! is one of `docs/semantics.md` in the repository.
//!
//! The handle is generic over its clock, and its methods are in [`generic`]; [`CommunicationTokenCredential`], [`Reader`],
//! [`Notices`], [`Tokens`] and [`GetToken`] name these types for JavaScript hosts.
//!
//! | to | |
//! |---|---|
//! | make a credential | [`with_refresher`](generic::CommunicationTokenCredential::with_refresher), `with_entra` (feature `entra`), [`with_static_token`](generic::CommunicationTokenCredential::with_static_token), [`Builder`] |
//! | get a token | [`get_token`](generic::CommunicationTokenCredential::get_token), [`try_token`](generic::CommunicationTokenCredential::try_token) |
//! | say that the service refused a token (401) | [`reject`](generic::CommunicationTokenCredential::reject), [`Reader::reject`](generic::Reader::reject) |
//! | try again at once after failures | [`retry_now`](generic::CommunicationTokenCredential::retry_now) |
//! | hear of new tokens and failures | [`notices`](generic::CommunicationTokenCredential::notices), [`Notice`] |
//! | keep a connection signed in | [`tokens`](generic::CommunicationTokenCredential::tokens), [`Tokens`](generic::Tokens) |
//! | end the credential | [`dispose`](generic::CommunicationTokenCredential::dispose) |
//! | ask very often | [`reader`](generic::CommunicationTokenCredential::reader), [`Reader`](generic::Reader) |
//! | use a token | [`Token`], [`Secret::expose`] |
//! | get each token from a URL of your server | `issuer::HttpRefresher` (feature `entra`), with an HTTP client such as this crate's |
//! | return a token, or fail, in a refresher | [`IntoRefresher`], [`NewToken`], [`RefresherError`], [`Reason`] |
//! | put the token on requests, and get over a 401 | `tower::AuthorizeLayer` (feature `tower`), made from `ClientArguments` |
//! | take any credential in your own client | [`TokenProvider`] |
//! | set options | [`PolicyBuilder`] |
//! | handle errors | [`Error`], [`FailureCause`], [`BuildError`] |

#[cfg(feature = "fetch")]
mod http;
mod page;
mod sleep;

#[cfg(feature = "http")]
pub use acs_common_driver::BearerError;
#[cfg(all(feature = "access-key", feature = "http"))]
pub use acs_common_driver::CallError;
#[cfg(feature = "access-key")]
pub use acs_common_driver::access_key;
#[cfg(feature = "entra")]
pub use acs_common_driver::entra;
#[cfg(feature = "entra")]
pub use acs_common_driver::issuer;
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
#[cfg(feature = "fetch")]
pub use http::FetchClient;
pub use sleep::Sleep;

/// The handle and what it gives, for any clock: every method is documented here.
pub mod generic {
    #[doc(inline)]
    pub use acs_common_driver::{CommunicationTokenCredential, GetToken, Notices, Reader, Tokens};
}

use std::time::Duration;

use acs_common_driver::parts::Work;
use acs_common_driver::wall_clock;
use js_sys::{Math, Uint8Array};
use wasm_bindgen::prelude::*;

/// A credential in the browser. Its methods: [`generic::CommunicationTokenCredential`].
///
/// ```no_run
/// use acs_common_web::CommunicationTokenCredential;
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
/// assert!(credential.try_token()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type CommunicationTokenCredential = acs_common_driver::CommunicationTokenCredential<Web>;

/// A reader of a credential in the browser. Its methods: [`generic::Reader`].
///
/// ```no_run
/// use acs_common_web::{CommunicationTokenCredential, Reader};
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
pub type Reader = acs_common_driver::Reader<Web>;

/// The notices of a credential in the browser. Its methods: [`generic::Notices`].
///
/// ```no_run
/// use acs_common_web::{CommunicationTokenCredential, Notices};
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
pub type Notices = acs_common_driver::Notices<Web>;

/// The latest token of a credential in the browser. Its methods: [`generic::Tokens`].
///
/// ```no_run
/// use acs_common_web::{CommunicationTokenCredential, Tokens};
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
pub type Tokens = acs_common_driver::Tokens<Web>;

/// A request for a token in the browser. Its methods: [`generic::GetToken`].
///
/// ```no_run
/// use acs_common_web::{CommunicationTokenCredential, GetToken};
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
pub type GetToken<'a> = acs_common_driver::GetToken<'a, Web>;

/// The clock of JavaScript hosts: `Date.now()`, `performance.now()` and `setTimeout`. It runs drivers by
/// [`spawn_local`](wasm_bindgen_futures::spawn_local), in pages, workers and Node.
///
/// It also tells a credential that it spawned when the page or the network came back:
///
/// | event | in | effect |
/// |---|---|---|
/// | `online` | pages, workers | [`retry_now`](generic::CommunicationTokenCredential::retry_now) |
/// | `visibilitychange`, hidden for more than 30 s | pages | [`retry_now`](generic::CommunicationTokenCredential::retry_now) |
/// | `visibilitychange`, hidden for less; `pageshow` | pages | it looks at the clocks, since timers may be late |
///
/// So a user who switches tabs does not cut short the delay that a service asked for.
///
/// # Threads
///
/// The futures of this crate are `Send`, so that code which is written for other runtimes compiles. They hold JavaScript's values
/// in a [`SendWrapper`](send_wrapper::SendWrapper), which checks the thread at each access. WebAssembly has one thread, and there
/// the check always passes. A program built with shared memory must use a credential's driver on the thread that spawned it;
/// otherwise the driver panics.
///
/// # Panics
///
/// WebAssembly does not unwind. A refresher that panics ends the program there; on other runtimes it is a failed refresh.
/// Outside of a JavaScript host every call panics.
///
/// ```no_run
/// use acs_common_web::{Clock, Web};
///
/// let clock = Web::default();
/// let earlier = clock.now();
/// assert!(clock.now().monotonic >= earlier.monotonic);
/// ```
#[derive(Clone, Debug)]
pub struct Web {
    /// In milliseconds of `performance.now()`.
    origin: f64,
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;

    #[wasm_bindgen(catch, js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(array: &Uint8Array) -> Result<JsValue, JsValue>;
}

impl Default for Web {
    fn default() -> Self {
        Self { origin: performance_now() }
    }
}

impl Clock for Web {
    type Sleep = Sleep;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and cuts to the millisecond"
    )]
    fn now(&self) -> Now {
        let monotonic = (performance_now() - self.origin) as u64;
        Now::new(Monotonic::from_millis(monotonic), wall_clock::now())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(duration)
    }

    fn seed(&self) -> u64 {
        let random = Uint8Array::new_with_length(8);
        let mut bytes = [0; 8];
        match get_random_values(&random) {
            Ok(_) => random.copy_to(&mut bytes),
            // An old host, or a strange one. It only has to differ between clients.
            Err(_) => bytes = Math::random().to_bits().to_le_bytes(),
        }
        u64::from_le_bytes(bytes)
    }
}

impl<C: Clock + 'static, W: Work + 'static> Spawn<Driver<C, W>> for Web {
    fn spawn(&self, driver: Driver<C, W>) -> Result<(), SpawnError> {
        wasm_bindgen_futures::spawn_local(page::run(driver));
        Ok(())
    }
}
