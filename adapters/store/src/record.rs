//! What a record holds.

use std::time::Duration;

use acs_common::{Secret, UnixTime};
use zeroize::Zeroizing;

use crate::error::OpenError;

/// What is sealed: a token, and what is known about its life (contract, rule 8).
///
/// ```
/// use acs_common::{Secret, UnixTime};
/// use acs_common_store::Record;
/// use std::time::Duration;
///
/// let record = Record::new(Secret::new("eyJhbGci".to_owned()), Duration::from_secs(3_600))
///     .with_expires_on(UnixTime::from_secs(1_764_259_200))
///     .with_life_known(true);
/// assert!(!format!("{record:?}").contains("eyJ"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Record {
    /// The token.
    pub token: Secret,
    /// The moment at which it expires, if it is known.
    pub expires_on: Option<UnixTime>,
    /// How long it was valid when it was accepted; to the millisecond.
    pub life: Duration,
    /// Whether `life` is known without a wall clock: from `expires_in`, from `exp − iat`, or by the server's time.
    pub life_known: bool,
}

impl Record {
    /// A token that was valid for `life` when it was accepted.
    #[must_use]
    pub const fn new(token: Secret, life: Duration) -> Self {
        Self { token, expires_on: None, life, life_known: false }
    }

    /// With the moment at which it expires.
    #[must_use]
    pub const fn with_expires_on(mut self, expires_on: UnixTime) -> Self {
        self.expires_on = Some(expires_on);
        self
    }

    /// Says whether its life is known without a wall clock. By default it is not.
    #[must_use]
    pub const fn with_life_known(mut self, known: bool) -> Self {
        self.life_known = known;
        self
    }

    /// Flags, the moment, the life, the token.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let token = self.token.expose().as_bytes();
        // With room for all, so that it does not grow, which would leave a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD + token.len()));
        let flags = u8::from(self.expires_on.is_some()) | u8::from(self.life_known) << 1;
        bytes.push(flags);
        bytes.extend_from_slice(&self.expires_on.unwrap_or_default().as_millis().to_be_bytes());
        bytes.extend_from_slice(&u64::try_from(self.life.as_millis()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(token);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, OpenError> {
        let (flags, rest) = bytes.split_first().ok_or(OpenError::Content)?;
        let (expires_on, rest) = rest.split_first_chunk().ok_or(OpenError::Content)?;
        let (life, token) = rest.split_first_chunk().ok_or(OpenError::Content)?;
        if flags & !0b11 != 0 || token.is_empty() {
            return Err(OpenError::Content);
        }
        let token = core::str::from_utf8(token).map_err(|_| OpenError::Content)?;
        let expires_on = UnixTime::from_millis(i64::from_be_bytes(*expires_on));
        Ok(Self {
            token: Secret::new(token.to_owned()),
            expires_on: (flags & 1 != 0).then_some(expires_on),
            life: Duration::from_millis(u64::from_be_bytes(*life)),
            life_known: flags & 2 != 0,
        })
    }
}

/// The bytes before the token.
const HEAD: usize = 1 + 8 + 8;
