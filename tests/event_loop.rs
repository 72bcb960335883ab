//! The examples `event_loop` and `own_loop_entra`, run as processes.

#[path = "support/process.rs"]
mod process;

/// Fails when `poll_action` announces no timer, or when `abandon` does not tell the host.
#[test]
fn a_poll_loop_with_one_timer_is_a_complete_host() {
    let run = process::run("event_loop", &[], None);
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""), "{run}");
    for name in ["alice", "bob", "carol", "dave"] {
        assert_eq!(count(&run.out, &format!("{name} gets a token, good for ")), 1, "{name}: {run}");
    }
    assert_eq!(count(&run.out, " gets no token"), 0, "{run}");

    // There are more calls only if this machine is so busy that a good call times out.
    assert!(count(&run.out, "the issuer is called") >= 5, "{run}");
    assert!(count(&run.out, "a new token is held") >= 3, "{run}");
    let story = [
        "the issuer is called",
        "alice gets a token",
        "the issuer answered 503 Service Unavailable",
        "the issuer is called",
        "a new token is held",
        "the issuer is called",
        "the call is hung up",
        "the refresher did not answer within 300ms",
        "the issuer is called",
        "a new token is held",
        "The machine is disposed",
    ];
    let mut rest = run.out.as_str();
    for chapter in story {
        let Some((_, later)) = rest.split_once(chapter) else { panic!("{chapter:?} comes too late: {run}") };
        rest = later;
    }
}

/// Fails when an exchange does not pass on what its source returned, does not start when it must, or does not pause.
#[test]
fn two_machines_and_a_loop_are_a_credential_for_an_entra_user() {
    let run = process::run("own_loop_entra", &[], None);
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""), "{run}");
    for line in
        ["the source is asked: first", "fresh: false", "try 1: POST https://", "try 2: POST https://", "Disposed"]
    {
        assert_eq!(count(&run.out, line), 1, "{line}: {run}");
    }
    assert_eq!(count(&run.out, " has a token until 32472144000000 ms"), 3, "{run}");
    assert!(!run.out.contains("an-access-token") && !run.out.contains("an-entra-token"), "{run}");
}

#[test]
fn an_unknown_argument_is_refused() {
    let run = process::run("event_loop", &["--bogus"], None);
    assert_eq!((run.status, run.out.as_str()), (Some(2), ""), "{run}");
    assert!(run.err.contains("unknown argument \"--bogus\"") && run.err.contains("Usage: event_loop"), "{run}");
}

/// Fails when the README's loop, which nothing compiles, differs from the example's.
#[test]
fn the_readme_shows_the_loop_as_it_is() {
    let example = std::fs::read_to_string("examples/event_loop.rs").unwrap();
    let (_, from) = example.split_once("        // [loop]\n").unwrap();
    let (body, _) = from.split_once("        // [/loop]").unwrap();
    let body: String =
        body.lines().map(|line| format!("{}\n", line.strip_prefix("        ").unwrap_or(line))).collect();
    let readme = std::fs::read_to_string("README.md").unwrap();
    assert!(readme.contains(&body), "copy what is between [loop] and [/loop] into the README");
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}
