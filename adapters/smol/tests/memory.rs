//! Memory on smol.

#[path = "../../driver/tests/memory/mod.rs"]
mod memory;

mod rt {
    use std::time::Duration;

    pub(crate) type Credential = acs_common_smol::CommunicationTokenCredential;

    pub(crate) async fn sleep(duration: Duration) {
        async_io::Timer::after(duration).await;
    }
}

/// Fails in the same cases as the test on tokio.
#[test]
fn thousands_of_credentials_and_requests_leave_no_memory() {
    smol::block_on(memory::nothing_is_left());
}
