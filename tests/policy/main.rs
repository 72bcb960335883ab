//! Every option: its default, the refused values, and the meaning of both extremes.

#[path = "../support/mod.rs"]
mod support;

mod backoff;
mod jitter;

use std::time::Duration;

use acs_common::{
    Error, FailureCause, NewToken, Notice, Policy, PolicyBuilder, PolicyError, RefresherError, UndecodableTokens,
    UnixTime,
};

use backoff::{request_backoffs, timer_backoffs};
use support::rig::{self, Did, HOUR, MINUTE, Rig, SECOND, until};

/// Longer than any test runs.
const AGES: u64 = 100_000 * HOUR;
const NANO: Duration = Duration::from_nanos(1);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn build(set: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> Policy {
    set(rig::steady()).build().unwrap()
}

fn proactive(set: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> Policy {
    build(|policy| set(policy.refresh_proactively(true)))
}

/// When a token that is valid for `lifetime` is renewed: by the timer, or else by the first request that renews it.
fn renewal(policy: &Policy, lifetime: u64) -> u64 {
    let mut rig = Rig::holding(lifetime, policy.clone());
    if policy.refreshes_proactively() {
        let done = rig.run_until(lifetime);
        return done.iter().find(|(_, did)| matches!(did, Did::Call(_))).expect("it is renewed").0;
    }
    let renews = |at: u64| rig::calls(&rig.clone().sleep_until(at).request(1)) == 1;
    assert!(!renews(0));
    first(0, lifetime, renews)
}

/// The first moment at which this is true: it is false at `early` and true at `late`.
fn first(mut early: u64, mut late: u64, holds: impl Fn(u64) -> bool) -> u64 {
    assert!(holds(late));
    while late - early > 1 {
        let middle = early.midpoint(late);
        if holds(middle) { late = middle } else { early = middle }
    }
    late
}

/// How long from now a request gets an error.
fn request_backoff(rig: &Rig) -> u64 {
    let refused = |did: &Did| matches!(did, Did::Error(1, _));
    let refuses = |at: u64| rig.clone().sleep_until(at).request(1).iter().any(refused);
    assert!(refuses(rig.at));
    first(rig.at, AGES, |at| !refuses(at)) - rig.at
}

fn down() -> RefresherError {
    RefresherError::new("down")
}

/// When a failure is retried, as its notice says.
fn retry_in(done: &[Did]) -> Option<u64> {
    let notice = done.iter().find_map(|did| match did {
        Did::Notice(Notice::RefreshFailed { retry_in, .. }) => Some(*retry_in),
        _ => None,
    });
    notice.expect("each failure is reported").map(|wait| u64::try_from(wait.as_millis()).unwrap())
}

/// Fails when any default changes.
#[test]
fn the_defaults_are_what_the_documentation_says() {
    let policy = Policy::default();
    assert_eq!(policy, build(|policy| policy.jitter(0.1)));
    assert!(!policy.refreshes_proactively() && policy.seed().is_none());
    let (on_demand, by_timer) = (build(|policy| policy), proactive(|policy| policy));
    assert_eq!(Rig::holding(HOUR, on_demand.clone()).deadline(), None, "an idle on-demand credential sets no timer");
    assert_eq!(renewal(&on_demand, HOUR), HOUR - 2 * MINUTE);
    assert_eq!(renewal(&by_timer, HOUR), HOUR - 10 * MINUTE);
    assert_eq!(renewal(&by_timer, 601 * SECOND), 300_500, "never before half of the lifetime");

    let mut rig = Rig::empty(on_demand.clone());
    rig.request(1);
    assert_eq!(rig.deadline(), Some(MINUTE), "the timeout");
    rig.answer("opaque".into());
    let token = rig.held().unwrap();
    assert!(token.is_opaque() && token.expires_on() == rig::unix(10 * MINUTE));
    rig.handle(acs_common::Event::TokenRejected { token });
    rig.request(2);
    assert_eq!(rig.deadline(), Some(SECOND), "the minimum interval");

    assert_eq!(timer_backoffs(&by_timer, 10), [1, 2, 4, 8, 16, 32, 64, 128, 256, 300].map(|backoff| backoff * SECOND));
    assert_eq!(request_backoffs(&on_demand, 7), [1, 2, 4, 8, 16, 30, 30].map(|backoff| backoff * SECOND));
}

/// Fails when `Debug` is derived: it would not show the values of the defaults.
#[test]
fn a_policy_shows_what_its_options_are_set_to_although_that_is_the_default() {
    for policy in [Policy::default(), build(|policy| policy.jitter(0.1))] {
        let shown = format!("{policy:?}");
        assert!(shown.starts_with("Policy { refresh_proactively: false, seed: None, "), "{shown}");
        assert!(shown.contains("retry_max: 300000, "), "{shown}");
    }
}

/// Fails when `reference` keeps an option that it must turn off, or changes another one.
#[test]
fn the_reference_policy_neither_backs_off_nor_renews_in_the_background() {
    let reference = Policy::reference();
    assert_eq!(renewal(&reference, HOUR), HOUR, "only when expired");
    let by_timer = reference.to_builder().refresh_proactively(true).build().unwrap();
    assert_eq!(renewal(&by_timer, HOUR), HOUR - 10 * MINUTE);
    assert_eq!(renewal(&by_timer, 601 * SECOND), SECOND, "even before half of the lifetime");
    let mut rig = Rig::empty(reference);
    rig.request(1);
    assert_eq!(rig.deadline(), None, "no timeout");
    for _ in 0..3 {
        assert_eq!(retry_in(&rig.fail(down())), None);
        assert_eq!(rig::calls(&rig.request(1)), 1, "each request tries at once");
    }
    let retrying = Policy::reference().to_builder().retry_initial(millis(SECOND)).build().unwrap();
    assert_eq!(request_backoffs(&retrying, 3), [1; 3], "with retrying turned on, requests still have no backoff");
    let mut rig = Rig::holding(HOUR, by_timer);
    rig.run_until(HOUR - 10 * MINUTE);
    rig.fail(down());
    assert_eq!(rig::calls(rig.run_until(AGES).iter().map(|(_, did)| did)), 0, "a failed renewal waits for a request");
    assert_eq!(rig::calls(&rig.request(1)), 1);
}

/// Fails when `with_refresh_proactively` forgets the other options, or its argument.
#[test]
fn the_one_option_of_the_credentials_builder_leaves_the_others_alone() {
    for on in [false, true] {
        let built = Policy::reference().to_builder().refresh_proactively(on).build().unwrap();
        assert_eq!(Policy::reference().with_refresh_proactively(on), built);
        assert_eq!(built.with_refresh_proactively(!on).refreshes_proactively(), !on);
    }
}

/// Fails when a check is dropped or is off by one, or its text does not name its option.
#[test]
fn a_value_without_meaning_is_refused_by_an_error_that_names_the_option() {
    type Set = fn(PolicyBuilder) -> PolicyBuilder;
    let over = |retry_initial, retry_max| PolicyError::RetryInitialOverMax { retry_initial, retry_max };
    let refused: [(Set, PolicyError, &str); 14] = [
        (
            |policy| policy.min_refresh_interval(millis(MINUTE + 1)),
            PolicyError::MinRefreshIntervalTooLong,
            "min_refresh_interval",
        ),
        (
            |policy| policy.min_refresh_interval(millis(MINUTE) + NANO),
            PolicyError::MinRefreshIntervalTooLong,
            "min_refresh_interval",
        ),
        (
            |policy| policy.min_refresh_interval(Duration::MAX),
            PolicyError::MinRefreshIntervalTooLong,
            "min_refresh_interval",
        ),
        (
            |policy| policy.retry_initial(millis(5 * MINUTE) + NANO),
            over(millis(5 * MINUTE + 1), millis(5 * MINUTE)),
            "retry_initial (300.001s) is longer than retry_max (300s)",
        ),
        (|policy| policy.retry_max(millis(999)), over(millis(SECOND), millis(999)), "retry_max longer"),
        (|policy| policy.retry_max(Duration::ZERO), over(millis(SECOND), Duration::ZERO), "retry_initial (1s)"),
        (
            |policy| policy.no_retry().retry_initial(Duration::MAX),
            over(millis(u64::MAX), millis(5 * MINUTE)),
            "retry_initial",
        ),
        (|policy| policy.refresh_timeout(Duration::ZERO), PolicyError::ZeroRefreshTimeout, "refresh_timeout"),
        (
            |policy| policy.opaque_token_lifetime(Duration::ZERO),
            PolicyError::ZeroOpaqueTokenLifetime,
            "opaque_token_lifetime is zero, so every opaque token would expire on arrival: set a longer time, or keep",
        ),
        (|policy| policy.jitter(1.000_000_000_1), PolicyError::JitterOutOfRange, "jitter"),
        (|policy| policy.jitter(-f64::MIN_POSITIVE), PolicyError::JitterOutOfRange, "jitter"),
        (|policy| policy.jitter(f64::NAN), PolicyError::JitterOutOfRange, "jitter"),
        (|policy| policy.jitter(f64::INFINITY), PolicyError::JitterOutOfRange, "jitter"),
        (|policy| policy.jitter(f64::NEG_INFINITY), PolicyError::JitterOutOfRange, "jitter"),
    ];
    for (set, error, option) in refused {
        assert_eq!(set(rig::steady()).build(), Err(error), "{option}");
        assert!(error.to_string().contains(option), "{error}");
        let mended = set(Policy::builder())
            .min_refresh_interval(millis(MINUTE))
            .retry_max(Duration::MAX)
            .refresh_timeout(NANO)
            .opaque_token_lifetime(NANO)
            .jitter(1.0);
        assert!(mended.build().is_ok(), "the last value counts: {option}");
    }
    let kept: [Set; 7] = [
        |policy| policy.min_refresh_interval(millis(MINUTE)),
        |policy| policy.retry_initial(millis(5 * MINUTE)),
        |policy| policy.retry_initial(Duration::ZERO).retry_max(Duration::ZERO),
        |policy| policy.retry_initial(Duration::MAX).retry_max(Duration::MAX),
        |policy| policy.retry_max(millis(1)).no_retry(),
        |policy| policy.refresh_timeout(Duration::ZERO).refresh_timeout(None),
        |policy| policy.jitter(-0.0),
    ];
    for (index, set) in kept.into_iter().enumerate() {
        let policy = set(rig::steady()).build().unwrap_or_else(|error| panic!("{index}: {error}"));
        assert_eq!(policy.to_builder().build().as_ref(), Ok(&policy), "its builder builds the same policy");
    }
}

/// Fails when `window_millis` takes the wrong window, `until_renewal` forgets the half, or `millis` rounds down.
#[test]
fn each_window_may_be_zero_short_or_unlimited() {
    type Window = fn(Duration) -> Policy;
    let both: [Window; 2] = [
        |window| proactive(|policy| policy.refresh_window(window).background_window(millis(7))),
        |window| build(|policy| policy.background_window(window).refresh_window(millis(7))),
    ];
    for policy in both {
        assert_eq!(renewal(&policy(Duration::ZERO), HOUR), HOUR, "at expiry");
        assert_eq!(renewal(&policy(NANO), HOUR), HOUR - 1, "a fraction of a millisecond counts as one");
        assert_eq!(renewal(&policy(millis(5 * MINUTE)), HOUR), HOUR - 5 * MINUTE);
        assert_eq!(renewal(&policy(millis(HOUR / 2)), HOUR), HOUR / 2);
        assert_eq!(renewal(&policy(millis(HOUR - 1)), HOUR), HOUR / 2, "wider than half of the lifetime: at half");
        assert_eq!(renewal(&policy(Duration::MAX), HOUR), HOUR / 2);
        assert_eq!(renewal(&policy(Duration::MAX), 5_001), 2_500, "halves are rounded down");
        assert_eq!(renewal(&policy(Duration::MAX), 1_500), SECOND, "not before the minimum interval");
        assert_eq!(renewal(&policy(Duration::MAX), 700), 700, "nor after its expiry");
    }
}

/// Fails when `until_renewal` takes the half with `renew_before_half`, or renews before the window starts.
#[test]
fn renewing_before_half_of_the_lifetime_must_be_asked_for() {
    let early = proactive(|policy| policy.renew_before_half(true));
    assert_eq!(renewal(&early, HOUR), HOUR - 10 * MINUTE);
    assert_eq!(renewal(&early, 601 * SECOND + 500), 1_500);
    assert_eq!(renewal(&early, 600_001), SECOND, "the minimum interval holds");
    assert_eq!(renewal(&early, 600_000), 300_000, "inside the window from the start: at half");
    assert_eq!(renewal(&early, 9_000), 4_500);
}

/// Fails when the minimum interval is not kept, is kept although it is zero, or is rounded down.
#[test]
fn the_minimum_interval_may_be_zero_short_or_a_minute() {
    // A refresher whose tokens expire within 100 ms, and a caller that asks every millisecond.
    let second_call = |interval: Duration| {
        let mut rig =
            Rig::empty(build(|policy| policy.min_refresh_interval(interval).background_window(Duration::ZERO)));
        rig.request(1);
        rig.answer(until(100));
        rig.sleep_until(100).request(2);
        rig.run_until(2 * MINUTE).into_iter().find(|(_, did)| matches!(did, Did::Call(_))).map_or(100, |(at, _)| at)
    };
    assert_eq!(second_call(Duration::ZERO), 100);
    assert_eq!(second_call(NANO), 100);
    assert_eq!(second_call(millis(101)), 101);
    assert_eq!(second_call(millis(100) + NANO), 101, "a fraction of a millisecond counts as one");
    assert_eq!(second_call(millis(MINUTE)), MINUTE);

    let no_interval = proactive(|policy| policy.min_refresh_interval(Duration::ZERO));
    assert_eq!(renewal(&no_interval, 1), 1, "a renewal waits for at least 1 ms");
    assert_eq!(renewal(&no_interval, 2), 1);
    let minute = proactive(|policy| policy.min_refresh_interval(millis(MINUTE)));
    assert_eq!(timer_backoffs(&minute, 7), [60, 60, 60, 60, 60, 60, 64].map(|backoff| backoff * SECOND));
}

/// Fails when the timeout is off by one, is rounded down to zero, or overflows.
#[test]
fn a_timeout_may_be_short_endless_or_absent() {
    let declared = |policy: Policy| {
        let mut rig = Rig::empty(policy);
        rig.request(1);
        let done = rig.run_until(AGES);
        done.iter().find_map(|(at, did)| match did {
            Did::Error(1, Error::RefreshFailed { cause: FailureCause::TimedOut { timeout, .. }, .. }) => {
                assert_eq!(*timeout, millis(*at));
                Some(*at)
            }
            _ => None,
        })
    };
    assert_eq!(declared(Policy::default()), Some(MINUTE));
    assert_eq!(declared(build(|policy| policy.refresh_timeout(NANO))), Some(1));
    assert_eq!(declared(build(|policy| policy.refresh_timeout(millis(999)))), Some(999));
    assert_eq!(declared(build(|policy| policy.refresh_timeout(Duration::MAX))), None);
    assert_eq!(declared(build(|policy| policy.refresh_timeout(None))), None);
}

/// Fails when the lifetime is ignored, rounded down or overflows, or `reject` has no effect.
#[test]
fn opaque_tokens_are_valid_briefly_or_indefinitely_or_are_refused() {
    let expiry = |lifetime: Duration| {
        let policy = build(|policy| policy.opaque_token_lifetime(lifetime));
        Rig::new(Some(NewToken::new("opaque")), policy).unwrap().held().unwrap().expires_on()
    };
    assert_eq!(expiry(NANO), rig::unix(1));
    assert_eq!(expiry(millis(HOUR)), rig::unix(HOUR));
    assert_eq!(expiry(Duration::MAX), UnixTime::from_millis(i64::MAX));
    let strict = build(|policy| policy.undecodable_tokens(UndecodableTokens::Reject));
    assert!(Rig::new(Some(NewToken::new("opaque")), strict).is_err());
}

/// Fails when three hundred years overflow in an expiry, a renewal or a timer.
#[test]
fn a_token_for_three_hundred_years_is_renewed_in_due_time() {
    let lifetime = 300 * 365 * 24 * HOUR;
    let by_timer = proactive(|policy| policy);
    assert_eq!(renewal(&by_timer, lifetime), lifetime - 10 * MINUTE);
    assert_eq!(renewal(&build(|policy| policy), lifetime), lifetime - 2 * MINUTE);
    let endless = NewToken::new("x").with_expires_on(UnixTime::from_millis(i64::MAX));
    let mut rig = Rig::new(Some(endless), by_timer).unwrap();
    assert!(rig.deadline().unwrap() > lifetime);
    assert_eq!(rig.run_until(AGES).len(), 0);
}
