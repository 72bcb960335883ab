//! An HTTP client for the exchange and for the ready refresher, on `fetch`.

use std::pin::Pin;
use std::time::Duration;

use acs_common_driver::RefresherError;
use acs_common_driver::entra::{HttpClient, HttpRequest, HttpResponse};
use futures_lite::future;
use js_sys::{Array, Promise, Reflect, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Headers, ReadableStream, ReadableStreamDefaultReader, ReferrerPolicy, RequestCache,
    RequestCredentials, RequestInit, RequestRedirect, Response,
};

use crate::sleep::Sleep;

#[wasm_bindgen]
extern "C" {
    // Of the page, of a worker, or of Node.
    #[wasm_bindgen(catch)]
    fn fetch(url: &str, init: &RequestInit) -> Result<Promise, JsValue>;
}

/// Sends the requests of the exchange, and those of an [`HttpRefresher`](crate::issuer::HttpRefresher), with the host's `fetch`
/// (feature `fetch`): without cookies, cache and referrer. It follows no
/// redirects. A request ends after 30 seconds at most, and is aborted when its future is dropped. It reads no more of a body
/// than [`HttpResponse::MAX_BODY`] and one chunk.
///
/// What `fetch` cannot do:
/// - It has no say over proxies, connections, certificates and `Accept-Encoding`: the browser decides. A connection may be
///   kept for the next exchange.
/// - A page can ask only services that allow its origin (CORS). A service that does not looks like a network that is down.
///   From Node and from a browser extension there is no such limit.
/// - Of a response from another origin a page sees only the headers that the service exposes. `Retry-After` and `Date` are
///   hidden by default: then the pauses between tries are those of the policy.
/// - In a browser a redirect has the status 0 and no headers. It is a transient failure, like every redirect.
/// - JavaScript's copies of a token are not wiped; the engine frees them when it likes.
///
/// ```no_run
/// use acs_common_web::entra::{EntraOptions, EntraTokenRequest};
/// use acs_common_web::{CommunicationTokenCredential, FetchClient};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let options = EntraOptions::new("https://contoso.communication.azure.com")?;
/// let source = |_: EntraTokenRequest| async { Ok::<_, std::io::Error>("from-an-identity-library") };
/// let credential = CommunicationTokenCredential::with_entra(options, source, FetchClient::new()).spawn()?;
/// # drop(credential);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FetchClient {}

const TIMEOUT: Duration = Duration::from_secs(30);

impl FetchClient {
    /// A new client.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }
}

impl HttpClient for FetchClient {
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, RefresherError>> + Send>>;

    fn send(&mut self, request: HttpRequest) -> Self::Future {
        let limit = async {
            Sleep::new(TIMEOUT).await;
            Err(FetchError::TimedOut)
        };
        let limited = future::or(exchange(request), limit);
        Box::pin(SendWrapper::new(async { limited.await.map_err(RefresherError::new) }))
    }
}

async fn exchange(request: HttpRequest) -> Result<HttpResponse, FetchError> {
    let aborting = Aborting::new()?;
    let init = aborting.init(&request)?;
    let sent = fetch(request.url(), &init).map_err(FetchError::failed)?;
    let response: Response = JsFuture::from(sent).await.map_err(FetchError::failed)?.unchecked_into();
    let mut answer = HttpResponse::new(response.status());
    let (mut announced, headers) = (None, response.headers());
    for entry in js_sys::try_iter(&headers).ok().flatten().into_iter().flatten() {
        let entry: Array = entry.map_err(FetchError::failed)?.unchecked_into();
        let (Some(name), Some(value)) = (entry.get(0).as_string(), entry.get(1).as_string()) else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            announced = value.parse().ok();
        }
        answer = answer.with_header(&name, &value);
    }
    let body = match response.body() {
        Some(stream) => read(stream, announced.unwrap_or_default()).await?,
        None => Vec::new(),
    };
    Ok(answer.with_body(body))
}

/// Reads no more than one chunk after the limit.
async fn read(stream: ReadableStream, announced: usize) -> Result<Vec<u8>, FetchError> {
    let reader = ReadableStreamDefaultReader::new(&stream).map_err(FetchError::failed)?;
    // In one allocation if possible: growing would leave copies of the secret in memory.
    let mut body = Vec::with_capacity(announced.min(HttpResponse::MAX_BODY));
    while body.len() <= HttpResponse::MAX_BODY {
        let read = JsFuture::from(reader.read()).await.map_err(FetchError::failed)?;
        let chunk = Reflect::get(&read, &"value".into()).unwrap_or_default();
        if chunk.is_undefined() {
            break;
        }
        let (chunk, read) = (Uint8Array::new(&chunk), body.len());
        body.resize(read.saturating_add(chunk.length() as usize), 0);
        chunk.copy_to(&mut body[read..]);
    }
    Ok(body)
}

/// Aborts its request when it is dropped. On a request that has ended, this has no effect.
struct Aborting(AbortController);

impl Aborting {
    fn new() -> Result<Self, FetchError> {
        AbortController::new().map(Self).map_err(FetchError::failed)
    }

    fn init(&self, request: &HttpRequest) -> Result<RequestInit, FetchError> {
        let headers = Headers::new().map_err(FetchError::failed)?;
        for (name, value) in request.expose_headers() {
            // The mode `no-store` below says it. In a header, a server of another origin would have to permit it.
            if (name, value) == ("Cache-Control", "no-cache") {
                continue;
            }
            // The message of the host quotes the value.
            headers.append(name, value).map_err(|_| FetchError::Header { name: name.to_owned() })?;
        }
        let init = RequestInit::new();
        init.set_method(request.method());
        init.set_headers_headers(&headers);
        init.set_body_opt_str(Some(request.body()).filter(|body| !body.is_empty()));
        init.set_redirect(RequestRedirect::Manual);
        init.set_credentials(RequestCredentials::Omit);
        init.set_cache(RequestCache::NoStore);
        init.set_referrer_policy(ReferrerPolicy::NoReferrer);
        init.set_signal(Some(&self.0.signal()));
        Ok(init)
    }
}

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a request has no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum FetchError {
    #[error("fetch failed: {0}")]
    Failed(String),
    #[error("fetch refuses the value of the header {name}; it is not shown here")]
    Header { name: String },
    #[error("no response within {} s", TIMEOUT.as_secs())]
    TimedOut,
}

impl FetchError {
    /// Hosts put their reasons into the error, Node into its cause. They are the host's words about the connection, which has
    /// no secrets: those are in headers.
    #[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
    fn failed(error: JsValue) -> Self {
        let text = |of: &JsValue, name: &str| Reflect::get(of, &name.into()).ok().and_then(|text| text.as_string());
        let mut said =
            text(&error, "message").or_else(|| error.as_string()).unwrap_or_else(|| "no reason given".into());
        let cause = Reflect::get(&error, &"cause".into()).unwrap_or_default();
        if let Some(cause) = text(&cause, "message").or_else(|| text(&cause, "code")).filter(|cause| !cause.is_empty())
        {
            said.push_str(": ");
            said.push_str(&cause);
        }
        Self::Failed(said)
    }
}
