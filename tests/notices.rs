//! What notices say about a refresh: why it started, how it ended, how long it took, and which failure of its streak it is
//! (contract, rule 2.15).

mod support;

use std::time::Duration;

use acs_common::{Action, Event, Machine, NewToken, Notice, Policy, RefresherError, RequestId, Source};

use support::rig::{Did, Rig, now};

const MINUTE: u64 = 60_000;

fn hour(text: &str) -> NewToken {
    NewToken::new(text).with_expires_in(Duration::from_secs(3_600))
}

/// The result of a refresh, in words: with the milliseconds that it took, and its place in the streak.
#[track_caller]
fn result(done: &[Did]) -> String {
    let notices: Vec<_> = done
        .iter()
        .filter_map(|did| match did {
            Did::Notice(notice) => Some(words(notice)),
            _ => None,
        })
        .collect();
    assert_eq!(notices.len(), 1, "{notices:?}");
    notices.concat()
}

fn words(notice: &Notice) -> String {
    match notice {
        Notice::RefreshStarted { trigger, first, failures, .. } => {
            format!("started: {}, {}, {failures}", trigger.as_str(), first.as_str())
        }
        Notice::TokenChanged { took, .. } => format!("changed after {}", took.as_millis()),
        Notice::TokenKept { took, .. } => format!("kept after {}", took.as_millis()),
        Notice::RefreshFailed { cause, took, streak, .. } => {
            let took = took.map_or("no refresh".to_owned(), |took| took.as_millis().to_string());
            format!("{} {streak} after {took}", cause.kind().as_str())
        }
        other => format!("{other:?}"),
    }
}

/// Fails when a duration counts from another moment than the start of the refresh, or by the wall clock, or when it runs over.
#[test]
fn a_result_says_how_long_the_refresh_took() {
    let mut rig = Rig::empty(Policy::builder().refresh_timeout(None).build().unwrap());
    rig.request(1);
    rig.sleep_until(250);
    assert_eq!(result(&rig.fail(RefresherError::new("down"))), "refresh_failed 1 after 250");
    rig.sleep_until(10_000).request(2);
    rig.set_forward(5 * MINUTE);
    rig.sleep_until(10_030);
    assert_eq!(result(&rig.answer(hour("one"))), "changed after 30");
    rig.sleep_until(54 * MINUTE).request(3);
    rig.pass(7);
    assert_eq!(result(&rig.answer(hour("one"))), "kept after 7");

    // Fifty days are more than are counted.
    let mut rig = Rig::empty(Policy::builder().refresh_timeout(None).build().unwrap());
    rig.request(1);
    rig.sleep_until(50 * 24 * 60 * MINUTE);
    let told = result(&rig.fail(RefresherError::new("down")));
    assert_eq!(told, format!("refresh_failed 1 after {}", u32::MAX));
}

/// Fails when a timeout has no duration, or a failure has another place in its streak, or when the streaks of failed refreshes and
/// of rejections are one.
#[test]
fn a_failure_says_which_it_is_in_its_streak() {
    let mut rig = Rig::empty(Policy::builder().jitter(0.0).build().unwrap());
    rig.request(1);
    rig.sleep_until(MINUTE);
    let timed_out = rig.handle(Event::TimeAdvanced);
    assert_eq!(result(&timed_out[2..]), "timed_out 1 after 60000");
    rig.sleep_until(rig.at + 2_000).request(2);
    assert_eq!(result(&rig.fail(RefresherError::new("down"))), "refresh_failed 2 after 0");
    rig.sleep_until(rig.at + 4_000).request(3);
    assert_eq!(result(&rig.answer(hour("one"))), "changed after 0");

    // The replacement of a rejected token is rejected, and its replacement too.
    let reject = |rig: &mut Rig| {
        let token = rig.held().unwrap();
        rig.pass(10);
        rig.handle(Event::TokenRejected { token })
    };
    reject(&mut rig);
    rig.sleep_until(rig.at + 5_000).request(4);
    rig.answer(hour("two"));
    assert_eq!(result(&reject(&mut rig)), "rejected 1 after no refresh");
    rig.sleep_until(rig.at + 10_000).request(5);
    assert_eq!(result(&rig.fail(RefresherError::new("down"))), "refresh_failed 1 after 0");
    rig.sleep_until(rig.at + 10_000).request(6);
    assert_eq!(result(&rig.answer(hour("three"))), "changed after 0");
    assert_eq!(result(&reject(&mut rig)), "rejected 2 after no refresh");
    // The refresher returns the rejected token. That is a rejection that took a refresh.
    rig.sleep_until(rig.at + 20_000).request(7);
    rig.pass(3);
    assert_eq!(result(&rig.answer(hour("three"))), "rejected 3 after 3");
}

fn drain(machine: &mut Machine<u32>) -> (Vec<String>, Option<RequestId>) {
    let (mut said, mut asked) = (Vec::new(), None);
    while let Some(action) = machine.poll_action() {
        match action {
            Action::CheckSource { request, .. } => asked = Some(request),
            Action::Notify(notice) => said.push(words(&notice)),
            Action::ReturnToken { .. }
            | Action::CancelRefresher { .. }
            | Action::CallRefresher { .. }
            | Action::ScheduleTimer { .. } => {}
        }
    }
    (said, asked)
}

/// Fails when a question to the source alone is a refresh, when its time is left out, or when a start is announced that the
/// host does not hear of.
#[test]
fn a_question_to_the_source_is_no_refresh_but_its_time_counts() {
    let mut machine = Machine::<u32>::with_source(Policy::default(), false, now(0));
    let source = Source { version: 1, user: 1 };
    machine.handle(Event::TokenRequested { waiter: 1 }, now(0));
    let (said, request) = drain(&mut machine);
    let request = request.unwrap();
    assert!(said.is_empty(), "{said:?}");
    machine.handle(Event::SourceChecked { request, source }, now(20));
    assert_eq!(drain(&mut machine).0, ["started: first, first, 0"]);
    machine.handle(Event::TokenReceived { request, token: hour("one") }, now(50));
    assert_eq!(drain(&mut machine).0, ["changed after 50"]);

    // The source confirms the held token.
    machine.handle(Event::RetryNow, now(10_000));
    let request = drain(&mut machine).1.unwrap();
    machine.handle(Event::SourceChecked { request, source }, now(10_010));
    assert!(drain(&mut machine).0.is_empty());

    // The source fails.
    machine.handle(Event::RetryNow, now(20_000));
    let request = drain(&mut machine).1.unwrap();
    machine.handle(Event::RefreshFailed { request, error: RefresherError::new("down") }, now(20_015));
    assert_eq!(drain(&mut machine).0, ["refresh_failed 1 after 15"]);

    // A call that the host does not hear of.
    let mut machine = Machine::<u32>::new(None, Policy::default(), now(0)).unwrap();
    machine.handle(Event::TokenRequested { waiter: 1 }, now(0));
    machine.handle(Event::TimeAdvanced, now(MINUTE));
    assert_eq!(drain(&mut machine).0, ["timed_out 1 after 60000"]);
}
