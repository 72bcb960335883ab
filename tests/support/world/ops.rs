//! A run as a list of operations.

use std::time::Duration;

use acs_common::{CheckSource, NewToken, Now, Policy, RefresherError, Source, UndecodableTokens, UnixTime};
use base64::Engine as _;

use super::server::Dated;

#[path = "bytes.rs"]
mod bytes;
#[allow(unused_imports, reason = "each includer uses a part of it")]
pub use bytes::{SERVERS, SETUP, SOURCES, kind, ops};

/// How a run begins.
#[derive(Clone, Debug)]
pub struct Setup {
    pub options: Options,
    /// Always `None` with a source.
    pub initial: Option<Brings>,
    pub source: Option<Asks>,
    /// The issuer and the service have a clock of their own: how many milliseconds the wall clock is ahead of it. Never with an
    /// initial token.
    pub server: Option<i64>,
    pub start: Now,
}

impl Setup {
    pub fn policy(&self) -> Policy {
        let policy = self.options.policy();
        let Some(asks) = self.source else { return policy };
        let check = if asks.each_request { CheckSource::EachRequest } else { CheckSource::OnRefresh };
        let policy = policy.to_builder().check_source(check).source_check_timeout(duration(asks.timeout));
        policy.build().expect("the options are within their limits")
    }
}

/// How a credential asks its source.
#[derive(Clone, Copy, Debug)]
pub struct Asks {
    pub each_request: bool,
    pub prewarm: bool,
    /// Milliseconds for which a valid token waits for the answer to a request's check.
    pub timeout: u64,
}

/// Options whose values the laws can see. In milliseconds; `u64::MAX` means [`Duration::MAX`].
#[derive(Clone, Debug)]
pub struct Options {
    pub proactive: bool,
    pub window: u64,
    pub background_window: u64,
    pub min_interval: u64,
    pub renew_before_half: bool,
    /// The first backoff and the longest. `None`: no retry.
    pub retry: Option<(u64, u64)>,
    pub request_backoff_max: u64,
    pub timeout: Option<u64>,
    pub jitter: f64,
    pub seed: u64,
    pub opaque_lifetime: u64,
    pub reject_undecodable: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Op {
    Request,
    /// Requests another token than the held one, or than an older one.
    RequestOther(Rejects),
    /// Cancels the n-th waiter.
    Cancel(u8),
    /// A ghost: a waiter that joins and is cancelled before it can matter.
    Ghost,
    /// The refresher's answer. An issuer with a clock of its own states its time in it, and in a failure.
    Answer(Brings),
    /// The same without its time.
    AnswerWithoutDate(Brings),
    /// A response tells the server's time.
    ServerDate(Dated),
    /// Answers a call that is no longer in flight.
    AnswerLate(u8, Brings),
    /// The refresher fails, or the source if a check is in flight.
    Fail(Fails),
    FailLate(u8, Fails),
    /// The source returns this, in a check or while the refresher works.
    Gives(Gives),
    /// The same, for a check that is no longer in flight.
    GivesLate(u8, Gives),
    Reject(Rejects),
    RetryNow,
    Dispose,
    /// Time passes. The host sleeps exactly until each deadline.
    Advance(Span),
    /// Time passes. The host sleeps through all deadlines.
    Oversleep(Span),
    /// Only the wall clock runs.
    Suspend(Span),
    StepWall {
        back: bool,
        by: Span,
    },
    /// An event that must not happen, and must do no harm.
    StepMonotonicBack(Span),
    /// A spurious wake-up.
    Look,
    /// This many events come before the host drains the actions.
    Hold(u8),
}

#[derive(Clone, Copy, Debug)]
pub enum Span {
    Millis(u64),
    /// Until the deadline, and this much longer.
    Deadline(i64),
    /// Until the held token has expired, and this much longer.
    Expiry(i64),
}

/// The form of a new token.
#[derive(Clone, Copy, Debug)]
pub enum Brings {
    /// A JWT valid for about this long.
    Jwt(u64),
    /// The same, and its `iat`: this many seconds ago.
    Issued(u64, i64),
    /// A string and its expiry.
    Until(u64),
    /// A string and its lifetime.
    Lasting(u64),
    Opaque,
    Blank,
    /// Expired this many milliseconds ago.
    Expired(u64),
    /// A JWT that expires at the last possible time.
    Endless,
    /// A string and its expiry, as with `Until`. It has the text of the last accepted token.
    Again(u64),
}

/// What a source returns: several versions, of two users.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gives {
    First,
    /// Of the same user.
    Second,
    /// Of another user, like all later variants.
    Third,
    Fourth,
}

impl Gives {
    pub fn make(self) -> Source {
        let (version, user) = match self {
            Self::First => (1, 1),
            Self::Second => (2, 1),
            Self::Third => (3, 2),
            Self::Fourth => (4, 2),
        };
        Source { version, user }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Fails {
    pub permanent: bool,
    pub retry_after: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub enum Rejects {
    Held,
    Older(u8),
    /// A token with the same text as the held one.
    Impostor,
}

/// What the contract says about a new token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Invalid,
    Expired,
    Alive { left: u64 },
}

impl Brings {
    /// The token, and what must become of it. `asked` is when its refresh started.
    pub fn make(self, text: &str, options: &Options, asked: Now, now: Now) -> (NewToken, Verdict) {
        let wall = now.unix.as_millis();
        let secs = |lifetime: u64| wall.saturating_add_unsigned(lifetime).div_euclid(1_000);
        let jwt = |claims: String| {
            let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
            NewToken::new(format!("e30.{payload}.{text}"))
        };
        match self {
            // A JWT cannot say so: such a number is not seconds any more.
            Self::Jwt(lifetime) | Self::Issued(lifetime, _) if secs(lifetime) >= 1_000_000_000_000 => {
                Self::Until(lifetime).make(text, options, asked, now)
            }
            Self::Jwt(lifetime) => {
                let exp = secs(lifetime);
                (jwt(format!("{{\"exp\":{exp}}}")), alive(exp.saturating_mul(1_000), wall))
            }
            Self::Issued(lifetime, age) => {
                let (exp, iat) = (secs(lifetime), secs(0).saturating_sub(age));
                let (until, since) = (exp.saturating_mul(1_000), iat.saturating_mul(1_000));
                let verdict = match alive(until, wall) {
                    Verdict::Alive { left } if since < until => Verdict::Alive { left: left.min(apart(until, since)) },
                    other => other,
                };
                (jwt(format!("{{\"iat\":{iat},\"exp\":{exp}}}")), verdict)
            }
            Self::Until(lifetime) | Self::Again(lifetime) => {
                let expires_on = wall.saturating_add_unsigned(lifetime);
                (NewToken::new(text).with_expires_on(UnixTime::from_millis(expires_on)), alive(expires_on, wall))
            }
            Self::Lasting(lifetime) => {
                let left = Ends::after(asked, lifetime).left(now);
                let verdict = if left == 0 { Verdict::Expired } else { Verdict::Alive { left } };
                (NewToken::new(text).with_expires_in(duration(lifetime)), verdict)
            }
            Self::Opaque if options.reject_undecodable => (NewToken::new(text), Verdict::Invalid),
            Self::Opaque => (NewToken::new(text), Verdict::Alive { left: options.opaque_lifetime }),
            Self::Blank => (NewToken::new(" \t\n"), Verdict::Invalid),
            Self::Expired(ago) => {
                let expires_on = wall.saturating_sub_unsigned(ago);
                (NewToken::new(text).with_expires_on(UnixTime::from_millis(expires_on)), alive(expires_on, wall))
            }
            Self::Endless => (jwt("{\"exp\":1e300}".to_owned()), alive(i64::MAX, wall)),
        }
    }
}

fn alive(expires_on: i64, wall: i64) -> Verdict {
    if expires_on > wall { Verdict::Alive { left: apart(expires_on, wall) } } else { Verdict::Expired }
}

fn apart(later: i64, earlier: i64) -> u64 {
    later.abs_diff(earlier)
}

impl Fails {
    pub fn make(self) -> RefresherError {
        let error = RefresherError::new("it failed");
        let error = if self.permanent { error.permanent() } else { error };
        self.retry_after.map_or(error.clone(), |delay| error.with_retry_after(duration(delay)))
    }
}

/// The last possible moment of the monotonic clock.
const LAST: u64 = u64::MAX - 1;

/// The end of a wait on both clocks, as the contract defines it.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub mono: u64,
    pub wall: i64,
}

impl Ends {
    pub fn after(now: Now, millis: u64) -> Self {
        Self {
            mono: now.monotonic.as_millis().saturating_add(millis).min(LAST),
            wall: now.unix.as_millis().saturating_add_unsigned(millis),
        }
    }

    pub fn left(self, now: Now) -> u64 {
        let steady = self.mono.saturating_sub(now.monotonic.as_millis());
        let wall = i128::from(self.wall) - i128::from(now.unix.as_millis());
        steady.min(u64::try_from(wall.max(0)).unwrap_or(u64::MAX))
    }

    pub fn come(self, now: Now) -> bool {
        now.monotonic.as_millis() >= self.mono || now.unix.as_millis() >= self.wall
    }

    /// The wait is over: either clock is past its end.
    pub fn past(self, now: Now) -> bool {
        now.monotonic.as_millis() > self.mono || now.unix.as_millis() > self.wall
    }

    /// The time left by either clock. Zero when it is past by the monotonic clock, which is never set back.
    pub fn ahead(self, now: Now) -> Option<(u64, i64)> {
        let steady = self.mono.checked_sub(now.monotonic.as_millis())?;
        Some((steady, self.wall - now.unix.as_millis()))
    }

    /// This much later on both clocks.
    pub fn plus(self, millis: u64) -> Self {
        Self { mono: self.mono.saturating_add(millis).min(LAST), wall: self.wall.saturating_add_unsigned(millis) }
    }

    /// As long as the longer one from now on.
    pub fn later(self, other: Self, now: Now) -> Self {
        Self::after(now, self.left(now).max(other.left(now)))
    }
}

pub fn duration(millis: u64) -> Duration {
    if millis == u64::MAX { Duration::MAX } else { Duration::from_millis(millis) }
}

impl Options {
    /// The longest backoff that an issuer's `Retry-After` leads to.
    pub fn lengthened(&self, asked: u64) -> u64 {
        if self.jitter == 0.0 {
            return asked;
        }
        asked.saturating_add(((asked as f64 * self.jitter) as u64).saturating_add(1).min(30_000))
    }

    pub fn standard() -> Self {
        Self {
            proactive: false,
            window: 600_000,
            background_window: 120_000,
            min_interval: 1_000,
            renew_before_half: false,
            retry: Some((1_000, 300_000)),
            request_backoff_max: 30_000,
            timeout: Some(60_000),
            jitter: 0.0,
            seed: 7,
            opaque_lifetime: 600_000,
            reject_undecodable: false,
        }
    }

    pub fn reference() -> Self {
        Self {
            background_window: 0,
            min_interval: 0,
            renew_before_half: true,
            retry: None,
            request_backoff_max: 0,
            timeout: None,
            ..Self::standard()
        }
    }

    /// After this many failures in a row, the next backoff is the longest.
    pub fn long_streak(&self) -> u32 {
        let (initial, max) = self.retry.unwrap_or_default();
        (0..64).find(|row| initial.saturating_mul(1 << row) >= max).unwrap_or(u32::MAX)
    }

    pub fn policy(&self) -> Policy {
        let treatment =
            if self.reject_undecodable { UndecodableTokens::Reject } else { UndecodableTokens::AcceptAsOpaque };
        let policy = Policy::builder()
            .refresh_proactively(self.proactive)
            .refresh_window(duration(self.window))
            .background_window(duration(self.background_window))
            .min_refresh_interval(duration(self.min_interval))
            .renew_before_half(self.renew_before_half)
            .request_backoff_max(duration(self.request_backoff_max))
            .refresh_timeout(self.timeout.map(duration))
            .jitter(self.jitter)
            .seed(self.seed)
            .opaque_token_lifetime(duration(self.opaque_lifetime))
            .undecodable_tokens(treatment);
        let policy = match self.retry {
            Some((initial, max)) => policy.retry_initial(duration(initial)).retry_max(duration(max)),
            None => policy.no_retry(),
        };
        policy.build().expect("the options are within their limits")
    }
}
