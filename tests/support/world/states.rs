//! What a search needs to know about a world: which worlds have the same future, and what may happen next.
//!
//! A world's state is a text: the machine's `Debug` text and all that the host and the model keep, without what no
//! longer matters. Fields that this file does not name stay in the text. So a new field of the machine may split equal
//! worlds, but it never merges different ones.
//! - Times are written as distances from now on both clocks. All waits that are over are equal.
//! - Waiters are named by their position, calls by whether they are in flight, tokens by whether they are held.
//! - It leaves out what is only passed on (an expiry, a text) and what the host can no longer observe.

use std::fmt::Write as _;

use acs_common::{Now, RequestId};

use super::ops::{Brings, Ends, Fails, Gives, Op, Rejects, Setup, Span};
use super::server::Dated;
use super::{World, last_part};

/// What the environment does in a search.
#[derive(Clone, Copy, Debug)]
pub struct Alphabet {
    pub callers: usize,
    pub brings: &'static [Brings],
    pub fails: &'static [Fails],
    pub gives: &'static [Gives],
    pub dates: &'static [Dated],
    /// By how much the wall clock is set forward or back. It is never further off.
    pub step: u64,
}

/// A state, and the next moment at which one of its waits is over.
#[derive(Debug)]
pub struct State {
    pub text: String,
    pub next: Option<u64>,
}

impl World {
    pub fn state(&self, setup: &Setup) -> State {
        let Self {
            machine,
            model,
            server,
            now,
            checks,
            calls,
            tokens,
            timer,
            look,
            set_back,
            ended,
            hold,
            undrained,
            ghost,
            broken,
            // A start in the last event has used it.
            was_due: _,
            retried: _,
            // These only have to be new.
            waiters: _,
            texts: _,
            // These belong to the last drain.
            answers: _,
            effective: _,
            batch: _,
            // These belong to the observers.
            ghosts_ask: _,
            journal: _,
        } = self;
        let plain = !ended && !undrained && *hold == 0 && ghost.is_none() && broken.is_empty();
        assert!(plain, "a search has no batches, no ghosts and no clock limits, and ends at a broken law");
        let mut writer = self.writer();
        writer.machine(&Value::read(&mut format!("{machine:?}").as_str()));
        let late = [checks, calls].map(|known| self.has_late(known));
        let older = tokens.len() > usize::from(model.expiry().is_some());
        // The text that a refresher returns again, if no token is held.
        let again = tokens.last().map(|token| Some(last_part(token.secret().expose())) == model.replaces);
        let timer = timer.map(|at| after(at.as_millis(), *now));
        let look = look.map(|at| after(at, *now));
        let Writer { mut text, next, .. } = writer;
        let skew = skew(setup.start, *now);
        let _ = write!(text, "{} {late:?} {older} {again:?} {timer:?} {look:?} {set_back} {skew}", model.state(*now));
        if let Some(server) = server {
            let held = model.held(*now).map(|held| &*held.text);
            let _ = write!(text, " {}", server.state(held, *now));
        }
        State { text, next }
    }

    /// For each operation: what happens, and what the result is.
    pub fn futures(&self, setup: &Setup, alphabet: &Alphabet, next: Option<u64>) -> Vec<String> {
        let future = |op: Op| {
            let mut world = Self { journal: Some(Vec::new()), ..self.clone() };
            world.run(op);
            let mut writer = self.writer();
            for line in world.journal.iter().flatten() {
                let mut line = line.as_str();
                while !line.is_empty() {
                    writer.value("", &Value::read(&mut line));
                    line = line.trim_start();
                }
            }
            format!("{op:?}: {}\n{}", writer.text, world.state(setup).text)
        };
        self.choices(setup, alphabet, next).into_iter().map(future).collect()
    }

    fn has_late(&self, known: &[RequestId]) -> bool {
        let in_flight = self.model.flight.as_ref().map(|flight| flight.request);
        known.iter().any(|request| Some(*request) != in_flight)
    }

    fn writer(&self) -> Writer<'_> {
        let flight = self.model.flight.as_ref().map(|flight| flight.request);
        // After one failure, the next call is a retry.
        let (waiting, long_streak) = (&self.model.waiting, self.model.options.long_streak().max(1));
        let server = self.has_server();
        Writer { now: self.now, flight, waiting, long_streak, server, text: String::with_capacity(512), next: None }
    }

    /// All operations that are possible in this state.
    pub fn choices(&self, setup: &Setup, alphabet: &Alphabet, next: Option<u64>) -> Vec<Op> {
        let held = self.model.expiry().is_some();
        let mut ops = vec![Op::RetryNow, Op::Look, Op::Dispose];
        if self.model.waiting.len() < alphabet.callers {
            ops.push(Op::Request);
            ops.extend(held.then_some(Op::RequestOther(Rejects::Held)));
        }
        ops.extend((0..self.model.waiting.len().max(1)).map(|index| Op::Cancel(u8::try_from(index).unwrap_or(0))));
        if self.call().is_some() {
            ops.extend(alphabet.brings.iter().map(|brings| Op::Answer(*brings)));
            ops.extend(self.has_server().then_some(Op::AnswerWithoutDate(alphabet.brings[0])));
        }
        if self.call().or(self.check_in_flight()).is_some() {
            ops.extend(alphabet.fails.iter().map(|fails| Op::Fail(*fails)));
            ops.extend(alphabet.gives.iter().filter(|_| self.model.has_source()).map(|gives| Op::Gives(*gives)));
        }
        let [late_check, late_call] = [&self.checks, &self.calls].map(|known| self.has_late(known));
        let not_called = self.not_called(0).is_some();
        ops.extend(not_called.then_some(Op::AnswerLate(0, alphabet.brings[0])));
        ops.extend(late_check.then_some(Op::GivesLate(0, Gives::Fourth)));
        ops.extend((late_check || late_call).then_some(Op::FailLate(0, alphabet.fails[0])));
        if held {
            ops.extend([Op::Reject(Rejects::Held), Op::Reject(Rejects::Impostor)]);
        }
        if self.tokens.len() > usize::from(held) {
            ops.push(Op::Reject(Rejects::Older(0)));
        }
        ops.extend(alphabet.dates.iter().filter(|_| self.has_server()).map(|dated| Op::ServerDate(*dated)));
        // On time; just before, since a timer or a request may come early; and asleep until the next moment that
        // matters.
        if self.timer.is_some() {
            ops.extend([Op::Advance(Span::Deadline(0)), Op::Oversleep(Span::Deadline(-1))]);
        }
        ops.extend(next.map(|next| Op::Oversleep(Span::Millis(next))));
        let skew = skew(setup.start, self.now);
        let by = Span::Millis(alphabet.step);
        ops.extend((skew <= 0).then_some(Op::StepWall { back: false, by }));
        ops.extend((skew >= 0).then_some(Op::StepWall { back: true, by }));
        ops
    }
}

/// By how much the wall clock has been set forward.
fn skew(start: Now, now: Now) -> i64 {
    let wall = now.unix.as_millis() - start.unix.as_millis();
    wall - i64::try_from(now.monotonic.saturating_since(start.monotonic).as_millis()).unwrap_or(i64::MAX)
}

/// The milliseconds of a moment of the wall clock, as its `Debug` text shows it.
fn wall(text: &str) -> i64 {
    moment(text).expect("a time")
}

fn moment(text: &str) -> Option<i64> {
    Some(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis())
}

/// How long until then, or 0 after that.
fn after(moment: u64, now: Now) -> u64 {
    moment.saturating_sub(now.monotonic.as_millis())
}

struct Writer<'a> {
    now: Now,
    flight: Option<RequestId>,
    waiting: &'a [u32],
    long_streak: u32,
    /// The server's time matters.
    server: bool,
    text: String,
    next: Option<u64>,
}

impl Writer<'_> {
    fn machine(&mut self, machine: &Value<'_>) {
        let is = |field: &str, text: &str| machine.part(field).is_some_and(|value| value.name == text);
        let (disposed, holds) = (is("kind", "Disposed"), is("lease", "Some"));
        let backoff = machine.part("backoff").and_then(|backoff| backoff.part(""));
        let wait = |field| backoff.and_then(|backoff| backoff.part(field)).is_some_and(|wait| self.runs(wait));
        let until_accepted = backoff.and_then(|backoff| backoff.part("timer"));
        let until_accepted = until_accepted.is_some_and(|timer| timer.name == "UntilAccepted");
        let (backs_off, refuses, streak) = (wait("timer"), wait("request"), wait("streak"));
        for (field, value) in machine.parts.iter().chain(backoff.iter().flat_map(|backoff| &backoff.parts)) {
            match *field {
                // These never change, or only have to be new.
                "policy" | "next_request" => {}
                // Its contents are visited separately.
                "backoff" => {}
                // What the readings say depends on both clocks, so these are written as they are.
                "server_time" => self.text.push_str(value.text),
                // After dispose these waits and reasons no longer matter.
                "min_interval" | "failures" | "probation" | "requested" | "lost" | "origin" if disposed => {}
                // The next loss sets the reason.
                "lost" if holds => {}
                // A failure whose waits are over matters only for the error that waiters get.
                "timer" if !backs_off && !until_accepted => {}
                "request" | "last_failure" if !refuses => {}
                "streak" if !streak => {}
                // These count as long as the streak is remembered.
                "failures" if !streak && !until_accepted => {}
                "failures" => {
                    let _ = write!(self.text, "failures:{},", self.count(value));
                }
                "probation" => self.probation(value),
                "attempt" => self.attempt(value),
                "source" => self.source(machine, value),
                _ => {
                    let _ = write!(self.text, "{field}:");
                    self.value(field, value);
                    self.text.push(',');
                }
            }
        }
    }

    /// After the refresher is called, the reason no longer matters.
    fn attempt(&mut self, value: &Value<'_>) {
        let Some(attempt) = value.part("") else { return };
        let called = attempt.part("stage").is_some_and(|stage| stage.name == "Refreshing");
        for (field, value) in &attempt.parts {
            if !(matches!(*field, "started" | "trigger") && (called || *field == "started")) {
                let _ = write!(self.text, "{field}:");
                self.value(field, value);
                self.text.push(',');
            }
        }
    }

    /// The parts that a check in flight, the attempt and the held token need.
    fn source(&mut self, machine: &Value<'_>, value: &Value<'_>) {
        let Some(source) = value.part("") else { return };
        let attempt = machine.part("attempt").and_then(|attempt| attempt.part(""));
        let checking = attempt.and_then(|attempt| attempt.part("stage")).is_some_and(|stage| stage.name == "Checking");
        let holds = machine.part("lease").is_some_and(|lease| lease.name == "Some");
        for (field, value) in &source.parts {
            match *field {
                "timeout" if !checking => {}
                "of_attempt" if attempt.is_none() => {}
                "of_lease" if !holds => {}
                _ => {
                    let _ = write!(self.text, "{field}:");
                    self.value(field, value);
                    self.text.push(',');
                }
            }
        }
    }

    /// Matters for a future token, or as long as its rejection is a failure.
    fn probation(&mut self, value: &Value<'_>) {
        let Some(probation) = value.part("") else { return };
        let part = |field| probation.part(field).expect("a probation has this part");
        let (until, streak) = (part("until"), part("streak"));
        if until.name == "Some" && !self.runs(until) {
            return;
        }
        let _ = write!(self.text, "probation:{} {} ", part("rejected").name, part("same_text").name);
        self.value("until", until);
        if self.runs(streak) {
            let _ = write!(self.text, " {} in ", self.count(part("rejections")));
            self.value("streak", streak);
        }
        self.text.push(',');
    }

    fn count(&self, value: &Value<'_>) -> u32 {
        self.long_streak.min(value.name.parse().expect("a counter"))
    }

    fn value(&mut self, field: &str, value: &Value<'_>) {
        match value.name {
            "Until" if value.part("").is_some() && !self.runs(value) => self.text.push_str("Over"),
            "Until" if value.part("").is_none() => {
                let Some((steady, wall)) = self.left(value) else { return self.text.push_str("over") };
                let left = steady.min(u64::try_from(wall).unwrap_or(0));
                self.next = [self.next, Some(left)].into_iter().flatten().filter(|left| *left > 0).min();
                let _ = write!(self.text, "{steady}/{wall}");
            }
            // Any next event forgets the waits that are over. Expiry and timeout have visible effects.
            "Some"
                if !matches!(field, "expiry" | "timeout")
                    && value.part("").is_some_and(|end| end.name == "Until")
                    && !self.runs(value) =>
            {
                self.text.push_str("None");
            }
            "Monotonic" => {
                let _ = write!(self.text, "{}", after(value.number(), self.now));
            }
            "RequestId" => {
                let in_flight = self.flight.is_some_and(|flight| format!("{flight:?}") == value.text);
                self.text.push_str(if in_flight { "in flight" } else { "another" });
            }
            name if moment(name).is_some() => {
                let _ = write!(self.text, "{}", wall(name) - self.now.unix.as_millis());
            }
            name if matches!(field, "failures" | "streak") && name.parse::<u32>().is_ok() => {
                let _ = write!(self.text, "{}", name.parse::<u32>().unwrap_or_default().min(self.long_streak));
            }
            name => {
                let waiter = name.parse().ok().filter(|_| matches!(field, "waiter" | "name"));
                match waiter.map(|waiter: u32| self.waiting.iter().position(|other| *other == waiter)) {
                    Some(Some(place)) => {
                        let _ = write!(self.text, "#{place}");
                    }
                    Some(None) => self.text.push_str("somebody new"),
                    None => self.text.push_str(name),
                }
                if value.parts.is_empty() {
                    return;
                }
                self.text.push('(');
                for (inner, value) in &value.parts {
                    // `started` matters only for lifetimes, which no answer in a search has, and for `took`, which is only
                    // passed on. So is `expires_on`. `first` says which token it is. `laid` matters only for the server's time.
                    if *inner == "laid" && self.server {
                        self.text.push_str(value.text);
                    } else if !matches!(*inner, "started" | "took" | "expires_on" | "device_time" | "laid" | "first") {
                        self.value(if inner.is_empty() { field } else { inner }, value);
                        self.text.push(',');
                    }
                }
                self.text.push(')');
            }
        }
    }

    fn left(&self, until: &Value<'_>) -> Option<(u64, i64)> {
        let number = |field| until.part(field).expect("two clocks").number_text();
        let mono: u64 = number("monotonic").parse().expect("a time");
        let wall = wall(until.part("unix").expect("two clocks").name);
        Ends { mono, wall }.ahead(self.now).filter(|left| left.0 > 0)
    }

    /// Whether this wait exists and is not over by the clock that is never set back.
    fn runs(&self, wait: &Value<'_>) -> bool {
        wait.part("").is_some_and(|until| self.left(until).is_some())
    }
}

/// A parsed `Debug` text.
#[derive(Debug)]
struct Value<'a> {
    name: &'a str,
    text: &'a str,
    parts: Vec<(&'a str, Self)>,
}

impl<'a> Value<'a> {
    fn read(text: &mut &'a str) -> Self {
        let begin = *text;
        let end = match begin.strip_prefix('"') {
            Some(string) => string.find('"').expect("a string without quotes ends") + 2,
            None => begin.find(|c| "({[,)}] ".contains(c)).unwrap_or(begin.len()),
        };
        let (name, rest) = begin.split_at(end);
        *text = rest;
        let mut parts = Vec::new();
        let close = [("(", ")"), (" {", "}"), ("[", "]")].into_iter().find(|(open, _)| rest.starts_with(open));
        if let Some((open, close)) = close {
            *text = &rest[open.len()..];
            loop {
                *text = text.trim_start_matches([' ', ',']);
                if let Some(rest) = text.strip_prefix(close) {
                    *text = rest;
                    break;
                }
                let field = match text.split_once(": ") {
                    Some((field, rest)) if close == "}" => {
                        *text = rest;
                        field
                    }
                    _ => "",
                };
                parts.push((field, Value::read(text)));
            }
        }
        Self { name, text: &begin[..begin.len() - text.len()], parts }
    }

    fn part(&self, field: &str) -> Option<&Self> {
        self.parts.iter().find(|(name, _)| *name == field).map(|(_, value)| value)
    }

    fn number_text(&self) -> &'a str {
        self.part("").map_or("", |number| number.name)
    }

    fn number(&self) -> u64 {
        self.number_text().parse().expect("a time")
    }
}
