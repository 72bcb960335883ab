//! What a life was: its facts put together to stretches of time.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::axis::words;
use crate::life::{Fact, Life};

#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) tokens: Vec<Token>,
    pub(crate) calls: Vec<Call>,
    pub(crate) backoffs: Vec<(u64, u64)>,
    pub(crate) waits: Vec<Wait>,
    pub(crate) clock: Vec<(u64, i64)>,
    pub(crate) asleep: Vec<(u64, u64)>,
    pub(crate) issuer: Vec<(u64, u64, String)>,
    /// Each with its name among many.
    pub(crate) events: Vec<(u64, String, &'static str)>,
    disposed: Option<u64>,
    from: u64,
    until: u64,
}

/// A token, from its acceptance to its end.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) name: String,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) due: Option<u64>,
    expires: Option<u64>,
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Open,
    Expired,
    Replaced,
    Lost,
}

#[derive(Debug)]
pub(crate) struct Call {
    number: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) outcome: Outcome,
}

/// The outcome of a refresh, or of a wait.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Open,
    Good,
    Failed(String),
    Dropped,
}

#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) name: String,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) outcome: Outcome,
}

impl Wait {
    pub(crate) fn is_at_once(&self) -> bool {
        self.from == self.to && self.outcome != Outcome::Open
    }
}

impl History {
    pub(crate) fn of(life: &Life, from: u64, until: u64) -> Self {
        let mut history = Self { from, until, ..Self::default() };
        for (at, fact) in life.facts.iter().take_while(|(at, _)| *at <= until) {
            history.add(*at, fact);
        }
        history.finish();
        history
    }

    fn add(&mut self, at: u64, fact: &Fact) {
        match fact {
            Fact::Asked { waiter } => {
                self.waits.push(Wait { name: waiter.clone(), from: at, to: self.until, outcome: Outcome::Open });
            }
            Fact::Answered { waiter, failure } => self.end_wait(at, waiter, outcome(failure)),
            Fact::Cancelled { waiter } => self.end_wait(at, waiter, Outcome::Dropped),
            Fact::Called { call } => {
                self.end_backoff(at);
                self.calls.push(Call { number: *call, from: at, to: self.until, outcome: Outcome::Open });
            }
            Fact::Returned { call, failure } => self.end_call(at, *call, outcome(failure)),
            Fact::Dropped { call } => self.end_call(at, *call, Outcome::Dropped),
            Fact::Held { token, due, expires } => self.hold(at, token, *due, *expires),
            Fact::Lost => self.lose(at, End::Lost),
            Fact::Expired => self.lose(at, End::Expired),
            Fact::BacksOff { until } => {
                self.end_backoff(at);
                self.backoffs.push((at, (*until).min(self.until).max(at)));
            }
            Fact::Rejected { token } => self.events.push((at, format!("{token} refused"), "refused")),
            Fact::ClockSet { by } => self.clock.push((at, *by)),
            Fact::Suspended { until } => self.asleep.push((at, (*until).max(at))),
            Fact::Issuer { does } => {
                if let Some((_, end, _)) = self.issuer.last_mut() {
                    *end = (*end).min(at);
                }
                if let Some(does) = does {
                    self.issuer.push((at, self.until, does.clone()));
                }
            }
            Fact::Disposed => {
                self.lose(at, End::Lost);
                self.disposed = Some(self.disposed.unwrap_or(at));
                self.events.push((at, "disposed".to_owned(), ""));
                self.end_backoff(at);
            }
            Fact::Event { what } => self.events.push((at, what.clone(), "")),
        }
    }

    fn end_backoff(&mut self, at: u64) {
        if let Some((_, end)) = self.backoffs.last_mut() {
            *end = (*end).min(at);
        }
    }

    fn end_wait(&mut self, at: u64, waiter: &str, outcome: Outcome) {
        let is_open = |wait: &&mut Wait| wait.outcome == Outcome::Open && wait.name == waiter;
        if let Some(wait) = self.waits.iter_mut().find(is_open) {
            (wait.to, wait.outcome) = (at, outcome);
        }
    }

    fn end_call(&mut self, at: u64, number: u64, outcome: Outcome) {
        let is_open = |call: &&mut Call| call.outcome == Outcome::Open && call.number == number;
        if let Some(call) = self.calls.iter_mut().rev().find(is_open) {
            (call.to, call.outcome) = (at, outcome);
        }
    }

    fn hold(&mut self, at: u64, name: &str, due: Option<u64>, expires: Option<u64>) {
        if let Some(token) = self.tokens.last_mut().filter(|token| token.end == End::Open)
            && token.name == name
            && token.expires.is_none_or(|end| end > at)
        {
            // What was due stays due.
            let was_due = token.due.filter(|due| *due <= at);
            (token.due, token.expires) = (was_due.or(due), expires);
            return;
        }
        self.lose(at, End::Replaced);
        self.tokens.push(Token { name: name.to_owned(), from: at, to: self.until, due, expires, end: End::Open });
    }

    fn lose(&mut self, at: u64, end: End) {
        if let Some(token) = self.tokens.last_mut().filter(|token| token.end == End::Open) {
            match token.expires {
                Some(expires) if expires <= at => (token.to, token.end) = (expires.max(token.from), End::Expired),
                _ => (token.to, token.end) = (at, end),
            }
        }
    }

    fn finish(&mut self) {
        if let Some(token) = self.tokens.last_mut().filter(|token| token.end == End::Open)
            && let Some(expires) = token.expires.filter(|expires| *expires <= self.until)
        {
            (token.to, token.end) = (expires.max(token.from), End::Expired);
        }
        for (_, end) in &mut self.asleep {
            *end = (*end).min(self.until);
        }
        let from = self.from;
        self.tokens.retain(|token| token.to >= from);
        self.calls.retain(|call| call.to >= from);
        self.backoffs.retain(|(_, to)| *to >= from);
        self.waits.retain(|wait| wait.to >= from);
        self.clock.retain(|(at, _)| *at >= from);
        self.asleep.retain(|(_, to)| *to >= from);
        self.issuer.retain(|(_, to, _)| *to >= from);
        self.events.retain(|(at, ..)| *at >= from);
    }

    /// When the credential held no valid token. After disposal, that is no lack.
    pub(crate) fn without_token(&self) -> Vec<(u64, u64)> {
        let end = self.disposed.unwrap_or(self.until);
        let mut gaps = Vec::new();
        let mut covered = self.from;
        for token in &self.tokens {
            if token.from > covered {
                gaps.push((covered, token.from));
            }
            covered = token.to;
        }
        if end > covered {
            gaps.push((covered, end));
        }
        gaps
    }

    /// The numbers in words, for those who do not see the picture too.
    pub(crate) fn summary(&self) -> String {
        let calls = |is: fn(&Outcome) -> bool| self.calls.iter().filter(|call| is(&call.outcome)).count();
        let waits = |is: fn(&Outcome) -> bool| self.waits.iter().filter(|wait| is(&wait.outcome)).count();
        let mut text = count(self.calls.len(), "refresh", "refreshes");
        for (number, what) in [
            (calls(|outcome| matches!(outcome, Outcome::Failed(_))), "failed"),
            (calls(|outcome| *outcome == Outcome::Dropped), "given up"),
            (calls(|outcome| *outcome == Outcome::Open), "in flight at the end"),
        ] {
            if number > 0 {
                text.push_str(&format!(", {number} {what}"));
            }
        }
        let without = self.without_token().iter().map(|(from, to)| to - from).sum::<u64>();
        text.push_str(&match without {
            0 => ". A valid token is always held. ".to_owned(),
            _ => format!(". No valid token for {} in all. ", words(without)),
        });
        if self.waits.is_empty() {
            text.push_str("Nobody asks for a token.");
            return text;
        }
        text.push_str(&count(self.waits.len(), "request", "requests"));
        let good_at_once = self.waits.iter().filter(|wait| wait.is_at_once() && wait.outcome == Outcome::Good).count();
        let waited = self.waits.iter().filter(|wait| !wait.is_at_once() && wait.outcome == Outcome::Good);
        let longest = waited.clone().map(|wait| wait.to - wait.from).max();
        for (number, what) in [
            (good_at_once, "served at once".to_owned()),
            (waited.count(), format!("served after {} at most", words(longest.unwrap_or_default()))),
            (waits(|outcome| matches!(outcome, Outcome::Failed(_))), "with an error".to_owned()),
            (waits(|outcome| *outcome == Outcome::Dropped), "cancelled".to_owned()),
            (waits(|outcome| *outcome == Outcome::Open), "still waiting at the end".to_owned()),
        ] {
            if number > 0 {
                text.push_str(&format!(", {number} {what}"));
            }
        }
        text.push('.');
        text
    }
}

fn outcome(failure: &Option<String>) -> Outcome {
    failure.as_ref().map_or(Outcome::Good, |kind| Outcome::Failed(kind.clone()))
}

fn count(number: usize, one: &str, many: &str) -> String {
    match number {
        0 => format!("No {one}"),
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}
