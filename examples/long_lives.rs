//! Simulates credentials for ten thousand years, with an issuer that fails at random, and compares the policies.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use acs_common::{
    Action, Error, Event, Machine, Monotonic, NewToken, Now, Policy, RefresherError, RequestId, UnixTime,
};

const HELP: &str = "\
Plays many years of credentials through the machine, in virtual time, with an issuer that is down at random (about once a
week, for a second to eight hours, refusing or hanging), and prints a table: our default policy beside the reference's,
renewing ahead of time and on demand. Tokens are valid for an hour; callers ask every half an hour on average.

Usage: long_lives [--years N]      (default: 10000 years, about two minutes in release)";

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const YEAR: u64 = 365 * 24 * HOUR;

/// How long a token is valid, and how long the issuer takes to return one, or an error.
const LIFETIME: u64 = HOUR;
const LATENCY: u64 = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let years = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => 10_000,
        ["--help" | "-h"] => return ended(writeln!(io::stdout(), "{HELP}")),
        ["--years", number] if number.parse().is_ok_and(|years: u64| years > 0) => number.parse().unwrap_or(1),
        _ => {
            eprintln!("long_lives: not understood: {}\n\n{HELP}", arguments.join(" "));
            return ExitCode::from(2);
        }
    };
    ended(play(years))
}

/// A closed output is not an error to report.
fn ended(written: io::Result<()>) -> ExitCode {
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if error.kind() != io::ErrorKind::BrokenPipe {
                eprintln!("long_lives: standard output: {error}");
            }
            ExitCode::from(1)
        }
    }
}

fn play(years: u64) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(
        out,
        "| {years} credential-years | default, proactive | default, on demand | reference, proactive | reference, on demand |"
    )?;
    writeln!(out, "|---|---|---|---|---|")?;
    let columns = [
        (Policy::default(), true),
        (Policy::default(), false),
        (Policy::reference(), true),
        (Policy::reference(), false),
    ]
    .map(|(policy, proactive)| {
        let policy = policy.with_refresh_proactively(proactive);
        (0..years).map(|seed| Simulation::new(seed, policy.clone()).play()).fold(Tally::default(), Tally::add)
    });
    let mut row = |name: &str, cell: &dyn Fn(&Tally) -> String| {
        writeln!(out, "| {name} | {} |", columns.each_ref().map(cell).join(" | "))
    };
    row("refreshes for each token brought", &|tally| format!("{:.3}", tally.refreshes as f64 / tally.tokens as f64))?;
    row("time with a valid token, of the best possible", &|tally| percent(tally.valid, tally.possible))?;
    row("callers served at once", &|tally| percent(tally.served_at_once, tally.asked))?;
    row("callers told of a failure", &|tally| percent(tally.refused, tally.asked))?;
    row("longest wait for an answer", &|tally| format!("{:.1} s", tally.longest_wait as f64 / 1_000.0))?;
    row("most refreshes within a second", &|tally| tally.burst.to_string())
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.3} %", 100.0 * part as f64 / whole as f64)
}

#[derive(Default)]
struct Tally {
    refreshes: u64,
    tokens: u64,
    /// Milliseconds.
    valid: u64,
    possible: u64,
    asked: u64,
    served_at_once: u64,
    refused: u64,
    longest_wait: u64,
    burst: usize,
}

impl Tally {
    fn add(self, other: Self) -> Self {
        Self {
            refreshes: self.refreshes + other.refreshes,
            tokens: self.tokens + other.tokens,
            valid: self.valid + other.valid,
            possible: self.possible + other.possible,
            asked: self.asked + other.asked,
            served_at_once: self.served_at_once + other.served_at_once,
            refused: self.refused + other.refused,
            longest_wait: self.longest_wait.max(other.longest_wait),
            burst: self.burst.max(other.burst),
        }
    }
}

/// An outage of the issuer.
struct Outage {
    from: u64,
    to: u64,
    hangs: bool,
}

/// A year of one credential.
struct Simulation {
    random: Random,
    machine: Machine<u64>,
    at: u64,
    outages: Vec<Outage>,
    call: Option<(RequestId, Option<u64>)>,
    timer: Option<u64>,
    next_request: u64,
    waiting: VecDeque<u64>,
    /// The start times of the last refreshes.
    recent: VecDeque<u64>,
    /// Until when the last accepted token is valid.
    valid_until: u64,
    tally: Tally,
}

impl Simulation {
    fn new(seed: u64, policy: Policy) -> Self {
        let mut random = Random(seed);
        let mut outages = Vec::new();
        let mut from = random.about(7 * 24 * HOUR);
        while from < YEAR {
            // From a second to eight hours: one length is as likely as ten times that length.
            let length = (SECOND as f64 * (8.0 * 3_600.0_f64).powf(random.fraction())) as u64;
            outages.push(Outage { from, to: from + length, hangs: random.fraction() < 0.3 });
            from += length + random.about(7 * 24 * HOUR);
        }
        let next_request = random.about(HOUR / 2);
        let machine = Machine::new(None, policy, now(0)).expect("a missing initial token is always valid");
        let possible = possible(&outages);
        Self {
            random,
            machine,
            at: 0,
            outages,
            call: None,
            timer: None,
            next_request,
            waiting: VecDeque::new(),
            recent: VecDeque::new(),
            valid_until: 0,
            tally: Tally { possible, ..Tally::default() },
        }
    }

    fn play(mut self) -> Tally {
        self.drain();
        loop {
            let answer = self.call.and_then(|(_, due)| due).unwrap_or(u64::MAX);
            let timer = self.timer.unwrap_or(u64::MAX);
            self.at = answer.min(timer).min(self.next_request);
            if self.at >= YEAR {
                return self.tally;
            }
            if self.at == answer {
                self.answer();
            } else if self.at == self.next_request {
                self.next_request = self.at + 1 + self.random.about(HOUR / 2);
                self.tally.asked += 1;
                self.waiting.push_back(self.at);
                self.machine.handle(Event::TokenRequested { waiter: self.at }, now(self.at));
            } else {
                self.timer = None;
                self.machine.handle(Event::TimeAdvanced, now(self.at));
            }
            self.drain();
        }
    }

    fn answer(&mut self) {
        let Some((request, _)) = self.call.take() else { return };
        let event = if self.outage(self.at).is_some() {
            Event::RefreshFailed { request, error: RefresherError::new("down") }
        } else {
            // What is left of the old token's lifetime is already counted.
            let until = (self.at + LIFETIME).min(YEAR);
            self.tally.valid += until - self.valid_until.max(self.at);
            self.valid_until = until;
            self.tally.tokens += 1;
            Event::TokenReceived {
                request,
                token: NewToken::new("token").with_expires_on(now(self.at + LIFETIME).unix),
            }
        };
        self.machine.handle(event, now(self.at));
    }

    fn outage(&self, at: u64) -> Option<&Outage> {
        let index = self.outages.partition_point(|outage| outage.to <= at);
        self.outages.get(index).filter(|outage| outage.from <= at)
    }

    fn drain(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::ReturnToken { waiter, result } => {
                    let wait = self.at - waiter;
                    self.tally.longest_wait = self.tally.longest_wait.max(wait);
                    match result {
                        Ok(_) if wait == 0 => self.tally.served_at_once += 1,
                        Ok(_) => {}
                        Err(Error::RefreshFailed { .. }) => self.tally.refused += 1,
                        Err(other) => unreachable!("the credential is never disposed: {other}"),
                    }
                }
                Action::CallRefresher { request, .. } => {
                    self.tally.refreshes += 1;
                    self.recent.push_back(self.at);
                    while self.recent.front().is_some_and(|start| start + SECOND <= self.at) {
                        self.recent.pop_front();
                    }
                    self.tally.burst = self.tally.burst.max(self.recent.len());
                    let hangs = self.outage(self.at).is_some_and(|outage| outage.hangs);
                    // Without a timeout the wait would never end: the connection breaks after an hour.
                    self.call = Some((request, Some(self.at + if hangs { HOUR } else { LATENCY })));
                }
                Action::CheckSource { .. } => unreachable!("it has no source"),
                Action::CancelRefresher { .. } => self.call = None,
                Action::Notify(_) => {}
                Action::ScheduleTimer { at } => self.timer = at.map(Monotonic::as_millis),
            }
        }
    }
}

/// How long a token could be held at best: at every moment when the issuer was up within one token lifetime before it.
fn possible(outages: &[Outage]) -> u64 {
    let gaps = outages.iter().map(|outage| (outage.to.min(YEAR)).saturating_sub((outage.from + LIFETIME).min(YEAR)));
    YEAR - gaps.sum::<u64>()
}

fn now(at: u64) -> Now {
    let unix = 1_700_000_000_000_i64.saturating_add_unsigned(at);
    Now::new(Monotonic::default().saturating_add(Duration::from_millis(at)), UnixTime::from_millis(unix))
}

/// A random generator in this file (xorshift64*), so that the results do not depend on a crate's version.
struct Random(u64);

impl Random {
    fn fraction(&mut self) -> f64 {
        let mut x = self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x2545_F491_4F6C_DD1D);
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0 = x;
        (x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A random number, exponentially distributed, with this mean.
    fn about(&mut self, mean: u64) -> u64 {
        (-(1.0 - self.fraction()).ln() * mean as f64) as u64
    }
}
