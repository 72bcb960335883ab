//! What a host tells an exchange.

use super::http::HttpResponse;
use super::source::EntraToken;
use crate::error::RefresherError;
use crate::time::Until;

/// What happened to an exchange. At most one call of its host's is under way, so an answer needs no name. An answer that
/// nobody waits for, or of the wrong kind, changes nothing.
///
/// ```
/// use acs_common::RefresherError;
/// use acs_common::entra::{ExchangeEvent, HttpResponse};
///
/// /// What became of a request, in the words of some HTTP client.
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
        /// What it gave.
        token: EntraToken,
    },
    /// The source failed.
    EntraTokenFailed {
        /// Why.
        error: RefresherError,
    },
    /// The source says that the user has signed out. The access token held is dropped, valid or not.
    SignedOut,
    /// The machine says [`CallRefresher`](crate::Action::CallRefresher): the Entra token is to be exchanged.
    Started {
        /// When the machine gives the exchange up, as it says there.
        give_up: Option<Until>,
    },
    /// The service answered.
    ResponseReceived {
        /// What it answered.
        response: HttpResponse,
    },
    /// The service could not be reached, or did not answer in full.
    TransportFailed {
        /// Why.
        error: RefresherError,
    },
    /// The timer fired, or the host just looked at the clocks.
    TimeAdvanced,
}
