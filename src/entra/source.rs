//! Tokens of Entra users.

use alloc::format;
use alloc::string::String;
use core::hash::Hasher as _;

use siphasher::sip::SipHasher24;
use zeroize::Zeroizing;

use crate::door;
use crate::error::TokenError;
use crate::event::Source;
use crate::json;
use crate::jwt;
use crate::secret::Secret;
use crate::time::UnixTime;

/// The half of the hash's key that all credentials share.
const KEY: u64 = 0x6163_735f_656e_7472;

/// An Entra token from a source. It is a secret, and is wiped when it is dropped.
///
/// ```
/// use acs_common::UnixTime;
/// use acs_common::entra::EntraToken;
///
/// let token = EntraToken::new("eyJhbGci").with_expires_on(UnixTime::from_secs(1_700_003_600));
/// assert!(!format!("{token:?}").contains("eyJ"));
/// ```
#[derive(Debug)]
pub struct EntraToken {
    secret: Secret,
    expires_on: Option<UnixTime>,
}

impl EntraToken {
    /// A bare token string, without `Bearer`. ASCII white space around it is dropped. What is then not a bearer token
    /// ([RFC 6750, section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)) is a failure of the source: nothing is
    /// sent.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self { secret: Secret::new(token.into()).trimmed(), expires_on: None }
    }

    /// Sets when it expires, if that is known. This is for code that handles the token before the exchange (the cache of a
    /// source, a log). The exchange ignores it: only the service knows how long the access token is valid.
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

    /// What is wrong with it, and what to pass instead.
    pub(super) fn check(&self) -> Result<(), String> {
        door::check(self.expose()).map_err(|error| {
            let missing = matches!(error, TokenError::Blank | TokenError::NullOrUndefined);
            let advice = if missing { " (is anybody signed in?)" } else { "" };
            format!("the source gave an invalid Entra token: {error}{advice}")
        })
    }

    /// Whether both read the same.
    pub(super) fn reads_same(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }

    /// Its two numbers: one of its text, one of its `tid` and `oid`, read unverified. If these cannot be read, only the same
    /// text counts as the same user.
    ///
    /// They are keyed hashes, so no token is kept to be compared with the next one. A length precedes each part, so that no two
    /// lists of parts have the same bytes. `Hash` of core is not used: it depends on the pointer width.
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

    pub(super) fn user_claims(&self) -> Option<(Secret, Secret)> {
        let (tenant, object) = self.user()?;
        Some((Secret::from_wiped(tenant), Secret::from_wiped(object)))
    }

    fn user(&self) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
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
