//! What an entry holds, and what the operations make of it (contract, rules 1 to 4): plain data, without I/O and without a clock.
//! Files and the store in memory use it; the scripts for Redis say the same in Lua.

use std::time::Duration;

use acs_common::sharing::Owner;

use crate::sealed::Sealed;
use crate::words::{Fence, Found, Loss, NewRecord, StoredRecord, Taken};

/// Times are milliseconds of the store's clock since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The greatest fence that was given.
    pub(crate) given: Fence,
    /// The greatest fence that was marked.
    pub(crate) marked: Fence,
    pub(crate) lease: Option<Lease>,
    pub(crate) record: Option<Kept>,
    /// What was stored and cannot be read.
    pub(crate) loss: Option<Loss>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) owner: Owner,
    pub(crate) fence: Fence,
    pub(crate) ends: u64,
    pub(crate) length: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) fence: Fence,
    pub(crate) written: u64,
    pub(crate) sealed: Sealed,
}

impl Entry {
    pub(crate) fn read(&self, now: u64) -> Found {
        let record = self.record.as_ref().map(|kept| {
            let age = Duration::from_millis(now.saturating_sub(kept.written));
            StoredRecord::new(kept.fence, kept.sealed.clone(), age, kept.fence <= self.marked)
        });
        Found { record, loss: self.loss }
    }

    /// Changes nothing if another owner has the lease.
    pub(crate) fn take(&mut self, owner: Owner, lease: Duration, now: u64) -> Taken {
        let mut fence = None;
        if let Some(held) = self.lease {
            let left = held.ends.saturating_sub(now);
            if held.owner == owner {
                fence = Some(held.fence);
            } else if left > 0 && left <= held.length {
                return Taken::Held { left: Duration::from_millis(left), found: self.read(now) };
            }
        }
        let fence = fence.unwrap_or_else(|| self.next_fence(now));
        let length = whole_millis(lease);
        self.given = self.given.max(fence);
        self.lease = Some(Lease { owner, fence, ends: now.saturating_add(length), length });
        Taken::Granted { fence, found: self.read(now) }
    }

    pub(crate) fn finish(&mut self, owner: Owner, fence: Fence, record: Option<NewRecord>, now: u64) {
        if let Some(record) = record {
            // The same fence again is a repetition, which must not make the record younger.
            let replaces = self.record.as_ref().is_none_or(|kept| kept.fence < fence);
            if replaces {
                self.record = Some(Kept { fence, written: now, sealed: record.sealed });
                self.loss = None;
            }
        }
        if self.lease.is_some_and(|lease| lease.owner == owner) {
            self.lease = None;
        }
    }

    pub(crate) fn mark(&mut self, fence: Fence) {
        if fence <= self.given {
            self.marked = self.marked.max(fence);
        }
    }

    fn next_fence(&self, now: u64) -> Fence {
        let record = self.record.as_ref().map_or(Fence::default(), |kept| kept.fence);
        let highest = self.given.max(self.marked).max(record);
        Fence::new(highest.get().saturating_add(1).max(now)).unwrap_or(Fence::MAX)
    }
}

/// Rounded up, and at least one, so that a lease does not end before it was asked to.
pub(crate) fn whole_millis(duration: Duration) -> u64 {
    let millis = duration.as_nanos().div_ceil(1_000_000).clamp(1, u128::from(MAX_DURATION));
    // The bound fits.
    u64::try_from(millis).unwrap_or(MAX_DURATION)
}

/// A year: longer than any lease, and than any token lives.
pub(crate) const MAX_DURATION: u64 = 366 * 24 * 3_600_000;
