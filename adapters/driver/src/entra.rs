//! Credentials for Entra users (feature `entra`): a source of Entra tokens and an HTTP client.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use acs_common::RefresherError;
pub use acs_common::entra::{
    BadResponse, EntraOptions, EntraOptionsError, EntraToken, ErrorDetail, ErrorResponse, ExchangeError, HttpRequest,
    HttpResponse,
};

pub use crate::http_client::HttpClient;

/// A request for an Entra token.
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
    /// The scopes that the token must have.
    pub scopes: Vec<String>,
    /// The service has refused the last Entra token: the source must not return a cached one.
    pub fresh: bool,
}

/// Gives Entra tokens: an identity library, a broker, a sign-in dialog.
///
/// It can be a closure that takes an [`EntraTokenRequest`] and returns a future of `Result<T, E>`. `T` is a string or an
/// [`EntraToken`]. `E` is any error, a boxed error, an `anyhow::Error`, a message, or a [`SourceError`].
///
/// The source is asked when a refresh is due, or at each request
/// ([`CheckSource::EachRequest`](acs_common::CheckSource::EachRequest)). So it should have a cache.
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
/// # let _ = Fixed("eyJhbGci");
/// ```
pub trait EntraTokenSource {
    /// A call in flight. It is dropped when its result is not needed any more.
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
    /// No user is signed in. The credential drops its access token, even if that is valid (contract, rule 5.6).
    SignedOut,
    /// The source failed: temporarily or [permanently](RefresherError::permanent).
    Failed(RefresherError),
}

impl<E: Into<RefresherError>> From<E> for SourceError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// So a `SourceError` is also an error that a closure can return.
impl From<SourceError> for Box<dyn Error + Send + Sync> {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::SignedOut => Self::from(SignedOut),
            SourceError::Failed(error) => error.into(),
        }
    }
}

impl SourceError {
    fn from_boxed(error: Box<dyn Error + Send + Sync>) -> Self {
        if error.is::<SignedOut>() { Self::SignedOut } else { Self::Failed(RefresherError::new(error)) }
    }
}

/// [`SourceError::SignedOut`] as an error.
#[derive(Debug, thiserror::Error)]
#[error("no user is signed in")]
struct SignedOut;

impl<F, Fut, T, E> EntraTokenSource for F
where
    F: FnMut(EntraTokenRequest) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    T: Into<EntraToken>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Future = Acquiring<Fut>;

    fn entra_token(&mut self, request: EntraTokenRequest) -> Self::Future {
        Acquiring { future: self(request) }
    }
}

pin_project_lite::pin_project! {
    /// A call in flight of a source that is a closure.
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
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<EntraToken, SourceError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.project()
            .future
            .poll(context)
            .map(|answer| answer.map(Into::into).map_err(|error| SourceError::from_boxed(error.into())))
    }
}
