//! How long to wait: until a token's renewal, and between tries. Pure arithmetic on milliseconds.

use crate::policy::Policy;
use crate::time::millis;

/// A seeded generator ([SplitMix64](https://doi.org/10.1145/2714064.2660195)): same seed, same numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// `wait` less a random part of at most its `fraction`.
    pub(crate) fn shorten(&mut self, wait: u64, fraction: f32) -> u64 {
        wait.saturating_sub(self.part(wait, fraction))
    }

    /// A random part of `wait`, at most its `fraction`.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn part(&mut self, wait: u64, fraction: f32) -> u64 {
        if fraction == 0.0 {
            return 0;
        }
        let drawn = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (wait as f64 * f64::from(fraction) * drawn) as u64
    }
}

/// The most that jitter adds to the issuer's `Retry-After`, in milliseconds.
const LONGEST_DELAY: u64 = 30_000;

/// How long after its acceptance to renew a token that is valid for `left` more milliseconds (1 or more).
pub(crate) fn until_renewal(policy: &Policy, left: u64, random: &mut Random) -> u64 {
    let (before, half) = (left.saturating_sub(policy.window_millis()), left / 2);
    let due = if policy.renews_before_half() && before > 0 { before } else { before.max(half) };
    wait(policy, due, left, random)
}

/// How long after the source confirmed the held token to look for another one: half of the time left.
pub(crate) fn until_half(policy: &Policy, left: u64, random: &mut Random) -> u64 {
    wait(policy, left / 2, left, random)
}

fn wait(policy: &Policy, due: u64, left: u64, random: &mut Random) -> u64 {
    let least = policy.min_interval_millis().max(1);
    random.shorten(due.max(least), policy.jitter()).max(least).min(left)
}

/// How long to leave the refresher alone after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// Before the timer tries again.
    pub(crate) timer: u64,
    /// Before a request that finds no valid token tries again. Never longer than `timer`.
    pub(crate) request: u64,
}

/// What is known of a failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    /// Its place in its streak, from 1.
    pub(crate) streak: u32,
    pub(crate) permanent: bool,
    pub(crate) retry_after: core::time::Duration,
    /// Milliseconds left of the held token; 0 if none is valid.
    pub(crate) left: u64,
}

/// The backoff after a failure (contract, rule 2.6); `None` if the policy has none.
pub(crate) fn after(policy: &Policy, failure: Failure, random: &mut Random) -> Option<Backoff> {
    let (initial, max) = policy.retry_millis()?;
    let (interval, asked) = (policy.min_interval_millis(), millis(failure.retry_after));
    let jitter = policy.jitter();
    let (calm, request) = if failure.permanent {
        (random.shorten(max, jitter).max(interval.min(max)), max)
    } else {
        let doubled = 1_u64.checked_shl(failure.streak.saturating_sub(1)).unwrap_or(u64::MAX);
        let base = initial.saturating_mul(doubled).min(max);
        let jittered = random.shorten(base, jitter);
        let calm = if failure.left > 0 { jittered.min(failure.left / 2) } else { jittered };
        (calm.max(interval), base.min(policy.request_backoff_millis()).max(asked.min(max)).max(interval))
    };
    // The issuer's time is never shortened, but many clients have the same.
    let later = if asked > 0 { random.part(asked, jitter).min(LONGEST_DELAY) } else { 0 };
    let timer = calm.max(asked.saturating_add(later)).max(1);
    Some(Backoff { timer, request: request.min(timer).max(1) })
}
