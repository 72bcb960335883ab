//! What an authorized call allocates besides the service inside. This is a separate binary because it counts every allocation of
//! the process.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use acs_common_driver::ClientArguments;
use acs_common_driver::tower::AuthorizeLayer;
use acs_common_smol::CommunicationTokenCredential;
use allocation_counter::measure;
use futures_lite::future::block_on;
use http::{Request, Response};
use tower::{Layer as _, Service};

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
        drop(request);
        ready(Ok(Response::new(())))
    }
}

fn request() -> Request<()> {
    let request = Request::get("https://contoso.communication.azure.com/chat/threads?api-version=2024-03-07");
    request.header("accept", "application/json").header("x-one", "1").header("x-two", "2").body(()).unwrap()
}

fn allocations<S: Service<Request<()>, Response = Response<()>>>(service: &mut S) -> u64 {
    let mut call = || drop(block_on(service.call(request())));
    // The first call builds the token's header, the second one makes a reader.
    call();
    call();
    let bare = measure(|| drop(request())).count_total;
    measure(call).count_total - bare
}

/// Fails when a call boxes its future, copies the header, or clones a request that is sent once.
#[test]
fn a_call_with_a_token_that_is_held_allocates_nothing() {
    let credential = CommunicationTokenCredential::with_static_token("eyJhbGci").unwrap();
    let arguments = ClientArguments::new("https://contoso.communication.azure.com", credential).unwrap();
    let clones = measure(|| drop(request().clone())).count_total - measure(|| drop(request())).count_total;
    let bare = allocations(&mut Inner);
    let once = allocations(&mut AuthorizeLayer::without_replay(arguments.clone()).layer(Inner));
    let again = allocations(&mut AuthorizeLayer::new(arguments.clone()).layer(Inner));
    println!(
        "the service inside: {bare}, with the layer: {once}, with a replay: {again}, the clone of the request: {clones}"
    );
    assert_eq!((once, again), (bare, bare + clones));

    let once = AuthorizeLayer::without_replay(arguments).layer(Inner);
    let clone = measure(|| drop(once.clone())).count_total;
    let call =
        measure(|| drop(block_on(once.clone().call(request())))).count_total - measure(|| drop(request())).count_total;
    assert_eq!((clone, call - bare), (0, 1), "a clone of the service for one call makes no reader");
}
