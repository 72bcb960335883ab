//! The example `entra_exchange`, run as a process.

#[path = "../../../tests/support/process.rs"]
mod process;

const EXAMPLE: &str = "entra_exchange";

/// Fails when `repeat` ignores the `Retry-After`, when `source_answered` takes another Entra token for the same, or when
/// `Trace` logs headers or bodies.
#[test]
fn every_promise_is_kept_and_the_log_shows_requests_but_no_token() {
    let run = process::run_with(EXAMPLE, &[], &[("AZURE_LOG_LEVEL", "verbose"), ("RUST_LOG", "")], None);
    assert_eq!(run.status, Some(0), "{run}");
    assert!(run.out.contains("10 tokens received, 1 errors, 11 requests to the service."), "{run}");
    assert_eq!(run.out.matches("  kept    ").count(), 8, "{run}");
    for logged in ["acs_common::http: request method=\"POST\"", "response status=429", "attempt=3", "token changed"] {
        assert!(run.err.contains(logged), "{logged}: {run}");
    }
    assert!(!run.err.contains("entra-token-of") && !run.err.contains("acs-token-"), "a token is logged: {run}");
}

#[test]
fn wrong_arguments_are_refused() {
    let refused = [
        (&["--bogus"][..], "unknown argument \"--bogus\""),
        (&["--endpoint"], "--endpoint needs a value"),
        (&["--scope", "x"], "--scope needs --endpoint"),
        (&["--endpoint", "http://contoso.communication.azure.com"], "the endpoint is not https"),
        (&["--endpoint", "https://contoso.communication.azure.com", "--scope", "x"], "the scope \"x\" is"),
    ];
    for (arguments, says) in refused {
        let run = process::run(EXAMPLE, arguments, None);
        assert_eq!((run.status, run.out.as_str()), (Some(2), ""), "{run}");
        assert!(run.err.contains(says) && run.err.contains("Usage:"), "{run}");
    }
    let run = process::run_with(EXAMPLE, &[], &[("AZURE_LOG_LEVEL", "loud"), ("RUST_LOG", "")], None);
    assert!(run.status == Some(2) && run.err.contains("the value must be verbose, info, warning or error"), "{run}");
    let help = process::run(EXAMPLE, &["--help"], None);
    assert!(help.status == Some(0) && help.out.contains("Exit status") && help.err.is_empty(), "{help}");
}

/// With `--endpoint`, but without an Azure credential: the variables and the path are empty. On Windows a program finds its
/// libraries by the path.
#[cfg(not(windows))]
#[test]
fn without_an_azure_credential_the_error_names_what_is_missing() {
    let names = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "PATH", "AZURE_LOG_LEVEL", "RUST_LOG"];
    let run =
        process::run_with(EXAMPLE, &["--endpoint", "https://contoso.invalid"], &names.map(|name| (name, "")), None);
    assert_eq!((run.status, run.out.as_str()), (Some(1), ""), "{run}");
    assert!(
        run.err.starts_with("entra_exchange: no valid token: ") && run.err.contains("az not found on PATH"),
        "{run}"
    );
}

/// Fails when a line is printed by `println`, which panics.
#[test]
fn a_closed_standard_output_is_not_a_failure() {
    for arguments in [&["--help"][..], &[]] {
        assert_eq!(process::run_unread(EXAMPLE, arguments), (Some(0), String::new()), "{arguments:?}");
    }
}

/// Fails when an error of writing is ignored.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported() {
    for arguments in [&["--help"][..], &[]] {
        let (status, said) = process::run_on_a_full_disk(EXAMPLE, arguments);
        assert_eq!((status, said.lines().count()), (Some(1), 1), "{arguments:?}: {said}");
        assert!(said.starts_with("entra_exchange: standard output: "), "{arguments:?}: {said}");
    }
}
