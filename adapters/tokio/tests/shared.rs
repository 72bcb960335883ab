//! The suite for a shared store on tokio.

#[path = "../../driver/tests/shared/mod.rs"]
mod shared;

mod rt {
    use std::time::Duration;

    pub(crate) type Credential = acs_common_tokio::CommunicationTokenCredential;
    pub(crate) type Clock = acs_common_tokio::Tokio;

    pub(crate) fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }

    pub(crate) async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
