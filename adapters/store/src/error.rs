//! What goes wrong with a store, a key or a record.

use std::error::Error;
use std::fmt;

/// Why an operation of a [`Store`](crate::Store) failed. A credential goes on as if it had no store, and tries the store again later.
///
/// `Display` and `Debug` show no key, no token and no record.
///
/// ```
/// use acs_common_store::{StoreError, StoreErrorKind};
///
/// let error = StoreError::new(StoreErrorKind::Full, "the disk is full: free some space");
/// assert_eq!(error.kind(), StoreErrorKind::Full);
/// assert_eq!(error.to_string(), "the disk is full: free some space");
/// ```
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error of this kind. The message says what is wrong and what to do. It must hold no secret.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// With its cause, which must not show secrets either.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// Kinds of failure of a store.
///
/// ```
/// assert_ne!(acs_common_store::StoreErrorKind::Unavailable, acs_common_store::StoreErrorKind::Refused);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store does not answer, or is busy.
    Unavailable,
    /// The store does not allow it: missing permissions, a read-only folder or server.
    Refused,
    /// The store has no room.
    Full,
    /// The program calls it wrongly, for instance outside of a runtime, or with a record that is too large.
    Misused,
    /// Anything else.
    Other,
}

/// Why bytes or a text are not a key.
///
/// ```
/// use acs_common_store::{KeyError, SealingKeys};
///
/// assert_eq!(SealingKeys::from_base64(1, "c2hvcnQ=").unwrap_err(), KeyError::Length { found: 5 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is not base64.
    #[error("the key is not base64: make one with `openssl rand -base64 32`")]
    NotBase64,
    /// It has not 32 bytes.
    #[error("the key has {found} bytes, and it must have 32: make one with `openssl rand -base64 32`")]
    Length {
        /// How many bytes it has.
        found: usize,
    },
    /// All of its bytes are the same.
    #[error("all bytes of the key are the same: make one with `openssl rand -base64 32`")]
    Weak,
    /// Two sealing keys have one number.
    #[error("two sealing keys have the number {number}: number them differently")]
    Number {
        /// That number.
        number: u32,
    },
}

/// Why a record cannot be opened. It counts as none, and the next record replaces it.
///
/// ```
/// use acs_common_store::{Fence, NamingKey, OpenError, Sealed, SealingKeys};
///
/// let keys = SealingKeys::from_base64(1, "nVQk0KYqDx9dZ3WxEw9zmd5TMuLx3cTjRkqyhZ1MPks=")?;
/// let name = NamingKey::from_base64("cz6Q7dHkgGqVUPq4kd+mkLc7vC4gT1m1Yq0wT7m6iJ8=")?.name("agent");
/// let rubbish = Sealed::from_bytes(b"rubbish".to_vec());
/// assert_eq!(keys.open(&name, Fence::default(), &rubbish).unwrap_err(), OpenError::Version { found: b'r' });
/// # Ok::<(), acs_common_store::KeyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is larger than [`Sealed::MAX_LEN`](crate::Sealed::MAX_LEN).
    #[error("the stored record is too large")]
    TooLarge,
    /// It is shorter than the shortest record.
    #[error("the stored record is cut off")]
    CutOff,
    /// Another version of this library wrote it.
    #[error("the stored record has the format version {found}: update acs-common here or there")]
    Version {
        /// The version of its format.
        found: u8,
    },
    /// None of the sealing keys has its number.
    #[error(
        "the stored record is sealed with the key number {number}, which this process does not have: add it to its keys"
    )]
    UnknownKey {
        /// The number.
        number: u32,
    },
    /// It was sealed with another key of the same number, for another name or fence, or it was changed.
    #[error("the stored record does not open: another key has the same number, or the record was changed or moved")]
    Forged,
    /// It opens, but holds no token.
    #[error("the stored record opens, but holds no token")]
    Content,
}
