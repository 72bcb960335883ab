//! What can be wrong with an issuer, or with its answer.

use alloc::boxed::Box;
use alloc::string::String;

use crate::error::RefresherError;
use crate::url::UrlError;
use crate::wire::{Advised, BadResponse, ErrorResponse, down_to_the_cause};

/// What is wrong with an [`Issuer`](super::Issuer). No text repeats a URL or a value, because these may hold secrets.
///
/// ```
/// use acs_common::issuer::Issuer;
///
/// let error = Issuer::get("https://me:secret@contoso.example/token").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the issuer's URL has a user name or a password before an `@`: put them into a header",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerOptionsError {
    /// It is not a valid URL.
    #[error("the issuer's URL is not valid: {0}")]
    Url(UrlError),
    /// Anyone on the way could read the token.
    #[error("the issuer's URL is plain http: use https, because tokens come from it (http is for loopback hosts only)")]
    NotHttps,
    /// It has a user name or a password.
    #[error("the issuer's URL has a user name or a password before an `@`: put them into a header")]
    UserInfo,
    /// It has a fragment, which is not sent.
    #[error("the issuer's URL has a fragment (`#`): leave it out")]
    Fragment,
    /// The name is not valid in HTTP, or the HTTP client sets this header.
    #[error("the header {name:?} cannot be set: its name is not valid in HTTP, or the HTTP client sets it")]
    #[non_exhaustive]
    HeaderName {
        /// The name.
        name: String,
    },
    /// The value holds a line break, a control character, or a character that is not ASCII.
    #[error(
        "the value of the header {name} holds a line break, or a character that is not ASCII: it is not shown here"
    )]
    #[non_exhaustive]
    HeaderValue {
        /// The header's name.
        name: String,
    },
    /// The parameter's name would have to be encoded.
    #[error(
        "the name of the query's parameter is empty, or has other characters than ASCII letters, digits and `-._~`"
    )]
    QueryName,
}

/// Why an issuer brought no token. Found [in](crate::RefresherError::get_ref) a
/// [`FailureCause::Refresher`](crate::FailureCause::Refresher).
///
/// ```
/// use acs_common::FailureCause;
/// use acs_common::issuer::IssuerError;
///
/// /// Whether the user's session with the server has ended.
/// fn signed_out(error: &FailureCause) -> bool {
///     let FailureCause::Refresher(error) = error else { return false };
///     matches!(error.get_ref().downcast_ref(), Some(IssuerError::Refused(response)) if response.status == 401)
/// }
/// assert!(!signed_out(&FailureCause::Rejected));
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// Another status than 200 to 299.
    #[error("the issuer answered with {}", advised(.0))]
    Refused(Box<ErrorResponse>),
    /// A status from 200 to 299, without a usable token.
    #[error("the issuer's response is unusable: {0}")]
    BadResponse(BadResponse),
    /// There was no complete response. The text includes all sources of the error, because the errors of HTTP clients name the
    /// cause only there.
    #[error("no complete answer from the issuer: {}", down_to_the_cause(.0))]
    Transport(RefresherError),
}

fn advised(response: &ErrorResponse) -> Advised<'_> {
    let advice = match response.status {
        300..=399 => Some("redirects are not followed: use the URL that it leads to"),
        401 | 403 => Some("is the user still signed in, and are the issuer's headers right?"),
        404 => Some("is the issuer's URL right?"),
        405 => Some("does the issuer want the other of GET and POST?"),
        _ => None,
    };
    Advised { response, advice }
}
