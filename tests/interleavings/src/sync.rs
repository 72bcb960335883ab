//! Replaces the driver's `sync`.

use std::sync::Arc;

pub(crate) use shuttle::sync::atomic::AtomicU64;
pub(crate) use shuttle::sync::{Mutex, MutexGuard, PoisonError};
pub(crate) use shuttle::thread_local;

/// The part of the real type that the driver uses. Each access is a step, and other threads may run between the steps.
/// This does not test how the real type works without a lock.
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
        // The old value is dropped after the lock is released.
        let _replaced = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), value);
    }
}
