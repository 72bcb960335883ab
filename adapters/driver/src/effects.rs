//! The effects of a step that run foreign code. So they must wait until the lock is released.

use std::mem;
#[cfg(any(feature = "metrics", feature = "tracing"))]
use std::sync::Arc;
use std::task::Waker;

use acs_common::{Error, FailureCause, Notice};

use crate::panics::catch_panic;
use crate::spans::Asker;

/// The effects run when this is dropped. So it must be dropped after the lock.
#[derive(Default)]
pub(crate) struct Effects {
    woken: Vec<Waker>,
    dropped_wakers: Vec<Waker>,
    dropped_errors: Vec<FailureCause>,
    dropped_askers: Vec<Asker>,
    /// What is logged, and the name of the credential.
    #[cfg(feature = "tracing")]
    log: (Vec<crate::log::Entry>, Option<Arc<str>>),
    /// What is measured, and the name of the credential.
    #[cfg(feature = "metrics")]
    measured: (Vec<crate::metrics::Measurement>, Option<Arc<str>>),
}

impl Effects {
    pub(crate) fn wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.woken.extend(wakers);
    }

    pub(crate) fn drop_wakers(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.dropped_wakers.extend(wakers);
    }

    pub(crate) fn drop_errors(&mut self, errors: impl IntoIterator<Item = FailureCause>) {
        self.dropped_errors.extend(errors);
    }

    pub(crate) fn drop_error(&mut self, error: Error) {
        if let Error::RefreshFailed { cause, .. } = error {
            self.dropped_errors.push(cause);
        }
    }

    pub(crate) fn drop_askers(&mut self, askers: impl IntoIterator<Item = Asker>) {
        self.dropped_askers.extend(askers);
    }

    pub(crate) fn drop_notice(&mut self, notice: Notice) {
        if let Notice::RefreshFailed { cause, .. } = notice {
            self.dropped_errors.push(cause);
        } else if let Notice::StoreFailed { error, .. } = notice {
            self.dropped_errors.push(FailureCause::Refresher(error));
        }
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn log(&mut self, entry: crate::log::Entry, credential: Option<&Arc<str>>) {
        self.log.0.push(entry);
        self.log.1 = credential.cloned();
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn measure(
        &mut self,
        measured: impl IntoIterator<Item = crate::metrics::Measurement>,
        credential: Option<&Arc<str>>,
    ) {
        self.measured.0.extend(measured);
        self.measured.1 = credential.cloned();
    }
}

impl Drop for Effects {
    fn drop(&mut self) {
        mem::take(&mut self.woken).into_iter().for_each(|waker| _ = catch_panic(|| waker.wake()));
        #[cfg(feature = "tracing")]
        {
            let (entries, credential) = mem::take(&mut self.log);
            entries.into_iter().for_each(|entry| _ = catch_panic(|| entry.write(credential.as_deref())));
        }
        #[cfg(feature = "metrics")]
        {
            let (measured, credential) = mem::take(&mut self.measured);
            measured.into_iter().for_each(|measured| _ = catch_panic(|| measured.record(credential.as_ref())));
        }
        mem::take(&mut self.dropped_wakers).into_iter().for_each(|waker| _ = catch_panic(|| drop(waker)));
        mem::take(&mut self.dropped_errors).into_iter().for_each(|error| _ = catch_panic(|| drop(error)));
    }
}
