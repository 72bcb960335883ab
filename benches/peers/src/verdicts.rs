//! Our goals in speed, compared with the floors and the fastest of the other libraries.

use crate::contender::Kind;
use crate::report::Verdict;
use crate::speed::Lane;
use crate::{floors, ours};

pub fn of(lanes: &[Lane]) -> Vec<Verdict> {
    let alone = fastest(lanes, Lane::alone);
    let together = fastest(lanes, Lane::together);
    let mut verdicts = Vec::new();
    for lane in lanes.iter().filter(|lane| lane.entry.facts.kind == Kind::Ours) {
        let mut say =
            |what: String, held| verdicts.push(Verdict { what: format!("{}: {what}", lane.entry.facts.name), held });
        say(format!("{:.0} allocations", lane.allocations), lane.allocations == 0.0);
        match lane.entry.facts.returns {
            ours::OWNED => {
                let floor = named(lanes, floors::OWNED);
                for (ours, floor, fastest, threads) in [
                    (lane.alone(), floor.alone(), alone, "at 1 thread"),
                    (lane.together(), floor.together(), together, "at 2 threads"),
                ] {
                    say(times(ours / floor, &format!("the floor {threads}, ≤ 1.25")), ours <= 1.25 * floor);
                    say(faster(fastest, ours, 1.0, threads), fastest.1 > ours);
                }
            }
            ours::BORROWED => {
                let growth = lane.together() / lane.alone();
                say(times(growth, "the time at 2 threads, ≤ 1.15"), growth <= 1.15);
                say(faster(alone, lane.alone(), 5.0, "at 1 thread"), alone.1 >= 5.0 * lane.alone());
                say(faster(together, lane.together(), 12.0, "at 2 threads"), together.1 >= 12.0 * lane.together());
            }
            _ => {
                let (middle, policy) = (named(lanes, "middle"), named(lanes, "azure_core: bearer policy"));
                for (peer, at_1, at_2) in [(middle, 1.6, 3.5), (policy, 12.0, 12.0)] {
                    let name = peer.entry.facts.name;
                    let (one, two) = ((name, peer.alone()), (name, peer.together()));
                    say(faster(one, lane.alone(), at_1, "at 1 thread"), one.1 >= at_1 * lane.alone());
                    say(faster(two, lane.together(), at_2, "at 2 threads"), two.1 >= at_2 * lane.together());
                }
            }
        }
    }
    verdicts
}

/// The fastest of those that check the expiry at every call.
fn fastest(lanes: &[Lane], time: impl Fn(&Lane) -> f64) -> (&str, f64) {
    let peers = lanes.iter().filter(|lane| lane.entry.facts.kind == Kind::Peer && lane.entry.facts.checks_expiry);
    let times = peers.map(|lane| (lane.entry.facts.name, time(lane)));
    times.min_by(|one, other| one.1.total_cmp(&other.1)).expect("there are peers")
}

fn named<'a>(lanes: &'a [Lane], name: &str) -> &'a Lane {
    lanes.iter().find(|lane| lane.entry.facts.name == name).expect("it is measured")
}

fn times(ratio: f64, of: &str) -> String {
    format!("{ratio:.2} × {of}")
}

fn faster((peer, theirs): (&str, f64), ours: f64, at_least: f64, threads: &str) -> String {
    format!("{:.2} × as fast as {peer} {threads}, ≥ {at_least:.1}", theirs / ours)
}
