//! One operation of the store in flight.

use alloc::vec::Vec;

use super::action::{SharingAction, StoreOperation};
use super::event::{EntryName, StoreCall};
use crate::time::{Now, Until};

#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) call: StoreCall,
    pub(super) sent: Now,
    /// When it is given up.
    pub(super) until: Until,
    /// The host knows of it.
    pub(super) told: bool,
}

impl Operation {
    pub(super) fn new(call: StoreCall, allowance: u64, now: Now) -> Self {
        Self { call, sent: now, until: now.plus(allowance), told: false }
    }

    /// The milliseconds that are left of its time.
    pub(super) fn allowance(&self, now: Now) -> u64 {
        self.until.left(now)
    }

    /// The action, if the host does not know of it.
    pub(super) fn tell(&mut self, entry: EntryName, operation: StoreOperation) -> Option<SharingAction> {
        let is_new = !core::mem::replace(&mut self.told, true);
        is_new.then_some(SharingAction::CallStore { call: self.call, entry, operation, give_up: self.until })
    }

    /// Nobody waits for it. The host must drop it, if it knows of it.
    pub(super) fn drop(&self, dropped: &mut Vec<StoreCall>) {
        if self.told {
            dropped.push(self.call);
        }
    }
}

/// Milliseconds between two moments, by the clock that says more.
pub(super) fn elapsed(before: Now, now: Now) -> u64 {
    now.monotonic.millis_since(before.monotonic).max(now.unix.millis_since(before.unix))
}
