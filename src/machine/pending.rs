//! What waits for the host's next poll: waiters and notices.

use alloc::boxed::Box;
use core::time::Duration;

use crate::action::Notice;
use crate::error::FailureCause;
use crate::time::UnixTime;
use crate::token::Token;

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
    TokenChanged { expires_on: UnixTime, opaque: bool, from_store: bool },
    RefreshFailed(Box<(FailureCause, Option<Duration>)>),
    TokenExpired,
    ClockSkewed(i64),
    Disposed,
}

impl PendingNotice {
    pub(super) fn token_changed(token: &Token) -> Self {
        let (expires_on, opaque) = (token.expires_on(), token.is_opaque());
        Self::TokenChanged { expires_on, opaque, from_store: token.is_from_store() }
    }
}

impl From<PendingNotice> for Notice {
    fn from(pending: PendingNotice) -> Self {
        match pending {
            PendingNotice::TokenChanged { expires_on, opaque, from_store } => {
                Self::TokenChanged { expires_on, opaque, from_store }
            }
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
