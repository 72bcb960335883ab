//! What the exchange brings: a token, or an error.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;

use crate::error::{RefresherError, TokenError};
use crate::json;
use crate::secret::Secret;
use crate::token::NewToken;
use crate::wire::{Advised, BadResponse, ErrorResponse, HttpResponse, body, down_to_the_cause, rfc3339};

/// Reads a response of status 200.
pub(super) fn token(response: &HttpResponse) -> Result<NewToken, BadResponse> {
    let json = body(response)?.ok_or(BadResponse::NotJson)?;
    let [access_token] = json::fields(json, ["accessToken"]).ok_or(BadResponse::NotJson)?;
    let fields = access_token.and_then(|object| json::fields(object, ["token", "expiresOn"]));
    let [token, expires_on] = fields.ok_or_else(no_token)?;
    let token = token.and_then(json::string).ok_or_else(no_token)?;
    if token.trim().is_empty() || token.trim_ascii().len() >= TokenError::TOO_LONG {
        return Err(no_token());
    }
    let token = NewToken::from(Secret::from_wiped(token));
    // If this moment cannot be read, the token's own expiry counts, else the policy's lifetime.
    Ok(match expires_on.and_then(json::string).and_then(|text| rfc3339(&text)) {
        Some(moment) => token.with_expires_on(moment),
        None => token,
    })
}

fn no_token() -> BadResponse {
    BadResponse::NoToken { field: "accessToken.token".to_owned() }
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
    #[error("the exchange was refused with {}", advised(.0))]
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

fn advised(response: &ErrorResponse) -> Advised<'_> {
    let advice = match response.status {
        401 | 403 => Some("is the Entra token for the scopes, and of the tenant, that the resource was set up for?"),
        404 => Some("is the endpoint that of an Azure Communication Services resource?"),
        _ => None,
    };
    Advised { response, advice }
}
