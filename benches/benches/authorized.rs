//! What the tower layer adds to the service inside: `cargo bench -p acs-common-benches --bench authorized`. Its credential renews its
//! token, or has a static one. In the second after a refresh, the exact clocks are read for each call: the wait for the next refresh
//! is not over yet. A replay needs a clone of the request and of the service, whose cost is on a line of its own. The cases take
//! turns, and each figure is the best of many rounds, since everything else only adds to it.

use std::convert::Infallible;
use std::future::ready;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread::sleep;
use std::time::{Duration, Instant};

use acs_common_benches::authorized::{Inner, layered, request};
use acs_common_driver::CallError;
use acs_common_driver::tower::{Authorize, Authorized};
use acs_common_tokio::{CommunicationTokenCredential, NewToken};
use futures_lite::future::block_on;
use http::{Request, Response};
use tower_service::Service;

const CALLS: usize = 16;
const ROUNDS: usize = 30_000;
/// These take less than a second.
const FIRST_ROUNDS: usize = 3_000;

fn token() -> String {
    format!("eyJhbGci.{}.c2ln", "x".repeat(1_000))
}

fn fixed() -> CommunicationTokenCredential {
    CommunicationTokenCredential::with_static_token(token()).expect("it is valid")
}

/// A credential with a token of an hour, which it renews.
fn renewed() -> CommunicationTokenCredential {
    let refresher = || ready(Ok::<_, Infallible>(NewToken::new(token()).with_expires_in(Duration::from_secs(3_600))));
    let credential = CommunicationTokenCredential::with_refresher(refresher).spawn().expect("it is valid");
    block_on(credential.get_token()).expect("the refresher does not fail");
    credential
}

/// Clones its service for each call.
struct Fresh(Authorize<Inner, ()>);

impl Service<Request<()>> for Fresh {
    type Response = Response<()>;
    type Error = CallError<Infallible>;
    type Future = Authorized<Inner, ()>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        self.0.clone().call(request)
    }
}

/// What `CALLS` calls take.
fn calls<S>(service: &mut S) -> Duration
where
    S: Service<Request<()>, Response = Response<()>>,
{
    let requests: Vec<_> = (0..CALLS).map(|_| request()).collect();
    let mut context = Context::from_waker(Waker::noop());
    let start = Instant::now();
    for request in requests {
        let answer = pin!(service.call(request)).poll(&mut context);
        assert!(matches!(answer, Poll::Ready(Ok(_))), "the service answers at once");
    }
    start.elapsed()
}

fn clones() -> Duration {
    let requests: Vec<_> = (0..CALLS).map(|_| request()).collect();
    let mut clones = Vec::with_capacity(CALLS);
    let start = Instant::now();
    clones.extend(requests.iter().cloned());
    start.elapsed()
}

/// Nanoseconds a call in each case.
fn best<const N: usize>(rounds: usize, mut cases: [&mut dyn FnMut() -> Duration; N]) -> [f64; N] {
    let mut best = [Duration::MAX; N];
    for _ in 0..rounds {
        for (best, case) in best.iter_mut().zip(cases.iter_mut()) {
            *best = case().min(*best);
        }
    }
    best.map(|best| best.as_secs_f64() * 1e9 / CALLS as f64)
}

fn main() {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
    let runtime = threads.expect("a thread can be started");
    let _inside = runtime.enter();
    let mut bare = Inner::DROPPING;
    let (mut renewed, mut fixed) = (layered(renewed(), Inner::DROPPING), layered(fixed(), Inner::DROPPING));
    let [inner, early] = best(FIRST_ROUNDS, [&mut || calls(&mut bare), &mut || calls(&mut renewed)]);
    let early = early - inner;
    sleep(Duration::from_secs(1));
    let mut fresh = Fresh(renewed.clone());
    let [inner, renewed, fixed, fresh, clone] = best(
        ROUNDS,
        [
            &mut || calls(&mut bare),
            &mut || calls(&mut renewed),
            &mut || calls(&mut fixed),
            &mut || calls(&mut fresh),
            &mut clones,
        ],
    );
    println!("the service inside                  {inner:7.1} ns a call");
    println!("with the layer, a renewed token     {renewed:7.1} ns a call: {:.1} ns more", renewed - inner);
    println!("with the layer, a static token      {fixed:7.1} ns a call: {:.1} ns more", fixed - inner);
    println!("a clone of the layer for each call  {fresh:7.1} ns a call: {:.1} ns more", fresh - inner);
    println!("in the second after a refresh       {early:7.1} ns more");
    println!("the clone of a request of 3 headers {clone:7.1} ns, which a replay needs");
}
