//! How long the backoff after a failure is.

use super::*;

/// The timer's backoffs after the first failures of a streak, without a valid token, in milliseconds.
pub(crate) fn timer_backoffs(policy: &Policy, failures: usize) -> Vec<u64> {
    let mut rig = Rig::empty(policy.clone());
    let mut backoffs = Vec::new();
    for _ in 0..failures {
        let backoff = retry_in(&rig.fail(down())).unwrap();
        assert_eq!(rig.deadline(), Some(rig.at + backoff), "the notice and the timer agree");
        assert_eq!(rig::calls(rig.run_until(rig.at + backoff - 1).iter().map(|(_, did)| did)), 0, "not before");
        assert_eq!(rig::calls(rig.run_until(rig.at + 1).iter().map(|(_, did)| did)), 1, "but at its end");
        backoffs.push(backoff);
    }
    backoffs
}

/// The backoffs of a request after the first failures of a streak. Each request comes at the end of the previous
/// backoff.
pub(crate) fn request_backoffs(policy: &Policy, failures: usize) -> Vec<u64> {
    let mut rig = Rig::empty(policy.clone());
    rig.request(1);
    let mut backoffs = Vec::new();
    for _ in 0..failures {
        let done = rig.fail(down());
        let backoff = retry_in(&done).unwrap();
        let told = Some(millis(backoff));
        assert!(
            matches!(done[0], Did::Error(_, Error::RefreshFailed { retry_in, .. }) if retry_in == told),
            "{done:?}"
        );
        let early = rig.sleep_until(rig.at + backoff - 1).request(2);
        let left = Some(millis(1));
        assert!(
            matches!(early[..], [Did::Error(2, Error::RefreshFailed { retry_in, .. })] if retry_in == left),
            "{early:?}"
        );
        assert_eq!(rig::calls(&rig.sleep_until(rig.at + 1).request(3)), 1, "inclusive");
        backoffs.push(backoff);
    }
    backoffs
}

/// Fails when the backoff does not double, overflows, exceeds `retry_max`, or when the request's cap or minimum
/// interval is lost.
#[test]
fn backoffs_double_up_to_their_caps() {
    let set = |initial: u64, max: u64, cap: u64| {
        move |policy: PolicyBuilder| {
            policy.retry_initial(millis(initial)).retry_max(millis(max)).request_backoff_max(millis(cap))
        }
    };
    // initial, max, request_backoff_max; the timer's backoffs and the requests', for k = 1…12.
    let table = [
        (
            1_000,
            300_000,
            30_000,
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300].map(|backoff| backoff * SECOND),
            [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30].map(|backoff| backoff * SECOND),
        ),
        (
            1_500,
            5_000,
            2_000,
            [1_500, 3_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000],
            [1_500, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000],
        ),
        // All zero: the minimum interval.
        (0, 300_000, 30_000, [SECOND; 12], [SECOND; 12]),
        // A cap of zero gives the minimum interval too. A minimum interval over `retry_max` limits both.
        (500, 900, 0, [SECOND; 12], [SECOND; 12]),
    ];
    for (initial, max, cap, timer, request) in table {
        assert_eq!(timer_backoffs(&proactive(set(initial, max, cap)), 12), timer, "{initial} {max} {cap}");
        assert_eq!(request_backoffs(&build(set(initial, max, cap)), 12), request, "{initial} {max} {cap}");
    }
    let at_once = |policy: PolicyBuilder| set(0, 0, 0)(policy).min_refresh_interval(Duration::ZERO);
    assert_eq!(timer_backoffs(&proactive(at_once), 40), [1; 40], "a backoff is at least 1 ms");
    assert_eq!(request_backoffs(&build(at_once), 40), [1; 40]);
    let fraction = |policy: PolicyBuilder| policy.retry_initial(millis(2_000) + NANO);
    assert_eq!(timer_backoffs(&proactive(fraction), 2), [2_001, 4_002]);
    let capless = build(|policy| policy.request_backoff_max(Duration::MAX));
    assert_eq!(request_backoffs(&capless, 10).last(), Some(&300_000), "never longer than the timer's");
}

/// Fails when a shift by 64 or more wraps, or `Duration::MAX` overflows.
#[test]
fn backoffs_without_end_saturate() {
    let endless = |policy: PolicyBuilder| policy.retry_max(Duration::MAX).retry_initial(millis(1));
    let backoffs = timer_backoffs(&proactive(|policy| endless(policy).min_refresh_interval(Duration::ZERO)), 45);
    assert_eq!(backoffs, (0..45).map(|k| 1 << k).collect::<Vec<u64>>());
    assert_eq!(timer_backoffs(&proactive(|policy| policy), 140)[9..], [300_000; 131]);

    let mut rig = Rig::empty(proactive(|policy| policy.retry_initial(Duration::MAX).retry_max(Duration::MAX)));
    assert!(retry_in(&rig.fail(down())).unwrap() > AGES);
    assert_eq!(rig::calls(rig.run_until(AGES).iter().map(|(_, did)| did)), 0);
    rig.request(1);
    assert_eq!(rig::calls(&rig.handle(acs_common::Event::RetryNow)), 0, "the request has already started one");

    let mut rig = Rig::empty(build(|policy| policy.retry_max(Duration::MAX)));
    rig.request(1);
    rig.fail(down().permanent());
    let refused = rig.sleep_until(AGES).request(2);
    assert!(matches!(refused[..], [Did::Error(2, _)]), "a permanent failure is final: {refused:?}");
    assert_eq!(rig::calls(&rig.handle(acs_common::Event::RetryNow)), 1, "until the host says so");
}

/// Fails when `retry_after` is ignored, shortens a backoff, is not capped for requests, or a permanent failure has a
/// wrong backoff.
#[test]
fn retry_after_and_permanence_lengthen_the_backoffs() {
    let after = |secs: u64| down().with_retry_after(Duration::from_secs(secs));
    // The timer's backoff and the request's, in seconds.
    for (error, timer, request) in [
        (down(), 1, 1),
        (after(0), 1, 1),
        (after(20), 20, 20),
        (after(120), 120, 120),
        (after(300), 300, 300),
        (after(301), 301, 300),
        (after(86_400), 86_400, 300),
        (down().permanent(), 300, 300),
        (after(20).permanent(), 300, 300),
        (after(86_400).permanent(), 86_400, 300),
    ] {
        let mut rig = Rig::empty(proactive(|policy| policy));
        assert_eq!(retry_in(&rig.fail(error.clone())), Some(timer * SECOND), "{error:?}");
        assert_eq!(rig.deadline(), Some(timer * SECOND), "{error:?}");
        let mut rig = Rig::empty(rig::steady_policy());
        rig.request(1);
        assert_eq!(retry_in(&rig.fail(error.clone())), Some(request * SECOND), "{error:?}");
        assert_eq!(request_backoff(&rig), request * SECOND, "{error:?}");
    }
    let mut rig = Rig::empty(proactive(|policy| policy));
    rig.fail(down().with_retry_after(NANO));
    assert_eq!(rig.deadline(), Some(SECOND), "a longer backoff covers a shorter `retry_after`");
    let mut rig = Rig::empty(proactive(|policy| policy));
    assert!(retry_in(&rig.fail(down().with_retry_after(Duration::MAX))).unwrap() > AGES);
    assert_eq!(request_backoff(&rig), 300_000, "but a request waits no longer than retry_max");
}

/// Fails when `left / 2` is forgotten, caps `retry_after`, a permanent failure's backoff or the minimum interval, or is
/// rounded up.
#[test]
fn a_valid_token_shortens_the_timers_backoff_to_half_of_what_is_left() {
    let patient = |policy: PolicyBuilder| policy.retry_initial(millis(100 * SECOND));
    let backoff = |error: RefresherError, lifetime: u64, policy: Policy| {
        let mut rig = Rig::holding(lifetime, policy);
        rig.run_until(lifetime / 2);
        rig.fail(error);
        rig.deadline().unwrap() - rig.at
    };
    assert_eq!(backoff(down(), 400 * SECOND, proactive(patient)), 100 * SECOND);
    assert_eq!(backoff(down(), 200 * SECOND, proactive(patient)), 50 * SECOND);
    assert_eq!(backoff(down(), 200 * SECOND - 2, proactive(patient)), 49_999, "rounded down");
    assert_eq!(backoff(down(), 200 * SECOND - 1, proactive(patient)), 50 * SECOND, "99 999 ms left after 100 000 ms");
    assert_eq!(backoff(down(), 3 * SECOND, proactive(patient)), SECOND, "the minimum interval");
    let busy = down().with_retry_after(Duration::from_secs(70));
    assert_eq!(backoff(busy, 200 * SECOND, proactive(patient)), 70 * SECOND);
    assert_eq!(
        backoff(down().permanent(), HOUR, proactive(|policy| policy.refresh_window(Duration::MAX))),
        300 * SECOND
    );
    // The backoff of a permanent failure is longer than the token is valid. The timer sees the expiry first.
    let mut rig = Rig::holding(200 * SECOND, proactive(|policy| policy));
    rig.run_until(100 * SECOND);
    rig.fail(down().permanent());
    let done = rig.run_until(HOUR);
    let seen: Vec<_> = done.iter().map(|(at, did)| (*at, matches!(did, Did::Call(_)))).collect();
    assert_eq!(seen[..2], [(200 * SECOND, false), (400 * SECOND, true)]);
}

/// Fails when `no_retry` leaves a backoff or a timer, or is not undone by setting either option of retrying.
#[test]
fn without_retrying_a_failure_waits_for_a_request() {
    let mut rig = Rig::empty(proactive(PolicyBuilder::no_retry));
    assert_eq!(retry_in(&rig.fail(down())), None);
    assert_eq!(rig.deadline(), None);
    assert_eq!(rig::calls(rig.run_until(AGES).iter().map(|(_, did)| did)), 0);
    assert_eq!(rig::calls(&rig.request(1)), 1);
    assert_eq!(retry_in(&rig.fail(down().permanent().with_retry_after(Duration::MAX))), None);
    assert_eq!(rig::calls(&rig.sleep_until(rig.at + SECOND).request(1)), 1, "at once, except for the minimum interval");
    for again in [
        build(|policy| policy.no_retry().retry_initial(millis(SECOND))),
        build(|policy| policy.no_retry().retry_max(millis(5 * MINUTE))),
    ] {
        assert_eq!(again, rig::steady_policy());
    }
}

/// Fails when `receive` keeps `failures`, `expire_waits` never forgets the streak, or forgets it too early or late.
#[test]
fn a_streak_ends_with_an_accepted_token_or_when_retry_max_has_passed_since_its_last_backoff() {
    let fourth = |rig: &mut Rig| {
        for _ in 0..3 {
            rig.fail(down());
            rig.sleep_until(rig.at + 10 * SECOND).request(1);
        }
        rig.clone().fail(down())
    };
    let mut rig = Rig::empty(rig::steady_policy());
    rig.request(1);
    assert_eq!(retry_in(&fourth(&mut rig)), Some(8 * SECOND));
    rig.answer(until(rig.at + SECOND));
    rig.sleep_until(rig.at + SECOND).request(2);
    assert_eq!(retry_in(&rig.fail(down())), Some(SECOND), "after an accepted token, the first backoff again");

    // The backoff of the third failure runs from 20 s to 24 s.
    for (ends, backoff) in [(24 * SECOND + 300 * SECOND, 8), (24 * SECOND + 300 * SECOND + 1, 1)] {
        let mut rig = Rig::empty(build(|policy| policy.refresh_timeout(None)));
        rig.request(1);
        fourth(&mut rig);
        let failed = rig.sleep_until(ends).fail(down());
        assert_eq!(retry_in(&failed), Some(backoff * SECOND), "at {ends}");
    }
}

/// Fails when `fail` lets a later failure end a longer backoff, of the timer or of requests.
#[test]
fn a_running_backoff_is_never_shortened() {
    // Backs off for ten minutes as the issuer asked. A request tries after five, and fails.
    let mut rig = Rig::empty(proactive(|policy| policy));
    rig.fail(down().with_retry_after(millis(10 * MINUTE)));
    assert_eq!(rig::calls(&rig.sleep_until(5 * MINUTE).request(1)), 1);
    assert_eq!(retry_in(&rig.fail(down())), Some(5 * MINUTE), "not the two seconds of a second failure");
    assert_eq!(request_backoff(&rig), 2 * SECOND, "the backoff of requests is over");
    assert_eq!(rig.deadline(), Some(10 * MINUTE));
}

/// Fails when the notice tells the request's backoff while a valid token is held: only the timer's backoff limits its
/// renewal.
#[test]
fn a_failure_tells_when_a_request_will_try_again_whether_a_token_is_held_or_not() {
    // On demand, due at half of its lifetime. The timer's backoff is 400 s, the request's 300 s.
    let told = |lifetime: u64| {
        let mut rig = Rig::holding(lifetime, build(|policy| policy.background_window(Duration::MAX)));
        rig.sleep_until(lifetime / 2).request(1);
        let told = retry_in(&rig.fail(down().with_retry_after(millis(400 * SECOND)))).unwrap();
        let tries = |at: u64| rig::calls(&rig.clone().sleep_until(at).request(2)) == 1;
        assert!(!tries(rig.at + told - 1) && tries(rig.at + told), "lifetime {lifetime}: told {told}");
        told
    };
    assert_eq!(told(2_000 * SECOND), 400 * SECOND, "the token stays valid");
    assert_eq!(told(700 * SECOND), 350 * SECOND, "expired after 350 s, when the backoff of requests is over");
    assert_eq!(told(200 * SECOND), 300 * SECOND, "expired before");
}
