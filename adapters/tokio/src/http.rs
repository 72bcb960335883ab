//! An HTTP client for the exchange, on `reqwest`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use acs_common_driver::RefresherError;
use acs_common_driver::entra::{HttpClient, HttpRequest, HttpResponse};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Sends the exchange's requests with `reqwest` (feature `reqwest`). It keeps connections open, checks certificates with
/// the operating system's rules, follows no redirects, and uses the system's proxies, except for a request to this computer
/// (`localhost`, a loopback address), which never leaves it. The timeout of a connection is 10 seconds, that of a response 30
/// seconds.
///
/// You can also make it from your own [`reqwest::Client`], which then decides all of this. It must not follow redirects, and
/// must not use a proxy for a loopback endpoint ([`no_proxy`](reqwest::ClientBuilder::no_proxy)).
///
/// ```
/// use acs_common_tokio::entra::{EntraOptions, EntraTokenRequest};
/// use acs_common_tokio::{CommunicationTokenCredential, ReqwestClient};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let options = EntraOptions::new("https://contoso.communication.azure.com")?.with_prewarm(false);
/// let source = |_: EntraTokenRequest| async { Ok::<_, std::io::Error>("from-an-identity-library") };
/// let credential = CommunicationTokenCredential::with_entra(options, source, ReqwestClient::new()?).spawn()?;
/// # drop(credential);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ReqwestClient {
    remote: reqwest::Client,
    /// For requests to this computer.
    local: reqwest::Client,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Port 0 stands for the URL's.
const LOOPBACK: [SocketAddr; 2] =
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0)];

impl ReqwestClient {
    /// A new client.
    ///
    /// # Errors
    /// The system's certificates or its random numbers are not available.
    pub fn new() -> Result<Self, TlsError> {
        // Named, because the process may have another default provider, or no default.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map_err(TlsError::new)?
            .with_no_client_auth();
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(TIMEOUT)
        };
        // A proxy would see the token of a plain request, and could answer it. The names are not left to a name server either.
        let local =
            builder().no_proxy().resolve_to_addrs("localhost", &LOOPBACK).resolve_to_addrs("localhost.", &LOOPBACK);
        Ok(Self {
            remote: builder().https_only(true).build().map_err(TlsError::new)?,
            local: local.build().map_err(TlsError::new)?,
        })
    }
}

impl From<reqwest::Client> for ReqwestClient {
    fn from(client: reqwest::Client) -> Self {
        Self { remote: client.clone(), local: client }
    }
}

impl From<ReqwestClient> for reqwest::Client {
    fn from(client: ReqwestClient) -> Self {
        client.remote
    }
}

impl HttpClient for ReqwestClient {
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, RefresherError>> + Send>>;

    fn send(&mut self, request: HttpRequest) -> Self::Future {
        let client = if request.is_loopback() { &self.local } else { &self.remote }.clone();
        Box::pin(async move {
            let request = http::Request::try_from(request)?;
            let mut answer = client.execute(request.try_into()?).await?;
            let url = answer.url().clone();
            // In one allocation if possible: growing would leave copies of the secret in memory.
            let announced = answer.content_length().and_then(|length| usize::try_from(length).ok());
            let mut body = Vec::with_capacity(announced.unwrap_or_default().min(HttpResponse::MAX_BODY));
            while let Some(chunk) = answer.chunk().await.map_err(|error| error.with_url(url.clone()))? {
                body.extend_from_slice(&chunk);
                if body.len() > HttpResponse::MAX_BODY {
                    break;
                }
            }
            let mut response = http::Response::new(body);
            *response.status_mut() = answer.status();
            *response.headers_mut() = core::mem::take(answer.headers_mut());
            Ok(response.into())
        })
    }
}

/// TLS is not available on this system.
///
/// Needs the feature `reqwest`.
///
/// ```
/// use acs_common_tokio::{ReqwestClient, TlsError};
///
/// fn client() -> Result<ReqwestClient, TlsError> {
///     ReqwestClient::new()
/// }
/// assert!(client().is_ok());
/// ```
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {source}")]
pub struct TlsError {
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl TlsError {
    fn new(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { source: Box::new(source) }
    }
}
