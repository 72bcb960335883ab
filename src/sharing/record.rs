//! What a shared store keeps of a token (contract, rule 9.8).

use alloc::vec::Vec;
use core::time::Duration;

use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::time::{Now, UnixTime, Until, whole_millis};
use crate::token::Kept;

/// The version of the encoding.
const VERSION: u8 = 1;
/// Version, flags, the moment, the life and the token's length.
const HEAD: usize = 1 + 1 + 8 + 8 + 4;

const HAS_MOMENT: u8 = 1;
const IS_KNOWN: u8 = 2;
const IS_OPAQUE: u8 = 4;
const ALL: u8 = HAS_MOMENT | IS_KNOWN | IS_OPAQUE;

/// A token as a shared store keeps it: its text, its moment of expiry if it has one, and its life (contract, rule 9.8).
///
/// A host seals the [encoded](Self::encode) record before it stores it. It is a secret: `Debug` does not show the token, and
/// what is dropped is wiped.
///
/// ```
/// use acs_common::sharing::Record;
/// use acs_common::{Secret, UnixTime};
/// use core::time::Duration;
///
/// let token = Secret::new("eyJhbGci".to_owned());
/// let record = Record::new(token, Duration::from_secs(3_600)).with_expires_on(UnixTime::from_secs(1_700_003_600));
/// let read = Record::decode(&record.encode())?;
/// assert_eq!((read.token.expose(), read.expires_on), ("eyJhbGci", record.expires_on));
/// assert!(Record::decode(&record.encode()[1..]).is_err());
/// assert!(!format!("{record:?}").contains("eyJ"));
/// # Ok::<(), acs_common::sharing::RecordError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Record {
    /// The token.
    pub token: Secret,
    /// The moment at which it expires, if it has one.
    pub expires_on: Option<UnixTime>,
    /// How long it was valid when the record was written, in whole milliseconds.
    pub life: Duration,
    /// Whether `life` is known without a wall clock: it is a stated lifetime, is `exp` less `iat`, or was measured by the
    /// server's time. A life without a moment always is.
    pub life_known: bool,
    /// Its expiry could not be read ([`Token::is_opaque`](crate::Token::is_opaque)).
    pub opaque: bool,
}

impl Record {
    /// A record of a token that is valid for `life`. It has no moment of expiry.
    #[must_use]
    pub const fn new(token: Secret, life: Duration) -> Self {
        Self { token, expires_on: None, life, life_known: false, opaque: false }
    }

    /// With the moment at which the token expires.
    #[must_use]
    pub const fn with_expires_on(mut self, expires_on: UnixTime) -> Self {
        self.expires_on = Some(expires_on);
        self
    }

    /// Says whether its life is known without a wall clock. By default it is not, unless there is no moment.
    #[must_use]
    pub const fn with_life_known(mut self, known: bool) -> Self {
        self.life_known = known;
        self
    }

    pub(super) fn of(token: Secret, expires_on: Option<UnixTime>, life: u64, life_known: bool, opaque: bool) -> Self {
        Self { token, expires_on, life: Duration::from_millis(life), life_known, opaque }
    }

    fn is_life_known(&self) -> bool {
        self.life_known || self.expires_on.is_none()
    }

    /// What is kept of a record that was written `age` ago.
    pub(super) fn kept(&self, age: u64, now: Now) -> Kept {
        let left = whole_millis(self.life).saturating_sub(age);
        let ends: Option<Until> = self.is_life_known().then(|| now.plus(left));
        Kept { expires_on: self.expires_on, ends, opaque: self.opaque }
    }

    /// The record as bytes: plain, so seal them. They are wiped when they are dropped.
    ///
    /// One byte of version, one of flags, the moment and the life in milliseconds (eight bytes each), the token's length (four
    /// bytes), the token. Numbers are little-endian.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let text = self.token.expose().as_bytes();
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(self.expires_on.is_some(), HAS_MOMENT)
            | flag(self.is_life_known(), IS_KNOWN)
            | flag(self.opaque, IS_OPAQUE);
        // With all the room it needs: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD.saturating_add(text.len())));
        bytes.extend([VERSION, flags]);
        bytes.extend(self.expires_on.unwrap_or_default().as_millis().to_le_bytes());
        bytes.extend(whole_millis(self.life).to_le_bytes());
        bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(text);
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`RecordError`]: these bytes are not a record, or one of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (&[version, flags], bytes) = bytes.split_first_chunk().ok_or(RecordError::Malformed)?;
        if version != VERSION {
            return Err(RecordError::Version { version });
        }
        let (moment, bytes) = bytes.split_first_chunk().ok_or(RecordError::Malformed)?;
        let (life, bytes) = bytes.split_first_chunk().ok_or(RecordError::Malformed)?;
        let (length, text) = bytes.split_first_chunk().ok_or(RecordError::Malformed)?;
        let moment = i64::from_le_bytes(*moment);
        let [has_moment, known, opaque] = [HAS_MOMENT, IS_KNOWN, IS_OPAQUE].map(|flag| flags & flag != 0);
        let is_whole = usize::try_from(u32::from_le_bytes(*length)) == Ok(text.len());
        // One record has one form.
        let is_plain = flags & !ALL == 0 && (has_moment || known && moment == 0);
        let text = core::str::from_utf8(text).map_err(|_| RecordError::Malformed)?;
        if !is_whole || !is_plain {
            return Err(RecordError::Malformed);
        }
        Ok(Self {
            token: Secret::new(text.into()),
            expires_on: has_moment.then_some(UnixTime::from_millis(moment)),
            life: Duration::from_millis(u64::from_le_bytes(*life)),
            life_known: known,
            opaque,
        })
    }
}

/// For tests that copy a whole world. A token is copied on purpose only.
#[doc(hidden)]
impl Clone for Record {
    fn clone(&self) -> Self {
        Self { token: self.token.copy(), ..*self }
    }
}

/// Why bytes are not a [`Record`]. Such a record is as good as none, and the next one replaces it.
///
/// ```
/// use acs_common::sharing::{Record, RecordError};
///
/// assert_eq!(Record::decode(&[9, 0]).unwrap_err(), RecordError::Version { version: 9 });
/// assert_eq!(Record::decode(&[]).unwrap_err().to_string(), "these bytes are not a record");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A later version of this library wrote it, or something else did.
    #[error("the record has version {version}, and this library reads version 1")]
    Version {
        /// The first byte.
        version: u8,
    },
    /// They are cut off, or were not written by this library.
    #[error("these bytes are not a record")]
    Malformed,
}
