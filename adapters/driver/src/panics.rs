//! Panics of foreign code: wakers, refreshers, loggers, whatever an error owns.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs foreign code; `None` if it panicked. Only the panic hook hears of that: the caller may be the driver, or already
/// panicking.
pub(crate) fn catch_panic<T>(foreign: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(foreign)).ok()
}
