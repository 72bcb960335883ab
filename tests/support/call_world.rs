//! A simulated host of one authorized call. It does what the call says, and checks the laws of contract section 8 after each
//! step. Property tests, the exhaustive search and the fuzz target use it.

use std::fmt;

use acs_common::call::{Authorization, Call, CallAction, CallEvent, CallResponse, Returned};
use acs_common::{Machine, NewToken, Policy, Token, UnixTime};

use super::rig::now;

/// How the call is authorized, and whether the host can send its request twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    pub key: bool,
    /// The host holds a token at the start.
    pub held: bool,
    pub replayable: bool,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The credential gives one of the tokens. The first two read the same.
    Token(usize),
    NoToken,
    Response {
        status: u16,
        challenge: usize,
        elsewhere: bool,
        /// How far the service's date is from the first signature's, in seconds; `None`: no date.
        ahead: Option<i64>,
    },
    NotSent,
    Cancel,
    /// The host takes one action.
    Poll,
    /// The host takes all actions.
    Drain,
}

pub const TOKENS: usize = 3;

/// Lines of `WWW-Authenticate`, and whether a 401 with them is about the token.
pub const CHALLENGES: [(&[&str], bool); 8] = [
    (&[], true),
    (&["Bearer"], true),
    (&["bearer realm=\"a, b\", Error=\"invalid_token\""], true),
    (&["Basic realm=\"x\"", "Negotiate, Bearer error=invalid_token"], true),
    (&["\"not a challenge"], true),
    (&["Bearer error=\"insufficient_scope\", scope=\"chat\""], false),
    (&["Basic realm=\"x\", charset=\"UTF-8\""], false),
    (&["Basic dGVzdA==", "Bearer error=\"invalid_request\""], false),
];

/// When the first signature is made, in seconds.
pub const SIGNED: i64 = 1_649_873_352;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// The date in the form of HTTP, in April 2022.
pub fn http_date(seconds: i64) -> String {
    // The 13th began at this second.
    let since = seconds - 1_649_808_000;
    let (days, second) = (since.div_euclid(86_400), since.rem_euclid(86_400));
    let day = 13 + days;
    assert!((1..=30).contains(&day), "{seconds} is not in April 2022");
    let weekday = DAYS[usize::try_from((6 + days).rem_euclid(7)).unwrap()];
    format!("{weekday}, {day:02} Apr 2022 {:02}:{:02}:{:02} GMT", second / 3_600, second / 60 % 60, second % 60)
}

impl Op {
    fn is_answer(self) -> Option<Awaited> {
        match self {
            Self::Token(_) | Self::NoToken => Some(Awaited::Token),
            Self::Response { .. } | Self::NotSent => Some(Awaited::Response),
            Self::Cancel | Self::Poll | Self::Drain => None,
        }
    }

    fn refuses_token(self) -> bool {
        matches!(self, Self::Response { status: 401, challenge, elsewhere: false, .. } if CHALLENGES[challenge].1)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Token,
    Response,
}

/// What was put on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Token(usize),
    Signature(UnixTime),
}

pub struct World {
    call: Call,
    setup: Setup,
    tokens: [Token; TOKENS],
    awaited: Option<Awaited>,
    sent: Vec<Sent>,
    /// Tokens that were refused, and those of them that the credential has heard of.
    refused: Vec<usize>,
    rejected: Vec<usize>,
    /// The host holds a response.
    holds_response: bool,
    failed: bool,
    /// The service's date in the last response, if it is a refusal of the date.
    corrected: Option<UnixTime>,
    cancelled: bool,
    /// Asked for a token at the time.
    cancels: bool,
    returned: Option<Returned>,
    pub broken: Option<String>,
}

impl World {
    pub fn new(setup: Setup) -> Self {
        let signed = UnixTime::from_secs(SIGNED);
        let token = |text: &str| {
            let machine = Machine::<()>::with_static_token(NewToken::new(text), Policy::default(), now(0)).unwrap();
            machine.token(now(0)).unwrap().clone()
        };
        let tokens = ["Canary4Same4Qx7vB2mZ9kL", "Canary4Same4Qx7vB2mZ9kL", "Canary5Other5Pq4wE7rT1y"].map(token);
        let call = match setup {
            Setup { key: true, replayable, .. } => Call::with_key(signed, replayable),
            Setup { held: true, replayable, .. } => Call::with_held_token(tokens[0].clone(), replayable),
            Setup { replayable, .. } => Call::with_token(replayable),
        };
        Self {
            call,
            setup,
            tokens,
            awaited: None,
            sent: Vec::new(),
            refused: Vec::new(),
            rejected: Vec::new(),
            holds_response: false,
            failed: false,
            corrected: None,
            cancelled: false,
            cancels: false,
            returned: None,
            broken: None,
        }
    }

    /// Plays the operations, and then a host that ends whatever is open. Says which law broke first.
    pub fn play(setup: Setup, ops: &[Op]) -> Result<Self, String> {
        let mut world = Self::new(setup);
        for op in ops {
            world.run(*op);
        }
        world.finish();
        match world.broken.take() {
            Some(broken) => Err(format!("{broken}\nin {setup:?}\n{ops:?}")),
            None => Ok(world),
        }
    }

    pub fn run(&mut self, op: Op) {
        let awaited = op.is_answer().is_some_and(|answer| self.awaited == Some(answer));
        let before = format!("{:?}", self.call);
        match op {
            Op::Poll => {
                self.poll();
                return;
            }
            Op::Drain => {
                while self.poll() {}
                return;
            }
            Op::Cancel => {
                self.cancels |= !self.cancelled && self.awaited == Some(Awaited::Token);
                self.cancelled |= self.returned.is_none();
                self.awaited = None;
                self.call.handle(CallEvent::Cancelled);
                return;
            }
            Op::Token(which) => self.call.handle(CallEvent::TokenReceived { token: self.tokens[which].clone() }),
            Op::NoToken => self.call.handle(CallEvent::TokenFailed),
            Op::NotSent => self.call.handle(CallEvent::SendFailed),
            Op::Response { .. } => self.call.handle(CallEvent::ResponseReceived { response: response(op) }),
        }
        if !awaited {
            self.check(before == format!("{:?}", self.call), "an answer that nobody waits for changes nothing");
            return;
        }
        self.awaited = None;
        match op {
            Op::Response { .. } => {
                self.holds_response = true;
                match self.sent.last() {
                    Some(Sent::Token(which)) if op.refuses_token() => self.refused.push(*which),
                    Some(Sent::Signature(date)) => self.corrected = corrects(op, *date),
                    Some(Sent::Token(_)) | None => {}
                }
            }
            Op::NoToken | Op::NotSent => self.failed = !self.holds_response,
            Op::Token(_) | Op::Cancel | Op::Poll | Op::Drain => {}
        }
    }

    /// Takes an action. False: there is no action.
    fn poll(&mut self) -> bool {
        let Some(action) = self.call.poll_action() else { return false };
        let action = match action {
            CallAction::RejectToken { token } => Act::Reject(index(&self.tokens, &token)),
            CallAction::GetToken { other_than } => Act::Get(other_than.map(|token| index(&self.tokens, &token))),
            CallAction::CancelToken => Act::Cancel,
            CallAction::Send { with } => Act::Send(sent(&self.tokens, with), false),
            CallAction::SendAgain { with } => Act::Send(sent(&self.tokens, with), true),
            CallAction::Return { what } => Act::Return(what),
        };
        let silent = self.cancelled && !matches!(action, Act::Reject(_) | Act::Cancel);
        self.check(!silent, "after the caller gave up, nothing is asked, sent or returned");
        self.check(self.returned.is_none(), "nothing comes after the end");
        self.check(self.awaited.is_none(), "one thing at a time is under way");
        match action {
            Act::Reject(which) => {
                self.rejected.push(which);
                self.check(self.rejected == self.refused, "exactly the tokens that were sent and refused are rejected");
                self.check(
                    self.sent.last() == Some(&Sent::Token(which)),
                    "the rejected token is the one that was sent",
                );
            }
            Act::Get(other_than) => {
                self.check(!self.setup.key, "a key needs no token");
                match other_than {
                    None => {
                        self.check(!self.setup.held, "a token that is held is not asked for");
                        self.check(self.sent.is_empty(), "the first token is asked for before anything is sent");
                    }
                    Some(which) => {
                        self.check(self.refused == [which], "another token is asked for after a first refusal");
                        self.check(self.rejected == [which], "it is rejected first");
                        self.check(self.setup.replayable, "nothing is asked for a request that cannot be sent again");
                    }
                }
                self.awaited = Some(Awaited::Token);
            }
            Act::Cancel => {
                self.check(self.cancels, "only a request for a token is cancelled");
                self.cancels = false;
            }
            Act::Send(sent, again) => {
                self.check(again != self.sent.is_empty(), "a first send is a first send");
                self.check(!again || self.setup.replayable, "what cannot be sent again is not");
                self.check(self.holds_response == again, "a response is there to be dropped, or none");
                self.check(!self.sent.contains(&sent), "nothing is sent twice with the same authorization");
                match (sent, again) {
                    (Sent::Token(_), true) => self.check(self.refused.len() == 1, "only a refusal is answered so"),
                    (Sent::Signature(date), true) => {
                        self.check(self.corrected == Some(date), "the second signature has the service's date");
                    }
                    (Sent::Signature(date), false) => {
                        self.check(date == UnixTime::from_secs(SIGNED), "the first signature has the given date");
                    }
                    (Sent::Token(_), false) => {}
                }
                self.sent.push(sent);
                self.check(self.sent.len() <= 2, "a call sends twice at most");
                self.holds_response = false;
                self.awaited = Some(Awaited::Response);
            }
            Act::Return(what) => {
                self.check(self.rejected == self.refused, "a refused token is rejected before the call ends");
                let expected = if self.holds_response { Returned::Response } else { Returned::Failure };
                self.check(what == expected, "the response at hand is returned, else the failure");
                self.check(what == Returned::Response || self.failed, "a failure that is returned has happened");
                self.returned = Some(what);
            }
        }
        true
    }

    /// From here on the host does its best. The call ends.
    fn finish(&mut self) {
        self.run(Op::Drain);
        for _ in 0..4 {
            match self.awaited {
                Some(Awaited::Token) => self.run(Op::Token(2)),
                Some(Awaited::Response) => {
                    self.run(Op::Response { status: 200, challenge: 0, elsewhere: false, ahead: None });
                }
                None => {}
            }
            self.run(Op::Drain);
        }
        self.check(self.cancelled != self.returned.is_some(), "a call returns once, unless the caller gave up");
        self.check(!self.cancels, "a request for a token is cancelled with its call");
        let could = self.setup.replayable && !self.cancelled;
        let again = self.refused.first() == Some(&0) && could && !self.failed;
        let gave_other = self.sent.len() == 2;
        // A caller that got another token sent it.
        self.check(!again || gave_other || self.holds_response, "a refused request ends with a response");
    }

    fn check(&mut self, holds: bool, law: &str) {
        if !holds && self.broken.is_none() {
            self.broken = Some(law.to_owned());
        }
    }

    pub fn sends(&self) -> usize {
        self.sent.len()
    }

    /// All that the future depends on.
    pub fn state(&self) -> String {
        format!("{self:?}")
    }
}

enum Act {
    Reject(usize),
    Get(Option<usize>),
    Cancel,
    Send(Sent, bool),
    Return(Returned),
}

fn index(tokens: &[Token], token: &Token) -> usize {
    tokens.iter().position(|other| other.ptr_eq(token)).expect("no other tokens exist")
}

fn sent(tokens: &[Token], with: Authorization<'_>) -> Sent {
    match with {
        Authorization::Token(token) => Sent::Token(index(tokens, token)),
        Authorization::Signature { date } => Sent::Signature(date),
    }
}

pub fn response(op: Op) -> CallResponse {
    let Op::Response { status, challenge, elsewhere, ahead } = op else { panic!("{op:?} is no response") };
    let mut response = CHALLENGES[challenge]
        .0
        .iter()
        .fold(CallResponse::new(status), |response, line| response.with_challenge(line.as_bytes()));
    if let Some(ahead) = ahead {
        response = response.with_date(http_date(SIGNED + ahead).as_bytes());
    }
    if elsewhere { response.from_another_origin() } else { response }
}

/// The date to sign with again.
fn corrects(op: Op, signed: UnixTime) -> Option<UnixTime> {
    let Op::Response { status: 401, elsewhere: false, ahead: Some(ahead), .. } = op else { return None };
    let date = SIGNED + ahead;
    (date.abs_diff(signed.as_millis() / 1_000) > 240).then(|| UnixTime::from_secs(date))
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("call", &self.call)
            .field("awaited", &self.awaited)
            .field("sent", &self.sent)
            .field("refused", &self.refused)
            .field("rejected", &self.rejected)
            .field("holds_response", &self.holds_response)
            .field("failed", &self.failed)
            .field("corrected", &self.corrected)
            .field("cancelled", &(self.cancelled, self.cancels))
            .field("returned", &self.returned)
            .finish_non_exhaustive()
    }
}

/// Any bytes are a setup and operations.
pub fn ops(bytes: &[u8]) -> (Setup, Vec<Op>) {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let setup = Setup { key: first & 1 == 1, held: first & 4 == 4, replayable: first & 2 == 0 };
    let op = |pair: &[u8]| {
        let (kind, value) = (pair[0], pair.get(1).copied().unwrap_or_default());
        let which = usize::from(value);
        match kind % 10 {
            0 | 1 => Op::Token(which % TOKENS),
            2 => Op::NoToken,
            3..=5 => Op::Response {
                status: [401, 200, 403, 500][usize::from(kind / 10) % 4],
                challenge: which % CHALLENGES.len(),
                elsewhere: value >= 224,
                ahead: [None, Some(0), Some(240), Some(-241), Some(241), Some(86_400)][which / 8 % 6],
            },
            6 => Op::NotSent,
            7 => Op::Cancel,
            8 => Op::Poll,
            _ => Op::Drain,
        }
    };
    (setup, rest.chunks(2).map(op).collect())
}
