//! What a run leaves to be done: its token is stored, its lease released, a mark sent. Nobody waits for it.

use alloc::vec::Vec;

use super::action::{SharingAction, StoreOperation};
use super::event::{EntryName, Owner, StoreAnswer, StoreCall};
use super::operation::Operation;
use super::record::Record;
use crate::secret::Secret;
use crate::time::{Monotonic, Now, UnixTime, Until};
use crate::token::Lifespan;

/// So many leases are released at a time. More would be of runs that follow one another faster than the store answers.
const MOST: usize = 4;

#[derive(Clone, Debug, Default)]
pub(super) struct Background {
    finishes: Vec<Finish>,
    mark: Option<(EntryName, u64, Operation)>,
}

/// A run's end, until the store knows of it, or the lease is over.
#[derive(Clone, Debug)]
struct Finish {
    entry: EntryName,
    owner: Owner,
    fence: u64,
    kept: Option<Kept>,
    ends: Until,
    /// The run's last operation. If it came after the release, it would take the lease again.
    after: Option<Operation>,
    operation: Option<Operation>,
    /// The first try does not wait for the store's backoff.
    tried: bool,
    /// When the operation was started: the life of the token counts from then.
    at: Now,
}

/// What the store is to keep of a token.
#[derive(Debug)]
pub(super) struct Kept {
    token: Secret,
    expires_on: Option<UnixTime>,
    /// The end of its life, as far as that is known.
    life: Until,
    valid: u64,
    known: bool,
    opaque: bool,
}

impl Kept {
    pub(super) fn new(token: Secret, life: &Lifespan, now: Now) -> Self {
        Self {
            token,
            expires_on: life.stated,
            life: now.plus(life.known.unwrap_or(life.left)),
            valid: life.left,
            known: life.known.is_some(),
            opaque: life.opaque,
        }
    }

    /// When the token expires that was accepted now.
    pub(super) fn valid_until(&self, now: Now) -> Monotonic {
        now.monotonic.saturating_add_millis(self.valid)
    }

    fn record(&self, now: Now) -> Option<Record> {
        let left = self.life.left(now);
        let record = || Record::of(self.token.copy(), self.expires_on, left, self.known, self.opaque);
        (left > 0).then(record)
    }
}

/// For tests that copy a whole world.
impl Clone for Kept {
    fn clone(&self) -> Self {
        Self { token: self.token.copy(), ..*self }
    }
}

impl Finish {
    fn is_due(&self, backoff: Option<Until>) -> bool {
        self.after.is_none() && self.operation.is_none() && (!self.tried || backoff.is_none())
    }
}

impl Background {
    pub(super) fn is_idle(&self) -> bool {
        self.finishes.is_empty() && self.mark.is_none()
    }

    #[expect(clippy::too_many_arguments, reason = "it is one operation")]
    pub(super) fn finish(
        &mut self,
        entry: EntryName,
        owner: Owner,
        fence: u64,
        kept: Option<Kept>,
        after: Option<Operation>,
        ends: Until,
        dropped: &mut Vec<StoreCall>,
    ) {
        if self.finishes.len() >= MOST {
            self.finishes.remove(0).drop(dropped);
        }
        let at = Now::new(Monotonic::default(), UnixTime::default());
        self.finishes.push(Finish { entry, owner, fence, kept, ends, after, operation: None, tried: false, at });
    }

    /// Tells the store of a rejection, once.
    pub(super) fn mark(&mut self, entry: EntryName, fence: u64, mark: Operation, dropped: &mut Vec<StoreCall>) {
        if let Some((_, _, before)) = self.mark.replace((entry, fence, mark)) {
            before.drop(dropped);
        }
    }

    /// The store answered. Returns what is marked now.
    pub(super) fn answered(&mut self, call: StoreCall, answer: &StoreAnswer, now: Now) -> Option<(EntryName, u64)> {
        let is_meant = |operation: &Operation| operation.told && operation.call == call;
        if matches!(answer, StoreAnswer::Finished) {
            self.finishes.retain(|finish| !finish.operation.as_ref().is_some_and(is_meant));
        }
        for finish in &mut self.finishes {
            if finish.after.take_if(|operation| is_meant(operation)).is_some() {
                finish.at = now;
            }
        }
        let is_marked = matches!(answer, StoreAnswer::Marked);
        let mark = self.mark.take_if(|(_, _, operation)| is_marked && is_meant(operation));
        mark.map(|(entry, fence, _)| (entry, fence))
    }

    /// The store failed. Returns whether an operation waited for it.
    pub(super) fn failed(&mut self, call: StoreCall) -> bool {
        let is_meant = |operation: &mut Operation| operation.told && operation.call == call;
        let mut failed = self.mark.take_if(|(_, _, operation)| is_meant(operation)).is_some();
        for finish in &mut self.finishes {
            failed |= finish.after.take_if(is_meant).is_some();
            failed |= finish.operation.take_if(is_meant).is_some();
        }
        failed
    }

    /// Gives up what had its time. Returns how many operations had no answer.
    pub(super) fn expire(&mut self, now: Now, dropped: &mut Vec<StoreCall>) -> usize {
        let is_over = |operation: &mut Operation| operation.until.has_come(now);
        let mut lost = Vec::new();
        lost.extend(self.mark.take_if(|(_, _, operation)| is_over(operation)).map(|(_, _, operation)| operation));
        for finish in &mut self.finishes {
            lost.extend(finish.after.take_if(is_over));
            lost.extend(finish.operation.take_if(is_over));
        }
        let failures = lost.len();
        lost.into_iter().for_each(|operation| operation.drop(dropped));
        let (ended, open) =
            core::mem::take(&mut self.finishes).into_iter().partition(|finish| finish.ends.has_come(now));
        self.finishes = open;
        let ended: Vec<Finish> = ended;
        ended.into_iter().for_each(|finish| finish.drop(dropped));
        failures
    }

    pub(super) fn is_due(&self, backoff: Option<Until>) -> bool {
        self.finishes.iter().any(|finish| finish.is_due(backoff))
    }

    pub(super) fn start(&mut self, operation: Operation, backoff: Option<Until>, now: Now) {
        if let Some(finish) = self.finishes.iter_mut().find(|finish| finish.is_due(backoff)) {
            (finish.operation, finish.tried, finish.at) = (Some(operation), true, now);
        }
    }

    /// When something follows from the time alone.
    pub(super) fn waits(&self, backoff: Option<Until>) -> impl Iterator<Item = Until> {
        let finishes = self.finishes.iter().flat_map(move |finish| {
            let until = |operation: &Option<Operation>| operation.as_ref().map(|operation| operation.until);
            let again = backoff.filter(|_| finish.after.is_none() && finish.operation.is_none());
            [Some(finish.ends), until(&finish.after), until(&finish.operation), again].into_iter().flatten()
        });
        finishes.chain(self.mark.as_ref().map(|(_, _, operation)| operation.until))
    }

    /// The action for an operation that the host does not know of.
    pub(super) fn poll(&mut self) -> Option<SharingAction> {
        if let Some((entry, fence, mark)) = &mut self.mark
            && let Some(action) = mark.tell(entry.clone(), StoreOperation::Mark { fence: *fence })
        {
            return Some(action);
        }
        self.finishes.iter_mut().find_map(|finish| {
            let operation = finish.operation.as_mut().filter(|operation| !operation.told)?;
            let record = finish.kept.as_ref().and_then(|kept| kept.record(finish.at));
            let (owner, fence) = (finish.owner, finish.fence);
            operation.tell(finish.entry.clone(), StoreOperation::Finish { owner, fence, record })
        })
    }
}

impl Finish {
    fn drop(self, dropped: &mut Vec<StoreCall>) {
        [self.after, self.operation].into_iter().flatten().for_each(|operation| operation.drop(dropped));
    }
}
