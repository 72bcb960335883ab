//! The builder of a credential.

use std::fmt;
use std::sync::Arc;

use acs_common::{NewToken, Policy, TokenError};

#[cfg(feature = "entra")]
use acs_common::entra::EntraOptions;
#[cfg(feature = "store")]
use acs_common::sharing::SharingOptions;
#[cfg(feature = "store")]
use acs_common_store::SharedStore;

use crate::calls::{RefresherCalls, Work};
use crate::clock::{Clock, Spawn, SpawnError};
use crate::credential::CommunicationTokenCredential;
use crate::driver::Driver;
#[cfg(feature = "entra")]
use crate::entra::{EntraTokenSource, HttpClient};
#[cfg(feature = "entra")]
use crate::exchanges::Exchanger;
use crate::refresher::{IntoRefresher, Refresher};
use crate::shared::Shared;
#[cfg(feature = "store")]
use crate::sharing::SharedCalls;

/// Builds a refreshing credential. Start with
/// [`with_refresher`](crate::CommunicationTokenCredential::with_refresher) or `with_entra` (feature `entra`); with
/// [`new`](Self::new) for your own clock. `W` is the source of the tokens; you do not need to name it.
///
/// ```
/// use acs_common_driver::Policy;
/// use acs_common_tokio::CommunicationTokenCredential;
/// use std::time::Duration;
///
/// # async fn ask_my_service() -> Result<String, std::io::Error> { Ok("eyJhbGci".to_owned()) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let credential = CommunicationTokenCredential::with_refresher(|| ask_my_service())
///     .initial_token("a-token-you-already-have")
///     .policy(Policy::builder().refresh_timeout(Duration::from_secs(20)).build()?)
///     .refresh_proactively(true)
///     .spawn()?;
/// assert_eq!(credential.get_token().await?.secret().expose(), "a-token-you-already-have");
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `spawn` or `build` is called"]
pub struct Builder<C, W> {
    clock: C,
    work: W,
    policy: Policy,
    proactive: Option<bool>,
    name: Option<Arc<str>>,
}

impl<C: Clock> CommunicationTokenCredential<C> {
    /// A credential that calls `refresher` to get its tokens. `refresher` is a closure that returns a future, or an
    /// implementation of [`Refresher`]. See [`IntoRefresher`].
    pub fn with_refresher<M, R>(refresher: R) -> Builder<C, RefresherCalls<R::Refresher>>
    where
        C: Default,
        R: IntoRefresher<M>,
        R::Refresher: Refresher,
    {
        Builder::new(C::default(), refresher)
    }

    /// A credential for an Entra user (feature `entra`): it asks `source` for an Entra token, and uses `client` to exchange
    /// it for an access token.
    ///
    /// Needs the feature `entra` (on by default).
    ///
    /// ```
    /// use acs_common_driver::entra::{EntraOptions, EntraTokenRequest, HttpRequest, HttpResponse};
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let source = |_: EntraTokenRequest| async { Ok::<_, std::io::Error>("from-an-identity-library") };
    /// let client = |_: HttpRequest| async {
    ///     let body = r#"{"accessToken": {"token": "for-chat-and-calls", "expiresOn": "2999-01-01T00:00:00Z"}}"#;
    ///     Ok::<_, std::io::Error>(HttpResponse::new(200).with_body(body.into()))
    /// };
    /// let options = EntraOptions::new("https://contoso.communication.azure.com")?;
    /// let credential = CommunicationTokenCredential::with_entra(options, source, client).spawn()?;
    /// assert_eq!(credential.get_token().await?.secret().expose(), "for-chat-and-calls");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "entra")]
    pub fn with_entra<S, H>(options: EntraOptions, source: S, client: H) -> Builder<C, Exchanger<S, H>>
    where
        C: Default,
        S: EntraTokenSource,
        H: HttpClient,
    {
        Builder::with_entra(C::default(), options, source, client)
    }
}

impl<C: Clock, R: Refresher> Builder<C, RefresherCalls<R>> {
    /// [`with_refresher`](CommunicationTokenCredential::with_refresher) with your own clock.
    pub fn new<M>(clock: C, refresher: impl IntoRefresher<M, Refresher = R>) -> Self {
        Self::assemble(clock, RefresherCalls::new(refresher.into_refresher()))
    }

    /// A token you already have: a string, or a [`NewToken`] with its expiry or lifetime. The credential uses it until a
    /// renewal is due. A token that has already expired has no effect. Default: no token.
    pub fn initial_token(mut self, token: impl Into<NewToken>) -> Self {
        self.work.initial = Some(token.into());
        self
    }
}

#[cfg(feature = "entra")]
impl<C: Clock, S: EntraTokenSource, H: HttpClient> Builder<C, Exchanger<S, H>> {
    /// [`with_entra`](CommunicationTokenCredential::with_entra) with your own clock.
    pub fn with_entra(clock: C, options: EntraOptions, source: S, client: H) -> Self {
        Self::assemble(clock, Exchanger::new(options, source, client))
    }
}

#[cfg(feature = "store")]
impl<C: Clock, W: Work> Builder<C, W> {
    /// Shares the token with other processes, through this store (contract, section 9): all that use the same store, the same
    /// keys and the same name use one token. For an Entra user the endpoint, the scopes and the user are part of the name.
    ///
    /// A store that is down or slow costs each refresh at most
    /// [`store_timeout`](acs_common::sharing::SharingOptionsBuilder::store_timeout), and a notice
    /// ([`StoreFailed`](crate::Notice::StoreFailed)): the credential works as if there were none. A valid token that is held
    /// never waits for the store.
    ///
    /// Once the credential is disposed, its driver goes on until its token has arrived in the store, at most for a
    /// [`lease`](acs_common::sharing::SharingOptionsBuilder::lease).
    ///
    /// Needs the feature `store`.
    ///
    /// ```
    /// use acs_common_tokio::CommunicationTokenCredential;
    /// use acs_common_tokio::store::{MemoryStore, NamingKey, SealingKeys, SharedStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // In your program: a store of files or Redis, and keys from where it keeps its secrets.
    /// let naming = NamingKey::from_base64("cz6Q7dHkgGqVUPq4kd+mkLc7vC4gT1m1Yq0wT7m6iJ8=")?;
    /// let sealing = SealingKeys::from_base64(1, "nVQk0KYqDx9dZ3WxEw9zmd5TMuLx3cTjRkqyhZ1MPks=")?;
    /// let store = SharedStore::new(MemoryStore::new(), naming, sealing);
    ///
    /// let refresher = || async { Ok::<_, std::io::Error>("eyJhbGci") };
    /// let one = CommunicationTokenCredential::with_refresher(refresher).shared_through(store.clone(), "agent").spawn()?;
    /// assert!(!one.get_token().await?.is_from_store());
    /// # tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    ///
    /// // Another process.
    /// let other = CommunicationTokenCredential::with_refresher(refresher).shared_through(store, "agent").spawn()?;
    /// assert!(other.get_token().await?.is_from_store());
    /// # Ok(())
    /// # }
    /// ```
    pub fn shared_through(self, store: SharedStore, name: impl Into<Arc<str>>) -> Builder<C, SharedCalls<W>> {
        let Self { clock, work, policy, proactive, name: called } = self;
        let work = SharedCalls::new(work, store, name.into());
        Builder { clock, work, policy, proactive, name: called }
    }
}

#[cfg(feature = "store")]
impl<C: Clock, W: Work> Builder<C, SharedCalls<W>> {
    /// How long to wait for the store and for other processes. Default: [`SharingOptions::default`].
    ///
    /// ```
    /// use acs_common_tokio::CommunicationTokenCredential;
    /// use acs_common_tokio::store::{SharedStore, SharingOptions};
    /// use std::time::Duration;
    ///
    /// # async fn example(store: SharedStore) -> Result<(), Box<dyn std::error::Error>> {
    /// let refresher = || async { Ok::<_, std::io::Error>("eyJhbGci") };
    /// let options = SharingOptions::builder().store_timeout(Duration::from_millis(500)).build()?;
    /// let credential =
    ///     CommunicationTokenCredential::with_refresher(refresher).shared_through(store, "agent").sharing_options(options).spawn()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sharing_options(mut self, options: SharingOptions) -> Self {
        self.work.options = options;
        self
    }
}

impl<C: Clock, W: Work> Builder<C, W> {
    fn assemble(clock: C, work: W) -> Self {
        Self { clock, work, policy: Policy::default(), proactive: None, name: None }
    }

    /// Whether the credential renews its token ahead of time, by a timer, also without requests (contract, rule 2.3).
    /// Default: what [`policy`](Self::policy) says. This method has priority over the policy.
    pub fn refresh_proactively(mut self, on: bool) -> Self {
        self.proactive = Some(on);
        self
    }

    /// A name for the credential, to tell it from the program's others: it is in each line of the log (the field `credential`),
    /// in the credential's `Debug`, and at the stream of its [notices](crate::Notices::name). Default: no name. It must not be
    /// a secret.
    ///
    /// ```
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let refresher = || async { Ok::<_, std::io::Error>("eyJhbGci") };
    /// let credential = CommunicationTokenCredential::with_refresher(refresher).named("chat").spawn()?;
    /// assert_eq!(credential.name(), Some("chat"));
    /// assert_eq!(credential.notices().name(), Some("chat"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// All other options. Default: [`Policy::default`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Builds the credential, and runs its driver in the background of the runtime.
    ///
    /// With the feature `tracing` the driver runs in the span that is current at this call, and keeps it open. So call it in a span
    /// that lasts as long as the credential, not in that of a request; or [`build`](Self::build) the credential, and spawn its
    /// driver yourself, in the span that you want, or in none. Each refresh has a root span of its own.
    ///
    /// # Errors
    /// The initial token is invalid (the error says what it looks like), or there is no runtime.
    pub fn spawn(self) -> Result<CommunicationTokenCredential<C>, BuildError>
    where
        C: Clone + Spawn<Driver<C, W>>,
    {
        let runtime = self.clock.clone();
        let (credential, mut driver) = self.build()?;
        driver.spans.keep_current();
        runtime.spawn(driver)?;
        Ok(credential)
    }

    /// Builds the credential and its driver. The driver is a future; poll it to its end, on any executor. If the refresher
    /// is not `Send`, use a local executor.
    ///
    /// ```
    /// use acs_common_driver::Builder;
    /// use futures_lite::future;
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// let calls = Rc::new(Cell::new(0));
    /// let counted = Rc::clone(&calls);
    /// let refresher = move || {
    ///     counted.set(counted.get() + 1);
    ///     async { Ok::<_, std::io::Error>("eyJhbGci") }
    /// };
    /// let (credential, driver) = Builder::new(acs_common_smol::Smol::default(), refresher).build()?;
    /// let token = future::block_on(future::or(credential.get_token(), async {
    ///     driver.await;
    ///     unreachable!("the driver runs as long as the credential exists")
    /// }))?;
    /// assert_eq!((token.secret().expose(), calls.get()), ("eyJhbGci", 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The initial token is invalid: it is not a token, or it cannot be decoded and the policy rejects that.
    pub fn build(self) -> Result<(CommunicationTokenCredential<C>, Driver<C, W>), TokenError> {
        let Self { clock, mut work, mut policy, proactive, name } = self;
        if let Some(on) = proactive {
            policy = policy.with_refresh_proactively(on);
        }
        if policy.seed().is_none() {
            policy = policy.with_seed(clock.seed());
        }
        let machine = work.machine(policy, clock.now())?;
        work.name(name.as_ref());
        let shared = Arc::new(Shared::new(clock, name, machine));
        #[cfg(feature = "store")]
        if work.is_shared() {
            shared.lock().share();
        }
        #[cfg(feature = "tracing")]
        shared.lock().say_opaque();
        let driver = Driver::new(Arc::clone(&shared), work);
        Ok((CommunicationTokenCredential::from_shared(shared), driver))
    }
}

impl<C, W: fmt::Debug> fmt::Debug for Builder<C, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("work", &self.work)
            .field("policy", &self.policy)
            .field("proactive", &self.proactive)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Why a credential could not be built.
///
/// ```
/// use acs_common_driver::{BuildError, TokenError};
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// let refresher = || async { Ok::<_, std::io::Error>("eyJhbGci") };
/// let blank = CommunicationTokenCredential::with_refresher(refresher).initial_token(" ").spawn();
/// assert!(matches!(blank, Err(BuildError::InitialToken(TokenError::Blank))));
///
/// let nowhere = CommunicationTokenCredential::with_refresher(refresher).spawn();
/// assert!(matches!(nowhere, Err(BuildError::Spawn(_))), "outside a tokio runtime");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The initial token is invalid.
    #[error("initial token: {0}")]
    InitialToken(TokenError),
    /// There is no runtime to run the driver on.
    #[error("{0}")]
    Spawn(SpawnError),
}

impl From<TokenError> for BuildError {
    fn from(error: TokenError) -> Self {
        Self::InitialToken(error)
    }
}

impl From<SpawnError> for BuildError {
    fn from(error: SpawnError) -> Self {
        Self::Spawn(error)
    }
}
