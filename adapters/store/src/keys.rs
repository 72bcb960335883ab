//! The caller's keys.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::KeyError;
use crate::name::EntryName;

/// The key that turns what the caller calls a credential into the name of an entry, so that a store shows no names. All processes
/// that share need the same one. It stays: with another key, all entries have other names.
///
/// `Debug` does not show it, and it is wiped from memory on drop.
///
/// ```
/// use acs_common_store::NamingKey;
///
/// let key = NamingKey::from_base64("cz6Q7dHkgGqVUPq4kd+mkLc7vC4gT1m1Yq0wT7m6iJ8=")?;
/// assert_eq!(format!("{key:?}"), "NamingKey(…)");
/// # Ok::<(), acs_common_store::KeyError>(())
/// ```
#[derive(Clone)]
pub struct NamingKey(Hmac<Sha256>);

impl NamingKey {
    /// The key of these 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError`]: it has another length, or all its bytes are the same. The error does not repeat the key.
    pub fn from_bytes(key: &[u8]) -> Result<Self, KeyError> {
        let key = checked(key)?;
        // HMAC takes keys of any length, so this does not fail.
        Hmac::new_from_slice(key).map(Self).map_err(|_| KeyError::Length { found: key.len() })
    }

    /// The key of 32 random bytes in base64, as `openssl rand -base64 32` makes it. White space around it is dropped.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong, and does not repeat the key.
    pub fn from_base64(key: &str) -> Result<Self, KeyError> {
        Self::from_bytes(&decoded(key)?)
    }

    /// The name of a credential's entry. `name` is what the caller calls the credential: the same in all processes that share
    /// its token, and another one for each user.
    #[must_use]
    pub fn name(&self, name: &str) -> EntryName {
        self.named([name])
    }

    /// The name of the entry of an Entra user's credential: of what the caller calls it, the endpoint, the scopes in any order, and
    /// the `tid` and `oid` of the Entra token in hand. So two users never share an entry, whatever the caller calls them.
    ///
    /// ```
    /// use acs_common_store::NamingKey;
    ///
    /// let key = NamingKey::from_base64("cz6Q7dHkgGqVUPq4kd+mkLc7vC4gT1m1Yq0wT7m6iJ8=")?;
    /// let entry = |scopes: &[&str]| key.entra_name("desktop", "https://contoso.communication.azure.com", scopes, "tid", "oid");
    /// assert_eq!(entry(&["a", "b"]), entry(&["b", "a"]));
    /// assert_ne!(entry(&["a", "b"]), entry(&["ab"]));
    /// # Ok::<(), acs_common_store::KeyError>(())
    /// ```
    #[must_use]
    pub fn entra_name<S: AsRef<str>>(
        &self,
        name: &str,
        endpoint: &str,
        scopes: &[S],
        tid: &str,
        oid: &str,
    ) -> EntryName {
        let mut scopes: Vec<&str> = scopes.iter().map(AsRef::as_ref).collect();
        scopes.sort_unstable();
        // The number of scopes follows from the number of parts.
        self.named([name, endpoint].into_iter().chain(scopes).chain([tid, oid]))
    }

    fn named<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> EntryName {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        EntryName::new(format!("v1.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
    }
}

impl fmt::Debug for NamingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NamingKey(…)")
    }
}

/// The keys that seal records: the first seals, all open. Each has a number, which is stored with the record.
///
/// To change the key, first add the new one as the last in all processes. When all have it, put it first everywhere. When the
/// records of the old one have expired, drop the old one.
///
/// `Debug` shows the numbers only, and the keys are wiped from memory on drop.
///
/// ```
/// use acs_common_store::SealingKeys;
///
/// let keys = SealingKeys::from_base64(1, "nVQk0KYqDx9dZ3WxEw9zmd5TMuLx3cTjRkqyhZ1MPks=")?
///     .and_base64(2, "PyH0mXx3ZkLQ6pAvb3s2c1Xg8sVxw4m8rQ0T5uWl9nI=")?;
/// assert_eq!(format!("{keys:?}"), "SealingKeys([1, 2])");
/// # Ok::<(), acs_common_store::KeyError>(())
/// ```
#[derive(Clone)]
pub struct SealingKeys {
    first: Numbered,
    others: Vec<Numbered>,
}

/// Behind an `Arc`, so that a key has one place in memory, which is wiped with it.
#[derive(Clone)]
struct Numbered {
    number: u32,
    cipher: Arc<XChaCha20Poly1305>,
}

impl Numbered {
    fn new(number: u32, key: &[u8]) -> Result<Self, KeyError> {
        let key = checked(key)?;
        let cipher = XChaCha20Poly1305::new_from_slice(key).map_err(|_| KeyError::Length { found: key.len() })?;
        Ok(Self { number, cipher: Arc::new(cipher) })
    }
}

impl SealingKeys {
    /// One key of 32 random bytes, which seals and opens.
    ///
    /// # Errors
    /// [`KeyError`]: it has another length, or all its bytes are the same. The error does not repeat the key.
    pub fn from_bytes(number: u32, key: &[u8]) -> Result<Self, KeyError> {
        Ok(Self { first: Numbered::new(number, key)?, others: Vec::new() })
    }

    /// One key of 32 random bytes in base64, as `openssl rand -base64 32` makes it. White space around it is dropped.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong, and does not repeat the key.
    pub fn from_base64(number: u32, key: &str) -> Result<Self, KeyError> {
        Self::from_bytes(number, &decoded(key)?)
    }

    /// With one more key, which only opens.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes), and [`KeyError::Number`] if there is a key with this number.
    pub fn and_bytes(mut self, number: u32, key: &[u8]) -> Result<Self, KeyError> {
        if self.numbered(number).is_some() {
            return Err(KeyError::Number { number });
        }
        self.others.push(Numbered::new(number, key)?);
        Ok(self)
    }

    /// With one more key in base64, which only opens.
    ///
    /// # Errors
    /// As [`from_base64`](Self::from_base64), and [`KeyError::Number`] if there is a key with this number.
    pub fn and_base64(self, number: u32, key: &str) -> Result<Self, KeyError> {
        self.and_bytes(number, &decoded(key)?)
    }

    pub(crate) fn first(&self) -> (u32, &XChaCha20Poly1305) {
        (self.first.number, &self.first.cipher)
    }

    pub(crate) fn numbered(&self, number: u32) -> Option<&XChaCha20Poly1305> {
        self.all().find(|key| key.number == number).map(|key| &*key.cipher)
    }

    fn all(&self) -> impl Iterator<Item = &Numbered> {
        core::iter::once(&self.first).chain(&self.others)
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<u32> = self.all().map(|key| key.number).collect();
        write!(f, "SealingKeys({numbers:?})")
    }
}

fn checked(key: &[u8]) -> Result<&[u8], KeyError> {
    if key.len() != 32 {
        return Err(KeyError::Length { found: key.len() });
    }
    if key.iter().all(|byte| *byte == key[0]) { Err(KeyError::Weak) } else { Ok(key) }
}

fn decoded(key: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    // Not `decode`, which drops what it has decoded when it comes to a wrong character. With room for all, so that it does not grow.
    let mut bytes = Zeroizing::new(Vec::with_capacity(key.len()));
    BASE64.decode_vec(key.trim_ascii(), &mut bytes).map_err(|_| KeyError::NotBase64)?;
    Ok(bytes)
}

/// With or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
