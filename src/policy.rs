//! The knobs, each with its default, why that default, and what goes wrong at either extreme.

#[cfg(not(target_has_atomic = "ptr"))]
use alloc::rc::Rc as Arc;
#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;

use crate::error::PolicyError;
use crate::time::millis;

/// What to do with a token string whose expiry can be neither read nor was given.
///
/// ```
/// use acs_common::{InvalidToken, Machine, Monotonic, Now, Policy, UndecodableTokens, UnixTime};
///
/// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(1_700_000_000));
/// let make = |policy| Machine::<()>::with_static_token("not a JWT".into(), policy, now);
/// assert!(make(Policy::default())?.token(now).unwrap().is_opaque());
///
/// let strict = Policy::builder().undecodable_tokens(UndecodableTokens::Reject).build()?;
/// assert_eq!(make(strict).unwrap_err(), InvalidToken::Undecodable);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a string is either taken or not")]
pub enum UndecodableTokens {
    /// Take it, and assume that it lives for [`opaque_token_lifetime`](PolicyBuilder::opaque_token_lifetime): tokens
    /// for Entra users are encrypted, so that nobody but the service can read them.
    #[default]
    AcceptAsOpaque,
    /// Refuse it ([`InvalidToken::Undecodable`](crate::InvalidToken::Undecodable)).
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
/// Durations are kept in whole milliseconds (a fraction counts as one); any duration up to [`Duration::MAX`] has a meaning
/// unless the knob says that it is refused. Cheap to clone: clones share what they have in common.
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
    knobs: Option<Arc<Knobs>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Knobs {
    renew_before_half: bool,
    undecodable_tokens: UndecodableTokens,
    retries: bool,
    jitter: f32,
    refresh_window: u64,
    background_window: u64,
    min_refresh_interval: u64,
    retry_initial: u64,
    retry_max: u64,
    request_rest_max: u64,
    refresh_timeout: Option<NonZeroU64>,
    opaque_token_lifetime: u64,
    check_source: CheckSource,
    source_check_timeout: u64,
    exchange_jitter: f32,
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

static DEFAULT: Knobs = Knobs {
    renew_before_half: false,
    undecodable_tokens: UndecodableTokens::AcceptAsOpaque,
    retries: true,
    jitter: 0.0,
    refresh_window: 10 * MINUTE,
    background_window: 2 * MINUTE,
    min_refresh_interval: SECOND,
    retry_initial: SECOND,
    retry_max: 5 * MINUTE,
    request_rest_max: 30 * SECOND,
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
        let knobs = Knobs {
            renew_before_half: true,
            retries: false,
            background_window: 0,
            min_refresh_interval: 0,
            request_rest_max: 0,
            refresh_timeout: None,
            check_source: CheckSource::EachRequest,
            ..DEFAULT.clone()
        };
        Self { knobs: Some(Arc::new(knobs)), ..Self::default() }
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
        let knobs = self.knobs();
        PolicyBuilder {
            refresh_proactively: self.refresh_proactively,
            seed: self.seed(),
            knobs: knobs.clone(),
            jitter: knobs.jitter.into(),
            exchange_jitter: knobs.exchange_jitter.into(),
            zero_timeout: false,
        }
    }

    /// This policy, renewing ahead of time or not ([`PolicyBuilder::refresh_proactively`]).
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

    fn knobs(&self) -> &Knobs {
        self.knobs.as_deref().unwrap_or(&DEFAULT)
    }

    pub(crate) fn undecodable_tokens(&self) -> UndecodableTokens {
        self.knobs().undecodable_tokens
    }

    pub(crate) fn opaque_millis(&self) -> u64 {
        self.knobs().opaque_token_lifetime
    }

    pub(crate) fn min_interval_millis(&self) -> u64 {
        self.knobs().min_refresh_interval
    }

    pub(crate) fn timeout_millis(&self) -> Option<u64> {
        self.knobs().refresh_timeout.map(NonZeroU64::get)
    }

    /// How long before its expiry a token is to be renewed.
    pub(crate) fn window_millis(&self) -> u64 {
        if self.refresh_proactively { self.knobs().refresh_window } else { self.knobs().background_window }
    }

    pub(crate) fn renews_before_half(&self) -> bool {
        self.knobs().renew_before_half
    }

    /// The first and the longest rest, if failures are retried at all.
    pub(crate) fn retry_millis(&self) -> Option<(u64, u64)> {
        self.knobs().retries.then_some((self.knobs().retry_initial, self.knobs().retry_max))
    }

    pub(crate) fn request_backoff_millis(&self) -> u64 {
        self.knobs().request_rest_max
    }

    pub(crate) fn source_check_millis(&self) -> u64 {
        self.knobs().source_check_timeout.max(1)
    }

    pub(crate) fn check_source(&self) -> CheckSource {
        self.knobs().check_source
    }

    pub(crate) fn jitter(&self) -> f32 {
        self.knobs().jitter
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
            .field("knobs", self.knobs())
            .finish()
    }
}

#[cfg(feature = "entra")]
impl Policy {
    pub(crate) fn exchange_jitter(&self) -> f32 {
        self.knobs().exchange_jitter
    }
}

/// Sets the knobs of a [`Policy`]; [`build`](Self::build) checks them.
///
/// ```
/// use acs_common::{Policy, UndecodableTokens};
/// use core::time::Duration;
///
/// // A game client: ahead of time, patient with sign-in dialogs, no tokens it cannot read.
/// let policy = Policy::builder()
///     .refresh_proactively(true)
///     .refresh_timeout(None)
///     .undecodable_tokens(UndecodableTokens::Reject)
///     .build()?;
/// # let _ = policy;
/// # Ok::<(), acs_common::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PolicyBuilder {
    refresh_proactively: bool,
    seed: Option<u64>,
    knobs: Knobs,
    jitter: f64,
    exchange_jitter: f64,
    zero_timeout: bool,
}

impl PolicyBuilder {
    /// Renew ahead of time, by timer, whether anybody asks or not. Default: false, since an idle client then costs its
    /// issuer nothing; on, no caller ever waits for a renewal that succeeds.
    pub fn refresh_proactively(mut self, on: bool) -> Self {
        self.refresh_proactively = on;
        self
    }

    /// How long before its expiry a proactive credential renews a token. Default: 10 minutes, the reference's. Never
    /// before half of the token's life ([`renew_before_half`](Self::renew_before_half)): a window wider than the life
    /// means half-way. Zero: at expiry, so that callers then wait.
    pub fn refresh_window(mut self, window: Duration) -> Self {
        self.knobs.refresh_window = millis(window);
        self
    }

    /// How long before its expiry the first request starts a renewal in the background, served at once with the valid
    /// token. Default: 2 minutes. Zero: only once expired, so that a caller waits each time.
    pub fn background_window(mut self, window: Duration) -> Self {
        self.knobs.background_window = millis(window);
        self
    }

    /// Two refreshes never start closer together than this, whatever asks for them. Default: 1 second. Zero: a refresher
    /// whose tokens are dead on arrival is called as often as anybody asks. More than 60 seconds is refused: whoever has
    /// no token would wait that long.
    pub fn min_refresh_interval(mut self, interval: Duration) -> Self {
        self.knobs.min_refresh_interval = millis(interval);
        self
    }

    /// Renew at the window's start even if less than half of the life has passed, as the reference does. Default: false,
    /// since a token barely longer than the window is otherwise renewed in a burst.
    pub fn renew_before_half(mut self, on: bool) -> Self {
        self.knobs.renew_before_half = on;
        self
    }

    /// The rest after the first failure in a row; it doubles with each further one. Default: 1 second. Zero: as short as
    /// [`min_refresh_interval`](Self::min_refresh_interval) lets it be. Longer than [`retry_max`](Self::retry_max) is
    /// refused. Turns retrying on.
    pub fn retry_initial(mut self, rest: Duration) -> Self {
        self.knobs.retries = true;
        self.knobs.retry_initial = millis(rest);
        self
    }

    /// The longest rest between tries, the rest after a permanent failure, and how long a row of failures is remembered; only
    /// the timer rests longer, if the issuer [asks](crate::RefresherError::with_retry_after) for it. Default: 5 minutes.
    /// [`Duration::MAX`]: a permanent failure is final until [`TryNow`](crate::Event::TryNow). Turns retrying on.
    pub fn retry_max(mut self, rest: Duration) -> Self {
        self.knobs.retries = true;
        self.knobs.retry_max = millis(rest);
        self
    }

    /// No rest and no retry by timer, as the reference: after a failed refresh the next request that finds no valid token
    /// tries again, at once. Default: off, since one failed renewal then ends renewing ahead of time.
    pub fn no_retry(mut self) -> Self {
        self.knobs.retries = false;
        self
    }

    /// The longest a request that finds no valid token is answered with the last failure before it may try again.
    /// Default: 30 seconds, so that somebody who asks does not wait for the timer's long rests. Zero: as short as
    /// [`min_refresh_interval`](Self::min_refresh_interval).
    pub fn request_rest_max(mut self, rest: Duration) -> Self {
        self.knobs.request_rest_max = millis(rest);
        self
    }

    /// A refresh not answered by then has failed. Default: 60 seconds; `None`: never, so that a refresher that hangs
    /// strands whoever asks. Interactive sign-ins need it off, or long. Zero is refused.
    pub fn refresh_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        let timeout = timeout.into().map(millis);
        self.knobs.refresh_timeout = timeout.and_then(NonZeroU64::new);
        self.zero_timeout = timeout == Some(0);
        self
    }

    /// The fraction of the timer's rest, and of the way to the renewal, that is subtracted at random, so that many clients
    /// do not ask in step. Default: 0; outside 0..=1 is refused. What the issuer asked for (`retry_after`) and
    /// [`min_refresh_interval`](Self::min_refresh_interval) are kept.
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.jitter = fraction;
        self
    }

    /// What the jitter is drawn from: same seed, same life. Default: none, which the machine takes for 0 and the
    /// driver for a seed of each credential's own.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How long a token lives whose expiry cannot be read and was not given, from its arrival. Default: 10 minutes, the
    /// reference's. Zero is refused, even if no such tokens are taken. Too long: callers get tokens the
    /// service refuses, and have to [reject](crate::Event::TokenRejected) them.
    pub fn opaque_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.knobs.opaque_token_lifetime = millis(lifetime);
        self
    }

    /// Whether such tokens are taken at all. Default: they are.
    pub fn undecodable_tokens(mut self, treatment: UndecodableTokens) -> Self {
        self.knobs.undecodable_tokens = treatment;
        self
    }

    /// When a credential for Entra users asks its source. Default: when a refresh is due.
    pub fn check_source(mut self, when: CheckSource) -> Self {
        self.knobs.check_source = when;
        self
    }

    /// With [`CheckSource::EachRequest`] and a valid token held: how long a request waits for the source before it gets
    /// that token. Default: 5 seconds. Zero: one millisecond.
    pub fn source_check_timeout(mut self, timeout: Duration) -> Self {
        self.knobs.source_check_timeout = millis(timeout);
        self
    }

    /// The fraction of a pause between two tries of one exchange that is subtracted at random. Default: 0.5; outside 0..=1
    /// is refused. What the service asked for is kept.
    pub fn exchange_jitter(mut self, fraction: f64) -> Self {
        self.exchange_jitter = fraction;
        self
    }

    /// The policy.
    ///
    /// # Errors
    /// [`PolicyError`] names the knob that cannot have the value it was given.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let knobs = self.knobs;
        if knobs.min_refresh_interval > MINUTE {
            return Err(PolicyError::MinRefreshIntervalTooLong);
        }
        if knobs.retries && knobs.retry_initial > knobs.retry_max {
            let [retry_initial, retry_max] = [knobs.retry_initial, knobs.retry_max].map(Duration::from_millis);
            return Err(PolicyError::RetryInitialOverMax { retry_initial, retry_max });
        }
        if self.zero_timeout {
            return Err(PolicyError::ZeroRefreshTimeout);
        }
        if knobs.opaque_token_lifetime == 0 {
            return Err(PolicyError::ZeroOpaqueTokenLifetime);
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(PolicyError::JitterOutOfRange);
        }
        if !(0.0..=1.0).contains(&self.exchange_jitter) {
            return Err(PolicyError::ExchangeJitterOutOfRange);
        }
        #[expect(clippy::cast_possible_truncation, reason = "a rounded fraction is as good")]
        let (jitter, exchange_jitter) = (self.jitter as f32, self.exchange_jitter as f32);
        let knobs = Knobs { jitter, exchange_jitter, ..knobs };
        let knobs = (knobs != DEFAULT).then(|| Arc::new(knobs));
        let (seeded, seed) = (self.seed.is_some(), self.seed.unwrap_or_default());
        Ok(Policy { refresh_proactively: self.refresh_proactively, seeded, seed, knobs })
    }
}
