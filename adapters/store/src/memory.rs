//! A store in memory, for tests.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acs_common::sharing::Owner;
use futures_core::Stream;

use crate::entry::Entry;
use crate::name::EntryName;
use crate::store::{Hints, Store, StoreFuture};
use crate::words::{Fence, Found, NewRecord, Taken};

/// A store in the memory of this process, for your tests: clones share their entries, as processes share a server. It is never down
/// and never slow. It keeps what it gets until its last clone is dropped.
///
/// Its operations are done when they are called, and need no runtime.
///
/// ```
/// use acs_common_store::{MemoryStore, NamingKey, SealingKeys, SharedStore};
///
/// let store = MemoryStore::new();
/// let naming = NamingKey::from_base64("cz6Q7dHkgGqVUPq4kd+mkLc7vC4gT1m1Yq0wT7m6iJ8=")?;
/// let sealing = SealingKeys::from_base64(1, "nVQk0KYqDx9dZ3WxEw9zmd5TMuLx3cTjRkqyhZ1MPks=")?;
/// // What two processes would share.
/// let first = SharedStore::new(store.clone(), naming.clone(), sealing.clone());
/// let second = SharedStore::new(store, naming, sealing);
/// # drop((first, second));
/// # Ok::<(), acs_common_store::KeyError>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

#[derive(Default)]
struct Shared {
    entries: HashMap<EntryName, Entry>,
    watchers: HashMap<EntryName, Vec<Arc<Mutex<Watcher>>>>,
}

#[derive(Default)]
struct Watcher {
    hinted: bool,
    waker: Option<Waker>,
}

impl MemoryStore {
    /// An empty store on the system's clock.
    #[must_use]
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    pub fn new() -> Self {
        Self::with_clock(SystemTime::now)
    }

    /// An empty store on a clock of your own, which a test can set.
    ///
    /// ```
    /// use acs_common_store::{Found, MemoryStore};
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::sync::Arc;
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// let seconds = Arc::new(AtomicU64::new(1_764_259_200));
    /// let clock = Arc::clone(&seconds);
    /// let store = MemoryStore::with_clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed)));
    /// seconds.fetch_add(60, Ordering::Relaxed);
    /// # drop(store);
    /// ```
    pub fn with_clock(clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { shared: Arc::default(), clock: Arc::new(clock) }
    }

    /// Forgets all entries, as a server without persistence does when it restarts.
    pub fn forget(&self) {
        self.locked(|shared| shared.entries.clear());
    }

    fn now(&self) -> u64 {
        let since = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Shared) -> T) -> T {
        // Nothing panics while the lock is held.
        work(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn entry<T: Send + 'static>(&self, name: &EntryName, work: impl FnOnce(&mut Entry, u64) -> T) -> StoreFuture<T> {
        let now = self.now();
        let done = self.locked(|shared| work(shared.entries.entry(name.clone()).or_default(), now));
        Box::pin(std::future::ready(Ok(done)))
    }

    fn hint(&self, name: &EntryName) {
        let watchers = self.locked(|shared| {
            let watchers = shared.watchers.get_mut(name)?;
            forget_dropped(watchers);
            Some(watchers.clone())
        });
        for watcher in watchers.into_iter().flatten() {
            let waker = {
                let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
                watcher.hinted = true;
                watcher.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<EntryName> = self.locked(|shared| shared.entries.keys().cloned().collect());
        f.debug_tuple("MemoryStore").field(&names).finish()
    }
}

impl Store for MemoryStore {
    fn read(&self, name: &EntryName) -> StoreFuture<Found> {
        self.entry(name, |entry, now| entry.read(now))
    }

    fn take(&self, name: &EntryName, owner: Owner, lease: Duration) -> StoreFuture<Taken> {
        self.entry(name, |entry, now| entry.take(owner, lease, now))
    }

    fn finish(&self, name: &EntryName, owner: Owner, fence: Fence, record: Option<NewRecord>) -> StoreFuture<()> {
        if let Some(too_large) = record.as_ref().and_then(NewRecord::too_large) {
            return Box::pin(std::future::ready(Err(too_large)));
        }
        let done = self.entry(name, |entry, now| entry.finish(owner, fence, record, now));
        self.hint(name);
        done
    }

    fn mark(&self, name: &EntryName, fence: Fence) -> StoreFuture<()> {
        let done = self.entry(name, |entry, _| entry.mark(fence));
        self.hint(name);
        done
    }

    fn watch(&self, name: &EntryName) -> Option<Hints> {
        let watcher = Arc::new(Mutex::new(Watcher::default()));
        self.locked(|shared| {
            let watchers = shared.watchers.entry(name.clone()).or_default();
            forget_dropped(watchers);
            watchers.push(Arc::clone(&watcher));
        });
        Some(Box::pin(Watching(watcher)))
    }
}

fn forget_dropped(watchers: &mut Vec<Arc<Mutex<Watcher>>>) {
    // The other clone is the stream's.
    watchers.retain(|watcher| Arc::strong_count(watcher) > 1);
}

struct Watching(Arc<Mutex<Watcher>>);

impl Stream for Watching {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<()>> {
        let mut watcher = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut watcher.hinted) {
            return Poll::Ready(Some(()));
        }
        watcher.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
