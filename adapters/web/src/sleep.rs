//! Sleeps by `setTimeout`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use js_sys::Function;
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;

/// `setTimeout` takes less than 2³¹ ms (24.8 days), and fires at once for more.
const SLICE: Duration = Duration::from_millis(i32::MAX as u64);

#[wasm_bindgen]
extern "C" {
    // A number in browsers, an object in Node.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, millis: i32) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// A sleep: `setTimeout`, in slices of at most 2³¹ − 1 ms. Its timer is cleared when it is dropped.
///
/// Browsers fire timers of a hidden page late, once a minute at worst, and timers of a frozen page not at all. So
/// [`Web`](crate::Web) also looks at the clocks when the page comes back.
///
/// ```no_run
/// use acs_common_web::{Clock, Sleep, Web};
/// use std::time::Duration;
///
/// async fn a_month(clock: &Web) {
///     let sleep: Sleep = clock.sleep(Duration::from_secs(30 * 86_400));
///     sleep.await;
/// }
/// # drop(a_month(&Web::default()));
/// ```
#[must_use = "a future does nothing until it is awaited"]
pub struct Sleep {
    /// What is left after the slice that runs.
    left: Duration,
    timer: Option<SendWrapper<Timer>>,
}

impl Sleep {
    pub(crate) fn new(duration: Duration) -> Self {
        Self { left: duration, timer: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(timer) = &self.timer
                && !timer.signal.poll(context)
            {
                return Poll::Pending;
            }
            if self.timer.is_some() && self.left.is_zero() {
                self.timer = None;
                return Poll::Ready(());
            }
            let slice = self.left.min(SLICE);
            self.left -= slice;
            self.timer = Some(SendWrapper::new(Timer::start(slice)));
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("started", &self.timer.is_some()).finish_non_exhaustive()
    }
}

/// Wakes a task from a callback.
#[derive(Default)]
pub(crate) struct Signal {
    given: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Signal {
    pub(crate) fn give(&self) {
        self.given.set(true);
        let waker = self.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the signal was given since it was last found here. Otherwise the task is woken when it is.
    pub(crate) fn poll(&self, context: &Context<'_>) -> bool {
        let given = self.given.take();
        if !given {
            let waker = context.waker().clone();
            drop(self.waker.replace(Some(waker)));
        }
        given
    }
}

/// A timer that runs.
struct Timer {
    id: JsValue,
    signal: Rc<Signal>,
    _callback: Closure<dyn FnMut()>,
}

impl Timer {
    fn start(duration: Duration) -> Self {
        let signal = Rc::new(Signal::default());
        let given = Rc::clone(&signal);
        let callback = Closure::<dyn FnMut()>::new(move || given.give());
        // Rounded up: a timer that is early is set again.
        let millis = duration.as_nanos().div_ceil(1_000_000);
        let id = set_timeout(callback.as_ref().unchecked_ref(), i32::try_from(millis).unwrap_or(i32::MAX));
        Self { id, signal, _callback: callback }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(&self.id);
    }
}
