//! The waiting requests. A round is a group of requests that is one waiter for the machine.
//!
//! Each round is one waiter, however many requests join it. A cancelled request leaves its round. The machine is told
//! only when the last request leaves.

use std::mem;
use std::task::Waker;

use acs_common::{Error, Token};
use slab::Slab;

use crate::effects::Effects;
use crate::spans::Asker;

/// Where a request waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) round: usize,
    request: usize,
    /// Since when the request waits.
    #[cfg(feature = "metrics")]
    pub(crate) since: Option<acs_common::Monotonic>,
}

#[cfg(feature = "metrics")]
impl Place {
    pub(crate) fn since(self, since: acs_common::Monotonic) -> Self {
        Self { since: Some(since), ..self }
    }
}

/// The reply to all requests of a round.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Each request gets the token held when it fetches the reply. Until then the token may have expired.
    Granted,
    Refused(Error),
}

#[derive(Default)]
pub(crate) struct Requests {
    rounds: Slab<Round>,
    /// The round that new requests join.
    open: Option<usize>,
    /// The same for requests for another token than this one, which is held.
    open_for_another: Option<(usize, Token)>,
    /// How many rounds there have been.
    opened: u64,
}

#[derive(Default)]
struct Round {
    /// The wakers of its requests, until they are woken.
    waiting: Slab<Option<Waker>>,
    reply: Option<Reply>,
    /// How many requests have a place here, with or without a reply.
    size: usize,
    /// Who opened it, until it has its reply.
    asker: Asker,
    number: u64,
}

impl Requests {
    /// Takes a place in the open round, or in the one for another token than `than`. The flag says whether the round is new.
    pub(crate) fn enter(&mut self, than: Option<&Token>, asker: &Asker) -> (Place, bool) {
        let is_meant = |(_, other): &&(usize, Token)| than.is_some_and(|than| than.ptr_eq(other));
        let known = match than {
            None => self.open,
            Some(_) => self.open_for_another.as_ref().filter(is_meant).map(|(key, _)| *key),
        };
        let key = known.unwrap_or_else(|| {
            self.opened = self.opened.wrapping_add(1);
            self.rounds.insert(Round { asker: asker.clone(), number: self.opened, ..Round::default() })
        });
        match than {
            None => self.open = Some(key),
            Some(than) => self.open_for_another = Some((key, than.clone())),
        }
        // An open round has requests, so it exists.
        let request = self.rounds.get_mut(key).map_or(0, |round| {
            round.size += 1;
            round.waiting.insert(None)
        });
        let place = Place {
            round: key,
            request,
            #[cfg(feature = "metrics")]
            since: None,
        };
        (place, known.is_none())
    }

    /// Later requests get a new round, because they wait for another result.
    pub(crate) fn close(&mut self) {
        (self.open, self.open_for_another) = (None, None);
    }

    fn close_round(&mut self, round: usize) {
        self.open.take_if(|open| *open == round);
        self.open_for_another.take_if(|(open, _)| *open == round);
    }

    /// Sets the waker of a waiting request, in place of its earlier one.
    pub(crate) fn wait(&mut self, place: Place, waker: Waker, effects: &mut Effects) {
        let known = self.rounds.get_mut(place.round).and_then(|round| round.waiting.get_mut(place.request));
        effects.drop_wakers(match known {
            Some(Some(known)) if known.will_wake(&waker) => Some(waker),
            Some(known) => known.replace(waker),
            // Cannot happen: a request has its place until it takes its reply or leaves.
            None => Some(waker),
        });
    }

    pub(crate) fn answer(&mut self, round: usize, reply: Reply, effects: &mut Effects) {
        self.close_round(round);
        if let Some(round) = self.rounds.get_mut(round) {
            round.reply = Some(reply);
            effects.drop_askers([mem::take(&mut round.asker)]);
            effects.wake(mem::take(&mut round.waiting).into_iter().filter_map(|(_, waker)| waker));
        }
    }

    /// Takes the reply to a request, which then leaves. `None`: the request still waits.
    pub(crate) fn take_reply(&mut self, place: Place) -> Option<Reply> {
        let round = self.rounds.get_mut(place.round)?;
        let reply = round.reply.clone()?;
        round.size -= 1;
        if round.size > 0 {
            return Some(reply);
        }
        // Return the stored reply, not the clone: dropping the last copy of an error here would run foreign code.
        self.remove(place.round)?.reply
    }

    /// Ends a request, with or without a reply. Returns its round if the round now has no request and no reply.
    pub(crate) fn leave(&mut self, place: Place, effects: &mut Effects) -> Option<usize> {
        let round = self.rounds.get_mut(place.round)?;
        effects.drop_wakers(round.waiting.try_remove(place.request).flatten());
        round.size -= 1;
        if round.size > 0 {
            return None;
        }
        let round = self.remove(place.round)?;
        effects.drop_askers([round.asker]);
        match round.reply {
            Some(Reply::Refused(error)) => effects.drop_error(error),
            Some(Reply::Granted) => {}
            None => return Some(place.round),
        }
        None
    }

    /// Who asked first of those who wait.
    pub(crate) fn first_asker(&self) -> Option<&Asker> {
        let waiting = self.rounds.iter().map(|(_, round)| round).filter(|round| round.reply.is_none());
        waiting.min_by_key(|round| round.number).map(|round| &round.asker)
    }

    /// The rounds that wait.
    pub(crate) fn waiting(&self) -> Vec<usize> {
        let waits = |(key, round): (usize, &Round)| round.reply.is_none().then_some(key);
        self.rounds.iter().filter_map(waits).collect()
    }

    /// Removes a round. When the last round goes, the memory is freed.
    fn remove(&mut self, round: usize) -> Option<Round> {
        self.close_round(round);
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

    /// Fails when a cancelled request looks at all others (then the test takes minutes), tells the machine while others wait,
    /// or leaves something behind.
    #[test]
    fn many_requests_are_cancelled_in_any_order_and_the_machine_is_told_of_the_last() {
        let orders: [fn(usize) -> usize; 3] = [
            |turn| turn,
            |turn| MANY - 1 - turn,
            // In a mixed order, each once: the step and the number of requests have no common factor.
            |turn| turn * 77_773 % MANY,
        ];
        for order in orders {
            let (mut requests, mut effects) = (Requests::default(), Effects::default());
            let places: Vec<_> = (0..MANY).map(|_| requests.enter(None, &Asker::default())).collect();
            assert_eq!(places.iter().filter(|(_, is_new)| *is_new).count(), 1);
            let told = (0..MANY).filter(|turn| requests.leave(places[order(*turn)].0, &mut effects).is_some());
            assert_eq!(told.collect::<Vec<_>>(), [MANY - 1]);
            assert!(requests.rounds.is_empty() && requests.open.is_none());
        }
    }
}
