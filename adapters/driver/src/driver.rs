//! The documented loop, made async: calls the refresher, keeps the timer.

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use acs_common::{Event, Monotonic, NewToken, RefresherError, RequestId};

use crate::clock::Clock;
use crate::refresher::{Refresher, RefresherPanicked};
use crate::shared::{Driving, Orders, Shared};

/// The wall clock may move while the driver sleeps, so it looks at least this often.
const SLICE: Duration = Duration::from_secs(60);

/// What keeps a credential going: a future that ends once the credential is disposed, or its last handle dropped.
///
/// Dropping it before makes the credential end with its token: whoever waits is answered
/// [`DriverStopped`](crate::Error::DriverStopped).
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
pub struct Driver<C: Clock, R: Refresher> {
    shared: Arc<Shared<C>>,
    refresher: R,
    refresh: Option<(RequestId, Pin<Box<R::Future>>)>,
    deadline: Option<Monotonic>,
    sleep: Option<Pin<Box<C::Sleep>>>,
}

// Nothing in it is pinned but what has a box of its own.
impl<C: Clock, R: Refresher> Unpin for Driver<C, R> {}

impl<C: Clock, R: Refresher> Driver<C, R> {
    pub(crate) fn new(shared: Arc<Shared<C>>, refresher: R) -> Self {
        Self { shared, refresher, refresh: None, deadline: None, sleep: None }
    }

    /// The orders that came in; `None` once there is nothing left to live for.
    fn orders(&self) -> Option<Orders> {
        let (orders, _waker) = self.shared.with(|state, _, _| {
            let orders = (!state.closed && !state.disposed).then(|| mem::take(&mut state.orders));
            (orders, mem::replace(&mut state.driver, Driving::Awake))
        });
        orders
    }

    fn obey(&mut self, orders: Orders) {
        if orders.cancel || orders.call.is_some() {
            self.drop_refresh();
        }
        if let Some(request) = orders.call {
            let refresher = &mut self.refresher;
            match catch_unwind(AssertUnwindSafe(|| Box::pin(refresher.refresh()))) {
                Ok(future) => self.refresh = Some((request, future)),
                Err(_) => self.answer(request, Err(RefresherError::new(RefresherPanicked))),
            }
        }
        if let Some(at) = orders.timer {
            self.deadline = at;
            self.sleep = None;
        }
    }

    /// Whether the refresh has been answered.
    fn poll_refresh(&mut self, context: &mut Context<'_>) -> bool {
        let Some((request, future)) = &mut self.refresh else { return false };
        let request = *request;
        let answer = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(answer)) => answer,
            Err(_) => Err(RefresherError::new(RefresherPanicked)),
        };
        self.drop_refresh();
        self.answer(request, answer);
        true
    }

    fn answer(&self, request: RequestId, answer: Result<NewToken, RefresherError>) {
        self.shared.handle(match answer {
            Ok(token) => Event::TokenReceived { request, token },
            Err(error) => Event::RefreshFailed { request, error },
        });
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
        self.shared.handle(Event::TimeAdvanced);
        true
    }

    /// Goes to sleep, unless there are new orders.
    fn fall_asleep(&self, context: &Context<'_>) -> bool {
        let waker = context.waker().clone();
        let (asleep, _replaced) = self.shared.with(|state, _, _| {
            let orders = &state.orders;
            if orders.cancel || orders.call.is_some() || orders.timer.is_some() || state.closed || state.disposed {
                return (false, Driving::Asleep(waker));
            }
            (true, mem::replace(&mut state.driver, Driving::Asleep(waker)))
        });
        asleep
    }

    fn drop_refresh(&mut self) {
        let refresh = self.refresh.take();
        // Nobody is to suffer from a future that panics when dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(refresh)));
    }
}

impl<C: Clock, R: Refresher> Future for Driver<C, R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(orders) = self.orders() else {
                self.drop_refresh();
                self.sleep = None;
                return Poll::Ready(());
            };
            self.obey(orders);
            if !self.poll_refresh(context) && !self.poll_timer(context) && self.fall_asleep(context) {
                return Poll::Pending;
            }
        }
    }
}

impl<C: Clock, R: Refresher> Drop for Driver<C, R> {
    fn drop(&mut self) {
        self.drop_refresh();
        self.shared.with(|state, now, after| state.end_driver(now, after));
    }
}

impl<C: Clock, R: Refresher> fmt::Debug for Driver<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("refreshing", &self.refresh.is_some()).finish_non_exhaustive()
    }
}
