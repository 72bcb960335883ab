//! Log events and spans for HTTP requests: of the exchange, and of the ready refresher.

use std::error::Error;
use std::sync::Arc;

use acs_common::entra::HttpRequest;
#[cfg(feature = "tracing")]
use {crate::chain::Chain, crate::panics::catch_panic, crate::spans::GuardedSpan, tracing::field::Empty};

use crate::spans::Entered;

#[cfg(feature = "tracing")]
const TARGET: &str = "acs_common::http";

/// Logs a request and its result, without headers and bodies, in a span of its own; the target is `acs_common::http`. The level
/// is the one that the Azure SDKs use for requests. There are few requests, because a token is valid for about an hour.
#[derive(Debug)]
pub(crate) struct Trace {
    /// The name of the credential.
    #[cfg(feature = "tracing")]
    credential: Option<Arc<str>>,
    /// An issuer's requests have none.
    #[cfg(feature = "tracing")]
    request_id: Option<String>,
    #[cfg(feature = "tracing")]
    attempt: u32,
    #[cfg(feature = "tracing")]
    /// `None` in a browser, where std has no clock and panics.
    sent: Option<std::time::Instant>,
    #[cfg(feature = "tracing")]
    span: GuardedSpan,
}

#[cfg(feature = "tracing")]
impl Trace {
    pub(crate) fn new(request: &HttpRequest, credential: Option<&Arc<str>>) -> Self {
        let credential = credential.cloned();
        let (name, method, attempt) = (credential.as_deref(), request.method(), request.attempt());
        let request_id = Some(request.request_id().to_owned()).filter(|id| !id.is_empty());
        // The path of an issuer may name the user.
        let url = request_id.is_some().then(|| request.display_url());
        let host = host(request.display_url());
        let span = GuardedSpan::new(
            || tracing::info_span!(target: TARGET, "acs.token.http", method, host, attempt, status = Empty),
        );
        let entered = span.enter();
        catch_panic(|| tracing::info!(target: TARGET, credential = name, method, url, request_id, attempt, "request"));
        drop(entered);
        Self {
            credential,
            request_id,
            attempt,
            sent: (!cfg!(all(target_family = "wasm", target_os = "unknown"))).then(std::time::Instant::now),
            span,
        }
    }

    /// The request is worked on.
    pub(crate) fn enter(&self) -> Entered {
        self.span.enter()
    }

    /// The status of the response, or the error.
    pub(crate) fn ended(&self, answer: Result<u16, &dyn Error>) {
        let Self { credential, request_id, attempt, sent, span } = self;
        let (credential, request_id) = (credential.as_deref(), request_id.as_deref());
        let duration = sent.map(|sent| tracing::field::debug(sent.elapsed()));
        let _entered = span.enter();
        match answer {
            Ok(status) => {
                span.record("status", status);
                // Log no text from the service: it may repeat the token.
                catch_panic(
                    || tracing::info!(target: TARGET, credential, status, duration, request_id, attempt, "response"),
                );
            }
            Err(error) => {
                let error = Chain(error);
                catch_panic(|| tracing::warn!(target: TARGET, credential, duration, request_id, attempt, "{error}"));
            }
        }
    }
}

/// The host and the port of a URL.
#[cfg(feature = "tracing")]
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

#[cfg(not(feature = "tracing"))]
impl Trace {
    pub(crate) fn new(_: &HttpRequest, _: Option<&Arc<str>>) -> Self {
        Self {}
    }

    #[expect(clippy::unused_self, reason = "there are no spans")]
    pub(crate) fn enter(&self) -> Entered {
        Entered::default()
    }

    #[expect(clippy::unused_self, reason = "there is no log")]
    pub(crate) fn ended(&self, _: Result<u16, &dyn Error>) {}
}
