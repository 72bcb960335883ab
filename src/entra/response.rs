//! What the service returns: a token, or an error.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::hints;
use super::http::HttpResponse;
use crate::error::{RefresherError, TokenError};
use crate::json;
use crate::secret::Secret;
use crate::token::NewToken;

/// Reads a response of status 200.
pub(super) fn token(response: &HttpResponse) -> Result<NewToken, BadResponse> {
    let json = body(response)?.ok_or(BadResponse::NotJson)?;
    let [access_token] = json::fields(json, ["accessToken"]).ok_or(BadResponse::NotJson)?;
    let fields = access_token.and_then(|object| json::fields(object, ["token", "expiresOn"]));
    let [token, expires_on] = fields.ok_or(BadResponse::NoToken)?;
    let token = token.and_then(json::string).ok_or(BadResponse::NoToken)?;
    if token.trim().is_empty() || token.trim_ascii().len() >= TokenError::TOO_LONG {
        return Err(BadResponse::NoToken);
    }
    let token = NewToken::from(Secret::from_wiped(token));
    // If this moment cannot be read, the token's own expiry counts, else the policy's lifetime.
    Ok(match expires_on.and_then(json::string).and_then(|text| hints::rfc3339(&text)) {
        Some(moment) => token.with_expires_on(moment),
        None => token,
    })
}

/// The body's text without a byte order mark, which is not JSON. An error if it is too long; `None` if it is not text.
pub(super) fn body(response: &HttpResponse) -> Result<Option<&str>, BadResponse> {
    if response.body.len() > HttpResponse::MAX_BODY {
        return Err(BadResponse::TooLong);
    }
    let text = core::str::from_utf8(&response.body).ok();
    Ok(text.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text)))
}

/// What is wrong with a response of status 200.
///
/// ```
/// use acs_common::entra::BadResponse;
///
/// assert_eq!(BadResponse::NoToken.to_string(), "it has no accessToken.token");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadResponse {
    /// More than 1 MiB.
    #[error("its body is longer than 1 MiB")]
    TooLong,
    /// The body is not a JSON object.
    #[error("its body is not a JSON object")]
    NotJson,
    /// The body is not a JSON object, and a header says what it is. It may come from a captive portal.
    #[error("its body is not a JSON object; Content-Type: {content_type}")]
    OtherType {
        /// The header `Content-Type`.
        content_type: String,
    },
    /// The body is compressed, although the request says not to.
    #[error("its body is compressed, which was not asked for; Content-Encoding: {content_encoding}")]
    Compressed {
        /// The header `Content-Encoding`.
        content_encoding: String,
    },
    /// It has an error of the service instead of a token.
    #[error("{0}")]
    Error(Box<ErrorResponse>),
    /// No `accessToken.token`.
    #[error("it has no accessToken.token")]
    NoToken,
}

impl BadResponse {
    /// Adds what else the response says.
    pub(super) fn or_more(self, response: Box<ErrorResponse>) -> Self {
        match self {
            Self::NoToken if response.code.is_some() || response.message.is_some() => Self::Error(response),
            Self::NotJson => match (response.content_encoding, response.content_type) {
                (Some(content_encoding), _) => Self::Compressed { content_encoding },
                (None, Some(content_type)) => Self::OtherType { content_type },
                (None, None) => Self::NotJson,
            },
            Self::TooLong | Self::NoToken | Self::OtherType { .. } | Self::Compressed { .. } | Self::Error(_) => self,
        }
    }
}

/// A response of any status except 200.
///
/// ```
/// use acs_common::entra::ErrorResponse;
///
/// /// A text for the service's support.
/// fn ticket(error: &ErrorResponse) -> String {
///     let code = error.code.as_deref().unwrap_or("no code");
///     format!("status {}, {code}, request {}, {} details", error.status, error.request_id, error.details.len())
/// }
/// # let _ = ticket;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorResponse {
    /// The HTTP status.
    pub status: u16,
    /// The service's error code. All these texts are without secrets, and are cut at 1 KiB.
    pub code: Option<String>,
    /// The service's message.
    pub message: Option<String>,
    /// Nested errors: a few levels deep, a few of each level.
    pub details: Vec<ErrorDetail>,
    /// The id of the request, from the service or else from this library. Support asks for it.
    pub request_id: String,
    /// How long the service asks to wait.
    pub retry_after: Option<Duration>,
    /// The `Content-Type` of a body that is not a JSON object.
    pub content_type: Option<String>,
    /// The `Content-Encoding` of such a body, although the request asks for none.
    pub content_encoding: Option<String>,
    /// Scheme and error code of `WWW-Authenticate`, for a 401.
    pub challenge: Option<String>,
    /// The host of a redirect. The redirect is not followed.
    pub location: Option<String>,
}

/// A nested error: an item of `details`, or an `innererror`.
///
/// ```
/// use acs_common::entra::ErrorDetail;
///
/// /// The code of the innermost error.
/// fn innermost(detail: &ErrorDetail) -> Option<&str> {
///     detail.details.last().map_or(detail.code.as_deref(), innermost)
/// }
/// # let _ = innermost;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorDetail {
    /// The service's error code.
    pub code: Option<String>,
    /// The service's message.
    pub message: Option<String>,
    /// What the error is about.
    pub target: Option<String>,
    /// Errors nested in this one.
    pub details: Vec<Self>,
}

/// Why an exchange brought no token. Found [in](crate::RefresherError::get_ref) a
/// [`FailureCause::Refresher`](crate::FailureCause::Refresher).
///
/// ```
/// use acs_common::FailureCause;
/// use acs_common::entra::ExchangeError;
///
/// fn forbidden(error: &FailureCause) -> bool {
///     let FailureCause::Refresher(error) = error else { return false };
///     matches!(error.get_ref().downcast_ref(), Some(ExchangeError::Refused(response)) if response.status == 403)
/// }
/// assert!(!forbidden(&FailureCause::Rejected));
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The service refused permanently, or at every try.
    #[error("{0}")]
    Refused(Box<ErrorResponse>),
    /// The service returned status 200 without a usable token.
    #[error("the exchange's response is unusable: {0}")]
    BadResponse(BadResponse),
    /// No try got a complete response. The text includes all sources of the error, because the errors of HTTP clients name the
    /// cause only there.
    #[error("no complete answer from the exchange: {}", down_to_the_cause(.0))]
    Transport(RefresherError),
    /// The user has signed out.
    #[error("the user has signed out: sign in again, then try now")]
    SignedOut,
}

/// The error's text, and the text of each source that the error does not already contain.
fn down_to_the_cause(error: &RefresherError) -> String {
    let mut text = error.to_string();
    let mut source = error.get_ref().source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the exchange was refused with status {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        // The service's message says more than a hint of this library.
        if let Some(message) = self.message.as_deref().or_else(|| advice(self.status)) {
            write!(f, ": {message}")?;
        }
        let notes = [
            ("Location", &self.location, ""),
            ("WWW-Authenticate", &self.challenge, ""),
            ("Content-Type", &self.content_type, ""),
            ("Content-Encoding", &self.content_encoding, ", which was not asked for"),
        ];
        for (name, value, more) in notes {
            if let Some(value) = value {
                write!(f, "; {name}: {value}{more}")?;
            }
        }
        write!(f, " [request {}]", self.request_id)
    }
}

fn advice(status: u16) -> Option<&'static str> {
    match status {
        401 | 403 => Some("is the Entra token for the scopes, and of the tenant, that the resource was set up for?"),
        404 => Some("is the endpoint that of an Azure Communication Services resource?"),
        _ => None,
    }
}
