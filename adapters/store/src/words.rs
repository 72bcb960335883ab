//! What the store and its users say to each other: plain data.

use core::fmt;
use core::time::Duration;

use crate::error::{StoreError, StoreErrorKind};
use crate::sealed::Sealed;

/// The number of a record: each lease that is granted has a greater one than all before. A record with a greater fence is newer.
///
/// It is at most 2⁵³ − 1, since a script of Redis calculates in `f64`.
///
/// ```
/// use acs_common_store::Fence;
///
/// let fence = Fence::new(1_764_259_200_000).expect("it is below 2⁵³");
/// assert!(fence < Fence::MAX);
/// assert_eq!(Fence::new(1 << 53), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(u64);

impl Fence {
    /// The greatest fence.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The fence of this number; `None` for a number above [`MAX`](Self::MAX).
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number > Self::MAX.0 { None } else { Some(Self(number)) }
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The 24 random bytes of one sealing. Sealing takes it by value, because it is used once.
///
/// ```
/// use acs_common_store::Nonce;
///
/// let nonce = Nonce::from_bytes([7; 24]);
/// assert_eq!(format!("{nonce:?}"), "Nonce(…)");
/// ```
pub struct Nonce(pub(crate) [u8; 24]);

impl Nonce {
    /// These bytes. They must come from the operating system, or from another source that never repeats.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 24]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(…)")
    }
}

/// What an entry holds, as [`read`](crate::Store::read) and [`take`](crate::Store::take) return it.
///
/// ```
/// use acs_common_store::{Found, Loss};
///
/// assert!(Found::default().record.is_none());
/// let mut found = Found::default();
/// found.loss = Some(Loss::TooLarge);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The record, if there is one that can be read. It may have expired.
    pub record: Option<StoredRecord>,
    /// Something is stored there that cannot be read. It counts as none; the next record replaces it.
    pub loss: Option<Loss>,
}

impl Found {
    /// With this record.
    #[must_use]
    pub fn with_record(mut self, record: StoredRecord) -> Self {
        self.record = Some(record);
        self
    }

    /// With a loss in the record's place.
    #[must_use]
    pub fn with_loss(mut self, loss: Loss) -> Self {
        self.loss = Some(loss);
        self
    }
}

/// Why a store cannot read what is stored.
///
/// ```
/// assert_eq!(acs_common_store::Loss::TooLarge.to_string(), "the stored record is too large, so it was not read");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// It is larger than [`Sealed::MAX_LEN`]. The store looks at the size before it reads.
    #[error("the stored record is too large, so it was not read")]
    TooLarge,
    /// It is cut off, of a later version, or not what this library writes.
    #[error("the stored entry is cut off, or not what this version of acs-common writes")]
    Unreadable,
}

/// A record as it is stored.
///
/// ```
/// use acs_common_store::{Fence, Sealed, StoredRecord};
/// use std::time::Duration;
///
/// let record = StoredRecord::new(Fence::new(3).unwrap(), Sealed::from_bytes(vec![1, 2, 3]), Duration::from_secs(60), false);
/// assert_eq!(record.age, Duration::from_secs(60));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRecord {
    /// The fence that it was written under.
    pub fence: Fence,
    /// The sealed bytes.
    pub sealed: Sealed,
    /// How long ago it was written, by the store's clock; zero if that clock was set back.
    pub age: Duration,
    /// The service rejected the token of this record, or of a later one.
    pub marked: bool,
}

impl StoredRecord {
    /// A record of a store of your own.
    #[must_use]
    pub const fn new(fence: Fence, sealed: Sealed, age: Duration, marked: bool) -> Self {
        Self { fence, sealed, age, marked }
    }
}

/// The answer to [`take`](crate::Store::take).
///
/// ```
/// use acs_common_store::{Fence, Found, Taken};
/// use std::time::Duration;
///
/// fn describe(taken: &Taken) -> String {
///     match taken {
///         Taken::Granted { fence, .. } => format!("the lease is ours, with the fence {fence}"),
///         Taken::Held { left, .. } => format!("another process has the lease for {left:?}"),
///     }
/// }
/// assert_eq!(
///     describe(&Taken::Held { left: Duration::from_secs(2), found: Found::default() }),
///     "another process has the lease for 2s",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a run must handle both")]
pub enum Taken {
    /// The lease is this owner's.
    Granted {
        /// The lease's fence. It stays the same when an owner extends its lease.
        fence: Fence,
        /// What the entry holds: the second look, after the lease is granted.
        found: Found,
    },
    /// Another owner has the lease.
    Held {
        /// For how long the lease lasts at most, unless its owner extends it.
        left: Duration,
        /// What the entry holds.
        found: Found,
    },
}

/// A record that is to be stored, for [`finish`](crate::Store::finish).
///
/// ```
/// use acs_common_store::{NewRecord, Sealed};
/// use std::time::Duration;
///
/// let record = NewRecord::new(Sealed::from_bytes(vec![1, 2, 3]), Duration::from_secs(3_600));
/// assert_eq!(record.left.as_secs(), 3_600);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewRecord {
    /// The sealed bytes.
    pub sealed: Sealed,
    /// How long the token is still valid. The store keeps the entry for at least that long.
    pub left: Duration,
}

impl NewRecord {
    /// This record, of a token that is valid for `left`.
    #[must_use]
    pub const fn new(sealed: Sealed, left: Duration) -> Self {
        Self { sealed, left }
    }

    pub(crate) fn too_large(&self) -> Option<StoreError> {
        let too_large = self.sealed.as_bytes().len() > Sealed::MAX_LEN;
        too_large.then(|| StoreError::new(StoreErrorKind::Misused, "the record is too large: no store would read it"))
    }
}
