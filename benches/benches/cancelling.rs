//! Cancelling of waiting requests: newest first, oldest first, and in random order. The cost of one must not depend on the
//! number of requests. `cargo bench -p acs-common-benches --bench cancelling`

use std::pin::Pin;
use std::task::{Context, Waker};

use acs_common_benches::refresher;
use acs_common_driver::{Builder, GetToken};
use acs_common_smol::Smol;
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

const REQUESTS: [usize; 3] = [2_000, 20_000, 200_000];

#[divan::bench(args = REQUESTS, sample_count = 3, sample_size = 1)]
fn newest_first(bencher: Bencher<'_, '_>, requests: usize) {
    give_up(bencher, requests, |waiting| waiting.reverse());
}

#[divan::bench(args = REQUESTS, sample_count = 3, sample_size = 1)]
fn oldest_first(bencher: Bencher<'_, '_>, requests: usize) {
    give_up(bencher, requests, |_| {});
}

#[divan::bench(args = REQUESTS, sample_count = 3, sample_size = 1)]
fn in_random_order(bencher: Bencher<'_, '_>, requests: usize) {
    give_up(bencher, requests, |waiting| {
        let mut random = 1_u64;
        for index in (1..waiting.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            waiting.swap(index, (random >> 33) as usize % (index + 1));
        }
    });
}

type Request<'a> = Pin<Box<GetToken<'a, Smol>>>;

/// Its driver is never polled, so all requests wait.
fn give_up(bencher: Bencher<'_, '_>, requests: usize, order: fn(&mut [Request<'_>])) {
    let (credential, _driver) = Builder::new(Smol::default(), refresher).build().expect("no initial token");
    bencher
        .counter(ItemsCount::new(requests))
        .with_inputs(|| {
            let mut waiting: Vec<_> = (0..requests).map(|_| Box::pin(credential.get_token())).collect();
            waiting.iter_mut().for_each(|request| assert!(is_pending(request)));
            order(&mut waiting);
            waiting
        })
        .bench_local_values(drop);
}

fn is_pending(request: &mut Request<'_>) -> bool {
    request.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}
