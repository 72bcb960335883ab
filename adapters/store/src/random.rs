//! Random bits of the operating system.

use acs_common::sharing::Owner;

use crate::words::Nonce;

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

/// A new owner of leases, from the operating system.
///
/// ```
/// use acs_common_store::random_owner;
///
/// assert_ne!(random_owner()?, random_owner()?);
/// # Ok::<(), acs_common_store::RandomError>(())
/// ```
///
/// # Errors
/// [`RandomError`], which does not happen on common systems.
pub fn random_owner() -> Result<Owner, RandomError> {
    filled().map(Owner::from_bytes)
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
