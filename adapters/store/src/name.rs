//! The names of entries.

use std::fmt;
use std::sync::Arc;

/// The name of an entry: what the store knows a credential by. It says nothing about its user (contract, rule 14).
///
/// A [`NamingKey`](crate::NamingKey) makes it. It is `v1.` and 43 characters of base64url, so it fits as the name of a file and as
/// a key of a server. A clone is cheap.
///
/// ```
/// use acs_common_store::NamingKey;
///
/// let key = NamingKey::from_base64("cz6Q7dHkgGqVUPq4kd+mkLc7vC4gT1m1Yq0wT7m6iJ8=")?;
/// let name = key.name("the agent's token");
/// assert_eq!(name.as_str().len(), 46);
/// assert!(name.as_str().starts_with("v1."));
/// assert_eq!(name, key.name("the agent's token"));
/// assert_ne!(name, key.name("another"));
/// # Ok::<(), acs_common_store::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(Arc<str>);

impl EntryName {
    pub(crate) fn new(name: String) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryName({self})")
    }
}
