//! The example `entra_exchange`, run as a process.

#[path = "../../../tests/support/process.rs"]
mod process;

const EXAMPLE: &str = "entra_exchange";

/// Bites when `repeat` keeps no hint, when `source_answered` takes another Entra token for the same, and when `Trace` logs
/// what is sent.
#[test]
fn every_promise_is_kept_and_the_log_shows_requests_but_no_token() {
    let run = process::run_with(EXAMPLE, &[], &[("AZURE_LOG_LEVEL", "verbose"), ("RUST_LOG", "")], None);
    assert_eq!(run.status, Some(0), "{run}");
    assert!(run.out.contains("10 tokens given out, 1 failures told, 11 requests to the service."), "{run}");
    assert_eq!(run.out.matches("  kept    ").count(), 8, "{run}");
    for logged in ["acs_common::http: request method=\"POST\"", "response status=429", "attempt=3", "token changed"] {
        assert!(run.err.contains(logged), "{logged}: {run}");
    }
    assert!(!run.err.contains("entra-token-of") && !run.err.contains("acs-token-"), "a token is logged: {run}");
}

#[test]
fn what_it_does_not_understand_it_refuses() {
    let refused = [
        (&["--bogus"][..], "not understood: --bogus"),
        (&["--endpoint"], "--endpoint takes a value"),
        (&["--scope", "x"], "--scope goes with --endpoint"),
        (&["--endpoint", "http://contoso.communication.azure.com"], "the endpoint is not https"),
        (&["--endpoint", "https://contoso.communication.azure.com", "--scope", "x"], "the scope \"x\" is none of"),
    ];
    for (arguments, says) in refused {
        let run = process::run(EXAMPLE, arguments, None);
        assert_eq!((run.status, run.out.as_str()), (Some(2), ""), "{run}");
        assert!(run.err.contains(says) && run.err.contains("Usage:"), "{run}");
    }
    let run = process::run_with(EXAMPLE, &[], &[("AZURE_LOG_LEVEL", "loud"), ("RUST_LOG", "")], None);
    assert!(run.status == Some(2) && run.err.contains("it takes verbose, info, warning or error"), "{run}");
    let help = process::run(EXAMPLE, &["--help"], None);
    assert!(help.status == Some(0) && help.out.contains("Exit status") && help.err.is_empty(), "{help}");
}

/// The real service, but for a credential: none in the environment, and no tool in an empty path.
#[test]
fn with_no_azure_credential_at_hand_it_says_what_it_looked_for() {
    let names = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "PATH", "AZURE_LOG_LEVEL", "RUST_LOG"];
    let run =
        process::run_with(EXAMPLE, &["--endpoint", "https://contoso.invalid"], &names.map(|name| (name, "")), None);
    assert_eq!((run.status, run.out.as_str()), (Some(1), ""), "{run}");
    assert!(
        run.err.starts_with("entra_exchange: no valid token: ") && run.err.contains("az not found on PATH"),
        "{run}"
    );
}

/// Bites when anything is printed by `println`, which panics.
#[test]
fn when_nobody_reads_any_more_it_goes_on_quietly() {
    for arguments in [&["--help"][..], &[]] {
        assert_eq!(process::run_unread(EXAMPLE, arguments), (Some(0), String::new()), "{arguments:?}");
    }
}

/// Bites when what cannot be written is lost without a word.
#[cfg(target_os = "linux")]
#[test]
fn when_the_disk_is_full_it_says_so() {
    for arguments in [&["--help"][..], &[]] {
        let (status, said) = process::run_on_a_full_disk(EXAMPLE, arguments);
        assert_eq!((status, said.lines().count()), (Some(1), 1), "{arguments:?}: {said}");
        assert!(said.starts_with("entra_exchange: standard output: "), "{arguments:?}: {said}");
    }
}
