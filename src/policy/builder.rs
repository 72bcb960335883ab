//! Setting the options: each with its default, why that default, and what goes wrong at either extreme.

use core::num::NonZeroU64;
use core::time::Duration;

use super::{Arc, CheckSource, DEFAULT, MINUTE, Options, Policy, UndecodableTokens};
use crate::time::millis;

/// Sets the options of a [`Policy`]; [`build`](Self::build) checks them.
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
    pub(super) refresh_proactively: bool,
    pub(super) seed: Option<u64>,
    pub(super) options: Options,
    pub(super) jitter: f64,
    pub(super) exchange_jitter: f64,
    pub(super) zero_timeout: bool,
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
        self.options.refresh_window = millis(window);
        self
    }

    /// How long before its expiry the first request starts a renewal in the background, served at once with the valid
    /// token. Default: 2 minutes. Zero: only once expired, so that a caller waits each time.
    pub fn background_window(mut self, window: Duration) -> Self {
        self.options.background_window = millis(window);
        self
    }

    /// Two refreshes never start closer together than this, whatever asks for them. Default: 1 second. Zero: a refresher
    /// whose tokens are dead on arrival is called as often as anybody asks. More than 60 seconds is refused: whoever has
    /// no token would wait that long.
    pub fn min_refresh_interval(mut self, interval: Duration) -> Self {
        self.options.min_refresh_interval = millis(interval);
        self
    }

    /// Renew at the window's start even if less than half of the life has passed, as the reference does. Default: false,
    /// since a token barely longer than the window is otherwise renewed in a burst.
    pub fn renew_before_half(mut self, on: bool) -> Self {
        self.options.renew_before_half = on;
        self
    }

    /// The rest after the first failure in a row; it doubles with each further one. Default: 1 second. Zero: as short as
    /// [`min_refresh_interval`](Self::min_refresh_interval) lets it be. Longer than [`retry_max`](Self::retry_max) is
    /// refused. Turns retrying on.
    pub fn retry_initial(mut self, rest: Duration) -> Self {
        self.options.retries = true;
        self.options.retry_initial = millis(rest);
        self
    }

    /// The longest rest between tries, the rest after a permanent failure, and how long a row of failures is remembered; only
    /// the timer rests longer, if the issuer [asks](crate::RefresherError::with_retry_after) for it. Default: 5 minutes.
    /// [`Duration::MAX`]: a permanent failure is final until [`RetryNow`](crate::Event::RetryNow). Turns retrying on.
    pub fn retry_max(mut self, rest: Duration) -> Self {
        self.options.retries = true;
        self.options.retry_max = millis(rest);
        self
    }

    /// No rest and no retry by timer, as the reference: after a failed refresh the next request that finds no valid token
    /// tries again, at once. Default: off, since one failed renewal then ends renewing ahead of time.
    pub fn no_retry(mut self) -> Self {
        self.options.retries = false;
        self
    }

    /// The longest a request that finds no valid token is answered with the last failure before it may try again.
    /// Default: 30 seconds, so that somebody who asks does not wait for the timer's long rests. Zero: as short as
    /// [`min_refresh_interval`](Self::min_refresh_interval).
    pub fn request_backoff_max(mut self, rest: Duration) -> Self {
        self.options.request_backoff_max = millis(rest);
        self
    }

    /// A refresh not answered by then has failed. Default: 60 seconds; `None`: never, so that a refresher that hangs
    /// strands whoever asks. Interactive sign-ins need it off, or long. Zero is refused.
    pub fn refresh_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        let timeout = timeout.into().map(millis);
        self.options.refresh_timeout = timeout.and_then(NonZeroU64::new);
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
        self.options.opaque_token_lifetime = millis(lifetime);
        self
    }

    /// Whether such tokens are taken at all. Default: they are.
    pub fn undecodable_tokens(mut self, treatment: UndecodableTokens) -> Self {
        self.options.undecodable_tokens = treatment;
        self
    }

    /// When a credential for Entra users asks its source. Default: when a refresh is due.
    pub fn check_source(mut self, when: CheckSource) -> Self {
        self.options.check_source = when;
        self
    }

    /// With [`CheckSource::EachRequest`] and a valid token held: how long a request waits for the source before it gets
    /// that token. Default: 5 seconds. Zero: one millisecond.
    pub fn source_check_timeout(mut self, timeout: Duration) -> Self {
        self.options.source_check_timeout = millis(timeout);
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
    /// [`PolicyError`] names the option that cannot have the value it was given.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let options = self.options;
        if options.min_refresh_interval > MINUTE {
            return Err(PolicyError::MinRefreshIntervalTooLong);
        }
        if options.retries && options.retry_initial > options.retry_max {
            let [retry_initial, retry_max] = [options.retry_initial, options.retry_max].map(Duration::from_millis);
            return Err(PolicyError::RetryInitialOverMax { retry_initial, retry_max });
        }
        if self.zero_timeout {
            return Err(PolicyError::ZeroRefreshTimeout);
        }
        if options.opaque_token_lifetime == 0 {
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
        let options = Options { jitter, exchange_jitter, ..options };
        let options = (options != DEFAULT).then(|| Arc::new(options));
        let (seeded, seed) = (self.seed.is_some(), self.seed.unwrap_or_default());
        Ok(Policy { refresh_proactively: self.refresh_proactively, seeded, seed, options })
    }
}

/// Which option of a [`Policy`](crate::Policy) cannot have the value it was given.
///
/// ```
/// use acs_common::{Policy, PolicyError};
///
/// assert_eq!(Policy::builder().jitter(1.5).build(), Err(PolicyError::JitterOutOfRange));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// `min_refresh_interval` is over 60 seconds.
    #[error("min_refresh_interval is over 60 s, so that whoever has no token might wait that long: make it shorter")]
    MinRefreshIntervalTooLong,
    /// `retry_initial` is over `retry_max`.
    #[error(
        "retry_initial ({retry_initial:?}) is longer than retry_max ({retry_max:?}): make it shorter, or retry_max longer"
    )]
    RetryInitialOverMax {
        /// As it was set, or its default.
        retry_initial: Duration,
        /// As it was set, or its default.
        retry_max: Duration,
    },
    /// `refresh_timeout` is zero.
    #[error("refresh_timeout is zero, so no refresh could ever succeed: give it some time, or None for no timeout")]
    ZeroRefreshTimeout,
    /// `opaque_token_lifetime` is zero.
    #[error(
        "opaque_token_lifetime is zero, so every opaque token would be dead on arrival: give it some time, or leave its default (which no token gets where undecodable ones are rejected)"
    )]
    ZeroOpaqueTokenLifetime,
    /// `jitter` is not a fraction.
    #[error("jitter is outside 0..=1: it is the fraction of a wait that may be cut")]
    JitterOutOfRange,
    /// `exchange_jitter` is not a fraction.
    #[error("exchange_jitter is outside 0..=1: it is the fraction of a pause that may be cut")]
    ExchangeJitterOutOfRange,
}
