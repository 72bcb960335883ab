//! How long to rest after a failure.

use super::*;

/// The timer's rest after each of so many failures in a row, none of them with a valid token, in milliseconds.
pub(crate) fn timer_rests(policy: &Policy, failures: usize) -> Vec<u64> {
    let mut rig = Rig::empty(policy.clone());
    let mut rests = Vec::new();
    for _ in 0..failures {
        let rest = retry_in(&rig.fail(down())).unwrap();
        assert_eq!(rig.deadline(), Some(rig.at + rest), "the notice and the timer agree");
        assert_eq!(rig::calls(rig.run_until(rig.at + rest - 1).iter().map(|(_, did)| did)), 0, "not before");
        assert_eq!(rig::calls(rig.run_until(rig.at + 1).iter().map(|(_, did)| did)), 1, "but then");
        rests.push(rest);
    }
    rests
}

/// The rest of a request after each of so many failures in a row, each request coming at the end of the rest before.
pub(crate) fn request_rests(policy: &Policy, failures: usize) -> Vec<u64> {
    let mut rig = Rig::empty(policy.clone());
    rig.request(1);
    let mut rests = Vec::new();
    for _ in 0..failures {
        let done = rig.fail(down());
        let rest = retry_in(&done).unwrap();
        let told = Some(millis(rest));
        assert!(
            matches!(done[0], Did::Error(_, Error::RefreshFailed { retry_in, .. }) if retry_in == told),
            "{done:?}"
        );
        let early = rig.sleep_until(rig.at + rest - 1).request(2);
        let left = Some(millis(1));
        assert!(
            matches!(early[..], [Did::Error(2, Error::RefreshFailed { retry_in, .. })] if retry_in == left),
            "{early:?}"
        );
        assert_eq!(rig::calls(&rig.sleep_until(rig.at + 1).request(3)), 1, "inclusive");
        rests.push(rest);
    }
    rests
}

/// Bites when the rest does not double, overflows, outgrows `retry_max`, or when the request's cap or floor is lost.
#[test]
fn rests_double_up_to_their_caps() {
    let set = |initial: u64, max: u64, cap: u64| {
        move |policy: PolicyBuilder| {
            policy.retry_initial(millis(initial)).retry_max(millis(max)).request_rest_max(millis(cap))
        }
    };
    // initial, max, request_rest_max; the timer's rests and the requests', for k = 1…12.
    let table = [
        (
            1_000,
            300_000,
            30_000,
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300].map(|rest| rest * SECOND),
            [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30].map(|rest| rest * SECOND),
        ),
        (
            1_500,
            5_000,
            2_000,
            [1_500, 3_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000],
            [1_500, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000],
        ),
        // Nothing at all: the floor.
        (0, 300_000, 30_000, [SECOND; 12], [SECOND; 12]),
        // A cap of nothing is the floor too; a floor over `retry_max` rules both.
        (500, 900, 0, [SECOND; 12], [SECOND; 12]),
    ];
    for (initial, max, cap, timer, request) in table {
        assert_eq!(timer_rests(&proactive(set(initial, max, cap)), 12), timer, "{initial} {max} {cap}");
        assert_eq!(request_rests(&build(set(initial, max, cap)), 12), request, "{initial} {max} {cap}");
    }
    let at_once = |policy: PolicyBuilder| set(0, 0, 0)(policy).min_refresh_interval(Duration::ZERO);
    assert_eq!(timer_rests(&proactive(at_once), 40), [1; 40], "a rest is 1 ms at least");
    assert_eq!(request_rests(&build(at_once), 40), [1; 40]);
    let fraction = |policy: PolicyBuilder| policy.retry_initial(millis(2_000) + NANO);
    assert_eq!(timer_rests(&proactive(fraction), 2), [2_001, 4_002]);
    let capless = build(|policy| policy.request_rest_max(Duration::MAX));
    assert_eq!(request_rests(&capless, 10).last(), Some(&300_000), "never longer than the timer's");
}

/// Bites when a shift by 64 or more wraps, or `Duration::MAX` overflows.
#[test]
fn rests_without_end_saturate() {
    let endless = |policy: PolicyBuilder| policy.retry_max(Duration::MAX).retry_initial(millis(1));
    let rests = timer_rests(&proactive(|policy| endless(policy).min_refresh_interval(Duration::ZERO)), 45);
    assert_eq!(rests, (0..45).map(|k| 1 << k).collect::<Vec<u64>>());
    assert_eq!(timer_rests(&proactive(|policy| policy), 140)[9..], [300_000; 131]);

    let mut rig = Rig::empty(proactive(|policy| policy.retry_initial(Duration::MAX).retry_max(Duration::MAX)));
    assert!(retry_in(&rig.fail(down())).unwrap() > AGES);
    assert_eq!(rig::calls(rig.run_until(AGES).iter().map(|(_, did)| did)), 0);
    rig.request(1);
    assert_eq!(rig::calls(&rig.handle(acs_common::Event::TryNow)), 0, "the request has started one already");

    let mut rig = Rig::empty(build(|policy| policy.retry_max(Duration::MAX)));
    rig.request(1);
    rig.fail(down().permanent());
    let refused = rig.sleep_until(AGES).request(2);
    assert!(matches!(refused[..], [Did::Error(2, _)]), "a permanent failure is final: {refused:?}");
    assert_eq!(rig::calls(&rig.handle(acs_common::Event::TryNow)), 1, "until the host says so");
}

/// Bites when `retry_after` is ignored, shortens a rest, is not capped for requests, or a permanent failure rests otherwise.
#[test]
fn the_issuers_wish_and_permanence_lengthen_the_rests() {
    let after = |secs: u64| down().with_retry_after(Duration::from_secs(secs));
    // The timer's rest and the request's, in seconds.
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
        let mut rig = Rig::empty(Policy::default());
        rig.request(1);
        assert_eq!(retry_in(&rig.fail(error.clone())), Some(request * SECOND), "{error:?}");
        assert_eq!(request_rest(&rig), request * SECOND, "{error:?}");
    }
    let mut rig = Rig::empty(proactive(|policy| policy));
    rig.fail(down().with_retry_after(NANO));
    assert_eq!(rig.deadline(), Some(SECOND), "a wish for less is granted by resting longer");
    let mut rig = Rig::empty(proactive(|policy| policy));
    assert!(retry_in(&rig.fail(down().with_retry_after(Duration::MAX))).unwrap() > AGES);
    assert_eq!(request_rest(&rig), 300_000, "but somebody who asks waits no longer than retry_max");
}

/// Bites when `left / 2` is forgotten, caps `retry_after`, a permanent failure's rest or the floor, or is rounded up.
#[test]
fn a_valid_token_shortens_the_timers_rest_to_half_of_what_is_left() {
    let patient = |policy: PolicyBuilder| policy.retry_initial(millis(100 * SECOND));
    let rest = |error: RefresherError, life: u64, policy: Policy| {
        let mut rig = holding(life, policy);
        rig.run_until(life / 2);
        rig.fail(error);
        rig.deadline().unwrap() - rig.at
    };
    assert_eq!(rest(down(), 400 * SECOND, proactive(patient)), 100 * SECOND);
    assert_eq!(rest(down(), 200 * SECOND, proactive(patient)), 50 * SECOND);
    assert_eq!(rest(down(), 200 * SECOND - 2, proactive(patient)), 49_999, "rounded down");
    assert_eq!(rest(down(), 200 * SECOND - 1, proactive(patient)), 50 * SECOND, "99 999 left after 100 000");
    assert_eq!(rest(down(), 3 * SECOND, proactive(patient)), SECOND, "the floor");
    let busy = down().with_retry_after(Duration::from_secs(70));
    assert_eq!(rest(busy, 200 * SECOND, proactive(patient)), 70 * SECOND);
    assert_eq!(rest(down().permanent(), HOUR, proactive(|policy| policy.refresh_window(Duration::MAX))), 300 * SECOND);
    // A permanent failure rests beyond the token's end, where the timer sees it die first.
    let mut rig = holding(200 * SECOND, proactive(|policy| policy));
    rig.run_until(100 * SECOND);
    rig.fail(down().permanent());
    let done = rig.run_until(HOUR);
    let seen: Vec<_> = done.iter().map(|(at, did)| (*at, matches!(did, Did::Call(_)))).collect();
    assert_eq!(seen[..2], [(200 * SECOND, false), (400 * SECOND, true)]);
}

/// Bites when `no_retry` leaves a rest or a timer, or is not undone by setting either knob of retrying.
#[test]
fn without_retrying_a_failure_waits_for_a_request() {
    let mut rig = Rig::empty(proactive(PolicyBuilder::no_retry));
    assert_eq!(retry_in(&rig.fail(down())), None);
    assert_eq!(rig.deadline(), None);
    assert_eq!(rig::calls(rig.run_until(AGES).iter().map(|(_, did)| did)), 0);
    assert_eq!(rig::calls(&rig.request(1)), 1);
    assert_eq!(retry_in(&rig.fail(down().permanent().with_retry_after(Duration::MAX))), None);
    assert_eq!(rig::calls(&rig.sleep_until(rig.at + SECOND).request(1)), 1, "at once, but for the floor");
    for again in [
        build(|policy| policy.no_retry().retry_initial(millis(SECOND))),
        build(|policy| policy.no_retry().retry_max(millis(5 * MINUTE))),
    ] {
        assert_eq!(again, Policy::default());
    }
}

/// Bites when `receive` keeps `failures`, `lapse` never forgets the row, or forgets it too early or late.
#[test]
fn a_row_ends_with_an_accepted_token_or_when_retry_max_has_passed_since_its_last_rest() {
    let fourth = |rig: &mut Rig| {
        for _ in 0..3 {
            rig.fail(down());
            rig.sleep_until(rig.at + 10 * SECOND).request(1);
        }
        rig.clone().fail(down())
    };
    let mut rig = Rig::empty(Policy::default());
    rig.request(1);
    assert_eq!(retry_in(&fourth(&mut rig)), Some(8 * SECOND));
    rig.answer(until(rig.at + SECOND));
    rig.sleep_until(rig.at + SECOND).request(2);
    assert_eq!(retry_in(&rig.fail(down())), Some(SECOND), "accepted: the first again");

    // The third failure rested from 20 s to 24 s.
    for (ends, rest) in [(24 * SECOND + 300 * SECOND, 8), (24 * SECOND + 300 * SECOND + 1, 1)] {
        let mut rig = Rig::empty(build(|policy| policy.refresh_timeout(None)));
        rig.request(1);
        fourth(&mut rig);
        let failed = rig.sleep_until(ends).fail(down());
        assert_eq!(retry_in(&failed), Some(rest * SECOND), "at {ends}");
    }
}

/// Bites when `fail` lets a later failure end a longer rest, of the timer or of those who ask.
#[test]
fn a_rest_that_is_running_is_never_shortened() {
    // Rested for ten minutes as the issuer wished; a request tries after five, and fails.
    let mut rig = Rig::empty(proactive(|policy| policy));
    rig.fail(down().with_retry_after(millis(10 * MINUTE)));
    assert_eq!(rig::calls(&rig.sleep_until(5 * MINUTE).request(1)), 1);
    assert_eq!(retry_in(&rig.fail(down())), Some(5 * MINUTE), "not the two seconds of a second failure");
    assert_eq!(request_rest(&rig), 2 * SECOND, "those who ask have rested enough");
    assert_eq!(rig.deadline(), Some(10 * MINUTE));
}

/// Bites when the notice tells the request's rest although a valid token is held, which only the timer's rest lets be renewed.
#[test]
fn a_failure_tells_when_a_request_will_try_again_whether_a_token_is_held_or_not() {
    // On demand, due at half of its life; the timer's rest is 400 s, the request's 300 s.
    let told = |life: u64| {
        let mut rig = holding(life, build(|policy| policy.background_window(Duration::MAX)));
        rig.sleep_until(life / 2).request(1);
        let told = retry_in(&rig.fail(down().with_retry_after(millis(400 * SECOND)))).unwrap();
        let tries = |at: u64| rig::calls(&rig.clone().sleep_until(at).request(2)) == 1;
        assert!(!tries(rig.at + told - 1) && tries(rig.at + told), "life {life}: told {told}");
        told
    };
    assert_eq!(told(2_000 * SECOND), 400 * SECOND, "valid all the while");
    assert_eq!(told(700 * SECOND), 350 * SECOND, "dead after 350 s, when requests have rested enough");
    assert_eq!(told(200 * SECOND), 300 * SECOND, "dead before");
}
