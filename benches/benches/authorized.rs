//! What the tower layer adds to the service inside: `cargo bench -p acs-common-benches --bench authorized`. The difference
//! between `layer_without_replay` and `inner` is its cost. `layer` makes a clone of the request and the service as well, whose
//! cost is on lines of their own.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use acs_common_tokio::tower::AuthorizeLayer;
use acs_common_tokio::{ClientArguments, CommunicationTokenCredential};
use divan::{AllocProfiler, Bencher, black_box};
use futures_lite::future::{block_on, poll_once};
use http::{Request, Response};
use tower_layer::Layer as _;
use tower_service::Service;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Answers at once.
#[derive(Clone)]
struct Inner;

impl Service<Request<()>> for Inner {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        drop(black_box(request));
        ready(Ok(Response::new(())))
    }
}

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

fn calls<S: Service<Request<()>, Response = Response<()>>>(bencher: Bencher<'_, '_>, mut service: S)
where
    S::Error: std::fmt::Debug,
{
    bencher.with_inputs(request).bench_local_values(|request| {
        let answer = block_on(poll_once(service.call(request))).expect("it is ready");
        answer.expect("it does not fail")
    });
}

#[divan::bench]
fn inner(bencher: Bencher<'_, '_>) {
    calls(bencher, Inner);
}

#[divan::bench]
fn layer_without_replay(bencher: Bencher<'_, '_>) {
    calls(bencher, AuthorizeLayer::without_replay(arguments()).layer(Inner));
}

#[divan::bench]
fn layer(bencher: Bencher<'_, '_>) {
    calls(bencher, AuthorizeLayer::new(arguments()).layer(Inner));
}

#[divan::bench]
fn clone_of_a_request(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(request).bench_local_refs(|request| request.clone());
}

#[divan::bench]
fn clone_of_the_service(bencher: Bencher<'_, '_>) {
    let service = AuthorizeLayer::<()>::new(arguments()).layer(Inner);
    bencher.bench_local(|| service.clone());
}
