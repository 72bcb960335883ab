//! The requests that wait, and the rounds by which the machine knows them.
//!
//! The machine is told of one waiter a round, however many requests join it. So a request that is given up leaves its round,
//! and the machine hears of it only if it was the last one there.

use std::mem;
use std::task::Waker;

use acs_common::Error;
use slab::Slab;

use crate::effects::Effects;

/// Where a request waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) round: usize,
    request: usize,
}

/// What all requests of a round get.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// The token held when they come for it: in between it may have expired.
    Granted,
    Refused(Error),
}

#[derive(Default)]
pub(crate) struct Requests {
    rounds: Slab<Round>,
    /// The one that requests join.
    open: Option<usize>,
}

#[derive(Default)]
struct Round {
    /// The tasks of its requests, until they are woken.
    waiting: Slab<Option<Waker>>,
    reply: Option<Reply>,
    /// How many requests have a place here, answered or not.
    size: usize,
}

impl Requests {
    /// A place in the open round, and whether that is a new one.
    pub(crate) fn enter(&mut self) -> (Place, bool) {
        let known = self.open;
        let key = known.unwrap_or_else(|| self.rounds.insert(Round::default()));
        self.open = Some(key);
        // An open round has requests, and so its place.
        let request = self.rounds.get_mut(key).map_or(0, |round| {
            round.size += 1;
            round.waiting.insert(None)
        });
        (Place { round: key, request }, known.is_none())
    }

    /// Later requests wait for something else, and get a round of their own.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    /// Has a request that waits call `waker`, and no earlier one, once it is answered.
    pub(crate) fn wait(&mut self, place: Place, waker: Waker, effects: &mut Effects) {
        let known = self.rounds.get_mut(place.round).and_then(|round| round.waiting.get_mut(place.request));
        effects.drop_wakers(match known {
            Some(Some(known)) if known.will_wake(&waker) => Some(waker),
            Some(known) => known.replace(waker),
            // Never: a request has its place until it has its reply, or leaves.
            None => Some(waker),
        });
    }

    pub(crate) fn answer(&mut self, round: usize, reply: Reply, effects: &mut Effects) {
        self.open.take_if(|open| *open == round);
        if let Some(round) = self.rounds.get_mut(round) {
            round.reply = Some(reply);
            effects.wake(mem::take(&mut round.waiting).into_iter().filter_map(|(_, waker)| waker));
        }
    }

    /// The reply to a request, which leaves with it; `None` as long as it waits.
    pub(crate) fn take_reply(&mut self, place: Place) -> Option<Reply> {
        let round = self.rounds.get_mut(place.round)?;
        let reply = round.reply.clone()?;
        round.size -= 1;
        if round.size > 0 {
            return Some(reply);
        }
        // Not the clone, whose end would be that of the error it shares.
        self.remove(place.round)?.reply
    }

    /// Ends a request, answered or not. Its round, if that is left without a request and without a reply.
    pub(crate) fn leave(&mut self, place: Place, effects: &mut Effects) -> Option<usize> {
        let round = self.rounds.get_mut(place.round)?;
        effects.drop_wakers(round.waiting.try_remove(place.request).flatten());
        round.size -= 1;
        if round.size > 0 {
            return None;
        }
        match self.remove(place.round)?.reply {
            Some(Reply::Refused(error)) => effects.drop_error(error),
            Some(Reply::Granted) => {}
            None => return Some(place.round),
        }
        None
    }

    /// The rounds that wait.
    pub(crate) fn waiting(&self) -> Vec<usize> {
        let waits = |(key, round): (usize, &Round)| round.reply.is_none().then_some(key);
        self.rounds.iter().filter_map(waits).collect()
    }

    /// When nobody waits any more, their places are given back to the heap.
    fn remove(&mut self, round: usize) -> Option<Round> {
        self.open.take_if(|open| *open == round);
        let removed = self.rounds.try_remove(round);
        if self.rounds.is_empty() {
            self.rounds = Slab::new();
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 200_000;

    /// Fails when giving one up looks at the others (it then takes minutes), has the machine told although others wait, or
    /// leaves something behind.
    #[test]
    fn many_are_given_up_in_any_order_and_the_machine_hears_of_the_last() {
        let orders: [fn(usize) -> usize; 3] = [
            |turn| turn,
            |turn| MANY - 1 - turn,
            // All over the place, and each once: the step and their number have no factor in common.
            |turn| turn * 77_773 % MANY,
        ];
        for order in orders {
            let (mut requests, mut effects) = (Requests::default(), Effects::default());
            let places: Vec<_> = (0..MANY).map(|_| requests.enter()).collect();
            assert_eq!(places.iter().filter(|(_, is_new)| *is_new).count(), 1);
            let told = (0..MANY).filter(|turn| requests.leave(places[order(*turn)].0, &mut effects).is_some());
            assert_eq!(told.collect::<Vec<_>>(), [MANY - 1]);
            assert!(requests.rounds.is_empty() && requests.open.is_none());
        }
    }
}
