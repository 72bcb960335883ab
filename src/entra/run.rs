//! How far a refresh in flight is.

use super::exchange::{Asked, Exchange};
use super::machine::CallId;
use super::source::EntraToken;
use crate::event::RequestId;

/// A refresh in flight.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) request: RequestId,
    pub(super) step: Step,
    /// The call that is waited for, once the host has been told to make it.
    pub(super) call: Option<CallId>,
}

#[derive(Debug)]
pub(super) enum Step {
    /// The source is being asked.
    Asking,
    /// The source has given this, and the machine has yet to say that it may be exchanged.
    Cleared(EntraToken),
    Exchanging(Exchange),
}

impl Step {
    /// Whom it waits for, if for anybody.
    pub(super) fn asked(&self) -> Option<Asked> {
        match self {
            Self::Asking => Some(Asked::Source),
            Self::Cleared(_) => None,
            Self::Exchanging(exchange) => exchange.asked(),
        }
    }
}
