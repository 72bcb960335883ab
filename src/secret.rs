//! Text that must not be seen.

use alloc::string::String;
use core::fmt;

use zeroize::Zeroizing;

/// Text that never shows in `Debug`, cannot be compared or printed by accident, and is wiped from memory when dropped.
///
/// Wiping covers this buffer, not copies that were made before the text came here or after [`expose`](Self::expose).
///
/// ```
/// use acs_common::Secret;
///
/// let secret = Secret::new("eyJhbGciOi…".to_owned());
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// assert_eq!(secret.expose(), "eyJhbGciOi…");
/// ```
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over without copying it.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    #[cfg(feature = "entra")]
    pub(crate) fn from_wiped(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text itself. Hand it to whoever needs it, at once; do not log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
