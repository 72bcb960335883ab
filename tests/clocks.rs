//! The effects of the two clocks on a credential: set forward and back, stopped during a sleep, at their limits.
//!
//! The machine's actions are written as words, timers as milliseconds from now.
//!
//! This file is long because each effect is tried with each kind of clock change.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acs_common::{Action, Event, Machine, Monotonic, NewToken, Now, Policy, RefresherError, Trigger, UnixTime};

mod support;

use support::rig::{self, DAY, HOUR, MINUTE, Rig, SECOND, START, now, unix, until};

const NOTHING: [&str; 0] = [];

fn proactive() -> Policy {
    rig::steady_policy().with_refresh_proactively(true)
}

/// On demand, under the default policy, with a token valid for this long.
fn holding(lifetime: u64) -> Rig {
    Rig::holding(lifetime, rig::steady_policy())
}

/// On demand, with one waiter and its call in flight.
fn in_flight() -> Rig {
    let mut rig = Rig::empty(rig::steady_policy());
    assert_eq!(rig.ask(1), ["call", "timer 60000"]);
    rig
}

/// The same, and the call has failed.
fn backing_off() -> Rig {
    let mut rig = in_flight();
    assert_eq!(rig.said(rig.failed(down())), ["1 refused: refresh_failed, 1000", "failed, 1000", "timer off"]);
    rig
}

fn down() -> RefresherError {
    RefresherError::new("no network")
}

/// With a JWT whose claims are this many milliseconds after the start (in whole seconds).
fn jwt(iat: i64, exp: i64) -> Rig {
    let token = rig::jwt(format!("{{\"iat\":{},\"exp\":{}}}", START + iat / 1_000, START + exp / 1_000));
    Rig::new(Some(token.into()), rig::steady_policy()).unwrap()
}

/// No timeout, so that a call may take any time.
fn patient() -> Policy {
    rig::steady().refresh_timeout(None).build().unwrap()
}

// A token is held.

/// Fails when `Until::left` uses only the monotonic clock.
#[test]
fn a_wall_clock_set_forward_costs_a_held_token_one_refresh_and_no_more() {
    let mut rig = holding(HOUR);
    rig.set_forward(DAY);
    assert!(!rig.holds());
    assert_eq!(rig.ask(1), ["call", "expired", "timer 60000"]);
    assert_eq!(rig.said(rig.received_for(HOUR)), ["1 served", "changed", "timer off"]);
    rig.set_back(DAY);
    rig.pass(57 * MINUTE);
    assert_eq!(rig.ask(2), ["2 served"], "the corrected time causes no further refresh");
}

/// Fails when `Until::left` uses only the wall clock.
#[test]
fn a_wall_clock_set_back_does_not_lengthen_a_lifetime() {
    let mut rig = holding(HOUR);
    rig.set_back(DAY);
    rig.pass(HOUR - 1);
    assert!(rig.holds());
    rig.pass(1);
    assert!(!rig.holds());
    assert_eq!(rig.ask(1), ["call", "expired", "timer 60000"]);
}

/// Fails when `settle` keeps an expired lease.
#[test]
fn a_token_seen_expired_stays_expired_when_the_clock_is_set_back() {
    let mut rig = holding(HOUR);
    rig.set_forward(DAY);
    assert!(!rig.holds());
    rig.set_back(DAY);
    assert!(rig.holds(), "a look is not an event, so nothing has changed");
    rig.set_forward(DAY);
    assert_eq!(rig.look(), ["expired", "timer off"]);
    rig.set_back(DAY);
    assert!(!rig.holds());
    assert_eq!(rig.ask(1), ["call", "timer 60000"]);
}

/// Fails when `Until::left` uses only the monotonic clock.
#[test]
fn a_token_that_expired_while_the_machine_slept_is_not_served() {
    let mut rig = holding(HOUR);
    rig.suspend(HOUR - 1);
    assert!(rig.holds());
    rig.suspend(1);
    assert!(!rig.holds());
    assert_eq!(rig.ask(1), ["call", "expired", "timer 60000"]);
}

/// Fails when `snapshot` says how long the token is valid instead of how long it is fresh.
#[test]
fn a_snapshot_is_stale_as_soon_as_either_clock_says_so() {
    let mut rig = holding(HOUR);
    let snapshot = rig.machine.snapshot().expect("a token is held");
    rig.set_back(DAY);
    rig.pass(58 * MINUTE - 1);
    assert!(snapshot.token(rig.now()).is_some());
    rig.pass(1);
    assert!(snapshot.token(rig.now()).is_none(), "by the monotonic clock");
    rig.at -= 58 * MINUTE;
    rig.set_forward(DAY + 58 * MINUTE);
    assert!(snapshot.token(rig.now()).is_none(), "by the wall clock");
}

/// Fails when `ptr_eq` compares only the token or only the time: then a host keeps an outdated snapshot.
#[test]
fn a_snapshot_is_another_when_its_token_or_its_time_is() {
    let mut rig = holding(HOUR);
    let snapshot = |rig: &Rig| rig.machine.snapshot().expect("a token is held");
    let fresh = snapshot(&rig);
    assert!(fresh.ptr_eq(&snapshot(&rig)));
    assert!(!fresh.ptr_eq(&snapshot(&holding(HOUR))), "another token, for the same time");
    rig.pass(58 * MINUTE);
    assert_eq!(rig.ask(1)[..2], ["1 served", "call"]);
    assert!(!fresh.ptr_eq(&snapshot(&rig)), "the same token, for longer");
}

// Renewal.

/// Fails when `Until::left` uses only one of the clocks.
#[test]
fn a_renewal_is_due_as_soon_as_either_clock_says_so() {
    let mut rig = Rig::holding(HOUR, proactive());
    rig.set_forward(10 * MINUTE);
    assert_eq!(rig.look(), ["timer 2400000"], "by the wall clock");
    rig.set_back(DAY);
    assert_eq!(rig.look(), ["timer 3000000"], "by the monotonic clock");
    rig.pass(50 * MINUTE);
    assert_eq!(rig.look(), ["call", "timer 60000"]);
    assert_eq!(rig.ask(1), ["1 served"]);
}

/// Fails when `expire_waits` does not remember that the renewal was due.
#[test]
fn a_renewal_seen_due_during_a_backoff_stays_due_when_the_clock_is_set_back() {
    let mut rig = Rig::holding(HOUR, proactive());
    rig.set_forward(51 * MINUTE);
    assert_eq!(rig.look(), ["call", "timer 60000"]);
    assert_eq!(rig.said(rig.failed(down())), ["failed, 1000", "timer 1000"]);
    rig.set_back(51 * MINUTE);
    rig.pass(SECOND);
    assert_eq!(rig.look(), ["call", "timer 60000"]);
}

// A refresh is in flight.

/// Fails when `start` puts the timeout only on the monotonic clock, or `expire_attempt` gives no grace, or more than five
/// seconds.
#[test]
fn a_call_that_died_in_a_sleep_is_made_again_and_its_waiters_stay() {
    let mut rig = in_flight();
    rig.suspend(2 * MINUTE);
    assert_eq!(rig.look(), ["timer 5000"]);
    rig.pass(4_999);
    assert_eq!(rig.look(), ["timer 1"]);
    rig.pass(1);
    let late = rig.received_for(HOUR);
    assert_eq!(rig.look(), ["drop the call", "call", "timer 60000"]);
    assert_eq!(rig.said(late), NOTHING, "too late");
    assert_eq!(rig.said(rig.received_for(HOUR)), ["1 served", "changed", "timer off"]);
}

/// Fails when `expire_attempt` lets the grace run beyond the moment at which the monotonic clock agrees.
#[test]
fn the_grace_of_a_call_ends_when_both_clocks_call_it_overdue() {
    let mut rig = in_flight();
    rig.pass(57 * SECOND);
    rig.set_forward(DAY);
    assert_eq!(rig.look(), ["timer 3000"]);
    rig.pass(3 * SECOND);
    assert_eq!(rig.look(), ["1 refused: timed_out, 1000", "drop the call", "failed, 1000", "timer off"]);
}

/// Fails when `repeat` may happen twice in a row, or not again after a failure.
#[test]
fn a_call_is_made_again_once_until_the_next_failure() {
    let mut rig = in_flight();
    let sleep = |rig: &mut Rig| {
        rig.suspend(2 * MINUTE);
        rig.look();
        rig.pass(5 * SECOND);
        rig.look()
    };
    assert_eq!(sleep(&mut rig), ["drop the call", "call", "timer 60000"]);
    assert_eq!(sleep(&mut rig), ["1 refused: timed_out, 1000", "drop the call", "failed, 1000", "timer off"]);
    rig.pass(SECOND);
    assert_eq!(rig.ask(2), ["call", "timer 60000"]);
    assert_eq!(sleep(&mut rig), ["drop the call", "call", "timer 60000"]);
}

/// Fails when a repetition has a reason of its own, or loses its place in the streak with a clock that ends all waits.
#[test]
fn a_repetition_has_the_reason_of_the_call_that_it_repeats() {
    let at = |monotonic: u64, slept: u64| {
        let wall = START * 1_000 + i64::try_from(monotonic + slept).expect("a test's time is short");
        Now::new(Monotonic::from_millis(monotonic), UnixTime::from_millis(wall))
    };
    let mut machine = Machine::new(None, rig::steady_policy(), at(0, 0)).expect("no token is no error");
    let called = |machine: &mut Machine<u32>| {
        std::iter::from_fn(|| machine.poll_action()).find_map(|action| match action {
            Action::CallRefresher { request, reason, .. } => Some((request, reason)),
            _ => None,
        })
    };
    machine.handle(Event::TokenRequested { waiter: 1 }, at(0, 0));
    let (request, _) = called(&mut machine).expect("it is called");
    machine.handle(Event::RefreshFailed { request, error: down() }, at(10, 0));
    machine.handle(Event::TokenRequested { waiter: 2 }, at(1_010, 0));
    let (_, before) = called(&mut machine).expect("it is called");
    machine.handle(Event::TimeAdvanced, at(1_010, DAY));
    machine.handle(Event::TimeAdvanced, at(6_010, DAY));
    let (_, again) = called(&mut machine).expect("it is called again");
    assert_eq!(format!("{again:?}"), format!("{before:?}"));
    assert_eq!((again.trigger, again.failures), (Trigger::Retry, 1));
}

/// Fails when `handle` settles before the event.
#[test]
fn an_answer_before_the_timeout_is_seen_counts() {
    let mut rig = in_flight();
    rig.suspend(2 * MINUTE);
    assert_eq!(rig.said(rig.received_for(HOUR)), ["1 served", "changed", "timer off"]);
}

/// Fails when `Until::left` uses only the wall clock.
#[test]
fn a_wall_clock_set_back_does_not_lengthen_a_timeout() {
    let mut rig = in_flight();
    rig.set_back(DAY);
    rig.pass(MINUTE - 1);
    assert_eq!(rig.look(), ["timer 1"]);
    rig.pass(1);
    assert_eq!(rig.look(), ["1 refused: timed_out, 1000", "drop the call", "failed, 1000", "timer off"]);
}

/// Fails when a lifetime counts from its arrival, or from the start by only the monotonic clock.
#[test]
fn a_lifetime_counts_from_the_start_of_the_refresh_by_the_clock_that_took_longer() {
    let lasting = || NewToken::new("secret").with_expires_in(Duration::from_secs(60));
    let mut rig = Rig::empty(patient());
    assert_eq!(rig.ask(1), ["call"]);
    rig.pass(20 * SECOND);
    rig.suspend(30 * SECOND);
    assert_eq!(rig.said(rig.received(lasting())), ["1 served", "changed"]);
    rig.pass(10 * SECOND - 1);
    assert!(rig.holds());
    rig.pass(1);
    assert!(!rig.holds());

    assert_eq!(rig.ask(2), ["call", "expired"]);
    rig.suspend(60 * SECOND);
    assert_eq!(rig.said(rig.received(lasting())), ["2 refused: expired_token, 1000", "failed, 1000"]);
}

/// Fails when a lifetime is rounded up: the token would be served after its expiry, until the end of that millisecond.
#[test]
fn a_lifetime_ends_no_later_than_it_says_whatever_the_fraction_of_a_millisecond() {
    let lasting = |micros| NewToken::new("secret").with_expires_in(Duration::from_micros(micros));
    let mut rig = Rig::empty(patient());
    assert_eq!(rig.ask(1), ["call"]);
    assert_eq!(rig.said(rig.received(lasting(2_900))), ["1 served", "changed"]);
    rig.pass(1);
    assert!(rig.holds());
    rig.pass(1);
    assert!(!rig.holds());
    rig.pass(SECOND);
    assert_eq!(rig.ask(2), ["call", "expired"]);
    assert_eq!(rig.said(rig.received(lasting(999))), ["2 refused: expired_token, 1000", "failed, 1000"]);
}

// Backing off.

/// Fails when `fail` puts the backoff only on the monotonic clock.
#[test]
fn a_backoff_is_over_when_the_machine_has_slept_through_it() {
    let mut rig = backing_off();
    rig.suspend(SECOND - 1);
    assert_eq!(rig.ask(2), ["2 refused: refresh_failed, 1"]);
    rig.suspend(1);
    assert_eq!(rig.ask(3), ["call", "timer 60000"]);
}

/// Fails when `Until::left` uses only the wall clock.
#[test]
fn a_wall_clock_set_back_does_not_lengthen_a_backoff() {
    let mut rig = backing_off();
    rig.set_back(DAY);
    rig.pass(SECOND - 1);
    assert_eq!(rig.ask(2), ["2 refused: refresh_failed, 1"]);
    rig.pass(1);
    assert_eq!(rig.ask(3), ["call", "timer 60000"]);
}

/// Fails when `expire_waits` does not remember that the backoff is over.
#[test]
fn a_backoff_seen_over_is_over_when_the_clock_is_set_back() {
    let mut rig = backing_off();
    rig.set_forward(DAY);
    assert_eq!(rig.look(), ["timer off"]);
    rig.set_back(DAY);
    assert_eq!(rig.ask(2), ["call", "timer 60000"]);

    // The same for the timer's backoff, during which requests do not renew in the background.
    let mut rig = holding(HOUR);
    rig.pass(58 * MINUTE);
    assert_eq!(rig.ask(1), ["1 served", "call", "timer 60000"]);
    assert_eq!(rig.said(rig.failed(down())), ["failed, 1000", "timer off"]);
    rig.set_forward(SECOND);
    assert_eq!(rig.look(), ["timer off"]);
    rig.set_back(SECOND);
    assert_eq!(rig.ask(2), ["2 served", "call", "timer 60000"]);
}

/// Fails when `expire_waits` never ends a streak, or ends it a millisecond early.
#[test]
fn a_failure_long_after_a_sleep_starts_a_new_streak() {
    let mut rig = backing_off();
    rig.pass(SECOND);
    assert_eq!(rig.ask(2), ["call", "timer 60000"]);
    assert_eq!(rig.said(rig.failed(down())), ["2 refused: refresh_failed, 2000", "failed, 2000", "timer off"]);
    rig.suspend(2 * SECOND + 5 * MINUTE);
    assert_eq!(rig.ask(3), ["call", "timer 60000"]);
    assert_eq!(rig.said(rig.failed(down()))[1], "failed, 4000", "the last moment of the streak");
    rig.suspend(4 * SECOND + 5 * MINUTE + 1);
    assert_eq!(rig.ask(4), ["call", "timer 60000"]);
    assert_eq!(rig.said(rig.failed(down()))[1], "failed, 1000");
}

// Waiting for the minimum interval.

fn within_the_interval() -> Rig {
    let mut rig = Rig::empty(rig::steady_policy());
    assert_eq!(rig.ask(1), ["call", "timer 60000"]);
    assert_eq!(rig.said(rig.received_for(300)), ["1 served", "changed", "timer off"]);
    rig.pass(300);
    assert_eq!(rig.ask(2), ["expired", "timer 700"]);
    rig
}

/// Fails when `Until::left` uses only the wall clock.
#[test]
fn a_wall_clock_set_back_does_not_lengthen_the_minimum_interval() {
    let mut rig = within_the_interval();
    rig.set_back(DAY);
    rig.pass(699);
    assert_eq!(rig.look(), ["timer 1"]);
    rig.pass(1);
    assert_eq!(rig.look(), ["call", "timer 60000"]);
}

/// Fails when `start` puts the minimum interval only on the monotonic clock.
#[test]
fn the_minimum_interval_is_over_when_the_machine_has_slept_through_it() {
    let mut rig = within_the_interval();
    rig.suspend(699);
    assert_eq!(rig.look(), ["timer 1"]);
    rig.suspend(1);
    assert_eq!(rig.look(), ["call", "timer 60000"]);
}

// `iat`.

/// Fails when `NewToken::accept` forgets `iat`.
#[test]
fn a_token_that_arrives_by_a_slow_wall_clock_is_valid_no_longer_than_its_issued_lifetime() {
    // The clock is two hours slow, the token is valid for one hour.
    let mut rig = jwt(2 * HOUR as i64, 3 * HOUR as i64);
    rig.pass(HOUR - 1);
    assert!(rig.holds());
    rig.pass(1);
    assert!(!rig.holds());
}

/// Fails when `NewToken::accept` takes the larger of the two, or `jwt::parse` accepts an `iat` that is not below `exp`.
#[test]
fn an_iat_never_lengthens_a_lifetime_and_a_useless_one_is_ignored() {
    let long_ago = jwt(-(DAY as i64), HOUR as i64);
    let useless = jwt(HOUR as i64, HOUR as i64);
    for mut rig in [long_ago, useless] {
        rig.pass(HOUR - 1);
        assert!(rig.holds());
        rig.pass(1);
        assert!(!rig.holds());
    }
}

// The timer.

/// Fails when `poll_action` does not announce a spent timer again.
#[test]
fn a_timer_that_fires_early_is_armed_again() {
    let mut rig = Rig::holding(HOUR, proactive());
    rig.pass(50 * MINUTE - 10);
    assert_eq!(rig.look(), ["timer 10"]);
    assert_eq!(rig.look(), ["timer 10"], "and again");
    rig.pass(10);
    assert_eq!(rig.look(), ["call", "timer 60000"]);
    assert_eq!(rig.look(), ["timer 60000"], "another look is harmless");
}

/// Fails when `settle` does only one thing at a time: it would stop after it sees a token expired.
#[test]
fn a_timer_that_fires_very_late_does_all_due_work_at_once() {
    let mut rig = Rig::holding(HOUR, proactive());
    rig.pass(DAY);
    assert_eq!(rig.look(), ["call", "expired", "timer 60000"]);
    rig.pass(DAY);
    assert_eq!(rig.look(), ["drop the call", "failed, 1000", "timer 1000"]);
}

/// Fails when `until_start` starts without a reason.
#[test]
fn a_spurious_wake_up_does_nothing() {
    let mut rig = Rig::empty(rig::steady_policy());
    assert_eq!(rig.look(), ["timer off"]);
    rig.pass(DAY);
    assert_eq!(rig.look(), ["timer off"]);
}

// The limits of the clocks.

/// Fails when `from_fraction` or `Until` wraps around: the deadline is then in the past, or soon.
#[test]
fn a_token_without_end_is_not_renewed_in_a_hurry() {
    const CENTURIES: u64 = 300 * 365 * DAY;
    for (token, least) in [
        (until(CENTURIES), CENTURIES - 10 * MINUTE),
        (NewToken::new("secret").with_expires_on(UnixTime::from_millis(i64::MAX)), CENTURIES),
        (NewToken::new("secret").with_expires_in(Duration::MAX), CENTURIES),
        (NewToken::new("e30.eyJleHAiOjFlMzAwfQ.c2ln"), CENTURIES),
    ] {
        let mut rig = Rig::new(Some(token), proactive()).unwrap();
        let wait = rig.machine.deadline().expect("this token has an expiry, too").saturating_since(rig.now().monotonic);
        assert!(wait >= Duration::from_millis(least), "{wait:?}");
        rig.pass(CENTURIES - DAY);
        assert!(rig.holds());
    }
}

/// Fails when `Until` wraps around instead of saturating: the first backoff after the wrap ends before it starts, or
/// never.
#[test]
fn the_longest_waits_there_are_do_not_wrap_around() {
    let policy = proactive()
        .to_builder()
        .retry_max(Duration::MAX)
        .refresh_timeout(Duration::MAX)
        .request_backoff_max(Duration::MAX);
    let mut rig = Rig::empty(policy.build().unwrap());
    let request = rig.last_call();
    rig.pass(300 * 365 * DAY);
    assert_eq!(rig.ask(1), NOTHING, "the refresh is still in flight");
    let error = RefresherError::new("signed out").permanent().with_retry_after(Duration::MAX);
    rig.said(Event::RefreshFailed { request, error });
    rig.pass(300 * 365 * DAY);
    assert!(rig.ask(2)[0].starts_with("2 refused: refresh_failed"), "it is final");
    assert_eq!(rig.said(Event::RetryNow)[0], "call", "but `RetryNow` starts a refresh");
}

/// Fails when any arithmetic on moments overflows or wraps.
#[test]
fn at_the_ends_of_the_clocks_nothing_expired_is_served_and_nothing_panics() {
    for mono in [0, u64::MAX - 2, u64::MAX - 1, u64::MAX] {
        for wall in [i64::MIN, -1, 0, i64::MAX - 1, i64::MAX] {
            let now = Now::new(Monotonic::from_millis(mono), UnixTime::from_millis(wall));
            let mut machine = Machine::new(Some(NewToken::new("opaque")), proactive(), now).unwrap();
            let last = mono >= u64::MAX - 1 || wall == i64::MAX;
            assert_eq!(
                machine.token(now).is_some(),
                !last,
                "a clock at its limit measures no lifetime: {mono}, {wall}"
            );
            for _ in 0..3 {
                machine.handle(Event::TimeAdvanced, now);
                machine.handle(Event::TokenRequested { waiter: 1 }, now);
                let calls = std::iter::from_fn(|| machine.poll_action()).filter_map(|action| match action {
                    Action::CallRefresher { request, .. } => Some(request),
                    _ => None,
                });
                for request in calls.collect::<Vec<_>>() {
                    let expires_on = UnixTime::from_millis(wall.saturating_add_unsigned(HOUR));
                    let token = NewToken::new("opaque").with_expires_on(expires_on);
                    machine.handle(Event::TokenReceived { request, token }, now);
                }
                assert!(machine.deadline().is_none_or(|deadline| deadline >= now.monotonic));
            }
            machine.handle(Event::Disposed, now);
            let last = std::iter::from_fn(|| machine.poll_action()).last();
            assert!(matches!(last, Some(Action::ScheduleTimer { at: None })), "{last:?}");
        }
    }
}

/// Fails when a conversion loses the sign of a moment before 1970, rounds it, or does not saturate.
#[cfg(feature = "std")]
#[test]
fn the_systems_time_is_the_same_moment_on_either_side_of_1970() {
    let system = |millis: i64| {
        let distance = Duration::from_millis(millis.unsigned_abs());
        if millis < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
    };
    for millis in [-DAY.cast_signed(), -1, 0, 1, unix(0).as_millis()] {
        assert_eq!(UnixTime::from(system(millis)), UnixTime::from_millis(millis));
        assert_eq!(SystemTime::try_from(UnixTime::from_millis(millis)), Ok(system(millis)));
    }
    assert_eq!(UnixTime::from(system(1) + Duration::from_nanos(999_999)), UnixTime::from_millis(1));
    if let Some(late) = UNIX_EPOCH.checked_add(Duration::from_secs(i64::MAX.unsigned_abs() / 2)) {
        assert_eq!(UnixTime::from(late), UnixTime::from_millis(i64::MAX));
    }
    assert_eq!(Monotonic::from_elapsed(Duration::new(3, 7_999_999)), Monotonic::from_millis(3_007));
}

// A static token.

/// Fails when `with_static_token` gives its token an expiry.
#[test]
fn no_clock_matters_to_a_static_token() {
    let now = now(0);
    let mut machine = Machine::<u8>::with_static_token(until(1), rig::steady_policy(), now).unwrap();
    let ages = Now::new(Monotonic::from_millis(u64::MAX), UnixTime::from_millis(i64::MAX));
    let before = Now::new(Monotonic::from_millis(0), UnixTime::from_millis(i64::MIN));
    for moment in [now, ages, before] {
        assert!(machine.token(moment).is_some());
        machine.handle(Event::TokenRequested { waiter: 1 }, moment);
        assert!(matches!(machine.poll_action(), Some(Action::ReturnToken { result: Ok(_), .. })));
        assert!(machine.poll_action().is_none());
    }
}
