//! The commands for the driver, and the driver's state as others see it.

use std::mem;
use std::task::Waker;

use acs_common::{Monotonic, Reason, RequestId, Until};
#[cfg(feature = "store")]
use acs_common::{Token, sharing::Standing};

use crate::effects::Effects;
use crate::spans::Asker;

/// The fields are in the order of execution. At most one of `check` and `refresh` is set.
#[derive(Default)]
pub(crate) struct Commands {
    pub(crate) cancel: bool,
    pub(crate) check: Option<RequestId>,
    pub(crate) refresh: Option<Refresh>,
    /// The check or the refresh has a span, linked to this.
    pub(crate) asker: Option<Asker>,
    /// Arm or disarm the timer.
    pub(crate) timer: Option<Option<Monotonic>>,
    /// These were rejected, and what the machine holds since.
    #[cfg(feature = "store")]
    pub(crate) rejected: Vec<(Token, Standing)>,
    /// The user has signed out, and the machine dropped this token.
    #[cfg(feature = "store")]
    pub(crate) signed_out: Option<Token>,
}

/// A call of the refresher.
pub(crate) struct Refresh {
    pub(crate) request: RequestId,
    pub(crate) reason: Reason,
    /// When the call times out.
    #[cfg_attr(
        not(any(feature = "entra", feature = "store")),
        expect(dead_code, reason = "only an exchange waits by itself")
    )]
    pub(crate) give_up: Option<Until>,
    /// What the machine holds.
    #[cfg(feature = "store")]
    pub(crate) standing: Standing,
}

impl Commands {
    pub(crate) fn is_empty(&self) -> bool {
        #[cfg(feature = "store")]
        if !self.rejected.is_empty() || self.signed_out.is_some() {
            return false;
        }
        !self.cancel && self.check.is_none() && self.refresh.is_none() && self.timer.is_none()
    }

    /// Drops the call in flight. A call that has not started does not start.
    pub(crate) fn cancel(&mut self) {
        (self.cancel, self.check, self.refresh) = (true, None, None);
    }
}

pub(crate) enum Driving {
    /// Waits to be polled, perhaps for the first time.
    Woken,
    /// Being polled.
    AtWork,
    Asleep(Waker),
    Ended,
}

impl Driving {
    /// Marks it as being polled.
    pub(crate) fn is_up(&mut self, effects: &mut Effects) {
        if let Self::Asleep(waker) = mem::replace(self, Self::AtWork) {
            effects.drop_wakers([waker]);
        }
    }

    pub(crate) fn wake(&mut self, effects: &mut Effects) {
        match mem::replace(self, Self::Woken) {
            Self::Asleep(waker) => effects.wake([waker]),
            // It looks for commands before it falls asleep.
            known @ (Self::Woken | Self::AtWork | Self::Ended) => *self = known,
        }
    }
}
