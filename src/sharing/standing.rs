//! What a run must know of the credential.

use crate::server_time::Anchor;
use crate::time::{Now, UnixTime, Until};
use crate::token::Share;

/// What a credential holds, and what it knows of the server's time ([`Machine::standing`](crate::Machine::standing)). It holds
/// no secret.
///
/// ```
/// use acs_common::sharing::Standing;
///
/// // For a host without a credential: it holds nothing.
/// assert_eq!(format!("{:?}", Standing::default()), "Standing { holds: false, .. }");
/// ```
#[derive(Clone, Copy, Default)]
pub struct Standing {
    held: Option<(Until, Option<Share>)>,
    anchor: Option<Anchor>,
}

impl Standing {
    pub(crate) fn new(held: Option<(Until, Option<Share>)>, anchor: Option<Anchor>) -> Self {
        Self { held, anchor }
    }

    /// How long the held token is valid, and how a store knows it; `None` if no valid one is held.
    pub(super) fn held(&self, now: Now) -> Option<(u64, Option<Share>)> {
        self.held.map(|(expiry, share)| (expiry.left(now), share)).filter(|(left, _)| *left > 0)
    }

    /// How long a token with this expiry is valid by the server's time, if that is known.
    pub(super) fn judge(&self, expires_on: UnixTime, now: Now) -> Option<u64> {
        self.anchor?.judge(expires_on, now)
    }
}

impl core::fmt::Debug for Standing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Standing").field("holds", &self.held.is_some()).finish_non_exhaustive()
    }
}
