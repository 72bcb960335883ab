//! Two backoffs at once: what a failure adds to a running backoff, and what an answer does to it. Random runs rarely
//! get there, since it takes a rejection while a refresh is in flight.

use std::time::Duration;

use acs_common::{Event, Policy, RefresherError};

mod support;

use support::rig::{self, HOUR, Rig, SECOND};

/// A replacement of a rejected token is held, valid for three seconds. Half of that has passed, and the next refresh is
/// in flight.
fn renewing_a_token_on_probation(policy: Policy) -> Rig {
    let mut rig = Rig::holding(HOUR, policy);
    reject(&mut rig);
    rig.ask(1);
    rig.said(rig.received_for(3 * SECOND));
    rig.pass(3 * SECOND / 2);
    assert_eq!(rig.ask(2)[..2], ["2 served", "call"]);
    rig
}

fn reject(rig: &mut Rig) -> Vec<String> {
    let token = rig.held().expect("a token is held");
    rig.said(Event::TokenRejected { token })
}

/// Fails when `fail` sets the backoff of requests, or the timer's, instead of taking the later end.
#[test]
fn a_running_backoff_is_never_shortened_by_another_failure() {
    let busy = RefresherError::new("too many").with_retry_after(Duration::from_secs(200));

    let mut rig = renewing_a_token_on_probation(rig::steady_policy());
    rig.fail(busy.clone());
    assert_eq!(reject(&mut rig), ["failed, 200000"], "not the one second of a first rejection");
    assert_eq!(rig.ask(3), ["3 served"], "the doubtful token");
    assert_eq!(rig.ask_for_another(4), ["4 refused: rejected, 200000"]);

    let mut rig = renewing_a_token_on_probation(rig::steady_policy().with_refresh_proactively(true));
    rig.fail(busy);
    assert_eq!(reject(&mut rig), ["failed, 200000"]);
    rig.pass(3 * SECOND / 2);
    assert_eq!(rig.look(), ["expired", "timer 198500"]);
}

/// Fails when `receive` does not end the backoff.
#[test]
fn an_accepted_token_ends_the_backoff() {
    let slow = rig::steady().retry_initial(Duration::from_secs(10)).build().unwrap();
    let mut rig = renewing_a_token_on_probation(slow);
    // Half of the time left.
    assert_eq!(reject(&mut rig), ["failed, 1000"]);
    assert_eq!(rig.ask_for_another(3).len(), 0, "it waits for the refresh in flight");
    assert_eq!(rig.said(rig.received_for(4 * SECOND)), ["3 served", "changed", "timer off"]);
    rig.pass(2 * SECOND);
    assert_eq!(rig.ask(4)[..2], ["4 served", "call"], "no backoff delays the renewal");
}

/// Fails when a merged backoff keeps the end that a clock showed before it was set back.
#[test]
fn a_suspension_ends_a_merged_backoff_after_the_wall_clock_was_set_ahead_and_back() {
    let day = 86_400 * SECOND;
    let mut rig = renewing_a_token_on_probation(rig::steady_policy());
    rig.set_forward(SECOND);
    rig.fail(RefresherError::new("too many").with_retry_after(Duration::from_secs(100)));
    rig.set_back(day);
    assert_eq!(reject(&mut rig), ["failed, 100000"], "the longer one goes on");
    rig.suspend(100 * SECOND);
    assert_eq!(rig.ask(3)[..2], ["3 served", "call"], "a suspension as long as the backoff ends it");
}
