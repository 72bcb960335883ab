//! The modelled store: one entry, as the contract has it (rules 9.1 to 9.4). Faults can be put into it.

use std::time::Duration;

use acs_common::sharing::{Found, Owner, Record, StoreAnswer, StoreOperation};

/// What is wrong with a store, or with the host of a machine. A search must find each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// An older record replaces a newer one.
    FenceIgnored,
    /// The fence is lost with the record: the next one starts anew.
    FenceLost,
    /// A take is two commands: it reads, and writes later.
    TwoCommands,
    /// The found record is not told with a lease.
    NoSecondLook,
    /// A finish releases any lease.
    ReleasesAny,
    /// A finish clears the mark.
    ClearsMark,
    /// A mark is taken for a fence that was never given.
    MarksAnything,
    /// A lease with more left than its length stays held.
    TrustsTheClock,
    /// A finish that comes again makes the record younger.
    YoungerAgain,
    /// An extension has a new fence.
    NewFenceEachTime,
    /// A mark of the held token is taken for a rejection.
    MarkIsRejection,
    /// Owners come from a seed that all processes share.
    SeededOwner,
}

#[derive(Clone, Debug)]
pub enum Call {
    Read,
    Take { owner: Owner, lease: u64 },
    Finish { owner: Owner, fence: u64, record: Option<Record> },
    Mark { fence: u64 },
}

impl From<StoreOperation> for Call {
    fn from(operation: StoreOperation) -> Self {
        match operation {
            StoreOperation::Read => Self::Read,
            StoreOperation::Take { owner, lease } => Self::Take { owner, lease: lease.as_millis() as u64 },
            StoreOperation::Finish { owner, fence, record } => Self::Finish { owner, fence, record },
            StoreOperation::Mark { fence } => Self::Mark { fence },
        }
    }
}

/// What the store answers; it can be copied.
#[derive(Clone, Debug)]
pub enum Reply {
    Read(Seen),
    Granted(u64, Seen),
    Held(u64, Seen),
    Finished,
    Marked,
}

#[derive(Clone, Debug)]
pub struct Seen(pub Option<(Record, u64, u64, bool)>);

impl Seen {
    fn found(self) -> Found {
        match self.0 {
            None => Found::Nothing,
            Some((record, fence, age, marked)) => {
                Found::Record { record, fence, age: Duration::from_millis(age), marked }
            }
        }
    }
}

impl From<Reply> for StoreAnswer {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Read(seen) => Self::Read(seen.found()),
            Reply::Granted(fence, seen) => Self::Granted { fence, found: seen.found() },
            Reply::Held(left, seen) => Self::Held { left: Duration::from_millis(left), found: seen.found() },
            Reply::Finished => Self::Finished,
            Reply::Marked => Self::Marked,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Lease {
    pub owner: Owner,
    pub fence: u64,
    pub ends: u64,
    length: u64,
}

/// Times are by the store's clock.
#[derive(Clone, Debug, Default)]
pub struct Store {
    pub record: Option<(Record, u64, u64)>,
    pub lease: Option<Lease>,
    pub given: u64,
    pub marked: u64,
}

impl Store {
    pub fn seen(&self, now: u64) -> Seen {
        let record = self.record.as_ref();
        Seen(record.map(|(record, fence, at)| (record.clone(), *fence, now.saturating_sub(*at), *fence <= self.marked)))
    }

    pub fn is_held(&self, owner: Owner, now: u64, planted: Option<Planted>) -> Option<u64> {
        let lease = self.lease.as_ref().filter(|lease| lease.owner != owner)?;
        let left = lease.ends.saturating_sub(now);
        (left > 0 && (left <= lease.length || planted == Some(Planted::TrustsTheClock))).then_some(left)
    }

    /// The next fence.
    fn fence(&self, now: u64, planted: Option<Planted>) -> u64 {
        let of_record = self.record.as_ref().map_or(0, |(_, fence, _)| *fence);
        if planted == Some(Planted::FenceLost) {
            return of_record + 1;
        }
        (self.given.max(self.marked).max(of_record) + 1).max(now)
    }

    pub fn act(&mut self, call: &Call, now: u64, planted: Option<Planted>) -> Reply {
        match call {
            Call::Read => Reply::Read(self.seen(now)),
            Call::Take { owner, lease } => match self.is_held(*owner, now, planted) {
                Some(left) => Reply::Held(left, self.seen(now)),
                None => self.grant(*owner, *lease, now, planted),
            },
            Call::Finish { owner, fence, record } => {
                if let Some(record) = record {
                    let stored = self.record.as_ref().map(|(_, stored, _)| *stored);
                    let replaces = match planted {
                        Some(Planted::FenceIgnored) => true,
                        Some(Planted::YoungerAgain) => stored.is_none_or(|stored| stored <= *fence),
                        _ => stored.is_none_or(|stored| stored < *fence),
                    };
                    if replaces {
                        self.record = Some((record.clone(), *fence, now));
                    }
                    if planted == Some(Planted::ClearsMark) {
                        self.marked = 0;
                    }
                }
                let is_owner = self.lease.as_ref().is_some_and(|lease| lease.owner == *owner);
                if is_owner || planted == Some(Planted::ReleasesAny) {
                    self.lease = None;
                }
                Reply::Finished
            }
            Call::Mark { fence } => {
                if *fence <= self.given || planted == Some(Planted::MarksAnything) {
                    self.marked = self.marked.max(*fence);
                }
                Reply::Marked
            }
        }
    }

    pub fn grant(&mut self, owner: Owner, length: u64, now: u64, planted: Option<Planted>) -> Reply {
        let own = self.lease.as_ref().filter(|lease| lease.owner == owner).map(|lease| lease.fence);
        let fence = own.filter(|_| planted != Some(Planted::NewFenceEachTime));
        let fence = fence.unwrap_or_else(|| self.fence(now, planted));
        self.given = self.given.max(fence);
        self.lease = Some(Lease { owner, fence, ends: now + length, length });
        let seen = if planted == Some(Planted::NoSecondLook) { Seen(None) } else { self.seen(now) };
        Reply::Granted(fence, seen)
    }
}
