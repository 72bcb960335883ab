//! What only tokio can get wrong.

use std::time::Duration;

use acs_common_tokio::entra::{EntraOptions, EntraTokenRequest};
use acs_common_tokio::{BuildError, CommunicationTokenCredential, Error, ReqwestClient};

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
    let refused = builder.spawn().unwrap_err();
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
    runtime.shutdown_timeout(Duration::from_millis(50));
    assert!(matches!(waiting.join().unwrap(), Err(Error::DriverStopped)));
}

/// Fails, where the test would hang.
fn soon<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(wait()));
    waiting.recv_timeout(Duration::from_secs(20)).expect("it panicked, or hangs")
}

/// Takes a while, on the runtime's timer.
fn slow() -> CommunicationTokenCredential {
    let refresher = || async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok::<_, std::io::Error>("eyJ…")
    };
    CommunicationTokenCredential::with_refresher(refresher).refresh_proactively(true).spawn().unwrap()
}

/// Fails when a driver that its caller keeps from running is waited for: one that has not run yet, and one that is asleep.
#[test]
fn a_task_that_blocks_the_only_thread_is_told_so() {
    for wait in [0, 50] {
        let answer = soon(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let credential = slow();
                if wait > 0 {
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                }
                let blocked = credential.get_token_blocking();
                assert!(matches!(blocked, Err(Error::DriverStalled)), "{blocked:?}");
                tokio::task::spawn_blocking(move || credential.get_token_blocking()).await.unwrap()
            })
        });
        assert_eq!(answer.unwrap().secret().expose(), "eyJ…");
    }
}

/// A worker keeps to itself what it is to run next, which is often the driver. Fails when that is waited for without end.
#[test]
fn a_worker_that_blocks_gets_the_token_or_is_told_so() {
    for workers in [1, 4] {
        let answer = soon(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_time().build();
            let task = async { spawn().unwrap().get_token_blocking() };
            runtime.unwrap().block_on(async { tokio::spawn(task).await.unwrap() })
        });
        assert!(matches!(answer, Ok(_) | Err(Error::DriverStalled)), "{answer:?}");
    }
}

/// Neither is a worker: those are free to run the driver.
#[test]
fn the_thread_of_block_on_and_a_local_set_may_block_where_there_are_workers() {
    let token = soon(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        runtime.block_on(async { slow().get_token_blocking() }).unwrap();
        let local = tokio::task::LocalSet::new();
        let task = async { tokio::task::spawn_local(async { slow().get_token_blocking() }).await.unwrap() };
        runtime.block_on(local.run_until(task))
    });
    assert_eq!(token.unwrap().secret().expose(), "eyJ…");
}
