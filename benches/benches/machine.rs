//! The machine alone: a request, a whole refresh, decoding a JWT. `cargo bench -p acs-common-benches --bench machine`

use acs_common::{Event, Machine, NewToken, Policy};
use acs_common_benches::{at, drain, jwt, lasting, machine};
use divan::{AllocProfiler, Bencher, black_box};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(sample_size = 1000)]
fn request_with_a_valid_token(bencher: Bencher<'_, '_>) {
    let mut machine = machine(lasting());
    bencher.bench_local(|| {
        machine.handle(Event::TokenRequested { waiter: black_box(1) }, at(1_000));
        drain(&mut machine)
    });
}

/// Rejection, request, call, answer, return, timer. The token is made before.
#[divan::bench(sample_size = 100)]
fn whole_refresh(bencher: Bencher<'_, '_>) {
    let policy = Policy::builder().min_refresh_interval(std::time::Duration::ZERO).build().expect("a good policy");
    let mut machine = Machine::<u32>::new(Some(lasting()), policy, at(0)).expect("a good token");
    let mut now = 0;
    bencher.with_inputs(lasting).bench_local_values(|token| {
        now += 1_000_000;
        if let Some(held) = machine.token(at(now)).cloned() {
            machine.handle(Event::TokenRejected { token: held }, at(now));
        }
        machine.handle(Event::TokenRequested { waiter: 1 }, at(now));
        let request = drain(&mut machine).expect("a call");
        machine.handle(Event::TokenReceived { request, token }, at(now + 1));
        drain(&mut machine)
    });
}

/// Decodes the same as [`accept_a_jwt`], with a library that can also check signatures. Compare it with the difference
/// between the two benchmarks below: these allocate only the token.
#[divan::bench(sample_size = 100)]
fn exp_as_jsonwebtoken_reads_it(bencher: Bencher<'_, '_>) {
    #[derive(serde::Deserialize)]
    struct Claims {
        exp: u64,
    }
    bencher.with_inputs(jwt).bench_local_refs(|jwt| {
        jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(jwt).map(|claims| claims.exp)
    });
}

#[divan::bench(sample_size = 100)]
fn accept_a_jwt(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(|| NewToken::new(jwt())).bench_local_values(machine);
}

#[divan::bench(sample_size = 100)]
fn accept_the_same_with_its_expiry_given(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(lasting).bench_local_values(machine);
}
