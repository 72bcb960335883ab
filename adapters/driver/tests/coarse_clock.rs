//! The system's coarse clock agrees with the exact clocks.
#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use acs_common_driver::{CoarseClock as _, Monotonic, Now, SystemCoarseClock, wall_clock};

/// Runs for longer than the longest delay of a tick, to notice a clock that stands still. Fails when Linux has no coarse
/// clock, when `LATE` is missing, or when a unit is wrong.
#[test]
fn a_coarse_clock_is_not_behind_the_clocks_nor_more_than_a_second_ahead() {
    // How much older a tick may be at the start than at the request.
    const TICK: i64 = 20;
    let started = Instant::now();
    let exact =
        || (Monotonic::from_elapsed(started.elapsed()).as_millis().cast_signed(), wall_clock::now().as_millis());
    let coarse = SystemCoarseClock::start().expect("Linux has one");
    let first = coarse.tick();
    for pause in [0, 1, 1_100] {
        std::thread::sleep(Duration::from_millis(pause));
        let before = exact();
        let Now { monotonic, unix, .. } = coarse.now_at_latest();
        let after = exact();
        let said = (monotonic.as_millis().cast_signed(), unix.as_millis());
        assert!(before.0 < said.0 && said.0 <= after.0 + 1_000 + TICK, "{before:?}, {said:?}, {after:?}");
        assert!(before.1 < said.1 && said.1 <= after.1 + 1_000, "{before:?}, {said:?}, {after:?}");
    }
    assert_ne!(coarse.tick(), first);
}
