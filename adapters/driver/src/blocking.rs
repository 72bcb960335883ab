//! Tokens for plain threads.

use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use acs_common::{Error, Token};

use crate::clock::Clock;
use crate::credential::CommunicationTokenCredential;

/// The longest time between waking a driver and its next poll.
const PATIENCE: Duration = Duration::from_secs(1);

impl<C: Clock> CommunicationTokenCredential<C> {
    /// [`get_token`](Self::get_token) for a plain thread: blocks the thread until there is a token or an error.
    ///
    /// The driver must run on another thread. In an async task, await [`get_token`](Self::get_token) instead, or make this
    /// call inside `spawn_blocking` or `smol::unblock`. A task that blocks its thread can stop the driver: always on a
    /// single-threaded runtime, often on a multi-threaded one. Then this call fails after one second.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use acs_common_smol::CommunicationTokenCredential;
    ///
    /// let refresher = || async { Ok::<_, std::io::Error>("eyJhbGci") };
    /// let credential = CommunicationTokenCredential::with_refresher(refresher).spawn()?;
    /// let worker = std::thread::spawn(move || credential.get_token_blocking());
    /// assert_eq!(worker.join().unwrap()?.secret().expose(), "eyJhbGci");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`get_token`](Self::get_token), and [`Error::DriverStalled`]: nothing has polled the driver for one second.
    pub fn get_token_blocking(&self) -> Result<Token, Error> {
        self.block(None)
    }

    /// [`get_token_blocking`](Self::get_token_blocking), but it waits no longer than `limit`. Then it withdraws its request;
    /// the refresh continues.
    ///
    /// ```
    /// use acs_common_smol::CommunicationTokenCredential;
    /// use acs_common_driver::Error;
    /// use std::time::Duration;
    ///
    /// let refresher = || std::future::pending::<Result<String, std::io::Error>>();
    /// let credential = CommunicationTokenCredential::with_refresher(refresher).spawn()?;
    /// let answer = credential.get_token_blocking_for(Duration::from_millis(20));
    /// assert!(matches!(answer, Err(Error::WaitTimedOut { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`get_token_blocking`](Self::get_token_blocking), and [`Error::WaitTimedOut`] after `limit`.
    pub fn get_token_blocking_for(&self, limit: Duration) -> Result<Token, Error> {
        self.block(Some(limit))
    }

    fn block(&self, limit: Option<Duration>) -> Result<Token, Error> {
        if let Some(token) = self.shared().fresh() {
            return Ok(token);
        }
        let signal = Arc::new(Signal::default());
        let waker = Waker::from(Arc::clone(&signal));
        let mut request = pin!(self.get_token());
        let started = Instant::now();
        // When this call last woke the driver, and how often the driver had been polled before.
        let (mut probed, mut polls) = (started, None);
        loop {
            if let Poll::Ready(answer) = request.as_mut().poll(&mut Context::from_waker(&waker)) {
                return answer;
            }
            let mut wait = PATIENCE;
            // The refresher may block the driver's thread: then this call itself must see that the refresh has timed out.
            if let Some(due) = self.shared().lock().until_due().filter(|due| !due.is_zero()) {
                wait = wait.min(due);
            }
            if let Some(limit) = limit {
                wait = wait.min(limit.saturating_sub(started.elapsed()));
                if wait.is_zero() {
                    return Err(Error::WaitTimedOut { limit });
                }
            }
            if polls.is_none() || probed.elapsed() >= PATIENCE {
                let now = self.shared().lock().probe_driver();
                if polls.is_some() && now == polls {
                    return Err(Error::DriverStalled);
                }
                (probed, polls) = (Instant::now(), now);
            }
            signal.wait(wait);
        }
    }
}

/// Wakes a thread. It does not use `unpark`, because other code on this thread may wait for that.
#[derive(Default)]
struct Signal {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    fn wait(&self, limit: Duration) {
        let woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(woken, limit, |woken| !*woken);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }
}
