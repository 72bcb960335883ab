//! The documented loop as a future: it makes the calls and keeps the timer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use acs_common::{Event, Monotonic};

use crate::at_work::AtWork;
use crate::calls::Work;
use crate::clock::Clock;
use crate::shared::Shared;
use crate::spans::DriverSpans;

/// The wall clock may change while the driver sleeps. So the driver reads the clocks at least this often.
const SLICE: Duration = Duration::from_secs(60);

/// How many turns the driver takes before other tasks may run.
const TURNS: usize = 64;

/// Does the work of a credential: a future that ends when the credential is disposed or its last handle is dropped.
///
/// If you drop it earlier, all waiting requests fail with [`DriverStopped`](crate::Error::DriverStopped). The credential
/// still returns its token until the token expires; after that, requests fail with the same error.
///
/// ```
/// use acs_common_driver::{Builder, Error};
/// use acs_common_smol::Smol;
///
/// let refresher = || async { Ok::<_, std::io::Error>("eyJhbGci") };
/// let (credential, driver) = Builder::new(Smol::default(), refresher).build()?;
/// drop(driver);
/// assert!(matches!(credential.get_token_blocking(), Err(Error::DriverStopped)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `W` is the source of the tokens; you do not need to name it.
#[must_use = "a driver does nothing until it is polled, or spawned"]
pub struct Driver<C: Clock, W: Work> {
    shared: Arc<Shared<C>>,
    work: W,
    /// The deadline of the machine.
    deadline: Option<Monotonic>,
    /// Sleeps until the deadline of the machine or of the work, whichever is earlier.
    sleep: Option<(Monotonic, Pin<Box<C::Sleep>>)>,
    pub(crate) spans: DriverSpans,
}

// Everything that is pinned in it has its own box.
impl<C: Clock, W: Work> Unpin for Driver<C, W> {}

impl<C: Clock, W: Work> Driver<C, W> {
    pub(crate) fn new(shared: Arc<Shared<C>>, work: W) -> Self {
        Self { shared, work, deadline: None, sleep: None, spans: DriverSpans::default() }
    }

    /// Reads the clocks now, as if a sleep had ended. A runtime whose timers can be late calls it when they may have been: in a
    /// browser, when a hidden page is shown again. It is never wrong to call it.
    ///
    /// ```
    /// use acs_common_driver::Builder;
    /// use acs_common_smol::Smol;
    ///
    /// let refresher = || async { Ok::<_, std::io::Error>("eyJ…") };
    /// let (credential, mut driver) = Builder::new(Smol::default(), refresher).build()?;
    /// driver.look_at_clocks();
    /// assert!(credential.try_token()?.is_none(), "it has not been polled so far");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn look_at_clocks(&mut self) {
        self.sleep = None;
        let entered = self.spans.enter_refresh();
        self.shared.lock().handle(Event::TimeAdvanced);
        drop(entered);
        if self.obey() {
            let _entered = self.spans.enter_refresh();
            let _at_work = AtWork::mark(&self.shared);
            self.work.look(self.shared.clock.now());
        }
    }

    /// [`retry_now`](crate::CommunicationTokenCredential::retry_now), for a runtime that knows when a new try makes sense, but
    /// has no handle: a handle would keep the credential.
    ///
    /// ```
    /// use acs_common_driver::{Builder, Clock, Driver, SpawnError, parts::Work};
    ///
    /// /// What a runtime does when the network is back.
    /// fn online<C: Clock, W: Work>(driver: &Driver<C, W>) {
    ///     driver.retry_now();
    /// }
    /// # let (_, driver) = Builder::new(acs_common_smol::Smol::default(), || async { Ok::<_, SpawnError>("eyJ…") }).build()?;
    /// # online(&driver);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry_now(&self) {
        self.shared.lock().handle(Event::RetryNow);
    }

    /// Executes the commands of the machine. Returns false when the credential is disposed.
    fn obey(&mut self) -> bool {
        let commands = self.shared.lock().take_commands();
        let Some(commands) = commands else { return false };
        let _at_work = AtWork::mark(&self.shared);
        #[cfg(feature = "store")]
        {
            commands.rejected.into_iter().for_each(|(token, standing)| self.work.token_rejected(token, standing));
            commands.signed_out.into_iter().for_each(|token| self.work.signed_out(token));
        }
        if commands.cancel {
            let _entered = self.spans.enter_refresh();
            self.work.cancel();
            self.spans.close();
        }
        if let Some(asker) = &commands.asker {
            let trigger = commands.refresh.as_ref().map(|refresh| refresh.reason.trigger);
            self.spans.open(self.shared.name.as_ref(), asker, trigger);
        }
        let _entered = self.spans.enter_refresh();
        if let Some(request) = commands.check {
            self.work.start_check(request);
        }
        if let Some(refresh) = commands.refresh {
            self.work.start_refresh(refresh, self.shared.clock.now());
        }
        if let Some(at) = commands.timer {
            self.deadline = at;
            self.sleep = None;
        }
        true
    }

    /// Whether the call has ended.
    fn poll_work(&mut self, context: &mut Context<'_>) -> bool {
        let _entered = self.spans.enter_refresh();
        let at_work = AtWork::mark(&self.shared);
        let polled = self.work.poll(|| self.shared.clock.now(), context);
        drop(at_work);
        #[cfg(feature = "store")]
        while let Some(notice) = self.work.take_notice() {
            self.shared.lock().notify(notice);
        }
        match polled {
            Poll::Ready(event) => {
                let has_ended = matches!(event, Event::TokenReceived { .. } | Event::RefreshFailed { .. });
                self.shared.lock().handle(event);
                if has_ended {
                    self.spans.close();
                }
                true
            }
            Poll::Pending => false,
        }
    }

    /// Whether the deadline has passed. The machine looks at the clocks first, because it may cancel the work.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> bool {
        let Some(deadline) = [self.deadline, self.work.deadline()].into_iter().flatten().min() else {
            self.sleep = None;
            return false;
        };
        if self.poll_sleep(deadline, context).is_pending() {
            return false;
        }
        self.look_at_clocks();
        true
    }

    fn cancel_work(&mut self) {
        let _at_work = AtWork::mark(&self.shared);
        self.work.cancel();
    }

    /// The credential is disposed. With a shared store, what is on its way to the store has still to arrive.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.cancel_work();
        #[cfg(feature = "store")]
        loop {
            let at_work = AtWork::mark(&self.shared);
            let polled = self.work.poll_end(|| self.shared.clock.now(), context);
            drop(at_work);
            if polled.is_ready() {
                break;
            }
            self.deadline = None;
            let Some(deadline) = self.work.deadline() else { return Poll::Pending };
            if self.poll_sleep(deadline, context).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
            self.work.look(self.shared.clock.now());
        }
        #[cfg(not(feature = "store"))]
        let _ = context;
        self.sleep = None;
        Poll::Ready(())
    }

    fn poll_sleep(&mut self, deadline: Monotonic, context: &mut Context<'_>) -> Poll<()> {
        self.sleep.take_if(|(armed, _)| *armed != deadline);
        let (_, sleep) = self.sleep.get_or_insert_with(|| {
            let left = deadline.saturating_since(self.shared.clock.now().monotonic);
            (deadline, Box::pin(self.shared.clock.sleep(left.min(SLICE))))
        });
        sleep.as_mut().poll(context).map(|_| ())
    }

    /// Falls asleep, unless there are new commands. Returns whether it sleeps.
    fn fall_asleep(&self, context: &Context<'_>) -> bool {
        // Clone the waker before the lock is held, because that may run foreign code.
        let waker = context.waker().clone();
        self.shared.lock().fall_asleep(waker)
    }
}

impl<C: Clock, W: Work> Future for Driver<C, W> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let _entered = self.spans.enter_program();
        for _ in 0..TURNS {
            if !self.obey() {
                return self.poll_end(context);
            }
            if !self.poll_work(context) && !self.poll_timer(context) && self.fall_asleep(context) {
                return Poll::Pending;
            }
        }
        // A clock whose sleeps end at once must not stop other tasks.
        self.shared.lock().pause();
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<C: Clock, W: Work> Drop for Driver<C, W> {
    fn drop(&mut self) {
        let _entered = (self.spans.enter_program(), self.spans.enter_refresh());
        self.cancel_work();
        self.shared.lock().end_driver();
    }
}

impl<C: Clock, W: Work> fmt::Debug for Driver<C, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("calling", &self.work.is_calling()).finish_non_exhaustive()
    }
}
