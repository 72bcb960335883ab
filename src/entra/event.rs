//! What a host tells an exchange.

use super::source::EntraToken;
use crate::error::RefresherError;
use crate::time::Until;
use crate::wire::HttpResponse;

/// What happened to an exchange. The host makes at most one call at a time, so an answer needs no name. An answer that the
/// exchange does not wait for changes nothing.
///
/// ```
/// use acs_common::RefresherError;
/// use acs_common::entra::{ExchangeEvent, HttpResponse};
///
/// /// Converts the result of an HTTP client.
/// fn outcome(result: Result<HttpResponse, std::io::Error>) -> ExchangeEvent {
///     match result {
///         Ok(response) => ExchangeEvent::ResponseReceived { response },
///         Err(error) => ExchangeEvent::TransportFailed { error: RefresherError::new(error) },
///     }
/// }
/// # let _ = outcome;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ExchangeEvent {
    /// The source gave an Entra token.
    EntraTokenReceived {
        /// The token.
        token: EntraToken,
    },
    /// The source failed.
    EntraTokenFailed {
        /// The reason.
        error: RefresherError,
    },
    /// The source says that the user has signed out. The machine then drops the access token held, even if it is valid.
    SignedOut,
    /// The machine said [`CallRefresher`](crate::Action::CallRefresher): exchange the Entra token now.
    Started {
        /// When the machine will give up this exchange: `give_up` of that action.
        give_up: Option<Until>,
    },
    /// The service answered.
    ResponseReceived {
        /// The response.
        response: HttpResponse,
    },
    /// The service could not be reached, or the response was not complete.
    TransportFailed {
        /// The reason.
        error: RefresherError,
    },
    /// The timer fired, or the host looked at its clocks.
    TimeAdvanced,
}
