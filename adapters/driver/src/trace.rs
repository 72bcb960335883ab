//! Log events for the requests of the exchange.

use std::sync::Arc;

use acs_common::RefresherError;
use acs_common::entra::{HttpRequest, HttpResponse};
#[cfg(feature = "tracing")]
use {crate::chain::Chain, crate::panics::catch_panic, acs_common::entra::ExchangeError};

/// Logs a request and its result, without headers and bodies; the target is `acs_common::http`. The level is the one that
/// the Azure SDKs use for requests. There are few requests, because a token is valid for about an hour.
pub(crate) struct Trace {
    /// The name of the credential.
    #[cfg(feature = "tracing")]
    credential: Option<Arc<str>>,
    #[cfg(feature = "tracing")]
    request_id: String,
    #[cfg(feature = "tracing")]
    attempt: u32,
    #[cfg(feature = "tracing")]
    /// `None` in a browser, where std has no clock and panics.
    sent: Option<std::time::Instant>,
}

#[cfg(feature = "tracing")]
impl Trace {
    pub(crate) fn new(request: &HttpRequest, credential: Option<&Arc<str>>) -> Self {
        let credential = credential.cloned();
        let name = credential.as_deref();
        let (method, url, attempt) = (request.method(), request.url(), request.attempt());
        let request_id = request.request_id().to_owned();
        catch_panic(
            || tracing::info!(target: "acs_common::http", credential = name, method, url, request_id, attempt, "request"),
        );
        Self {
            credential,
            request_id,
            attempt,
            sent: (!cfg!(all(target_family = "wasm", target_os = "unknown"))).then(std::time::Instant::now),
        }
    }

    pub(crate) fn ended(&self, answer: &Result<HttpResponse, RefresherError>) {
        let Self { credential, request_id, attempt, sent } = self;
        let credential = credential.as_deref();
        let duration = sent.map(|sent| tracing::field::debug(sent.elapsed()));
        catch_panic(|| match answer {
            Ok(response) => {
                // Log no text from the service: it may repeat the token.
                let status = response.status();
                tracing::info!(target: "acs_common::http", credential, status, duration, request_id, attempt, "response");
            }
            Err(error) => {
                let error = ExchangeError::Transport(error.clone());
                let error = Chain(&error);
                tracing::warn!(target: "acs_common::http", credential, duration, request_id, attempt, "{error}");
            }
        });
    }
}

#[cfg(not(feature = "tracing"))]
impl Trace {
    pub(crate) fn new(_: &HttpRequest, _: Option<&Arc<str>>) -> Self {
        Self {}
    }

    pub(crate) fn ended(&self, _: &Result<HttpResponse, RefresherError>) {}
}
