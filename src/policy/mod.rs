//! How a credential behaves.

mod builder;

#[cfg(not(target_has_atomic = "ptr"))]
use alloc::rc::Rc as Arc;
#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use core::fmt;
use core::num::NonZeroU64;

pub use self::builder::{PolicyBuilder, PolicyError};

/// What to do with a token string whose expiry cannot be read and was not stated (contract, section 3).
///
/// ```
/// use acs_common::{TokenError, Machine, Monotonic, Now, Policy, UndecodableTokens, UnixTime};
///
/// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(1_700_000_000));
/// let make = |policy| Machine::<()>::with_static_token("not-a-JWT".into(), policy, now);
/// assert!(make(Policy::default())?.token(now).unwrap().is_opaque());
///
/// let strict = Policy::builder().undecodable_tokens(UndecodableTokens::Reject).build()?;
/// assert_eq!(make(strict).unwrap_err(), TokenError::Undecodable);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a string is accepted or rejected")]
pub enum UndecodableTokens {
    /// Accept it, and take it to be valid for [`opaque_token_lifetime`](PolicyBuilder::opaque_token_lifetime). Access tokens
    /// for Entra users are encrypted, so that only the service can read them.
    #[default]
    AcceptAsOpaque,
    /// Reject it, with [`TokenError::Undecodable`](crate::TokenError::Undecodable).
    Reject,
}

/// When a credential [with a source](crate::Machine::with_source) asks it (contract, rule 5.7).
///
/// ```
/// use acs_common::{CheckSource, Policy};
///
/// let careful = Policy::builder().check_source(CheckSource::EachRequest).build()?;
/// assert_ne!(careful, Policy::default());
/// # Ok::<(), acs_common::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the contract has these two")]
pub enum CheckSource {
    /// When a refresh is due.
    #[default]
    OnRefresh,
    /// For each request too, as in the reference, so that a change of the user is seen at once. Every request waits for the
    /// source, so the source must be quick: give it a cache.
    EachRequest,
}

/// How a credential behaves: when it renews, how it retries, how long it waits.
///
/// Durations are kept in whole milliseconds, rounded up. Every duration up to
/// [`Duration::MAX`](core::time::Duration::MAX) is allowed, unless the option says that it is an error. A clone is cheap: clones
/// share their options.
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
///     "refresh_timeout is zero, so no refresh can succeed: set a longer time, or None for no timeout",
/// );
/// # Ok::<(), acs_common::PolicyError>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Policy {
    // The credentials of one program differ in these. They share the rest by the pointer.
    refresh_proactively: bool,
    /// Not an `Option<u64>`, which would take 16 bytes.
    seeded: bool,
    seed: u64,
    /// `None`: the defaults.
    options: Option<Arc<Options>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Options {
    renew_before_half: bool,
    /// Any other text is a token: the reference's door.
    refuse_blank_only: bool,
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
    use_server_time: bool,
    finish_late_calls: bool,
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

static DEFAULT: Options = Options {
    renew_before_half: false,
    refuse_blank_only: false,
    undecodable_tokens: UndecodableTokens::AcceptAsOpaque,
    retries: true,
    jitter: 0.1,
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
    use_server_time: true,
    finish_late_calls: false,
};

impl Policy {
    /// For comparing, not for use: the behaviour of the reference library (`@azure/communication-common` 2.5.0), without its
    /// crashes. No renewal in the background, no minimum interval, no retry, no backoff, no timeout. Any string that is not blank
    /// is a token.
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
            refuse_blank_only: true,
            retries: false,
            jitter: 0.0,
            background_window: 0,
            min_refresh_interval: 0,
            request_backoff_max: 0,
            refresh_timeout: None,
            check_source: CheckSource::EachRequest,
            use_server_time: false,
            ..DEFAULT.clone()
        };
        Self { options: Some(Arc::new(options)), ..Self::default() }
    }

    /// A builder that starts from the defaults.
    pub fn builder() -> PolicyBuilder {
        Self::default().to_builder()
    }

    /// A builder that starts from this policy.
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

    /// The same policy with another [`refresh_proactively`](PolicyBuilder::refresh_proactively). For the driver,
    /// whose builder has this option too.
    #[doc(hidden)]
    #[must_use]
    pub fn with_refresh_proactively(self, on: bool) -> Self {
        Self { refresh_proactively: on, ..self }
    }

    /// The same policy with another [`seed`](PolicyBuilder::seed).
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

    pub(crate) fn refuses_blank_only(&self) -> bool {
        self.options().refuse_blank_only
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

    /// How long before its expiry to renew a token.
    pub(crate) fn window_millis(&self) -> u64 {
        if self.refresh_proactively { self.options().refresh_window } else { self.options().background_window }
    }

    pub(crate) fn renews_before_half(&self) -> bool {
        self.options().renew_before_half
    }

    /// The first and the longest backoff; `None` if there are no retries.
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

    pub(crate) fn uses_server_time(&self) -> bool {
        self.options().use_server_time
    }

    pub(crate) fn finishes_late_calls(&self) -> bool {
        self.options().finish_late_calls
    }

    pub(crate) fn jitter(&self) -> f32 {
        self.options().jitter
    }

    /// The seed of the jitter, if one was set ([`PolicyBuilder::seed`]).
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
