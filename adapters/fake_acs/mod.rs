//! A fake of the service's exchange endpoint, for tests and examples: HTTP over TLS on loopback. It makes its certificate
//! at start; only [`FakeAcs::trusting`] trusts that. It answers from a script and records its requests.
//!
//! It runs on smol's executor, independent of the client's runtime.
#![allow(dead_code, unreachable_pub, reason = "each includer uses a part of it")]

mod answer;
mod server;

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use futures_rustls::TlsAcceptor;
use futures_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};
use smol::Task;
use smol::channel::{Receiver, Sender, unbounded};

pub use answer::Answer;

pub struct FakeAcs {
    address: SocketAddr,
    /// `None`: plain HTTP.
    certificate: Option<CertificateDer<'static>>,
    shared: Arc<Shared>,
    requests: Receiver<Seen>,
    closed: Receiver<()>,
    _serving: Task<()>,
}

/// A received request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In the order of arrival.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

struct Shared {
    script: Mutex<VecDeque<Answer>>,
    asked: AtomicUsize,
    connections: AtomicUsize,
    /// Bytes of endless bodies that were sent.
    poured: Arc<AtomicU64>,
    seen: Sender<Seen>,
    closing: Sender<()>,
}

impl FakeAcs {
    /// Listens with TLS.
    ///
    /// # Errors
    /// The system has no loopback interface, or no random numbers.
    pub fn start() -> io::Result<Self> {
        let names = ["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()];
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .map_err(io::Error::other)?;
        Self::listen(Some((certificate, TlsAcceptor::from(Arc::new(tls)))))
    }

    /// Listens with plain HTTP.
    ///
    /// # Errors
    /// The system has no loopback interface.
    pub fn start_plain() -> io::Result<Self> {
        Self::listen(None)
    }

    fn listen(tls: Option<(CertificateDer<'static>, TlsAcceptor)>) -> io::Result<Self> {
        let (seen, requests) = unbounded();
        let (closing, closed) = unbounded();
        let shared = Arc::new(Shared {
            script: Mutex::default(),
            asked: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            poured: Arc::default(),
            seen,
            closing,
        });
        let (certificate, tls) = tls.unzip();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let listener = smol::Async::new(listener)?;
        let serving = smol::spawn(server::serve(listener, tls, Arc::clone(&shared)));
        Ok(Self { address, certificate, shared, requests, closed, _serving: serving })
    }

    /// Its URL, as the endpoint of a resource.
    pub fn endpoint(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}", self.address.port())
    }

    /// A client's configuration that trusts only this server.
    pub fn trusting(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.certificate.clone());
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has what TLS needs")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// Its certificate in PEM, for clients that read the system's.
    pub fn pem(&self) -> Option<String> {
        let text = base64::engine::general_purpose::STANDARD.encode(self.certificate.as_ref()?);
        Some(format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"))
    }

    /// Adds an answer at the end of the script. If the script is empty, the n-th request gets the token `acs-token-n`, with a
    /// lifetime of an hour.
    pub fn then(&self, answer: Answer) -> &Self {
        self.shared.script().push_back(answer);
        self
    }

    /// Waits for the next request.
    pub async fn request(&self) -> Seen {
        self.requests.recv().await.expect("the server runs")
    }

    /// Waits until one more connection has been closed.
    pub async fn closed(&self) {
        self.closed.recv().await.expect("the server runs");
    }

    /// How many requests have come.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// How many connections have been made, open or closed.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many bytes of endless bodies it has sent.
    pub fn poured(&self) -> u64 {
        self.shared.poured.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn script(&self) -> std::sync::MutexGuard<'_, VecDeque<Answer>> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to this request.
    fn answer(&self) -> Answer {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.script().pop_front().unwrap_or_else(|| Answer::token(&format!("acs-token-{number}")))
    }
}

impl Seen {
    /// The only header of this name; `name` is in lower case.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let (value, another) = (values.next(), values.next());
        assert_eq!(another, None, "{name} comes once");
        value.unwrap_or_else(|| panic!("no {name}"))
    }

    /// The Entra token of the request.
    #[track_caller]
    pub fn bearer(&self) -> &str {
        self.header("authorization").strip_prefix("Bearer ").expect("a bearer token")
    }
}
