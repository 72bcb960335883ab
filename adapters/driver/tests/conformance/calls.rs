//! Refreshers that misbehave leave no request without an answer.

use std::sync::Arc;
use std::task::Poll;

use acs_common_driver::{Error, FailureCause, FailureKind, Policy, RefresherError};

use super::{Calls, Dropped, HOUR, lasting, millis, rt};

pub(super) fn quick() -> Policy {
    let policy =
        Policy::builder().min_refresh_interval(millis(1)).retry_initial(millis(1)).request_backoff_max(millis(1));
    policy.jitter(0.0).refresh_timeout(millis(50)).build().unwrap()
}

pub(super) fn cause(answer: Result<acs_common_driver::Token, Error>) -> FailureCause {
    match answer {
        Err(Error::RefreshFailed { cause, .. }) => cause,
        other => panic!("not a failed refresh: {other:?}"),
    }
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
            async move { Ok::<_, RefresherError>(lasting(if seen == Some(false) { "none-yet" } else { "wrong" }, HOUR)) }
        };
        let credential = rt::Credential::with_refresher(refresher).spawn().unwrap();
        handle.set(credential.clone()).unwrap();
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "none-yet");
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
