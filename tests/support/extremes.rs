//! Values of all options at once, extreme or ordinary, and what the documentation says about them.

use std::time::Duration;

use acs_common::{CheckSource, Policy, PolicyBuilder, PolicyError, UndecodableTokens};

use super::exchange_world::ops::{self as exchange, Bytes};
use super::world::ops::Options;

const MINUTE: u64 = 60_000;
const MILLI: Duration = Duration::from_millis(1);
const NANO: Duration = Duration::from_nanos(1);

#[derive(Debug)]
pub struct Values {
    proactive: bool,
    window: Duration,
    background_window: Duration,
    interval: Duration,
    renew_before_half: bool,
    retries: bool,
    retry_initial: Duration,
    retry_max: Duration,
    request_backoff_max: Duration,
    timeout: Option<Duration>,
    jitter: f64,
    seed: u64,
    opaque_lifetime: Duration,
    reject_undecodable: bool,
    each_request: bool,
    check_timeout: Duration,
    exchange_jitter: f64,
}

impl Values {
    pub fn read(bytes: &mut Bytes<'_>) -> Self {
        let flags = bytes.byte();
        Self {
            proactive: flags & 1 != 0,
            renew_before_half: flags & 2 != 0,
            retries: flags & 4 == 0,
            reject_undecodable: flags & 8 != 0,
            each_request: flags & 16 != 0,
            window: duration(bytes),
            background_window: duration(bytes),
            // Mostly a value that is accepted, so that there are runs to check.
            interval: if flags & 32 == 0 { duration(bytes) } else { Duration::from_millis(u64::from(bytes.byte())) },
            retry_initial: duration(bytes),
            retry_max: if flags & 64 == 0 { duration(bytes) } else { Duration::MAX },
            request_backoff_max: duration(bytes),
            timeout: (flags & 128 == 0).then(|| duration(bytes)),
            jitter: fraction(bytes),
            seed: u64::from(bytes.byte()),
            opaque_lifetime: duration(bytes),
            check_timeout: duration(bytes),
            exchange_jitter: fraction(bytes),
        }
    }

    pub fn build(&self) -> Result<Policy, PolicyError> {
        let policy = Policy::builder()
            .refresh_proactively(self.proactive)
            .refresh_window(self.window)
            .background_window(self.background_window)
            .min_refresh_interval(self.interval)
            .renew_before_half(self.renew_before_half)
            .request_backoff_max(self.request_backoff_max)
            .refresh_timeout(self.timeout)
            .jitter(self.jitter)
            .seed(self.seed)
            .opaque_token_lifetime(self.opaque_lifetime);
        self.others(policy, self.retry_initial, self.retry_max, self.check_timeout).build()
    }

    /// The same policy with each duration as the laws see it: in whole milliseconds.
    pub fn rounded(&self) -> Result<Policy, PolicyError> {
        let whole = |duration| super::world::ops::duration(millis(duration));
        let (initial, max) = (whole(self.retry_initial), whole(self.retry_max));
        self.others(self.options().policy().to_builder(), initial, max, whole(self.check_timeout)).build()
    }

    fn others(&self, policy: PolicyBuilder, initial: Duration, max: Duration, check: Duration) -> PolicyBuilder {
        let treatment =
            if self.reject_undecodable { UndecodableTokens::Reject } else { UndecodableTokens::AcceptAsOpaque };
        let policy = policy
            .undecodable_tokens(treatment)
            .check_source(if self.each_request { CheckSource::EachRequest } else { CheckSource::OnRefresh })
            .source_check_timeout(check)
            .exchange_jitter(self.exchange_jitter)
            .retry_initial(initial)
            .retry_max(max);
        if self.retries { policy } else { policy.no_retry() }
    }

    /// The expected errors, each with the option that it must name.
    pub fn wrong(&self) -> Vec<(PolicyError, &'static str)> {
        let fits = |fraction: f64| (0.0..=1.0).contains(&fraction);
        let [initial, max] = [self.retry_initial, self.retry_max].map(millis);
        let [retry_initial, retry_max] = [initial, max].map(Duration::from_millis);
        let initial_over_max = PolicyError::RetryInitialOverMax { retry_initial, retry_max };
        let checks = [
            (millis(self.interval) > MINUTE, PolicyError::MinRefreshIntervalTooLong, "min_refresh_interval"),
            (self.retries && initial > max, initial_over_max, "retry_initial"),
            (self.timeout == Some(Duration::ZERO), PolicyError::ZeroRefreshTimeout, "refresh_timeout"),
            (self.opaque_lifetime.is_zero(), PolicyError::ZeroOpaqueTokenLifetime, "opaque_token_lifetime"),
            (!fits(self.jitter), PolicyError::JitterOutOfRange, "jitter"),
            (!fits(self.exchange_jitter), PolicyError::ExchangeJitterOutOfRange, "exchange_jitter"),
        ];
        checks.into_iter().filter(|(wrong, ..)| *wrong).map(|(_, error, option)| (error, option)).collect()
    }

    pub fn options(&self) -> Options {
        Options {
            proactive: self.proactive,
            window: millis(self.window),
            background_window: millis(self.background_window),
            min_interval: millis(self.interval),
            renew_before_half: self.renew_before_half,
            retry: self.retries.then(|| (millis(self.retry_initial), millis(self.retry_max))),
            request_backoff_max: millis(self.request_backoff_max),
            timeout: self.timeout.map(millis),
            jitter: self.jitter,
            seed: self.seed,
            opaque_lifetime: millis(self.opaque_lifetime),
            reject_undecodable: self.reject_undecodable,
        }
    }

    /// A run of an Entra user's credential under the options that its laws can see.
    pub fn exchange(&self, setup: exchange::Setup) -> exchange::Setup {
        exchange::Setup {
            each_request: self.each_request,
            proactive: self.proactive,
            interval: Some(millis(self.interval)),
            timeout: Some(self.timeout.map(millis)),
            check_timeout: millis(self.check_timeout),
            jitter: self.exchange_jitter,
            seed: self.seed,
            ..setup
        }
    }
}

/// A fraction of a millisecond counts as one.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn duration(bytes: &mut Bytes<'_>) -> Duration {
    let most = Duration::from_millis(u64::MAX);
    let extremes = [
        Duration::ZERO,
        NANO,
        MILLI,
        MILLI + NANO,
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(MINUTE) - NANO,
        Duration::from_millis(MINUTE),
        Duration::from_millis(MINUTE) + NANO,
        Duration::from_secs(300),
        Duration::from_secs(3_600),
        Duration::from_millis(i64::MAX as u64),
        most - MILLI,
        most,
        most + NANO,
        Duration::MAX,
    ];
    let which = bytes.byte();
    match extremes.get(usize::from(which)) {
        Some(extreme) => *extreme,
        // Spread over the orders of magnitude.
        None if which < 128 => Duration::from_nanos(u64::MAX >> (which % 64)),
        None if which < 192 => Duration::from_millis(u64::MAX >> (which % 64)),
        None => Duration::from_millis(u64::from(which - 192) * 1_000),
    }
}

fn fraction(bytes: &mut Bytes<'_>) -> f64 {
    let extremes = [
        0.0,
        -0.0,
        1.0,
        f64::MIN_POSITIVE,
        -f64::MIN_POSITIVE,
        1.0 - f64::EPSILON,
        1.0 + f64::EPSILON,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::from_bits(1),
    ];
    let which = bytes.byte();
    extremes.get(usize::from(which)).copied().unwrap_or_else(|| f64::from(which) / 255.0)
}
