//! The conformance suite on tokio: in paused time, except for tests that need real threads.

#[path = "../../driver/tests/conformance/mod.rs"]
mod conformance;

mod rt {
    use std::time::Duration;

    pub(crate) type Credential = acs_common_tokio::CommunicationTokenCredential;
    pub(crate) type Clock = acs_common_tokio::Tokio;

    pub(crate) fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test);
    }

    pub(crate) fn run_with_threads(test: impl FnOnce()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        let _within = runtime.enter();
        test();
    }

    pub(crate) fn run_on_a_thread(future: impl Future<Output = ()> + Send + 'static) {
        let runtime = tokio::runtime::Handle::current();
        std::thread::spawn(move || runtime.block_on(future));
    }

    pub(crate) async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }
}
