//! What the exchange answers: a token, or why not.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::hints;
use super::http::HttpResponse;
use crate::error::{RefresherError, TokenError};
use crate::json;
use crate::jwt;
use crate::secret::Secret;
use crate::token::NewToken;

/// Reads a response of status 200.
pub(super) fn token(response: &HttpResponse) -> Result<NewToken, BadResponse> {
    let json = body(response)?.ok_or(BadResponse::NotJson)?;
    let [access_token] = json::fields(json, ["accessToken"]).ok_or(BadResponse::NotJson)?;
    let fields = access_token.and_then(|object| json::fields(object, ["token", "expiresOn"]));
    let [token, expires_on] = fields.ok_or(BadResponse::NoToken)?;
    let token = Zeroizing::new(token.and_then(json::string).ok_or(BadResponse::NoToken)?);
    if token.trim().is_empty() || token.len() >= TokenError::TOO_LONG {
        return Err(BadResponse::NoToken);
    }
    let expires_on = expires_on.and_then(json::string).and_then(|text| hints::rfc3339(&text));
    let readable = expires_on.is_some() || jwt::read(&token).is_some();
    let token = NewToken::from(Secret::from_wiped(token));
    match expires_on {
        Some(moment) => Ok(token.with_expires_on(moment)),
        None if readable => Ok(token),
        None => Err(BadResponse::NoExpiry),
    }
}

/// The body's text, unless it is too long; `None` if it is none.
fn body(response: &HttpResponse) -> Result<Option<&str>, BadResponse> {
    if response.body.len() > HttpResponse::MAX_BODY {
        return Err(BadResponse::TooLong);
    }
    Ok(core::str::from_utf8(&response.body).ok())
}

/// What is wrong with a response that says it succeeded.
///
/// ```
/// use acs_common::entra::BadResponse;
///
/// assert_eq!(BadResponse::NoToken.to_string(), "it has no accessToken.token");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadResponse {
    /// More than 1 MiB.
    #[error("its body is longer than 1 MiB")]
    TooLong,
    /// The body is no JSON object.
    #[error("its body is no JSON object")]
    NotJson,
    /// No `accessToken.token`.
    #[error("it has no accessToken.token")]
    NoToken,
    /// No `accessToken.expiresOn` that can be read, nor a token that can.
    #[error("neither its accessToken.expiresOn nor its token's own expiry can be read")]
    NoExpiry,
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
    /// Errors within the error, a few levels deep.
    pub details: Vec<ErrorDetail>,
    /// What the service, or else this library, calls the exchange: to be quoted to support.
    pub request_id: String,
    /// How long the service asked to be left alone.
    pub retry_after: Option<Duration>,
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

/// How deep errors within errors are read, and how many of each level.
const DEPTH: usize = 4;
const BREADTH: usize = 8;

/// The most bytes of a text that are kept.
const LONGEST: usize = 1_024;

/// Reads a response of any other status; `scrub` takes secrets out of a text.
pub(super) fn error(
    response: &HttpResponse,
    request_id: &str,
    retry_after: Option<Duration>,
    scrub: &dyn Fn(&str) -> String,
) -> ErrorResponse {
    let json = body(response).ok().flatten();
    let object = json.and_then(|json| json::fields(json, ["error"])).and_then(|[error]| error);
    let detail = object.and_then(|object| read_detail(object, DEPTH, scrub));
    let (code, message, details) = detail.map_or((None, None, Vec::new()), |it| (it.code, it.message, it.details));
    let code = code.or_else(|| response.header("x-ms-error-code").map(|code| text(code, scrub)));
    let request_id = response.header("x-ms-request-id").map_or_else(|| request_id.into(), |id| text(id, scrub));
    ErrorResponse { status: response.status, code, message, details, request_id, retry_after }
}

fn read_detail(object: &str, depth: usize, scrub: &dyn Fn(&str) -> String) -> Option<ErrorDetail> {
    let [code, message, target, details, inner] =
        json::fields(object, ["code", "message", "target", "details", "innererror"])?;
    let read = |field: Option<&str>| field.and_then(json::string).map(|value| text(&Zeroizing::new(value), scrub));
    let deeper = depth.checked_sub(1);
    let listed = details.and_then(|list| serde_json::from_str::<Vec<&RawValue>>(list).ok()).unwrap_or_default();
    let within = listed.into_iter().map(RawValue::get).chain(inner);
    let details = within.filter_map(|object| read_detail(object, deeper?, scrub)).take(BREADTH).collect();
    Some(ErrorDetail { code: read(code), message: read(message), target: read(target), details })
}

fn text(value: &str, scrub: &dyn Fn(&str) -> String) -> String {
    let mut text = scrub(value);
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    text
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
    /// The service refused, for good, or at every try.
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
