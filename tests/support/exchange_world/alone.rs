//! An exchange without a credential: whatever it is told, in whatever order, it keeps to its own laws.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use acs_common::entra::{Exchange, ExchangeAction, ExchangeEvent};
use acs_common::{Monotonic, Now, RefresherError, Source, UnixTime};

use super::calls::MOST_REQUESTS;
use super::ops::{self, Answer, Entra, Op, Setup};
use super::{Asked, rig};

/// Plays a life with all laws checked; then good answers must lead to an end.
pub fn play(setup: &Setup, ops: &[Op]) -> Result<(), String> {
    let mut alone = Alone::new(setup, ops);
    for (index, op) in ops.iter().enumerate() {
        alone.run(op);
        if let Some(broken) = alone.broken {
            return Err(format!("{broken} after operation {index}, {op:?}, of an exchange alone"));
        }
    }
    alone.finish();
    alone.broken.map_or(Ok(()), |broken| Err(format!("{broken}, at the end of an exchange alone")))
}

struct Alone {
    exchange: Exchange,
    now: Now,
    timer: Option<Monotonic>,
    outstanding: Option<Asked>,
    /// It has taken an Entra token, and is to be told to start.
    awaits_start: bool,
    started: bool,
    requests: u32,
    questions: u32,
    in_hand: Option<Entra>,
    /// Its text, which must not be shown.
    secret: Option<String>,
    /// The access token that the service gives. It depends on the whole run, so that no fuzzer can put it into the run.
    access: String,
    /// What was reported of the token in hand.
    reported: Option<Source>,
    ended: bool,
    /// So many events are yet to come before the host drains.
    hold: u8,
    broken: Option<String>,
}

impl Alone {
    fn new(setup: &Setup, ops: &[Op]) -> Self {
        let mut hasher = DefaultHasher::new();
        format!("{setup:?}{ops:?}").hash(&mut hasher);
        let mut alone = Self {
            exchange: Exchange::new(rig::contoso(), &setup.policy(), setup.seed),
            now: rig::now(1_000),
            timer: None,
            outstanding: None,
            awaits_start: false,
            started: false,
            requests: 0,
            questions: 0,
            in_hand: None,
            secret: None,
            access: format!("access/canary+{:016x}", hasher.finish()),
            reported: None,
            ended: false,
            hold: 0,
            broken: None,
        };
        alone.drain();
        alone
    }

    fn check(&mut self, holds: bool, law: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(format!("{} (at {:?}, {:?})", law(), self.now, self.exchange));
        }
    }

    fn check_secrets(&mut self, shown: &str) {
        let leak = self.secret.iter().chain([&self.access]).find(|secret| shown.contains(secret.as_str())).cloned();
        self.check(leak.is_none(), || format!("{leak:?} is shown in {shown}"));
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Answer(answer) => self.tell(self.outstanding.unwrap_or(Asked::Source), answer),
            Op::Late(index, answer) => {
                self.tell(if index % 2 == 0 { Asked::Source } else { Asked::Service }, answer);
            }
            Op::Request | Op::Cancel(_) | Op::Reject(_) => self.handle(ExchangeEvent::Started { give_up: None }, None),
            Op::RetryNow | Op::Dispose | Op::Look => self.handle(ExchangeEvent::TimeAdvanced, None),
            Op::Advance(millis) | Op::Oversleep(millis) => self.pass(*millis),
            Op::ToDeadline(more) => {
                let due = self.exchange.deadline().unwrap_or(self.now.monotonic).saturating_since(self.now.monotonic);
                let millis = u64::try_from(due.as_millis()).unwrap_or(u64::MAX);
                self.pass(millis.saturating_add_signed(*more));
                self.handle(ExchangeEvent::TimeAdvanced, None);
            }
            Op::StepWall(by) => self.now.unix = UnixTime::from_millis(self.now.unix.as_millis() + by),
            Op::Hold(events) => self.hold = *events,
        }
    }

    fn pass(&mut self, millis: u64) {
        self.now.monotonic = Monotonic::from_millis(self.now.monotonic.as_millis() + millis);
        self.now.unix = UnixTime::from_millis(self.now.unix.as_millis().saturating_add_unsigned(millis));
    }

    /// An answer of this kind, whether anybody waits for it or not.
    fn tell(&mut self, asked: Asked, answer: &Answer) {
        let text = self.in_hand.unwrap_or(Entra::ALICE).text();
        if asked == Asked::Source {
            return match answer.of_source() {
                Answer::Gives(entra) => {
                    self.handle(ExchangeEvent::EntraTokenReceived { token: entra.token() }, Some(entra));
                }
                Answer::SignsOut => self.handle(ExchangeEvent::SignedOut, None),
                _ => self.handle(ExchangeEvent::EntraTokenFailed { error: RefresherError::new("offline") }, None),
            };
        }
        let response = match answer {
            Answer::Unreachable => {
                return self.handle(ExchangeEvent::TransportFailed { error: RefresherError::new("reset") }, None);
            }
            Answer::Succeeds(lives) => ops::success(&self.access, self.now.unix.as_millis().saturating_add(*lives)),
            Answer::Raw(response) => response.make(&text),
            other => other.refusal(&text),
        };
        self.handle(ExchangeEvent::ResponseReceived { response }, None);
    }

    /// Hands the event in, with the Entra token it brings.
    fn handle(&mut self, event: ExchangeEvent, brings: Option<Entra>) {
        let is_meant = match &event {
            ExchangeEvent::EntraTokenReceived { .. }
            | ExchangeEvent::EntraTokenFailed { .. }
            | ExchangeEvent::SignedOut => self.outstanding == Some(Asked::Source),
            ExchangeEvent::ResponseReceived { .. } | ExchangeEvent::TransportFailed { .. } => {
                self.outstanding == Some(Asked::Service)
            }
            ExchangeEvent::Started { .. } => self.awaits_start,
            _ => true,
        };
        if is_meant {
            match &event {
                ExchangeEvent::Started { .. } => (self.awaits_start, self.started) = (false, true),
                ExchangeEvent::TimeAdvanced => {}
                _ => self.outstanding = None,
            }
            if let Some(entra) = brings.filter(|entra| !entra.is_blank() && self.in_hand != Some(*entra)) {
                (self.in_hand, self.reported, self.awaits_start) = (Some(entra), None, self.questions == 1);
                // A fuzzer may have guessed it, and put it into a service's mouth before.
                let (text, shown) = (entra.text(), format!("{:?}", self.exchange));
                self.secret = Some(text).filter(|text| !shown.contains(text.as_str()));
            }
            self.exchange.handle(event, self.now);
        } else {
            // First whatever the time brings, with nothing to do with the answer.
            self.exchange.handle(ExchangeEvent::TimeAdvanced, self.now);
            let (before, said) = (format!("{:?}", self.exchange), format!("{event:?}"));
            self.exchange.handle(event, self.now);
            let after = format!("{:?}", self.exchange);
            self.check(before == after, || format!("{said} is not waited for, and changed {before}"));
        }
        let due = self.exchange.deadline().is_some_and(|deadline| deadline <= self.now.monotonic);
        self.check(!due, || "already due".to_owned());
        let shown = format!("{:?}", self.exchange);
        self.check_secrets(&shown);
        let keeps = shown.contains(" stage: Ended") && !shown.contains(" token: None, ");
        self.check(!keeps, || "the Entra token is kept after the end".to_owned());
        match self.hold.checked_sub(1) {
            Some(hold) => self.hold = hold,
            None => self.drain(),
        }
    }

    fn drain(&mut self) {
        let mut is_last = false;
        while let Some(action) = self.exchange.poll_action() {
            let shown = format!("{action:?}");
            self.check(!is_last, || format!("the timer comes last, but then came {shown}"));
            self.check_secrets(&shown);
            match action {
                ExchangeAction::AcquireEntraToken { fresh, .. } => {
                    self.called(Asked::Source);
                    self.questions += 1;
                    let right = if fresh { self.questions == 2 && self.requests > 0 } else { self.questions == 1 };
                    self.check(right, || shown);
                }
                ExchangeAction::ReportSource { .. } if self.reported.is_some() => {
                    self.check(false, || "the source is reported twice".to_owned());
                }
                ExchangeAction::ReportSource { source } => self.reported = Some(source),
                ExchangeAction::SendRequest { request } => {
                    self.called(Asked::Service);
                    self.requests += 1;
                    let (started, reported) = (self.started, self.reported.is_some());
                    self.check(started, || "sent before it was started".to_owned());
                    self.check(reported, || "sent for a source that was not reported".to_owned());
                    let most = MOST_REQUESTS - 2 + self.questions;
                    let counted = request.attempt() == self.requests && self.requests <= most;
                    self.check(counted, || format!("{shown} is one too many"));
                    let bearer = format!("Bearer {}", self.in_hand.map(|entra| entra.text()).unwrap_or_default());
                    let sent = request.expose_headers().any(|(_, value)| value == bearer);
                    self.check(sent, || "sent for another Entra token".to_owned());
                }
                ExchangeAction::Finish { .. } => {
                    let (ended, outstanding) = (self.ended, self.outstanding);
                    self.check(!ended && outstanding.is_none(), || format!("ended again, or with {outstanding:?}"));
                    self.ended = true;
                }
                ExchangeAction::ScheduleTimer { at } => (self.timer, is_last) = (at, true),
            }
        }
        let (timer, deadline) = (self.timer, self.exchange.deadline());
        self.check(timer == deadline, || format!("the timer is {timer:?}, the deadline {deadline:?}"));
        let waits = self.outstanding.is_some() || self.awaits_start || deadline.is_some();
        let is_over = self.ended;
        self.check(waits != is_over, || format!("over: {is_over}, waits: {waits}"));
    }

    fn called(&mut self, asked: Asked) {
        let outstanding = self.outstanding.replace(asked);
        let wrong = outstanding.is_some() || self.awaits_start || self.ended;
        self.check(!wrong, || {
            format!("{asked:?} is called, but {outstanding:?} is under way, or it waits, or has ended")
        });
    }

    /// Good answers lead to an end.
    fn finish(&mut self) {
        self.hold = 0;
        self.drain();
        for _ in 0..20 {
            match self.outstanding {
                _ if self.ended || self.broken.is_some() => return,
                Some(Asked::Source) => self.tell(Asked::Source, &Answer::Gives(Entra::ALICE)),
                Some(Asked::Service) => self.tell(Asked::Service, &Answer::Succeeds(3_600_000)),
                None if self.awaits_start => self.handle(ExchangeEvent::Started { give_up: None }, None),
                None => self.run(&Op::ToDeadline(0)),
            }
        }
        self.check(false, || "there is no end".to_owned());
    }
}
