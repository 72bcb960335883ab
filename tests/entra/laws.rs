//! The laws every life with an exchange obeys, over random lives: both ways of asking the source, ahead of time or not,
//! the default policy, the reference's, and their extremes; both clocks stepped. `tests/support/exchange_world.rs` checks
//! them all. Each test leans on one kind of trouble, and names faults put into the crate by hand to see that it fails.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use acs_common::{Action, CheckSource, Event, Policy};

use super::support::exchange_world::ops::{self, kind::*};
use super::support::exchange_world::{alone, play};
use super::support::rig::{MINUTE, Rig, contoso};

const CASES: u32 = 600;
const LENGTH: usize = 60;

fn obeys(often: &'static [u8]) {
    check(often, play);
}

fn check(often: &'static [u8], play: fn(&ops::Setup, &[ops::Op]) -> Result<(), String>) {
    let setup = prop::collection::vec(any::<u8>(), ops::SETUP);
    let usual = select(&[REQUEST, REQUEST, GIVE, GIVE, SUCCEED, REFUSE, ADVANCE, TO_DEADLINE][..]);
    let kind = prop_oneof![5 => usual, 3 => select(often), 1 => 0..ALL];
    let op = (kind, any::<u8>(), any::<u8>());
    let lives = (setup, prop::collection::vec(op, 0..LENGTH))
        .prop_map(|(setup, ops)| setup.into_iter().chain(ops.into_iter().flat_map(|op| [op.0, op.1, op.2])).collect());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&lives, |bytes: Vec<u8>| {
        let (setup, ops) = ops::ops(&bytes);
        play(&setup, &ops).map_err(|broken| TestCaseError::fail(format!("{broken}\nin {setup:?}\n{ops:?}")))
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Fails when `settle` does not start what is due, so that a deadline is left in the past.
#[test]
fn every_life_obeys_the_laws() {
    obeys(&[REQUEST, TO_DEADLINE]);
}

/// Fails when `source_checked` or `is_call` takes any request for the one in flight, or the exchange any kind of answer for
/// the one that is waited for.
#[test]
fn a_late_or_foreign_answer_changes_nothing() {
    obeys(&[LATE, LATE, LATE]);
}

/// Fails when `fail_refresh` drops the lease, or does not ask whether the attempt `is_of_other_user`.
#[test]
fn a_failure_costs_a_valid_token_of_another_user_only() {
    obeys(&[GIVE, REFUSE, BAD_BODY, UNREACHABLE, FAIL_SOURCE]);
}

/// Fails when a 401 is asked about twice, or `pause` of the exchange does not count.
#[test]
fn every_refresh_has_an_end() {
    obeys(&[REFUSE, REFUSE, UNREACHABLE, GIVE]);
}

/// Fails when `end_check` forgets those who came late, or `forget` looks in one queue only.
#[test]
fn everyone_who_asks_is_answered_once_and_in_time() {
    obeys(&[REQUEST, CANCEL, CANCEL, SUCCEED]);
}

/// Fails when `reject` takes any token for the one held.
#[test]
fn a_rejected_token_never_comes_back() {
    obeys(&[REJECT, REJECT, SUCCEED, GIVE]);
}

/// Fails when `Until::left` asks one clock alone.
#[test]
fn clocks_that_are_set_break_no_law() {
    obeys(&[STEP_WALL, STEP_WALL, LOOK]);
}

/// Fails when `dispose` forgets the attempt.
#[test]
fn after_disposal_there_is_nothing_but_the_notice_of_it() {
    obeys(&[DISPOSE, DISPOSE, SUCCEED]);
}

/// Fails when a signed-out user's token is kept, or when `fail_refresh` leaves `of_failure` as it was.
#[test]
fn a_user_who_signs_out_leaves_no_token() {
    obeys(&[SIGN_OUT, GIVE, RETRY_NOW]);
}

/// Fails when `dispose` leaves the refusals to be told as they were.
#[test]
fn several_events_before_a_drain_break_no_law() {
    obeys(&[HOLD, HOLD, RETRY_NOW, DISPOSE]);
}

/// Fails when the exchange keeps its token after the end, sends before it is told to start, or does not report what it has.
#[test]
fn an_exchange_alone_obeys_its_laws_whatever_it_is_told() {
    check(&[REQUEST, GIVE, REFUSE, LATE, HOLD, UNREACHABLE], alone::play);
}

/// Fails when `abandon_if` overwrites a call that is still to be dropped with one that was never made.
#[test]
fn a_host_that_stops_in_the_middle_of_a_drain_is_told_what_to_drop_all_the_same() {
    let each = Policy::builder().check_source(CheckSource::EachRequest).build().unwrap();
    let mut rig = Rig::of_entra_user(contoso(), each);
    rig.handle(Event::TokenRequested { waiter: 1 });
    rig.sign_in("entra");
    let (request, _) = rig.sent.take().unwrap();
    rig.handle(Event::TokenRequested { waiter: 2 });

    // The exchange takes too long, and there is a check for waiter 2: no more is heard of it than that.
    rig.at = MINUTE;
    let now = rig.now();
    rig.credential.machine.handle(Event::TimeAdvanced, now);
    let first = rig.credential.machine.poll_action();
    assert!(matches!(first, Some(Action::ReturnToken { waiter: 1, .. })), "{first:?}");
    rig.handle(Event::Disposed);
    assert_eq!(rig.cancelled, [request]);
    assert!(rig.asked.is_none(), "what was never announced is not begun");
}
