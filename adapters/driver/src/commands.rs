//! What the driver is to do, and the driver as others see it.

use std::mem;
use std::task::Waker;

use acs_common::{Monotonic, Reason, RequestId, Until};

use crate::effects::Effects;

/// In the order in which they are carried out. Of a check and a refresh there is at most one.
#[derive(Default)]
pub(crate) struct Commands {
    pub(crate) cancel: bool,
    pub(crate) check: Option<RequestId>,
    pub(crate) refresh: Option<Refresh>,
    /// Arm or disarm the timer.
    pub(crate) timer: Option<Option<Monotonic>>,
}

/// A call of the refresher.
pub(crate) struct Refresh {
    pub(crate) request: RequestId,
    pub(crate) reason: Reason,
    /// When it is given up.
    #[cfg_attr(not(feature = "entra"), expect(dead_code, reason = "only an exchange waits by itself"))]
    pub(crate) give_up: Option<Until>,
}

impl Commands {
    pub(crate) fn is_empty(&self) -> bool {
        !self.cancel && self.check.is_none() && self.refresh.is_none() && self.timer.is_none()
    }

    /// Drops what is in flight. What is not begun need not be.
    pub(crate) fn cancel(&mut self) {
        (self.cancel, self.check, self.refresh) = (true, None, None);
    }
}

pub(crate) enum Driving {
    /// To be polled, if only for the first time.
    Woken,
    /// Being polled.
    AtWork,
    Asleep(Waker),
    Ended,
}

impl Driving {
    /// It is at work.
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
