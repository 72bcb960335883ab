//! Examples whose output nobody reads, or that cannot be written.

#[path = "support/process.rs"]
mod process;

const LIVES: &str = "tests/scenarios/own/waiting.json";
const PRINTING: [(&str, &[&str], i32); 5] = [
    ("simulate", &["--help"], 2),
    ("simulate", &[LIVES], 2),
    ("simulate", &["--check", LIVES], 2),
    ("long_lives", &["--help"], 1),
    ("long_lives", &["--years", "1"], 1),
];

/// Bites when anything is printed by `println`, which panics, or when a broken pipe is complained of.
#[test]
fn when_nobody_reads_any_more_examples_end_quietly() {
    for (example, arguments, status) in PRINTING {
        assert_eq!(process::run_unread(example, arguments), (Some(status), String::new()), "{example} {arguments:?}");
    }
}

/// Bites when what cannot be written is lost without a word.
#[cfg(target_os = "linux")]
#[test]
fn when_the_disk_is_full_examples_say_so() {
    for (example, arguments, status) in PRINTING {
        let (ended, said) = process::run_on_a_full_disk(example, arguments);
        assert!(said.starts_with(&format!("{example}: standard output: ")), "{example} {arguments:?}: {said}");
        assert_eq!((ended, said.lines().count()), (Some(status), 1), "{example} {arguments:?}: {said}");
    }
}
