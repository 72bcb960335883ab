//! How a credential shares its token.

use core::time::Duration;

use crate::policy::Policy;
use crate::time::millis;

/// A lease is at least so many times as long as `store_timeout`.
const LEAST: u64 = 8;
const LONGEST_LEASE: u64 = 60_000;

/// How long a credential waits for a shared store and for other processes (contract, section 9).
///
/// ```
/// use acs_common::sharing::SharingOptions;
/// use core::time::Duration;
///
/// let patient = SharingOptions::builder().store_timeout(Duration::from_millis(500)).build()?;
/// assert_ne!(patient, SharingOptions::default());
///
/// let refused = patient.to_builder().lease(Duration::from_secs(3)).build();
/// assert_eq!(
///     refused.unwrap_err().to_string(),
///     "lease (3s) is shorter than 8 times store_timeout (500ms): make the lease longer, or store_timeout shorter",
/// );
/// # Ok::<(), acs_common::sharing::SharingOptionsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharingOptions {
    pub(super) lease: u64,
    pub(super) store_timeout: u64,
    pub(super) lease_wait: u64,
}

impl Default for SharingOptions {
    fn default() -> Self {
        Self { lease: 5_000, store_timeout: 250, lease_wait: 30_000 }
    }
}

impl SharingOptions {
    /// A builder that starts from the defaults.
    pub fn builder() -> SharingOptionsBuilder {
        Self::default().to_builder()
    }

    /// A builder that starts from these options.
    pub fn to_builder(self) -> SharingOptionsBuilder {
        SharingOptionsBuilder(self)
    }

    pub(super) fn limited_by(self, policy: &Policy) -> Self {
        let half = policy.timeout_millis().map_or(u64::MAX, |timeout| timeout / 2);
        Self { lease_wait: self.lease_wait.min(half), ..self }
    }
}

/// Builds [`SharingOptions`]. Durations are in whole milliseconds, rounded up.
///
/// ```
/// use acs_common::sharing::SharingOptions;
///
/// assert_eq!(SharingOptions::builder().build(), Ok(SharingOptions::default()));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct SharingOptionsBuilder(SharingOptions);

impl SharingOptionsBuilder {
    /// How long the store lets one process alone refresh, unless that process asks again. If it dies, the others wait so long.
    ///
    /// Default: 5 seconds. Less than 8 times [`store_timeout`](Self::store_timeout), or more than 60 seconds, is an error.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.0.lease = millis(lease);
        self
    }

    /// How long one refresh waits for the store in all. After that it goes on as if there were none.
    ///
    /// Default: 250 milliseconds. Zero is an error.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.0.store_timeout = millis(timeout);
        self
    }

    /// How long one refresh waits for other processes. After that it refreshes without a lease.
    ///
    /// Default: 30 seconds. It is never longer than half of the policy's
    /// [`refresh_timeout`](crate::PolicyBuilder::refresh_timeout), so that time is left for the refresh.
    pub fn lease_wait(mut self, wait: Duration) -> Self {
        self.0.lease_wait = millis(wait);
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    /// [`SharingOptionsError`] names the option whose value is not allowed.
    pub fn build(self) -> Result<SharingOptions, SharingOptionsError> {
        let options = self.0;
        let [lease, store_timeout] = [options.lease, options.store_timeout].map(Duration::from_millis);
        if options.store_timeout == 0 {
            Err(SharingOptionsError::ZeroStoreTimeout)
        } else if options.lease > LONGEST_LEASE {
            Err(SharingOptionsError::LeaseTooLong { lease })
        } else if options.lease < options.store_timeout.saturating_mul(LEAST) {
            Err(SharingOptionsError::LeaseTooShort { lease, store_timeout })
        } else {
            Ok(options)
        }
    }
}

/// Which of the [`SharingOptions`] has a value that is not allowed.
///
/// ```
/// use acs_common::sharing::{SharingOptions, SharingOptionsError};
/// use core::time::Duration;
///
/// let refused = SharingOptions::builder().store_timeout(Duration::ZERO).build();
/// assert_eq!(refused, Err(SharingOptionsError::ZeroStoreTimeout));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SharingOptionsError {
    /// `store_timeout` is zero.
    #[error("store_timeout is zero, so no store can answer: set a longer time")]
    ZeroStoreTimeout,
    /// `lease` is longer than 60 seconds.
    #[error(
        "lease ({lease:?}) is longer than 60 s, and so long the others wait for a process that died: set 60 s or less"
    )]
    LeaseTooLong {
        /// The value that was set.
        lease: Duration,
    },
    /// `lease` is shorter than 8 times `store_timeout`.
    #[error(
        "lease ({lease:?}) is shorter than 8 times store_timeout ({store_timeout:?}): make the lease longer, or store_timeout shorter"
    )]
    LeaseTooShort {
        /// The value that was set, or the default.
        lease: Duration,
        /// The value that was set, or the default.
        store_timeout: Duration,
    },
}
