//! No secret shows, on tokio and `reqwest`.

#[path = "../../driver/tests/canary/mod.rs"]
mod canary;

mod rt {
    use std::time::Duration;

    use acs_common_tokio::ReqwestClient;
    use futures_rustls::rustls::ClientConfig;

    pub(crate) type Credential = acs_common_tokio::CommunicationTokenCredential;

    /// What the HTTP client logs among others.
    pub(crate) const LOGGED_BY_CLIENT: &[&str] = &["TRACE"];

    pub(crate) fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    pub(crate) async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    pub(crate) fn client(tls: ClientConfig) -> ReqwestClient {
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls);
        client.redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap().into()
    }
}
