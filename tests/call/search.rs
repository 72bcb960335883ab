//! Everything that can happen to a call, breadth first, each state once. The search goes on until there is no new state, so it
//! is complete for this alphabet.

use std::collections::HashSet;

use crate::support::call_world::{Op, Setup, World};

const fn response(status: u16, challenge: usize, ahead: Option<i64>) -> Op {
    Op::Response { status, challenge, elsewhere: false, ahead }
}

const ALPHABET: [Op; 12] = [
    Op::Token(0),
    Op::Token(1),
    Op::Token(2),
    Op::NoToken,
    response(200, 0, Some(0)),
    response(401, 0, Some(0)),
    response(401, 5, Some(86_400)),
    Op::Response { status: 401, challenge: 0, elsewhere: true, ahead: Some(86_400) },
    Op::NotSent,
    Op::Cancel,
    Op::Poll,
    Op::Drain,
];

/// A call has no more than so many steps, each taken and each seen by the host.
const DEEPEST: usize = 40;

/// Fails when any law of `call_world` breaks in any state.
#[test]
fn every_state_obeys_every_law_and_leads_to_the_end() {
    let starts = [(false, false), (false, true), (true, false)];
    for ((key, held), replayable) in starts.into_iter().flat_map(|start| [(start, false), (start, true)]) {
        let setup = Setup { key, held, replayable };
        let mut seen = HashSet::from([World::new(setup).state()]);
        let mut frontier: Vec<Vec<Op>> = vec![Vec::new()];
        let (mut depth, mut transitions) = (0, 0);
        while !frontier.is_empty() {
            assert!(depth < DEEPEST, "the search does not end");
            let mut found = Vec::new();
            for history in frontier {
                for op in ALPHABET {
                    let history = [&history[..], &[op]].concat();
                    let mut world = World::new(setup);
                    history.iter().for_each(|op| world.run(*op));
                    if let Err(broken) = World::play(setup, &history) {
                        panic!("{broken}");
                    }
                    transitions += 1;
                    if seen.insert(world.state()) {
                        found.push(history);
                    }
                }
            }
            frontier = found;
            depth += 1;
        }
        println!("{setup:?}: {} states, {transitions} transitions, complete at depth {depth}", seen.len());
        assert!(seen.len() > 10, "the search sees too little");
    }
}
