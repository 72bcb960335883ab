//! Credentials of Entra users, and the ready refresher, on tokio and `reqwest`, over real HTTPS.

#[path = "../../driver/tests/entra/mod.rs"]
mod entra;

mod rt {
    use std::time::Duration;

    use acs_common_tokio::ReqwestClient;
    use futures_rustls::rustls::{ClientConfig, crypto};

    pub(crate) type Clock = acs_common_tokio::Tokio;
    pub(crate) type Client = ReqwestClient;

    /// Whether the client uses the system's proxies.
    pub(crate) const PROXIES: bool = true;

    /// Whether OpenSSL checks certificates.
    #[cfg(target_os = "linux")]
    pub(crate) const OPENSSL: bool = cfg!(feature = "native-tls");

    pub(crate) fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let patience = Duration::from_secs(60);
        runtime.block_on(async { tokio::time::timeout(patience, test).await }).expect("it ends");
    }

    /// A client with this TLS configuration.
    pub(crate) fn client(tls: ClientConfig) -> Client {
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls);
        client.redirect(reqwest::redirect::Policy::none()).no_proxy().pool_max_idle_per_host(0).build().unwrap().into()
    }

    /// A client that trusts the system's certificates.
    pub(crate) fn system_client() -> Client {
        // The feature `rustls-no-provider` leaves it to the program.
        let _ = crypto::ring::default_provider().install_default();
        ReqwestClient::new().unwrap()
    }
}
