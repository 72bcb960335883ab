//! A life as a list of operations, and how bytes spell one, for proptest and the fuzzer alike.

use std::ops::Range;
use std::time::Duration;

use acs_common::{CheckSource, Monotonic, NewToken, Now, Policy, RefresherError, Source, UndecodableTokens, UnixTime};
use base64::Engine as _;

/// How a life begins.
#[derive(Clone, Debug)]
pub struct Setup {
    pub knobs: Knobs,
    /// With a source there is none.
    pub initial: Option<Brings>,
    pub source: Option<Asks>,
    pub start: Now,
}

impl Setup {
    pub fn policy(&self) -> Policy {
        let policy = self.knobs.policy();
        let Some(asks) = self.source else { return policy };
        let check = if asks.each_request { CheckSource::EachRequest } else { CheckSource::OnRefresh };
        let policy = policy.to_builder().check_source(check).source_check_timeout(duration(asks.timeout));
        policy.build().expect("the knobs are within their limits")
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

/// A policy whose values the laws can see. Milliseconds; `u64::MAX` stands for [`Duration::MAX`].
#[derive(Clone, Debug)]
pub struct Knobs {
    pub proactive: bool,
    pub window: u64,
    pub background_window: u64,
    pub floor: u64,
    pub renew_before_half: bool,
    /// The first rest and the longest; `None`: no retry.
    pub retry: Option<(u64, u64)>,
    pub request_rest_max: u64,
    pub timeout: Option<u64>,
    pub jitter: f64,
    pub seed: u64,
    pub opaque_lifetime: u64,
    pub reject_undecodable: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Op {
    Request,
    /// Cancels the n-th of those who wait.
    Cancel(u8),
    /// Somebody joins those who wait, and is cancelled before it could matter.
    Ghost,
    Answer(Brings),
    /// Answers a call that is no longer in flight.
    AnswerLate(u8, Brings),
    /// The refresher fails; or the source does, if that is asked.
    Fail(Fails),
    FailLate(u8, Fails),
    /// The source gives this; or gives another while the refresher is at work.
    Gives(Gives),
    /// The same for a check that is no longer in flight.
    GivesLate(u8, Gives),
    Reject(Rejects),
    TryNow,
    Dispose,
    /// Time passes; the host sleeps exactly until each deadline.
    Advance(Span),
    /// Time passes, and the host sleeps through it all.
    Oversleep(Span),
    /// The wall clock alone goes on.
    Suspend(Span),
    StepWall {
        back: bool,
        by: Span,
    },
    /// What must not happen, and must do no harm.
    StepMonotonicBack(Span),
    /// A spurious wake-up.
    Look,
    /// The next so many events come before the host drains the actions.
    Hold(u8),
}

#[derive(Clone, Copy, Debug)]
pub enum Span {
    Millis(u64),
    /// Until the deadline, and so much more.
    Deadline(i64),
    /// Until the held token is dead, and so much more.
    Death(i64),
}

/// What a token is like that comes in.
#[derive(Clone, Copy, Debug)]
pub enum Brings {
    /// A JWT for about so long.
    Jwt(u64),
    /// The same, and its `iat`: so many seconds ago.
    Issued(u64, i64),
    /// A string and its expiry.
    Until(u64),
    /// A string and its lifetime.
    Lasting(u64),
    Opaque,
    Blank,
    /// Dead for so many milliseconds.
    Expired(u64),
    /// A JWT that expires at the end of time.
    Endless,
}

/// What a source gives: several versions, of two users.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gives {
    First,
    /// Of the same user.
    Second,
    /// Of another user, as are all that follow.
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
    /// One that reads like the held one.
    Impostor,
}

/// What the contract says of a token that comes in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Invalid,
    Expired,
    Alive { left: u64 },
}

impl Brings {
    /// The token, and what is to become of it; `asked` is when its refresh started.
    pub fn make(self, text: &str, knobs: &Knobs, asked: Now, now: Now) -> (NewToken, Verdict) {
        let wall = now.unix.as_millis();
        let secs = |life: u64| wall.saturating_add_unsigned(life).div_euclid(1_000);
        let jwt = |claims: String| {
            let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
            NewToken::new(format!("e30.{payload}.{text}"))
        };
        match self {
            Self::Jwt(life) => {
                let exp = secs(life);
                (jwt(format!("{{\"exp\":{exp}}}")), alive(exp.saturating_mul(1_000), wall))
            }
            Self::Issued(life, age) => {
                let (exp, iat) = (secs(life), secs(0).saturating_sub(age));
                let (until, since) = (exp.saturating_mul(1_000), iat.saturating_mul(1_000));
                let verdict = match alive(until, wall) {
                    Verdict::Alive { left } if since < until => Verdict::Alive { left: left.min(apart(until, since)) },
                    other => other,
                };
                (jwt(format!("{{\"iat\":{iat},\"exp\":{exp}}}")), verdict)
            }
            Self::Until(life) => {
                let expires_on = wall.saturating_add_unsigned(life);
                (NewToken::new(text).with_expires_on(UnixTime::from_millis(expires_on)), alive(expires_on, wall))
            }
            Self::Lasting(life) => {
                let left = Ends::after(asked, life).left(now);
                let verdict = if left == 0 { Verdict::Expired } else { Verdict::Alive { left } };
                (NewToken::new(text).with_expires_in(duration(life)), verdict)
            }
            Self::Opaque if knobs.reject_undecodable => (NewToken::new(text), Verdict::Invalid),
            Self::Opaque => (NewToken::new(text), Verdict::Alive { left: knobs.opaque_lifetime }),
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
        let error = RefresherError::new("no luck");
        let error = if self.permanent { error.permanent() } else { error };
        self.retry_after.map_or(error.clone(), |delay| error.with_retry_after(duration(delay)))
    }
}

/// The last moment there is on the monotonic clock.
const LAST: u64 = u64::MAX - 1;

/// The end of a wait on both clocks, as the contract has it.
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

    /// Come, and over: by either clock it is later than that.
    pub fn past(self, now: Now) -> bool {
        now.monotonic.as_millis() > self.mono || now.unix.as_millis() > self.wall
    }

    /// What is left by either clock; nothing once it is past by the monotonic one, if that is never set back.
    pub fn ahead(self, now: Now) -> Option<(u64, i64)> {
        let steady = self.mono.checked_sub(now.monotonic.as_millis())?;
        Some((steady, self.wall - now.unix.as_millis()))
    }

    /// So much later on both clocks.
    pub fn plus(self, millis: u64) -> Self {
        Self { mono: self.mono.saturating_add(millis).min(LAST), wall: self.wall.saturating_add_unsigned(millis) }
    }

    pub fn later(self, other: Self) -> Self {
        Self { mono: self.mono.max(other.mono), wall: self.wall.max(other.wall) }
    }
}

pub fn duration(millis: u64) -> Duration {
    if millis == u64::MAX { Duration::MAX } else { Duration::from_millis(millis) }
}

impl Knobs {
    pub fn standard() -> Self {
        Self {
            proactive: false,
            window: 600_000,
            background_window: 120_000,
            floor: 1_000,
            renew_before_half: false,
            retry: Some((1_000, 300_000)),
            request_rest_max: 30_000,
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
            floor: 0,
            renew_before_half: true,
            retry: None,
            request_rest_max: 0,
            timeout: None,
            ..Self::standard()
        }
    }

    /// So many failures in a row, or more, and the rest after the next is the longest.
    pub fn long_row(&self) -> u32 {
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
            .min_refresh_interval(duration(self.floor))
            .renew_before_half(self.renew_before_half)
            .request_rest_max(duration(self.request_rest_max))
            .refresh_timeout(self.timeout.map(duration))
            .jitter(self.jitter)
            .seed(self.seed)
            .opaque_token_lifetime(duration(self.opaque_lifetime))
            .undecodable_tokens(treatment);
        let policy = match self.retry {
            Some((initial, max)) => policy.retry_initial(duration(initial)).retry_max(duration(max)),
            None => policy.no_retry(),
        };
        policy.build().expect("the knobs are within their limits")
    }
}

/// How many bytes spell the setup, and how many an operation.
pub const SETUP: usize = 12;
pub const OP: usize = 3;
const LONGEST: usize = 96;

/// Any bytes are a life: a setup, then operations.
pub fn ops(bytes: &[u8]) -> (Setup, Vec<Op>) {
    let at = |index: usize| bytes.get(index).copied().unwrap_or_default();
    let mut knobs = match at(0) % 4 {
        0 => Knobs::standard(),
        1 => Knobs::reference(),
        _ => {
            let max = pick(&WAITS, at(4));
            Knobs {
                window: pick(&WAITS, at(2)),
                background_window: pick(&WAITS, at(2) / 16),
                floor: pick(&[0, 1, 500, 1_000, 60_000], at(3)),
                renew_before_half: at(3) >= 128,
                retry: (at(5) % 8 != 0).then(|| (pick(&WAITS, at(5) / 8).min(max), max)),
                request_rest_max: pick(&WAITS, at(6)),
                timeout: (at(7) % 4 != 0).then(|| pick(&WAITS, at(7) / 4).max(1)),
                jitter: pick(&[0.0, 0.0, 0.2, 1.0], at(8)),
                opaque_lifetime: pick(&WAITS, at(9)).max(1),
                reject_undecodable: at(8) >= 128,
                ..Knobs::standard()
            }
        }
    };
    knobs.proactive = at(1) % 2 == 1;
    let source = SOURCES.contains(&at(0)).then(|| Asks {
        each_request: at(0) & 4 != 0,
        prewarm: at(0) & 8 != 0,
        timeout: pick(&[5_000, 5_000, 500, 1, 0, 60_000, u64::MAX], at(11)),
    });
    let initial = (at(10) % 3 != 0 && source.is_none()).then(|| brings(at(10) / 3, at(11)));
    let (mono, wall) = match at(1) / 2 {
        // The ends of the clocks.
        1 => (0, 0),
        2 => (u64::MAX - 90_000, 1_700_000_000_000),
        3 => (5_000_000, i64::MAX - 90_000),
        4 => (5_000_000, i64::MIN),
        5 => (u64::MAX, i64::MAX),
        _ => (5_000_000, 1_700_000_000_000),
    };
    let start = Now::new(Monotonic::from_millis(mono), UnixTime::from_millis(wall));
    let list = bytes.get(SETUP..).unwrap_or_default();
    let ops = list.chunks_exact(OP).take(LONGEST).map(|op| read(source.is_some(), op[0], op[1], op[2])).collect();
    (Setup { knobs, initial, source, start }, ops)
}

/// With one of them as its first byte a life has a source.
pub const SOURCES: Range<u8> = 208..240;

/// What an operation's first byte says, modulo [`kind::ALL`].
pub mod kind {
    pub const REQUEST: u8 = 0;
    pub const CANCEL: u8 = 3;
    pub const GHOST: u8 = 4;
    pub const ANSWER: u8 = 5;
    pub const ANSWER_LATE: u8 = 8;
    pub const FAIL: u8 = 9;
    pub const FAIL_LATE: u8 = 11;
    pub const REJECT: u8 = 12;
    pub const TRY_NOW: u8 = 13;
    pub const ADVANCE: u8 = 14;
    pub const OVERSLEEP: u8 = 17;
    pub const SUSPEND: u8 = 18;
    pub const STEP_WALL: u8 = 19;
    pub const STEP_MONOTONIC_BACK: u8 = 20;
    pub const LOOK: u8 = 21;
    pub const HOLD: u8 = 22;
    pub const DISPOSE: u8 = 23;
    pub const ALL: u8 = 24;
    /// From here on, if there is a source; [`REQUEST`] if there is none.
    pub const GIVES: u8 = 192;
    pub const GIVES_LATE: u8 = 195;
}

fn read(source: bool, first: u8, one: u8, two: u8) -> Op {
    let gives = || pick(&[Gives::First, Gives::First, Gives::Second, Gives::Third, Gives::Fourth], one);
    // The commoner ones have several numbers.
    match first % kind::ALL {
        _ if source && first >= kind::GIVES && first % 4 == kind::GIVES_LATE % 4 => Op::GivesLate(two, gives()),
        _ if source && first >= kind::GIVES => Op::Gives(gives()),
        0..kind::CANCEL => Op::Request,
        kind::CANCEL => Op::Cancel(one),
        kind::GHOST => Op::Ghost,
        kind::ANSWER..kind::ANSWER_LATE => Op::Answer(brings(one, two)),
        kind::ANSWER_LATE => Op::AnswerLate(two, brings(one, two)),
        kind::FAIL..kind::FAIL_LATE => Op::Fail(fails(one)),
        kind::FAIL_LATE => Op::FailLate(two, fails(one)),
        kind::REJECT => Op::Reject(match one % 4 {
            0 => Rejects::Impostor,
            1 => Rejects::Older(two),
            _ => Rejects::Held,
        }),
        kind::TRY_NOW => Op::TryNow,
        kind::ADVANCE..kind::OVERSLEEP => Op::Advance(span(one)),
        kind::OVERSLEEP => Op::Oversleep(span(one)),
        kind::SUSPEND => Op::Suspend(span(one)),
        kind::STEP_WALL => Op::StepWall { back: two % 2 == 1, by: span(one) },
        kind::STEP_MONOTONIC_BACK => Op::StepMonotonicBack(span(one)),
        kind::LOOK => Op::Look,
        kind::HOLD => Op::Hold(one % 6),
        _ if one.is_multiple_of(4) => Op::Dispose,
        _ => Op::Advance(Span::Deadline(0)),
    }
}

const WAITS: [u64; 12] = [0, 1, 2, 500, 1_000, 1_500, 30_000, 60_000, 300_000, 3_600_000, 86_400_000, u64::MAX];
const SPANS: [u64; 18] = [
    0,
    1,
    2,
    250,
    499,
    500,
    999,
    1_000,
    1_001,
    5_000,
    29_999,
    60_000,
    119_000,
    300_000,
    600_000,
    3_600_000,
    86_400_000,
    // 300 years
    9_467_280_000_000,
];

fn pick<T: Copy>(from: &[T], by: u8) -> T {
    from[usize::from(by) % from.len()]
}

fn span(by: u8) -> Span {
    match by {
        0..=143 => Span::Millis(pick(&SPANS, by)),
        144..=207 => Span::Deadline(pick(&[0, 0, -1, 1, 1_000], by)),
        208..=254 => Span::Death(pick(&[0, -1, 1, -500], by)),
        255 => Span::Millis(u64::MAX / 2),
    }
}

fn brings(kind: u8, life: u8) -> Brings {
    let life = pick(&[1, 2, 999, 1_000, 1_500, 60_000, 601_000, 3_600_000, 86_400_000, 9_467_280_000_000], life);
    match kind % 12 {
        0 | 1 => Brings::Jwt(life),
        2 => Brings::Issued(life, pick(&[0, -30, 1, 86_400, -86_400], kind / 12)),
        3..=5 => Brings::Until(life),
        6 | 7 => Brings::Lasting(life),
        8 => Brings::Opaque,
        9 => Brings::Blank,
        10 => Brings::Expired(life - 1),
        _ => Brings::Endless,
    }
}

fn fails(by: u8) -> Fails {
    Fails {
        permanent: by.is_multiple_of(5),
        retry_after: (by.is_multiple_of(3)).then(|| pick(&[0, 1, 500, 5_000, 400_000, u64::MAX], by / 3)),
    }
}
