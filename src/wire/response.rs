//! What a response says instead of a token.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::message::HttpResponse;
use crate::error::{RefresherError, TokenError};

/// The body's text without a byte order mark, which is not JSON. An error if it is too long; `None` if it is not text.
pub(crate) fn body(response: &HttpResponse) -> Result<Option<&str>, BadResponse> {
    if response.body.len() > HttpResponse::MAX_BODY {
        return Err(BadResponse::TooLong);
    }
    let text = core::str::from_utf8(&response.body).ok();
    Ok(text.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text)))
}

/// What is wrong with a response that should bring a token.
///
/// ```
/// use acs_common::entra::BadResponse;
///
/// let bad = BadResponse::NoToken { field: "accessToken.token".to_owned() };
/// assert_eq!(bad.to_string(), "it has no accessToken.token");
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
    /// The field for the token is not there, or is not text.
    #[error("it has no {field}")]
    NoToken {
        /// The field: `accessToken.token` in the exchange.
        field: String,
    },
    /// What stands in the place of the token is not one. Only of an [issuer](crate::issuer).
    #[error("{error}{}", type_note(content_type.as_deref()))]
    NotAToken {
        /// What it looks like.
        error: TokenError,
        /// The header `Content-Type`.
        content_type: Option<String>,
    },
}

fn type_note(content_type: Option<&str>) -> String {
    content_type.map(|content_type| alloc::format!("; Content-Type: {content_type}")).unwrap_or_default()
}

impl BadResponse {
    /// Adds what else the response says.
    pub(crate) fn or_more(self, response: Box<ErrorResponse>) -> Self {
        match self {
            Self::NoToken { .. } if response.code.is_some() || response.message.is_some() => Self::Error(response),
            Self::NotJson => match (response.content_encoding, response.content_type) {
                (Some(content_encoding), _) => Self::Compressed { content_encoding },
                (None, Some(content_type)) => Self::OtherType { content_type },
                (None, None) => Self::NotJson,
            },
            Self::NotAToken { error, .. } => match response.content_encoding {
                Some(content_encoding) => Self::Compressed { content_encoding },
                None => Self::NotAToken { error, content_type: response.content_type },
            },
            Self::TooLong
            | Self::NoToken { .. }
            | Self::OtherType { .. }
            | Self::Compressed { .. }
            | Self::Error(_) => self,
        }
    }
}

/// A response without a token.
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
    /// The id of the request, from the service or else from this library. Support asks for it. Empty if neither has one.
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

/// The error's text, and the text of each source that the error does not already contain.
pub(crate) fn down_to_the_cause(error: &RefresherError) -> String {
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
        Advised { response: self, advice: None }.fmt(f)
    }
}

/// A response without a token, with advice.
pub(crate) struct Advised<'r> {
    pub(crate) response: &'r ErrorResponse,
    pub(crate) advice: Option<&'static str>,
}

impl fmt::Display for Advised<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { response, advice } = self;
        write!(f, "status {}", response.status)?;
        if let Some(code) = &response.code {
            write!(f, " ({code})")?;
        }
        // The service's message says more than a hint of this library.
        if let Some(message) = response.message.as_deref().or(*advice) {
            write!(f, ": {message}")?;
        }
        let notes = [
            ("Location", &response.location, ""),
            ("WWW-Authenticate", &response.challenge, ""),
            ("Content-Type", &response.content_type, ""),
            ("Content-Encoding", &response.content_encoding, ", which was not asked for"),
        ];
        for (name, value, more) in notes {
            if let Some(value) = value {
                write!(f, "; {name}: {value}{more}")?;
            }
        }
        if response.request_id.is_empty() { Ok(()) } else { write!(f, " [request {}]", response.request_id) }
    }
}
