//! `tracing` events, with the target `acs_common`. No event holds a secret.

use std::time::Duration;

use acs_common::Notice;

use crate::chain::Chain;

pub(crate) enum Entry {
    /// The first token of the credential whose expiry cannot be read.
    Opaque {
        valid_for: Duration,
    },
    Notice(Notice),
}

const TARGET: &str = "acs_common";

impl Entry {
    /// `credential` is its name, if it has one.
    pub(crate) fn write(self, credential: Option<&str>) {
        match self {
            Self::Opaque { valid_for } => tracing::warn!(
                target: TARGET,
                credential,
                ?valid_for,
                "the token's expiry cannot be read, so it is assumed: return the expiry with the token (with_expires_on)"
            ),
            Self::Notice(Notice::RefreshStarted { trigger, first, failures, .. }) => {
                let (reason, first) = (trigger.as_str(), first.as_str());
                tracing::debug!(target: TARGET, credential, reason, first, failures, "refreshing the token");
            }
            Self::Notice(Notice::TokenChanged { expires_on, opaque, took, .. }) => {
                tracing::info!(target: TARGET, credential, %expires_on, opaque, ?took, "token changed");
            }
            Self::Notice(Notice::TokenKept { expires_on, took, .. }) => {
                tracing::info!(target: TARGET, credential, %expires_on, ?took, "the refresher returned the token held");
            }
            Self::Notice(Notice::RefreshFailed { cause, retry_in, took, streak, .. }) => {
                let (kind, permanent, cause) = (cause.kind().as_str(), cause.is_permanent(), Chain(&cause));
                let took = took.map(tracing::field::debug);
                tracing::warn!(target: TARGET, credential, kind, permanent, streak, took, ?retry_in, "{cause}");
            }
            Self::Notice(Notice::TokenExpired) => tracing::warn!(target: TARGET, credential, "token expired"),
            Self::Notice(Notice::ClockSkewed { by, .. }) => {
                let (seconds, side) = (by.unsigned_abs() / 1_000, if by > 0 { "ahead of" } else { "behind" });
                tracing::warn!(
                    target: TARGET,
                    credential,
                    by_ms = by,
                    "this device's clock is at least {seconds} s {side} the server's: tokens are renewed by the server's time"
                );
            }
            Self::Notice(Notice::StoreFailed { error, .. }) => {
                tracing::warn!(target: TARGET, credential, "the shared store failed, so each process has its own token: {error}");
            }
            Self::Notice(Notice::StoreBack) => tracing::info!(target: TARGET, credential, "the shared store is back"),
            Self::Notice(Notice::StoreRecordUnreadable) => tracing::warn!(
                target: TARGET,
                credential,
                "the shared store has something that is not a record, or no key opens it: it counts as nothing"
            ),
            Self::Notice(Notice::Disposed) => tracing::debug!(target: TARGET, credential, "credential disposed"),
            Self::Notice(other) => tracing::info!(target: TARGET, credential, "{other:?}"),
        }
    }
}
