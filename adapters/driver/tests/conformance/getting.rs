//! Requests for tokens: at once, at the same time, ahead of time.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use acs_common_driver::{Builder, Clock, Error, FailureKind, Now, Policy, RefresherError, UnixTime};

use super::{Calls, HOUR, good, lasting, millis, rt};

#[test]
fn a_credential_is_send_and_sync_and_so_are_its_futures() {
    fn check<T: Send + Sync>(_: &T) {}
    rt::run(async {
        let credential = rt::Credential::with_static_token("static").unwrap();
        check(&credential);
        check(&credential.get_token());
        check(&credential.notices());
    });
}

#[test]
fn a_valid_token_is_ready_at_the_first_poll() {
    rt::run(async {
        let calls = Calls::default();
        let credential = rt::Credential::with_refresher(good(&calls, millis(1)))
            .initial_token(lasting("initial", HOUR))
            .spawn()
            .unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(token)) = pin!(credential.get_token()).poll(&mut context) else {
            panic!("the request waits")
        };
        assert_eq!(token.secret().expose(), "initial");
        assert_eq!(calls.started(), 0);
    });
}

#[test]
fn fifty_callers_without_a_token_share_one_refresh() {
    rt::run(async {
        let calls = Calls::default();
        let credential = rt::Credential::with_refresher(good(&calls, millis(20))).spawn().unwrap();
        let mut waiting: Vec<_> = (0..50).map(|_| Box::pin(credential.get_token())).collect();
        for request in &mut waiting {
            assert!(poll_fn(|context| Poll::Ready(request.as_mut().poll(context).is_pending())).await);
        }
        let first = credential.get_token().await.unwrap();
        for request in waiting {
            assert!(request.await.unwrap().ptr_eq(&first));
        }
        assert_eq!(calls.started(), 1);
    });
}

#[test]
fn a_refresher_may_return_a_string_an_expiry_or_a_lifetime() {
    rt::run(async {
        let string = rt::Credential::with_refresher(|| async { Ok::<_, std::io::Error>("opaque".to_owned()) });
        assert!(string.spawn().unwrap().get_token().await.unwrap().is_opaque());

        let expiry = UnixTime::from_secs(32_503_680_000);
        let explicit = move || async move {
            Ok::<_, RefresherError>(acs_common_driver::NewToken::new("opaque").with_expires_on(expiry))
        };
        let token = rt::Credential::with_refresher(explicit).spawn().unwrap().get_token().await.unwrap();
        assert_eq!((token.expires_on(), token.is_opaque()), (expiry, false));

        let lifetime = || async { Ok::<_, RefresherError>(lasting("opaque", HOUR)) };
        let token = rt::Credential::with_refresher(lifetime).spawn().unwrap().get_token().await.unwrap();
        assert!(!token.is_opaque());
    });
}

#[test]
fn a_cancelled_first_request_does_not_cancel_the_refresh() {
    rt::run(async {
        let calls = Calls::default();
        let credential = rt::Credential::with_refresher(good(&calls, millis(30))).spawn().unwrap();
        let mut leader = Box::pin(credential.get_token());
        assert!(poll_fn(|context| Poll::Ready(leader.as_mut().poll(context).is_pending())).await);
        let follower = credential.get_token();
        drop(leader);
        assert_eq!(follower.await.unwrap().secret().expose(), "r1");

        // If all requests are cancelled, the token is kept for the next one.
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "r1");
        assert_eq!(calls.started(), 1);
    });
}

#[test]
fn a_token_that_no_request_waits_for_is_kept() {
    rt::run(async {
        let calls = Calls::default();
        let credential = rt::Credential::with_refresher(good(&calls, millis(10))).spawn().unwrap();
        let mut request = Box::pin(credential.get_token());
        assert!(poll_fn(|context| Poll::Ready(request.as_mut().poll(context).is_pending())).await);
        drop(request);
        rt::sleep(millis(60)).await;
        assert_eq!(credential.try_token().unwrap().unwrap().secret().expose(), "r1");
    });
}

#[test]
fn renewing_ahead_of_time_keeps_every_caller_from_waiting() {
    rt::run(async {
        let calls = Calls::default();
        let counted = calls.clone();
        let refresher = move || {
            let call = counted.begin();
            async move {
                rt::sleep(millis(20)).await;
                Ok::<_, RefresherError>(lasting(format!("r{}", call.number), millis(600)))
            }
        };
        let policy = Policy::builder()
            .refresh_proactively(true)
            .refresh_window(millis(400))
            .min_refresh_interval(millis(10))
            .build()
            .unwrap();
        let credential = rt::Credential::with_refresher(refresher).policy(policy).spawn().unwrap();
        credential.get_token().await.unwrap();
        for _ in 0..60 {
            rt::sleep(millis(20)).await;
            assert!(credential.try_token().unwrap().is_some(), "a caller would wait");
        }
        // 1.2 s in half-lives of 0.3 s: 4 or 5 refreshes, fewer on a busy machine.
        let started = calls.started();
        assert!((2..=6).contains(&started), "{started} refreshes");
    });
}

#[test]
fn without_a_timer_a_token_near_its_expiry_is_renewed_in_the_background() {
    rt::run(async {
        let calls = Calls::default();
        let policy = Policy::builder().background_window(HOUR).build().unwrap();
        let credential = rt::Credential::with_refresher(good(&calls, millis(10)))
            .policy(policy)
            .initial_token(lasting("initial", millis(4_000)))
            .spawn()
            .unwrap();
        rt::sleep(millis(2_100)).await;
        assert_eq!(calls.started(), 0, "there is no request");
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "initial");
        rt::sleep(millis(100)).await;
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "r1");
        assert_eq!(calls.started(), 1);
    });
}

#[test]
fn trying_without_waiting_starts_a_refresh_and_finds_its_answer_later() {
    rt::run(async {
        let calls = Calls::default();
        let credential = rt::Credential::with_refresher(good(&calls, millis(10))).spawn().unwrap();
        assert!(credential.try_token().unwrap().is_none());
        assert!(credential.try_token().unwrap().is_none());
        rt::sleep(millis(60)).await;
        assert_eq!(credential.try_token().unwrap().unwrap().secret().expose(), "r1");
        assert_eq!(calls.started(), 1);
    });
}

#[test]
fn a_rejected_token_is_never_returned_again() {
    rt::run(async {
        let calls = Calls::default();
        let policy = Policy::builder().min_refresh_interval(millis(5)).build().unwrap();
        let credential = rt::Credential::with_refresher(good(&calls, millis(1))).policy(policy).spawn().unwrap();
        let refused = credential.get_token().await.unwrap();
        credential.reject(&refused);
        credential.clone().reject(&refused);
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "r2");
        credential.reject(&refused);
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "r2", "another token is held");
        assert_eq!(calls.started(), 2);
    });
}

#[test]
fn after_a_failure_the_same_error_is_the_answer_until_trying_makes_sense() {
    rt::run(async {
        let calls = Calls::default();
        let counted = calls.clone();
        let refresher = move || {
            let call = counted.begin();
            async move { if call.number == 1 { Err(RefresherError::new("issuer down")) } else { Ok(lasting("r2", HOUR)) } }
        };
        let policy = Policy::builder().min_refresh_interval(millis(1)).build().unwrap();
        let credential = rt::Credential::with_refresher(refresher).policy(policy).spawn().unwrap();
        for _ in 0..3 {
            let Err(Error::RefreshFailed { cause, retry_in, .. }) = credential.get_token().await else { panic!() };
            assert_eq!((cause.kind(), calls.started()), (FailureKind::RefresherFailed, 1));
            assert!(retry_in.is_some_and(|backoff| backoff > Duration::ZERO && backoff <= millis(1_000)));
            assert!(credential.try_token().is_err());
        }
        rt::sleep(millis(5)).await;
        credential.retry_now();
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "r2");
    });
}

/// The runtime's clock, with a wall clock that the test can set.
#[derive(Default)]
struct Settable<C> {
    clock: C,
    ahead: Arc<AtomicI64>,
}

impl<C: Clock> Clock for Settable<C> {
    type Sleep = C::Sleep;

    fn now(&self) -> Now {
        let now = self.clock.now();
        Now::new(now.monotonic, UnixTime::from_millis(now.unix.as_millis() + self.ahead.load(Ordering::SeqCst)))
    }

    fn sleep(&self, duration: Duration) -> C::Sleep {
        assert!(duration <= Duration::from_secs(60), "the driver would not see a change of the wall clock");
        self.clock.sleep(duration)
    }
}

#[test]
fn a_token_expired_by_the_wall_clock_is_not_returned_and_an_answer_in_time_is_at_once() {
    rt::run(async {
        let calls = Calls::default();
        let clock = Settable::<rt::Clock>::default();
        let ahead = Arc::clone(&clock.ahead);
        let (credential, driver) = Builder::new(clock, good(&calls, millis(1)))
            .initial_token(lasting("initial", HOUR))
            .refresh_proactively(true)
            .build()
            .unwrap();
        rt::spawn(driver);
        rt::sleep(millis(20)).await;
        ahead.store(86_400_000, Ordering::SeqCst);
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "r1");
        ahead.store(-86_400_000, Ordering::SeqCst);
        assert_eq!(
            credential.get_token().await.unwrap().secret().expose(),
            "r1",
            "setting the clock back has no effect"
        );
    });
}

/// Fails when a request is not withdrawn when its future is dropped.
#[test]
fn a_request_cancelled_in_the_minimum_interval_starts_no_refresh() {
    rt::run(async {
        let calls = Calls::default();
        let policy = Policy::builder().min_refresh_interval(millis(100)).build().unwrap();
        let credential = rt::Credential::with_refresher(good(&calls, millis(1))).policy(policy).spawn().unwrap();
        let refused = credential.get_token().await.unwrap();
        credential.reject(&refused);
        let mut request = Box::pin(credential.get_token());
        assert!(poll_fn(|context| Poll::Ready(request.as_mut().poll(context).is_pending())).await);
        drop(request);
        rt::sleep(millis(200)).await;
        assert_eq!(calls.started(), 1);
    });
}

/// Fails when one of them shows nothing, or shows the initial token.
#[test]
fn debug_of_a_credential_and_its_parts_shows_no_secret() {
    rt::run(async {
        let builder = Builder::new(rt::Clock::default(), good(&Calls::default(), HOUR)).initial_token("canary");
        let builder = builder.refresh_proactively(true).named("chat");
        let mut shown = vec![format!("{builder:?}")];
        assert!(shown[0].contains("proactive: Some(true)"), "{}", shown[0]);
        let (credential, driver) = builder.build().unwrap();
        shown.push(format!("{driver:?} {:?} {:?}", credential.get_token(), credential.notices()));
        assert_eq!(
            shown[1],
            "Driver { calling: false, .. } GetToken { waiting: false, .. } \
             Notices { name: Some(\"chat\"), missed: 0, .. }"
        );
        shown.push(format!("{credential:?}"));
        let (head, tail) =
            ("CommunicationTokenCredential { name: Some(\"chat\"), token: ", ", refresh: Idle, last_failure: None }");
        assert!(
            shown[2].starts_with(&format!("{head}Fresh {{ expires_on: 2")) && shown[2].ends_with(tail),
            "{}",
            shown[2]
        );
        credential.dispose();
        assert_eq!(format!("{credential:?}"), format!("{head}None, refresh: Disposed, last_failure: None }}"));
        assert!(!shown.concat().contains("canary"), "{shown:?}");
    });
}
