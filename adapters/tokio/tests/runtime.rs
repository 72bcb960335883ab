//! What only tokio can get wrong.

use acs_common_tokio::entra::{EntraOptions, EntraTokenRequest};
use acs_common_tokio::{BuildError, CommunicationTokenCredential, ReqwestClient, SpawnError};

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

#[test]
fn a_runtime_without_a_timer_is_refused_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = runtime.block_on(async { spawn() }).unwrap_err();
    assert!(refused.to_string().contains("enable_time"), "{refused}");
}

#[test]
fn a_runtime_that_shuts_down_strands_nobody() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let refresher = || std::future::pending::<Result<String, std::io::Error>>();
    let credential =
        runtime.block_on(async { CommunicationTokenCredential::with_refresher(refresher).spawn() }).unwrap();
    let waiting = std::thread::spawn(move || credential.get_token_blocking());
    runtime.shutdown_timeout(std::time::Duration::from_millis(50));
    assert!(matches!(waiting.join().unwrap(), Err(acs_common_tokio::Error::DriverStopped)));
}

/// Fails, where the test would hang.
fn soon<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(wait()));
    waiting.recv_timeout(std::time::Duration::from_secs(20)).expect("it panicked, or hangs")
}

/// Bites when the driver, made or woken in the same task, stays with the worker that is blocked.
#[test]
fn a_worker_that_blocks_for_a_token_hands_on_the_driver() {
    for workers in [1, 4] {
        let token = soon(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_time().build();
            let task = async {
                let credential = spawn().unwrap();
                let first = credential.get_token_blocking().unwrap();
                credential.reject(&first);
                credential.get_token_blocking().unwrap()
            };
            runtime.unwrap().block_on(async { tokio::spawn(task).await.unwrap() })
        });
        assert_eq!(token.secret().expose(), "eyJ…");
    }
}

/// Bites when `block_in_place` is called wherever the runtime is a multi-threaded one: it panics in a `LocalSet`, although
/// there are workers for the driver.
#[test]
fn a_local_set_of_a_multi_threaded_runtime_may_block_for_a_token() {
    let token = soon(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let local = tokio::task::LocalSet::new();
        let task = async { tokio::task::spawn_local(async { spawn().unwrap().get_token_blocking() }).await.unwrap() };
        runtime.block_on(local.run_until(task))
    });
    assert_eq!(token.unwrap().secret().expose(), "eyJ…");
}
