//! `tracing` events, with the target `acs_common`. No event holds a secret.

use acs_common::Notice;

pub(crate) enum Entry {
    Refreshing,
    Notice(Notice),
}

const TARGET: &str = "acs_common";

impl Entry {
    pub(crate) fn write(self) {
        match self {
            Self::Refreshing => tracing::debug!(target: TARGET, "refreshing the token"),
            Self::Notice(Notice::TokenChanged { expires_on, .. }) => {
                tracing::info!(target: TARGET, %expires_on, "token changed");
            }
            Self::Notice(Notice::RefreshFailed { cause, retry_in, .. }) => {
                let permanent = cause.is_permanent();
                tracing::warn!(target: TARGET, kind = cause.kind().as_str(), permanent, ?retry_in, "{cause}");
            }
            Self::Notice(Notice::TokenExpired) => tracing::warn!(target: TARGET, "token expired"),
            Self::Notice(Notice::ClockSkewed { by, .. }) => {
                let (seconds, side) = (by.unsigned_abs() / 1_000, if by > 0 { "ahead of" } else { "behind" });
                tracing::warn!(
                    target: TARGET,
                    by_ms = by,
                    "this device's clock is at least {seconds} s {side} the server's: tokens are renewed by the server's time"
                );
            }
            Self::Notice(Notice::Disposed) => tracing::debug!(target: TARGET, "credential disposed"),
            Self::Notice(other) => tracing::info!(target: TARGET, "{other:?}"),
        }
    }
}
