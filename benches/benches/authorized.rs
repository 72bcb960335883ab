//! What the tower layer adds to the service inside: `cargo bench -p acs-common-benches --bench authorized`. A replay needs a clone
//! of the request and of the service, whose cost is on lines of their own. Each figure is the best of many rounds, since
//! everything else only adds to it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use acs_common_tokio::tower::AuthorizeLayer;
use acs_common_tokio::{ClientArguments, CommunicationTokenCredential};
use futures_lite::future::{block_on, poll_once};
use http::{Request, Response};
use tower_layer::Layer as _;
use tower_service::Service;

/// Answers at once, and keeps the requests, so that dropping them is not measured.
#[derive(Clone, Default)]
struct Inner(Vec<Request<()>>);

impl Service<Request<()>> for Inner {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        if self.0.capacity() == 0 {
            // A clone, which sends again.
            drop(black_box(request));
        } else {
            self.0.push(request);
        }
        ready(Ok(Response::new(())))
    }
}

const CALLS: usize = 256;
const ROUNDS: usize = 300;

fn request() -> Request<()> {
    let request = Request::get("https://contoso.communication.azure.com/chat/threads?api-version=2024-03-07");
    let request = request.header("accept", "application/json").header("x-one", "1").header("x-two", "2");
    request.body(()).expect("it is valid")
}

fn arguments() -> ClientArguments {
    let token = format!("eyJhbGci.{}.c2ln", "x".repeat(1_000));
    let credential = CommunicationTokenCredential::with_static_token(token).expect("it is valid");
    ClientArguments::new("https://contoso.communication.azure.com", credential).expect("it is valid")
}

/// Nanoseconds for each of what `round` does `CALLS` times.
fn best(mut round: impl FnMut() -> Duration) -> f64 {
    let shortest = (0..ROUNDS).map(|_| round()).min().unwrap_or_default();
    shortest.as_secs_f64() * 1e9 / CALLS as f64
}

fn calls<S>(make: impl Fn(Inner) -> S) -> f64
where
    S: Service<Request<()>, Response = Response<()>>,
    S::Error: std::fmt::Debug,
{
    let mut service = make(Inner(Vec::with_capacity(CALLS * (ROUNDS + 1))));
    best(|| {
        let requests: Vec<_> = (0..CALLS).map(|_| request()).collect();
        let start = Instant::now();
        block_on(async {
            for request in requests {
                let answer = poll_once(service.call(request)).await.expect("it is ready");
                drop(black_box(answer.expect("it does not fail")));
            }
        });
        start.elapsed()
    })
}

fn main() {
    let inner = calls(|inner| inner);
    let once = calls(|inner| AuthorizeLayer::without_replay(arguments()).layer(inner));
    let clone = best(|| {
        let requests: Vec<_> = (0..CALLS).map(|_| request()).collect();
        let mut clones = Vec::with_capacity(CALLS);
        let start = Instant::now();
        clones.extend(requests.iter().cloned());
        start.elapsed()
    });
    println!("the service inside                  {inner:7.1} ns a call");
    println!("with the layer, without a replay    {once:7.1} ns a call: {:.1} ns more", once - inner);
    println!("the clone of a request of 3 headers {clone:7.1} ns, which a replay needs");
}
