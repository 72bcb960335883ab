//! A runtime's clock that counts itself and its sleeps. The shared state of a credential owns the clock. So when the clock
//! is dropped, the shared state is dropped too.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use acs_common_driver::{Clock, CoarseClock, Now};

/// How many values exist.
#[derive(Clone, Default)]
pub(crate) struct Present(Arc<AtomicUsize>);

/// One value.
pub(crate) struct One(Present);

impl Present {
    pub(crate) fn one(&self) -> One {
        self.0.fetch_add(1, Ordering::SeqCst);
        One(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) struct Watched<C> {
    clock: C,
    sleeps: Present,
    _clock: One,
}

impl<C> Watched<C> {
    pub(crate) fn new(clock: C, clocks: &Present, sleeps: &Present) -> Self {
        Self { clock, sleeps: sleeps.clone(), _clock: clocks.one() }
    }
}

impl<C: Clock> Clock for Watched<C> {
    type Sleep = Sleep<C::Sleep>;

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        Sleep { sleep: Box::pin(self.clock.sleep(duration)), _sleep: self.sleeps.one() }
    }

    fn coarse_clock(&self) -> Option<impl CoarseClock> {
        self.clock.coarse_clock()
    }
}

pub(crate) struct Sleep<S> {
    sleep: Pin<Box<S>>,
    _sleep: One,
}

impl<S: Future> Future for Sleep<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(context).map(|_| ())
    }
}
