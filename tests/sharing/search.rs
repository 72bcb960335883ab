//! Everything that can happen to two or three processes, depth first, each state once for each number of steps that are left.

use std::collections::HashMap;

use proptest::prelude::*;

use crate::support::sharing_world::{Op, Planted, Setup, World, play};

struct Search {
    setup: Setup,
    faults: usize,
    seen: HashMap<u64, usize>,
    transitions: usize,
    history: Vec<Op>,
    /// Stops at the first broken law.
    found: Option<String>,
}

impl Search {
    fn new(setup: Setup, faults: usize) -> Self {
        Self { setup, faults, seen: HashMap::new(), transitions: 0, history: Vec::new(), found: None }
    }

    fn from(&mut self, world: &World, depth: usize) {
        let known = self.seen.entry(world.state()).or_insert(usize::MAX);
        if *known != usize::MAX && *known >= depth || self.found.is_some() {
            return;
        }
        let is_new = *known == usize::MAX;
        *known = depth;
        if is_new {
            for down in [false, true] {
                if let Err(broken) = world.recovers(down) {
                    return self.breaks(&broken, world);
                }
            }
        }
        if depth == 0 {
            return;
        }
        for op in world.choices(self.faults) {
            let mut next = world.clone();
            next.run(op);
            self.transitions += 1;
            self.history.push(op);
            match &next.broken {
                Some(broken) => self.breaks(&broken.clone(), &next),
                None => self.from(&next, depth - 1),
            }
            self.history.pop();
            if self.found.is_some() {
                return;
            }
        }
    }

    fn breaks(&mut self, broken: &str, world: &World) {
        self.found = Some(format!("{broken}\nin {:?}\n{:?}\n{world:#?}", self.setup, self.history));
    }
}

/// From here each search starts, so that it comes far with few steps.
const SCENES: [&[Op]; 9] = [
    &[],
    // One refreshes, the other waits.
    &[Op::Request(0), Op::Do(0), Op::Do(0), Op::Request(1), Op::Do(0), Op::Do(0)],
    // One has a token, and it is on its way to the store.
    &[Op::Request(0), Op::Do(0), Op::Do(0), Op::Issue(0)],
    // Both hold the token of the first.
    &[Op::Request(0), Op::Do(0), Op::Do(0), Op::Issue(0), Op::Do(0), Op::Request(1), Op::Do(0)],
    // It was rejected here.
    &[
        Op::Request(0),
        Op::Do(0),
        Op::Do(0),
        Op::Issue(0),
        Op::Do(0),
        Op::Request(1),
        Op::Do(0),
        Op::Reject(0),
        Op::Request(0),
    ],
    // The lease is extended.
    &[Op::Request(0), Op::Do(0), Op::Do(0), Op::Tick],
    // The store has forgotten everything, and then got the finish once more.
    &[Op::Request(0), Op::Do(0), Op::Do(0), Op::Issue(0), Op::Repeat(0), Op::Forget, Op::DoLate(0), Op::Reject(0)],
    // Each holds a token of its own, since the store forgot the first.
    &[
        Op::Request(0),
        Op::Do(0),
        Op::Do(0),
        Op::Issue(0),
        Op::Do(0),
        Op::Forget,
        Op::Tick,
        Op::Request(1),
        Op::Do(0),
        Op::Do(0),
        Op::Issue(1),
        Op::Do(0),
    ],
    // The holder is paused.
    &[Op::Request(0), Op::Do(0), Op::Do(0), Op::Pause(0), Op::Request(1), Op::Do(0)],
];

fn scene(setup: Setup, ops: &[Op]) -> World {
    let mut world = World::new(setup);
    for op in ops {
        world.run(*op);
        assert_eq!(world.broken, None, "{ops:?}");
    }
    world
}

/// Searches from each scene. Returns the states, and what is broken.
fn search(setup: Setup, faults: usize, depth: usize) -> (usize, usize, Option<String>) {
    let (mut states, mut transitions) = (0, 0);
    for ops in SCENES {
        let world = scene(setup, ops);
        let mut search = Search::new(setup, faults + world.faults);
        search.history = ops.to_vec();
        search.from(&world, depth);
        states += search.seen.len();
        transitions += search.transitions;
        if search.found.is_some() {
            return (states, transitions, search.found);
        }
    }
    (states, transitions, None)
}

fn setups() -> [Setup; 4] {
    let two = Setup::of(2);
    [two, Setup { lifetime: true, ..two }, Setup { ahead: 3_000_000, ..two }, Setup::of(3)]
}

/// Fails when a law of `sharing_world` breaks in a state that is a few steps from a scene.
#[test]
fn every_state_obeys_every_law() {
    let depth = if cfg!(debug_assertions) { 1 } else { 2 };
    for setup in setups() {
        let (states, transitions, found) = search(setup, 2, depth);
        println!("{setup:?}: {states} states, {transitions} transitions");
        if let Some(found) = found {
            panic!("{found}");
        }
        assert!(states > 100, "the search sees too little");
    }
}

/// By hand, in release; `SEARCH_DEPTH` says how deep.
#[test]
#[ignore = "it takes minutes"]
fn every_state_obeys_every_law_deep() {
    let depth = std::env::var("SEARCH_DEPTH").map_or(3, |depth| depth.parse().expect("a number"));
    for setup in setups() {
        let (states, transitions, found) = search(setup, 2, depth);
        println!("{setup:?}: {states} states, {transitions} transitions, depth {depth} from each scene");
        if let Some(found) = found {
            panic!("{found}");
        }
    }
}

const PLANTED: [Planted; 12] = [
    Planted::FenceIgnored,
    Planted::FenceLost,
    Planted::TwoCommands,
    Planted::NoSecondLook,
    Planted::ReleasesAny,
    Planted::ClearsMark,
    Planted::MarksAnything,
    Planted::TrustsTheClock,
    Planted::YoungerAgain,
    Planted::NewFenceEachTime,
    Planted::MarkIsRejection,
    Planted::SeededOwner,
];

/// Fails when a fault of the store, or of the host, is not found. Those of the machine are in `.ci/sharing`.
#[test]
#[ignore = "it takes minutes"]
fn each_planted_fault_is_found() {
    let missed: Vec<_> = PLANTED.into_iter().filter(|planted| !is_found(Some(*planted))).collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}

/// For `.ci/sharing`, which plants a fault in the machine.
#[test]
#[ignore = "there must be a fault in the machine"]
fn the_fault_in_the_machine_is_found() {
    assert!(is_found(None));
}

/// Searches deeper and deeper until something breaks.
fn is_found(planted: Option<Planted>) -> bool {
    for depth in 1..=4 {
        for setup in setups() {
            let searched = std::panic::catch_unwind(|| search(Setup { planted, ..setup }, 2, depth));
            // A scene itself may break a law.
            let Ok((states, _, found)) = searched else {
                println!("{planted:?}: found at depth 0");
                return true;
            };
            if let Some(found) = found {
                let law = found.lines().next().unwrap_or_default();
                println!("{planted:?}: found at depth {depth}, after {states} states: {law}");
                return true;
            }
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Fails when a law breaks in a long run, in which much goes wrong.
    #[test]
    fn every_run_obeys_every_law(bytes in prop::collection::vec(any::<u8>(), 1..80), which in 0..4_usize, faults in 0..12_usize) {
        if let Err(broken) = play(setups()[which], &bytes, faults) {
            return Err(TestCaseError::fail(broken));
        }
    }
}
