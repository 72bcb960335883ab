//! The store in memory.

#[path = "conformance/mod.rs"]
mod conformance;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use acs_common_store::{EntryName, MemoryStore, Store};
use conformance::{Host, Rubbish};

struct Memory {
    ahead: Arc<AtomicI64>,
    store: MemoryStore,
}

impl Memory {
    fn new() -> Option<Self> {
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = Arc::clone(&ahead);
        let store = MemoryStore::with_clock(move || {
            let ahead = clock.load(Ordering::Relaxed);
            let by = Duration::from_millis(ahead.unsigned_abs());
            if ahead < 0 { SystemTime::now() - by } else { SystemTime::now() + by }
        });
        Some(Self { ahead, store })
    }
}

impl Host for Memory {
    fn store(&self) -> Box<dyn Store> {
        Box::new(self.store.clone())
    }

    fn run(&self, future: Pin<Box<dyn Future<Output = ()> + Send + '_>>) {
        futures_lite::future::block_on(future);
    }

    fn set_clock_ahead(&self, _: &EntryName, millis: i64) {
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }

    fn forget(&self) {
        self.store.forget();
    }

    fn plant(&self, _: &EntryName, _: Rubbish) -> bool {
        false
    }

    fn dump(&self) -> Vec<u8> {
        format!("{:?}", self.store).into_bytes()
    }
}

conformance!(Memory::new());
