//! Who waits for the latest token.

use std::task::Waker;

use slab::Slab;

use crate::effects::Effects;

#[derive(Default)]
pub(crate) struct Watchers {
    watchers: Slab<Watcher>,
    /// How often another token was accepted.
    accepted: u64,
    ended: bool,
}

#[derive(Default)]
struct Watcher {
    /// The number of the token that it got last.
    seen: Option<u64>,
    waker: Option<Waker>,
}

impl Watchers {
    pub(crate) fn watch(&mut self) -> usize {
        self.watchers.insert(Watcher::default())
    }

    pub(crate) fn unwatch(&mut self, key: usize, effects: &mut Effects) {
        effects.drop_wakers(self.watchers.try_remove(key).and_then(|watcher| watcher.waker));
    }

    /// Another token is held.
    pub(crate) fn token_changed(&mut self, effects: &mut Effects) {
        self.accepted += 1;
        self.wake(effects);
    }

    /// No token comes after this.
    pub(crate) fn end(&mut self, effects: &mut Effects) {
        self.ended = true;
        self.wake(effects);
    }

    pub(crate) fn have_ended(&self) -> bool {
        self.ended
    }

    fn wake(&mut self, effects: &mut Effects) {
        effects.wake(self.watchers.iter_mut().filter_map(|(_, watcher)| watcher.waker.take()));
    }

    /// Whether the token that is held now is new for this watcher. Then it counts as seen.
    pub(crate) fn takes(&mut self, key: usize) -> bool {
        let latest = Some(self.accepted);
        self.watchers.get_mut(key).is_some_and(|watcher| std::mem::replace(&mut watcher.seen, latest) != latest)
    }

    pub(crate) fn wait(&mut self, key: usize, waker: Waker, effects: &mut Effects) {
        let known = self.watchers.get_mut(key).map(|watcher| &mut watcher.waker);
        effects.drop_wakers(match known {
            Some(Some(known)) if known.will_wake(&waker) => Some(waker),
            Some(known) => known.replace(waker),
            // Cannot happen: a stream is a watcher until it is dropped.
            None => Some(waker),
        });
    }
}
