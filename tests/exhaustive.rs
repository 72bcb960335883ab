//! Every order of a small alphabet of events, to a small depth, with every law checked after each.

mod support;

use support::world::World;
use support::world::ops::{Brings, Fails, Knobs, Op, Rejects, Setup, Span};

use acs_common::{Monotonic, Now, UnixTime};

const DAY: Span = Span::Millis(86_400_000);

/// Whoever asks, cancels, answers; the timer on time, early and late; the wall clock by a day, either way.
const ALPHABET: [Op; 12] = [
    Op::Request,
    Op::Cancel(0),
    Op::Answer(Brings::Until(300_000)),
    Op::Fail(Fails { permanent: false, retry_after: None }),
    Op::Reject(Rejects::Held),
    Op::TryNow,
    Op::Advance(Span::Deadline(0)),
    Op::Look,
    Op::Oversleep(Span::Deadline(1_000)),
    Op::StepWall { back: false, by: DAY },
    Op::StepWall { back: true, by: DAY },
    Op::Dispose,
];

struct Count {
    histories: u64,
    deepest: usize,
}

fn explore(world: &World, alphabet: &[Op], history: &mut Vec<Op>, depth: usize, count: &mut Count) {
    count.histories += 1;
    count.deepest = count.deepest.max(history.len());
    if depth == 0 {
        return;
    }
    for op in alphabet.iter().copied() {
        let mut next = world.clone();
        history.push(op);
        next.run(op);
        assert!(next.broken.is_empty(), "{:#?} after {history:?}", next.broken);
        if depth == 2 {
            // What is behind has been seen on the way.
            let mut end = next.clone();
            end.recover();
            assert!(end.broken.is_empty(), "{:#?} at the end of {history:?}", end.broken);
        }
        // After the end there is only the end.
        explore(&next, alphabet, history, if matches!(op, Op::Dispose) { depth.min(2) - 1 } else { depth - 1 }, count);
        history.pop();
    }
}

fn every_history(knobs: Knobs, initial: Option<Brings>, depth: usize) {
    let start = Now::new(Monotonic::from_millis(90_000_000), UnixTime::from_millis(1_700_000_000_000));
    let mut alphabet = ALPHABET.to_vec();
    if initial.is_some() {
        // Soon there is an older one to speak of.
        alphabet.push(Op::Reject(Rejects::Older(0)));
    }
    let mut count = Count { histories: 0, deepest: 0 };
    for proactive in [false, true] {
        let setup = Setup { knobs: Knobs { proactive, ..knobs.clone() }, initial, start };
        explore(&World::new(&setup), &alphabet, &mut Vec::new(), depth, &mut count);
    }
    println!("depth {}: {} histories", count.deepest, count.histories);
    assert_eq!(count.deepest, depth);
}

/// Bites when `until_due` leaves out the timeout.
#[test]
fn no_short_history_breaks_a_law_under_the_default_policy() {
    every_history(Knobs::standard(), None, 5);
}

/// Bites when a failure under no retry does not end renewing by timer (`UntilAccepted` in `fail`).
#[test]
fn no_short_history_breaks_a_law_under_the_reference_policy() {
    every_history(Knobs::reference(), None, 5);
}

/// Bites when `reject` drops whatever is held, or `until_start` starts for those who wait though a token is held.
#[test]
fn no_short_history_of_an_initial_token_breaks_a_law() {
    every_history(Knobs::standard(), Some(Brings::Jwt(300_000)), 4);
    every_history(Knobs::reference(), Some(Brings::Jwt(300_000)), 4);
}
