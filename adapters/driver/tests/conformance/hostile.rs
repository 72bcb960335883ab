//! Wakers, errors and futures that are not as kind as usual.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use acs_common_driver::{Builder, Error, Policy, RefresherError};

use super::{Calls, HOUR, good, lasting, millis, rt};

/// Counts how often it is called.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once; whether that is not enough.
fn waits<F: Future>(future: std::pin::Pin<&mut F>, waker: &Waker) -> bool {
    future.poll(&mut Context::from_waker(waker)).is_pending()
}

#[test]
fn an_answer_fetched_late_is_not_a_token_that_died_meanwhile() {
    rt::run(async {
        let calls = Calls::default();
        let counted = calls.clone();
        let refresher = move || {
            let call = counted.begin();
            async move { Ok::<_, RefresherError>(lasting(format!("r{}", call.number), millis(300))) }
        };
        let policy = Policy::builder().min_refresh_interval(millis(1)).build().unwrap();
        let credential = rt::Credential::with_refresher(refresher).policy(policy).spawn().unwrap();
        let woken = Arc::new(Counting::default());
        let mut late = pin!(credential.get_token());
        assert!(waits(late.as_mut(), &woken.clone().into()));
        rt::sleep(millis(400)).await;
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "the answer has been there");
        assert_eq!(late.await.unwrap().secret().expose(), "r2");
    });
}

#[test]
fn an_answer_fetched_after_dispose_is_no_token() {
    rt::run(async {
        let credential = rt::Credential::with_refresher(good(&Calls::default(), millis(1))).spawn().unwrap();
        let mut late = pin!(credential.get_token());
        assert!(waits(late.as_mut(), Waker::noop()));
        rt::sleep(millis(30)).await;
        credential.dispose();
        assert!(matches!(late.await, Err(Error::Disposed)));
    });
}

#[test]
fn a_valid_token_that_is_due_wakes_nobody_either() {
    rt::run(async {
        let policy = Policy::builder().background_window(HOUR).build().unwrap();
        let builder = rt::Credential::with_refresher(good(&Calls::default(), HOUR)).policy(policy);
        let credential = builder.initial_token(lasting("initial", millis(1_000))).spawn().unwrap();
        rt::sleep(millis(600)).await;
        let woken = Arc::new(Counting::default());
        for _ in 0..10 {
            assert!(!waits(pin!(credential.get_token()), &woken.clone().into()));
        }
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_driver_that_is_gone_is_not_taken_for_a_slow_network() {
    rt::run(async {
        let policy = Policy::builder().refresh_timeout(millis(20)).min_refresh_interval(millis(1)).build().unwrap();
        let builder = Builder::new(rt::Clock::default(), good(&Calls::default(), HOUR)).policy(policy);
        let (credential, driver) = builder.build().unwrap();
        drop(driver);
        for _ in 0..5 {
            assert!(matches!(credential.get_token().await, Err(Error::DriverStopped)));
            assert!(matches!(credential.try_token(), Err(Error::DriverStopped)));
            rt::sleep(millis(15)).await;
        }
    });
}

/// Owns a handle, as a task's waker does whose task owns one.
struct Owning(#[expect(dead_code, reason = "owned, no more")] rt::Credential);

impl Wake for Owning {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_that_owns_the_last_handle_may_be_dropped_with_the_driver() {
    rt::run(async {
        let (credential, driver) = Builder::new(rt::Clock::default(), good(&Calls::default(), HOUR)).build().unwrap();
        let mut driver = Box::pin(driver);
        let waker: Waker = Arc::new(Owning(credential)).into();
        assert!(waits(driver.as_mut(), &waker));
        drop(waker);
        drop(driver);
    });
}

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics (on purpose)");
    }
}

#[test]
fn a_waker_that_panics_strands_nobody_else() {
    rt::run(async {
        let (credential, driver) = Builder::new(rt::Clock::default(), good(&Calls::default(), HOUR)).build().unwrap();
        let mut first = Box::pin(credential.get_token());
        assert!(waits(first.as_mut(), &Arc::new(Panicking).into()));
        let woken = Arc::new(Counting::default());
        let mut second = Box::pin(credential.get_token());
        assert!(waits(second.as_mut(), &woken.clone().into()));
        let disposed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| credential.dispose()));
        assert!(disposed.is_err(), "whose fault it was is not hidden");
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert!(matches!(second.await, Err(Error::Disposed)));
        drop(driver);
    });
}

/// Asks for a token when dropped.
#[derive(Debug, thiserror::Error)]
#[error("issuer down")]
struct CallsBack(rt::Credential);

impl Drop for CallsBack {
    fn drop(&mut self) {
        let _ = self.0.try_token();
    }
}

#[test]
fn an_error_that_calls_back_when_dropped_finds_no_lock_held() {
    rt::run(async {
        let handle = Arc::new(Mutex::new(None::<rt::Credential>));
        let own = Arc::clone(&handle);
        let refresher = move || {
            let credential = own.lock().unwrap().clone().unwrap();
            async move { Err::<String, _>(CallsBack(credential)) }
        };
        let policy = Policy::builder().min_refresh_interval(millis(1)).request_rest_max(millis(1)).build().unwrap();
        let (credential, driver) = Builder::new(rt::Clock::default(), refresher).policy(policy).build().unwrap();
        *handle.lock().unwrap() = Some(credential.clone());
        rt::spawn(driver);
        for _ in 0..80 {
            credential.get_token().await.unwrap_err();
            rt::sleep(millis(2)).await;
        }
        credential.dispose();
        handle.lock().unwrap().take();
    });
}

#[test]
fn a_finished_driver_may_be_polled_to_its_end_by_hand() {
    rt::run(async {
        let (credential, driver) =
            Builder::new(rt::Clock::default(), good(&Calls::default(), millis(1))).build().unwrap();
        let mut driver = Box::pin(driver);
        drop(credential);
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(driver.as_mut().poll(&mut context), Poll::Ready(())));
    });
}
