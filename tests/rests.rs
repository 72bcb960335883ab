//! Two rests at once: what a failure adds to a rest that is running, and what an answer does to it. Random lives hardly
//! ever get there, since it takes a rejection while a refresh is in flight.

use acs_common::{Event, Policy, PolicyBuilder, RefresherError};

mod support;

use support::host::{HOUR, Host, SECOND, START, proactive, until};

/// A replacement of a rejected token is held, for three seconds; half of that has passed, and the next refresh is in
/// flight.
fn renewing_a_token_on_trial(policy: PolicyBuilder) -> Host {
    let mut host = Host::new(policy, Some(until(START, HOUR)));
    reject(&mut host);
    host.ask(1);
    host.answer_for(3 * SECOND);
    host.pass(3 * SECOND / 2);
    assert_eq!(host.ask(2)[..2], ["2 served", "call"]);
    host
}

fn reject(host: &mut Host) -> Vec<String> {
    let token = host.machine.token(host.now()).expect("a token is held").clone();
    host.tell(Event::TokenRejected { token })
}

/// Bites when `fail` sets the rest of requests, or the timer's, instead of taking the later end.
#[test]
fn a_rest_that_is_running_is_never_shortened_by_another_failure() {
    let busy = RefresherError::new("too many").with_retry_after(std::time::Duration::from_secs(200));

    let mut host = renewing_a_token_on_trial(Policy::builder());
    let request = host.call.expect("it is in flight");
    host.tell(Event::RefreshFailed { request, error: busy.clone() });
    assert_eq!(reject(&mut host), ["failed, 200000"], "not the one second of a first rejection");
    assert_eq!(host.ask(3), ["3 refused: rejected, 200000"]);

    let mut host = renewing_a_token_on_trial(proactive());
    let request = host.call.expect("it is in flight");
    host.tell(Event::RefreshFailed { request, error: busy });
    assert_eq!(reject(&mut host), ["failed, 200000", "timer 200000"]);
}

/// Bites when `receive` lets the rest go on.
#[test]
fn an_accepted_token_ends_the_rest() {
    let ten = std::time::Duration::from_secs(10);
    let mut host = renewing_a_token_on_trial(Policy::builder().retry_initial(ten));
    assert_eq!(reject(&mut host), ["failed, 10000"]);
    assert_eq!(host.ask(3).len(), 0, "whoever asks waits for the refresh in flight");
    assert_eq!(host.answer_for(3 * SECOND), ["3 served", "changed", "timer off"]);
    host.pass(3 * SECOND / 2);
    assert_eq!(host.ask(4)[..2], ["4 served", "call"], "no rest is left to keep it from renewing");
}
