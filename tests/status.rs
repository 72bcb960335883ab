//! What the `Debug` of a credential shows of its state.

mod support;

use std::time::Duration;

use acs_common::{Event, NewToken, Policy, RefresherError};

use support::rig::Rig;

const SECOND: u64 = 1_000;

#[track_caller]
fn shows(rig: &Rig, expected: &str) {
    let shown = format!("{:?}", rig.machine.status(rig.now()));
    assert_eq!(shown, format!("Status {{ {expected} }}"));
    assert!(!shown.contains("canary"));
}

/// Fails when a state is not shown, or is shown as another one, or when its time is that of another wait.
#[test]
fn each_state_is_shown_and_no_secret() {
    let hour = || NewToken::new("canary").with_expires_in(Duration::from_secs(3_600));
    let policy = Policy::builder().jitter(0.0).build().unwrap();
    let mut rig = Rig::empty(policy.clone());
    shows(&rig, "token: None, refresh: Idle, last_failure: None");
    rig.request(1);
    shows(&rig, "token: None, refresh: InFlight { gives_up_in: Some(60s) }, last_failure: None");
    rig.sleep_until(10 * SECOND);
    shows(&rig, "token: None, refresh: InFlight { gives_up_in: Some(50s) }, last_failure: None");
    rig.fail(RefresherError::new("canary"));
    shows(&rig, "token: None, refresh: BackingOff { left: Some(1s) }, last_failure: Some(RefresherFailed)");
    rig.sleep_until(11 * SECOND).request(2);
    rig.answer(hour());
    let fresh = "token: Fresh { expires_on: 2023-11-14T23:13:31Z, left: 3600s }";
    shows(&rig, &format!("{fresh}, refresh: Idle, last_failure: None"));
    rig.sleep_until(3_500 * SECOND);
    let due = "token: Due { expires_on: 2023-11-14T23:13:31Z, left: 111s }";
    shows(&rig, &format!("{due}, refresh: Idle, last_failure: None"));
    rig.request(3);
    shows(&rig, &format!("{due}, refresh: InFlight {{ gives_up_in: Some(60s) }}, last_failure: None"));
    rig.handle(Event::Disposed);
    shows(&rig, "token: None, refresh: Disposed, last_failure: None");

    let rig = Rig::fixed(hour(), policy).unwrap();
    shows(&rig, "token: Static, refresh: Idle, last_failure: None");

    let mut rig = Rig::empty(Policy::builder().no_retry().refresh_proactively(true).build().unwrap());
    rig.fail(RefresherError::new("canary"));
    shows(&rig, "token: None, refresh: BackingOff { left: None }, last_failure: Some(RefresherFailed)");
}
