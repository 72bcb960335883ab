//! Putting a credential together.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use acs_common::{NewToken, Policy, TokenError};

#[cfg(feature = "entra")]
use acs_common::entra::EntraOptions;

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

/// Builds a refreshing credential; from [`with_refresher`](crate::CommunicationTokenCredential::with_refresher) or `with_entra`
/// (feature `entra`), or from [`new`](Self::new) for a clock that you bring. `W` is what gets the tokens: nothing to be named.
///
/// ```
/// use acs_common_driver::Policy;
/// use acs_common_tokio::CommunicationTokenCredential;
/// use std::time::Duration;
///
/// # async fn ask_my_service() -> Result<String, std::io::Error> { Ok("eyJ…".to_owned()) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let credential = CommunicationTokenCredential::with_refresher(|| ask_my_service())
///     .initial_token("the one in hand")
///     .policy(Policy::builder().refresh_timeout(Duration::from_secs(20)).build()?)
///     .refresh_proactively(true)
///     .spawn()?;
/// assert_eq!(credential.get_token().await?.secret().expose(), "the one in hand");
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `spawn` or `build` is called"]
pub struct Builder<C, W> {
    clock: C,
    work: W,
    policy: Policy,
    proactive: Option<bool>,
}

impl<C: Clock> CommunicationTokenCredential<C> {
    /// A credential that renews its token by calling `refresher`: a closure that returns a future, or an implementation
    /// of [`Refresher`]. See [`IntoRefresher`].
    pub fn with_refresher<M, R>(refresher: R) -> Builder<C, RefresherCalls<R::Refresher>>
    where
        C: Default,
        R: IntoRefresher<M>,
        R::Refresher: Refresher,
    {
        Builder::new(C::default(), refresher)
    }

    /// A credential for an Entra user: asks `source` for an Entra token, and has `client` exchange it.
    ///
    /// Needs the feature `entra` (on by default).
    ///
    /// ```
    /// use acs_common_driver::entra::{EntraOptions, EntraTokenRequest, HttpRequest, HttpResponse};
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let source = |_: EntraTokenRequest| async { Ok::<_, std::io::Error>("from an identity library") };
    /// let client = |_: HttpRequest| async {
    ///     let body = r#"{"accessToken": {"token": "for chat and calls", "expiresOn": "2999-01-01T00:00:00Z"}}"#;
    ///     Ok::<_, std::io::Error>(HttpResponse::new(200).with_body(body.into()))
    /// };
    /// let options = EntraOptions::new("https://contoso.communication.azure.com")?;
    /// let credential = CommunicationTokenCredential::with_entra(options, source, client).spawn()?;
    /// assert_eq!(credential.get_token().await?.secret().expose(), "for chat and calls");
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
    /// [`with_refresher`](CommunicationTokenCredential::with_refresher) on a clock that you bring.
    pub fn new<M>(clock: C, refresher: impl IntoRefresher<M, Refresher = R>) -> Self {
        Self::assemble(clock, RefresherCalls::new(refresher.into_refresher()))
    }

    /// The token in hand: a string, or a [`NewToken`] with its expiry or lifetime. Used until it has to be renewed; if it
    /// has expired already, it is as good as none.
    pub fn initial_token(mut self, token: impl Into<NewToken>) -> Self {
        self.work.initial = Some(token.into());
        self
    }
}

#[cfg(feature = "entra")]
impl<C: Clock, S: EntraTokenSource, H: HttpClient> Builder<C, Exchanger<S, H>> {
    /// [`with_entra`](CommunicationTokenCredential::with_entra) on a clock that you bring.
    pub fn with_entra(clock: C, options: EntraOptions, source: S, client: H) -> Self {
        Self::assemble(clock, Exchanger::new(options, source, client))
    }
}

impl<C: Clock, W: Work> Builder<C, W> {
    fn assemble(clock: C, work: W) -> Self {
        Self { clock, work, policy: Policy::default(), proactive: None }
    }

    /// Renew ahead of time, by timer, whether anybody asks or not. Wins over what [`policy`](Self::policy) says.
    pub fn refresh_proactively(mut self, on: bool) -> Self {
        self.proactive = Some(on);
        self
    }

    /// All the other options. Default: [`Policy::default`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The credential, its driver running in the background of the runtime.
    ///
    /// # Errors
    /// The initial token cannot be one (blank, too long, undecodable), or there is no runtime to run on.
    pub fn spawn(self) -> Result<CommunicationTokenCredential<C>, BuildError>
    where
        C: Clone + Spawn<Driver<C, W>>,
    {
        let runtime = self.clock.clone();
        let (credential, driver) = self.build()?;
        runtime.spawn(driver)?;
        Ok(credential)
    }

    /// The credential and its driver, a future to be polled wherever you like, to its end: on a local executor, if the
    /// refresher is not `Send`.
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
    ///     async { Ok::<_, std::io::Error>("eyJ…") }
    /// };
    /// let (credential, driver) = Builder::new(acs_common_smol::Smol::default(), refresher).build()?;
    /// let token = future::block_on(future::or(credential.get_token(), async {
    ///     driver.await;
    ///     unreachable!("it runs as long as the credential lives")
    /// }))?;
    /// assert_eq!((token.secret().expose(), calls.get()), ("eyJ…", 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The initial token cannot be one: it is blank, too long, or undecodable against the policy.
    pub fn build(self) -> Result<(CommunicationTokenCredential<C>, Driver<C, W>), TokenError> {
        let Self { clock, mut work, mut policy, proactive } = self;
        if let Some(on) = proactive {
            policy = policy.with_refresh_proactively(on);
        }
        if policy.seed().is_none() {
            // Random keys for every process and every call: good enough to keep clients out of step.
            policy = policy.with_seed(RandomState::new().hash_one(()));
        }
        let machine = work.machine(policy, clock.now())?;
        let shared = Arc::new(Shared::new(clock, machine));
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
            .finish_non_exhaustive()
    }
}

/// Why a credential could not be made.
///
/// ```
/// use acs_common_driver::{BuildError, TokenError};
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// let refresher = || async { Ok::<_, std::io::Error>("eyJ…") };
/// let blank = CommunicationTokenCredential::with_refresher(refresher).initial_token(" ").spawn();
/// assert!(matches!(blank, Err(BuildError::InitialToken(TokenError::Blank))));
///
/// let nowhere = CommunicationTokenCredential::with_refresher(refresher).spawn();
/// assert!(matches!(nowhere, Err(BuildError::Spawn(_))), "not within a tokio runtime");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The initial token cannot be one.
    #[error("initial token: {0}")]
    InitialToken(TokenError),
    /// There is no runtime.
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
