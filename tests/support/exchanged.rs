//! The body of the fuzz target `exchange`: any bytes are the life of an Entra user's credential, and every life obeys the
//! laws that are checked here after every event.

use std::fmt::Debug;
use std::time::Duration;

use acs_common::entra::{CallId, EntraAction, EntraEvent, EntraMachine, EntraOptions, EntraToken, HttpResponse};
use acs_common::{CheckSource, Error, Monotonic, Now, Policy, RefresherError, Token, UnixTime};

/// What must never show: of an Entra token, and of an access token.
const ENTRA_SECRET: &str = "entra7secret7that7nobody7may7see";
const ACCESS_SECRET: &str = "access7secret7that7nobody7may7see";
const START: i64 = 1_700_000_000_000;

/// A life from bytes; when they run out, a good source and a good service lead back to a token.
pub fn exchange(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let policy = policy(&mut bytes);
    let options = EntraOptions::new("https://contoso.communication.azure.com").expect("a good endpoint");
    let options = options.with_prewarm(bytes.flag());
    let mut life = Life::new(EntraMachine::new(options, policy, now(0, 0)));
    life.drain();
    while !bytes.0.is_empty() {
        life.step(&mut bytes);
    }
    life.recovers();
}

fn policy(bytes: &mut Bytes<'_>) -> Policy {
    let base = if bytes.flag() { Policy::reference().to_builder() } else { Policy::builder() };
    let check = if bytes.flag() { CheckSource::EachRequest } else { CheckSource::OnRefresh };
    let timeout = [None, Some(Duration::from_millis(1)), Some(Duration::from_secs(60)), Some(Duration::MAX)];
    base.check_source(check)
        .refresh_proactively(bytes.flag())
        .refresh_timeout(timeout[bytes.below(4)])
        .source_check_timeout(Duration::from_millis([0, 5_000, u64::MAX][bytes.below(3)]))
        .exchange_jitter([0.0, 0.5, 1.0][bytes.below(3)])
        .min_refresh_interval(Duration::from_millis([0, 1_000, 60_000][bytes.below(3)]))
        .seed(bytes.byte().into())
        .build()
        .expect("no knob is out of range")
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    /// 0 once they have run out.
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Source,
    Service,
}

struct Life {
    machine: EntraMachine<u32>,
    at: u64,
    stepped: i64,
    timer: Option<Monotonic>,
    /// The call whose answer is waited for.
    outstanding: Option<(CallId, Kind)>,
    /// All there ever were, for late and wrong answers.
    calls: Vec<CallId>,
    /// Of the refresh in flight: requests sent, fresh tokens asked for, whose Entra token it is.
    sent: u32,
    fresh: u32,
    in_hand: Option<usize>,
    quoted: String,
    /// The Entra token of the access token held.
    held_text: String,
    waiting: Vec<u32>,
    answered: u32,
    refused: Vec<Token>,
    disposed: bool,
}

impl Life {
    fn new(machine: EntraMachine<u32>) -> Self {
        Self {
            machine,
            at: 0,
            stepped: 0,
            timer: None,
            outstanding: None,
            calls: Vec::new(),
            sent: 0,
            fresh: 0,
            in_hand: None,
            quoted: String::new(),
            held_text: String::new(),
            waiting: Vec::new(),
            answered: 0,
            refused: Vec::new(),
            disposed: false,
        }
    }

    fn now(&self) -> Now {
        now(self.at, self.stepped)
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(14) {
            0 | 1 => self.request(),
            2 => {
                if let Some(waiter) = self.waiting.pop() {
                    self.handle(EntraEvent::RequestCancelled { waiter });
                }
            }
            3..=6 => self.answer(bytes),
            7 => {
                // Somebody else's answer, or one that comes again.
                if let Some(call) = self.calls.get(bytes.below(self.calls.len().max(1))).copied()
                    && self.outstanding.is_none_or(|(waited, _)| waited != call)
                {
                    let before = format!("{:?}", self.machine.token(self.now()).map(Token::expires_on));
                    self.handle(EntraEvent::TransportFailed { call, error: RefresherError::new("late") });
                    let after = format!("{:?}", self.machine.token(self.now()).map(Token::expires_on));
                    assert_eq!(before, after, "a late answer changes nothing");
                }
            }
            8 => {
                if let Some(token) = self.machine.token(self.now()).cloned() {
                    self.refused.push(token.clone());
                    self.handle(EntraEvent::TokenRejected { token });
                }
            }
            9 => self.handle(EntraEvent::TryNow),
            10 => {
                // As far as the timer, or a little, or a lot.
                let due = self.timer.map_or(0, Monotonic::as_millis).saturating_sub(self.at);
                let by = [due, 1, 900, 61_000, 4_000_000][bytes.below(5)].min(1 << 40);
                self.at += by;
                self.handle(EntraEvent::TimeAdvanced);
            }
            11 => {
                self.stepped += [-86_400_000, -1_000, 1_000, 3_700_000][bytes.below(4)];
                self.handle(EntraEvent::TimeAdvanced);
            }
            12 => self.handle(EntraEvent::TimeAdvanced),
            _ => {
                if bytes.byte() > 240 {
                    self.disposed = true;
                    self.handle(EntraEvent::Disposed);
                    assert!(self.machine.token(self.now()).is_none() && self.timer.is_none());
                }
            }
        }
    }

    fn request(&mut self) {
        self.answered += 1;
        self.waiting.push(self.answered);
        self.handle(EntraEvent::TokenRequested { waiter: self.answered });
    }

    fn answer(&mut self, bytes: &mut Bytes<'_>) {
        let Some((call, kind)) = self.outstanding.take() else { return };
        let held = self.machine.token(self.now()).cloned();
        // Nobody can tell whether two tokens are of one user, so only the very same one is.
        let own = self.quoted.is_empty() || self.in_hand.is_none() || self.held_text == self.quoted;
        let mut fails = false;
        let event = match (kind, bytes.below(8)) {
            // The wrong kind of answer is none: the call is still waited for.
            (Kind::Source, 7) => {
                self.outstanding = Some((call, kind));
                EntraEvent::ResponseReceived { call, response: good_response(self.at) }
            }
            (Kind::Source, 6) => EntraEvent::SignedOut { call },
            (Kind::Source, 5) => {
                fails = true;
                EntraEvent::EntraTokenFailed { call, error: RefresherError::new("broker down") }
            }
            (Kind::Source, 4) => EntraEvent::EntraTokenReceived { call, token: EntraToken::new("  ") },
            (Kind::Source, which) => {
                self.in_hand = Some(which % 2);
                self.quoted = entra_text(which % 2, which / 2);
                EntraEvent::EntraTokenReceived { call, token: entra_token(which % 2, which / 2) }
            }
            (Kind::Service, 7) => {
                self.outstanding = Some((call, kind));
                EntraEvent::EntraTokenReceived { call, token: entra_token(0, 0) }
            }
            (Kind::Service, 6) => {
                fails = true;
                EntraEvent::TransportFailed { call, error: RefresherError::new("no route to host") }
            }
            (Kind::Service, 0 | 1) => EntraEvent::ResponseReceived { call, response: good_response(self.at) },
            (Kind::Service, _) => {
                let response = bad_response(bytes, &self.quoted);
                fails = response.status() != 200;
                EntraEvent::ResponseReceived { call, response }
            }
        };
        self.handle(event);
        if fails
            && own
            && let Some(held) = held
        {
            let kept = self.machine.token(self.now()).is_some_and(|token| token.is_same(&held));
            assert!(kept, "a failure costs no valid token of the same user");
        }
    }

    fn handle(&mut self, event: EntraEvent<u32>) {
        let before = self.machine.token(self.now()).cloned();
        self.machine.handle(event, self.now());
        self.drain();
        match (before, self.machine.token(self.now())) {
            (before, Some(after)) if before.as_ref().is_none_or(|before| !before.is_same(after)) => {
                self.held_text = self.quoted.clone();
                assert!(!self.refused.iter().any(|refused| refused.is_same(after)), "a rejected token comes back");
            }
            _ => {}
        }
        unseen(&self.machine);
        if !self.disposed && self.at < 1 << 50 {
            let due = self.machine.deadline();
            assert!(due.is_none_or(|due| due > self.now().monotonic), "a settled machine is already due");
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            unseen(&action);
            match action {
                EntraAction::ReturnToken { waiter, result } => self.returned(waiter, result),
                EntraAction::Cancel { call } => {
                    let dropped = self.outstanding.take_if(|(waited, _)| *waited == call);
                    assert!(dropped.is_some(), "what is not waited for is dropped");
                }
                EntraAction::AcquireEntraToken { call, fresh, .. } => {
                    if fresh {
                        self.fresh += 1;
                    } else {
                        (self.sent, self.fresh, self.in_hand) = (0, 0, None);
                    }
                    assert!(self.fresh <= 1, "a fresh token is asked for once");
                    self.call(call, Kind::Source);
                }
                EntraAction::SendRequest { call, request } => {
                    self.sent += 1;
                    assert!(self.sent <= 5 && request.attempt() == self.sent, "{} requests", self.sent);
                    self.call(call, Kind::Service);
                }
                EntraAction::Notify(_) => {}
                EntraAction::ScheduleTimer { at } => self.timer = at,
            }
        }
        assert_eq!(self.timer, self.machine.deadline(), "the announced timer is the deadline");
    }

    fn call(&mut self, call: CallId, kind: Kind) {
        assert!(!self.disposed, "nothing is called after the end");
        assert!(self.outstanding.is_none(), "one call at a time");
        assert!(!self.calls.contains(&call), "a call has a name of its own");
        self.outstanding = Some((call, kind));
        self.calls.push(call);
    }

    fn returned(&mut self, waiter: u32, result: Result<Token, Error>) {
        let known = self.waiting.iter().position(|other| *other == waiter).expect("answered twice, or not asked");
        self.waiting.remove(known);
        match result {
            Ok(token) => {
                let held = self.machine.token(self.now()).is_some_and(|held| held.is_same(&token));
                assert!(held && !self.disposed, "a token that is not held any more, or dead");
                assert!(!self.refused.iter().any(|refused| refused.is_same(&token)), "a rejected token");
            }
            Err(error) => {
                unseen(&error);
                assert!(!format!("{error}").contains(&ENTRA_SECRET[..12]), "{error}");
                assert_eq!(self.disposed, matches!(error, Error::Disposed), "{error}");
            }
        }
    }

    /// From wherever it is, good answers lead back.
    fn recovers(&mut self) {
        if self.disposed {
            return;
        }
        self.request();
        for _ in 0..60 {
            if self.waiting.is_empty() && self.machine.token(self.now()).is_some() {
                return;
            }
            if let Some((call, kind)) = self.outstanding.take() {
                let event = match kind {
                    Kind::Source => {
                        self.in_hand = Some(9);
                        self.quoted = entra_text(9, 9);
                        EntraEvent::EntraTokenReceived { call, token: entra_token(9, 9) }
                    }
                    Kind::Service => EntraEvent::ResponseReceived { call, response: good_response_at(self.now()) },
                };
                self.handle(event);
            } else if self.waiting.is_empty() {
                // Refused for now: later, then.
                self.at += 301_000;
                self.handle(EntraEvent::TimeAdvanced);
                self.request();
            } else {
                self.at = self.timer.expect("somebody waits, and nothing is due").as_millis().max(self.at);
                self.handle(EntraEvent::TimeAdvanced);
            }
        }
        panic!("a good source and a good service lead nowhere");
    }
}

fn now(at: u64, stepped: i64) -> Now {
    Now::new(Monotonic::from_millis(at), UnixTime::from_millis(START + at as i64 + stepped))
}

/// A token whose user cannot be read, so that each is another's.
fn entra_token(user: usize, number: usize) -> EntraToken {
    EntraToken::new(entra_text(user, number))
}

fn entra_text(user: usize, number: usize) -> String {
    format!("{ENTRA_SECRET}.{user}.{number}")
}

fn good_response(at: u64) -> HttpResponse {
    good_response_at(now(at, 0))
}

fn good_response_at(now: Now) -> HttpResponse {
    let moment = chrono::DateTime::from_timestamp_millis(now.unix.as_millis() + 3_600_000).expect("in our era");
    let expires_on = moment.to_rfc3339();
    let body = format!(r#"{{"accessToken":{{"token":"{ACCESS_SECRET}","expiresOn":"{expires_on}"}}}}"#);
    HttpResponse::new(200).with_body(body.into_bytes())
}

/// `quoted`: what the service was sent, and repeats.
fn bad_response(bytes: &mut Bytes<'_>, quoted: &str) -> HttpResponse {
    let statuses = [200, 201, 302, 400, 401, 403, 408, 429, 500, 501, 503, 599];
    let response = HttpResponse::new(statuses[bytes.below(12)]);
    let names = ["Retry-After", "retry-after-ms", "x-ms-retry-after-ms", "x-ms-error-code", "x-ms-request-id"];
    let values = ["0", "7", "61000", "99999999999999999999", "Tue, 14 Nov 2023 22:13:27 GMT", "-1", quoted];
    let response = (0..bytes.below(3))
        .fold(response, |response, _| response.with_header(names[bytes.below(5)], values[bytes.below(7)]));
    let length = bytes.below(48);
    let body = match bytes.below(4) {
        0 => bytes.take(length),
        1 => {
            let (first, second) = quoted.split_at(quoted.len() / 2);
            let encoded = quoted.replace('.', "%2E");
            let inner = format!(r#"{{"code":"{first}","message":"'{second}' {encoded}"}}"#);
            format!(r#"{{"error":{{"code":"E","message":"refused Bearer {quoted}","innererror":{inner}}}}}"#).into()
        }
        2 => format!(
            r#"{{"accessToken":{{"token":"{ACCESS_SECRET}","expiresOn":"{}"}}}}"#,
            String::from_utf8_lossy(&bytes.take(length))
        )
        .into(),
        _ => [b"{\"error\":".as_slice(), &bytes.take(length), b"}"].concat(),
    };
    response.with_body(body)
}

/// Nothing of a secret shows.
fn unseen(shown: &impl Debug) {
    let shown = format!("{shown:?}");
    assert!(!shown.contains(&ENTRA_SECRET[..12]) && !shown.contains(&ACCESS_SECRET[..12]), "{shown}");
}
