//! The laws for every order of threads at the driver's locks. Every thread, lock and waker here belongs to the model.
//! If a thread is never woken, all threads wait in the end, and the model reports it.

mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use acs_common::{Notice, Token};
use acs_common_interleavings::Error;
use shuttle::future::block_on;
use shuttle::thread;

use model::{Calls, Credential, Ends, Toy, begin_and_cancel, build, exhaust, explore, start, start_with, text};

/// Fails when `poll_request` checks for the answer and stores the waker under two separate locks, or when `fall_asleep`
/// does not check for commands again.
#[test]
fn every_caller_is_answered_by_one_refresh() {
    explore(|| {
        let (clock, calls) = (Toy::default(), Calls::default());
        let (credential, driver) = start(&clock, Ends::Well, &calls);
        let asking = [0; 3].map(|_| asking(&credential));
        for asking in asking {
            assert_eq!(text(&asking.join().unwrap().unwrap()), "r1");
        }
        drop(credential);
        driver.join().unwrap();
        assert_eq!((calls.started(), calls.alive()), (1, 0));
    });
}

/// Fails when dropping a `GetToken` also drops the refresh.
#[test]
fn a_cancelled_call_does_not_affect_the_others() {
    explore(|| {
        let (clock, calls) = (Toy::default(), Calls::default());
        let (credential, driver) = start(&clock, Ends::Well, &calls);
        let fickle = credential.clone();
        let fickle = thread::spawn(move || {
            begin_and_cancel(&fickle);
            assert!(fickle.try_token().is_ok());
            begin_and_cancel(&fickle);
        });
        assert_eq!(text(&block_on(credential.get_token()).unwrap()), "r1");
        fickle.join().unwrap();
        drop(credential);
        driver.join().unwrap();
        assert_eq!(calls.most_at_once(), 1);
    });
}

/// Fails when `carry_out` takes the snapshot under the lock but publishes it after the release: then a slow thread
/// publishes the token again after another one has disposed of it.
#[test]
fn after_dispose_returns_no_token_is_returned() {
    explore(|| {
        let (clock, calls) = (Toy::default(), Calls::default());
        let (credential, driver) = start_with(&clock, Ends::Well, &calls, Some("initial"));
        let disposed = Arc::new(AtomicBool::new(false));
        let asking = [false, true].map(|with_reader| {
            let (credential, disposed) = (credential.clone(), Arc::clone(&disposed));
            let mut reader = with_reader.then(|| credential.reader());
            thread::spawn(move || {
                for _ in 0..3 {
                    let too_late = disposed.load(Ordering::SeqCst);
                    let answer = match &mut reader {
                        Some(reader) => block_on(reader.get_token()).cloned(),
                        None => block_on(credential.get_token()),
                    };
                    assert!(!too_late || matches!(answer, Err(Error::Disposed)), "{answer:?} after dispose");
                    if let Ok(token) = answer {
                        credential.reject(&token);
                    }
                }
            })
        });
        credential.dispose();
        disposed.store(true, Ordering::SeqCst);
        assert!(matches!(credential.try_token(), Err(Error::Disposed)));
        assert!(matches!(block_on(credential.get_token()), Err(Error::Disposed)));
        asking.into_iter().for_each(|asking| asking.join().unwrap());
        driver.join().unwrap();
        assert_eq!(calls.alive(), 0);
    });
}

/// Fails when `answer` forgets the waker of an answered waiter.
#[test]
fn a_waiter_is_told_of_dispose() {
    explore(|| {
        let (clock, calls) = (Toy::default(), Calls::default());
        let (credential, driver) = start(&clock, Ends::Never, &calls);
        let asking = [0; 2].map(|_| asking(&credential));
        credential.dispose();
        for asking in asking {
            assert!(matches!(asking.join().unwrap(), Err(Error::Disposed)));
        }
        driver.join().unwrap();
        assert_eq!(calls.alive(), 0, "the refresh is not dropped");
    });
}

/// Fails as `after_dispose_returns_no_token_is_returned` does, and when `publish` never removes a token.
#[test]
fn after_reject_returns_that_token_is_not_returned_again() {
    explore(|| {
        let (clock, calls) = (Toy::default(), Calls::default());
        let (credential, driver) = start_with(&clock, Ends::Well, &calls, Some("initial"));
        let reports = || {
            let credential = credential.clone();
            thread::spawn(move || {
                let Ok(refused) = block_on(credential.get_token()) else { return };
                // The replacement of a rejected token would stay, as doubtful.
                if refused.secret().expose() != "initial" {
                    return;
                }
                credential.reject(&refused);
                assert!(!block_on(credential.get_token()).is_ok_and(|token| token.ptr_eq(&refused)));
                assert!(!matches!(credential.try_token(), Ok(Some(token)) if token.ptr_eq(&refused)));
            })
        };
        [reports(), reports()].into_iter().for_each(|reporting| reporting.join().unwrap());
        drop(credential);
        driver.join().unwrap();
        assert_eq!(calls.most_at_once(), 1);
    });
}

/// Fails when `latest` reads the version after the published value, or when `publish` counts before it stores.
#[test]
fn a_reader_does_not_lend_a_token_that_was_rejected_before_it_was_asked() {
    explore(|| {
        let (credential, driver) = start_with(&Toy::default(), Ends::Well, &Calls::default(), Some("initial"));
        let refused = block_on(credential.get_token()).unwrap();
        let returned = Arc::new(AtomicBool::new(false));
        let (mut reader, reported, told) = (credential.reader(), refused.clone(), Arc::clone(&returned));
        let reading = thread::spawn(move || {
            for _ in 0..4 {
                let too_late = told.load(Ordering::SeqCst);
                if let Ok(Some(token)) = reader.token() {
                    assert!(!(too_late && token.ptr_eq(&reported)), "it lends the rejected token");
                }
            }
        });
        credential.reject(&refused);
        returned.store(true, Ordering::SeqCst);
        reading.join().unwrap();
        drop(credential);
        driver.join().unwrap();
    });
}

/// Fails when `carry_out` does not wake the driver of a disposed credential, or when a driver leaks a clone of its
/// shared state.
#[test]
fn the_last_handle_ends_the_driver_and_nothing_is_left() {
    explore(|| {
        let (clock, calls) = (Toy::default(), Calls::default());
        let held = clock.held();
        let (credential, driver) = start(&clock, Ends::Never, &calls);
        drop(clock);
        let clones = [0; 2].map(|_| {
            let credential = credential.clone();
            thread::spawn(move || {
                begin_and_cancel(&credential);
                drop(credential);
            })
        });
        drop(credential);
        driver.join().unwrap();
        clones.into_iter().for_each(|clone| clone.join().unwrap());
        assert_eq!(calls.alive(), 0, "the refresh is not dropped");
        assert!(!held(), "the shared state of handles and driver is not freed");
    });
}

/// Fails as `after_dispose_returns_no_token_is_returned` does.
#[test]
fn no_token_is_returned_after_dispose_in_any_order() {
    exhaust(|| {
        let credential = Credential::with_static_token("static").unwrap();
        let other = credential.clone();
        let asking = thread::spawn(move || other.notices());
        let third = credential.clone();
        credential.dispose();
        assert!(matches!(block_on(third.get_token()), Err(Error::Disposed)));
        drop(asking.join().unwrap());
    });
}

/// Fails as the next test does.
#[test]
#[ignore = "a million orders of events: half a minute"]
fn a_driver_that_falls_asleep_misses_no_command_in_any_order() {
    exhaust(|| {
        let (credential, driver) = build(&Toy::default(), Ends::AtOnce, &Calls::default(), None);
        let driver = thread::spawn(move || block_on(driver));
        let _ = credential.try_token();
        credential.dispose();
        driver.join().unwrap();
    });
}

/// Fails when `fall_asleep` does not check for commands again, or when the driver of a disposed credential is not
/// woken.
#[test]
fn the_last_handle_ends_an_idle_driver_in_every_order() {
    exhaust(|| {
        let (credential, driver) = build(&Toy::default(), Ends::Never, &Calls::default(), Some("initial"));
        let driver = thread::spawn(move || block_on(driver));
        let clone = credential.clone();
        let dropping = thread::spawn(move || drop(clone));
        drop(credential);
        dropping.join().unwrap();
        driver.join().unwrap();
    });
}

/// Fails when `end_driver` answers the waiters under one lock and marks the driver as ended under another.
#[test]
fn a_dropped_driver_leaves_no_waiter_behind() {
    explore(|| {
        let (credential, driver) = build(&Toy::default(), Ends::Never, &Calls::default(), None);
        let mut driver = Box::pin(driver);
        let aborted = thread::spawn(move || {
            block_on(async {
                std::future::poll_fn(|context| {
                    assert!(driver.as_mut().poll(context).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
            });
            drop(driver);
        });
        let asking = [0; 2].map(|_| asking(&credential));
        for asking in asking {
            assert!(matches!(asking.join().unwrap(), Err(Error::DriverStopped)));
        }
        aborted.join().unwrap();
    });
}

/// Fails when `poll` checks the timer only while no call is in flight.
#[test]
fn a_refresh_that_hangs_times_out_even_if_the_clock_changes() {
    explore(|| {
        let (clock, calls) = (Toy::default(), Calls::default());
        let (credential, driver) = start(&clock, Ends::Never, &calls);
        let answered = Arc::new(AtomicBool::new(false));
        let (asking, told) = (credential, Arc::clone(&answered));
        let asking = thread::spawn(move || {
            let answer = block_on(asking.get_token());
            told.store(true, Ordering::SeqCst);
            answer
        });
        while !answered.load(Ordering::SeqCst) {
            clock.advance(600);
            thread::yield_now();
        }
        assert!(matches!(asking.join().unwrap(), Err(Error::RefreshFailed { .. })));
        driver.join().unwrap();
        assert_eq!(calls.alive(), 0);
    });
}

/// Fails when `poll_next` checks for a notice and stores the waker under two separate locks.
#[test]
fn a_listener_gets_every_notice_and_the_end() {
    explore(|| {
        let (credential, driver) = start(&Toy::default(), Ends::Well, &Calls::default());
        let mut notices = credential.notices();
        let listening = thread::spawn(move || {
            block_on(async move {
                assert!(matches!(notices.next().await, Some(Notice::RefreshStarted { .. })));
                assert!(matches!(notices.next().await, Some(Notice::TokenChanged { .. })));
                assert!(matches!(notices.next().await, Some(Notice::Disposed)));
                assert!(notices.next().await.is_none());
            });
        });
        block_on(credential.get_token()).unwrap();
        credential.dispose();
        listening.join().unwrap();
        driver.join().unwrap();
    });
}

/// Asks for a token on a new thread.
fn asking(credential: &Credential) -> thread::JoinHandle<Result<Token, Error>> {
    let credential = credential.clone();
    thread::spawn(move || block_on(credential.get_token()))
}
