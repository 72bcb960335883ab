//! The suite for a shared store on smol.

#[path = "../../driver/tests/shared/mod.rs"]
mod shared;

mod rt {
    use std::time::Duration;

    pub(crate) type Credential = acs_common_smol::CommunicationTokenCredential;
    pub(crate) type Clock = acs_common_smol::Smol;

    pub(crate) fn run(test: impl Future<Output = ()>) {
        smol::block_on(test);
    }

    pub(crate) async fn sleep(duration: Duration) {
        async_io::Timer::after(duration).await;
    }
}
