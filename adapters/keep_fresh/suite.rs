//! Runs the example as a process and reads what it prints: included by each adapter's tests, whose `EXAMPLE` names it.

#![allow(dead_code, unreachable_pub, reason = "included by two packages' tests")]

use std::process::{Child, Command};

use super::EXAMPLE;
use process::{At, Run, run};

#[path = "clocks.rs"]
mod clocks;
#[path = "../../tests/support/process.rs"]
mod process;

fn play(arguments: &[&str], at: Option<At<'_>>) -> Run {
    run(EXAMPLE, arguments, at)
}

/// What the summary says.
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
        assert_eq!(self.number("failed:"), self.failures().iter().map(|(_, number)| number).sum::<u64>(), "{self}");
    }

    /// What follows the line of all failures: each kind with its number.
    fn failures(&self) -> Vec<(&str, u64)> {
        let kinds = self.out.lines().skip_while(|line| !line.ends_with("  failed:")).skip(1);
        let pairs = kinds.map_while(|line| line.trim_start().split_once("  "));
        pairs.map_while(|(number, kind)| Some((kind.trim_start(), number.parse().ok()?))).collect()
    }
}

/// All five outages, if there is time for them.
pub fn whole_script() {
    let run = play(&[], None);
    run.kept_every_promise(9);
    assert_eq!(run.number("requests were refused with 401"), 0, "{run}");
    assert!(run.out.contains("(5 of 5 outages are over)"), "{run}");
    // 8 callers for over 15 s, ten times a second each; a quarter of that on a busy machine.
    assert!(run.number("requests were served") > 300, "{run}");
    assert!(run.number("brought a new token") >= 6, "{run}");
    let kinds: Vec<_> = run.failures().into_iter().map(|(kind, _)| kind).collect();
    let expected = [
        "503 Service Unavailable",
        "connection refused",
        "no answer in time",
        "the answer was no token",
        "the token had already expired",
    ];
    assert_eq!(kinds, expected, "{run}");
}

/// Bites when `fail_refresh` drops the lease, and when `fail` always rests `UntilAccepted`.
#[test]
fn outages_go_unnoticed_by_the_callers() {
    let run = play(&["--seconds", "8"], None);
    run.kept_every_promise(9);
    assert_eq!(run.number("requests were refused with 401"), 0, "{run}");
    assert!(run.out.contains("you         set the time, and it is up"), "{run}");
    assert!(run.number("connection refused") >= 1 && run.number("no answer in time") >= 1, "both were felt: {run}");
    assert_eq!(run.number("times a caller was told at once why there is none"), 0, "{run}");
}

/// Bites when `settle` lets those wait who ask during a rest, and when `is_dead` never holds.
#[test]
fn when_there_can_be_no_token_callers_are_told_and_it_recovers_by_itself() {
    let run = play(&["--long-outage"], None);
    run.kept_every_promise(7);
    assert!(run.out.contains("credential  its token has expired"), "{run}");
    assert!(run.out.contains("callers     get no token, and are told why: connection refused; asking again"), "{run}");
    assert!(run.number("times a caller was told at once why there is none") > 0, "{run}");
    assert!(run.out.contains("callers     get tokens again"), "{run}");
    assert!(run.out.contains("(1 of 1 outages are over)"), "{run}");
}

/// Bites when `dispose` leaves the kind as it was.
#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_with_the_summary_so_far() {
    let interrupt = |child: &Child| {
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "kill works");
    };
    let run = play(&[], Some(("OUTAGE 1 of 5", interrupt)));
    run.kept_every_promise(9);
    assert!(run.out.contains("you         pressed ctrl-c"), "{run}");
    assert!(run.out.contains("(0 of 1 outages are over)"), "{run}");
    assert!(!run.out.contains("OUTAGE 2 of 5"), "{run}");
}

#[test]
fn help_is_given_on_standard_output() {
    for argument in ["--help", "-h"] {
        let run = play(&[argument], None);
        assert_eq!((run.status, run.err.as_str()), (Some(0), ""), "{run}");
        let usage = format!("Usage: {EXAMPLE} [--seconds N] [--long-outage | --calm]");
        assert!(run.out.contains(&usage) && run.out.contains("Exit status: 0 every promise was kept"), "{run}");
    }
}

#[test]
fn what_it_does_not_understand_it_refuses() {
    let wrong: [(&[&str], &str); 7] = [
        (&["--minutes"], "unknown argument \"--minutes\""),
        (&["5"], "unknown argument \"5\""),
        (&["--seconds"], "--seconds takes a number"),
        (&["--seconds", "soon"], "--seconds takes a number from 1 to 3600, not \"soon\""),
        (&["--calm", "--long-outage"], "--long-outage and --calm do not go together"),
        (&["--long-outage", "--seconds", "1", "--calm"], "--long-outage and --calm do not go together"),
        (&["--seconds", "0"], "--seconds takes a number from 1 to 3600, not \"0\""),
    ];
    for (arguments, message) in wrong {
        let run = play(arguments, None);
        assert_eq!((run.status, run.out.as_str()), (Some(2), ""), "{run}");
        assert!(run.err.starts_with(&format!("{EXAMPLE}: {message}\n")), "{run}");
        assert!(run.err.contains(&format!("Usage: {EXAMPLE} [")), "{run}");
    }
}
