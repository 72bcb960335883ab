//! The conformance suite on smol, in real milliseconds.

#[path = "../../driver/tests/conformance/mod.rs"]
mod conformance;

mod rt {
    use std::time::Duration;

    pub(crate) type Credential = acs_common_smol::CommunicationTokenCredential;
    pub(crate) type Clock = acs_common_smol::Smol;

    pub(crate) fn run(test: impl Future<Output = ()>) {
        smol::block_on(test);
    }

    pub(crate) fn run_with_threads(test: impl FnOnce()) {
        test();
    }

    pub(crate) fn run_on_a_thread(future: impl Future<Output = ()> + Send + 'static) {
        std::thread::spawn(|| smol::block_on(future));
    }

    pub(crate) async fn sleep(duration: Duration) {
        async_io::Timer::after(duration).await;
    }

    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(future).detach();
    }
}
