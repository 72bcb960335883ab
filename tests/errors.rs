//! An error leads to its cause, and each text is shown once.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use acs_common::{Error, RefresherError};

mod support;

use support::rig::{self, Did, Rig};

/// Its text includes its cause, as with errors of HTTP clients.
#[derive(Debug)]
struct Unreachable;

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the issuer cannot be reached")
    }
}

impl std::error::Error for Unreachable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&fmt::Error)
    }
}

/// Fails when `source` of either error is missing, or is the error whose text it already contains.
#[test]
fn a_callers_error_leads_to_the_cause_of_the_refreshers_error() {
    let mut rig = Rig::empty(rig::steady_policy());
    rig.request(1);
    let done = rig.fail(RefresherError::new(Unreachable));
    let [Did::Error(1, error @ Error::RefreshFailed { cause, .. }), ..] = &done[..] else { panic!("{done:?}") };
    for shown in [error.to_string(), cause.to_string()] {
        assert!(shown.ends_with("the issuer cannot be reached"), "{shown}");
    }
    assert!(error.source().expect("it has a cause").is::<fmt::Error>());
    assert!(cause.source().expect("it has a cause").is::<fmt::Error>());
}

/// Fails when `Debug` of a refresher's error leaves out a field.
#[test]
fn a_refreshers_error_shows_all_its_fields() {
    let error = RefresherError::new(Unreachable).permanent().with_retry_after(Duration::from_secs(20));
    assert_eq!(format!("{error:?}"), "RefresherError { source: Unreachable, permanent: true, retry_after: Some(20s) }");
}

/// Fails when both errors have the same text, or a text does not say what to do.
#[test]
fn a_caller_of_an_ended_credential_is_told_what_to_do() {
    assert!(Error::Disposed.to_string().contains("make a new one"));
    assert!(Error::DriverStopped.to_string().contains("keep the task"));
}
