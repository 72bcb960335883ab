//! Jitter: seeded, and within its bounds.

use super::*;

const SEEDS: u64 = 300;

fn jittery(fraction: f64, seed: u64) -> Policy {
    proactive(|policy| policy.jitter(fraction).seed(seed))
}

/// The distinct values that the seeds give.
fn spread(value: impl Fn(u64) -> u64) -> Vec<u64> {
    let mut values: Vec<_> = (0..SEEDS).map(value).collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// Fails when `new` seeds from anything but the policy, or the generator's state is shared.
#[test]
fn a_seed_gives_one_run_and_another_seed_another_run() {
    let run = |seed: u64| (timer_backoffs(&jittery(0.5, seed), 12), renewal(&jittery(0.5, seed), HOUR));
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed));
        assert_ne!(run(seed), run(seed + 1));
    }
    let unseeded = proactive(|policy| policy.jitter(0.5));
    assert_eq!(
        timer_backoffs(&unseeded, 12),
        timer_backoffs(&jittery(0.5, 0), 12),
        "without a seed, the machine uses seed 0"
    );
    let backoffs = timer_backoffs(&jittery(1.0, 7), 40);
    let late: Vec<_> = backoffs[20..].iter().collect();
    assert!(late.windows(2).all(|pair| pair[0] != pair[1]), "a new draw for each failure: {late:?}");
}

/// Fails when a shift or an exclusive or of `Random::next` changes, or `shorten` draws fewer than 53 bits.
#[test]
fn a_seed_gives_the_same_run_in_every_release() {
    const ALL: u64 = 1 << 53;
    // The whole of this backoff is cut at random. It is so long that one millisecond is one unit of the drawn number.
    let backoffs = |seed: u64| {
        let policy = proactive(|policy| {
            let policy = policy.retry_initial(millis(ALL)).retry_max(millis(ALL)).refresh_timeout(None);
            policy.min_refresh_interval(Duration::ZERO).jitter(1.0).seed(seed)
        });
        timer_backoffs(&policy, 3)
    };
    // The first numbers of SplitMix64, as published for these two seeds.
    for (seed, drawn) in [
        (0, [0xE220_A839_7B1D_CDAF_u64, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]),
        (1_234_567, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]),
    ] {
        assert_eq!(backoffs(seed), drawn.map(|number| ALL - (number >> 11)), "seed {seed}");
    }
}

/// Fails when anything is subtracted although the fraction is 0.
#[test]
fn no_jitter_is_the_same_for_every_seed() {
    assert_eq!(spread(|seed| renewal(&jittery(0.0, seed), HOUR)), [50 * MINUTE]);
    assert_eq!(spread(|seed| timer_backoffs(&jittery(0.0, seed), 3)[2]), [4 * SECOND]);
}

/// Fails when more than the fraction is subtracted, anything is added, or the minimum interval is undercut.
#[test]
fn a_renewal_comes_earlier_by_no_more_than_the_fraction() {
    for fraction in [0.1, 0.5, 1.0] {
        let due = 50 * MINUTE;
        let found = spread(|seed| renewal(&jittery(fraction, seed), HOUR));
        let earliest = (due as f64 * (1.0 - fraction)) as u64;
        assert!(found[0] >= earliest.max(SECOND) && *found.last().unwrap() <= due, "{fraction}: {found:?}");
        // The whole range is used.
        assert!(found.len() > 290 && found[0] < earliest + due / 50 + SECOND, "{fraction}: {found:?}");
        assert!(*found.last().unwrap() > due - (due as f64 * fraction) as u64 / 50, "{fraction}: {found:?}");
    }
    let found = spread(|seed| renewal(&jittery(1.0, seed), 2_400));
    assert!(found[0] == SECOND && *found.last().unwrap() <= 1_200, "the minimum interval holds: {found:?}");
    assert_eq!(spread(|seed| renewal(&jittery(1.0, seed), 700)), [700], "and never after its expiry");
}

/// Fails when a backoff is cut below the minimum interval or the issuer's `retry_after`, or by more than the fraction.
#[test]
fn a_backoff_is_cut_by_no_more_than_the_fraction_and_never_below_retry_after() {
    let nth = |fraction: f64, k: usize| spread(move |seed| timer_backoffs(&jittery(fraction, seed), k)[k - 1]);
    assert_eq!(nth(1.0, 1), [SECOND], "the minimum interval holds");
    let third = nth(0.25, 3);
    assert!(third[0] >= 3_000 && third[0] < 3_050 && *third.last().unwrap() <= 4_000, "{third:?}");
    let fourth = nth(1.0, 4);
    assert!(fourth[0] == SECOND && *fourth.last().unwrap() > 7_900, "{fourth:?}");

    let backoff = |error: RefresherError| {
        spread(move |seed| {
            let mut rig = Rig::empty(jittery(1.0, seed));
            retry_in(&rig.fail(error.clone())).unwrap()
        })
    };
    let asked = backoff(down().with_retry_after(millis(20 * SECOND)));
    assert!(asked[0] >= 20 * SECOND && *asked.last().unwrap() <= 40 * SECOND, "{asked:?}");
    assert!(asked.len() > 290, "it is lengthened instead: {asked:?}");
    let asked = backoff(down().with_retry_after(millis(HOUR)));
    assert!(asked[0] >= HOUR && asked.last() == Some(&(HOUR + 30 * SECOND)), "by 30 seconds at most: {asked:?}");
    let permanent = backoff(down().permanent().with_retry_after(millis(100 * SECOND)));
    assert!(permanent[0] >= 100 * SECOND && *permanent.last().unwrap() <= 300 * SECOND, "{permanent:?}");
    assert!(permanent.len() > 100);
    let permanent = backoff(down().permanent());
    assert!(permanent[0] >= SECOND && *permanent.last().unwrap() > 290 * SECOND, "{permanent:?}");
}

/// Fails when the request's backoff has jitter too, or stays longer than the timer's.
#[test]
fn a_requests_backoff_is_not_cut_but_never_longer_than_the_timers() {
    for seed in 0..SEEDS {
        let mut rig = Rig::empty(jittery(1.0, seed));
        for _ in 0..3 {
            rig.fail(down());
            rig.run_until(rig.deadline().unwrap());
        }
        let timer = retry_in(&rig.fail(down())).unwrap();
        assert_eq!(request_backoff(&rig), timer.min(8 * SECOND), "seed {seed}");
    }
}

/// Fails when a request backs off for longer than the timer after a permanent failure.
#[test]
fn after_a_permanent_failure_too_the_timers_backoff_is_the_longest() {
    for seed in 0..SEEDS {
        let mut rig = Rig::empty(jittery(1.0, seed));
        let timer = retry_in(&rig.fail(down().permanent())).unwrap();
        assert_eq!(request_backoff(&rig), timer, "seed {seed}");
    }
}

/// Fails when the default has no jitter, or the hint of an issuer sends all clients back in one second.
#[test]
fn of_ten_thousand_credentials_few_renew_or_come_back_in_the_same_second() {
    let busiest = |moment: &dyn Fn(Policy) -> u64| {
        let mut seconds = std::collections::BTreeMap::<u64, u32>::new();
        for seed in 0..10_000 {
            let policy = Policy::default().with_refresh_proactively(true).with_seed(seed);
            *seconds.entry(moment(policy) / SECOND).or_default() += 1;
        }
        *seconds.values().max().unwrap()
    };
    assert!(busiest(&|policy| Rig::holding(HOUR, policy).deadline().unwrap()) < 100, "renewals");
    let asked = |policy| {
        let mut rig = Rig::empty(policy);
        retry_in(&rig.fail(down().with_retry_after(millis(2 * MINUTE)))).unwrap()
    };
    assert!(busiest(&asked) < 1_200, "after a Retry-After of two minutes");
}
