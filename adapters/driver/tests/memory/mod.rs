//! Thousands of credentials and requests leave nothing in memory. Each adapter's tests include this in a separate binary,
//! because it counts every byte of the process.

use std::alloc::System;
use std::time::{Duration, Instant};

use acs_common_driver::{NewToken, Notice, Policy, RefresherError};
use cap::Cap;

use super::rt;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

const MANY: usize = 1_000;
const MINUTE: Duration = Duration::from_secs(60);
/// The runtime's queues may keep less than eight bytes for each.
const SLACK: usize = 8_000;

/// Makes a credential, uses it in every way, and drops it: with an armed timer, a refresh in flight and a listener.
async fn live_and_die(number: usize) {
    let mut calls = 0;
    let refresher = move || {
        calls += 1;
        async move {
            match calls {
                1 => Ok(NewToken::new("a-token").with_expires_in(Duration::from_secs(3_600))),
                2 => Err(RefresherError::new("issuer down")),
                _ => std::future::pending().await,
            }
        }
    };
    // After the failure there is a backoff until `retry_now`.
    let policy =
        Policy::builder().min_refresh_interval(Duration::ZERO).retry_initial(MINUTE).request_backoff_max(MINUTE);
    let builder = rt::Credential::with_refresher(refresher).policy(policy.build().expect("a policy"));
    let credential = builder.refresh_proactively(true).spawn().expect("a runtime");
    let mut notices = credential.notices();
    let token = credential.get_token().await.expect("the first call's token");
    credential.reject(&token);
    credential.get_token().await.expect_err("the second call fails");
    while !matches!(notices.next().await, Some(Notice::RefreshFailed { .. }) | None) {}
    credential.retry_now();
    let waiting = futures_lite::future::poll_once(credential.get_token());
    assert!(waiting.await.is_none());
    if number.is_multiple_of(2) {
        credential.dispose();
    }
}

/// Runs it a thousand times, after some runs that make the runtime's queues, wheels and threads grow.
async fn leaves_nothing(what: &str, mut life: impl AsyncFnMut(usize)) {
    for number in 0..MANY / 4 {
        life(number).await;
    }
    // Wait for the background tasks to end.
    rt::sleep(Duration::from_millis(200)).await;
    let before = MEMORY.allocated();
    for number in 0..MANY {
        life(number).await;
    }
    let waited = Instant::now();
    while MEMORY.allocated() > before + SLACK {
        let left = MEMORY.allocated() - before;
        assert!(waited.elapsed() < Duration::from_secs(30), "{left} bytes are left of {MANY} {what}");
        rt::sleep(Duration::from_millis(5)).await;
    }
    println!("{MANY} {what}: {before} bytes before, {} after", MEMORY.allocated());
}

pub(crate) async fn nothing_is_left() {
    leaves_nothing("credentials", live_and_die).await;

    let refresher = || std::future::pending::<Result<String, RefresherError>>();
    let credential = rt::Credential::with_refresher(refresher).spawn().expect("a runtime");
    leaves_nothing("cancelled requests", async |_| {
        let waiting = futures_lite::future::poll_once(credential.get_token());
        assert!(waiting.await.is_none());
    })
    .await;
}
