//! In the place of the driver's own `sync`.

use std::sync::Arc;

pub(crate) use shuttle::sync::atomic::AtomicU64;
pub(crate) use shuttle::sync::{Mutex, MutexGuard, PoisonError};
pub(crate) use shuttle::thread_local;

/// As much of the real one as the driver uses. Each access is a step between which others may come; how the real one
/// does without a lock is its own affair.
pub(crate) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

impl<T> ArcSwapOption<T> {
    pub(crate) fn empty() -> Self {
        Self(Mutex::new(None))
    }

    pub(crate) fn load(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        self.load()
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        // What is replaced is dropped with the lock released.
        let _replaced = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), value);
    }
}
