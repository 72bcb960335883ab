//! Memory on tokio.

#[path = "../../driver/tests/memory/mod.rs"]
mod memory;

mod rt {
    pub(crate) type Credential = acs_common_tokio::CommunicationTokenCredential;
    pub(crate) use tokio::time::sleep;
}

/// Fails when a driver leaks the shared state, or when a dropped `GetToken` keeps its place.
#[test]
fn thousands_of_credentials_and_requests_leave_no_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(memory::nothing_is_left());
}
