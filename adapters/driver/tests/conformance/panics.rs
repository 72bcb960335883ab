//! Refreshers and wakers that panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake};

use acs_common_driver::{Builder, Error, FailureCause, FailureKind, RefresherError, RefresherPanicked};

use super::calls::{cause, quick};
use super::hostile::{Counting, waits};
use super::{Calls, HOUR, good, lasting, millis, rt};

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

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics (on purpose)");
    }
}

#[test]
fn a_waker_that_panics_does_not_stop_the_other_requests() {
    rt::run(async {
        let (credential, driver) = Builder::new(rt::Clock::default(), good(&Calls::default(), HOUR)).build().unwrap();
        let mut first = Box::pin(credential.get_token());
        assert!(waits(first.as_mut(), &Arc::new(Panicking).into()));
        let woken = Arc::new(Counting::default());
        let mut second = Box::pin(credential.get_token());
        assert!(waits(second.as_mut(), &woken.clone().into()));
        credential.dispose();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert!(matches!(second.await, Err(Error::Disposed)));
        drop(driver);
    });
}

/// Fails when the panic reaches the code that wakes: here the driver, which would end.
#[test]
fn a_waker_that_panics_does_not_end_the_driver() {
    rt::run(async {
        let credential = rt::Credential::with_refresher(good(&Calls::default(), millis(10))).spawn().unwrap();
        let mut asking = Box::pin(credential.get_token());
        assert!(waits(asking.as_mut(), &Arc::new(Panicking).into()));
        rt::sleep(millis(50)).await;
        let held = asking.await.unwrap();
        credential.reject(&held);
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "r2");
    });
}
