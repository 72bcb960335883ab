//! A model checker around the real machine. It searches breadth first through everything that three callers, a
//! refresher, a timer and two clocks can do. It visits each state once, checks every law after each step, and checks
//! that a good refresher leads back to a token from each state.
//!
//! The search is written here. Beside the [states](support::world::states) it needs only a queue, a set and a pointer
//! from each state to the one before. The crate `stateright` would add 37 crates, among them a web server, and needs
//! the same canonical states. Its documentation says that its `eventually` misses counterexamples in cycles and where
//! paths join. The check here is stronger: from every state a good refresher leads back, within a bounded time.
//!
//! A failed search prints the shortest history that breaks a law, as a list of operations.

mod support;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::thread;

use support::world::World;
use support::world::ops::{Asks, Brings, Fails, Gives, Op, Options, Setup};
use support::world::server::Dated;
use support::world::states::{Alphabet, State};

use acs_common::{DateSource, Monotonic, Now, UnixTime};

const HELD: Brings = Brings::Until(300_000);

/// A step of a day, forward or back, ends or keeps every wait.
const ALPHABET: Alphabet = Alphabet {
    callers: 3,
    brings: &[HELD, Brings::Expired(1), Brings::Again(300_000)],
    fails: &[Fails { permanent: false, retry_after: None }, Fails { permanent: true, retry_after: None }],
    gives: &[Gives::First, Gives::Third],
    dates: &[
        Dated { by: DateSource::Service, off: 0, took: 100 },
        Dated { by: DateSource::Service, off: 7_200_000, took: 100 },
        Dated { by: DateSource::Service, off: -7_200_000, took: 100 },
    ],
    step: 86_400_000,
};

/// The depth that is affordable in every test run.
const QUICK: usize = if cfg!(debug_assertions) { 5 } else { 8 };
/// The same with a source: more can happen at each step.
const SHALLOW: usize = if cfg!(debug_assertions) { 4 } else { 7 };
/// The same with a server whose clock is not the device's, where hardly any two states are equal.
const WITH_CLOCK: usize = if cfg!(debug_assertions) { 3 } else { 5 };

/// The same under the reference policy, which has fewer states.
const BRIEF: usize = if cfg!(debug_assertions) { 6 } else { 7 };

#[derive(Debug, PartialEq)]
struct Report {
    depth: usize,
    states: usize,
    transitions: u64,
    /// The states of the last depth, whose successors were not visited. 0 if the search is complete.
    frontier: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { depth, states, transitions, frontier } = self;
        write!(f, "depth {depth:2}: {states:8} states, {transitions:9} transitions, ")?;
        if *frontier == 0 {
            f.write_str("explored to the end")
        } else {
            write!(f, "{frontier} states to continue from")
        }
    }
}

struct Search<'a> {
    setup: &'a Setup,
    seen: HashSet<u128>,
    /// The last step to each state except the first: the number of the step before, and what happened.
    steps: Vec<(usize, Op)>,
}

/// A state to continue from.
struct Found {
    world: World,
    /// The next moment that matters.
    next: Option<u64>,
    /// The number of its last step. The first state has 0.
    steps: usize,
}

impl Search<'_> {
    fn run(setup: &Setup, depth: usize) -> Report {
        let mut search = Search { setup, seen: HashSet::new(), steps: Vec::new() };
        let mut frontier: Vec<_> = search.visit(World::new(setup), None).into_iter().collect();
        let mut report = Report { depth: 0, states: 1, transitions: 0, frontier: 1 };
        while report.depth < depth && !frontier.is_empty() {
            let mut found = Vec::new();
            for Found { world, next, steps } in frontier {
                for op in world.choices(setup, &ALPHABET, next) {
                    report.transitions += 1;
                    let mut after = world.clone();
                    after.run(op);
                    found.extend(search.visit(after, Some((steps, op))));
                }
            }
            frontier = found;
            report = Report { depth: report.depth + 1, states: search.seen.len(), frontier: frontier.len(), ..report };
        }
        report
    }

    /// Visits a world and the step that led to it. Does nothing if an equal state was seen before.
    fn visit(&mut self, world: World, step: Option<(usize, Op)>) -> Option<Found> {
        self.holds(&world, "after", step);
        let state = world.state(self.setup);
        if !self.seen.insert(fingerprint(&state)) {
            return None;
        }
        let mut end = world.clone();
        end.recover();
        self.holds(&end, "on the way back from", step);
        self.steps.extend(step);
        Some(Found { world, next: state.next, steps: self.steps.len() })
    }

    fn holds(&self, world: &World, when: &str, mut step: Option<(usize, Op)>) {
        let Some(broken) = world.broken.first() else { return };
        let mut history = Vec::new();
        while let Some((from, op)) = step {
            history.push(op);
            step = from.checked_sub(1).map(|last| self.steps[last]);
        }
        history.reverse();
        panic!("{broken:#?}\n{when} these {} in {:?}:\n{history:#?}", history.len(), self.setup);
    }
}

/// 128 bits: any two of ten million states have the same one with a probability of 10^-25.
fn fingerprint(state: &State) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, &state.text).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

/// Proactive or on demand, with or without an initial token.
fn setups(options: &Options) -> impl Iterator<Item = Setup> {
    [(false, None), (false, Some(HELD)), (true, None), (true, Some(HELD))].into_iter().map(
        move |(proactive, initial)| Setup {
            options: Options { proactive, ..options.clone() },
            initial,
            source: None,
            server: None,
            start: start(),
        },
    )
}

/// Sources that are asked by the timer, and at each request.
fn setups_with_a_source() -> [Setup; 2] {
    [(true, false, true), (false, true, false)].map(|(proactive, each_request, prewarm)| Setup {
        options: Options { proactive, ..Options::standard() },
        initial: None,
        source: Some(Asks { each_request, prewarm, timeout: 5_000 }),
        server: None,
        start: start(),
    })
}

/// The wall clock is right, or wrong by more than the life of a token.
fn setups_with_a_server() -> impl Iterator<Item = Setup> {
    [(true, 0), (true, 86_400_000), (false, -86_400_000)].into_iter().map(|(proactive, ahead)| Setup {
        options: Options { proactive, ..Options::standard() },
        initial: None,
        source: None,
        server: Some(ahead),
        start: start(),
    })
}

fn start() -> Now {
    Now::new(Monotonic::from_millis(90_000_000), UnixTime::from_millis(1_700_000_000_000))
}

fn search(policy: &str, options: &Options, depth: usize) -> Vec<Report> {
    search_all(policy, &setups(options).collect::<Vec<_>>(), depth)
}

fn search_all(policy: &str, setups: &[Setup], depth: usize) -> Vec<Report> {
    let report = |setup: &Setup| {
        let report = Search::run(setup, depth);
        let kind = if setup.options.proactive { "proactive" } else { "on demand" };
        let begins = match (setup.initial, setup.source, setup.server) {
            (Some(_), _, _) => "a token",
            (None, None, None) => "no token",
            (None, None, Some(0)) => "a server with a clock",
            (None, None, Some(1..)) => "a clock a day ahead",
            (None, None, Some(_)) => "a clock a day slow",
            (None, Some(asks), _) if asks.each_request => "a source for each request",
            (None, Some(_), _) => "a source for each refresh",
        };
        println!("{policy}, {kind:9}, {begins:8}: {report}");
        report
    };
    thread::scope(|scope| {
        let searches: Vec<_> = setups.iter().map(|setup| scope.spawn(|| report(setup))).collect();
        searches.into_iter().map(|search| search.join().expect("no law is broken")).collect()
    })
}

/// Fails when `until_due` leaves out the timeout.
#[test]
fn no_short_history_breaks_a_law_under_the_default_policy() {
    let reports = search("default", &Options::standard(), QUICK);
    assert!(reports.iter().all(|report| report.depth == QUICK && report.states > 500), "{reports:#?}");
}

/// Fails when a failure under no retry does not end renewing by timer (`UntilAccepted` in `fail`).
#[test]
fn no_short_history_breaks_a_law_under_the_reference_policy() {
    let reports = search("reference", &Options::reference(), BRIEF);
    assert!(reports.iter().all(|report| report.depth == BRIEF && report.states > 100), "{reports:#?}");
}

/// The same to the end. Takes minutes in debug.
#[test]
#[ignore = "takes minutes, and is quicker in release: `cargo test --release --test search -- --ignored --nocapture`"]
fn no_history_of_any_length_breaks_a_law_under_the_reference_policy() {
    let reports = search("reference", &Options::reference(), 100);
    assert!(reports.iter().all(|report| report.frontier == 0 && report.states > 500), "{reports:#?}");
}

/// The source is asked on each refresh, or also at each request. In one of the two, the timer renews.
///
/// Fails when a refresh after a check does not wait for the minimum interval (`await_start`), or when `until_due`
/// leaves out a check's timeout.
#[test]
fn no_short_history_with_a_source_breaks_a_law() {
    let setups = setups_with_a_source();
    let reports = search_all("default", &setups, SHALLOW);
    assert!(reports.iter().all(|report| report.depth == SHALLOW && report.states > 100), "{reports:#?}");
}

/// The issuer and the service have a clock of their own, and state it; a service may lie. The wall clock is right or wrong, and set.
///
/// Fails when the anchor leaves out the error of its reading (`Anchor::new`), when a reading lays no held token anew (`see`), or when
/// a token laid anew lives for longer than it was issued for (`lay`).
#[test]
fn no_short_history_with_the_servers_time_breaks_a_law() {
    let setups: Vec<_> = setups_with_a_server().collect();
    let reports = search_all("default", &setups, WITH_CLOCK);
    assert!(reports.iter().all(|report| report.depth == WITH_CLOCK && report.states > 100), "{reports:#?}");
}

/// Takes minutes. `SEARCH_DEPTH` sets the depth.
#[test]
#[ignore = "takes minutes, and only in release: `cargo test --release --test search -- --ignored --nocapture`"]
fn no_long_history_breaks_a_law_under_the_default_policy() {
    let depth = std::env::var("SEARCH_DEPTH").map_or(12, |depth| depth.parse().expect("SEARCH_DEPTH is a number"));
    search("default", &Options::standard(), depth);
}

/// Fails, in release, when `state` leaves out the count of failures, or the time left by the wall clock.
/// It checks all short histories first, then the states of a search. In debug it leaves out what takes long: the reference policy,
/// and a server whose clock is not the device's.
#[test]
fn states_that_read_the_same_have_the_same_future() {
    let (every, depth) = if cfg!(debug_assertions) { (2, 3) } else { (3, 5) };
    let [standard, reference] = [Options::standard(), Options::reference()];
    let long = setups(&reference).chain(setups_with_a_server()).filter(|_| !cfg!(debug_assertions));
    for setup in setups(&standard).chain(setups_with_a_source()).chain(long) {
        let look = |world: &World| {
            let State { text, next } = world.state(&setup);
            (text, next, world.futures(&setup, &ALPHABET, next))
        };
        let first = World::new(&setup);
        let (text, next, futures) = look(&first);
        let mut known = HashMap::from([(text, futures)]);
        let mut frontier = vec![(first, next)];
        let mut merged = 0;
        for level in 1..=depth {
            let mut found = Vec::new();
            for (world, next) in frontier {
                for op in world.choices(&setup, &ALPHABET, next) {
                    let mut after = world.clone();
                    after.run(op);
                    let (text, next, futures) = look(&after);
                    let other = known.get(&text);
                    if let Some(other) = other {
                        merged += 1;
                        let apart = other.iter().zip(&futures).find(|(one, other)| one != other);
                        assert!(*other == futures, "in {setup:?}\nboth are {text}\n{apart:#?}");
                    }
                    if other.is_none() || level <= every {
                        found.push((after, next));
                    }
                    known.entry(text).or_insert(futures);
                }
            }
            frontier = found;
        }
        println!("{} states stand for {merged} more", known.len());
    }
}
