//! `replace`: a report of a refused token and a request for another one, in one call.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use acs_common_driver::{Error, FailureKind, Policy, RefresherError, Token};

use super::{Calls, HOUR, good, lasting, millis, rt};

/// No minimum interval, and a first backoff of so many milliseconds.
fn policy(backoff: u64) -> Policy {
    Policy::builder().min_refresh_interval(millis(0)).retry_initial(millis(backoff)).build().unwrap()
}

fn kind(error: &Error) -> FailureKind {
    let Error::RefreshFailed { cause, .. } = error else { panic!("{error}") };
    cause.kind()
}

/// A refresher that takes 20 ms and returns a token with this text, each time.
fn same(calls: &Calls) -> impl FnMut() -> super::Refreshing + Send + use<> {
    let mut refresher = good(calls, millis(20));
    move || {
        let call = refresher();
        Box::pin(async move { call.await.map(|_| lasting("same", HOUR)) })
    }
}

/// Fails when `replace` does not report the token, when it does not share the refresh, or when it returns the refused token.
#[test]
fn many_calls_that_report_one_token_share_one_refresh() {
    rt::run(async {
        let calls = Calls::default();
        let refresher = good(&calls, millis(20));
        let builder = rt::Credential::with_refresher(refresher).policy(policy(1_000));
        let credential = builder.spawn().unwrap();
        let refused = credential.get_token().await.unwrap();
        let mut replacing: Vec<_> = (0..64).map(|_| Box::pin(credential.replace(&refused))).collect();
        for request in &mut replacing {
            assert!(poll_fn(|context| Poll::Ready(request.as_mut().poll(context).is_pending())).await);
        }
        for request in replacing {
            assert_eq!(request.await.unwrap().secret().expose(), "r2");
        }
        // It is not held any more, so the report changes nothing.
        assert_eq!(credential.replace(&refused).await.unwrap().secret().expose(), "r2");
        assert_eq!(calls.started(), 2);
    });
}

/// Fails when a second refusal drops the token, or when `replace` waits instead of telling the failure.
#[test]
fn one_endpoint_that_refuses_every_token_takes_none_from_the_others() {
    rt::run(async {
        let calls = Calls::default();
        let builder = rt::Credential::with_refresher(good(&calls, millis(20))).policy(policy(1_000));
        let credential = builder.spawn().unwrap();
        let first = credential.get_token().await.unwrap();
        let second = credential.replace(&first).await.unwrap();
        for _ in 0..3 {
            let error = credential.replace(&second).await.unwrap_err();
            assert_eq!(kind(&error), FailureKind::Rejected);
            assert!(credential.get_token().await.unwrap().ptr_eq(&second), "others are still given it");
        }
        assert_eq!(calls.started(), 2);
    });
}

/// Fails when requests for another token join the round of ordinary requests, or the other way.
#[test]
fn a_request_for_another_token_waits_while_others_are_served() {
    rt::run(async {
        let calls = Calls::default();
        let builder = rt::Credential::with_refresher(good(&calls, millis(20))).policy(policy(1_000));
        let credential = builder.policy(policy(10)).spawn().unwrap();
        let first = credential.get_token().await.unwrap();
        let second = credential.replace(&first).await.unwrap();
        assert!(credential.replace(&second).await.is_err());
        rt::sleep(millis(15)).await;
        // The backoff is over.
        let (mut one, mut two) = (Box::pin(credential.replace(&second)), Box::pin(credential.replace(&second)));
        for request in [&mut one, &mut two] {
            assert!(poll_fn(|context| Poll::Ready(request.as_mut().poll(context).is_pending())).await);
        }
        assert!(credential.get_token().await.unwrap().ptr_eq(&second));
        drop(one);
        assert_eq!(two.await.unwrap().secret().expose(), "r3");
        assert_eq!(calls.started(), 3);
    });
}

/// Fails when the failure does not name a cache, or when the refused text is returned as another token indefinitely.
#[test]
fn a_refresher_that_returns_the_refused_token_is_told_of_a_cache() {
    rt::run(async {
        let calls = Calls::default();
        let builder = rt::Credential::with_refresher(same(&calls)).policy(policy(1_000));
        let credential = builder.policy(policy(10)).spawn().unwrap();
        let first = credential.get_token().await.unwrap();
        // A refusal can be a mistake, so this text is accepted again, once.
        let second = credential.replace(&first).await.unwrap();
        assert!(!second.ptr_eq(&first));
        let error = credential.replace(&second).await.unwrap_err();
        assert!(error.to_string().contains("is there a cache in between?"), "{error}");
        rt::sleep(millis(15)).await;
        // The answer is the held token, so it is not another one.
        let error = credential.replace(&second).await.unwrap_err();
        assert!(error.to_string().contains("is there a cache in between?"), "{error}");
        assert!(credential.get_token().await.unwrap().ptr_eq(&second));
        assert_eq!(calls.started(), 3);
    });
}

#[test]
fn a_dropped_replace_leaves_the_refresh_to_others() {
    rt::run(async {
        let calls = Calls::default();
        let builder = rt::Credential::with_refresher(good(&calls, millis(20))).policy(policy(1_000));
        let credential = builder.spawn().unwrap();
        let first = credential.get_token().await.unwrap();
        {
            let mut replacing = pin!(credential.replace(&first));
            assert!(replacing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "r2");
        assert_eq!(calls.started(), 2);

        drop(credential.replace(&first));
        credential.dispose();
        assert!(matches!(credential.replace(&first).await, Err(Error::Disposed)));
    });
}

#[test]
fn a_reader_replaces_the_token_that_it_lent() {
    rt::run(async {
        let calls = Calls::default();
        let builder = rt::Credential::with_refresher(good(&calls, millis(1))).policy(policy(1_000));
        let mut reader = builder.spawn().unwrap().reader();
        assert_eq!(reader.replace().await.unwrap().secret().expose(), "r1", "it has lent none so far");
        assert_eq!(reader.replace().await.unwrap().secret().expose(), "r2");
        let refused = reader.replace().await.unwrap_err();
        assert_eq!(kind(&refused), FailureKind::Rejected);
        assert_eq!(reader.token().unwrap().unwrap().secret().expose(), "r2", "it is doubtful, and lent to others");
    });
}

#[test]
fn the_refresher_itself_cannot_wait_for_another_token() {
    rt::run(async {
        let slot = std::sync::Arc::new(std::sync::Mutex::new(None::<(rt::Credential, Token)>));
        let inner = slot.clone();
        let mut calls = 0;
        let refresher = move || {
            let (asking, first) = (inner.lock().unwrap().clone(), calls == 0);
            calls += 1;
            async move {
                match asking {
                    Some((credential, held)) if !first => {
                        let answer = credential.replace(&held).await;
                        assert!(matches!(answer, Err(Error::CalledFromRefresher)));
                        Err(RefresherError::new("asked itself"))
                    }
                    Some(_) | None => Ok(lasting("r1", HOUR)),
                }
            }
        };
        let credential = rt::Credential::with_refresher(refresher).policy(policy(1_000)).spawn().unwrap();
        let held = credential.get_token().await.unwrap();
        *slot.lock().unwrap() = Some((credential.clone(), held.clone()));
        credential.retry_now();
        let error = credential.replace(&held).await.unwrap_err();
        assert_eq!(kind(&error), FailureKind::RefresherFailed);
        slot.lock().unwrap().take();
    });
}
