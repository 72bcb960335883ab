//! What the driver is to do, and the driver as others see it.

use std::mem;
use std::task::Waker;

use acs_common::Monotonic;

use crate::effects::Effects;
use crate::work::Call;

#[derive(Default)]
pub(crate) struct Commands {
    pub(crate) cancel: bool,
    pub(crate) call: Option<Call>,
    /// Arm or disarm the timer.
    pub(crate) timer: Option<Option<Monotonic>>,
}

impl Commands {
    pub(crate) fn is_empty(&self) -> bool {
        !self.cancel && self.call.is_none() && self.timer.is_none()
    }

    pub(crate) fn cancel(&mut self) {
        // A call not yet picked up need not be made.
        if self.call.take().is_none() {
            self.cancel = true;
        }
    }
}

pub(crate) enum Driving {
    /// At work, or yet to start.
    Awake,
    Asleep(Waker),
    Ended,
}

impl Driving {
    /// It is at work.
    pub(crate) fn is_up(&mut self, effects: &mut Effects) {
        if let Self::Asleep(waker) = mem::replace(self, Self::Awake) {
            effects.drop_wakers([waker]);
        }
    }

    pub(crate) fn wake(&mut self, effects: &mut Effects) {
        match mem::replace(self, Self::Awake) {
            Self::Awake => {}
            Self::Asleep(waker) => effects.wake([waker]),
            Self::Ended => *self = Self::Ended,
        }
    }
}
