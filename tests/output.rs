//! Examples whose output is closed, or cannot be written.

#[path = "support/process.rs"]
mod process;

const SCENARIOS: &str = "tests/scenarios/own/waiting.json";
const PRINTING: [(&str, &[&str], i32); 5] = [
    ("simulate", &["--help"], 2),
    ("simulate", &[SCENARIOS], 2),
    ("simulate", &["--check", SCENARIOS], 2),
    ("long_lives", &["--help"], 1),
    ("long_lives", &["--years", "1"], 1),
];

/// Fails when an example prints with `println`, which panics, or when it reports a broken pipe as an error.
#[test]
fn when_the_output_is_closed_examples_end_quietly() {
    for (example, arguments, status) in PRINTING {
        assert_eq!(process::run_unread(example, arguments), (Some(status), String::new()), "{example} {arguments:?}");
    }
}

/// Fails when output is lost without an error.
#[cfg(target_os = "linux")]
#[test]
fn when_the_disk_is_full_examples_say_so() {
    for (example, arguments, status) in PRINTING {
        let (ended, said) = process::run_on_a_full_disk(example, arguments);
        assert!(said.starts_with(&format!("{example}: standard output: ")), "{example} {arguments:?}: {said}");
        assert_eq!((ended, said.lines().count()), (Some(status), 1), "{example} {arguments:?}: {said}");
    }
}
