//! Calls that block a thread or run on several, and calls that would wait for themselves.

use std::future::ready;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use acs_common_driver::{Builder, Clock, CoarseClock, Error, FailureCause, Now, Policy, RefresherError, Token};

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

/// A credential whose refresher blocks the driver's thread for two seconds; the refresh times out after 200 ms.
fn blocked() -> rt::Credential {
    let refresher = || {
        std::thread::sleep(millis(2_000));
        ready(Ok::<_, RefresherError>(lasting("late", HOUR)))
    };
    let policy = Policy::builder().refresh_timeout(millis(200)).build().unwrap();
    let (credential, driver) = Builder::new(rt::Clock::default(), refresher).policy(policy).build().unwrap();
    // Not the runtime's thread, which other tests may use.
    rt::run_on_a_thread(driver);
    credential
}

fn timed_out(answer: &Result<Token, Error>) -> bool {
    matches!(answer, Err(Error::RefreshFailed { cause: FailureCause::TimedOut { .. }, .. }))
}

/// Fails when a waiting call relies on the driver's timer: then it waits as long as the refresher blocks the driver.
#[test]
fn a_refresher_that_blocks_its_thread_does_not_hold_up_calls_that_are_polled() {
    rt::run_with_threads(|| {
        let credential = blocked();
        let started = Instant::now();
        let answer = credential.get_token_blocking();
        assert!(timed_out(&answer), "{answer:?}");
        assert!((millis(190)..millis(1_000)).contains(&started.elapsed()), "{:?}", started.elapsed());
    });
    rt::run_with_threads(|| {
        // In a `select!`, say: something else wakes the task that waits.
        let credential = blocked();
        let started = Instant::now();
        let mut waiting = pin!(credential.get_token());
        let mut poll = || waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending());
        std::thread::sleep(millis(100));
        assert!(poll().is_pending(), "not before its time");
        std::thread::sleep(millis(200));
        let Poll::Ready(answer) = poll() else { panic!("it still waits") };
        assert!(timed_out(&answer), "{answer:?}");
        assert!(started.elapsed() < millis(1_000), "{:?}", started.elapsed());
    });
    rt::run_with_threads(|| {
        // A task that is only woken by the answer gets it when anybody else asks.
        let credential = blocked();
        let (other, started) = (credential.clone(), Instant::now());
        let waiting = std::thread::spawn(move || futures_lite::future::block_on(other.get_token()));
        std::thread::sleep(millis(400));
        assert!(credential.try_token().is_err());
        assert!(timed_out(&waiting.join().unwrap()));
        assert!(started.elapsed() < millis(1_000), "{:?}", started.elapsed());
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

#[test]
fn plain_threads_get_their_token_too() {
    rt::run_with_threads(|| {
        let calls = Calls::default();
        let credential = rt::Credential::with_refresher(good(&calls, millis(20))).spawn().unwrap();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let credential = credential.clone();
                std::thread::spawn(move || credential.get_token_blocking())
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap().unwrap().secret().expose(), "r1");
        }
        assert_eq!(calls.started(), 1);
    });
}

/// The runtime's clocks. The exact clock can block; it is read while the credential's lock is held.
#[derive(Clone, Default)]
struct HeldUp {
    clock: rt::Clock,
    gate: Arc<Mutex<()>>,
    waiting: Arc<AtomicBool>,
}

impl Clock for HeldUp {
    type Sleep = <rt::Clock as Clock>::Sleep;

    fn now(&self) -> Now {
        if self.gate.try_lock().is_err() {
            self.waiting.store(true, Ordering::SeqCst);
        }
        let _through = self.gate.lock().unwrap();
        self.clock.now()
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.clock.sleep(duration)
    }

    fn coarse_clock(&self) -> Option<impl CoarseClock> {
        Some(NeverHeldUp(&self.clock))
    }
}

struct NeverHeldUp<'a>(&'a rt::Clock);

impl CoarseClock for NeverHeldUp<'_> {
    fn now_at_latest(&self) -> Now {
        self.0.now()
    }

    fn tick(&self) -> u64 {
        self.0.now().monotonic.as_millis()
    }
}

/// Fails when the snapshot is never published, or never read.
#[test]
fn a_valid_token_is_returned_while_another_thread_has_the_lock() {
    rt::run_with_threads(|| {
        let clock = HeldUp::default();
        let (gate, waiting) = (Arc::clone(&clock.gate), Arc::clone(&clock.waiting));
        let builder = Builder::new(clock, good(&Calls::default(), HOUR)).initial_token(lasting("initial", HOUR));
        let (credential, _driver) = builder.build().unwrap();
        let held_up = gate.lock().unwrap();
        let other = credential.clone();
        let other = std::thread::spawn(move || other.retry_now());
        while !waiting.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let (answer, answered) = std::sync::mpsc::channel();
        let asking = std::thread::spawn(move || answer.send(credential.get_token_blocking()));
        let answered = answered.recv_timeout(Duration::from_secs(5));
        drop(held_up);
        other.join().unwrap();
        asking.join().unwrap().unwrap();
        assert_eq!(answered.expect("it waits for the lock").unwrap().secret().expose(), "initial");
    });
}
