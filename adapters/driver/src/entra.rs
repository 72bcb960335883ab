//! Credentials for Entra users: a source of Entra tokens, an HTTP client, and what puts them together.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use acs_common::RefresherError;
pub use acs_common::entra::{
    BadResponse, EntraOptions, EntraOptionsError, EntraToken, ErrorDetail, ErrorResponse, ExchangeError, HttpRequest,
    HttpResponse,
};
use acs_common::entra::{CallId, EntraEvent};

use crate::calls::{InFlight, sealed};
#[cfg(feature = "tracing")]
use crate::panics::catch_panic;
use crate::work::{Call, CallKey, Happened};

/// What a source of Entra tokens is asked for.
///
/// ```
/// use acs_common_driver::entra::{EntraToken, EntraTokenRequest, SourceError};
///
/// /// A source as a function.
/// async fn from_my_identity_library(request: EntraTokenRequest) -> Result<EntraToken, SourceError> {
///     assert!(!request.scopes.is_empty());
///     Ok(if request.fresh { "a new one" } else { "from the cache" }.into())
/// }
/// # let _ = from_my_identity_library;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntraTokenRequest {
    /// The scopes it has to be good for.
    pub scopes: Vec<String>,
    /// The service has refused the last one, so one from a cache will not do.
    pub fresh: bool,
}

/// Gives Entra tokens: an identity library, a broker, a sign-in dialog.
///
/// Any closure from an [`EntraTokenRequest`] to a future of `Result<T, E>` is one, where `T` is a string or an
/// [`EntraToken`] and `E` any error or a [`SourceError`]. Asked whenever a refresh is due, or at every request, it should
/// answer from a cache of its own.
///
/// ```
/// use acs_common_driver::entra::{EntraToken, EntraTokenRequest, EntraTokenSource, SourceError};
/// use std::future::{Ready, ready};
///
/// struct Fixed(&'static str);
///
/// impl EntraTokenSource for Fixed {
///     type Future = Ready<Result<EntraToken, SourceError>>;
///
///     fn entra_token(&mut self, _: EntraTokenRequest) -> Self::Future {
///         ready(Ok(EntraToken::new(self.0)))
///     }
/// }
/// # let _ = Fixed("eyJ…");
/// ```
pub trait EntraTokenSource {
    /// A call under way. Dropped when its answer is not wanted any more.
    type Future: Future<Output = Result<EntraToken, SourceError>>;

    /// Asks for a token.
    fn entra_token(&mut self, request: EntraTokenRequest) -> Self::Future;
}

/// Why a source gives no Entra token.
///
/// ```
/// use acs_common_driver::entra::SourceError;
///
/// fn read() -> Result<String, SourceError> {
///     Ok(std::fs::read_to_string("/there/is/no/such/file")?)
/// }
/// assert!(matches!(read(), Err(SourceError::Failed(_))));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SourceError {
    /// Nobody is signed in (any more): the access token held is dropped, valid or not.
    SignedOut,
    /// It did not work, for now or [for good](RefresherError::permanent).
    Failed(RefresherError),
}

impl<E: Into<RefresherError>> From<E> for SourceError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Sends one HTTP request.
///
/// Any closure from an [`HttpRequest`] to a future of `Result<HttpResponse, E>` is one, where `E` is any error or a
/// [`RefresherError`]. It must not follow redirects, must check the server's certificate, and may stop reading a body one
/// byte after [`HttpResponse::MAX_BODY`]. It need not retry or time out: that is done here.
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
    /// A request under way. Dropped when its answer is not wanted any more.
    type Future: Future<Output = Result<HttpResponse, RefresherError>>;

    /// Sends the request.
    fn send(&mut self, request: HttpRequest) -> Self::Future;
}

impl<F, Fut, T, E> EntraTokenSource for F
where
    F: FnMut(EntraTokenRequest) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    T: Into<EntraToken>,
    E: Into<SourceError>,
{
    type Future = Acquiring<Fut>;

    fn entra_token(&mut self, request: EntraTokenRequest) -> Self::Future {
        Acquiring { future: self(request) }
    }
}

impl<F, Fut, E> HttpClient for F
where
    F: FnMut(HttpRequest) -> Fut,
    Fut: Future<Output = Result<HttpResponse, E>>,
    E: Into<RefresherError>,
{
    type Future = Sending<Fut>;

    fn send(&mut self, request: HttpRequest) -> Self::Future {
        Sending { future: self(request) }
    }
}

pin_project_lite::pin_project! {
    /// A call of a source that is a closure.
    #[derive(Debug)]
    pub struct Acquiring<F> {
        #[pin]
        future: F,
    }
}

impl<F, T, E> Future for Acquiring<F>
where
    F: Future<Output = Result<T, E>>,
    T: Into<EntraToken>,
    E: Into<SourceError>,
{
    type Output = Result<EntraToken, SourceError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(context).map(|answer| answer.map(Into::into).map_err(Into::into))
    }
}

pin_project_lite::pin_project! {
    /// A request sent by a client that is a closure.
    #[derive(Debug)]
    pub struct Sending<F> {
        #[pin]
        future: F,
    }
}

impl<F, E> Future for Sending<F>
where
    F: Future<Output = Result<HttpResponse, E>>,
    E: Into<RefresherError>,
{
    type Output = Result<HttpResponse, RefresherError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(context).map_err(Into::into)
    }
}

/// Exchanges Entra tokens: a source and an HTTP client, as a driver's work.
pub struct Exchanger<S: EntraTokenSource, H: HttpClient> {
    source: S,
    client: H,
    call: InFlight<CallKey, Exchanging<S::Future, H::Future>>,
}

impl<S: EntraTokenSource, H: HttpClient> Exchanger<S, H> {
    pub(crate) fn new(source: S, client: H) -> Self {
        Self { source, client, call: InFlight::None }
    }
}

impl<S: EntraTokenSource, H: HttpClient> fmt::Debug for Exchanger<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchanger").finish_non_exhaustive()
    }
}

impl<S: EntraTokenSource, H: HttpClient> sealed::Work for Exchanger<S, H> {
    fn start(&mut self, call: Call) {
        match call {
            Call::Refresh(_) => {}
            Call::Acquire(call, wanted) => self.call.start(CallKey::Acquire(call), || {
                let (scopes, fresh) = *wanted;
                Exchanging::Source { call, future: self.source.entra_token(EntraTokenRequest { scopes, fresh }) }
            }),
            Call::Send(call, request) => self.call.start(CallKey::Send(call), || {
                let trace = Trace::new(&request);
                Exchanging::Service { call, trace, future: self.client.send(*request) }
            }),
        }
    }

    fn cancel(&mut self) {
        self.call.cancel();
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Happened> {
        self.call.poll(context).map(|(key, happened)| happened.unwrap_or_else(|| key.panicked()))
    }

    fn is_calling(&self) -> bool {
        self.call.is_some()
    }
}

pin_project_lite::pin_project! {
    /// A call under way: of the source, or of the service.
    #[project = ExchangingProjection]
    #[derive(Debug)]
    #[non_exhaustive]
    #[allow(missing_docs, reason = "of a sealed trait")]
    pub enum Exchanging<S, H> {
        Source { call: CallId, #[pin] future: S },
        Service { call: CallId, trace: Trace, #[pin] future: H },
    }
}

impl<S, H> Future for Exchanging<S, H>
where
    S: Future<Output = Result<EntraToken, SourceError>>,
    H: Future<Output = Result<HttpResponse, RefresherError>>,
{
    type Output = Happened;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Happened> {
        let event = match self.project() {
            ExchangingProjection::Source { call, future } => future.poll(context).map(|answer| match answer {
                Ok(token) => EntraEvent::EntraTokenReceived { call: *call, token },
                Err(SourceError::SignedOut) => EntraEvent::SignedOut { call: *call },
                Err(SourceError::Failed(error)) => EntraEvent::EntraTokenFailed { call: *call, error },
            }),
            ExchangingProjection::Service { call, trace, future } => future.poll(context).map(|answer| {
                trace.ended(&answer);
                match answer {
                    Ok(response) => EntraEvent::ResponseReceived { call: *call, response },
                    Err(error) => EntraEvent::TransportFailed { call: *call, error },
                }
            }),
        };
        event.map(Happened::AnsweredEntra)
    }
}

/// Logs a request and what came of it, without headers and bodies: target `acs_common::http`. At the level at which the
/// Azure SDKs show requests: there are few, since a token lives for an hour or so.
#[derive(Debug)]
#[non_exhaustive]
pub struct Trace {
    #[cfg(feature = "tracing")]
    request_id: String,
    #[cfg(feature = "tracing")]
    attempt: u32,
    #[cfg(feature = "tracing")]
    /// None where std has no clock and panics when asked: in a browser.
    sent: Option<std::time::Instant>,
}

#[cfg(feature = "tracing")]
impl Trace {
    fn new(request: &HttpRequest) -> Self {
        let (method, url, attempt) = (request.method(), request.url(), request.attempt());
        let request_id = request.request_id().to_owned();
        catch_panic(|| tracing::info!(target: "acs_common::http", method, url, request_id, attempt, "request"));
        Self {
            request_id,
            attempt,
            sent: (!cfg!(all(target_family = "wasm", target_os = "unknown"))).then(std::time::Instant::now),
        }
    }

    fn ended(&self, answer: &Result<HttpResponse, RefresherError>) {
        let Self { request_id, attempt, sent } = self;
        let duration = sent.map(|sent| tracing::field::debug(sent.elapsed()));
        catch_panic(|| match answer {
            Ok(response) => {
                // Nothing of what the service says: it might repeat the token.
                let status = response.status();
                tracing::info!(target: "acs_common::http", status, duration, request_id, attempt, "response");
            }
            Err(error) => {
                // Its text goes on to the cause.
                let error = ExchangeError::Transport(error.clone());
                tracing::warn!(target: "acs_common::http", duration, request_id, attempt, "{error}");
            }
        });
    }
}

#[cfg(not(feature = "tracing"))]
impl Trace {
    fn new(_: &HttpRequest) -> Self {
        Self {}
    }

    fn ended(&self, _: &Result<HttpResponse, RefresherError>) {}
}
