//! Panics of foreign code: wakers, refreshers, loggers, and what an error owns.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs foreign code; `None` if it panicked. Only the panic hook is told. The panic must not continue, because the caller
/// may be the driver, or a thread that already panics.
pub(crate) fn catch_panic<T>(foreign: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(foreign)).ok()
}
