//! Which drivers are at work on this thread. A request that their work makes must not wait for the same driver.

use std::cell::RefCell;
use std::sync::Arc;

use crate::shared::Shared;
use crate::sync::thread_local;

thread_local! {
    /// The addresses of their shared states. One driver may run inside the work of another.
    static AT_WORK: RefCell<Vec<usize>> = RefCell::default();
}

/// A driver is at work on this thread until this is dropped.
pub(crate) struct AtWork(());

impl AtWork {
    pub(crate) fn mark<C>(shared: &Arc<Shared<C>>) -> Self {
        AT_WORK.with(|drivers| drivers.borrow_mut().push(address(shared)));
        Self(())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        AT_WORK.with(|drivers| drivers.borrow_mut().pop());
    }
}

/// Whether the caller is part of the work of this credential's driver.
pub(crate) fn is_at_work<C>(shared: &Arc<Shared<C>>) -> bool {
    AT_WORK.with(|drivers| drivers.borrow().contains(&address(shared)))
}

fn address<C>(shared: &Arc<Shared<C>>) -> usize {
    Arc::as_ptr(shared).addr()
}
