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
    if token.trim().is_empty() || token.len() >= TokenError::TOO_LONG {
        return Err(BadResponse::NoToken);
    }
    let token = NewToken::from(Secret::from_wiped(token));
    // Without a moment that can be read the token's own counts, or else the policy's.
    Ok(match expires_on.and_then(json::string).and_then(|text| hints::rfc3339(&text)) {
        Some(moment) => token.with_expires_on(moment),
        None => token,
    })
}

/// The body's text, unless it is too long; `None` if it is not text. Without a byte order mark, which is not JSON.
pub(super) fn body(response: &HttpResponse) -> Result<Option<&str>, BadResponse> {
    if response.body.len() > HttpResponse::MAX_BODY {
        return Err(BadResponse::TooLong);
    }
    let text = core::str::from_utf8(&response.body).ok();
    Ok(text.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text)))
}

/// What is wrong with a response that says it succeeded.
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
    /// Nor is it, and a header says what else: of a captive portal, say.
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
    /// No token, but an error of the service.
    #[error("{0}")]
    Error(Box<ErrorResponse>),
    /// No `accessToken.token`.
    #[error("it has no accessToken.token")]
    NoToken,
}

impl BadResponse {
    /// With what else the response says.
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

/// An answer of any other status than 200.
///
/// ```
/// use acs_common::entra::ErrorResponse;
///
/// /// For a ticket to the service's support.
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
    /// The service's code for the error, without secrets and cut at 1 KiB, as are all these texts.
    pub code: Option<String>,
    /// The service's words for it.
    pub message: Option<String>,
    /// Errors within the error: a few levels deep, a few of each.
    pub details: Vec<ErrorDetail>,
    /// What the service, or else this library, calls the exchange: to be quoted to support.
    pub request_id: String,
    /// How long the service asked to be left alone.
    pub retry_after: Option<Duration>,
    /// What the body is, if it is not a JSON object.
    pub content_type: Option<String>,
    /// How such a body is compressed, although the request says not to.
    pub content_encoding: Option<String>,
    /// Scheme and error code of `WWW-Authenticate`, for a 401.
    pub challenge: Option<String>,
    /// The host that a redirect leads to. It is not followed.
    pub location: Option<String>,
}

/// An error within an error: of `details`, or an `innererror`.
///
/// ```
/// use acs_common::entra::ErrorDetail;
///
/// /// The code of the error at the bottom of it all.
/// fn innermost(detail: &ErrorDetail) -> Option<&str> {
///     detail.details.last().map_or(detail.code.as_deref(), innermost)
/// }
/// # let _ = innermost;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorDetail {
    /// The service's code for it.
    pub code: Option<String>,
    /// The service's words for it.
    pub message: Option<String>,
    /// What it is about.
    pub target: Option<String>,
    /// Errors within this one.
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
    /// The service said yes, but not what to.
    #[error("the exchange's response is unusable: {0}")]
    BadResponse(BadResponse),
    /// There was no response, or none that was whole, at any try. The text goes on to the error's last source, since those of
    /// HTTP clients leave the cause to it.
    #[error("no complete answer from the exchange: {}", down_to_the_cause(.0))]
    Transport(RefresherError),
    /// The user has signed out.
    #[error("the user has signed out: sign in again, then try now")]
    SignedOut,
}

/// What the error says, and each of its sources that it does not repeat itself.
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
        // The service's own words know more than we do.
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
