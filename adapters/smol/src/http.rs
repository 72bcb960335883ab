//! An HTTP client for the exchange, on `hyper` and smol's sockets.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use acs_common_driver::RefresherError;
use acs_common_driver::entra::{HttpClient, HttpRequest, HttpResponse};
use async_io::Timer;
use futures_rustls::TlsConnector;
use futures_rustls::rustls::{self, ClientConfig, pki_types::ServerName};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use rustls_platform_verifier::BuilderVerifierExt as _;
use smol::future::FutureExt as _;
use smol::io::{AsyncRead, AsyncWrite};
use smol::net::TcpStream;
use smol_hyper::rt::FuturesIo;

/// Sends the exchange's requests with `hyper` on smol (feature `hyper`). It keeps connections open, checks certificates
/// with the operating system's rules, and follows no redirects. The timeout of a connection is 10 seconds, that of a
/// response 30 seconds. It does not use proxies. Plain http goes to this computer only.
///
/// Needs the feature `hyper`.
///
/// ```
/// use acs_common_smol::entra::{EntraOptions, EntraTokenRequest};
/// use acs_common_smol::{CommunicationTokenCredential, HyperClient};
///
/// let options = EntraOptions::new("https://contoso.communication.azure.com")?.with_prewarm(false);
/// let source = |_: EntraTokenRequest| async { Ok::<_, std::io::Error>("from-an-identity-library") };
/// let credential = CommunicationTokenCredential::with_entra(options, source, HyperClient::new()?).spawn()?;
/// # drop(credential);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HyperClient(Client<Connector, Full<Bytes>>);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);

impl HyperClient {
    /// A client that trusts the certificates that the operating system trusts.
    ///
    /// # Errors
    /// The system's certificates are not available.
    pub fn new() -> Result<Self, TlsError> {
        // Named, because the process may have another default provider, or no default.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map_err(TlsError)?
            .with_no_client_auth();
        Ok(Self::with_tls(tls))
    }

    /// A client with this TLS configuration: for a private authority, a test, or a client certificate.
    #[must_use]
    pub fn with_tls(tls: ClientConfig) -> Self {
        let connector = Connector(TlsConnector::from(Arc::new(tls)));
        Self(Client::builder(GlobalExecutor).build(connector))
    }
}

impl fmt::Debug for HyperClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperClient").finish_non_exhaustive()
    }
}

impl HttpClient for HyperClient {
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, RefresherError>> + Send>>;

    fn send(&mut self, request: HttpRequest) -> Self::Future {
        let client = self.0.clone();
        let url = request.url().to_owned();
        let answer = within(TIMEOUT, "no response from the service", async move { exchange(&client, request).await });
        Box::pin(async { answer.await.map_err(|error| RefresherError::new(RequestFailed { url, error })) })
    }
}

async fn exchange(
    client: &Client<Connector, Full<Bytes>>,
    request: HttpRequest,
) -> Result<HttpResponse, RefresherError> {
    let request = Request::<&'static [u8]>::try_from(request)?;
    let request = request.map(|body| Full::new(Bytes::from_static(body)));
    let (head, mut incoming) = client.request(request).await?.into_parts();
    // In one allocation if possible: growing would leave copies of the secret in memory.
    let announced = incoming.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let mut body = Vec::with_capacity(announced.unwrap_or_default().min(HttpResponse::MAX_BODY));
    while let Some(frame) = incoming.frame().await {
        if let Some(chunk) = frame?.data_ref() {
            body.extend_from_slice(chunk);
        }
        if body.len() > HttpResponse::MAX_BODY {
            break;
        }
    }
    Ok(Response::from_parts(head, body).into())
}

async fn within<T>(
    limit: Duration,
    missing: &'static str,
    future: impl Future<Output = Result<T, RefresherError>>,
) -> Result<T, RefresherError> {
    let late = async {
        Timer::after(limit).await;
        Err(RefresherError::new(format!("{missing} within {limit:?}")))
    };
    future.or(late).await
}

/// Adds the URL, which `hyper`'s errors do not have.
#[derive(Debug)]
struct RequestFailed {
    url: String,
    error: RefresherError,
}

impl fmt::Display for RequestFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request to {} failed", self.url)
    }
}

impl Error for RequestFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.error.get_ref())
    }
}

/// smol's global executor, for `hyper`.
#[derive(Clone, Debug)]
struct GlobalExecutor;

impl<F> hyper::rt::Executor<F> for GlobalExecutor
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, future: F) {
        smol::spawn(future).detach();
    }
}

/// Connects to the host of a URL, with TLS if the URL is https.
#[derive(Clone)]
struct Connector(TlsConnector);

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let tls = self.0.clone();
        let connect = async move {
            let unusable = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
            let host = uri.host().ok_or_else(|| unusable("no host"))?.trim_matches(['[', ']']).to_owned();
            let secure = uri.scheme_str() == Some("https");
            let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
            let mut addresses = addresses(&host, port).await?;
            if !secure {
                addresses.retain(|address| address.ip().to_canonical().is_loopback());
            }
            let tcp = TcpStream::connect(&*addresses).await?;
            tcp.set_nodelay(true)?;
            if !secure {
                return Ok(Stream(FuturesIo::new(Box::new(tcp))));
            }
            let name = ServerName::try_from(host).map_err(io::Error::other)?;
            Ok(Stream(FuturesIo::new(Box::new(tls.connect(name, tcp).await?))))
        };
        let late = async {
            Timer::after(CONNECT_TIMEOUT).await;
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {CONNECT_TIMEOUT:?}")))
        };
        Box::pin(connect.or(late))
    }
}

/// The addresses of a host. Those of this computer are not left to a name server: tokens are sent to them in plain text.
async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case("localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    smol::net::resolve((host, port)).await
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A connection, plain or with TLS.
struct Stream(FuturesIo<Box<dyn Socket>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// TLS is not available on this system.
///
/// Needs the feature `hyper`.
///
/// ```
/// use acs_common_smol::{HyperClient, TlsError};
///
/// fn client() -> Result<HyperClient, TlsError> {
///     HyperClient::new()
/// }
/// assert!(client().is_ok());
/// ```
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct TlsError(#[source] rustls::Error);
