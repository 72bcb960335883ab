//! Failures that are possible only on tokio.

use std::time::Duration;

use acs_common_tokio::entra::{EntraOptions, EntraTokenRequest, HttpRequest, HttpResponse};
use acs_common_tokio::{BuildError, CommunicationTokenCredential, Error};

fn spawn() -> Result<CommunicationTokenCredential, BuildError> {
    CommunicationTokenCredential::with_refresher(|| async { Ok::<_, std::io::Error>("eyJhbGci") }).spawn()
}

#[test]
fn spawning_outside_a_runtime_is_an_error() {
    assert!(spawn().unwrap_err().to_string().contains("call `spawn` inside a tokio runtime"));
}

/// Fails when the builder of an Entra user's credential ignores the error of spawning its driver.
#[test]
fn spawning_an_entra_users_credential_outside_a_runtime_is_an_error_too() {
    let source = |_: EntraTokenRequest| async { Ok::<_, std::io::Error>("eyJhbGci") };
    let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap();
    let client = |_: HttpRequest| async { Err::<HttpResponse, _>(std::io::Error::other("not sent")) };
    let builder = CommunicationTokenCredential::with_entra(options, source, client);
    let refused = builder.spawn().unwrap_err();
    assert!(refused.to_string().contains("call `spawn` inside a tokio runtime"), "{refused}");
}

/// Fails when `spawn` panics, or starts a driver although the initial token is invalid.
#[test]
fn spawning_refuses_an_invalid_initial_token_too() {
    let refresher = || async { Ok::<_, std::io::Error>("eyJhbGci") };
    let builder = CommunicationTokenCredential::with_refresher(refresher).initial_token(" ");
    let refused = builder.spawn().unwrap_err();
    assert!(refused.to_string().starts_with("initial token: the token is empty or blank"), "{refused}");
}

/// Fails when a driver that panics without a timer leaves its callers waiting.
#[test]
fn a_runtime_without_a_timer_ends_the_driver_and_every_request_fails() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refresher = || std::future::pending::<Result<String, std::io::Error>>();
    let answer = runtime.block_on(async {
        let credential = CommunicationTokenCredential::with_refresher(refresher).spawn().unwrap();
        credential.get_token().await
    });
    assert!(matches!(answer, Err(Error::DriverStopped)), "{answer:?}");
}

#[test]
fn when_the_runtime_shuts_down_every_request_fails() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let refresher = || std::future::pending::<Result<String, std::io::Error>>();
    let credential =
        runtime.block_on(async { CommunicationTokenCredential::with_refresher(refresher).spawn() }).unwrap();
    let waiting = std::thread::spawn(move || credential.get_token_blocking());
    runtime.shutdown_timeout(Duration::from_millis(50));
    assert!(matches!(waiting.join().unwrap(), Err(Error::DriverStopped)));
}

/// Fails if `wait` hangs.
fn soon<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(wait()));
    waiting.recv_timeout(Duration::from_secs(20)).expect("it panicked or hangs")
}

/// A credential whose refresh takes 200 ms on the runtime's timer.
fn slow() -> CommunicationTokenCredential {
    let refresher = || async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok::<_, std::io::Error>("eyJhbGci")
    };
    CommunicationTokenCredential::with_refresher(refresher).refresh_proactively(true).spawn().unwrap()
}

/// Fails when the call waits for a driver that it stops itself: a driver that has not run yet, or one that sleeps.
#[test]
fn a_task_that_blocks_the_only_thread_gets_an_error() {
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
        assert_eq!(answer.unwrap().secret().expose(), "eyJhbGci");
    }
}

/// Only the worker itself can run its next task, which is often the driver. Fails when the call waits indefinitely for it.
#[test]
fn a_worker_that_blocks_gets_the_token_or_an_error() {
    for workers in [1, 4] {
        let answer = soon(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_time().build();
            let task = async { spawn().unwrap().get_token_blocking() };
            runtime.unwrap().block_on(async { tokio::spawn(task).await.unwrap() })
        });
        assert!(matches!(answer, Ok(_) | Err(Error::DriverStalled)), "{answer:?}");
    }
}

/// Neither is a worker thread, so the workers can run the driver.
#[test]
fn the_thread_of_block_on_and_a_local_set_may_block_where_there_are_workers() {
    let token = soon(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        runtime.block_on(async { slow().get_token_blocking() }).unwrap();
        let local = tokio::task::LocalSet::new();
        let task = async { tokio::task::spawn_local(async { slow().get_token_blocking() }).await.unwrap() };
        runtime.block_on(local.run_until(task))
    });
    assert_eq!(token.unwrap().secret().expose(), "eyJhbGci");
}
