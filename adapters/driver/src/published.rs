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
