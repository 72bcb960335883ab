//! Sealing and opening records (contract, rule 13).

use std::fmt;

use acs_common::sharing::Record;
use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{Tag, XNonce};
use zeroize::Zeroizing;

use crate::error::{OpenError, StoreError, StoreErrorKind};
use crate::keys::SealingKeys;
use crate::name::EntryName;
use crate::words::{Fence, Nonce};

/// A sealed record, as a store keeps it: the version of the format, the number of the key, the nonce, and the encrypted bytes.
///
/// `Debug` shows its length only. A clone is a copy.
///
/// ```
/// use acs_common_store::Sealed;
///
/// let sealed = Sealed::from_bytes(vec![1, 2, 3]);
/// assert_eq!(sealed.as_bytes(), [1, 2, 3]);
/// assert_eq!(format!("{sealed:?}"), "Sealed(3 bytes)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// The length of the longest record that a store keeps or reads: 1 MiB + 4 KiB.
    pub const MAX_LEN: usize = (1 << 20) + (4 << 10);

    /// Bytes from a store. Nothing is looked at before [`open`](SealingKeys::open).
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl SealingKeys {
    /// Seals a record with the first key, for this entry and this fence. It opens under no other name and no other fence.
    ///
    /// ```
    /// use acs_common::Secret;
    /// use acs_common_store::{Fence, NamingKey, Nonce, OpenError, Record, SealingKeys};
    /// use std::time::Duration;
    ///
    /// let keys = SealingKeys::from_base64(1, "nVQk0KYqDx9dZ3WxEw9zmd5TMuLx3cTjRkqyhZ1MPks=")?;
    /// let name = NamingKey::from_base64("cz6Q7dHkgGqVUPq4kd+mkLc7vC4gT1m1Yq0wT7m6iJ8=")?.name("agent");
    /// let record = Record::new(Secret::new("eyJhbGci".to_owned()), Duration::from_secs(3_600));
    /// let fence = Fence::new(7).unwrap();
    ///
    /// let sealed = keys.seal(&name, fence, &record, Nonce::random()?)?;
    /// assert_eq!(keys.open(&name, fence, &sealed)?.token.expose(), "eyJhbGci");
    /// let other = Fence::new(8).unwrap();
    /// assert_eq!(keys.open(&name, other, &sealed).unwrap_err(), OpenError::Forged);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misused`](StoreErrorKind::Misused), if the token is so long that a store would not read the record.
    pub fn seal(&self, name: &EntryName, fence: Fence, record: &Record, nonce: Nonce) -> Result<Sealed, StoreError> {
        let too_long =
            || StoreError::new(StoreErrorKind::Misused, "the token is too long to be stored: it is over 1 MiB");
        let (number, cipher) = self.first();
        // It holds the token until it is encrypted in place, so it is wiped if something fails.
        let mut content = record.encode();
        if HEAD + content.len() + TAG > Sealed::MAX_LEN {
            return Err(too_long());
        }
        let nonce_bytes = XNonce::from(nonce.0);
        let bound_to = bound_to(number, name, fence);
        let tag = cipher
            .encrypt_inout_detached(&nonce_bytes, &bound_to, content.as_mut_slice().into())
            .map_err(|_| too_long())?;
        let mut sealed = Vec::with_capacity(HEAD + content.len() + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(&number.to_be_bytes());
        sealed.extend_from_slice(&nonce_bytes);
        sealed.extend_from_slice(&content);
        sealed.extend_from_slice(&tag);
        Ok(Sealed(sealed))
    }

    /// Opens a record that was read from this entry, with this fence, by the key whose number it states.
    ///
    /// # Errors
    /// [`OpenError`]: then the record counts as none.
    pub fn open(&self, name: &EntryName, fence: Fence, sealed: &Sealed) -> Result<Record, OpenError> {
        if sealed.0.len() > Sealed::MAX_LEN {
            return Err(OpenError::TooLarge);
        }
        let (version, rest) = sealed.0.split_first().ok_or(OpenError::CutOff)?;
        if *version != VERSION {
            return Err(OpenError::Version { found: *version });
        }
        let (number, rest) = rest.split_first_chunk().ok_or(OpenError::CutOff)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(OpenError::CutOff)?;
        let (encrypted, tag) = rest.split_last_chunk::<TAG>().ok_or(OpenError::CutOff)?;
        let number = u32::from_be_bytes(*number);
        let cipher = self.numbered(number).ok_or(OpenError::UnknownKey { number })?;
        let mut content = Zeroizing::new(encrypted.to_vec());
        cipher
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &bound_to(number, name, fence),
                content.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| OpenError::Forged)?;
        Record::decode(&content).map_err(|_| OpenError::Content)
    }
}

/// The associated data: what the reader puts in from what it asked for and what the entry says.
fn bound_to(number: u32, name: &EntryName, fence: Fence) -> Vec<u8> {
    let name = name.as_str().as_bytes();
    let mut bytes = Vec::with_capacity(1 + 4 + 8 + name.len() + 8);
    bytes.push(VERSION);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&(name.len() as u64).to_be_bytes());
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&fence.get().to_be_bytes());
    bytes
}

/// The version of the format of sealed records and of what is in them.
const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;
/// The bytes before the encrypted ones.
const HEAD: usize = 1 + 4 + NONCE;

// A token of the greatest length that the core accepts fits.
const _: () = assert!(Sealed::MAX_LEN > (1 << 20) + HEAD + TAG + 64);
