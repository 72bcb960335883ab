//! What a credential must do on every runtime. Each adapter's tests include this suite beside a module `rt` for the
//! runtime (`Credential`, `run`, `run_with_threads`, `run_on_a_thread`, `sleep`, `spawn`).
//!
//! WebAssembly has no threads, and does not unwind. Tests that need one of these are not there.

#[cfg(not(target_family = "wasm"))]
mod blocking;
mod calls;
mod ending;
mod errors;
mod getting;
mod hostile;
#[cfg(not(target_family = "wasm"))]
mod panics;
mod readers;
mod replacing;
mod streams;
#[path = "../watched/mod.rs"]
mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use acs_common_driver::{Clock, NewToken, Notice, Notices, RefresherError};

use super::rt;

/// A token with this lifetime.
fn lasting(name: impl Into<String>, lifetime: Duration) -> NewToken {
    NewToken::new(name.into()).with_expires_in(lifetime)
}

const HOUR: Duration = Duration::from_secs(3_600);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The next notice that is not of the start of a refresh.
async fn result_of<C: Clock>(notices: &mut Notices<C>) -> Option<Notice> {
    loop {
        let notice = notices.next().await;
        if !matches!(notice, Some(Notice::RefreshStarted { .. })) {
            return notice;
        }
    }
}

/// Counts the calls of a refresher, and which of their futures are dropped.
#[derive(Clone, Default)]
struct Calls {
    started: Arc<AtomicUsize>,
    alive: Arc<AtomicUsize>,
}

impl Calls {
    /// A call that has started; it counts as alive until it is dropped.
    fn begin(&self) -> Call {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Call { number: self.started.fetch_add(1, Ordering::SeqCst) + 1, alive: Arc::clone(&self.alive) }
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }
}

struct Call {
    number: usize,
    alive: Arc<AtomicUsize>,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A refresher that takes `delay`, then returns the tokens `r1`, `r2`, … with a lifetime of an hour.
fn good(calls: &Calls, delay: Duration) -> impl FnMut() -> Refreshing + Send + use<> {
    let calls = calls.clone();
    move || {
        let call = calls.begin();
        Box::pin(async move {
            // The whole text, not only the number.
            let call = call;
            rt::sleep(delay).await;
            Ok(lasting(format!("r{}", call.number), HOUR))
        })
    }
}

type Refreshing = std::pin::Pin<Box<dyn Future<Output = Result<NewToken, RefresherError>> + Send>>;

/// Tells whether the owner of its guard has been dropped.
#[derive(Clone, Default)]
struct Dropped(Arc<AtomicBool>);

impl Dropped {
    fn guard(&self) -> impl Send + use<> {
        struct Guard(Arc<AtomicBool>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        Guard(Arc::clone(&self.0))
    }

    async fn soon(&self) -> bool {
        for _ in 0..200 {
            if self.0.load(Ordering::SeqCst) {
                return true;
            }
            rt::sleep(millis(5)).await;
        }
        false
    }
}
