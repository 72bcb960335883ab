//! Refreshers that misbehave leave no request without an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use acs_common_driver::{Error, FailureCause, FailureKind, Policy, RefresherError, RefresherPanicked};

use super::{Calls, Dropped, HOUR, lasting, millis, rt};

fn quick() -> Policy {
    let policy =
        Policy::builder().min_refresh_interval(millis(1)).retry_initial(millis(1)).request_backoff_max(millis(1));
    policy.refresh_timeout(millis(50)).build().unwrap()
}

fn cause(answer: Result<acs_common_driver::Token, Error>) -> FailureCause {
    match answer {
        Err(Error::RefreshFailed { cause, .. }) => cause,
        other => panic!("not a failed refresh: {other:?}"),
    }
}

#[test]
fn a_refresher_that_panics_is_a_failure_and_the_next_call_works() {
    /// Panics at its first call, in the first poll of the second, and when dropped after the third.
    fn misbehave(call: usize) -> impl Future<Output = Result<acs_common_driver::NewToken, RefresherError>> {
        struct PanicsWhenDropped(bool);
        impl Drop for PanicsWhenDropped {
            fn drop(&mut self) {
                assert!(!self.0, "a panic when dropped (on purpose)");
            }
        }
        assert!(call != 1, "a panic in the call (on purpose)");
        async move {
            let guard = PanicsWhenDropped(call == 3);
            if call == 3 {
                // Never returns: the timeout drops it.
                std::future::poll_fn(|_| Poll::<()>::Pending).await;
            }
            drop(guard);
            assert!(call != 2, "a panic in a poll (on purpose)");
            Ok(lasting(format!("r{call}"), HOUR))
        }
    }
    rt::run(async {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let refresher = move || misbehave(counted.fetch_add(1, Ordering::SeqCst) + 1);
        let credential = rt::Credential::with_refresher(refresher).policy(quick()).spawn().unwrap();
        for _ in 1..=2 {
            let error = cause(credential.get_token().await);
            let FailureCause::Refresher(reported) = &error else { panic!("{error}") };
            assert!(reported.get_ref().is::<RefresherPanicked>(), "{error}");
            assert!(!error.to_string().contains("on purpose"), "a panic's message might hold a secret");
            rt::sleep(millis(10)).await;
        }
        assert_eq!(cause(credential.get_token().await).kind(), FailureKind::TimedOut);
        rt::sleep(millis(10)).await;
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "r4");
    });
}

#[test]
fn a_refresher_that_hangs_times_out_and_its_future_is_dropped() {
    rt::run(async {
        let calls = Calls::default();
        let counted = calls.clone();
        let refresher = move || {
            let call = counted.begin();
            async move {
                let call = call;
                std::future::poll_fn(|_| Poll::<()>::Pending).await;
                Ok::<_, RefresherError>(format!("{}", call.number))
            }
        };
        let credential = rt::Credential::with_refresher(refresher).policy(quick()).spawn().unwrap();
        assert_eq!(cause(credential.get_token().await).kind(), FailureKind::TimedOut);
        rt::sleep(millis(5)).await;
        assert_eq!((calls.started(), calls.alive()), (1, 0));
    });
}

#[test]
fn a_failed_renewal_never_costs_a_valid_token() {
    rt::run(async {
        let calls = Calls::default();
        let counted = calls.clone();
        let refresher = move || {
            counted.begin();
            async { Err::<String, _>(RefresherError::new("issuer down")) }
        };
        let credential = rt::Credential::with_refresher(refresher)
            .policy(quick())
            .initial_token(lasting("initial", millis(4_000)))
            .refresh_proactively(true)
            .spawn()
            .unwrap();
        // Due after two seconds, or later on a busy machine.
        for _ in 0..350 {
            if calls.started() >= 2 {
                break;
            }
            rt::sleep(millis(10)).await;
        }
        assert!(calls.started() >= 2, "it is tried again");
        for _ in 0..10 {
            assert_eq!(credential.get_token().await.unwrap().secret().expose(), "initial");
        }
        rt::sleep(millis(2_100)).await;
        assert_eq!(cause(credential.get_token().await).kind(), FailureKind::RefresherFailed);
    });
}

#[test]
fn the_details_of_a_refreshers_failure_reach_the_caller() {
    #[derive(Debug, thiserror::Error)]
    #[error("the user signed out")]
    struct SignedOut;

    rt::run(async {
        let refresher = || async { Err::<String, _>(RefresherError::new(SignedOut).permanent()) };
        let credential = rt::Credential::with_refresher(refresher).spawn().unwrap();
        let error = credential.get_token().await.unwrap_err();
        assert_eq!(error.to_string(), "no valid token: the refresher failed: the user signed out");
        let cause = cause(Err(error));
        assert!(cause.is_permanent());
        let FailureCause::Refresher(reported) = cause else { panic!() };
        assert!(reported.get_ref().is::<SignedOut>());
    });
}

#[test]
fn a_refresher_may_use_the_credential_it_serves() {
    rt::run(async {
        let handle = Arc::new(std::sync::OnceLock::<rt::Credential>::new());
        let own = Arc::clone(&handle);
        let refresher = move || {
            // It must not wait for itself, but it may look.
            let seen = own.get().map(|credential| credential.try_token().unwrap().is_some());
            async move { Ok::<_, RefresherError>(lasting(format!("{seen:?}"), HOUR)) }
        };
        let credential = rt::Credential::with_refresher(refresher).spawn().unwrap();
        handle.set(credential.clone()).unwrap();
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "Some(false)");
        credential.dispose();
    });
}

#[test]
fn nothing_of_a_refresh_is_left_once_it_is_answered() {
    rt::run(async {
        let dropped = Dropped::default();
        let guarded = dropped.clone();
        let refresher = move || {
            let guard = guarded.guard();
            async move {
                let _guard = guard;
                Ok::<_, RefresherError>(lasting("r1", HOUR))
            }
        };
        let credential = rt::Credential::with_refresher(refresher).spawn().unwrap();
        credential.get_token().await.unwrap();
        assert!(dropped.soon().await);
    });
}
