//! Tokens of Entra users.

use alloc::string::String;

use crate::json;
use crate::jwt;
use crate::secret::Secret;
use crate::time::UnixTime;

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

    /// States when it expires, if that is known. For whoever handles the token on its way (a source's own cache, a log): the
    /// machine goes by the string alone, since only the service knows how long what it exchanges it for will live.
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
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }

    /// Whether both are known to be of one user: the same token, or the same `tid` and `oid`, read unverified.
    pub(super) fn is_of_same_user(&self, other: &Self) -> bool {
        self.is_same(other) || self.user().is_some_and(|user| other.user().as_ref() == Some(&user))
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
