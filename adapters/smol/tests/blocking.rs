//! A task that blocks smol's executor. This is a separate binary because other tests need that executor.

use std::time::Duration;

use acs_common_smol::{CommunicationTokenCredential, Error};

/// Fails when a task that blocks the only thread of the executor waits for a driver that cannot run.
#[test]
fn a_task_that_blocks_the_executor_gets_an_error() {
    let refresher = || async {
        async_io::Timer::after(Duration::from_millis(200)).await;
        Ok::<_, std::io::Error>("eyJhbGci")
    };
    for wait in [0, 50] {
        let credential =
            CommunicationTokenCredential::with_refresher(refresher).refresh_proactively(true).spawn().unwrap();
        let elsewhere = credential.clone();
        let answer = smol::block_on(smol::spawn(async move {
            // After the second wait the driver is asleep, in the middle of a refresh.
            async_io::Timer::after(Duration::from_millis(wait)).await;
            credential.get_token_blocking()
        }));
        assert!(matches!(answer, Err(Error::DriverStalled)), "{answer:?}");
        assert_eq!(
            smol::block_on(smol::unblock(move || elsewhere.get_token_blocking())).unwrap().secret().expose(),
            "eyJhbGci"
        );
    }
}
