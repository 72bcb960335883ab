//! The authorized call on tokio, in every host.
#![expect(clippy::duplicate_mod, reason = "one suite, for each host")]

#[path = "../../driver/tests/authorized/mod.rs"]
mod authorized;

mod reqwest_host;

mod rt {
    use std::time::Duration;

    pub(crate) type Credential = acs_common_tokio::CommunicationTokenCredential;

    /// Minutes pass in no time.
    pub(crate) const IS_VIRTUAL: bool = true;

    pub(crate) fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test);
    }

    pub(crate) async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }
}
