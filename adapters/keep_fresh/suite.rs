//! Runs the example as a process and reads its output. Each adapter's tests include this; their `EXAMPLE` is its name.

#![allow(dead_code, unreachable_pub, reason = "included by two packages' tests")]

#[cfg(unix)]
use std::process::{Child, Command};

use super::EXAMPLE;
use process::{At, Run, run};

#[path = "clocks.rs"]
mod clocks;
#[path = "../../tests/support/fake_clock.rs"]
mod fake_clock;
#[path = "../../tests/support/process.rs"]
mod process;

fn play(arguments: &[&str], at: Option<At<'_>>) -> Run {
    run(EXAMPLE, arguments, at)
}

/// The summary.
impl Run {
    /// The number before this text in the summary.
    #[track_caller]
    fn number(&self, text: &str) -> u64 {
        let lines = self.out.lines().filter_map(|line| line.trim_start().split_once("  "));
        let number = lines.clone().find(|(_, what)| what.trim_start().starts_with(text)).map(|(number, _)| number);
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number of {text:?} in {self}"))
    }

    #[track_caller]
    fn kept_every_promise(&self, promises: usize) {
        let kept = self.out.lines().filter(|line| line.starts_with("  kept")).count();
        assert!(self.out.ends_with("\nEvery promise was kept.\n") && !self.out.contains("BROKEN"), "{self}");
        assert_eq!((self.status, kept, self.err.as_str()), (Some(0), promises, ""), "{self}");
        assert_eq!(
            self.number("refreshes failed:"),
            self.failures().iter().map(|(_, number)| number).sum::<u64>(),
            "{self}"
        );
    }

    /// The lines below the number of all failures: each kind with its number.
    fn failures(&self) -> Vec<(&str, u64)> {
        let kinds = self.out.lines().skip_while(|line| !line.ends_with("  refreshes failed:")).skip(1);
        let pairs = kinds.map_while(|line| line.trim_start().split_once("  "));
        pairs.map_while(|(number, kind)| Some((kind.trim_start(), number.parse().ok()?))).collect()
    }
}

/// The script with all five outages.
pub fn whole_script() {
    let run = play(&[], None);
    run.kept_every_promise(9);
    assert_eq!(run.number("requests to the resource were refused with status 401"), 0, "{run}");
    assert!(run.out.contains("(after 5 of 5 outages)"), "{run}");
    // 8 callers for over 15 s, each ten times a second; on a busy machine a quarter of that.
    assert!(run.number("requests to the resource succeeded") > 300, "{run}");
    assert!(run.number("refreshes brought a new token") >= 6, "{run}");
    let kinds: Vec<_> = run.failures().into_iter().map(|(kind, _)| kind).collect();
    let expected = [
        "503 Service Unavailable",
        "connection refused",
        "no response in time",
        "the response was not a token",
        "the token had already expired",
    ];
    assert_eq!(kinds, expected, "{run}");
}

/// Fails when `fail_refresh` drops the lease, or when `fail` always starts a backoff `UntilAccepted`; or when the picture
/// misses a refresh or a caller, or shows a token.
#[test]
fn outages_go_unnoticed_by_the_callers() {
    let file = format!("{}/{EXAMPLE}.{}.svg", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let run = play(&["--seconds", "8", "--svg", &file], None);
    let picture = std::fs::read_to_string(&file).expect("the example has drawn it");
    std::fs::remove_file(&file).expect("it is there");
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"), "{picture}");
    // A picture ends in the middle of things: the summary may have counted what the picture has not yet, for each caller.
    let shown = |after: &str| {
        let (before, _) = picture.split_once(after).unwrap_or_else(|| panic!("no {after:?} in {picture}"));
        before.rsplit(' ').next().and_then(|number| number.parse::<u64>().ok()).expect("a number")
    };
    let (refreshes, at_once) = (run.number("refreshes were started"), run.number("times a caller got a token at once"));
    assert!(shown(" refreshes, ").abs_diff(refreshes) <= 1, "{run}");
    assert!(shown(" served at once").abs_diff(at_once) <= 8, "{run}");
    for shown in ["issuer: port closed, from", "issuer: never responds, from", "token t2 from"] {
        assert!(picture.contains(shown), "no {shown:?} in the picture of {run}");
    }
    assert!(!picture.contains("eyJ"), "a token in {picture}");
    run.kept_every_promise(9);
    assert_eq!(run.number("requests to the resource were refused with status 401"), 0, "{run}");
    assert!(run.out.contains("timer       the time set by --seconds is over"), "{run}");
    assert!(
        run.number("connection refused") >= 1 && run.number("no response in time") >= 1,
        "both outages caused failures: {run}"
    );
    assert_eq!(run.number("times a caller got an error at once"), 0, "{run}");
}

/// Fails when `settle` lets requests wait during a backoff, or when a lease never expires.
#[test]
fn when_there_can_be_no_token_callers_are_told_and_it_recovers_by_itself() {
    let run = play(&["--long-outage"], None);
    run.kept_every_promise(7);
    assert!(run.out.contains("credential  the token has expired"), "{run}");
    assert!(run.out.contains("callers     get no token: connection refused; next try in"), "{run}");
    assert!(run.number("times a caller got an error at once") > 0, "{run}");
    assert!(run.out.contains("callers     get tokens again"), "{run}");
    assert!(run.out.contains("(after 1 of 1 outages)"), "{run}");
}

/// Fails when the `Date` that came with a token is not used: an hour is longer than a token is valid.
#[test]
fn a_device_with_a_wrong_clock_serves_every_caller() {
    for (ahead, seen) in [("3660", "clock is at least 36"), ("-86400", "clock is at least 86")] {
        let run = play(&["--clock-ahead", ahead, "--seconds", "5"], None);
        run.kept_every_promise(8);
        assert!(run.out.contains(seen) && run.out.contains(": the issuer's time counts"), "{run}");
        assert_eq!(run.number("requests to the resource were refused with status 401"), 0, "{run}");
        assert_eq!(run.number("refreshes failed:"), 0, "{run}");
        assert!(run.number("requests to the resource succeeded") > 80, "{run}");
    }
}

/// Fails when `dispose` leaves the kind as it was.
#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_with_the_summary_so_far() {
    let interrupt = |child: &Child| {
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "kill works");
    };
    let run = play(&[], Some(("OUTAGE 1 of 5", interrupt)));
    run.kept_every_promise(9);
    assert!(run.out.contains("you         press ctrl-c"), "{run}");
    assert!(run.out.contains("(after 0 of 1 outages)"), "{run}");
    assert!(!run.out.contains("OUTAGE 2 of 5"), "{run}");
}

#[test]
fn help_is_printed_on_standard_output() {
    for argument in ["--help", "-h"] {
        let run = play(&[argument], None);
        assert_eq!((run.status, run.err.as_str()), (Some(0), ""), "{run}");
        let usage = format!(
            "Usage: {EXAMPLE} [--seconds N] [--long-outage | --calm | --clock-ahead N] [--svg FILE [--width N]]"
        );
        assert!(run.out.contains(&usage) && run.out.contains("Exit status: 0 every promise was kept"), "{run}");
    }
}

#[test]
fn wrong_arguments_are_refused() {
    let wrong: [(&[&str], &str); 13] = [
        (&["--minutes"], "unknown argument \"--minutes\""),
        (&["5"], "unknown argument \"5\""),
        (&["--seconds"], "--seconds takes a number"),
        (&["--width", "400"], "--width is for --svg"),
        (&["--svg", "a.svg", "--width", "1"], "--width takes a number from 320 to 4000, not \"1\""),
        (&["--svg"], "--svg takes the name of a file to write"),
        (&["--seconds", "soon"], "--seconds takes a number from 1 to 3600, not \"soon\""),
        (&["--calm", "--long-outage"], "--long-outage excludes --calm and --clock-ahead"),
        (&["--long-outage", "--seconds", "1", "--calm"], "--long-outage excludes --calm and --clock-ahead"),
        (&["--clock-ahead"], "--clock-ahead takes a number of seconds"),
        (&["--clock-ahead", "1h"], "--clock-ahead takes a number from -315360000 to 315360000, not \"1h\""),
        (&["--clock-ahead", "5", "--long-outage"], "--long-outage excludes --calm and --clock-ahead"),
        (&["--seconds", "0"], "--seconds takes a number from 1 to 3600, not \"0\""),
    ];
    for (arguments, message) in wrong {
        let run = play(arguments, None);
        assert_eq!((run.status, run.out.as_str()), (Some(2), ""), "{run}");
        assert!(run.err.starts_with(&format!("{EXAMPLE}: {message}\n")), "{run}");
        assert!(run.err.contains(&format!("Usage: {EXAMPLE} [")), "{run}");
    }
}
