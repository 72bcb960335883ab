//! Random bits of the operating system.

use crate::words::{Nonce, Owner};

/// The operating system gives no random bytes.
///
/// ```
/// use acs_common_store::{Nonce, RandomError};
///
/// fn nonce() -> Result<Nonce, RandomError> {
///     Nonce::random()
/// }
/// # nonce().unwrap();
/// ```
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gives no random bytes, so nothing can be stored")]
#[non_exhaustive]
pub struct RandomError {
    source: getrandom::Error,
}

impl Owner {
    /// A new owner, from the operating system.
    ///
    /// # Errors
    /// [`RandomError`], which does not happen on common systems.
    pub fn random() -> Result<Self, RandomError> {
        filled().map(Self::from_bytes)
    }
}

impl Nonce {
    /// A new nonce, from the operating system.
    ///
    /// # Errors
    /// [`RandomError`], which does not happen on common systems.
    pub fn random() -> Result<Self, RandomError> {
        filled().map(Self::from_bytes)
    }
}

fn filled<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|source| RandomError { source })?;
    Ok(bytes)
}
