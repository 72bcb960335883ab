//! The held token, and what follows from a rejection.

use crate::time::{Now, Until};
use crate::token::Token;

/// A held token, until it expires or is rejected, revoked or replaced.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) token: Token,
    /// `None`: never (a static token).
    pub(super) expiry: Option<Until>,
    /// When to renew; `None` once that moment has come.
    pub(super) renewal: Option<Until>,
}

impl Lease {
    /// Lays the life of the token anew: it ends in `left` milliseconds. The renewal moves with the end.
    pub(super) fn lay(&mut self, left: u64, now: Now) {
        let Some(expiry) = self.expiry else { return };
        let before = expiry.left(now);
        self.expiry = Some(now.plus(left));
        let moved = |renewal: Until| renewal.left(now).saturating_add(left).saturating_sub(before).min(left);
        self.renewal = self.renewal.map(moved).filter(|wait| *wait > 0).map(|wait| now.plus(wait));
    }

    pub(super) fn has_expired(&self, now: Now) -> bool {
        self.expiry.is_some_and(|expiry| expiry.has_come(now))
    }
}

/// What follows from the last rejection (contract, rule 2.9).
///
/// First the replacement is awaited. Then it is on probation: its rejection is a failure, and makes it doubtful. A doubtful
/// token is held, and it is `rejected`.
#[derive(Clone, Debug, Default)]
pub(super) struct Probation {
    /// The rejected token, for the refresher, until the next one is accepted.
    pub(super) rejected: Option<Token>,
    /// The end of the probation. `None`: the replacement has not come.
    pub(super) until: Option<Until>,
    /// The replacement has the text of the token that it replaced.
    pub(super) same_text: bool,
    /// Rejections that were failures, in their streak.
    pub(super) rejections: u32,
    /// Until when the next one belongs to the streak.
    pub(super) streak: Option<Until>,
}
