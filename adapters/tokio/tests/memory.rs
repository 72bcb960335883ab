//! Memory on tokio.

#[path = "../../driver/tests/memory/mod.rs"]
mod memory;

mod rt {
    pub(crate) type Credential = acs_common_tokio::CommunicationTokenCredential;
    pub(crate) use tokio::time::sleep;
}

/// Bites when a driver forgets a clone of what it shares, and when `GetToken` does not withdraw its place when dropped.
#[test]
fn thousands_of_credentials_and_requests_leave_no_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(memory::nothing_is_left());
}
