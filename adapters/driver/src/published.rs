//! The machine's snapshot, which is read without the lock.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use acs_common::{Snapshot, Token};

use crate::sync::{ArcSwapOption, AtomicU64};

/// The token, while a request would only return it and change nothing.
pub(crate) struct Published {
    snapshot: ArcSwapOption<Snapshot>,
    /// Counts the publications, for readers that keep a copy.
    version: AtomicU64,
}

impl Published {
    pub(crate) fn new() -> Self {
        Self { snapshot: ArcSwapOption::empty(), version: AtomicU64::new(0) }
    }

    /// The token that `look` finds in the last snapshot.
    pub(crate) fn token(&self, look: impl FnOnce(&Snapshot) -> Option<&Token>) -> Option<Token> {
        look(self.snapshot.load().as_deref()?).cloned()
    }

    /// The last snapshot and its version. While the version is the same, there is no newer snapshot.
    pub(crate) fn latest(&self) -> (u64, Option<Arc<Snapshot>>) {
        // In this order: a snapshot that is newer than its version is only fetched a second time.
        let version = self.version();
        (version, self.snapshot.load_full())
    }

    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Call it with the state locked. So an older snapshot cannot replace a newer one.
    pub(crate) fn publish(&self, snapshot: Option<Snapshot>) {
        let known = self.snapshot.load();
        let same = match (known.as_deref(), &snapshot) {
            (Some(known), Some(snapshot)) => known.ptr_eq(snapshot),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same {
            self.snapshot.store(snapshot.map(Into::into));
            self.version.fetch_add(1, Ordering::Release);
        }
    }
}
