//! What only tokio can get wrong.

use acs_common_tokio::entra::{EntraOptions, EntraTokenRequest};
use acs_common_tokio::{BuildError, CommunicationTokenCredential, Error, ReqwestClient, SpawnError};

fn spawn() -> Result<CommunicationTokenCredential, BuildError> {
    CommunicationTokenCredential::with_refresher(|| async { Ok::<_, std::io::Error>("eyJ…") }).spawn()
}

#[test]
fn outside_a_runtime_spawning_says_so() {
    assert!(spawn().unwrap_err().to_string().contains("call `spawn` within a tokio runtime"));
}

/// Bites when the builder of an Entra user's credential does not look at what spawning its driver said.
#[test]
fn outside_a_runtime_spawning_an_entra_users_credential_says_so_too() {
    let source = |_: EntraTokenRequest| async { Ok::<_, std::io::Error>("eyJ…") };
    let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap();
    let builder = CommunicationTokenCredential::with_entra(options, source, ReqwestClient::new().unwrap());
    let refused: SpawnError = builder.spawn().unwrap_err();
    assert!(refused.to_string().contains("call `spawn` within a tokio runtime"), "{refused}");
}

/// Bites when `spawn` starts a driver for what it refuses, or panics.
#[test]
fn an_initial_token_that_is_none_is_refused_by_spawning_too() {
    let refresher = || async { Ok::<_, std::io::Error>("eyJ…") };
    let builder = CommunicationTokenCredential::with_refresher(refresher).initial_token(" ");
    let refused = builder.spawn().unwrap_err();
    assert!(refused.to_string().starts_with("initial token: the token is blank"), "{refused}");
}

/// Fails when a driver that panics, for want of a timer, leaves its callers waiting.
#[test]
fn a_runtime_without_a_timer_ends_the_driver_and_strands_nobody() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refresher = || std::future::pending::<Result<String, std::io::Error>>();
    let answer = runtime.block_on(async {
        let credential = CommunicationTokenCredential::with_refresher(refresher).spawn().unwrap();
        credential.get_token().await
    });
    assert!(matches!(answer, Err(Error::DriverStopped)), "{answer:?}");
}

#[test]
fn a_runtime_that_shuts_down_strands_nobody() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let refresher = || std::future::pending::<Result<String, std::io::Error>>();
    let credential =
        runtime.block_on(async { CommunicationTokenCredential::with_refresher(refresher).spawn() }).unwrap();
    let waiting = std::thread::spawn(move || credential.get_token_blocking());
    runtime.shutdown_timeout(std::time::Duration::from_millis(50));
    assert!(matches!(waiting.join().unwrap(), Err(Error::DriverStopped)));
}
