//! The example `own_runtime`, as a test.

#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../examples/own_runtime.rs"]
mod example;

use std::time::Duration;

/// Fails when the credential needs more of a runtime than the two traits, or its timer does not wake it.
#[test]
fn a_credential_runs_on_threads_alone() {
    // The first one, and at least one renewal at half of its life.
    assert!(example::tokens(Duration::from_secs(2), Duration::from_millis(2_500)).unwrap() >= 2);
}
