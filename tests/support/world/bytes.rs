//! How bytes spell a run, for proptest and for the fuzzer.

use std::ops::Range;

use acs_common::{DateSource, Monotonic, Now, UnixTime};

use super::{Asks, Brings, Dated, Fails, Gives, Op, Options, Rejects, Setup, Span};

/// How many bytes spell the setup, and how many an operation.
pub const SETUP: usize = 12;
const OP: usize = 3;
const LONGEST: usize = 96;

/// Any bytes spell a run: a setup, then operations.
pub fn ops(bytes: &[u8]) -> (Setup, Vec<Op>) {
    let at = |index: usize| bytes.get(index).copied().unwrap_or_default();
    let mut options = match at(0) % 4 {
        0 => Options::standard(),
        1 => Options::reference(),
        _ => {
            let max = pick(&WAITS, at(4));
            Options {
                window: pick(&WAITS, at(2)),
                background_window: pick(&WAITS, at(2) / 16),
                min_interval: pick(&[0, 1, 500, 1_000, 60_000], at(3)),
                renew_before_half: at(3) >= 128,
                retry: (at(5) % 8 != 0).then(|| (pick(&WAITS, at(5) / 8).min(max), max)),
                request_backoff_max: pick(&WAITS, at(6)),
                timeout: (at(7) % 4 != 0).then(|| pick(&WAITS, at(7) / 4).max(1)),
                jitter: pick(&[0.0, 0.0, 0.2, 1.0], at(8)),
                opaque_lifetime: pick(&WAITS, at(9)).max(1),
                reject_undecodable: at(8) >= 128,
                ..Options::standard()
            }
        }
    };
    options.proactive = at(1) % 2 == 1;
    let source = SOURCES.contains(&at(0)).then(|| Asks {
        each_request: at(0) & 4 != 0,
        prewarm: at(0) & 8 != 0,
        timeout: pick(&[5_000, 5_000, 500, 1, 0, 60_000, u64::MAX], at(11)),
    });
    // Without the server's time a wrong clock is an outage: the reference's policy has none.
    let server = (SERVERS.contains(&at(0)) && at(0) % 4 != 1).then(|| pick(&AHEAD, at(11)));
    let initial = (at(10) % 3 != 0 && source.is_none() && server.is_none()).then(|| brings(at(10) / 3, at(11)));
    let (mono, wall) = match at(1) / 2 {
        _ if server.is_some() => (5_000_000, 1_700_000_000_000),
        // The limits of the clocks.
        1 => (0, 0),
        2 => (u64::MAX - 90_000, 1_700_000_000_000),
        3 => (5_000_000, i64::MAX - 90_000),
        4 => (5_000_000, i64::MIN),
        5 => (u64::MAX, i64::MAX),
        _ => (5_000_000, 1_700_000_000_000),
    };
    let start = Now::new(Monotonic::from_millis(mono), UnixTime::from_millis(wall));
    let list = bytes.get(SETUP..).unwrap_or_default();
    let ops = list.chunks_exact(OP).take(LONGEST).map(|op| match op {
        [first, one, two] if server.is_some() && *first >= kind::GIVES => dated(*first, *one, *two),
        op => read(source.is_some(), op[0], op[1], op[2]),
    });
    (Setup { options, initial, source, server, start }, ops.collect())
}

/// A run whose first byte is one of these has a source.
pub const SOURCES: Range<u8> = 208..240;

/// A run whose first byte is one of these has a server with a clock of its own.
pub const SERVERS: Range<u8> = 240..255;

/// The meaning of an operation's first byte, modulo [`kind::ALL`].
pub mod kind {
    pub const REQUEST: u8 = 0;
    /// A request for another token than the held one, or than an older one.
    pub const REQUEST_OTHER: u8 = 2;
    pub const CANCEL: u8 = 3;
    pub const GHOST: u8 = 4;
    pub const ANSWER: u8 = 5;
    pub const ANSWER_LATE: u8 = 8;
    pub const FAIL: u8 = 9;
    pub const FAIL_LATE: u8 = 11;
    pub const REJECT: u8 = 12;
    pub const RETRY_NOW: u8 = 13;
    pub const ADVANCE: u8 = 14;
    pub const OVERSLEEP: u8 = 17;
    pub const SUSPEND: u8 = 18;
    pub const STEP_WALL: u8 = 19;
    pub const STEP_MONOTONIC_BACK: u8 = 20;
    pub const LOOK: u8 = 21;
    pub const HOLD: u8 = 22;
    pub const DISPOSE: u8 = 23;
    pub const ALL: u8 = 24;
    /// This and the later kinds need a source, or a server with a clock of its own. Without either they are [`REQUEST`].
    pub const GIVES: u8 = 192;
    pub const GIVES_LATE: u8 = 195;
    pub const SERVER_DATE: u8 = 193;
    pub const ANSWER_WITHOUT_DATE: u8 = 194;
}

fn dated(first: u8, one: u8, two: u8) -> Op {
    if first % 4 == kind::ANSWER_WITHOUT_DATE % 4 {
        return Op::AnswerWithoutDate(brings(one, two));
    }
    let by = if one.is_multiple_of(2) { DateSource::Service } else { DateSource::Issuer };
    let off = if one < 128 { 0 } else { pick(&AHEAD, one / 2) };
    Op::ServerDate(Dated { by, off, took: pick(&[0, 100, 1_000, 29_999, 30_001], two) })
}

fn read(source: bool, first: u8, one: u8, two: u8) -> Op {
    let gives = || pick(&[Gives::First, Gives::First, Gives::Second, Gives::Third, Gives::Fourth], one);
    // The more common kinds have several numbers.
    match first % kind::ALL {
        _ if source && first >= kind::GIVES && first % 4 == kind::GIVES_LATE % 4 => Op::GivesLate(two, gives()),
        _ if source && first >= kind::GIVES => Op::Gives(gives()),
        0..kind::REQUEST_OTHER => Op::Request,
        kind::REQUEST_OTHER => Op::RequestOther(rejects(one, two)),
        kind::CANCEL => Op::Cancel(one),
        kind::GHOST => Op::Ghost,
        kind::ANSWER..kind::ANSWER_LATE => Op::Answer(brings(one, two)),
        kind::ANSWER_LATE => Op::AnswerLate(two, brings(one, two)),
        kind::FAIL..kind::FAIL_LATE => Op::Fail(fails(one)),
        kind::FAIL_LATE => Op::FailLate(two, fails(one)),
        kind::REJECT => Op::Reject(rejects(one, two)),
        kind::RETRY_NOW => Op::RetryNow,
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

/// By how much a clock is wrong: seconds, minutes, around the life of a token, a day, years.
const AHEAD: [i64; 11] = [
    0,
    3_000,
    -30_000,
    300_000,
    -3_540_000,
    3_660_000,
    -3_660_000,
    86_400_000,
    -86_400_000,
    315_360_000_000,
    -315_360_000_000,
];
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

fn rejects(one: u8, two: u8) -> Rejects {
    match one % 4 {
        0 => Rejects::Impostor,
        1 => Rejects::Older(two),
        _ => Rejects::Held,
    }
}

fn span(by: u8) -> Span {
    match by {
        0..=143 => Span::Millis(pick(&SPANS, by)),
        144..=207 => Span::Deadline(pick(&[0, 0, -1, 1, 1_000], by)),
        208..=254 => Span::Expiry(pick(&[0, -1, 1, -500], by)),
        255 => Span::Millis(u64::MAX / 2),
    }
}

fn brings(kind: u8, lifetime: u8) -> Brings {
    let lifetime =
        pick(&[1, 2, 999, 1_000, 1_500, 60_000, 601_000, 3_600_000, 86_400_000, 9_467_280_000_000], lifetime);
    match kind % 12 {
        _ if kind > 215 => Brings::Again(lifetime),
        0 | 1 => Brings::Jwt(lifetime),
        2 => Brings::Issued(lifetime, pick(&[0, -30, 1, 86_400, -86_400], kind / 12)),
        3..=5 => Brings::Until(lifetime),
        6 | 7 => Brings::Lasting(lifetime),
        8 => Brings::Opaque,
        9 => Brings::Blank,
        10 => Brings::Expired(lifetime - 1),
        _ => Brings::Endless,
    }
}

fn fails(by: u8) -> Fails {
    Fails {
        permanent: by.is_multiple_of(5),
        retry_after: (by.is_multiple_of(3)).then(|| pick(&[0, 1, 500, 5_000, 400_000, u64::MAX], by / 3)),
    }
}
