//! The system's ticks say what its clocks say.
#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use acs_common_driver::{Monotonic, Now, Ticks, wall_clock};

/// For longer than a tick may be late, lest one that stands still go unnoticed. Bites when there are none on Linux, when `LATE`
/// is left out, and when a unit is another.
#[test]
fn ticks_are_not_behind_the_clocks_nor_more_than_a_second_ahead() {
    // By how much a tick may be longer ago at the start than when it is asked.
    const TICK: i64 = 20;
    let started = Instant::now();
    let exact =
        || (Monotonic::from_elapsed(started.elapsed()).as_millis().cast_signed(), wall_clock::now().as_millis());
    let ticks = Ticks::start().expect("Linux has them");
    let first = ticks.tick();
    for pause in [0, 1, 1_100] {
        std::thread::sleep(Duration::from_millis(pause));
        let before = exact();
        let Now { monotonic, unix, .. } = ticks.now_or_later();
        let after = exact();
        let said = (monotonic.as_millis().cast_signed(), unix.as_millis());
        assert!(before.0 < said.0 && said.0 <= after.0 + 1_000 + TICK, "{before:?}, {said:?}, {after:?}");
        assert!(before.1 < said.1 && said.1 <= after.1 + 1_000, "{before:?}, {said:?}, {after:?}");
    }
    assert_ne!(ticks.tick(), first);
}
