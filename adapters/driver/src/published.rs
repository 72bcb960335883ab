//! What is in front of the machine: its snapshot, and the token once for each of several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use acs_common::{Snapshot, Token};

use crate::sync::{ArcSwapOption, AtomicU64};

/// How many threads can clone one token without waiting for each other's count.
const LANES: usize = 8;

/// The token, while a request would do no more than return it.
pub(crate) struct Front {
    published: ArcSwapOption<Published>,
    /// Counts what was published, for those who keep a copy.
    version: AtomicU64,
}

pub(crate) struct Published {
    pub(crate) snapshot: Snapshot,
    /// The token of each lane, made when a thread on it first gets that.
    tokens: [OnceLock<Token>; LANES],
}

impl Front {
    pub(crate) fn new() -> Self {
        Self { published: ArcSwapOption::empty(), version: AtomicU64::new(0) }
    }

    /// The token of what was published last, if `look` finds it there.
    pub(crate) fn token(&self, look: impl FnOnce(&Snapshot) -> Option<&Token>) -> Option<Token> {
        let published = self.published.load();
        let published = published.as_deref()?;
        look(&published.snapshot).map(|token| published.own(token))
    }

    /// What was published last, and its version: as long as that does not change, there is nothing newer.
    pub(crate) fn latest(&self) -> (u64, Option<Arc<Published>>) {
        // In this order: what is newer than its version is only fetched once more.
        let version = self.version();
        (version, self.published.load_full())
    }

    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// To be called with the state locked, so that nothing older comes later.
    pub(crate) fn publish(&self, snapshot: Option<Snapshot>) {
        let published = self.published.load();
        let same = match (published.as_deref(), &snapshot) {
            (Some(published), Some(snapshot)) => published.snapshot.is_same(snapshot),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same {
            self.published.store(snapshot.map(Published::new).map(Into::into));
            self.version.fetch_add(1, Ordering::Release);
        }
    }
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// Bites when a thread does not go to the emptiest lane, or stays on its own after its end.
    #[test]
    fn threads_spread_over_all_lanes_and_leave_them() {
        for _ in 0..3 {
            let (tell, lanes) = mpsc::channel();
            let threads = (0..2 * LANES).map(|_| {
                let (tell, (keep, end)) = (tell.clone(), mpsc::channel::<()>());
                let thread = thread::spawn(move || {
                    tell.send(LANE.with(|lane| lane.0)).expect("the test listens");
                    end.recv().expect_err("the test lets go");
                });
                // One after the other: two that come at once may choose the same.
                (lanes.recv().expect("a lane"), keep, thread)
            });
            let threads = threads.collect::<Vec<_>>();
            for lane in 0..LANES {
                assert_eq!(threads.iter().filter(|thread| thread.0 == lane).count(), 2, "on lane {lane}");
            }
            for (_, keep, thread) in threads {
                drop(keep);
                thread.join().expect("it ends");
            }
            assert!(THREADS.iter().all(|threads| threads.load(Ordering::Relaxed) == 0));
        }
    }
}
