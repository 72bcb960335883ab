//! Putting a credential together.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use acs_common::{Machine, NewToken, Policy, TokenError};

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
use crate::refresher::Refresher;
use crate::shared::Shared;

/// Builds a refreshing credential; from
/// [`with_refresher`](crate::CommunicationTokenCredential::with_refresher), or [`new`](Self::new) for a clock of your own.
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
pub struct Builder<C, R> {
    clock: C,
    refresher: R,
    initial: Option<NewToken>,
    policy: Policy,
    proactive: Option<bool>,
}

impl<C: Clock> CommunicationTokenCredential<C> {
    /// A credential that renews its token by calling `refresher`: a closure that returns a future, or an implementation
    /// of [`Refresher`].
    pub fn with_refresher<R: Refresher>(refresher: R) -> Builder<C, R>
    where
        C: Default,
    {
        Builder::new(C::default(), refresher)
    }

    /// A credential for an Entra user: asks `source` for an Entra token, and has `client` exchange it.
    #[cfg(feature = "entra")]
    pub fn with_entra<S, H>(options: EntraOptions, source: S, client: H) -> EntraBuilder<C, S, H>
    where
        C: Default,
        S: EntraTokenSource,
        H: HttpClient,
    {
        EntraBuilder::new(C::default(), options, source, client)
    }
}

impl<C: Clock, R: Refresher> Builder<C, R> {
    /// A credential on a clock of your own.
    pub fn new(clock: C, refresher: R) -> Self {
        Self { clock, refresher, initial: None, policy: Policy::default(), proactive: None }
    }

    /// The token in hand: a string, or a [`NewToken`] with its expiry or lifetime. Used until it has to be renewed; if it
    /// has expired already, it is as good as none.
    pub fn initial_token(mut self, token: impl Into<NewToken>) -> Self {
        self.initial = Some(token.into());
        self
    }

    /// Renew ahead of time, by timer, whether anybody asks or not. Wins over what [`policy`](Self::policy) says.
    pub fn refresh_proactively(mut self, on: bool) -> Self {
        self.proactive = Some(on);
        self
    }

    /// All the other knobs. Default: [`Policy::default`].
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
        C: Clone + Spawn<Driver<C, RefresherCalls<R>>>,
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
    #[expect(clippy::type_complexity, reason = "a credential and its driver, or why not")]
    pub fn build(self) -> Result<(CommunicationTokenCredential<C>, Driver<C, RefresherCalls<R>>), TokenError> {
        let policy = complete(self.policy, self.proactive);
        let machine = Machine::new(self.initial, policy, self.clock.now())?;
        Ok(assemble(self.clock, machine, RefresherCalls::new(self.refresher)))
    }
}

/// The policy with what the builder knows better, and a seed of its own.
fn complete(mut policy: Policy, proactive: Option<bool>) -> Policy {
    if let Some(on) = proactive {
        policy = policy.with_refresh_proactively(on);
    }
    if policy.seed().is_none() {
        // Random keys for every process and every call: good enough to keep clients out of step.
        policy = policy.with_seed(RandomState::new().hash_one(()));
    }
    policy
}

fn assemble<C: Clock, W: Work>(
    clock: C,
    machine: Machine<usize>,
    work: W,
) -> (CommunicationTokenCredential<C>, Driver<C, W>) {
    let shared = Arc::new(Shared::new(clock, machine));
    let driver = Driver::new(Arc::clone(&shared), work);
    (CommunicationTokenCredential::from_shared(shared), driver)
}

impl<C, R> fmt::Debug for Builder<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("initial", &self.initial)
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

/// Builds a credential for Entra users; from
/// [`with_entra`](crate::CommunicationTokenCredential::with_entra), or [`new`](Self::new) for a clock of your own.
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
#[must_use = "a builder does nothing until `spawn` or `build` is called"]
pub struct EntraBuilder<C, S, H> {
    clock: C,
    options: EntraOptions,
    source: S,
    client: H,
    policy: Policy,
    proactive: Option<bool>,
}

#[cfg(feature = "entra")]
impl<C: Clock, S: EntraTokenSource, H: HttpClient> EntraBuilder<C, S, H> {
    /// A credential on a clock of your own.
    pub fn new(clock: C, options: EntraOptions, source: S, client: H) -> Self {
        Self { clock, options, source, client, policy: Policy::default(), proactive: None }
    }

    /// Renew ahead of time, by timer, whether anybody asks or not. Wins over what [`policy`](Self::policy) says.
    pub fn refresh_proactively(mut self, on: bool) -> Self {
        self.proactive = Some(on);
        self
    }

    /// All the other knobs. Default: [`Policy::default`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The credential, its driver running in the background of the runtime.
    ///
    /// # Errors
    /// There is no runtime to run on.
    pub fn spawn(self) -> Result<CommunicationTokenCredential<C>, SpawnError>
    where
        C: Clone + Spawn<Driver<C, Exchanger<S, H>>>,
    {
        let runtime = self.clock.clone();
        let (credential, driver) = self.build();
        runtime.spawn(driver)?;
        Ok(credential)
    }

    /// The credential and its driver, a future to be polled wherever you like, to its end.
    pub fn build(self) -> (CommunicationTokenCredential<C>, Driver<C, Exchanger<S, H>>) {
        let policy = complete(self.policy, self.proactive);
        let machine = Machine::with_source(policy.clone(), self.options.prewarm(), self.clock.now());
        assemble(self.clock, machine, Exchanger::new(self.options, policy, self.source, self.client))
    }
}

#[cfg(feature = "entra")]
impl<C, S, H> fmt::Debug for EntraBuilder<C, S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntraBuilder")
            .field("options", &self.options)
            .field("policy", &self.policy)
            .field("proactive", &self.proactive)
            .finish_non_exhaustive()
    }
}
