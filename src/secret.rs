//! Text that must not be shown.

use alloc::string::String;
use core::fmt;

use zeroize::Zeroizing;

use crate::door;

/// A text that `Debug` does not show, that cannot be compared or printed by accident, and that is wiped from memory on drop.
///
/// The wipe covers this buffer. It does not cover copies made earlier, or copies of what [`expose`](Self::expose) returns.
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
    /// Takes ownership of the text, without a copy.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    #[cfg(feature = "entra")]
    pub(crate) fn from_wiped(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// Without the ASCII white space around it.
    pub(crate) fn trimmed(self) -> Self {
        Self(door::trimmed(self.0))
    }

    /// Another secret with this text. A text of the same size takes no more room, so none is left behind.
    pub(crate) fn copy(&self) -> Self {
        Self(self.0.clone())
    }

    /// The text itself. Pass it on where it is needed. Do not store it and do not log it.
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
