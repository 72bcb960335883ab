//! What is in front of the lock: the machine's snapshot.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use acs_common::{Snapshot, Token};

use crate::sync::{ArcSwapOption, AtomicU64};

/// The token, while a request would do no more than return it.
pub(crate) struct Published {
    snapshot: ArcSwapOption<Snapshot>,
    /// Counts what was published, for those who keep a copy.
    version: AtomicU64,
}

impl Published {
    pub(crate) fn new() -> Self {
        Self { snapshot: ArcSwapOption::empty(), version: AtomicU64::new(0) }
    }

    /// The token of what was published last, if `look` finds it there.
    pub(crate) fn token(&self, look: impl FnOnce(&Snapshot) -> Option<&Token>) -> Option<Token> {
        look(self.snapshot.load().as_deref()?).cloned()
    }

    /// What was published last, and its version: as long as that does not change, there is nothing newer.
    pub(crate) fn latest(&self) -> (u64, Option<Arc<Snapshot>>) {
        // In this order: what is newer than its version is only fetched once more.
        let version = self.version();
        (version, self.snapshot.load_full())
    }

    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// To be called with the state locked, so that nothing older comes later.
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
