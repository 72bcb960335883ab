//! Tokens of Entra users.

use alloc::string::String;
use core::hash::Hasher as _;

use siphasher::sip::SipHasher24;

use crate::event::Source;
use crate::json;
use crate::jwt;
use crate::secret::Secret;
use crate::time::UnixTime;

/// The half of the hash's key that is the same for all credentials.
const KEY: u64 = 0x6163_735f_656e_7472;

/// An Entra token, as a source gives it: a secret, wiped when it is dropped.
///
/// ```
/// use acs_common::UnixTime;
/// use acs_common::entra::EntraToken;
///
/// let token = EntraToken::new("eyJ…").with_expires_on(UnixTime::from_secs(1_700_003_600));
/// assert!(!format!("{token:?}").contains("eyJ"));
/// ```
#[derive(Debug)]
pub struct EntraToken {
    secret: Secret,
    expires_on: Option<UnixTime>,
}

impl EntraToken {
    /// A bare token string, without `Bearer`. A blank one is a failure of the source.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self { secret: Secret::new(token.into()), expires_on: None }
    }

    /// States when it expires, if that is known. This is for code that handles the token on its way (a source's cache, a
    /// log). The exchange looks at the string alone: only the service knows how long the access token will live.
    #[must_use]
    pub fn with_expires_on(self, moment: impl Into<UnixTime>) -> Self {
        Self { expires_on: Some(moment.into()), ..self }
    }

    /// When it expires, if the source said so.
    #[must_use]
    pub fn expires_on(&self) -> Option<UnixTime> {
        self.expires_on
    }

    pub(super) fn expose(&self) -> &str {
        self.secret.expose()
    }

    pub(super) fn is_blank(&self) -> bool {
        self.expose().trim().is_empty()
    }

    /// Whether both read the same.
    pub(super) fn ptr_eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }

    /// Two numbers for it: of its text, and of its `tid` and `oid`, read unverified. If these cannot be read, only the same
    /// text is certain to be of the same user.
    ///
    /// They are keyed hashes, so no token has to be kept to be compared with the next one. A length goes before each part,
    /// so that no two lists of parts are the same bytes. `Hash` of core is not used: it differs with the pointer width.
    pub(super) fn source(&self, key: u64) -> Source {
        let number = |parts: &[&str]| {
            let mut hasher = SipHasher24::new_with_keys(key, KEY);
            for part in parts {
                hasher.write(&(part.len() as u64).to_le_bytes());
                hasher.write(part.as_bytes());
            }
            hasher.finish()
        };
        let version = number(&[self.expose()]);
        let user = self.user().map_or(version, |(tenant, object)| number(&[&tenant, &object]));
        Source { version, user }
    }

    fn user(&self) -> Option<(String, String)> {
        let payload = jwt::payload(self.expose())?;
        let [tenant, object] = json::fields(&payload, ["tid", "oid"])?;
        Some((json::string(tenant?)?, json::string(object?)?))
    }
}

impl From<String> for EntraToken {
    fn from(token: String) -> Self {
        Self::new(token)
    }
}

impl From<&str> for EntraToken {
    fn from(token: &str) -> Self {
        Self::new(token)
    }
}
