//! The laws that every run obeys, one test for each, over random runs: random policies (the default, the reference's,
//! their extremes), with or without a source, random events, both clocks stepped, stopped and set back.
//! `tests/support/world.rs` checks them. Each test names a fault that was put into the crate by hand to see the test
//! fail.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

mod support;

use support::world::law::Law;
use support::world::{self, ops, ops::kind::*};

const CASES: u32 = 600;
const LENGTH: usize = 60;

/// Operations of the kinds that every run needs, more of `often`, and a few of the others.
fn runs(often: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let setup = prop::collection::vec(any::<u8>(), ops::SETUP);
    let begin = prop_oneof![2 => any::<u8>(), 2 => ops::SOURCES, 1 => ops::SERVERS];
    let setup = (begin, setup).prop_map(|(begin, mut setup)| {
        setup[0] = begin;
        setup
    });
    let usual = select(&[REQUEST, REQUEST, ANSWER, FAIL, ADVANCE, ADVANCE, GIVES, GIVES][..]);
    let kind = prop_oneof![4 => usual, 3 => select(often), 1 => 0..ALL];
    let op = (kind, any::<u8>(), any::<u8>());
    (setup, prop::collection::vec(op, 0..LENGTH))
        .prop_map(|(setup, ops)| setup.into_iter().chain(ops.into_iter().flat_map(|op| [op.0, op.1, op.2])).collect())
}

fn every_run(often: &'static [u8], holds: impl Fn(&ops::Setup, &[ops::Op]) -> Result<(), String>) {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&runs(often), |bytes| {
        let (setup, ops) = ops::ops(&bytes);
        holds(&setup, &ops).map_err(|broken| TestCaseError::fail(format!("{broken}\nin {setup:?}\n{ops:?}")))
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

fn obeys(law: Option<Law>, often: &'static [u8]) {
    every_run(often, |setup, ops| match &world::play(setup, ops, law)[..] {
        [] => Ok(()),
        broken => Err(format!("{broken:#?}")),
    });
}

/// Fails when `Until::left` uses only the monotonic clock.
#[test]
fn a_token_that_is_expired_rejected_or_replaced_is_never_handed_out() {
    obeys(Some(Law::HandOut), &[REJECT, SUSPEND, STEP_WALL, OVERSLEEP]);
}

/// Fails when `fail_refresh` drops the lease, or keeps the lease of another user, or `Token::ptr_eq` compares texts.
#[test]
fn a_failed_refresh_never_costs_a_valid_token_of_the_same_user() {
    obeys(Some(Law::Kept), &[FAIL, RETRY_NOW, REJECT, GIVES]);
}

/// Fails when `until_start` does not check for an attempt in progress.
#[test]
fn two_refreshes_are_never_in_flight() {
    obeys(Some(Law::OneFlight), &[CANCEL, RETRY_NOW, REJECT]);
}

/// Fails when `take_attempt` takes any request for the one in flight, or a token while the source is asked.
#[test]
fn a_late_answer_changes_nothing() {
    obeys(Some(Law::Late), &[ANSWER_LATE, FAIL_LATE, GIVES_LATE]);
}

/// Fails when `start_interval` starts no interval, when `until_start` ignores it for waiters, or when `settle` ignores
/// it after the source has answered.
#[test]
fn two_refreshes_never_start_within_the_minimum_interval() {
    obeys(Some(Law::MinInterval), &[RETRY_NOW, REJECT, FAIL]);
}

/// Fails when `backoff::after` forgets `retry_after` or the minimum of a millisecond, when `until_start` forgets the
/// timer's backoff, or when `source_checked` continues in the backoff of the same source.
#[test]
fn an_issuer_that_wants_to_be_left_alone_is_left_alone() {
    obeys(Some(Law::Backoff), &[FAIL, RETRY_NOW, REJECT, ANSWER]);
}

/// Fails when `until_start` renews on demand without `asked`, or `until_renewal` forgets the half or the minimum of a
/// millisecond.
#[test]
fn no_refresh_starts_without_a_reason() {
    obeys(Some(Law::Unasked), &[LOOK, OVERSLEEP, CANCEL]);
}

/// Fails when `settle` leaves an overdue refresh in flight.
#[test]
fn a_settled_machine_is_never_already_due() {
    obeys(Some(Law::Settled), &[LOOK, OVERSLEEP, STEP_WALL]);
}

/// Fails when `start_clean` does not end the backoff.
#[test]
fn a_good_refresher_leads_back_from_anywhere() {
    obeys(Some(Law::Recovery), &[FAIL, FAIL, RETRY_NOW, REJECT]);
}

/// Fails when a reading leaves out its error (`Anchor::new`) or what has passed since (`latest`), when a token's own `Date` is not
/// used (`lifespan`), or when the notice of a skewed clock has the wrong sign (`skew`).
#[test]
fn a_token_ends_by_the_servers_clock_and_no_reading_lengthens_its_life() {
    obeys(Some(Law::ServerTime), &[SERVER_DATE, ANSWER_WITHOUT_DATE, STEP_WALL, SUSPEND]);
}

/// Fails when `poll_action` does not announce a spent timer again.
#[test]
fn the_armed_timer_is_the_deadline_even_after_it_fired_early() {
    obeys(Some(Law::Timer), &[LOOK, LOOK, STEP_WALL]);
}

/// Fails when `settle` puts the deadline a millisecond early.
#[test]
fn a_timer_never_fires_in_vain_so_no_loop_is_busy() {
    obeys(Some(Law::Vain), &[ADVANCE, SUSPEND]);
}

/// Fails when `forget` forgets no waiter.
#[test]
fn a_waiter_is_answered_once_and_not_after_it_was_cancelled() {
    obeys(Some(Law::Once), &[CANCEL, CANCEL, REQUEST]);
}

/// Fails when `until_due` leaves out the timeout, or `fail_refresh` answers no waiter.
#[test]
fn no_waiter_waits_without_a_reason() {
    obeys(Some(Law::Punctual), &[REQUEST, REJECT, FAIL, CANCEL]);
}

/// Fails when `refuse_waiters` reports a wait that is a millisecond too short.
#[test]
fn a_refusal_has_a_reason_and_its_advice_is_true() {
    obeys(Some(Law::Refusal), &[FAIL, FAIL, REQUEST]);
}

/// Fails when `dispose` keeps the pending failure notices.
#[test]
fn after_disposal_there_is_nothing_but_the_notice_of_it() {
    obeys(Some(Law::Disposed), &[DISPOSE, HOLD, FAIL]);
}

/// Fails when `settle` reports an expired lease but keeps it, or when `hold` or `dispose` keeps the token that was
/// rejected before.
#[test]
fn a_token_no_longer_held_leaves_no_secret_behind() {
    obeys(Some(Law::Secrets), &[REJECT, DISPOSE, OVERSLEEP]);
}

/// Fails when `snapshot` says how long the token is valid instead of how long it is fresh.
#[test]
fn the_fast_path_says_what_a_request_would() {
    obeys(Some(Law::Snapshot), &[RETRY_NOW, REJECT, ANSWER]);
}

/// Fails when `receive` does not report the accepted token, when `settle` does not report the expired one, or when
/// `reject` does not count the rejection of a replacement as a failure.
#[test]
fn what_happened_is_reported_and_nothing_else() {
    obeys(Some(Law::Notices), &[ANSWER, REJECT, OVERSLEEP, REJECT]);
}

/// Fails when `source_checked` answers with a token of another source, or calls the refresher for the held token's
/// source; when `queue` lets a late request share an earlier check; or when a check is not repeated in a backoff.
#[test]
fn the_source_is_asked_first_and_what_is_held_of_it_is_the_answer() {
    obeys(Some(Law::Source), &[GIVES, GIVES, GIVES_LATE, FAIL, ANSWER]);
}

/// Fails when `hold` keeps the first reason or the rejected token, when `reject` keeps the first reason, when
/// `fail_refresh` keeps the count of failures, when `trigger` forgets *retry now*, or when `source_checked` still
/// reports a retry.
#[test]
fn each_call_says_why_it_is_made() {
    obeys(Some(Law::Reason), &[REJECT, RETRY_NOW, FAIL, GIVES, OVERSLEEP]);
}

/// Fails when `poll_action` arms the timer before it reports.
#[test]
fn answers_come_first_and_the_timer_last() {
    obeys(Some(Law::Order), &[ANSWER, HOLD]);
}

/// Fails when a cancelled request cancels the refresh that others wait for (`abandon_if` in `handle`).
#[test]
fn cancelling_one_waiter_never_changes_what_another_gets() {
    every_run(&[GHOST, GHOST, REQUEST, CANCEL], |setup, ops| {
        let (with, without) = (world::journal(setup, ops, true), world::journal(setup, ops, false));
        let apart = with.iter().zip(&without).find(|(with, without)| with != without);
        match apart {
            None if with.len() == without.len() => Ok(()),
            apart => Err(format!("{} and {} actions, first apart: {apart:#?}", with.len(), without.len())),
        }
    });
}

/// Fails when `abandon_if` cancels a call that was never announced.
#[test]
fn several_events_before_a_drain_break_no_law() {
    obeys(None, &[HOLD, HOLD, RETRY_NOW, OVERSLEEP]);
}

/// Fails when `token` only hides an expired token and `settle` does not drop it: a clock set back makes it valid again.
#[test]
fn a_clock_that_runs_back_breaks_no_law() {
    obeys(None, &[STEP_WALL, STEP_MONOTONIC_BACK, OVERSLEEP, LOOK]);
}
