//! Tokens of Entra users.

use alloc::string::String;
use core::hash::Hasher as _;

use siphasher::sip::SipHasher24;
use zeroize::Zeroizing;

use crate::error::TokenError;
use crate::event::Source;
use crate::json;
use crate::jwt;
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::token::is_of_bearer;

/// The half of the hash's key that all credentials share.
const KEY: u64 = 0x6163_735f_656e_7472;

/// An Entra token from a source. It is a secret, and is wiped when it is dropped.
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
    /// A bare token string, without `Bearer`. ASCII white space around it is dropped. What is then not a bearer token
    /// ([RFC 6750, section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)) is a failure of the source: nothing is
    /// sent.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        // In place: this leaves no copy behind.
        let mut text = Zeroizing::new(token.into());
        let end = text.trim_ascii_end().len();
        text.truncate(end);
        let start = text.len().saturating_sub(text.trim_ascii_start().len());
        text.drain(..start);
        Self { secret: Secret::from_wiped(text), expires_on: None }
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

    /// What is wrong with it, and what to hand in instead.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let text = self.expose();
        let unpadded = text.trim_end_matches('=');
        if text.len() < TokenError::TOO_LONG && !unpadded.is_empty() && unpadded.bytes().all(is_of_bearer) {
            return match text {
                "null" | "undefined" => {
                    Err("the source gave the word null or undefined for an Entra token: is anybody signed in?")
                }
                _ => Ok(()),
            };
        }
        let scheme = text.get(..7).unwrap_or_default();
        Err(if text.trim().is_empty() {
            "the source gave a blank Entra token: is anybody signed in?"
        } else if text.len() >= TokenError::TOO_LONG {
            "the source gave an Entra token of 1 MiB or more: hand in the token alone"
        } else if scheme.trim_ascii().eq_ignore_ascii_case("bearer")
            && scheme.ends_with(|c: char| c.is_ascii_whitespace())
        {
            "the source gave an Entra token that starts with `Bearer `: hand in what follows that"
        } else if text.starts_with(['"', '\'', '`', '“', '‘']) {
            "the source gave an Entra token in quotes: hand in what is between them"
        } else if text.starts_with(['{', '[']) {
            "the source gave JSON for an Entra token: hand in its field `access_token` or `token` alone"
        } else if text.starts_with('<') {
            "the source gave HTML or XML for an Entra token: did a sign-in page answer in place of the identity service?"
        } else if text.contains(char::is_whitespace) {
            "the source gave an Entra token with white space or a line break in it: hand in the token on one line"
        } else {
            "the source gave an Entra token with characters that no bearer token has: hand in the bare token"
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
