//! Why a call failed.

use std::error::Error as StdError;
use std::fmt;

use acs_common::access_key::SigningError;
use acs_common::{BearerError, Error};

/// Why a request could not be authorized, or what the service inside failed with. A response is not an error, whatever its
/// status.
///
/// ```
/// use acs_common_driver::Error;
/// use acs_common_driver::CallError;
///
/// fn is_offline(error: &CallError<std::io::Error>) -> bool {
///     matches!(error, CallError::Service(_) | CallError::Token(Error::RefreshFailed { .. }))
/// }
/// assert!(is_offline(&CallError::Service(std::io::Error::other("connection refused"))));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The credential has no token. Nothing was sent.
    Token(Error),
    /// The token does not fit into a header. Nothing was sent.
    Bearer(BearerError),
    /// The request cannot be signed. Nothing was sent.
    Signing(SigningError),
    /// The layer has an access key, and does not know the bytes of the body. Nothing was sent.
    NotSignable,
    /// The service inside failed.
    Service(E),
}

impl<E> CallError<E> {
    /// The error in a box, also if the service inside has boxed errors.
    ///
    /// ```
    /// use acs_common_driver::CallError;
    ///
    /// let boxed: Box<dyn std::error::Error + Send + Sync> = "connection refused".into();
    /// assert_eq!(CallError::Service(boxed).into_boxed().to_string(), "connection refused");
    /// ```
    pub fn into_boxed(self) -> Box<dyn StdError + Send + Sync>
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        match self {
            Self::Token(error) => error.into(),
            Self::Bearer(error) => error.into(),
            Self::Signing(error) => error.into(),
            Self::NotSignable => NOT_SIGNABLE.into(),
            Self::Service(error) => error.into(),
        }
    }
}

const NOT_SIGNABLE: &str = "an access key signs the whole body, and the layer does not know the bytes of this body: make the layer with \
                            `signing()`, and its requests with a body in memory";

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(error) => error.fmt(f),
            Self::Bearer(error) => error.fmt(f),
            Self::Signing(error) => error.fmt(f),
            Self::NotSignable => f.write_str(NOT_SIGNABLE),
            Self::Service(error) => error.fmt(f),
        }
    }
}

// The message is that of the error inside, so its source is the source.
impl<E: StdError> StdError for CallError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Token(error) => error.source(),
            Self::Bearer(error) => error.source(),
            Self::Signing(error) => error.source(),
            Self::NotSignable => None,
            Self::Service(error) => error.source(),
        }
    }
}
