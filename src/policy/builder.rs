//! The options: for each its default, the reason for it, and what happens at both extremes.

use core::num::NonZeroU64;
use core::time::Duration;

use super::{Arc, CheckSource, DEFAULT, MINUTE, Options, Policy, UndecodableTokens};
use crate::time::millis;

/// Sets the options of a [`Policy`]. [`build`](Self::build) checks them.
///
/// The contract, section 2 of `docs/semantics.md` in the repository, says exactly what each option does.
///
/// ```
/// use acs_common::{Policy, UndecodableTokens};
/// use core::time::Duration;
///
/// // A game client: it renews by timer, waits for sign-in dialogs, and accepts only tokens that it can read.
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
    /// Whether to renew ahead of time, by timer, even if no caller asks (contract, rule 2.3).
    ///
    /// Default: false, so that an idle client does not call its issuer. If true, callers do not wait for renewals that succeed.
    pub fn refresh_proactively(mut self, on: bool) -> Self {
        self.refresh_proactively = on;
        self
    }

    /// How long before its expiry a proactive credential renews a token (contract, rule 2.3).
    ///
    /// Default: 10 minutes, as in the reference. A token is not renewed before half of its life has passed, so a window that is
    /// longer than that means half of the life. Zero: the renewal starts at expiry, so callers wait for it.
    pub fn refresh_window(mut self, window: Duration) -> Self {
        self.options.refresh_window = millis(window);
        self
    }

    /// How long before the token's expiry a request starts a renewal in the background, and still gets the valid token at
    /// once (contract, rule 2.3).
    ///
    /// Default: 2 minutes. Zero: a request renews only an expired token, so its caller waits.
    pub fn background_window(mut self, window: Duration) -> Self {
        self.options.background_window = millis(window);
        self
    }

    /// The shortest time between the starts of two refreshes, whatever the reason for them (contract, rule 2.7).
    ///
    /// Default: 1 second. Zero: there is no minimum. Longer than 60 seconds is an error, because a caller without a token would
    /// wait that long.
    pub fn min_refresh_interval(mut self, interval: Duration) -> Self {
        self.options.min_refresh_interval = millis(interval);
        self
    }

    /// For comparing with the reference: renew at the start of the window, even if less than half of the token's life has
    /// passed.
    ///
    /// Default: false. If true, a token that is valid for little longer than the window is renewed many times in a row.
    pub fn renew_before_half(mut self, on: bool) -> Self {
        self.options.renew_before_half = on;
        self
    }

    /// The backoff after the first failure of a streak. It doubles with each further failure (contract, rule 2.6).
    ///
    /// Default: 1 second. Zero: only [`min_refresh_interval`](Self::min_refresh_interval) limits it. Longer than
    /// [`retry_max`](Self::retry_max) is an error. This ends the effect of [`no_retry`](Self::no_retry).
    pub fn retry_initial(mut self, backoff: Duration) -> Self {
        self.options.retries = true;
        self.options.retry_initial = millis(backoff);
        self
    }

    /// Three times in one: the longest backoff, the backoff after a permanent failure, and how long after a backoff the next
    /// failure still belongs to the streak (contract, rule 2.6). The timer alone backs off for longer, if the issuer
    /// [asks](crate::RefresherError::with_retry_after) for that.
    ///
    /// Default: 5 minutes. [`Duration::MAX`]: a permanent failure lasts until [`RetryNow`](crate::Event::RetryNow). This ends
    /// the effect of [`no_retry`](Self::no_retry).
    pub fn retry_max(mut self, backoff: Duration) -> Self {
        self.options.retries = true;
        self.options.retry_max = millis(backoff);
        self
    }

    /// For comparing with the reference: no backoff, and no retry by timer. After a failed refresh the next request that finds
    /// no valid token tries again at once.
    ///
    /// Default: off. With it, one failed renewal stops a proactive credential from renewing ahead of time.
    pub fn no_retry(mut self) -> Self {
        self.options.retries = false;
        self
    }

    /// The longest backoff of a request after transient failures. During it, a request that finds no valid token gets the
    /// last failure at once (contract, rule 2.6). The issuer's [`Retry-After`](crate::RefresherError::with_retry_after) can
    /// make it longer, up to [`retry_max`](Self::retry_max).
    ///
    /// Default: 30 seconds, so that a caller does not wait for the timer's longer backoff. Zero: only
    /// [`min_refresh_interval`](Self::min_refresh_interval) limits it.
    pub fn request_backoff_max(mut self, backoff: Duration) -> Self {
        self.options.request_backoff_max = millis(backoff);
        self
    }

    /// How long a refresh may take. After that it is a transient failure (contract, rule 2.8), and the host is told to drop the
    /// call, which may be half-way. If the issuer replaces a single-use refresh token at each call, the new one is lost then.
    /// The cure: the refresher hands that call to a task of its own, which ends and stores the new token also when nobody
    /// waits for it; or [`finish_late_calls`](Self::finish_late_calls).
    ///
    /// If only the wall clock says so, because it was set or the device slept, the call has up to 5 seconds more. After that it
    /// is dropped and made again, once.
    ///
    /// Default: 60 seconds. `None`: no timeout, so callers wait as long as the refresher does. An interactive sign-in needs
    /// `None` or a long time. Zero is an error.
    pub fn refresh_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        let timeout = timeout.into().map(millis);
        self.options.refresh_timeout = timeout.and_then(NonZeroU64::new);
        self.zero_timeout = timeout == Some(0);
        self
    }

    /// Whether a call of the refresher goes on after its [`refresh_timeout`](Self::refresh_timeout) (contract, rule 2.8). Then
    /// the timeout is a failure for the waiters only: the call stays in flight, its answer counts, and no other call starts
    /// before it has ended. So a single-use refresh token is not lost half-way.
    ///
    /// Default: false. If true, the refresher must end each call, with a timeout of its own: a call that never ends blocks all
    /// later ones.
    pub fn finish_late_calls(mut self, on: bool) -> Self {
        self.options.finish_late_calls = on;
        self
    }

    /// Whether the server's time decides how long a token is valid, where it is known (contract, section 7).
    ///
    /// Default: true. Then a wrong clock of the device costs at most a few refreshes. If false, the device's clock decides.
    pub fn use_server_time(mut self, on: bool) -> Self {
        self.options.use_server_time = on;
        self
    }

    /// The largest fraction that is subtracted at random from the timer's backoff and from the time until the renewal, so that
    /// many clients do not call the issuer at the same moment. The issuer's `Retry-After` is lengthened by up to this fraction
    /// instead, at most 30 seconds. [`min_refresh_interval`](Self::min_refresh_interval) is never shortened.
    ///
    /// Default: 0.1: of ten thousand credentials made together, few renew in the same second. Outside 0..=1 is an error.
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.jitter = fraction;
        self
    }

    /// The seed of the jitter: with the same seed and the same events, the machine does the same.
    ///
    /// Default: not set. Then the machine uses 0, and the driver draws another seed for each credential.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How long an opaque token is taken to be valid, from its arrival on: a token whose expiry cannot be read and was not
    /// stated (contract, section 3).
    ///
    /// Default: 10 minutes, as in the reference. Zero is an error. Too long: callers get tokens that the service rejects, and
    /// have to [report](crate::Event::TokenRejected) them.
    pub fn opaque_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.options.opaque_token_lifetime = millis(lifetime);
        self
    }

    /// Whether to accept tokens whose expiry cannot be read and was not stated (contract, section 3).
    ///
    /// Default: [`UndecodableTokens::AcceptAsOpaque`].
    pub fn undecodable_tokens(mut self, treatment: UndecodableTokens) -> Self {
        self.options.undecodable_tokens = treatment;
        self
    }

    /// When a credential [with a source](crate::Machine::with_source) asks it (contract, rule 5.7).
    ///
    /// Default: [`CheckSource::OnRefresh`]. Other credentials ignore this option.
    pub fn check_source(mut self, when: CheckSource) -> Self {
        self.options.check_source = when;
        self
    }

    /// With [`CheckSource::EachRequest`]: how long a request waits for the source before it gets the valid token that is held.
    ///
    /// Default: 5 seconds. Zero means one millisecond.
    pub fn source_check_timeout(mut self, timeout: Duration) -> Self {
        self.options.source_check_timeout = millis(timeout);
        self
    }

    /// The largest fraction that is subtracted at random from the pause between two tries of one token exchange. The
    /// service's `Retry-After` is never shortened.
    ///
    /// Default: 0.5. Outside 0..=1 is an error.
    pub fn exchange_jitter(mut self, fraction: f64) -> Self {
        self.exchange_jitter = fraction;
        self
    }

    /// Checks the options, and makes the policy.
    ///
    /// # Errors
    /// [`PolicyError`] names the option whose value is not allowed.
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

/// Which option of a [`Policy`](crate::Policy) has a value that is not allowed.
///
/// ```
/// use acs_common::{Policy, PolicyError};
///
/// assert_eq!(Policy::builder().jitter(1.5).build(), Err(PolicyError::JitterOutOfRange));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// `min_refresh_interval` is longer than 60 seconds.
    #[error("min_refresh_interval is longer than 60 s, and a caller without a token waits that long: set 60 s or less")]
    MinRefreshIntervalTooLong,
    /// `retry_initial` is longer than `retry_max`.
    #[error(
        "retry_initial ({retry_initial:?}) is longer than retry_max ({retry_max:?}): make retry_initial shorter, or retry_max longer"
    )]
    RetryInitialOverMax {
        /// The value that was set, or the default.
        retry_initial: Duration,
        /// The value that was set, or the default.
        retry_max: Duration,
    },
    /// `refresh_timeout` is zero.
    #[error("refresh_timeout is zero, so no refresh can succeed: set a longer time, or None for no timeout")]
    ZeroRefreshTimeout,
    /// `opaque_token_lifetime` is zero.
    #[error(
        "opaque_token_lifetime is zero, so every opaque token would expire on arrival: set a longer time, or keep the default (to reject such tokens, set undecodable_tokens to Reject)"
    )]
    ZeroOpaqueTokenLifetime,
    /// `jitter` is not a fraction from 0 to 1.
    #[error("jitter is outside 0..=1: set the fraction of a wait that may be subtracted at random, from 0 to 1")]
    JitterOutOfRange,
    /// `exchange_jitter` is not a fraction from 0 to 1.
    #[error(
        "exchange_jitter is outside 0..=1: set the fraction of a pause that may be subtracted at random, from 0 to 1"
    )]
    ExchangeJitterOutOfRange,
}
