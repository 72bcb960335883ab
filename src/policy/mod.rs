//! How a credential behaves.

mod builder;

#[cfg(not(target_has_atomic = "ptr"))]
use alloc::rc::Rc as Arc;
#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use core::fmt;
use core::num::NonZeroU64;

pub use self::builder::{PolicyBuilder, PolicyError};

/// What to do with a token string whose expiry can be neither read nor was given.
///
/// ```
/// use acs_common::{TokenError, Machine, Monotonic, Now, Policy, UndecodableTokens, UnixTime};
///
/// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(1_700_000_000));
/// let make = |policy| Machine::<()>::with_static_token("not a JWT".into(), policy, now);
/// assert!(make(Policy::default())?.token(now).unwrap().is_opaque());
///
/// let strict = Policy::builder().undecodable_tokens(UndecodableTokens::Reject).build()?;
/// assert_eq!(make(strict).unwrap_err(), TokenError::Undecodable);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a string is either taken or not")]
pub enum UndecodableTokens {
    /// Take it, and assume that it lives for [`opaque_token_lifetime`](PolicyBuilder::opaque_token_lifetime): tokens
    /// for Entra users are encrypted, so that nobody but the service can read them.
    #[default]
    AcceptAsOpaque,
    /// Refuse it ([`TokenError::Undecodable`](crate::TokenError::Undecodable)).
    Reject,
}

/// When a credential for Entra users asks its source of Entra tokens.
///
/// ```
/// use acs_common::{CheckSource, Policy};
///
/// let careful = Policy::builder().check_source(CheckSource::EachRequest).build()?;
/// assert_ne!(careful, Policy::default());
/// # Ok::<(), acs_common::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third time to ask")]
pub enum CheckSource {
    /// When a refresh is due.
    #[default]
    OnRefresh,
    /// Before each answer, so that another user's token is noticed at once: as the reference does. The source has to be
    /// quick (a cache of its own), since every request waits for it.
    EachRequest,
}

/// How a credential behaves: when it renews, how it retries, what it waits for.
///
/// Durations are kept in whole milliseconds (a fraction counts as one); any duration up to [`Duration::MAX`](core::time::Duration::MAX) has a meaning
/// unless the option says that it is refused. Cheap to clone: clones share what they have in common.
///
/// ```
/// use acs_common::Policy;
/// use core::time::Duration;
///
/// let policy = Policy::builder()
///     .refresh_proactively(true)
///     .refresh_window(Duration::from_secs(5 * 60))
///     .refresh_timeout(Duration::from_secs(20))
///     .build()?;
/// assert!(policy.refreshes_proactively());
///
/// let refused = Policy::builder().refresh_timeout(Duration::ZERO).build();
/// assert_eq!(
///     refused.unwrap_err().to_string(),
///     "refresh_timeout is zero, so no refresh could ever succeed: give it some time, or None for no timeout",
/// );
/// # Ok::<(), acs_common::PolicyError>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Policy {
    // What differs between the credentials of one program is not behind the pointer.
    refresh_proactively: bool,
    /// Not an `Option`, so that it takes no more room than its number and a byte.
    seeded: bool,
    seed: u64,
    /// `None`: the defaults.
    options: Option<Arc<Options>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Options {
    renew_before_half: bool,
    undecodable_tokens: UndecodableTokens,
    retries: bool,
    jitter: f32,
    refresh_window: u64,
    background_window: u64,
    min_refresh_interval: u64,
    retry_initial: u64,
    retry_max: u64,
    request_backoff_max: u64,
    refresh_timeout: Option<NonZeroU64>,
    opaque_token_lifetime: u64,
    check_source: CheckSource,
    source_check_timeout: u64,
    exchange_jitter: f32,
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

static DEFAULT: Options = Options {
    renew_before_half: false,
    undecodable_tokens: UndecodableTokens::AcceptAsOpaque,
    retries: true,
    jitter: 0.0,
    refresh_window: 10 * MINUTE,
    background_window: 2 * MINUTE,
    min_refresh_interval: SECOND,
    retry_initial: SECOND,
    retry_max: 5 * MINUTE,
    request_backoff_max: 30 * SECOND,
    refresh_timeout: NonZeroU64::new(MINUTE),
    opaque_token_lifetime: 10 * MINUTE,
    check_source: CheckSource::OnRefresh,
    source_check_timeout: 5 * SECOND,
    exchange_jitter: 0.5,
};

impl Policy {
    /// The timeline of the reference library (`@azure/communication-common` 2.5.0), without its crashes: no renewal in
    /// the background, no floor, no retry, no rest, no timeout. For comparing, not for use.
    ///
    /// ```
    /// use acs_common::Policy;
    ///
    /// assert_ne!(Policy::reference(), Policy::default());
    /// ```
    #[must_use]
    pub fn reference() -> Self {
        let options = Options {
            renew_before_half: true,
            retries: false,
            background_window: 0,
            min_refresh_interval: 0,
            request_backoff_max: 0,
            refresh_timeout: None,
            check_source: CheckSource::EachRequest,
            ..DEFAULT.clone()
        };
        Self { options: Some(Arc::new(options)), ..Self::default() }
    }

    /// Starts from the defaults.
    pub fn builder() -> PolicyBuilder {
        Self::default().to_builder()
    }

    /// Starts from this policy.
    ///
    /// ```
    /// use acs_common::Policy;
    ///
    /// let eager = Policy::reference().to_builder().refresh_proactively(true).build()?;
    /// assert!(eager.refreshes_proactively());
    /// # Ok::<(), acs_common::PolicyError>(())
    /// ```
    pub fn to_builder(&self) -> PolicyBuilder {
        let options = self.options();
        PolicyBuilder {
            refresh_proactively: self.refresh_proactively,
            seed: self.seed(),
            options: options.clone(),
            jitter: options.jitter.into(),
            exchange_jitter: options.exchange_jitter.into(),
            zero_timeout: false,
        }
    }

    /// This policy, renewing ahead of time or not ([`PolicyBuilder::refresh_proactively`]). For the driver, whose builder has
    /// this option too.
    #[doc(hidden)]
    #[must_use]
    pub fn with_refresh_proactively(self, on: bool) -> Self {
        Self { refresh_proactively: on, ..self }
    }

    /// This policy, its jitter drawn from this seed ([`PolicyBuilder::seed`]).
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seeded: true, seed, ..self }
    }

    /// Whether the credential renews by timer ([`PolicyBuilder::refresh_proactively`]).
    #[must_use]
    pub fn refreshes_proactively(&self) -> bool {
        self.refresh_proactively
    }

    fn options(&self) -> &Options {
        self.options.as_deref().unwrap_or(&DEFAULT)
    }

    pub(crate) fn undecodable_tokens(&self) -> UndecodableTokens {
        self.options().undecodable_tokens
    }

    pub(crate) fn opaque_millis(&self) -> u64 {
        self.options().opaque_token_lifetime
    }

    pub(crate) fn min_interval_millis(&self) -> u64 {
        self.options().min_refresh_interval
    }

    pub(crate) fn timeout_millis(&self) -> Option<u64> {
        self.options().refresh_timeout.map(NonZeroU64::get)
    }

    /// How long before its expiry a token is to be renewed.
    pub(crate) fn window_millis(&self) -> u64 {
        if self.refresh_proactively { self.options().refresh_window } else { self.options().background_window }
    }

    pub(crate) fn renews_before_half(&self) -> bool {
        self.options().renew_before_half
    }

    /// The first and the longest rest, if failures are retried at all.
    pub(crate) fn retry_millis(&self) -> Option<(u64, u64)> {
        self.options().retries.then_some((self.options().retry_initial, self.options().retry_max))
    }

    pub(crate) fn request_backoff_millis(&self) -> u64 {
        self.options().request_backoff_max
    }

    pub(crate) fn source_check_millis(&self) -> u64 {
        self.options().source_check_timeout.max(1)
    }

    pub(crate) fn check_source(&self) -> CheckSource {
        self.options().check_source
    }

    pub(crate) fn jitter(&self) -> f32 {
        self.options().jitter
    }

    /// What the jitter is drawn from, if it was set ([`PolicyBuilder::seed`]).
    #[must_use]
    pub fn seed(&self) -> Option<u64> {
        self.seeded.then_some(self.seed)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("refresh_proactively", &self.refresh_proactively)
            .field("seed", &self.seed())
            .field("options", self.options())
            .finish()
    }
}

#[cfg(feature = "entra")]
impl Policy {
    pub(crate) fn exchange_jitter(&self) -> f32 {
        self.options().exchange_jitter
    }
}
