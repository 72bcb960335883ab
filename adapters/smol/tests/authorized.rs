//! The authorized call on smol, in every host.
#![expect(clippy::duplicate_mod, reason = "one suite, for each host")]

#[path = "../../driver/tests/authorized/mod.rs"]
mod authorized;

mod rt {
    use std::time::Duration;

    pub(crate) type Credential = acs_common_smol::CommunicationTokenCredential;

    pub(crate) const IS_VIRTUAL: bool = false;

    pub(crate) fn run(test: impl Future<Output = ()>) {
        smol::block_on(test);
    }

    pub(crate) async fn sleep(duration: Duration) {
        async_io::Timer::after(duration).await;
    }

    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(future).detach();
    }
}
