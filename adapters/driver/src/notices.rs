//! The stream of notices. Each listener reads at its own speed.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use acs_common::Notice;
use futures_lite::Stream;

use crate::clock::Clock;
use crate::shared::Shared;

/// A stream of a credential's notices, from [`notices`](crate::CommunicationTokenCredential::notices). It starts with the
/// first notice after that call. It ends when the credential is disposed, its last handle is dropped, or its driver has
/// ended. The stream does not keep the credential or the driver alive.
///
/// A listener that is more than 64 notices behind loses the oldest ones; [`missed`](Self::missed) counts them.
///
/// ```
/// use acs_common_driver::Notice;
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
/// let mut notices = credential.notices();
/// credential.dispose();
/// assert!(matches!(notices.next().await, Some(Notice::Disposed)));
/// assert!(notices.next().await.is_none());
/// # Ok(())
/// # }
/// ```
pub struct Notices<C: Clock> {
    shared: Arc<Shared<C>>,
    key: usize,
    missed: u64,
}

impl<C: Clock> Notices<C> {
    pub(crate) fn new(shared: &Arc<Shared<C>>) -> Self {
        Self { shared: Arc::clone(shared), key: shared.lock().subscribe(), missed: 0 }
    }

    /// The next notice; `None` at the end. Cancel-safe: if you drop the future, no notice is lost.
    pub async fn next(&mut self) -> Option<Notice> {
        poll_fn(|context| self.poll_next_notice(context)).await
    }

    /// The name of the credential, if it [has one](crate::Builder::named): to tell the notices of several credentials apart.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.shared.name.as_deref()
    }

    /// How many notices this listener has lost because it was too slow.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn poll_next_notice(&mut self, context: &Context<'_>) -> Poll<Option<Notice>> {
        // Clone the waker before the lock is held, because that may run foreign code.
        let waker = context.waker().clone();
        self.shared.lock().poll_notice(self.key, waker, &mut self.missed)
    }
}

impl<C: Clock> Stream for Notices<C> {
    type Item = Notice;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Notice>> {
        self.poll_next_notice(context)
    }
}

impl<C: Clock> Drop for Notices<C> {
    fn drop(&mut self) {
        self.shared.lock().unsubscribe(self.key);
    }
}

impl<C: Clock> fmt::Debug for Notices<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").field("name", &self.name()).field("missed", &self.missed).finish_non_exhaustive()
    }
}
