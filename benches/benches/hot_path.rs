//! A valid token from a credential, compared with simple code by hand: an `RwLock<Arc<_>>` and a clock.
//! `cargo bench -p acs-common-benches --bench hot_path`

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use acs_common_benches::{get, lasting, on_smol, on_tokio, refresher};
use acs_common_driver::{Clock, CoarseClock as _, Policy, SystemCoarseClock};
use arc_swap::ArcSwap;
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(threads = [1, 2])]
fn floor_rwlock_arc_and_a_clock(bencher: Bencher<'_, '_>) {
    let held = RwLock::new(Arc::new((String::new(), SystemTime::now())));
    bencher.bench(|| {
        let held = Arc::clone(&held.read().unwrap_or_else(PoisonError::into_inner));
        (black_box(SystemTime::now()) < held.1, held)
    });
}

#[divan::bench(threads = [1, 2])]
fn floor_both_clocks(bencher: Bencher<'_, '_>) {
    let origin = Instant::now();
    bencher.bench(|| (black_box(origin.elapsed()), black_box(SystemTime::now())));
}

/// The lowest cost of an owned token: an arc-swap, and reading both clocks.
#[divan::bench(threads = [1, 2])]
fn floor_arc_swap_and_coarse_clock(bencher: Bencher<'_, '_>) {
    let held = ArcSwap::from_pointee(String::new());
    let coarse = SystemCoarseClock::start().expect("a system that has one");
    bencher.bench(|| (black_box(coarse.now_at_latest()), held.load_full()));
}

#[divan::bench(threads = [1, 2])]
fn floor_tick(bencher: Bencher<'_, '_>) {
    let coarse = SystemCoarseClock::start().expect("a system that has one");
    bencher.bench(|| black_box(coarse.tick()));
}

/// A thousand times, so that the cost of making the reader does not matter.
fn lend<C>(bencher: Bencher<'_, '_>, credential: &acs_common_driver::CommunicationTokenCredential<C>)
where
    C: Clock + Send + Sync,
{
    bencher.counter(ItemsCount::new(1_000_usize)).bench(|| {
        let mut reader = credential.reader();
        for _ in 0..1_000 {
            black_box(reader.token().expect("it is valid"));
        }
    });
}

#[divan::bench(threads = [1, 2])]
fn a_thousand_from_a_reader_on_tokio(bencher: Bencher<'_, '_>) {
    let (_runtime, credential) = on_tokio();
    lend(bencher, &credential);
}

#[divan::bench(threads = [1, 2])]
fn a_thousand_from_a_reader_on_smol(bencher: Bencher<'_, '_>) {
    lend(bencher, &on_smol());
}

/// The finished header, cloned into a request.
#[divan::bench(threads = [1, 2])]
fn a_thousand_headers_from_a_reader_on_tokio(bencher: Bencher<'_, '_>) {
    let (_runtime, credential) = on_tokio();
    bencher.counter(ItemsCount::new(1_000_usize)).bench(|| {
        let mut reader = credential.reader();
        for _ in 0..1_000 {
            let token = reader.token().expect("no failure").expect("it is valid");
            black_box(token.authorization().expect("a JWT").clone());
        }
    });
}

#[divan::bench(threads = [1, 2])]
fn get_token_on_tokio(bencher: Bencher<'_, '_>) {
    let (_runtime, credential) = on_tokio();
    bencher.bench(|| get(&credential));
}

#[divan::bench(threads = [1, 2])]
fn get_token_on_smol(bencher: Bencher<'_, '_>) {
    let credential = on_smol();
    bencher.bench(|| get(&credential));
}

/// Valid, but due for renewal, with the renewal in flight.
#[divan::bench(threads = [1, 2])]
fn get_token_that_is_due_on_tokio(bencher: Bencher<'_, '_>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _within = runtime.enter();
    // A lifetime of 100 s; the renewal is due after a millisecond.
    let policy =
        Policy::builder().refresh_proactively(true).renew_before_half(true).min_refresh_interval(Duration::ZERO);
    let policy = policy.refresh_window(Duration::from_millis(99_999)).build().expect("a good policy");
    let token = lasting().with_expires_in(Duration::from_secs(100));
    let credential = acs_common_tokio::CommunicationTokenCredential::with_refresher(refresher).initial_token(token);
    let credential = credential.policy(policy).spawn().expect("a credential");
    std::thread::sleep(Duration::from_millis(20));
    bencher.bench(|| get(&credential));
}
