//! Two clocks, and what they do to a life: set forward and back, standing still through a sleep, at their ends.
//!
//! Each case is a little story; what the machine says is written as words, timers as milliseconds from now.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acs_common::{Action, Event, Machine, Monotonic, NewToken, Now, Policy, RefresherError, UnixTime};

mod support;

use support::host::{DAY, HOUR, Host, MINUTE, NOTHING, SECOND, START, jwt, proactive, until};

// A token is held.

/// Bites when `Until::left` asks the monotonic clock alone.
#[test]
fn a_wall_clock_set_forward_costs_a_held_token_one_refresh_and_no_more() {
    let mut host = Host::holding(HOUR);
    host.set_forward(DAY);
    assert!(!host.holds());
    assert_eq!(host.ask(1), ["call", "expired", "timer 60000"]);
    assert_eq!(host.answer_for(HOUR), ["1 served", "changed", "timer off"]);
    host.set_back(DAY);
    host.pass(57 * MINUTE);
    assert_eq!(host.ask(2), ["2 served"], "the right time is no reason for another");
}

/// Bites when `Until::left` asks the wall clock alone.
#[test]
fn a_wall_clock_set_back_does_not_lengthen_a_life() {
    let mut host = Host::holding(HOUR);
    host.set_back(DAY);
    host.pass(HOUR - 1);
    assert!(host.holds());
    host.pass(1);
    assert!(!host.holds());
    assert_eq!(host.ask(1), ["call", "expired", "timer 60000"]);
}

/// Bites when `settle` leaves a dead lease where it is.
#[test]
fn a_token_seen_dead_stays_dead_when_the_clock_is_set_back() {
    let mut host = Host::holding(HOUR);
    host.set_forward(DAY);
    assert!(!host.holds());
    host.set_back(DAY);
    assert!(host.holds(), "looking is no event, so nothing has happened");
    host.set_forward(DAY);
    assert_eq!(host.look(), ["expired", "timer off"]);
    host.set_back(DAY);
    assert!(!host.holds());
    assert_eq!(host.ask(1), ["call", "timer 60000"]);
}

/// Bites when `Until::left` asks the monotonic clock alone.
#[test]
fn a_token_that_died_while_the_machine_slept_is_not_served() {
    let mut host = Host::holding(HOUR);
    host.suspend(HOUR - 1);
    assert!(host.holds());
    host.suspend(1);
    assert!(!host.holds());
    assert_eq!(host.ask(1), ["call", "expired", "timer 60000"]);
}

/// Bites when `snapshot` says how long the token lives instead of how long it is fresh.
#[test]
fn a_snapshot_is_stale_as_soon_as_either_clock_says_so() {
    let mut host = Host::holding(HOUR);
    let snapshot = host.machine.snapshot().expect("a token is held");
    host.set_back(DAY);
    host.pass(58 * MINUTE - 1);
    assert!(snapshot.token(host.now()).is_some());
    host.pass(1);
    assert!(snapshot.token(host.now()).is_none(), "by the monotonic clock");
    host.mono -= 58 * MINUTE;
    host.set_forward(DAY);
    assert!(snapshot.token(host.now()).is_none(), "by the wall clock");
}

/// Bites when `is_same` looks at the token alone or at the time alone, so that a host goes on with what is out of date.
#[test]
fn a_snapshot_is_another_when_its_token_or_its_time_is() {
    let mut host = Host::holding(HOUR);
    let snapshot = |host: &Host| host.machine.snapshot().expect("a token is held");
    let fresh = snapshot(&host);
    assert!(fresh.is_same(&snapshot(&host)));
    assert!(!fresh.is_same(&snapshot(&Host::holding(HOUR))), "another token, for the same time");
    host.pass(58 * MINUTE);
    assert_eq!(host.ask(1)[..2], ["1 served", "call"]);
    assert!(!fresh.is_same(&snapshot(&host)), "the same token, for longer");
}

// Renewal.

/// Bites when `Until::left` asks either clock alone.
#[test]
fn a_renewal_is_due_as_soon_as_either_clock_says_so() {
    let mut host = Host::new(proactive(), Some(until(START, HOUR)));
    host.set_forward(10 * MINUTE);
    assert_eq!(host.look(), ["timer 2400000"], "by the wall clock");
    host.set_back(DAY);
    assert_eq!(host.look(), ["timer 3000000"], "by the monotonic clock");
    host.pass(50 * MINUTE);
    assert_eq!(host.look(), ["call", "timer 60000"]);
    assert_eq!(host.ask(1), ["1 served"]);
}

/// Bites when `lapse` does not keep in mind that the renewal was due.
#[test]
fn a_renewal_seen_due_during_a_rest_stays_due_when_the_clock_is_set_back() {
    let mut host = Host::new(proactive(), Some(until(START, HOUR)));
    host.set_forward(51 * MINUTE);
    assert_eq!(host.look(), ["call", "timer 60000"]);
    assert_eq!(host.fail(), ["failed, 1000", "timer 1000"]);
    host.set_back(51 * MINUTE);
    host.pass(SECOND);
    assert_eq!(host.look(), ["call", "timer 60000"]);
}

// A refresh is in flight.

/// Bites when `start` lays the timeout on the monotonic clock alone.
#[test]
fn nobody_waits_for_a_call_that_died_while_the_machine_slept() {
    let mut host = Host::in_flight();
    host.suspend(2 * MINUTE);
    assert_eq!(host.look(), ["1 refused: timed_out, 1000", "drop the call", "failed, 1000", "timer off"]);
    assert_eq!(host.answer_for(HOUR), NOTHING, "too late");
    assert!(!host.holds());
}

/// Bites when `handle` settles before the event.
#[test]
fn an_answer_that_comes_before_anybody_saw_the_timeout_counts() {
    let mut host = Host::in_flight();
    host.suspend(2 * MINUTE);
    assert_eq!(host.answer_for(HOUR), ["1 served", "changed", "timer off"]);
}

/// Bites when `Until::left` asks the wall clock alone.
#[test]
fn a_wall_clock_set_back_does_not_lengthen_a_timeout() {
    let mut host = Host::in_flight();
    host.set_back(DAY);
    host.pass(MINUTE - 1);
    assert_eq!(host.look(), ["timer 1"]);
    host.pass(1);
    assert_eq!(host.look(), ["1 refused: timed_out, 1000", "drop the call", "failed, 1000", "timer off"]);
}

/// Bites when a lifetime counts from its arrival, or from the start by the monotonic clock alone.
#[test]
fn a_lifetime_counts_from_the_start_of_the_refresh_by_the_clock_that_took_longer() {
    let lasting = || NewToken::new("secret").with_expires_in(Duration::from_secs(60));
    let mut host = Host::new(Policy::builder().refresh_timeout(None), None);
    assert_eq!(host.ask(1), ["call"]);
    host.pass(20 * SECOND);
    host.suspend(30 * SECOND);
    assert_eq!(host.answer(lasting()), ["1 served", "changed"]);
    host.pass(10 * SECOND - 1);
    assert!(host.holds());
    host.pass(1);
    assert!(!host.holds());

    assert_eq!(host.ask(2), ["call", "expired"]);
    host.suspend(60 * SECOND);
    assert_eq!(host.answer(lasting()), ["2 refused: expired_token, 1000", "failed, 1000"]);
}

/// Bites when a lifetime is rounded up: it would be served dead for the rest of that millisecond.
#[test]
fn a_lifetime_ends_no_later_than_it_says_whatever_the_fraction_of_a_millisecond() {
    let lasting = |micros| NewToken::new("secret").with_expires_in(Duration::from_micros(micros));
    let mut host = Host::new(Policy::builder().refresh_timeout(None), None);
    assert_eq!(host.ask(1), ["call"]);
    assert_eq!(host.answer(lasting(2_900)), ["1 served", "changed"]);
    host.pass(1);
    assert!(host.holds());
    host.pass(1);
    assert!(!host.holds());
    host.pass(SECOND);
    assert_eq!(host.ask(2), ["call", "expired"]);
    assert_eq!(host.answer(lasting(999)), ["2 refused: expired_token, 1000", "failed, 1000"]);
}

// Resting.

/// Bites when `fail` lays the rest on the monotonic clock alone.
#[test]
fn a_rest_is_over_when_the_machine_has_slept_through_it() {
    let mut host = Host::resting();
    host.suspend(SECOND - 1);
    assert_eq!(host.ask(2), ["2 refused: refresh_failed, 1"]);
    host.suspend(1);
    assert_eq!(host.ask(3), ["call", "timer 60000"]);
}

/// Bites when `Until::left` asks the wall clock alone.
#[test]
fn a_wall_clock_set_back_does_not_lengthen_a_rest() {
    let mut host = Host::resting();
    host.set_back(DAY);
    host.pass(SECOND - 1);
    assert_eq!(host.ask(2), ["2 refused: refresh_failed, 1"]);
    host.pass(1);
    assert_eq!(host.ask(3), ["call", "timer 60000"]);
}

/// Bites when `lapse` does not keep in mind that the rest is over.
#[test]
fn a_rest_seen_over_is_over_when_the_clock_is_set_back() {
    let mut host = Host::resting();
    host.set_forward(DAY);
    assert_eq!(host.look(), ["timer off"]);
    host.set_back(DAY);
    assert_eq!(host.ask(2), ["call", "timer 60000"]);

    // The timer's rest, which keeps requests from renewing in the background, likewise.
    let mut host = Host::holding(HOUR);
    host.pass(58 * MINUTE);
    assert_eq!(host.ask(1), ["1 served", "call", "timer 60000"]);
    assert_eq!(host.fail(), ["failed, 1000", "timer off"]);
    host.set_forward(SECOND);
    assert_eq!(host.look(), ["timer off"]);
    host.set_back(SECOND);
    assert_eq!(host.ask(2), ["2 served", "call", "timer 60000"]);
}

/// Bites when `lapse` never ends a row, or a millisecond early.
#[test]
fn a_failure_long_after_a_sleep_starts_a_new_row() {
    let mut host = Host::resting();
    host.pass(SECOND);
    assert_eq!(host.ask(2), ["call", "timer 60000"]);
    assert_eq!(host.fail(), ["2 refused: refresh_failed, 2000", "failed, 2000", "timer off"]);
    host.suspend(2 * SECOND + 5 * MINUTE);
    assert_eq!(host.ask(3), ["call", "timer 60000"]);
    assert_eq!(host.fail()[1], "failed, 4000", "the very last moment that belongs to the row");
    host.suspend(4 * SECOND + 5 * MINUTE + 1);
    assert_eq!(host.ask(4), ["call", "timer 60000"]);
    assert_eq!(host.fail()[1], "failed, 1000");
}

// Waiting for the floor.

fn at_the_floor() -> Host {
    let mut host = Host::new(Policy::builder(), None);
    assert_eq!(host.ask(1), ["call", "timer 60000"]);
    assert_eq!(host.answer_for(300), ["1 served", "changed", "timer off"]);
    host.pass(300);
    assert_eq!(host.ask(2), ["expired", "timer 700"]);
    host
}

/// Bites when `Until::left` asks the wall clock alone.
#[test]
fn a_wall_clock_set_back_does_not_lengthen_the_floor() {
    let mut host = at_the_floor();
    host.set_back(DAY);
    host.pass(699);
    assert_eq!(host.look(), ["timer 1"]);
    host.pass(1);
    assert_eq!(host.look(), ["call", "timer 60000"]);
}

/// Bites when `start` lays the floor on the monotonic clock alone.
#[test]
fn the_floor_is_over_when_the_machine_has_slept_through_it() {
    let mut host = at_the_floor();
    host.suspend(699);
    assert_eq!(host.look(), ["timer 1"]);
    host.suspend(1);
    assert_eq!(host.look(), ["call", "timer 60000"]);
}

// `iat`.

/// Bites when `NewToken::accept` forgets `iat`.
#[test]
fn a_token_that_arrives_by_a_slow_wall_clock_lives_no_longer_than_it_was_issued_for() {
    // The clock is two hours slow, the token is for one.
    let mut host = Host::new(Policy::builder(), Some(jwt(2 * HOUR as i64, 3 * HOUR as i64)));
    host.pass(HOUR - 1);
    assert!(host.holds());
    host.pass(1);
    assert!(!host.holds());
}

/// Bites when `NewToken::accept` takes the larger of the two, or `jwt::parse` an `iat` that is not below `exp`.
#[test]
fn an_iat_never_lengthens_a_life_and_a_useless_one_is_ignored() {
    let long_ago = Host::new(Policy::builder(), Some(jwt(-(DAY as i64), HOUR as i64)));
    let useless = Host::new(Policy::builder(), Some(jwt(HOUR as i64, HOUR as i64)));
    for mut host in [long_ago, useless] {
        host.pass(HOUR - 1);
        assert!(host.holds());
        host.pass(1);
        assert!(!host.holds());
    }
}

// The timer.

/// Bites when `poll_action` does not announce a spent timer again.
#[test]
fn a_timer_that_fires_early_is_armed_again() {
    let mut host = Host::new(proactive(), Some(until(START, HOUR)));
    host.pass(50 * MINUTE - 10);
    assert_eq!(host.look(), ["timer 10"]);
    assert_eq!(host.look(), ["timer 10"], "and again");
    host.pass(10);
    assert_eq!(host.look(), ["call", "timer 60000"]);
    assert_eq!(host.look(), ["timer 60000"], "a second time is once too often, and harmless");
}

/// Bites when `settle` does one thing at a time: done once a token is seen dead.
#[test]
fn a_timer_that_fires_very_late_makes_up_for_everything_at_once() {
    let mut host = Host::new(proactive(), Some(until(START, HOUR)));
    host.pass(DAY);
    assert_eq!(host.look(), ["call", "expired", "timer 60000"]);
    host.pass(DAY);
    assert_eq!(host.look(), ["drop the call", "failed, 1000", "timer 1000"]);
}

/// Bites when `until_start` starts without a demand.
#[test]
fn a_spurious_wake_up_does_nothing() {
    let mut host = Host::new(Policy::builder(), None);
    assert_eq!(host.look(), ["timer off"]);
    host.pass(DAY);
    assert_eq!(host.look(), ["timer off"]);
}

// The ends of the clocks.

/// Bites when `from_fraction` or `Until` wraps round: the deadline is then in the past, or soon.
#[test]
fn a_token_for_ever_is_not_renewed_in_a_hurry() {
    const CENTURIES: u64 = 300 * 365 * DAY;
    for (token, least) in [
        (until(START, CENTURIES), CENTURIES - 10 * MINUTE),
        (NewToken::new("secret").with_expires_on(UnixTime::from_millis(i64::MAX)), CENTURIES),
        (NewToken::new("secret").with_expires_in(Duration::MAX), CENTURIES),
        (NewToken::new("e30.eyJleHAiOjFlMzAwfQ.c2ln"), CENTURIES),
    ] {
        let mut host = Host::new(proactive(), Some(token));
        let wait = host.machine.deadline().expect("even that will end").saturating_since(host.now().monotonic);
        assert!(wait >= Duration::from_millis(least), "{wait:?}");
        host.pass(CENTURIES - DAY);
        assert!(host.holds());
    }
}

/// Bites when `Until` wraps round instead of saturating: the first rest after the wrap is over before it began, or never.
#[test]
fn the_longest_waits_there_are_do_not_wrap_round() {
    let policy = proactive().retry_max(Duration::MAX).refresh_timeout(Duration::MAX).request_rest_max(Duration::MAX);
    let mut host = Host::new(policy, None);
    let request = host.call.expect("it has no token");
    host.pass(300 * 365 * DAY);
    assert_eq!(host.ask(1), NOTHING, "the refresh is still in flight");
    let error = RefresherError::new("signed out").permanent().with_retry_after(Duration::MAX);
    host.tell(Event::RefreshFailed { request, error });
    host.pass(300 * 365 * DAY);
    assert!(host.ask(2)[0].starts_with("2 refused: refresh_failed"), "it is final");
    assert_eq!(host.tell(Event::TryNow)[0], "call", "unless somebody says so");
}

/// Bites when any arithmetic on moments overflows or wraps.
#[test]
fn at_the_ends_of_the_clocks_nothing_dead_is_served_and_nothing_panics() {
    for mono in [0, u64::MAX - 2, u64::MAX - 1, u64::MAX] {
        for wall in [i64::MIN, -1, 0, i64::MAX - 1, i64::MAX] {
            let mut host = Host::born(proactive(), Some(NewToken::new("opaque")), mono, wall);
            let last = mono >= u64::MAX - 1 || wall == i64::MAX;
            assert_eq!(host.holds(), !last, "a clock at its end measures no life: {mono}, {wall}");
            for _ in 0..3 {
                host.look();
                host.ask(1);
                if let Some(request) = host.call.take() {
                    let token = until(wall, HOUR);
                    host.tell(Event::TokenReceived { request, token });
                }
                assert!(host.machine.deadline().is_none_or(|deadline| deadline >= host.now().monotonic));
            }
            assert_eq!(host.tell(Event::Disposed).last().map(String::as_str), Some("timer off"));
        }
    }
}

/// Bites when a conversion loses the sign of a moment before 1970, rounds it, or does not saturate.
#[cfg(feature = "std")]
#[test]
fn the_systems_time_is_the_same_moment_on_either_side_of_1970() {
    let system = |millis: i64| {
        let distance = Duration::from_millis(millis.unsigned_abs());
        if millis < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
    };
    for millis in [-DAY.cast_signed(), -1, 0, 1, START] {
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

/// Bites when `with_static_token` gives its token an end.
#[test]
fn no_clock_matters_to_a_static_token() {
    let now = Now::new(Monotonic::from_millis(0), UnixTime::from_millis(START));
    let mut machine = Machine::<u8>::with_static_token(until(START, 1), Policy::default(), now).unwrap();
    let ages = Now::new(Monotonic::from_millis(u64::MAX), UnixTime::from_millis(i64::MAX));
    let before = Now::new(Monotonic::from_millis(0), UnixTime::from_millis(i64::MIN));
    for moment in [now, ages, before] {
        assert!(machine.token(moment).is_some());
        machine.handle(Event::TokenRequested { waiter: 1 }, moment);
        assert!(matches!(machine.poll_action(), Some(Action::ReturnToken { result: Ok(_), .. })));
        assert!(machine.poll_action().is_none());
    }
}
