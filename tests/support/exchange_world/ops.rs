//! A life with an exchange as a list of operations, and how bytes spell one, for proptest and the fuzzer alike.

use std::time::Duration;

use acs_common::entra::{EntraToken, HttpResponse};
use acs_common::{CheckSource, Policy};
use base64::Engine as _;

/// How a life begins.
#[derive(Clone, Debug)]
pub struct Setup {
    pub prewarm: bool,
    pub each_request: bool,
    pub reference: bool,
    pub proactive: bool,
    pub interval: Option<u64>,
    pub timeout: Option<Option<u64>>,
    pub check_timeout: u64,
    pub jitter: f64,
    pub seed: u64,
}

impl Setup {
    pub fn policy(&self) -> Policy {
        let base = if self.reference { Policy::reference() } else { Policy::default() };
        let each = if self.each_request { CheckSource::EachRequest } else { CheckSource::OnRefresh };
        let mut policy = base.to_builder().refresh_proactively(self.proactive).check_source(each).seed(self.seed);
        policy = policy.exchange_jitter(self.jitter).source_check_timeout(Duration::from_millis(self.check_timeout));
        if let Some(interval) = self.interval {
            policy = policy.min_refresh_interval(Duration::from_millis(interval));
        }
        if let Some(timeout) = self.timeout {
            policy = policy.refresh_timeout(timeout.map(Duration::from_millis));
        }
        policy.build().expect("nothing is refused")
    }

    pub fn interval(&self) -> u64 {
        self.interval.unwrap_or(if self.reference { 0 } else { 1_000 })
    }

    pub fn has_timeout(&self) -> bool {
        self.timeout.map_or(!self.reference, |timeout| timeout.is_some())
    }
}

/// An Entra token: of which user, and which of that user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entra(u8);

impl Entra {
    pub const ALICE: Self = Self(0);

    /// Two of alice's, two of bob's, two that cannot be read, a blank one.
    pub fn text(&self) -> String {
        let Self(which) = *self;
        match which {
            0..4 => {
                let user = if which < 2 { "alice" } else { "bob" };
                let payload = format!(r#"{{"tid":"tenant","oid":"{user}","n":{which}}}"#);
                format!("eyJhbGciOiJub25lIn0.{}.", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload))
            }
            4 | 5 => format!("an-unreadable/canary+{which}"),
            _ => " \n".to_owned(),
        }
    }

    pub fn token(self) -> EntraToken {
        EntraToken::new(self.text())
    }

    pub fn is_blank(self) -> bool {
        self.0 >= 6
    }

    pub fn is_of_same_user(self, other: Self) -> bool {
        self == other || self.0 < 4 && self.0 / 2 == other.0 / 2
    }
}

#[derive(Clone, Debug)]
pub enum Op {
    Request,
    /// Cancels the n-th of those who wait.
    Cancel(u8),
    /// Answers the call under way.
    Answer(Answer),
    /// Answers a call that is not under way, or in the wrong way.
    Late(u8, Answer),
    /// The token held, or else one that is gone.
    Reject(bool),
    RetryNow,
    Dispose,
    Look,
    /// Time passes; the host sleeps exactly until each deadline.
    Advance(u64),
    /// Time passes, and the host sleeps through it all.
    Oversleep(u64),
    /// Time passes until the deadline, and so much more or less.
    ToDeadline(i64),
    StepWall(i64),
    /// The next so many events come before the host drains the actions.
    Hold(u8),
}

impl Op {
    /// Whether what comes of it can be told although the host drains later.
    pub fn may_be_held(&self) -> bool {
        match self {
            Self::Request | Self::Cancel(_) | Self::Reject(_) | Self::RetryNow | Self::Dispose | Self::Look => true,
            Self::Answer(_) | Self::Late(..) | Self::Hold(_) => false,
            Self::Advance(_) | Self::Oversleep(_) | Self::ToDeadline(_) | Self::StepWall(_) => false,
        }
    }
}

/// Of the source or of the service, whichever is asked.
#[derive(Clone, Debug)]
pub enum Answer {
    Gives(Entra),
    SignsOut,
    /// With a token that lives so long, in milliseconds.
    Succeeds(i64),
    /// With this status, and a hint in milliseconds.
    Refuses(u16, Option<u32>),
    BadBody,
    Unreachable,
    Raw(Raw),
}

impl Answer {
    /// What the source makes of it.
    pub fn of_source(&self) -> Self {
        match self {
            Self::Gives(entra) => Self::Gives(*entra),
            Self::SignsOut => Self::SignsOut,
            Self::Succeeds(_) => Self::Gives(Entra::ALICE),
            _ => Self::Unreachable,
        }
    }

    /// What the service makes of it; it quotes the Entra token.
    pub fn refusal(&self, entra: &str) -> HttpResponse {
        let (status, hint) = match self {
            Self::Refuses(status, hint) => (*status, *hint),
            Self::BadBody => (200, None),
            Self::Gives(_) => (401, None),
            _ => (403, None),
        };
        let quoted = serde_json::json!({"code": entra, "message": format!("Bearer {entra}"), "target": entra});
        let body = serde_json::json!({"error": {"message": format!("no {entra}"), "details": [quoted]}});
        let response = HttpResponse::new(status).with_body(body.to_string().into_bytes());
        match hint {
            Some(millis) => response.with_header("retry-after-ms", &millis.to_string()),
            None => response,
        }
    }
}

/// Any response at all: in texts the byte 1 stands for the Entra token.
#[derive(Clone, Debug)]
pub struct Raw {
    status: u16,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

impl Raw {
    pub fn make(&self, entra: &str) -> HttpResponse {
        let quote = |bytes: &[u8]| -> Vec<u8> {
            bytes.iter().flat_map(|byte| if *byte == 1 { entra.as_bytes().to_vec() } else { vec![*byte] }).collect()
        };
        let response = HttpResponse::new(self.status).with_body(quote(&self.body));
        self.headers.iter().fold(response, |response, (name, value)| {
            response.with_header(name, &String::from_utf8_lossy(&quote(value)))
        })
    }
}

/// Status 200 and a token that expires then.
pub fn success(text: &str, expiry: i64) -> HttpResponse {
    let moment = chrono::DateTime::from_timestamp_millis(expiry).expect("a test's moments are in our era");
    let moment = moment.format("%Y-%m-%dT%H:%M:%S%.3f0000+00:00").to_string();
    let body = serde_json::json!({"accessToken": {"token": text, "expiresOn": moment}});
    HttpResponse::new(200).with_body(body.to_string().into_bytes())
}

/// How many bytes the setup takes.
pub const SETUP: usize = 4;

/// The kinds of operations, as their first byte has them.
pub mod kind {
    pub const REQUEST: u8 = 0;
    pub const CANCEL: u8 = 1;
    pub const GIVE: u8 = 2;
    pub const SIGN_OUT: u8 = 3;
    pub const SUCCEED: u8 = 4;
    pub const REFUSE: u8 = 5;
    pub const BAD_BODY: u8 = 6;
    pub const UNREACHABLE: u8 = 7;
    pub const LATE: u8 = 8;
    pub const REJECT: u8 = 9;
    pub const RETRY_NOW: u8 = 10;
    pub const DISPOSE: u8 = 11;
    pub const LOOK: u8 = 12;
    pub const ADVANCE: u8 = 13;
    pub const TO_DEADLINE: u8 = 14;
    pub const STEP_WALL: u8 = 15;
    pub const HOLD: u8 = 16;
    pub const FAIL_SOURCE: u8 = 17;
    /// All of two bytes besides. Further kinds are responses of whatever length.
    pub const ALL: u8 = 18;
}

/// Bytes to be read one after another; past their end they are all 0.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Any bytes are a life.
pub fn ops(bytes: &[u8]) -> (Setup, Vec<Op>) {
    let mut bytes = Bytes(bytes);
    let (flags, times, more, seed) = (bytes.byte(), bytes.byte(), bytes.byte(), bytes.byte());
    let setup = Setup {
        prewarm: flags & 1 == 0,
        each_request: flags & 2 == 0,
        reference: flags & 12 == 12,
        proactive: flags & 16 != 0,
        interval: [None, Some(0), Some(1), Some(60_000)][usize::from(times & 3)],
        timeout: [None, Some(None), Some(Some(1)), Some(Some(5_000))][usize::from(times >> 2 & 3)],
        check_timeout: [5_000, 0, 1, 100_000][usize::from(times >> 4 & 3)],
        jitter: [0.5, 0.0, 1.0, 0.5][usize::from(more & 3)],
        seed: u64::from(seed),
    };
    let mut ops = Vec::new();
    while !bytes.0.is_empty() && ops.len() < 200 {
        ops.push(op(&mut bytes));
    }
    (setup, ops)
}

const STATUSES: [u16; 16] = [401, 503, 401, 429, 500, 403, 408, 502, 404, 599, 501, 505, 201, 302, 400, 401];
const LIVES: [i64; 8] = [3_600_000, 1_200_000, 60_000, 5_000, 1, 0, -1, 100_000_000];
const WAITS: [u64; 12] = [0, 1, 100, 799, 800, 1_000, 5_000, 10_000, 60_000, 300_000, 3_600_000, 86_400_000];

fn op(bytes: &mut Bytes) -> Op {
    let (kind, a, b) = (bytes.byte(), bytes.byte(), bytes.byte());
    let pick = |from: &[u64]| from[usize::from(a) % from.len()];
    match kind {
        kind::REQUEST => Op::Request,
        kind::CANCEL => Op::Cancel(a),
        kind::LATE => Op::Late(a, answer(b % 18, b, a)),
        kind::REJECT => Op::Reject(a & 3 == 3),
        kind::RETRY_NOW => Op::RetryNow,
        // Not too often: there is nothing after it.
        kind::DISPOSE if a % 4 == 0 => Op::Dispose,
        kind::DISPOSE | kind::LOOK => Op::Look,
        kind::ADVANCE if b >= 192 => Op::Oversleep(pick(&WAITS)),
        kind::ADVANCE => Op::Advance(pick(&WAITS) + u64::from(b % 3)),
        kind::TO_DEADLINE => Op::ToDeadline([0, 0, 0, -1, 1, 500, 70_000][usize::from(a) % 7]),
        kind::STEP_WALL => {
            let by = i64::try_from(pick(&WAITS)).unwrap_or_default();
            Op::StepWall(if b & 1 == 0 { by } else { -by })
        }
        kind::HOLD => Op::Hold(1 + a % 4),
        other if other < kind::ALL => Op::Answer(answer(other, a, b)),
        _ => {
            // Most of them as good as the service's own.
            let status = if kind & 1 == 0 { 200 } else { u16::from(kind) * 4 + u16::from(a & 3) };
            let names = ["retry-after", "retry-after-ms", "x-ms-retry-after-ms", "x-ms-error-code", "x-ms-request-id"];
            let headers = (0..usize::from(a >> 2 & 3)).map(|_| {
                let (name, length) = (bytes.byte(), bytes.byte());
                (names[usize::from(name) % names.len()], bytes.take(usize::from(length)).to_vec())
            });
            let headers = headers.collect();
            let length = usize::from(b) * if kind & 2 == 0 { 1 } else { 8 };
            Op::Answer(Answer::Raw(Raw { status, headers, body: bytes.take(length).to_vec() }))
        }
    }
}

fn answer(kind: u8, a: u8, b: u8) -> Answer {
    match kind {
        kind::GIVE => Answer::Gives(Entra(a % 7)),
        kind::SIGN_OUT => Answer::SignsOut,
        kind::SUCCEED => Answer::Succeeds(LIVES[usize::from(a) % LIVES.len()]),
        kind::REFUSE => {
            let hint = [None, Some(0), Some(1), Some(900), Some(60_000), Some(60_001), Some(u32::MAX), None];
            Answer::Refuses(STATUSES[usize::from(a) % STATUSES.len()], hint[usize::from(b) % hint.len()])
        }
        kind::BAD_BODY => Answer::BadBody,
        _ => Answer::Unreachable,
    }
}
