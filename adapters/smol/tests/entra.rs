//! Credentials of Entra users, and the ready refresher, on smol and `hyper`, over real HTTPS.

#[path = "../../driver/tests/entra/mod.rs"]
mod entra;

mod rt {
    use std::time::Duration;

    use acs_common_smol::HyperClient;
    use async_io::Timer;
    use futures_rustls::rustls::ClientConfig;

    pub(crate) type Clock = acs_common_smol::Smol;
    pub(crate) type Client = HyperClient;

    /// Whether the client uses the system's proxies.
    pub(crate) const PROXIES: bool = false;

    /// Whether OpenSSL checks certificates.
    #[cfg(target_os = "linux")]
    pub(crate) const OPENSSL: bool = false;

    pub(crate) fn run(test: impl Future<Output = ()>) {
        let late = async {
            Timer::after(Duration::from_secs(60)).await;
            panic!("the test does not end");
        };
        smol::block_on(futures_lite::future::or(test, late));
    }

    /// A client with this TLS configuration.
    pub(crate) fn client(tls: ClientConfig) -> Client {
        HyperClient::with_tls(tls)
    }

    /// A client that trusts the system's certificates.
    pub(crate) fn system_client() -> Client {
        HyperClient::new().unwrap()
    }
}
