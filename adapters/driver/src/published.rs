//! What is in front of the machine: its snapshot, and the token once for each of several threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use acs_common::{Snapshot, Token};

/// How many threads can clone one token without waiting for each other's count.
const LANES: usize = 8;

pub(crate) struct Published {
    pub(crate) snapshot: Snapshot,
    /// The token of each lane, made when a thread on it first gets that.
    tokens: [OnceLock<Token>; LANES],
}

impl Published {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, tokens: Default::default() }
    }

    /// The snapshot's token, for this thread to keep.
    pub(crate) fn own(&self, token: &Token) -> Token {
        // A thread that is about to end has left its lane.
        let lane = LANE.try_with(|lane| lane.0).unwrap_or(0);
        self.tokens[lane].get_or_init(|| token.with_own_count()).clone()
    }
}

thread_local!(static LANE: Lane = Lane::enter());

/// How many threads are on each.
static THREADS: [AtomicUsize; LANES] = [const { AtomicUsize::new(0) }; LANES];

struct Lane(usize);

impl Lane {
    fn enter() -> Self {
        let emptiest = (0..LANES).min_by_key(|lane| THREADS[*lane].load(Ordering::Relaxed)).unwrap_or(0);
        THREADS[emptiest].fetch_add(1, Ordering::Relaxed);
        Self(emptiest)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        THREADS[self.0].fetch_sub(1, Ordering::Relaxed);
    }
}
