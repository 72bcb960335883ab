//! Wakers, listeners and futures that behave in unusual ways.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use acs_common_driver::{Builder, Clock, CommunicationTokenCredential, Error, Notice, Now, Policy, RefresherError};

use super::{Calls, HOUR, good, lasting, millis, result_of, rt};

/// Counts how often it is called.
#[derive(Default)]
pub(super) struct Counting(pub(super) AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once. Returns whether the future is pending.
pub(super) fn waits<F: Future>(future: Pin<&mut F>, waker: &Waker) -> bool {
    future.poll(&mut Context::from_waker(waker)).is_pending()
}

#[test]
fn an_answer_fetched_late_is_not_an_expired_token() {
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
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "the answer is there");
        assert_eq!(late.await.unwrap().secret().expose(), "r2");
    });
}

#[test]
fn an_answer_fetched_after_dispose_is_not_a_token() {
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
fn a_driver_that_has_ended_is_not_taken_for_a_slow_network() {
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

/// Owns a handle. So does the waker of a task that owns a handle.
struct Owning(#[expect(dead_code, reason = "it is only owned")] rt::Credential);

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

/// Fails when a request keeps the waker of its first poll.
#[test]
fn a_request_that_moves_to_another_task_wakes_that_one() {
    rt::run(async {
        let credential = rt::Credential::with_refresher(good(&Calls::default(), millis(20))).spawn().unwrap();
        let (first, last) = (Arc::new(Counting::default()), Arc::new(Counting::default()));
        let mut request = pin!(credential.get_token());
        assert!(waits(request.as_mut(), &first.clone().into()));
        assert!(waits(request.as_mut(), &last.clone().into()));
        assert!(waits(request.as_mut(), &last.clone().into()));
        rt::sleep(millis(80)).await;
        assert_eq!([first, last].map(|woken| woken.0.load(Ordering::SeqCst)), [0, 1]);
    });
}

/// Fails when a request waits again after its token expired before the next poll, although the driver has ended.
#[test]
fn an_answer_fetched_too_late_after_the_driver_ended_is_an_error() {
    rt::run(async {
        let refresher = || async { Ok::<_, RefresherError>(lasting("short", millis(50))) };
        let (credential, driver) = Builder::new(rt::Clock::default(), refresher).build().unwrap();
        let mut driver = Box::pin(driver);
        let woken = Arc::new(Counting::default());
        let mut late = pin!(credential.get_token());
        assert!(waits(late.as_mut(), &woken.clone().into()));
        assert!(waits(driver.as_mut(), Waker::noop()));
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "the answer is there");
        rt::sleep(millis(100)).await;
        drop(driver);
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(late.as_mut().poll(&mut context), Poll::Ready(Err(Error::DriverStopped))));
    });
}

/// The runtime's clock. Its timer calls a function when it is polled: what another thread may do at that moment.
#[derive(Clone, Default)]
struct Meddling {
    clock: rt::Clock,
    deed: Deed,
}

type Deed = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

impl Clock for Meddling {
    type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        let (mut sleep, deed) = (Box::pin(self.clock.sleep(duration)), Arc::clone(&self.deed));
        Box::pin(poll_fn(move |context| {
            let woken = sleep.as_mut().poll(context).map(drop);
            let deed = deed.lock().unwrap().take();
            deed.into_iter().for_each(|deed| deed());
            woken
        }))
    }
}

/// Fails when `fall_asleep` does not look for commands. Then the call starts only when the timer fires.
#[test]
fn a_call_commanded_while_the_driver_falls_asleep_starts_at_once() {
    rt::run(async {
        let clock = Meddling::default();
        let (calls, deed) = (Calls::default(), Arc::clone(&clock.deed));
        let handle = Arc::new(Mutex::new(None::<CommunicationTokenCredential<Meddling>>));
        let (counted, own) = (calls.clone(), Arc::clone(&handle));
        let refresher = move || {
            let (call, own, deed) = (counted.begin(), Arc::clone(&own), Arc::clone(&deed));
            async move {
                rt::sleep(millis(5)).await;
                let credential = own.lock().unwrap().clone().unwrap();
                if call.number == 1 {
                    *deed.lock().unwrap() = Some(Box::new(move || credential.retry_now()));
                    // The backoff ends after the token's expiry. So the timer stays at the token's expiry.
                    return Err(RefresherError::new("issuer down").with_retry_after(HOUR));
                }
                let name = if credential.try_token().is_ok_and(|held| held.is_some()) { "in-time" } else { "late" };
                Ok(lasting(name, HOUR))
            }
        };
        let policy = Policy::builder().refresh_proactively(true).refresh_timeout(None);
        let policy = policy.min_refresh_interval(millis(1)).build().unwrap();
        let builder = Builder::new(clock, refresher).policy(policy).initial_token(lasting("initial", millis(800)));
        let (credential, driver) = builder.build().unwrap();
        *handle.lock().unwrap() = Some(credential.clone());
        rt::spawn(driver);
        rt::sleep(millis(900)).await;
        assert_eq!(credential.try_token().unwrap().expect("it was renewed").secret().expose(), "in-time");
        assert_eq!(calls.started(), 2);
        credential.dispose();
        handle.lock().unwrap().take();
    });
}

/// Fails when a listener keeps the waker of its first poll.
#[test]
fn a_listener_that_moves_to_another_task_wakes_that_one() {
    rt::run(async {
        let credential = rt::Credential::with_static_token("static").unwrap();
        let (first, last) = (Arc::new(Counting::default()), Arc::new(Counting::default()));
        let mut notices = credential.notices();
        for woken in [&first, &last, &last] {
            assert!(waits(pin!(notices.next()), &woken.clone().into()));
        }
        credential.dispose();
        assert_eq!([first, last].map(|woken| woken.0.load(Ordering::SeqCst)), [0, 1]);
    });
}

/// An error that reports its drop.
#[derive(Debug, thiserror::Error)]
#[error("issuer down")]
struct Told(Arc<()>);

/// Fails when a dropped listener stays on the list, and notices are kept for it.
#[test]
fn a_dropped_listener_frees_the_notices_kept_for_it() {
    rt::run(async {
        let told = Arc::new(());
        let own = Arc::clone(&told);
        let refresher = move || {
            let error = Told(Arc::clone(&own));
            async move { Err::<String, _>(error) }
        };
        let policy = Policy::builder().min_refresh_interval(millis(1)).request_backoff_max(millis(1)).build().unwrap();
        let credential = rt::Credential::with_refresher(refresher).policy(policy).spawn().unwrap();
        let woken = Arc::new(Counting::default());
        let mut notices = credential.notices();
        assert!(waits(pin!(notices.next()), &woken.clone().into()));
        for _ in 0..5 {
            credential.get_token().await.unwrap_err();
            rt::sleep(millis(3)).await;
        }
        assert!(matches!(result_of(&mut notices).await, Some(Notice::RefreshFailed { .. })));
        let kept = Arc::strong_count(&told);
        drop(notices);
        assert_eq!(Arc::strong_count(&told), kept - 4, "all are dropped except the last, which the credential has too");
        let mut leaving = credential.notices();
        assert!(waits(pin!(leaving.next()), &woken.clone().into()));
        drop(leaving);
        assert_eq!(Arc::strong_count(&woken), 1, "its task is not kept");
    });
}
