//! What really happens, recorded for a picture. The drawing is the same as for scenarios.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use acs_common_drawing::{Fact, Life, Picture};

use super::Runtime;

/// How often the clocks are compared.
const LOOK: Duration = Duration::from_millis(250);
/// A process that sleeps so much longer than it wanted was stopped, and a clock that differs so much was set.
const JUMP: Duration = Duration::from_millis(1_500);

/// The facts, with their times in milliseconds since the start. Tasks may hand them in out of order.
pub struct Record {
    started: Instant,
    is_wanted: bool,
    is_closed: AtomicBool,
    facts: Mutex<Facts>,
}

#[derive(Default)]
struct Facts {
    all: Vec<(u64, Fact)>,
    calls: u64,
    tokens: u64,
    /// The token that is held, and when it expires.
    held: Option<(String, u64)>,
}

impl Record {
    /// Without `is_wanted` nothing is kept.
    pub fn new(started: Instant, is_wanted: bool) -> Self {
        Self { started, is_wanted, is_closed: AtomicBool::new(false), facts: Mutex::default() }
    }

    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes no more facts: what follows is the end of the program.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    pub fn add(&self, at: u64, fact: Fact) {
        self.with(|facts| facts.all.push((at, fact)));
    }

    /// A refresh starts.
    pub fn called(&self) {
        let at = self.now();
        self.with(|facts| {
            facts.calls += 1;
            // The credential is proactive: it renews a valid token as soon as that is due.
            if let Some((token, expires)) = facts.held.clone().filter(|(_, expires)| *expires > at) {
                facts.all.push((at, Fact::Held { token, due: Some(at), expires: Some(expires) }));
            }
            facts.all.push((at, Fact::Called { call: facts.calls }));
        });
    }

    /// The last refresh has brought a token, which is valid for so long.
    pub fn renewed(&self, good_for: Duration) {
        let at = self.now();
        self.with(|facts| {
            facts.tokens += 1;
            let token = format!("t{}", facts.tokens);
            let expires = at.saturating_add(u64::try_from(good_for.as_millis()).unwrap_or(u64::MAX));
            facts.held = Some((token.clone(), expires));
            facts.all.push((at, Fact::Returned { call: facts.calls, failure: None }));
            facts.all.push((at, Fact::Held { token, due: None, expires: Some(expires) }));
        });
    }

    /// The last refresh has failed. `None`: the credential gave it up.
    pub fn failed(&self, kind: Option<&str>, retry_in: Option<Duration>) {
        let at = self.now();
        self.with(|facts| {
            let call = facts.calls;
            facts.all.push((
                at,
                match kind {
                    Some(kind) => Fact::Returned { call, failure: Some(kind.to_owned()) },
                    None => Fact::Dropped { call },
                },
            ));
            if let Some(wait) = retry_in {
                let until = at.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                facts.all.push((at, Fact::BacksOff { until }));
            }
        });
    }

    /// The held token has expired.
    pub fn expired(&self) {
        let at = self.now();
        self.with(|facts| {
            facts.held = None;
            facts.all.push((at, Fact::Expired));
        });
    }

    /// The service has refused the held token.
    pub fn rejected(&self) {
        let at = self.now();
        self.with(|facts| {
            if let Some((token, _)) = facts.held.take() {
                facts.all.extend([(at, Fact::Rejected { token }), (at, Fact::Lost)]);
            }
        });
    }

    fn with(&self, work: impl FnOnce(&mut Facts)) {
        if self.is_wanted && !self.is_closed.load(Ordering::Relaxed) {
            work(&mut self.facts.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Compares the clocks, to see that one is set or that the process was stopped.
    pub async fn watch_clocks<R: Runtime>(&self, runtime: &R) {
        let offset = || (SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(), Instant::now());
        let (mut wall, mut steady) = offset();
        while self.is_wanted && !self.is_closed.load(Ordering::Relaxed) {
            let before = self.now();
            runtime.sleep(LOOK).await;
            let (wall_now, steady_now) = offset();
            let passed = steady_now - steady;
            let by = wall_now.as_millis() as i128 - wall.as_millis() as i128 - passed.as_millis() as i128;
            if by.unsigned_abs() > JUMP.as_millis() {
                let by = i64::try_from(by).unwrap_or(i64::MAX);
                self.add(self.now(), Fact::ClockSet { by });
            }
            if passed > LOOK + JUMP {
                let (from, until) = self.silence(before, self.now());
                self.add(from, Fact::Suspended { until });
            }
            (wall, steady) = (wall_now, steady_now);
        }
    }

    /// The longest time without a fact between these two moments: then the process was stopped.
    fn silence(&self, from: u64, to: u64) -> (u64, u64) {
        let facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times: Vec<_> = facts.all.iter().map(|(at, _)| *at).filter(|at| (from..to).contains(at)).collect();
        times.extend([from, to]);
        times.sort_unstable();
        let gaps = times.windows(2).map(|pair| (pair[0], pair[1]));
        gaps.max_by_key(|(start, end)| end - start).unwrap_or((from, to))
    }

    /// The picture of all facts so far.
    pub fn draw(&self, title: &str, name: &str, until: u64, width: u32) -> String {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner).all.clone();
        facts.sort_by_key(|(at, _)| *at);
        let mut life = Life::new(name);
        for (at, fact) in facts {
            life.record(at, fact);
        }
        Picture { id: "keep-fresh", title, lives: &[life], from: 0, until, width }.draw()
    }
}
