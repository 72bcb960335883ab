//! Real clocks, changed while the example runs: the test sets the wall clock by days, and suspends the process.

use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::EXAMPLE;
use super::fake_clock::fake_clock;
use super::process::{Run, watch};

const NEW_TOKEN: &str = "has a new token";
/// This long after a new token no refresh is in flight, and the next one is not due soon.
const QUIET: Duration = Duration::from_millis(300);
/// If nobody changes the clocks, the token is renewed after this many seconds.
const HALF_LIFE: f64 = 2.5;

impl Run {
    /// Checks the number of refreshes: one at the start, one for each half-life, and `more`.
    #[track_caller]
    fn refreshed_in(&self, running: f64, more: u64) {
        let most = 1 + (running / HALF_LIFE) as u64 + more;
        assert!(self.number("refreshes were started") <= most, "more than {most} refreshes in {self}");
        assert_eq!(self.number("refreshes failed:"), 0, "{self}");
        // 8 callers, each ten times a second; on a busy machine a quarter of that.
        assert!(self.number("requests to the resource succeeded") as f64 > running * 20.0, "{self}");
    }
}

/// Fails when `Until::left` looks at the monotonic clock only, and when the wall clock in `SystemCoarseClock::now_at_latest` stands still.
#[test]
fn a_wall_clock_set_by_days_either_way_costs_at_most_one_refresh() {
    let Some(library) = fake_clock() else { return };
    let offset = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{EXAMPLE}.{}.clock", std::process::id()));
    let set = |days: i32| {
        // By a rename, which is atomic: the example never reads half of the file.
        let new = offset.with_extension("new");
        fs::write(&new, format!("{days:+}d\n"))
            .and_then(|()| fs::rename(&new, &offset))
            .expect("a file can be written");
    };
    set(0);
    let variables = [
        ("LD_PRELOAD", library.to_str().expect("a path in UTF-8")),
        ("FAKETIME_TIMESTAMP_FILE", offset.to_str().expect("a path in UTF-8")),
        ("FAKETIME_NO_CACHE", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let (mut days, mut steps, mut stepped) = (0, [3, -4, 30, 0].into_iter(), None::<Instant>);
    let run = watch(EXAMPLE, &["--calm", "--seconds", "10"], &variables, |line, _| {
        if !line.contains(NEW_TOKEN) {
            return;
        }
        if let Some(forward) = stepped.take() {
            assert!(forward.elapsed() < Duration::from_secs(2), "the token that expired by the wall clock stayed");
        }
        if let Some(next) = steps.next() {
            sleep(QUIET);
            set(next);
            stepped = (next > days).then(Instant::now);
            days = next;
        }
    });
    fs::remove_file(&offset).expect("it is there");
    assert_eq!(steps.next(), None, "not every step was taken: {run}");
    run.kept_every_promise(8);
    run.refreshed_in(10.0, 4);
}

/// Suspends the process for longer than a token is valid; with `SUSPEND_SECONDS=60` for a minute.
///
/// Fails when a lease never expires and a snapshot is never out of date.
#[cfg(unix)]
#[test]
fn a_process_that_was_suspended_serves_a_valid_token_at_once_and_refreshes_once() {
    let seconds = std::env::var("SUSPEND_SECONDS").map_or(6, |text| text.parse().expect("SUSPEND_SECONDS is a number"));
    let signal = |name: &str, child: &Child| {
        let killed = Command::new("kill").args([name, &child.id().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "kill works");
    };
    let (mut suspended, mut resumed) = (false, None::<Instant>);
    let arguments = ["--calm", "--seconds", &(seconds + 5).to_string()];
    let run = watch(EXAMPLE, &arguments, &[], |line, child| {
        if !line.contains(NEW_TOKEN) {
            return;
        }
        if let Some(resumed) = resumed.take() {
            assert!(resumed.elapsed() < Duration::from_secs(2), "the expired token stayed");
        }
        if !std::mem::replace(&mut suspended, true) {
            sleep(QUIET);
            signal("-STOP", child);
            sleep(Duration::from_secs(seconds));
            signal("-CONT", child);
            resumed = Some(Instant::now());
        }
    });
    assert!(suspended && resumed.is_none(), "no token came after the suspension: {run}");
    run.kept_every_promise(8);
    run.refreshed_in(5.0, 1);
}
