//! What outlives a run.

use alloc::collections::VecDeque;

use super::event::EntryName;
use crate::backoff::Random;
use crate::time::{Monotonic, Now, Until};
use crate::token::Share;

/// So many rejected fences are remembered.
const MOST_REJECTED: usize = 8;

/// The first time for which a store that failed is left alone, and the longest, in milliseconds.
const FIRST_BACKOFF: u64 = 1_000;
const LONGEST_BACKOFF: u64 = 60_000;

/// What a credential keeps of its runs. The fence of the held token is not here: the token itself has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// The entry of the last run. The fences of different entries have nothing in common.
    entry: Option<EntryName>,
    /// Counts the entries.
    number: u32,
    /// Fences of tokens that were rejected here, until these expire.
    rejected: VecDeque<(u64, Monotonic)>,
    /// The store does not know of this rejection.
    unmarked: Option<(EntryName, u64)>,
    /// The store had something that cannot be read, and that was reported.
    unreadable: bool,
    failures: u32,
    /// Until when the store is left alone.
    backoff: Option<Until>,
}

impl Memory {
    /// A run is about this entry. Returns its number.
    pub(super) fn enter(&mut self, entry: &EntryName) -> u32 {
        if self.entry.as_ref() != Some(entry) {
            self.entry = Some(entry.clone());
            self.number = self.number.wrapping_add(1);
            self.rejected.clear();
            self.unreadable = false;
        }
        self.number
    }

    /// Remembers that the service rejected this token. A second report changes nothing.
    pub(super) fn reject(&mut self, token: Share, now: Now) {
        self.rejected.retain(|(_, ends)| *ends > now.monotonic);
        let Some(entry) = self.entry.clone().filter(|_| token.entry == self.number) else { return };
        if token.ends <= now.monotonic || self.is_rejected(token.fence, now) {
            return;
        }
        if self.rejected.len() == MOST_REJECTED {
            self.rejected.pop_front();
        }
        self.rejected.push_back((token.fence, token.ends));
        // A mark covers all fences below it.
        let fence = match &self.unmarked {
            Some((of, before)) if *of == entry => token.fence.max(*before),
            Some(_) | None => token.fence,
        };
        self.unmarked = Some((entry, fence));
    }

    pub(super) fn is_rejected(&self, fence: u64, now: Now) -> bool {
        self.rejected.iter().any(|(rejected, ends)| *rejected == fence && *ends > now.monotonic)
    }

    pub(super) fn unmarked(&self) -> Option<(EntryName, u64)> {
        self.unmarked.clone()
    }

    /// The store knows of the rejection.
    pub(super) fn marked(&mut self, entry: &EntryName, fence: u64) {
        self.unmarked.take_if(|(of, unmarked)| of == entry && *unmarked <= fence);
    }

    /// The store failed. Returns whether that is new.
    pub(super) fn fail(&mut self, random: &mut Random, now: Now) -> bool {
        let doubled = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        let backoff = random.shorten(FIRST_BACKOFF.saturating_mul(doubled).min(LONGEST_BACKOFF), 0.25);
        self.failures = self.failures.saturating_add(1);
        let end = now.plus(backoff);
        self.backoff = Some(self.backoff.map_or(end, |before| before.later(end, now)));
        self.failures == 1
    }

    /// The store did what a run needs. Returns whether that is new.
    pub(super) fn succeed(&mut self) -> bool {
        let had_failed = self.failures > 0;
        (self.failures, self.backoff) = (0, None);
        had_failed
    }

    /// Until when the store is left alone after its last failure.
    pub(super) fn backoff(&self, now: Now) -> Option<Until> {
        self.backoff.filter(|end| !end.has_come(now))
    }

    /// Forgets a backoff that is over, so that a clock that is set back does not start it again.
    pub(super) fn expire(&mut self, now: Now) {
        self.backoff.take_if(|end| end.has_come(now));
    }

    /// The store has something that cannot be read. Returns whether that is to be reported.
    pub(super) fn lose(&mut self) -> bool {
        !core::mem::replace(&mut self.unreadable, true)
    }

    pub(super) fn read(&mut self) {
        self.unreadable = false;
    }
}
