//! The end of a credential: it is disposed, its handles are dropped, or its driver has ended. And the notices of that.

use acs_common_driver::{Builder, Error, Notice, Policy, RefresherError, Trigger};
use futures_lite::StreamExt as _;

use super::watched::{Present, Watched};
use super::{Calls, Dropped, HOUR, good, lasting, millis, rt};

#[test]
fn disposing_answers_the_waiters_at_once_and_drops_the_refresh() {
    rt::run(async {
        let calls = Calls::default();
        let credential = rt::Credential::with_refresher(good(&calls, HOUR)).spawn().unwrap();
        let waiting = [credential.clone(), credential.clone()].map(|credential| {
            let answer = std::sync::Arc::new(std::sync::Mutex::new(None));
            let told = std::sync::Arc::clone(&answer);
            rt::spawn(async move { *told.lock().unwrap() = Some(credential.get_token().await) });
            answer
        });
        rt::sleep(millis(20)).await;
        assert_eq!(calls.alive(), 1);
        credential.dispose();
        credential.dispose();
        rt::sleep(millis(20)).await;
        for answer in waiting {
            assert!(matches!(*answer.lock().unwrap(), Some(Err(Error::Disposed))));
        }
        assert_eq!(calls.alive(), 0, "the refresh is not dropped");
        assert!(matches!(credential.get_token().await, Err(Error::Disposed)));
        assert!(matches!(credential.try_token(), Err(Error::Disposed)));
    });
}

#[test]
fn a_disposed_credential_forgets_a_static_token_too() {
    rt::run(async {
        let credential = rt::Credential::with_static_token("static").unwrap();
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "static");
        credential.clone().dispose();
        assert!(matches!(credential.get_token().await, Err(Error::Disposed)));
    });
}

#[test]
fn the_last_handle_dropped_ends_the_background_task_and_its_refresh() {
    rt::run(async {
        let (calls, task) = (Calls::default(), Dropped::default());
        let guard = task.guard();
        let mut refresher = good(&calls, HOUR);
        let guarded = move || {
            let _owned_by_the_driver = &guard;
            refresher()
        };
        let credential = rt::Credential::with_refresher(guarded).refresh_proactively(true).spawn().unwrap();
        let notices = credential.notices();
        let clone = credential.clone();
        drop(credential);
        rt::sleep(millis(20)).await;
        assert_eq!(calls.alive(), 1, "one handle is left");
        drop(clone);
        assert!(task.soon().await, "the task did not end");
        assert_eq!(calls.alive(), 0);
        drop(notices);
    });
}

/// Fails when `Owner` does not dispose a credential without handles, or when a driver leaks the shared state.
#[test]
fn the_last_handle_dropped_leaves_neither_a_timer_nor_any_state() {
    rt::run(async {
        let (states, sleeps) = (Present::default(), Present::default());
        let clock = Watched::new(rt::Clock::default(), &states, &sleeps);
        let builder = Builder::new(clock, good(&Calls::default(), millis(1))).refresh_proactively(true);
        let (credential, driver) = builder.build().unwrap();
        rt::spawn(driver);
        credential.get_token().await.unwrap();
        rt::sleep(millis(20)).await;
        assert_eq!((states.count(), sleeps.count()), (1, 1), "it waits for the next renewal");
        drop(credential);
        for _ in 0..200 {
            rt::sleep(millis(5)).await;
            if states.count() == 0 {
                break;
            }
        }
        assert_eq!((states.count(), sleeps.count()), (0, 0));
    });
}

#[test]
fn a_disposed_credential_has_no_background_task() {
    rt::run(async {
        let task = Dropped::default();
        let guard = task.guard();
        let refresher = move || {
            let _owned_by_the_driver = &guard;
            async { Ok::<_, RefresherError>("r1") }
        };
        let credential = rt::Credential::with_refresher(refresher).spawn().unwrap();
        credential.get_token().await.unwrap();
        credential.dispose();
        assert!(task.soon().await);
    });
}

#[test]
fn without_its_driver_a_credential_answers_every_request() {
    rt::run(async {
        let calls = Calls::default();
        let (credential, driver) = Builder::new(rt::Clock::default(), good(&calls, HOUR)).build().unwrap();
        let mut waiting = Box::pin(credential.get_token());
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(waiting.as_mut().poll(context).is_pending())).await
        );
        drop(driver);
        assert!(matches!(waiting.await, Err(Error::DriverStopped)));
        assert!(matches!(credential.get_token().await, Err(Error::DriverStopped)));
        assert!(matches!(credential.try_token(), Err(Error::DriverStopped)));
        credential.dispose();
        assert!(matches!(credential.get_token().await, Err(Error::Disposed)));
    });
}

#[test]
fn without_its_driver_a_valid_token_is_still_served() {
    rt::run(async {
        let calls = Calls::default();
        let builder =
            Builder::new(rt::Clock::default(), good(&calls, HOUR)).initial_token(lasting("initial", millis(2_000)));
        let (credential, driver) = builder.build().unwrap();
        drop(driver);
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "initial");
        rt::sleep(millis(1_200)).await;
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "initial", "due for renewal, but valid");
        rt::sleep(millis(1_000)).await;
        assert!(matches!(credential.get_token().await, Err(Error::DriverStopped)));
    });
}

#[test]
fn notices_tell_of_tokens_and_failures_in_order_and_end() {
    rt::run(async {
        let calls = Calls::default();
        let counted = calls.clone();
        let refresher = move || {
            let call = counted.begin();
            async move {
                match call.number {
                    2 => Err(RefresherError::new("issuer down")),
                    number => Ok(lasting(format!("r{number}"), HOUR)),
                }
            }
        };
        let policy = Policy::builder().min_refresh_interval(millis(1)).request_backoff_max(millis(1)).build().unwrap();
        let credential = rt::Credential::with_refresher(refresher).policy(policy).spawn().unwrap();
        let mut notices = credential.notices();
        let token = credential.get_token().await.unwrap();
        assert!(matches!(notices.next().await, Some(Notice::RefreshStarted { trigger: Trigger::First, .. })));
        assert!(
            matches!(notices.next().await, Some(Notice::TokenChanged { expires_on, .. }) if expires_on == token.expires_on())
        );
        credential.reject(&token);
        rt::sleep(millis(5)).await;
        credential.get_token().await.unwrap_err();
        assert!(matches!(notices.next().await, Some(Notice::RefreshStarted { trigger: Trigger::Rejected, .. })));
        assert!(matches!(notices.next().await, Some(Notice::RefreshFailed { retry_in: Some(_), streak: 1, .. })));
        let mut late = credential.notices();
        credential.dispose();
        assert!(matches!(late.next().await, Some(Notice::Disposed)), "a listener gets only later notices");
        assert!(matches!(notices.next().await, Some(Notice::Disposed)));
        assert!(notices.next().await.is_none() && late.next().await.is_none());
        assert!(credential.notices().next().await.is_none(), "a disposed credential has no notices");
    });
}

/// Fails when the first refresh of a proactive credential starts before somebody can listen, or when an answer with the text of
/// the held token counts as a change.
#[test]
fn a_listener_hears_of_the_first_refresh_and_of_a_token_that_is_kept() {
    rt::run(async {
        let refresher = || async { Ok::<_, RefresherError>(lasting("the-same-each-time", millis(400))) };
        let builder = Builder::new(rt::Clock::default(), refresher).refresh_proactively(true);
        let policy = Policy::builder().refresh_proactively(true).min_refresh_interval(millis(1)).build().unwrap();
        let (credential, driver) = builder.policy(policy).build().unwrap();
        let mut notices = credential.notices();
        rt::spawn(driver);
        let mut tokens = credential.tokens();
        assert!(matches!(notices.next().await, Some(Notice::RefreshStarted { trigger: Trigger::First, .. })));
        assert!(matches!(notices.next().await, Some(Notice::TokenChanged { .. })));
        tokens.next().await.unwrap();
        assert!(matches!(notices.next().await, Some(Notice::RefreshStarted { trigger: Trigger::Renewal, .. })));
        assert!(matches!(notices.next().await, Some(Notice::TokenKept { .. })));
        let again = futures_lite::future::poll_once(tokens.next()).await;
        assert!(again.is_none(), "no token is given twice");
    });
}

#[test]
fn a_listener_gets_the_notice_of_an_expired_token_and_is_woken_for_it() {
    rt::run(async {
        let refresher = || async { Err::<String, _>(RefresherError::new("issuer down")) };
        let credential = rt::Credential::with_refresher(refresher)
            .initial_token(lasting("initial", millis(60)))
            .refresh_proactively(true)
            .spawn()
            .unwrap();
        let mut notices = credential.notices();
        while !matches!(notices.next().await.expect("it expires"), Notice::TokenExpired) {}
    });
}

#[test]
fn a_listener_far_behind_loses_the_oldest_notices_and_counts_them() {
    rt::run(async {
        let policy = Policy::builder().min_refresh_interval(millis(1)).retry_max(millis(0)).retry_initial(millis(0));
        let refresher = || async { Err::<String, _>(RefresherError::new("issuer down")) };
        let builder = rt::Credential::with_refresher(refresher).policy(policy.build().unwrap());
        let credential = builder.spawn().unwrap();
        let (mut notices, leaving) = (credential.notices(), credential.notices());
        for _ in 0..100 {
            credential.get_token().await.unwrap_err();
            rt::sleep(millis(3)).await;
        }
        drop(leaving);
        credential.dispose();
        let mut heard = 0_u64;
        while notices.next().await.is_some() {
            heard += 1;
        }
        assert_eq!((heard, notices.missed()), (64, 137), "of a hundred starts and failures, and the end");
    });
}

#[test]
fn notices_end_with_the_last_handle() {
    rt::run(async {
        let credential = rt::Credential::with_static_token("static").unwrap();
        let mut notices = credential.notices();
        drop(credential);
        assert!(notices.next().await.is_none());
    });
}

/// Fails when the stream ends at once, or differs from `next`.
#[test]
fn notices_are_a_stream_too() {
    rt::run(async {
        let credential = rt::Credential::with_static_token("static").unwrap();
        let notices = credential.notices();
        credential.dispose();
        let heard: Vec<Notice> = notices.collect().await;
        assert!(matches!(heard[..], [Notice::Disposed]), "{heard:?}");
    });
}
