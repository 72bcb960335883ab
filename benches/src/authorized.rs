//! Authorized calls of a service that answers at once.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

use acs_common_driver::tower::{Authorize, AuthorizeLayer};
use acs_common_driver::{ClientArguments, ClientAuth};
use http::{Request, Response};
use tower_layer::Layer as _;
use tower_service::Service;

const ENDPOINT: &str = "https://contoso.communication.azure.com";

/// Answers at the first poll.
#[derive(Clone, Copy, Debug)]
pub struct Inner {
    leaks: bool,
}

impl Inner {
    /// A service that drops its requests.
    pub const DROPPING: Self = Self { leaks: false };
    /// A service that leaks its requests, so that freeing them is not counted.
    pub const LEAKING: Self = Self { leaks: true };
}

impl Service<Request<()>> for Inner {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Answer {
        let request = black_box(request);
        if self.leaks {
            std::mem::forget(request);
        }
        Answer(())
    }
}

/// The answer of [`Inner`].
#[derive(Debug)]
pub struct Answer(());

impl Future for Answer {
    type Output = Result<Response<()>, Infallible>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(Response::new(())))
    }
}

/// A request of three headers to the service.
///
/// # Panics
/// Never: the request is valid.
#[must_use]
pub fn request() -> Request<()> {
    let request = Request::get(format!("{ENDPOINT}/chat/threads?api-version=2024-03-07"));
    let request = request.header("accept", "application/json").header("x-one", "1").header("x-two", "2");
    request.body(()).expect("it is valid")
}

/// The service with the layer, which sends each request once.
///
/// # Panics
/// Never: the endpoint is valid.
#[must_use]
pub fn layered(auth: impl Into<ClientAuth>, inner: Inner) -> Authorize<Inner, ()> {
    AuthorizeLayer::without_replay(ClientArguments::new(ENDPOINT, auth).expect("it is valid")).layer(inner)
}
