//! What sends the requests for tokens (feature `entra`).

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use acs_common::RefresherError;
use acs_common::entra::{HttpRequest, HttpResponse};

/// Sends one HTTP request: of the exchange of an Entra token, or of an [`HttpRefresher`](crate::issuer::HttpRefresher).
///
/// It can be a closure that takes an [`HttpRequest`] and returns a future of `Result<HttpResponse, E>`. `E` is any error,
/// a boxed error, an `anyhow::Error`, a message, or a [`RefresherError`].
///
/// The client must check the server's certificate, must not follow redirects, and must not use a proxy for a request that
/// [stays on this computer](HttpRequest::is_loopback). It should keep no connection: the next request comes an hour later, when
/// a kept one may be dead. Its errors and logs should show a request's [`display_url`](HttpRequest::display_url), not its
/// [`url`](HttpRequest::url), whose query may hold a secret. It may stop reading a body one byte after [`HttpResponse::MAX_BODY`];
/// [`HttpResponse::extend_body`] says when. It needs no retries and no timeout: this library has them.
///
/// ```
/// use acs_common_driver::entra::{HttpClient, HttpRequest, HttpResponse};
/// use acs_common_driver::RefresherError;
/// use std::future::{Ready, ready};
///
/// /// For a test.
/// struct Unavailable;
///
/// impl HttpClient for Unavailable {
///     type Future = Ready<Result<HttpResponse, RefresherError>>;
///
///     fn send(&mut self, request: HttpRequest) -> Self::Future {
///         assert_eq!((request.method(), request.body()), ("POST", "{}"));
///         ready(Ok(HttpResponse::new(503).with_header("Retry-After", "1")))
///     }
/// }
/// # let _ = Unavailable;
/// ```
pub trait HttpClient {
    /// A request in flight. It is dropped when its response is not needed any more.
    type Future: Future<Output = Result<HttpResponse, RefresherError>>;

    /// Sends the request.
    fn send(&mut self, request: HttpRequest) -> Self::Future;
}

impl<F, Fut, E> HttpClient for F
where
    F: FnMut(HttpRequest) -> Fut,
    Fut: Future<Output = Result<HttpResponse, E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Future = Sending<Fut>;

    fn send(&mut self, request: HttpRequest) -> Self::Future {
        Sending { future: self(request) }
    }
}

pin_project_lite::pin_project! {
    /// A request in flight of a client that is a closure.
    #[derive(Debug)]
    pub struct Sending<F> {
        #[pin]
        future: F,
    }
}

impl<F, E> Future for Sending<F>
where
    F: Future<Output = Result<HttpResponse, E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<HttpResponse, RefresherError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(context).map_err(RefresherError::new)
    }
}
