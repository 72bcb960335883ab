//! Putting a credential together.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use acs_common::{InvalidToken, Machine, NewToken, Policy};

use crate::clock::{Clock, Spawn, SpawnError};
use crate::credential::CommunicationTokenCredential;
use crate::driver::Driver;
use crate::refresher::Refresher;
use crate::shared::{Driving, Shared};

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
    /// The initial token is none, or there is no runtime to run on.
    pub fn spawn(self) -> Result<CommunicationTokenCredential<C>, BuildError>
    where
        C: Clone + Spawn<Driver<C, R>>,
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
    /// The initial token is none.
    pub fn build(self) -> Result<(CommunicationTokenCredential<C>, Driver<C, R>), InvalidToken> {
        let mut policy = self.policy;
        if let Some(on) = self.proactive {
            policy = policy.with_refresh_proactively(on);
        }
        if policy.seed().is_none() {
            // Random keys for every process and every call: good enough to keep clients out of step.
            policy = policy.with_seed(RandomState::new().hash_one(()));
        }
        let machine = Machine::new(self.initial, policy, self.clock.now())?;
        let shared = Arc::new(Shared::new(self.clock, machine, Driving::Awake));
        let driver = Driver::new(Arc::clone(&shared), self.refresher);
        Ok((CommunicationTokenCredential::from_shared(shared), driver))
    }
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
/// use acs_common_driver::{BuildError, InvalidToken};
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// let refresher = || async { Ok::<_, std::io::Error>("eyJ…") };
/// let blank = CommunicationTokenCredential::with_refresher(refresher).initial_token(" ").spawn();
/// assert!(matches!(blank, Err(BuildError::InitialToken(InvalidToken::Blank))));
///
/// let nowhere = CommunicationTokenCredential::with_refresher(refresher).spawn();
/// assert!(matches!(nowhere, Err(BuildError::Spawn(_))), "not within a tokio runtime");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The initial token is none.
    #[error("initial token: {0}")]
    InitialToken(#[from] InvalidToken),
    /// There is no runtime.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}
