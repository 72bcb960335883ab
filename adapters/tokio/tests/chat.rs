//! The example `chat`, run as a process.

#[path = "../../../tests/support/process.rs"]
mod process;

/// Fails when a caller sees a 401, a token is asked for more than once after the revocation or without saying why, or the
/// server signs with the key that was rotated away.
#[test]
fn every_message_arrives_once_although_the_service_revokes_restarts_and_is_too_busy() {
    let run = process::run("chat", &[], None);
    assert_eq!(run.status, Some(0), "{run}");
    let said = |text: &str| assert!(run.out.contains(text), "{text}: {run}");
    said("240 of 240 messages arrived, by 8 callers\n");
    said(" requests with 401, and the callers saw 0\n");
    said("the server asked the Identity service for 2 tokens, because: first, rejected\n");
    said("the credential heard of 2 tokens; the key was rotated once, and 0 requests had a wrong signature\n");
    assert!(!run.out.contains("for 0 requests") && !run.out.contains("for 0 tries"), "it all happened: {run}");
    assert!(run.out.ends_with("all is as it should be\n"), "{run}");
}
