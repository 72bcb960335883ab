//! The five operations.

use std::pin::Pin;
use std::time::Duration;

use acs_common::sharing::Owner;
use futures_core::Stream;

use crate::error::StoreError;
use crate::name::EntryName;
use crate::words::{Fence, Found, NewRecord, Taken};

/// An operation in flight. It owns what it needs, and asks nothing of the runtime but what its store documents.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// The hints of [`Store::watch`]. Dropping them ends the watch.
pub type Hints = Pin<Box<dyn Stream<Item = ()> + Send>>;

/// A place that processes share: files, Redis, or a store of your own (contract, section 9).
///
/// It has one *entry* for each name: a record (sealed; its fence; when it was written), a lease (its owner, fence, end and length),
/// the greatest fence that was given, and the greatest that was marked. An entry is kept and lost as a whole. It is kept until its
/// record and its lease have ended at least.
///
/// Each operation is atomic, also between processes. All times are those of the store's clock. A store sees sealed bytes only.
///
/// **Cancellation**: an operation may be dropped at any point. Then it may happen or not, also later. Its caller lives with both.
/// An operation has no time limit of its own; the caller drops it when the time is over.
///
/// To test a store of your own, run the tests of `adapters/store/tests/conformance` with it.
///
/// ```
/// use acs_common_store::{EntryName, Fence, Found, Hints, NewRecord, Owner, Store, StoreError, StoreErrorKind, StoreFuture, Taken};
/// use std::time::Duration;
///
/// /// A store that is always down: each credential works as if it had none.
/// #[derive(Debug)]
/// struct Down;
///
/// fn down<T: Send + 'static>() -> StoreFuture<T> {
///     Box::pin(async { Err(StoreError::new(StoreErrorKind::Unavailable, "the store is down")) })
/// }
///
/// impl Store for Down {
///     fn read(&self, _: &EntryName) -> StoreFuture<Found> { down() }
///     fn take(&self, _: &EntryName, _: Owner, _: Duration) -> StoreFuture<Taken> { down() }
///     fn finish(&self, _: &EntryName, _: Owner, _: Fence, _: Option<NewRecord>) -> StoreFuture<()> { down() }
///     fn mark(&self, _: &EntryName, _: Fence) -> StoreFuture<()> { down() }
///     fn watch(&self, _: &EntryName) -> Option<Hints> { None }
/// }
/// ```
pub trait Store: Send + Sync {
    /// Returns the record, its age, and whether it is marked: whether its fence is at most the greatest marked one.
    ///
    /// An expired record may be missing.
    ///
    /// # Errors
    /// A future of each operation fails with a [`StoreError`] if the store cannot be asked, or refuses.
    fn read(&self, name: &EntryName) -> StoreFuture<Found>;

    /// Asks for the lease of the entry. It is granted if it is free, if it has ended, if it is this owner's, or if more is left of
    /// it than its length (then the store's clock was set back). It ends `lease` from now.
    ///
    /// An owner that extends its lease keeps its fence. Each other grant has a new fence: one more than the greatest of the given
    /// ones, the marked ones and the record's, and not below the store's clock in milliseconds.
    fn take(&self, name: &EntryName, owner: Owner, lease: Duration) -> StoreFuture<Taken>;

    /// Stores the record, if there is one, unless a record with this fence or a greater one is stored. Then releases the lease if it
    /// is this owner's. A repetition changes nothing, not even the record's age. A mark stays.
    fn finish(&self, name: &EntryName, owner: Owner, fence: Fence, record: Option<NewRecord>) -> StoreFuture<()>;

    /// Marks all records up to this fence: the service rejected a token. Ignored if `fence` was never given. A mark deletes
    /// nothing.
    fn mark(&self, name: &EntryName, fence: Fence) -> StoreFuture<()>;

    /// Hints that [`finish`](Self::finish) or [`mark`](Self::mark) happened to the entry, from now on. Hints may be lost, late or
    /// too many. `None` if the store has none: its users ask again after a while.
    ///
    /// The stream ends if the store can give no more hints.
    fn watch(&self, name: &EntryName) -> Option<Hints>;
}
