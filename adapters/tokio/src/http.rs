//! An HTTP client for the exchange and for the ready refresher, on `reqwest`.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use acs_common_driver::RefresherError;
use acs_common_driver::entra::{HttpClient, HttpRequest, HttpResponse};
use reqwest::{Client, ClientBuilder, Url};

/// Sends the requests of the exchange, and those of an [`HttpRefresher`](crate::issuer::HttpRefresher), with `reqwest` (feature
/// `reqwest`).
///
/// It checks certificates with the operating system's rules, follows no redirects, and keeps no connection: the next
/// exchange comes an hour later, when a kept one may be dead. It uses the system's proxies, except for a request to this
/// computer (`localhost`, a loopback address), and plain http for nothing else. The timeout of a connection is 10 seconds,
/// that of a response 30 seconds.
///
/// # TLS
/// The feature `reqwest` alone brings no TLS: which library does that is the program's choice. One of these features of
/// `reqwest` makes it, either on this package, which passes them on, or wherever else the program enables them:
///
/// | feature | TLS by |
/// |---|---|
/// | `default-tls` | what `reqwest` has by default: rustls with aws-lc-rs |
/// | `rustls` | rustls: with the process's default provider if there is one, else with aws-lc-rs |
/// | `rustls-no-provider` | rustls with the process's default provider, such as ring: install it before [`new`](Self::new) |
/// | `native-tls` | the system's library; on Linux OpenSSL |
///
/// Without any, https is an error that names these features.
///
/// # A client of your own
/// With `ReqwestClient::from` you hand in a [`reqwest::Client`], which then decides all of this, and needs none of these
/// features. It
/// - must not follow redirects: [`redirect`](ClientBuilder::redirect) with [`Policy::none`](reqwest::redirect::Policy::none);
/// - must not use a proxy for a loopback endpoint: [`no_proxy`](ClientBuilder::no_proxy);
/// - should not keep connections: [`pool_max_idle_per_host`](ClientBuilder::pool_max_idle_per_host) of 0;
/// - should have a [`connect_timeout`](ClientBuilder::connect_timeout), so that a refresh has time for more than one try.
///
/// ```
/// use acs_common_tokio::entra::{EntraOptions, EntraTokenRequest};
/// use acs_common_tokio::{CommunicationTokenCredential, ReqwestClient};
///
/// fn connect() -> Result<CommunicationTokenCredential, Box<dyn std::error::Error>> {
///     let options = EntraOptions::new("https://contoso.communication.azure.com")?;
///     let source = |_: EntraTokenRequest| async { Ok::<_, std::io::Error>("from-an-identity-library") };
///     Ok(CommunicationTokenCredential::with_entra(options, source, ReqwestClient::new()?).spawn()?)
/// }
/// # let _ = connect;
/// ```
#[derive(Clone, Debug)]
pub struct ReqwestClient(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Own(Arc<Clients>),
    HandedIn(Client),
}

/// One client for each kind of endpoint. The two with TLS are made when they are first needed.
#[derive(Debug)]
struct Clients {
    /// For plain http, which goes to this computer only. It trusts no certificate, so it needs no store of them.
    plain: Client,
    /// For https to this computer.
    local: OnceLock<Client>,
    remote: OnceLock<Client>,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Port 0 stands for the URL's.
const LOOPBACK: [SocketAddr; 2] =
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0)];

impl ReqwestClient {
    /// A new client. What TLS needs (a store of certificates, say) is looked for at the first request that is https, and if it
    /// is missing, that request fails and says so.
    ///
    /// # Errors
    /// No client can be made at all: with `rustls-no-provider` the process has no default provider.
    pub fn new() -> Result<Self, TlsError> {
        let plain = build(local(builder()).tls_certs_only([]))?;
        Ok(Self(Kind::Own(Arc::new(Clients { plain, local: OnceLock::new(), remote: OnceLock::new() }))))
    }

    fn client(&self, request: &HttpRequest) -> Result<Client, TlsError> {
        match &self.0 {
            Kind::HandedIn(client) => Ok(client.clone()),
            Kind::Own(own) if request.url().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:")) => {
                Ok(own.plain.clone())
            }
            Kind::Own(own) if request.is_loopback() => made(&own.local, || local(builder())),
            Kind::Own(own) => made(&own.remote, builder),
        }
    }
}

/// What every client of ours has.
fn builder() -> ClientBuilder {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .http1_only()
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
}

/// For requests to this computer: no proxy sees them, and no name server is asked where it is.
fn local(builder: ClientBuilder) -> ClientBuilder {
    builder.no_proxy().resolve_to_addrs("localhost", &LOOPBACK).resolve_to_addrs("localhost.", &LOOPBACK)
}

/// A client for https alone. If it cannot be made, the next request tries again: certificates can be installed meanwhile.
fn made(place: &OnceLock<Client>, builder: impl Fn() -> ClientBuilder) -> Result<Client, TlsError> {
    if let Some(client) = place.get() {
        return Ok(client.clone());
    }
    #[allow(clippy::useless_conversion, reason = "without a backend it is a `Backend` already")]
    let Backend(Some(builder)) = builder().https_only(true).tls_sni(true).into() else {
        return Err(TlsError(Why::NoBackend));
    };
    let client = build(builder)?;
    Ok(place.get_or_init(|| client).clone())
}

/// `reqwest` panics if it has rustls without a provider, and the process has no default one.
fn build(builder: ClientBuilder) -> Result<Client, TlsError> {
    #[cfg(feature = "rustls-no-provider")]
    if cfg!(not(any(feature = "default-tls", feature = "native-tls", feature = "rustls")))
        && rustls::crypto::CryptoProvider::get_default().is_none()
    {
        return Err(TlsError(Why::NoProvider));
    }
    match catch_unwind(AssertUnwindSafe(|| builder.build())) {
        Ok(built) => built.map_err(|error| TlsError(Why::Refused(error.into()))),
        // Only if the program enabled that on `reqwest` itself.
        Err(_) => Err(TlsError(Why::NoProvider)),
    }
}

/// Stands in for two methods that `reqwest`'s builder has only with a TLS backend. With one, its own are called: an inherent
/// method precedes a trait's. So it does not matter which package of the program enables the backend.
#[allow(dead_code, reason = "not called where `reqwest` has a backend")]
trait WithoutTls: Sized {
    fn tls_certs_only(self, _: [(); 0]) -> Self {
        self
    }

    fn tls_sni(self, _: bool) -> Backend {
        Backend(None)
    }
}

impl WithoutTls for ClientBuilder {}

/// The builder, if it has a TLS backend.
struct Backend(Option<ClientBuilder>);

impl From<ClientBuilder> for Backend {
    fn from(builder: ClientBuilder) -> Self {
        Self(Some(builder))
    }
}

impl From<Client> for ReqwestClient {
    fn from(client: Client) -> Self {
        Self(Kind::HandedIn(client))
    }
}

impl HttpClient for ReqwestClient {
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, RefresherError>> + Send>>;

    fn send(&mut self, request: HttpRequest) -> Self::Future {
        let client = self.client(&request);
        Box::pin(async move {
            let client = client?;
            // The errors of `reqwest` show the whole URL, whose query may hold a secret.
            let url = Url::parse(request.display_url())?;
            let request = http::Request::try_from(request)?;
            let answer = client.execute(request.try_into()?).await;
            let mut answer = answer.map_err(|error| error.with_url(url.clone()))?;
            let mut head = http::Response::new(Vec::new());
            *head.status_mut() = answer.status();
            *head.headers_mut() = core::mem::take(answer.headers_mut());
            let mut response = HttpResponse::from(head);
            while let Some(chunk) = answer.chunk().await.map_err(|error| error.with_url(url.clone()))? {
                if !response.extend_body(&chunk) {
                    break;
                }
            }
            Ok(response)
        })
    }
}

/// TLS is not available. The text says what to do.
///
/// Needs the feature `reqwest`.
///
/// ```
/// use acs_common_tokio::{ReqwestClient, TlsError};
///
/// fn client() -> Option<ReqwestClient> {
///     let warn = |error: &TlsError| eprintln!("{error}");
///     ReqwestClient::new().inspect_err(warn).ok()
/// }
/// # let _ = client;
/// ```
#[derive(Debug)]
pub struct TlsError(Why);

#[derive(Debug)]
enum Why {
    NoBackend,
    NoProvider,
    Refused(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Why::NoBackend => {
                "reqwest has no TLS backend for https: enable the feature `default-tls`, `rustls`, `rustls-no-provider` or \
                 `native-tls` of acs-common-tokio, or hand in a client of your own (`ReqwestClient::from`)"
            }
            Why::NoProvider => {
                "reqwest has rustls without a crypto provider, and the process has no default one: install one before \
                 `ReqwestClient::new` (`CryptoProvider::install_default` of rustls), or enable the feature `rustls` of \
                 acs-common-tokio, which brings aws-lc-rs"
            }
            Why::Refused(_) => {
                "TLS cannot be set up; if certificates are missing, install the system's (on Linux the package \
                 ca-certificates), or name a file of them in SSL_CERT_FILE, or hand in a client of your own \
                 (`ReqwestClient::from`)"
            }
        })
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Why::NoBackend | Why::NoProvider => None,
            Why::Refused(error) => Some(&**error),
        }
    }
}
