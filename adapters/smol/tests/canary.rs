//! No secret shows, on smol and `hyper`.

#[path = "../../driver/tests/canary/mod.rs"]
mod canary;

mod rt {
    use std::time::Duration;

    use acs_common_smol::HyperClient;
    use futures_rustls::rustls::ClientConfig;

    pub(crate) type Credential = acs_common_smol::CommunicationTokenCredential;

    /// What the HTTP client logs among others: nothing.
    pub(crate) const LOGGED_BY_CLIENT: &[&str] = &[];

    pub(crate) fn run(test: impl Future<Output = ()>) {
        smol::block_on(test);
    }

    pub(crate) async fn sleep(duration: Duration) {
        async_io::Timer::after(duration).await;
    }

    pub(crate) fn client(tls: ClientConfig) -> HyperClient {
        HyperClient::with_tls(tls)
    }
}
