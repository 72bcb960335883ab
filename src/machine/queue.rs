//! First in, first out, and nearly always empty: then there is nothing on the heap.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::fmt;
use core::mem;

/// With one of them in place, for what is never empty for long.
#[derive(Clone)]
pub(super) struct Queue<T> {
    first: Option<T>,
    /// Whatever comes after the first.
    rest: Rare<T>,
}

/// With none of them in place. Never an empty one on the heap, so that a storm leaves nothing behind.
#[derive(Clone)]
#[expect(clippy::box_collection, reason = "a machine has several, and nearly never one of these")]
pub(super) struct Rare<T>(Option<Box<VecDeque<T>>>);

impl<T> Queue<T> {
    pub(super) const fn new() -> Self {
        Self { first: None, rest: Rare::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn push(&mut self, item: T) {
        if self.first.is_none() {
            self.first = Some(item);
        } else {
            self.rest.push(item);
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        mem::replace(&mut self.first, self.rest.pop())
    }

    /// Takes out the first one of which that is true.
    pub(super) fn remove(&mut self, mut is_it: impl FnMut(&T) -> bool) -> Option<T> {
        if self.first.as_ref().is_some_and(&mut is_it) { self.pop() } else { self.rest.remove(is_it) }
    }

    pub(super) fn take(&mut self) -> Self {
        mem::replace(self, Self::new())
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(self.rest.iter())
    }
}

impl<T> Rare<T> {
    pub(super) const fn new() -> Self {
        Self(None)
    }

    pub(super) fn push(&mut self, item: T) {
        self.0.get_or_insert_default().push_back(item);
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let item = self.0.as_mut()?.pop_front();
        self.trim();
        item
    }

    pub(super) fn remove(&mut self, is_it: impl FnMut(&T) -> bool) -> Option<T> {
        let items = self.0.as_mut()?;
        let item = items.iter().position(is_it).and_then(|index| items.remove(index));
        self.trim();
        item
    }

    fn trim(&mut self) {
        self.0.take_if(|items| items.is_empty());
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|items| items.iter())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flat_map(|items| items.iter_mut())
    }
}

impl<T> Extend<T> for Queue<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
    }
}

impl<T> IntoIterator for Queue<T> {
    type Item = T;
    type IntoIter = core::iter::Chain<core::option::IntoIter<T>, alloc::collections::vec_deque::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest.0.map(|rest| *rest).unwrap_or_default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Rare<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Op {
        Push,
        Pop,
        Remove(u8),
        Take,
    }

    proptest! {
        /// Bites when what was pushed first is not popped first, when the wrong one is removed, when an empty `rest` stays, or when
        /// something in it does not show.
        #[test]
        fn it_is_a_queue_and_of_one_at_most_it_has_nothing_on_the_heap(ops in prop::collection::vec(
            prop_oneof![6 => Just(Op::Push), 4 => Just(Op::Pop), 3 => (0..8_u8).prop_map(Op::Remove), 1 => Just(Op::Take)],
            1..60,
        )) {
            let (mut queue, mut model) = (Queue::new(), VecDeque::new());
            for (number, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Push => {
                        queue.push(number);
                        model.push_back(number);
                    }
                    Op::Pop => prop_assert_eq!(queue.pop(), model.pop_front()),
                    Op::Remove(index) => {
                        let wanted = model.remove(index.into());
                        prop_assert_eq!(queue.remove(|item| Some(*item) == wanted), wanted);
                    }
                    Op::Take => prop_assert_eq!(queue.take().into_iter().collect::<VecDeque<_>>(), mem::take(&mut model)),
                }
                prop_assert!(queue.iter().eq(&model));
                prop_assert_eq!(queue.is_empty(), model.is_empty());
                prop_assert_eq!(queue.rest.0.is_some(), model.len() > 1);
                prop_assert_eq!(format!("{queue:?}"), format!("{model:?}"));
                let rest: Vec<_> = model.iter().skip(1).collect();
                prop_assert_eq!(format!("{:?}", queue.rest), format!("{rest:?}"));
            }
        }
    }
}
