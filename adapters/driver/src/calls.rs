//! The calls of a refresher: at most one at a time, whose panics are caught.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use acs_common::{Event, RequestId};

use crate::panics::catch_panic;
use crate::refresher::Refresher;
use crate::work::{Call, CallKey, Happened};

/// What does a driver's work: [`RefresherCalls`], or what exchanges Entra tokens (feature `entra`). Not for implementing.
///
/// ```
/// use acs_common_driver::{Clock, Driver, Work};
///
/// /// Runs a driver to its end on a thread of its own.
/// fn run<C, W>(driver: Driver<C, W>)
/// where
///     C: Clock,
///     W: Work,
///     Driver<C, W>: Send + 'static,
/// {
///     std::thread::spawn(|| futures_lite::future::block_on(driver));
/// }
/// # let refresher = || std::future::ready(Ok::<_, std::io::Error>("eyJ…"));
/// # let (credential, driver) = acs_common_driver::Builder::new(acs_common_smol::Smol::default(), refresher).build()?;
/// # run(driver);
/// # credential.get_token_blocking()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Work: sealed::Work {}

impl<W: sealed::Work> Work for W {}

pub(crate) mod sealed {
    use super::{Call, Context, Happened, Poll};

    /// Seals [`Work`](super::Work).
    #[expect(unnameable_types, reason = "sealed")]
    pub trait Work {
        /// Starts a call, in the place of the one in flight.
        fn start(&mut self, call: Call);

        /// Drops the call in flight.
        fn cancel(&mut self);

        /// What to tell the machine, once the call in flight has ended.
        fn poll(&mut self, context: &mut Context<'_>) -> Poll<Happened>;

        /// Whether a call is in flight.
        fn is_calling(&self) -> bool;
    }
}

/// A refresher, and its call in flight: what the driver of a refreshing credential works with.
pub struct RefresherCalls<R: Refresher> {
    refresher: R,
    call: InFlight<RequestId, R::Future>,
}

impl<R: Refresher> RefresherCalls<R> {
    pub(crate) fn new(refresher: R) -> Self {
        Self { refresher, call: InFlight::None }
    }
}

impl<R: Refresher> sealed::Work for RefresherCalls<R> {
    fn start(&mut self, call: Call) {
        match call {
            Call::Refresh(request) => self.call.start(request, || self.refresher.refresh()),
            #[cfg(feature = "entra")]
            Call::Acquire(..) | Call::Send(..) => {}
        }
    }

    fn cancel(&mut self) {
        self.call.cancel();
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Happened> {
        let (request, answer) = ready!(self.call.poll(context));
        Poll::Ready(match answer {
            // Its claims are read here, since the machine is behind a lock.
            Some(Ok(token)) => Happened::Answered(Event::TokenReceived { request, token: token.decoded() }),
            Some(Err(error)) => Happened::Answered(Event::RefreshFailed { request, error }),
            None => CallKey::Refresh(request).panicked(),
        })
    }

    fn is_calling(&self) -> bool {
        self.call.is_some()
    }
}

impl<R: Refresher> fmt::Debug for RefresherCalls<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefresherCalls").finish_non_exhaustive()
    }
}

/// At most one call of what is foreign, by its key. It may panic when it is started, polled or dropped.
pub(crate) enum InFlight<K, F> {
    None,
    Running(K, Pin<Box<F>>),
    /// When it was started.
    Panicked(K),
}

impl<K: Copy, F: Future> InFlight<K, F> {
    pub(crate) fn start(&mut self, key: K, call: impl FnOnce() -> F) {
        self.cancel();
        *self = match catch_panic(|| Box::pin(call())) {
            Some(future) => Self::Running(key, future),
            None => Self::Panicked(key),
        };
    }

    pub(crate) fn cancel(&mut self) {
        let call = mem::replace(self, Self::None);
        catch_panic(|| drop(call));
    }

    pub(crate) fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Once it has ended: which call it was, and its answer, unless it panicked.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<(K, Option<F::Output>)> {
        let (key, polled) = match self {
            Self::None => return Poll::Pending,
            Self::Running(key, future) => (*key, catch_panic(|| future.as_mut().poll(context))),
            Self::Panicked(key) => (*key, None),
        };
        let answer = match polled {
            Some(Poll::Pending) => return Poll::Pending,
            Some(Poll::Ready(answer)) => Some(answer),
            None => None,
        };
        self.cancel();
        Poll::Ready((key, answer))
    }
}
