//! The documented loop, made async: makes the calls, keeps the timer.

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use acs_common::Monotonic;

use crate::clock::Clock;
use crate::engine::Happened;
use crate::shared::{Driving, Orders, Shared, contained};
use crate::work::{CallKey, Work};

/// The wall clock may move while the driver sleeps, so it looks at least this often.
const SLICE: Duration = Duration::from_secs(60);

/// How often the driver goes round before it lets others run.
const TURNS: usize = 64;

/// What keeps a credential going: a future that ends once the credential is disposed, or its last handle dropped.
///
/// Once it is dropped before that, the credential serves its token until that expires, and then fails, as it does at once
/// for whoever waits: [`DriverStopped`](crate::Error::DriverStopped).
///
/// ```
/// use acs_common_driver::{Builder, Error};
/// use acs_common_smol::Smol;
///
/// let refresher = || async { Ok::<_, std::io::Error>("eyJ…") };
/// let (credential, driver) = Builder::new(Smol::default(), refresher).build()?;
/// drop(driver);
/// assert!(matches!(credential.get_token_blocking(), Err(Error::DriverStopped)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a driver does nothing until it is polled, or spawned"]
pub struct Driver<C: Clock, W: Work> {
    shared: Arc<Shared<C>>,
    work: W,
    call: Option<(CallKey, Pin<Box<W::Future>>)>,
    deadline: Option<Monotonic>,
    sleep: Option<Pin<Box<C::Sleep>>>,
}

// Nothing in it is pinned but what has a box of its own.
impl<C: Clock, W: Work> Unpin for Driver<C, W> {}

impl<C: Clock, W: Work> Driver<C, W> {
    pub(crate) fn new(shared: Arc<Shared<C>>, work: W) -> Self {
        Self { shared, work, call: None, deadline: None, sleep: None }
    }

    /// The orders that came in; `None` once there is nothing left to live for.
    fn orders(&self) -> Option<Orders> {
        let (orders, _waker) = self.shared.with(|state, _, _| {
            let orders = (!state.disposed).then(|| mem::take(&mut state.orders));
            (orders, mem::replace(&mut state.driver, Driving::Awake))
        });
        orders
    }

    fn obey(&mut self, orders: Orders) {
        if orders.cancel || orders.call.is_some() {
            self.drop_call();
        }
        if let Some(call) = orders.call {
            let (key, work) = (call.key(), &mut self.work);
            match catch_unwind(AssertUnwindSafe(|| work.start(call).map(Box::pin))) {
                Ok(future) => self.call = future.map(|future| (key, future)),
                Err(_) => self.shared.handle(key.panicked()),
            }
        }
        if let Some(at) = orders.timer {
            self.deadline = at;
            self.sleep = None;
        }
    }

    /// Whether the call has been answered.
    fn poll_call(&mut self, context: &mut Context<'_>) -> bool {
        let Some((key, future)) = &mut self.call else { return false };
        let happened = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(happened)) => happened,
            Err(_) => key.panicked(),
        };
        self.drop_call();
        self.shared.handle(happened);
        true
    }

    /// Whether it was time to look at the clocks.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> bool {
        let Some(deadline) = self.deadline else { return false };
        let sleep = self.sleep.get_or_insert_with(|| {
            let left = deadline.saturating_since(self.shared.clock.now().monotonic);
            Box::pin(self.shared.clock.sleep(left.min(SLICE)))
        });
        if sleep.as_mut().poll(context).is_pending() {
            return false;
        }
        self.sleep = None;
        self.shared.handle(Happened::TimeAdvanced);
        true
    }

    /// Goes to sleep, unless there are new orders.
    fn fall_asleep(&self, context: &Context<'_>) -> bool {
        let waker = context.waker().clone();
        let (asleep, _replaced) = self.shared.with(|state, _, _| {
            let orders = &state.orders;
            if orders.cancel || orders.call.is_some() || orders.timer.is_some() || state.disposed {
                return (false, Driving::Asleep(waker));
            }
            (true, mem::replace(&mut state.driver, Driving::Asleep(waker)))
        });
        asleep
    }

    fn drop_call(&mut self) {
        let call = self.call.take();
        contained(|| drop(call));
    }
}

impl<C: Clock, W: Work> Future for Driver<C, W> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURNS {
            let Some(orders) = self.orders() else {
                self.drop_call();
                self.sleep = None;
                return Poll::Ready(());
            };
            self.obey(orders);
            if !self.poll_call(context) && !self.poll_timer(context) && self.fall_asleep(context) {
                return Poll::Pending;
            }
        }
        // A clock whose sleeps end at once must not keep others from running.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<C: Clock, W: Work> Drop for Driver<C, W> {
    fn drop(&mut self) {
        self.drop_call();
        self.shared.with(|state, now, after| state.end_driver(now, after));
    }
}

impl<C: Clock, W: Work> fmt::Debug for Driver<C, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("calling", &self.call.is_some()).finish_non_exhaustive()
    }
}
