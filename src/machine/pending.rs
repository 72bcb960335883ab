//! What waits for the host's next poll: waiters and notices.

use alloc::boxed::Box;
use core::time::Duration;

use crate::action::Notice;
use crate::error::FailureCause;
use crate::time::{Now, UnixTime};
use crate::token::Token;

/// A request without an answer.
#[derive(Clone, Debug)]
pub(super) struct Waiter<W> {
    pub(super) name: W,
    /// It wants another token than the held one.
    pub(super) other: bool,
}

/// How long a refresh took, in milliseconds. Four bytes, because a machine has room for a notice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took(u32);

impl Took {
    pub(super) fn since(started: Now, now: Now) -> Self {
        Self(now.monotonic.millis_since(started.monotonic).try_into().unwrap_or(u32::MAX))
    }
}

impl From<Took> for Duration {
    fn from(took: Took) -> Self {
        Self::from_millis(took.0.into())
    }
}

/// A [`Notice`]. The large and rare variant is on the heap.
#[derive(Clone, Debug)]
pub(super) enum PendingNotice {
    TokenChanged { expires_on: UnixTime, opaque: bool, from_store: bool, took: Took },
    TokenKept { expires_on: UnixTime, took: Took },
    RefreshFailed(Box<PendingFailure>),
    TokenExpired,
    ClockSkewed(i64),
    Disposed,
}

impl PendingNotice {
    pub(super) fn token_changed(token: &Token, took: Took) -> Self {
        let (expires_on, opaque) = (token.expires_on(), token.is_opaque());
        Self::TokenChanged { expires_on, opaque, from_store: token.is_from_store(), took }
    }
}

#[derive(Clone, Debug)]
pub(super) struct PendingFailure {
    pub(super) cause: FailureCause,
    pub(super) retry_in: Option<Duration>,
    pub(super) took: Option<Took>,
    pub(super) streak: u32,
}

impl From<PendingNotice> for Notice {
    fn from(pending: PendingNotice) -> Self {
        match pending {
            PendingNotice::TokenChanged { expires_on, opaque, from_store, took } => {
                Self::TokenChanged { expires_on, opaque, from_store, took: took.into() }
            }
            PendingNotice::TokenKept { expires_on, took } => Self::TokenKept { expires_on, took: took.into() },
            PendingNotice::RefreshFailed(failure) => {
                let PendingFailure { cause, retry_in, took, streak } = *failure;
                Self::RefreshFailed { cause, took: took.map(Duration::from), streak, retry_in }
            }
            PendingNotice::TokenExpired => Self::TokenExpired,
            PendingNotice::ClockSkewed(by) => Self::ClockSkewed { by },
            PendingNotice::Disposed => Self::Disposed,
        }
    }
}
