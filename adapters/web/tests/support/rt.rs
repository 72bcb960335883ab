//! What the common suites need of a runtime. Tests are asynchronous here, so `run` keeps the future for `finish`.

use std::cell::RefCell;
use std::pin::Pin;
use std::time::Duration;

use acs_common_web::Clock as _;

pub(crate) type Credential = acs_common_web::CommunicationTokenCredential;
#[allow(dead_code, reason = "not every suite asks")]
pub(crate) type Clock = acs_common_web::Web;

#[allow(dead_code, reason = "not every suite asks")]
pub(crate) const IS_VIRTUAL: bool = false;

thread_local! {
    static TEST: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>> = const { RefCell::new(None) };
}

pub(crate) fn run(test: impl Future<Output = ()> + 'static) {
    let earlier = TEST.replace(Some(Box::pin(test)));
    assert!(earlier.is_none(), "a test runs one future");
}

/// Awaits what was given to `run`, if anything was.
pub(crate) async fn finish() {
    if let Some(test) = TEST.take() {
        test.await;
    }
}

pub(crate) async fn sleep(duration: Duration) {
    Clock::default().sleep(duration).await;
}

pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(future);
}
