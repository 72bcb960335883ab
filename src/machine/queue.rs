//! First in, first out. A machine has several queues, which are nearly always empty, so an empty one is small.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::fmt;
use core::mem;

#[derive(Clone)]
#[expect(clippy::box_collection, reason = "a machine has several queues, and seldom a second item in one")]
pub(super) struct Queue<T> {
    first: Option<T>,
    /// The items after the first. `None` instead of an empty one, so that a storm of requests leaves no memory allocated.
    rest: Option<Box<VecDeque<T>>>,
}

impl<T> Queue<T> {
    pub(super) const fn new() -> Self {
        Self { first: None, rest: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn push(&mut self, item: T) {
        if self.first.is_none() {
            self.first = Some(item);
        } else {
            self.rest.get_or_insert_default().push_back(item);
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let next = self.rest.as_mut().and_then(|rest| rest.pop_front());
        self.trim();
        mem::replace(&mut self.first, next)
    }

    /// Removes the first item for which this is true.
    pub(super) fn remove(&mut self, mut is_meant: impl FnMut(&T) -> bool) -> Option<T> {
        if self.first.as_ref().is_some_and(&mut is_meant) {
            return self.pop();
        }
        let rest = self.rest.as_mut()?;
        let item = rest.iter().position(is_meant).and_then(|index| rest.remove(index));
        self.trim();
        item
    }

    /// Removes all items.
    pub(super) fn take(&mut self) -> impl Iterator<Item = T> + use<T> {
        let mut taken = mem::replace(self, Self::new());
        core::iter::from_fn(move || taken.pop())
    }

    #[inline]
    pub(super) fn any(&self, mut is_meant: impl FnMut(&T) -> bool) -> bool {
        // Nearly always empty: an iterator over both parts costs more.
        let Some(first) = &self.first else { return false };
        is_meant(first) || self.rest.as_ref().is_some_and(|rest| rest.iter().any(is_meant))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(self.rest.iter_mut().flat_map(|rest| rest.iter_mut()))
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }

    fn trim(&mut self) {
        self.rest.take_if(|rest| rest.is_empty());
    }
}

impl<T: fmt::Debug> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Fails when what was pushed first is not popped first, when the wrong one is removed, when an empty `rest` stays, or
        /// when one of them does not show.
        #[test]
        fn it_is_a_queue_with_nothing_on_the_heap_for_one_at_most(ops in prop::collection::vec(0..15_usize, 1..60)) {
            let (mut queue, mut model) = (Queue::new(), VecDeque::new());
            for (number, op) in ops.into_iter().enumerate() {
                match op {
                    0..6 => {
                        queue.push(number);
                        model.push_back(number);
                    }
                    6..10 => prop_assert_eq!(queue.pop(), model.pop_front()),
                    10..14 => {
                        let meant = model.remove(op & 3);
                        prop_assert_eq!(queue.remove(|item| Some(*item) == meant), meant);
                    }
                    _ => prop_assert!(queue.take().eq(model.drain(..))),
                }
                prop_assert!(queue.iter_mut().map(|item| *item).eq(model.iter().copied()));
                prop_assert_eq!(queue.any(|item| *item == number), model.contains(&number));
                prop_assert_eq!((queue.is_empty(), queue.rest.is_some()), (model.is_empty(), model.len() > 1));
                prop_assert_eq!(format!("{queue:?}"), format!("{model:?}"));
            }
        }
    }
}
