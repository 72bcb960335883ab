//! Counts what really happened, and says at the end what became of the promises.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::script::RECOVERY;
use super::{Piece, Runtime, say};

/// Longer than this nobody is kept waiting for a token that cannot be had: a refresh's timeout, and time to spare.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Tally {
    started: Instant,
    piece: Piece,
    counts: Mutex<Counts>,
}

#[derive(Default)]
pub struct Counts {
    /// By the resource.
    pub served: u64,
    refused: u64,
    /// Of these, for a token that was alive when it was handed out, and died on its way.
    died_on_the_way: u64,
    strange: u64,
    /// Requests for a token: answered at the first poll, or after a while.
    at_once: u64,
    waited_at_first: u64,
    waited: u64,
    left_without: u64,
    /// Of these, without having waited for anything.
    told_at_once: u64,
    first_wait: Duration,
    longest_wait: Duration,
    /// To be told that there is no token.
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
    /// What had been served when the outage began.
    served_before: u64,
    /// The callers get no token at present.
    locked_out: bool,
    present: u32,
    ended: Option<Instant>,
}

impl Tally {
    pub fn new(piece: Piece) -> Self {
        Self { started: Instant::now(), piece, counts: Mutex::default() }
    }

    pub fn count<T>(&self, work: impl FnOnce(&mut Counts) -> T) -> T {
        work(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Prints what happened, and when.
    pub fn tell(&self, who: &str, what: &str) {
        say(&format!("{:6.2}  {who:<10}  {what}", self.started.elapsed().as_secs_f64()));
    }

    /// Whoever is present is waited for at the end.
    pub fn enter(self: &Arc<Self>) -> Guard {
        self.count(|counts| counts.present += 1);
        Guard { tally: Arc::clone(self), leave: |counts| counts.present -= 1 }
    }

    /// A refresh is in flight until the guard is dropped.
    pub fn refresh(self: &Arc<Self>) -> Guard {
        self.count(|counts| {
            counts.refreshes += 1;
            counts.in_flight += 1;
            counts.most_in_flight = counts.most_in_flight.max(counts.in_flight);
        });
        Guard { tally: Arc::clone(self), leave: |counts| counts.in_flight -= 1 }
    }

    /// `waited`: it was not there at once; `first`: it was that caller's first.
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
            self.tell("callers", &format!("get tokens again; so far they went without {without} times"));
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
            self.tell("callers", &format!("get no token, and are told why: {why}"));
        }
    }

    pub fn refused(&self, died_on_the_way: bool) {
        self.count(|counts| {
            counts.refused += 1;
            counts.died_on_the_way += u64::from(died_on_the_way);
        });
        let which = if died_on_the_way { "that died on its way there" } else { "it should not have been shown" };
        self.tell("resource", &format!("refuses a token {which}"));
    }

    pub fn strange(&self, what: &str) {
        self.count(|counts| counts.strange += 1);
        self.tell("callers", what);
    }

    pub fn outage_begins(&self, what: &str) {
        self.tell("issuer", what);
        self.count(|counts| {
            counts.outages += 1;
            counts.served_before = counts.served;
        });
    }

    pub fn outage_ends(&self) {
        let served = self.count(|counts| counts.served - counts.served_before);
        self.tell("issuer", &format!("is well again; meanwhile the callers' requests were served {served} times"));
    }

    /// Whether there was a new token in time.
    pub fn recovered(&self, in_time: bool) {
        self.count(|counts| *if in_time { &mut counts.survived } else { &mut counts.not_survived } += 1);
    }

    pub fn close(&self) {
        self.count(|counts| counts.ended = Some(Instant::now()));
    }

    /// Until everybody has left; not for ever.
    pub async fn wait_for_all<R: Runtime>(&self, runtime: &R) {
        let patience = Instant::now() + PATIENCE;
        while self.count(|counts| counts.present > 0) && Instant::now() < patience {
            runtime.sleep(Duration::from_millis(10)).await;
        }
    }

    /// Prints the numbers and the promises; whether all of these were kept.
    pub fn summarise(&self) -> bool {
        self.count(|counts| {
            let elapsed = counts.ended.map_or(self.started.elapsed(), |end| end - self.started);
            say(&format!("\nIn {:.1} s", elapsed.as_secs_f64()));
            for (number, what) in counts.lines() {
                say(&format!("{number:>7}  {what}"));
            }
            say("\nPromises");
            let promises = counts.promises(self.piece);
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
            _ => format!(" (within {:.1} ms)", 1_000.0 * longest.as_secs_f64()),
        };
        let told_late = self.left_without - self.told_at_once;
        let mut lines = vec![
            (self.served, "requests were served by the resource".to_owned()),
            (self.refused, "requests were refused with 401".to_owned()),
            (self.at_once, "times a caller asked for a token and had it at once".to_owned()),
            (
                self.waited_at_first,
                format!(
                    "times a caller waited for the very first token{}",
                    within(self.waited_at_first, self.first_wait)
                ),
            ),
            (self.waited, format!("times a caller waited for a later one{}", within(self.waited, self.longest_wait))),
            (self.told_at_once, "times a caller was told at once why there is none".to_owned()),
            (told_late, format!("times a caller was told so after a try{}", within(told_late, self.longest_refusal))),
            (self.refreshes, "refreshes were asked for".to_owned()),
            (self.renewed, "brought a new token".to_owned()),
            (self.failures.values().sum(), "failed:".to_owned()),
        ];
        lines.extend(self.failures.iter().map(|(kind, number)| (*number, format!("  {kind}"))));
        lines
    }

    fn promises(&self, piece: Piece) -> Vec<(bool, String)> {
        let reported = self.renewed + self.failures.values().sum::<u64>();
        let mut promises =
            vec![(self.strange == 0, "the resource stayed up, and every request was answered".to_owned())];
        let no_dead_token = (
            self.refused == self.died_on_the_way,
            format!("nobody was given a dead token ({} died on the way to the resource)", self.died_on_the_way),
        );
        let nobody_without = (self.left_without == 0, "nobody was ever left without a token".to_owned());
        let limit = PATIENCE.as_secs();
        match piece {
            Piece::Outages => promises.extend([
                (self.refused == 0, "nobody was ever given a token that the resource refused".to_owned()),
                nobody_without,
                (self.waited == 0, "after the very first token nobody ever had to wait for one".to_owned()),
                (self.retried_too_soon == 0, "the issuer's Retry-After was honoured".to_owned()),
            ]),
            Piece::LongOutage => promises.extend([
                no_dead_token,
                (
                    // Whoever happens to ask while a try is in flight waits for that.
                    self.longest_refusal <= PATIENCE && self.told_at_once * 2 >= self.left_without,
                    format!("with no token to be had, most were told so at once, nobody later than after {limit} s"),
                ),
            ]),
            Piece::Calm => promises.extend([
                no_dead_token,
                nobody_without,
                (self.longest_wait <= PATIENCE, format!("nobody ever waited for longer than {limit} s")),
            ]),
        }
        promises.extend([
            (
                self.not_survived == 0,
                format!(
                    "after each outage there was a new token within {} s, by itself ({} of {} outages are over)",
                    RECOVERY.as_secs(),
                    self.survived + self.not_survived,
                    self.outages,
                ),
            ),
            (self.most_in_flight <= 1, "never more than one refresh was in flight".to_owned()),
            (
                // The last one may have been dropped at the end.
                (reported..=reported + 1).contains(&self.refreshes),
                "each refresh brought a token, or its failure was reported".to_owned(),
            ),
            (self.present == 0, "when the credential was disposed, nobody was left waiting".to_owned()),
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
