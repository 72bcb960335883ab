//! Counts what happens, and prints at the end which promises were kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use acs_common_drawing::Fact;

use super::record::Record;
use super::script::RECOVERY;
use super::{Runtime, Scenario, say};

/// No caller waits longer than this: the timeout of a refresh, and some spare time.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Tally {
    started: Instant,
    pub record: Record,
    scenario: Scenario,
    counts: Mutex<Counts>,
}

#[derive(Default)]
pub struct Counts {
    /// Requests that the resource accepted.
    pub served: u64,
    refused: u64,
    /// Refused requests whose token was valid when the caller got it, and expired on the way.
    expired_on_the_way: u64,
    unexpected: u64,
    /// Requests for a token that were answered at the first poll; then those that were answered later.
    at_once: u64,
    waited_at_first: u64,
    waited: u64,
    left_without: u64,
    /// Requests that failed at the first poll.
    told_at_once: u64,
    first_wait: Duration,
    longest_wait: Duration,
    /// The longest wait of a request that failed.
    longest_refusal: Duration,
    refreshes: u64,
    in_flight: u32,
    most_in_flight: u32,
    pub renewed: u64,
    pub failures: BTreeMap<String, u64>,
    pub retried_too_soon: u64,
    outages: u64,
    survived: u64,
    not_survived: u64,
    /// `served` at the start of the outage.
    served_before: u64,
    /// The last request for a token failed.
    locked_out: bool,
    present: u32,
    ended: Option<Instant>,
}

impl Tally {
    /// `is_drawn`: a picture is wanted at the end.
    pub fn new(scenario: Scenario, is_drawn: bool) -> Self {
        let started = Instant::now();
        Self { started, record: Record::new(started, is_drawn), scenario, counts: Mutex::default() }
    }

    pub fn count<T>(&self, work: impl FnOnce(&mut Counts) -> T) -> T {
        work(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Prints the time and what happens.
    pub fn tell(&self, who: &str, what: &str) {
        say(&format!("{:6.2}  {who:<10}  {what}", self.started.elapsed().as_secs_f64()));
    }

    /// The end waits until the guard is dropped.
    pub fn enter(self: &Arc<Self>) -> Guard {
        self.count(|counts| counts.present += 1);
        Guard { tally: Arc::clone(self), leave: |counts| counts.present -= 1 }
    }

    /// A refresh is in flight until the guard is dropped.
    pub fn refresh(self: &Arc<Self>) -> Guard {
        self.record.called();
        self.count(|counts| {
            counts.refreshes += 1;
            counts.in_flight += 1;
            counts.most_in_flight = counts.most_in_flight.max(counts.in_flight);
        });
        Guard { tally: Arc::clone(self), leave: |counts| counts.in_flight -= 1 }
    }

    /// `waited`: the token was not there at once. `first`: it is the first token of this caller.
    pub fn got_token(&self, first: bool, waited: Option<Duration>) {
        let (was_locked_out, without) = self.count(|counts| {
            match waited {
                None => counts.at_once += 1,
                Some(wait) if first => {
                    counts.waited_at_first += 1;
                    counts.first_wait = counts.first_wait.max(wait);
                }
                Some(wait) => {
                    counts.waited += 1;
                    counts.longest_wait = counts.longest_wait.max(wait);
                }
            }
            (std::mem::take(&mut counts.locked_out), counts.left_without)
        });
        if was_locked_out {
            self.tell("callers", &format!("get tokens again, after {without} failed requests for one"));
        }
    }

    pub fn left_without(&self, why: &str, waited: Option<Duration>) {
        let was_locked_out = self.count(|counts| {
            counts.left_without += 1;
            counts.told_at_once += u64::from(waited.is_none());
            counts.longest_refusal = counts.longest_refusal.max(waited.unwrap_or_default());
            std::mem::replace(&mut counts.locked_out, true)
        });
        if !was_locked_out {
            self.tell("callers", &format!("get no token: {why}"));
        }
    }

    pub fn refused(&self, expired_on_the_way: bool) {
        self.record.rejected();
        self.count(|counts| {
            counts.refused += 1;
            counts.expired_on_the_way += u64::from(expired_on_the_way);
        });
        let which =
            if expired_on_the_way { "that expired on the way to it" } else { "that the credential must not return" };
        self.tell("resource", &format!("refuses a token {which}"));
    }

    pub fn unexpected(&self, what: &str) {
        self.count(|counts| counts.unexpected += 1);
        self.tell("callers", what);
    }

    pub fn outage_begins(&self, what: &str, short: &str) {
        self.tell("issuer", what);
        self.record.add(self.record.now(), Fact::Issuer { does: Some(short.to_owned()) });
        self.count(|counts| {
            counts.outages += 1;
            counts.served_before = counts.served;
        });
    }

    pub fn outage_ends(&self) {
        self.record.add(self.record.now(), Fact::Issuer { does: None });
        let served = self.count(|counts| counts.served - counts.served_before);
        self.tell("issuer", &format!("works again; during the outage {served} requests to the resource succeeded"));
    }

    /// `in_time`: a new token came in time.
    pub fn recovered(&self, in_time: bool) {
        self.count(|counts| *if in_time { &mut counts.survived } else { &mut counts.not_survived } += 1);
    }

    pub fn close(&self) {
        self.record.close();
        self.count(|counts| counts.ended = Some(Instant::now()));
    }

    /// The picture of what happened until `close`.
    pub fn draw(&self, title: &str, name: &str, width: u32) -> String {
        let end = self.count(|counts| counts.ended).unwrap_or_else(Instant::now);
        let until = u64::try_from((end - self.started).as_millis()).unwrap_or(u64::MAX);
        self.record.draw(title, name, until, width)
    }

    /// Waits until all guards are dropped, but not indefinitely.
    pub async fn wait_for_all<R: Runtime>(&self, runtime: &R) {
        let patience = Instant::now() + PATIENCE;
        while self.count(|counts| counts.present > 0) && Instant::now() < patience {
            runtime.sleep(Duration::from_millis(10)).await;
        }
    }

    /// Prints the numbers and the promises. Returns whether every promise was kept.
    pub fn summarise(&self) -> bool {
        self.count(|counts| {
            let elapsed = counts.ended.map_or(self.started.elapsed(), |end| end - self.started);
            say(&format!("\nIn {:.1} s", elapsed.as_secs_f64()));
            for (number, what) in counts.lines() {
                say(&format!("{number:>7}  {what}"));
            }
            say("\nPromises");
            let promises = counts.promises(self.scenario);
            for (kept, promise) in &promises {
                say(&format!("  {}  {promise}", if *kept { "kept  " } else { "BROKEN" }));
            }
            let broken = promises.iter().filter(|(kept, _)| !kept).count();
            say(&match broken {
                0 => "\nEvery promise was kept.".to_owned(),
                _ => format!("\n{broken} of {} promises were broken.", promises.len()),
            });
            broken == 0
        })
    }
}

impl Counts {
    fn lines(&self) -> Vec<(u64, String)> {
        let within = |number: u64, longest: Duration| match number {
            0 => String::new(),
            _ => format!(" (at most {:.1} ms)", 1_000.0 * longest.as_secs_f64()),
        };
        let told_late = self.left_without - self.told_at_once;
        let mut lines = vec![
            (self.served, "requests to the resource succeeded".to_owned()),
            (self.refused, "requests to the resource were refused with status 401".to_owned()),
            (self.at_once, "times a caller got a token at once".to_owned()),
            (
                self.waited_at_first,
                format!("times a caller waited for the first token{}", within(self.waited_at_first, self.first_wait)),
            ),
            (self.waited, format!("times a caller waited for a later token{}", within(self.waited, self.longest_wait))),
            (self.told_at_once, "times a caller got an error at once".to_owned()),
            (told_late, format!("times a caller got an error after a wait{}", within(told_late, self.longest_refusal))),
            (self.refreshes, "refreshes were started".to_owned()),
            (self.renewed, "refreshes brought a new token".to_owned()),
            (self.failures.values().sum(), "refreshes failed:".to_owned()),
        ];
        lines.extend(self.failures.iter().map(|(kind, number)| (*number, format!("  {kind}"))));
        lines
    }

    fn promises(&self, scenario: Scenario) -> Vec<(bool, String)> {
        let reported = self.renewed + self.failures.values().sum::<u64>();
        let mut promises = vec![(self.unexpected == 0, "the resource responded to every request".to_owned())];
        let no_expired_token = (
            self.refused == self.expired_on_the_way,
            format!("no caller got an expired token ({} expired on the way to the resource)", self.expired_on_the_way),
        );
        let always_a_token = (self.left_without == 0, "every caller got a token each time".to_owned());
        let limit = PATIENCE.as_secs();
        match scenario {
            Scenario::Outages => promises.extend([
                (self.refused == 0, "the resource accepted every token".to_owned()),
                always_a_token,
                (self.waited == 0, "after the first token no caller waited for a token".to_owned()),
                (self.retried_too_soon == 0, "no refresh came earlier than the issuer's Retry-After".to_owned()),
            ]),
            Scenario::LongOutage => promises.extend([
                no_expired_token,
                (
                    // A caller that asks while a refresh is in flight waits for that refresh.
                    self.longest_refusal <= PATIENCE && self.told_at_once * 2 >= self.left_without,
                    format!("without a token, most callers got an error at once, and all within {limit} s"),
                ),
            ]),
            Scenario::Calm => promises.extend([
                no_expired_token,
                always_a_token,
                (self.longest_wait <= PATIENCE, format!("no caller waited longer than {limit} s")),
            ]),
        }
        promises.extend([
            (
                self.not_survived == 0,
                format!(
                    "a new token came within {} s after each outage, without help (after {} of {} outages)",
                    RECOVERY.as_secs(),
                    self.survived + self.not_survived,
                    self.outages,
                ),
            ),
            (self.most_in_flight <= 1, "at most one refresh was in flight".to_owned()),
            (
                // The end may have dropped the last one.
                (reported..=reported + 1).contains(&self.refreshes),
                "each refresh brought a token, or the credential reported its failure".to_owned(),
            ),
            (self.present == 0, "when the credential was disposed, no caller was left waiting".to_owned()),
        ]);
        promises
    }
}

/// Undoes a count when dropped.
pub struct Guard {
    tally: Arc<Tally>,
    leave: fn(&mut Counts),
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.tally.count(self.leave);
    }
}
