//! The last notices, and the listeners.

use std::collections::VecDeque;
use std::mem;
use std::task::{Poll, Waker};

use acs_common::Notice;
use slab::Slab;

use crate::effects::Effects;

/// How many notices are kept for a slow listener.
const KEPT: usize = 64;

/// Notices are kept only while there is a listener.
#[derive(Default)]
pub(crate) struct Listeners {
    kept: VecDeque<Notice>,
    /// The number of the oldest notice kept.
    first: u64,
    listeners: Slab<Listener>,
    ended: bool,
}

struct Listener {
    next: u64,
    waker: Option<Waker>,
}

impl Listeners {
    pub(crate) fn push(&mut self, notice: Notice, effects: &mut Effects) {
        if self.ended {
            return;
        }
        let last = matches!(notice, Notice::Disposed);
        if !self.listeners.is_empty() {
            self.kept.push_back(notice);
            if self.kept.len() > KEPT {
                self.first += 1;
                self.kept.pop_front().into_iter().for_each(|lost| effects.drop_notice(lost));
            }
            self.wake(effects);
        }
        if last {
            self.end(effects);
        }
    }

    /// No notice comes after this.
    pub(crate) fn end(&mut self, effects: &mut Effects) {
        self.ended = true;
        self.wake(effects);
    }

    fn wake(&mut self, effects: &mut Effects) {
        effects.wake(self.listeners.iter_mut().filter_map(|(_, listener)| listener.waker.take()));
    }

    pub(crate) fn subscribe(&mut self) -> usize {
        self.listeners.insert(Listener { next: self.first + self.kept.len() as u64, waker: None })
    }

    pub(crate) fn unsubscribe(&mut self, key: usize, effects: &mut Effects) {
        effects.drop_wakers(self.listeners.try_remove(key).and_then(|listener| listener.waker));
        if self.listeners.is_empty() {
            let kept = mem::take(&mut self.kept);
            self.first += kept.len() as u64;
            kept.into_iter().for_each(|notice| effects.drop_notice(notice));
        }
    }

    /// The next notice of a listener. If there is no notice, `waker` is called for the next one. `missed` counts the lost ones.
    pub(crate) fn poll_next(
        &mut self,
        key: usize,
        waker: Waker,
        missed: &mut u64,
        effects: &mut Effects,
    ) -> Poll<Option<Notice>> {
        let Some(listener) = self.listeners.get_mut(key) else {
            effects.drop_wakers([waker]);
            return Poll::Ready(None);
        };
        let lost = self.first.saturating_sub(listener.next);
        *missed += lost;
        listener.next += lost;
        let index = usize::try_from(listener.next - self.first).unwrap_or(usize::MAX);
        let notice = self.kept.get(index).cloned();
        if notice.is_some() || self.ended {
            listener.next += u64::from(notice.is_some());
            effects.drop_wakers([waker]);
            return Poll::Ready(notice);
        }
        effects.drop_wakers(match &mut listener.waker {
            Some(known) if known.will_wake(&waker) => Some(waker),
            known => known.replace(waker),
        });
        Poll::Pending
    }
}
