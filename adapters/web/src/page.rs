//! What a page, or the network, tells: it came back.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use acs_common_driver::parts::Work;
use acs_common_driver::{Clock, Driver, Now};
use js_sys::Reflect;
use wasm_bindgen::prelude::*;
use web_sys::{Document, EventTarget};

use crate::Web;
use crate::sleep::Signal;

/// A page that was hidden for longer than this is as good as a device that slept.
const LONG_HIDDEN: Duration = Duration::from_secs(30);

/// Runs the driver to its end, and tells it when the page or the network came back.
pub(crate) async fn run<C: Clock, W: Work>(mut driver: Driver<C, W>) {
    let events = PageEvents::listen();
    std::future::poll_fn(|context| {
        match events.poll(context) {
            Some(News::Look) => driver.look_at_clocks(),
            Some(News::RetryNow) => driver.retry_now(),
            None => {}
        }
        Pin::new(&mut driver).poll(context)
    })
    .await;
}

/// What follows from an event.
#[derive(Clone, Copy)]
enum News {
    Look,
    RetryNow,
}

/// Listens while it exists: for `online` in pages and workers, for `visibilitychange` and `pageshow` in pages, for nothing in
/// Node.
struct PageEvents {
    state: Rc<State>,
    _listeners: Vec<Listener>,
}

#[derive(Default)]
struct State {
    news: Cell<Option<News>>,
    signal: Signal,
}

impl State {
    fn tell(&self, news: News) {
        if !matches!(self.news.get(), Some(News::RetryNow)) {
            self.news.set(Some(news));
        }
        self.signal.give();
    }
}

impl PageEvents {
    fn listen() -> Self {
        let state = Rc::new(State::default());
        let mut listeners = Vec::new();
        let global = js_sys::global();
        let document =
            Reflect::get(&global, &"document".into()).ok().and_then(|found| found.dyn_into::<Document>().ok());
        if let Ok(target) = global.dyn_into::<EventTarget>() {
            let told = Rc::clone(&state);
            listeners.extend(Listener::new(&target, "online", move || told.tell(News::RetryNow)));
            let told = Rc::clone(&state);
            listeners.extend(Listener::new(&target, "pageshow", move || told.tell(News::Look)));
        }
        if let Some(document) = document {
            let (told, page, clock) = (Rc::clone(&state), document.clone(), Web::default());
            let mut hidden_since = document.hidden().then(|| clock.now());
            let changed = move || {
                if page.hidden() {
                    hidden_since.get_or_insert_with(|| clock.now());
                } else if let Some(since) = hidden_since.take() {
                    told.tell(if is_long(since, clock.now()) { News::RetryNow } else { News::Look });
                }
            };
            listeners.extend(Listener::new(&document, "visibilitychange", changed));
        }
        Self { state, _listeners: listeners }
    }

    fn poll(&self, context: &Context<'_>) -> Option<News> {
        self.state.signal.poll(context).then(|| self.state.news.take()).flatten()
    }
}

/// By either clock, like every wait.
fn is_long(since: Now, now: Now) -> bool {
    let limit = LONG_HIDDEN.as_millis();
    let wall = now.unix.as_millis().saturating_sub(since.unix.as_millis());
    now.monotonic.saturating_since(since.monotonic).as_millis() > limit
        || u128::try_from(wall).is_ok_and(|wall| wall > limit)
}

/// One listener of a page, removed when it is dropped.
struct Listener {
    target: EventTarget,
    event: &'static str,
    callback: Closure<dyn FnMut()>,
}

impl Listener {
    /// `None`: the target has no events, so it tells nothing.
    fn new(target: &EventTarget, event: &'static str, told: impl FnMut() + 'static) -> Option<Self> {
        let callback = Closure::<dyn FnMut()>::new(told);
        target.add_event_listener_with_callback(event, callback.as_ref().unchecked_ref()).ok()?;
        Some(Self { target: target.clone(), event, callback })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It cannot fail, and if it did, the callback would tell a state that nobody reads.
        let _ = self.target.remove_event_listener_with_callback(self.event, self.callback.as_ref().unchecked_ref());
    }
}
