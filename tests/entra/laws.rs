//! The laws every life with an exchange obeys, over random lives: both ways of asking the source, ahead of time or not,
//! the default policy, the reference's, and their extremes; both clocks stepped. `tests/support/exchange_world.rs` checks
//! them all; each test leans on one kind of trouble, and names faults put into the crate by hand to see that it bites.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use acs_common::entra::{EntraAction, EntraEvent};
use acs_common::{CheckSource, Policy};

use super::support::exchange_world::ops::{self, kind::*};
use super::support::exchange_world::play;
use super::{Host, MINUTE, contoso};

const CASES: u32 = 600;
const LENGTH: usize = 60;

fn obeys(often: &'static [u8]) {
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

/// Bites when `settle` does not let the machine `look` at the time, so that a deadline is left in the past.
#[test]
fn every_life_obeys_the_laws() {
    obeys(&[REQUEST, TO_DEADLINE]);
}

/// Bites when `answered` takes any call, or any kind of answer, for the one that is waited for.
#[test]
fn a_late_or_foreign_answer_changes_nothing() {
    obeys(&[LATE, LATE, LATE]);
}

/// Bites when `fail_refresh` drops the lease, or does not ask whether the attempt was a `stranger`'s.
#[test]
fn a_failure_costs_a_valid_token_of_another_user_only() {
    obeys(&[GIVE, REFUSE, BAD_BODY, UNREACHABLE, FAIL_SOURCE]);
}

/// Bites when a 401 is asked about twice, or `repeat` does not count.
#[test]
fn no_refresh_goes_on_for_ever() {
    obeys(&[REFUSE, REFUSE, UNREACHABLE, GIVE]);
}

/// Bites when `end_check` forgets those who came late, or `forget` looks in one queue only.
#[test]
fn everyone_who_asks_is_answered_once_and_in_time() {
    obeys(&[REQUEST, CANCEL, CANCEL, SUCCEED]);
}

/// Bites when `reject` takes any token for the one held.
#[test]
fn a_rejected_token_never_comes_back() {
    obeys(&[REJECT, REJECT, SUCCEED, GIVE]);
}

/// Bites when `Until::left` asks one clock alone.
#[test]
fn clocks_that_are_set_break_no_law() {
    obeys(&[STEP_WALL, STEP_WALL, LOOK]);
}

/// Bites when `drop_run` forgets the call that is to be dropped, or `dispose` the run.
#[test]
fn after_disposal_there_is_nothing_but_the_news_of_it() {
    obeys(&[DISPOSE, DISPOSE, SUCCEED]);
}

/// Bites when a signed-out user's token is kept.
#[test]
fn who_signs_out_leaves_no_token() {
    obeys(&[SIGN_OUT, GIVE, TRY_NOW]);
}

/// Bites when `dispose` leaves the refusals to be told as they were.
#[test]
fn several_events_before_a_drain_break_no_law() {
    obeys(&[HOLD, HOLD, TRY_NOW, DISPOSE]);
}

/// Bites when `drop_run` overwrites a call that is yet to be dropped with one that was never made.
#[test]
fn a_host_that_stops_in_the_middle_of_a_drain_is_told_what_to_drop_all_the_same() {
    let each = Policy::builder().check_source(CheckSource::EachRequest).build().unwrap();
    let mut host = Host::new(contoso(), each);
    host.handle(EntraEvent::TokenRequested { waiter: 1 });
    host.sign_in("entra");
    let (request, _) = host.sent.take().unwrap();
    host.handle(EntraEvent::TokenRequested { waiter: 2 });

    // The exchange takes too long, and waiter 2 gets a check of his own: no more is heard of it than that.
    host.at = MINUTE;
    host.machine.handle(EntraEvent::TimeAdvanced, host.now());
    assert!(matches!(host.machine.poll_action(), Some(EntraAction::ReturnToken { waiter: 1, .. })));
    assert!(matches!(host.machine.poll_action(), Some(EntraAction::Notify(_))));
    host.handle(EntraEvent::Disposed);
    assert_eq!(host.cancelled, [request]);
    assert!(host.source.is_none(), "what was never announced is not begun");
}
