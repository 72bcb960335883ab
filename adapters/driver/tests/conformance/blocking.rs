//! Calls that block a thread, and calls that would wait for themselves.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use acs_common_driver::{Builder, Error, FailureCause, Policy, RefresherError, Token};

use super::{Calls, HOUR, good, lasting, millis, rt};

/// Fails when the call waits for a driver that nothing polls, or when a time limit is ignored or ends the refresh.
#[test]
fn a_call_does_not_wait_for_a_driver_that_nothing_polls() {
    rt::run_with_threads(|| {
        let calls = Calls::default();
        let (credential, driver) = Builder::new(rt::Clock::default(), good(&calls, millis(1))).build().unwrap();
        let started = Instant::now();
        let answer = credential.get_token_blocking_for(millis(50));
        assert!(matches!(answer, Err(Error::WaitTimedOut { limit }) if limit == millis(50)), "{answer:?}");
        assert!(started.elapsed() < millis(900));
        let answer = credential.get_token_blocking();
        assert!(matches!(answer, Err(Error::DriverStalled)), "{answer:?}");
        assert!(started.elapsed() >= millis(1_000));
        rt::spawn(driver);
        assert_eq!(credential.get_token_blocking().unwrap().secret().expose(), "r1");
        assert_eq!(calls.started(), 1);
    });
}

type Ask = fn(&rt::Credential) -> Result<Token, Error>;

/// Asks a credential inside its own refresher. `held`: the credential holds a token.
async fn asked_by_its_refresher(ask: Ask, held: bool) -> Result<Token, Error> {
    let own = Arc::new(OnceLock::<rt::Credential>::new());
    let answer = Arc::new(OnceLock::new());
    let (handle, answered) = (Arc::clone(&own), Arc::clone(&answer));
    let refresher = move || {
        let (handle, answered) = (Arc::clone(&handle), Arc::clone(&answered));
        async move {
            let answer = ask(handle.get().expect("it is set before the driver runs"));
            answered.get_or_init(|| answer.clone());
            answer.map_err(RefresherError::from).map(|_| lasting("r1", HOUR))
        }
    };
    let policy = Policy::builder().refresh_proactively(true).min_refresh_interval(millis(10)).build().unwrap();
    let mut builder = Builder::new(rt::Clock::default(), refresher).policy(policy);
    if held {
        builder = builder.initial_token(lasting("initial", millis(1_000)));
    }
    let (credential, driver) = builder.build().unwrap();
    own.set(credential.clone()).unwrap();
    rt::spawn(driver);
    if !held {
        let error = credential.get_token().await.unwrap_err();
        let Error::RefreshFailed { cause: FailureCause::Refresher(reported), .. } = error else { panic!() };
        assert!(matches!(reported.get_ref().downcast_ref(), Some(Error::CalledFromRefresher)));
    }
    for _ in 0..1_000 {
        if answer.get().is_some() {
            break;
        }
        rt::sleep(millis(5)).await;
    }
    credential.dispose();
    answer.get().expect("the refresher was called").clone()
}

/// Fails when the mark is not set for a poll, or only at the start of the call.
#[test]
fn a_refresher_does_not_wait_for_itself() {
    let ways: [Ask; 3] = [
        |credential| credential.get_token_blocking(),
        |credential| credential.get_token_blocking_for(HOUR),
        // It is ready at the first poll; otherwise it would wait.
        |credential| futures_lite::future::block_on(credential.get_token()),
    ];
    rt::run(async move {
        for ask in ways {
            let answer = asked_by_its_refresher(ask, false).await;
            assert!(matches!(answer, Err(Error::CalledFromRefresher)), "{answer:?}");
            assert_eq!(asked_by_its_refresher(ask, true).await.unwrap().secret().expose(), "initial");
        }
    });
}
