//! What waits for the host's next poll: waiters and notices.

use alloc::boxed::Box;
use core::time::Duration;

use crate::action::Notice;
use crate::error::FailureCause;
use crate::time::UnixTime;

/// A request without an answer.
#[derive(Clone, Debug)]
pub(super) struct Waiter<W> {
    pub(super) name: W,
    /// It wants another token than the held one.
    pub(super) other: bool,
}

/// A [`Notice`]. The large and rare variant is on the heap.
#[derive(Clone, Debug)]
pub(super) enum PendingNotice {
    TokenChanged { expires_on: UnixTime, opaque: bool },
    RefreshFailed(Box<(FailureCause, Option<Duration>)>),
    TokenExpired,
    ClockSkewed(i64),
    Disposed,
}

impl From<PendingNotice> for Notice {
    fn from(pending: PendingNotice) -> Self {
        match pending {
            PendingNotice::TokenChanged { expires_on, opaque } => Self::TokenChanged { expires_on, opaque },
            PendingNotice::RefreshFailed(failure) => {
                let (cause, retry_in) = *failure;
                Self::RefreshFailed { cause, retry_in }
            }
            PendingNotice::TokenExpired => Self::TokenExpired,
            PendingNotice::ClockSkewed(by) => Self::ClockSkewed { by },
            PendingNotice::Disposed => Self::Disposed,
        }
    }
}
