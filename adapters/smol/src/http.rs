//! An HTTP client for the exchange and for the ready refresher, on `hyper` and smol's sockets.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use acs_common_driver::RefresherError;
use acs_common_driver::entra::{HttpClient, HttpRequest, HttpResponse};
use async_io::Timer;
use futures_rustls::TlsConnector;
use futures_rustls::rustls::crypto::CryptoProvider;
use futures_rustls::rustls::{self, ClientConfig};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use rustls_platform_verifier::BuilderVerifierExt as _;
use smol::future::{self, FutureExt as _};
use smol_hyper::rt::FuturesIo;

use crate::connect::{self, Target};

/// Sends the requests of the exchange, and those of an [`HttpRefresher`](crate::issuer::HttpRefresher), with `hyper` on smol
/// (feature `hyper`).
///
/// It checks certificates with the operating system's rules, follows no redirects, uses no proxies, and keeps no connection:
/// the next exchange comes an hour later, when a kept one may be dead. Plain http goes to this computer only. If a host has
/// more than one address, the next is tried beside the first after a quarter of a second. The timeout of a connection is 10
/// seconds, that of a response 30 seconds.
///
/// # TLS
/// TLS is by rustls, and which cryptography that uses is the program's choice. [`with_tls`](Self::with_tls) takes a
/// configuration. [`new`](Self::new) uses the process's default provider
/// ([`CryptoProvider::install_default`](https://docs.rs/rustls/latest/rustls/crypto/struct.CryptoProvider.html#method.install_default)),
/// or else the one that a feature of this package brings: `aws-lc-rs` or `ring`. With neither, https is an error that says so.
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
pub struct HyperClient {
    /// Empty until it can be made.
    tls: Arc<OnceLock<TlsConnector>>,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);

impl HyperClient {
    /// A client that trusts the certificates that the operating system trusts. If TLS lacks a provider or certificates, plain
    /// http works all the same. A request that is https looks again for them, and fails if they are still missing.
    ///
    /// # Errors
    /// The provider supports neither TLS 1.2 nor TLS 1.3.
    pub fn new() -> Result<Self, TlsError> {
        let tls = Arc::new(OnceLock::new());
        match connector() {
            Ok(connector) => drop(tls.set(connector)),
            Err(TlsError(Why::NoProvider | Why::NoCertificates(_))) => {}
            Err(error @ TlsError(Why::Unusable(_))) => return Err(error),
        }
        Ok(Self { tls })
    }

    /// A client with this TLS configuration: for a private authority, a test, or a client certificate.
    #[must_use]
    pub fn with_tls(tls: ClientConfig) -> Self {
        Self { tls: Arc::new(OnceLock::from(TlsConnector::from(Arc::new(tls)))) }
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
        let tls = Arc::clone(&self.tls);
        let url = request.display_url().to_owned();
        let answer = within(TIMEOUT, "no response from the service", async move { exchange(&tls, request).await });
        Box::pin(async { answer.await.map_err(|error| RefresherError::new(RequestFailed { url, error })) })
    }
}

async fn exchange(tls: &OnceLock<TlsConnector>, request: HttpRequest) -> Result<HttpResponse, RefresherError> {
    let request = Request::<Bytes>::try_from(request)?;
    let target = Target::of(request.uri())?;
    let tls = match tls.get() {
        _ if !target.secure => None,
        Some(tls) => Some(tls.clone()),
        // It reads files.
        None => {
            let made = smol::unblock(connector).await?;
            Some(tls.get_or_init(|| made).clone())
        }
    };
    let request = to_origin(request.map(Full::new), &target)?;
    let stream = within(CONNECT_TIMEOUT, "no connection", async { Ok(connect::connect(&target, tls).await?) }).await?;
    let (mut sender, connection) = http1::handshake(FuturesIo::new(stream)).await?;
    let answer = async { read(sender.send_request(request).await?).await };
    // In the task of the request: what is dropped with it ends with it, and what it waits for cannot keep other tasks waiting.
    // How the connection fails, the answer says.
    let connection = async {
        let _: hyper::Result<()> = connection.await;
        future::pending().await
    };
    answer.or(connection).await
}

/// The request in the form that servers expect: the path alone, and the host in a header.
fn to_origin<B>(mut request: Request<B>, target: &Target) -> Result<Request<B>, RefresherError> {
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
    request.headers_mut().insert(HOST, HeaderValue::try_from(target.host_header())?);
    Ok(request)
}

async fn read(response: Response<Incoming>) -> Result<HttpResponse, RefresherError> {
    let (head, mut incoming) = response.into_parts();
    let mut response = HttpResponse::from(Response::from_parts(head, Vec::new()));
    while let Some(frame) = incoming.frame().await {
        if !frame?.data_ref().is_none_or(|part| response.extend_body(part)) {
            break;
        }
    }
    Ok(response)
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

/// TLS with the certificates that the operating system trusts.
fn connector() -> Result<TlsConnector, TlsError> {
    let provider = provider().ok_or(TlsError(Why::NoProvider))?;
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(Why::Unusable(error)))?
        .with_platform_verifier()
        .map_err(|error| TlsError(Why::NoCertificates(error)))?
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(tls)))
}

/// The program's choice, or else that of a feature. `rustls` itself panics where there is more than one, or none.
fn provider() -> Option<Arc<CryptoProvider>> {
    CryptoProvider::get_default().cloned().or_else(|| {
        #[cfg(feature = "aws-lc-rs")]
        return Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
        return Some(Arc::new(rustls::crypto::ring::default_provider()));
        #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
        None
    })
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

/// TLS is not available. The text says what to do.
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
#[error(transparent)]
pub struct TlsError(Why);

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(
        "rustls has no crypto provider for https: install a default one (`CryptoProvider::install_default` of rustls), or \
         enable the feature `aws-lc-rs` or `ring` of acs-common-smol, or hand in a configuration (`HyperClient::with_tls`)"
    )]
    NoProvider,
    #[error(
        "there are no certificates to check a server's by: install the system's (on Linux the package ca-certificates), or \
         name a file of them in SSL_CERT_FILE, or hand in a configuration (`HyperClient::with_tls`)"
    )]
    NoCertificates(#[source] rustls::Error),
    #[error("TLS cannot be set up: {0}")]
    Unusable(#[source] rustls::Error),
}
