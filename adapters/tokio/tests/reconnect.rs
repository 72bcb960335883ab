//! The example `reconnect`, run as a process.

#[path = "../../../tests/support/process.rs"]
mod process;

/// Fails when the stream of tokens returns a token twice, misses one, or does not end.
#[test]
fn the_connection_signs_in_once_with_each_token_until_the_credential_is_disposed() {
    let run = process::run("reconnect", &[], None);
    assert_eq!(run.status, Some(0), "{run}");
    let lines: Vec<_> = run.out.lines().collect();
    let [first, second, third, last] = lines[..] else { panic!("{run}") };
    assert_eq!(first, "connection 1: signed in, after 0 lines");
    assert!(second.starts_with("connection 2: signed in, after ") && !second.contains(" 0 lines"), "{run}");
    assert!(third.starts_with("connection 3: signed in, after "), "{run}");
    assert_eq!(last, "disposed: the stream of tokens has ended");
}
