//! Notices to whoever listens, each listener at his own pace.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use acs_common::Notice;
use futures_lite::Stream;
use slab::Slab;

use crate::Clock;
use crate::shared::{After, Shared};

/// How many notices are kept for a listener that is behind.
const KEPT: usize = 64;

/// A stream of a credential's notices, from [`notices`](crate::CommunicationTokenCredential::notices): what happens from
/// then on. It ends once the credential is disposed, its last handle dropped or its driver gone; it does not keep any of
/// them alive.
///
/// A listener that is more than 64 notices behind loses the oldest; [`missed`](Self::missed) counts them.
///
/// ```
/// use acs_common_driver::Notice;
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let credential = CommunicationTokenCredential::with_static_token("eyJ…")?;
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
        let key = shared.with(|state, _, _| state.log.subscribe());
        Self { shared: Arc::clone(shared), key, missed: 0 }
    }

    /// The next notice; `None` at the end. Cancel-safe: a notice is taken only when it is returned.
    pub async fn next(&mut self) -> Option<Notice> {
        poll_fn(|context| self.poll_next_notice(context)).await
    }

    /// How many notices were lost because this listener was too far behind.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn poll_next_notice(&mut self, context: &Context<'_>) -> Poll<Option<Notice>> {
        let (key, missed) = (self.key, &mut self.missed);
        // The waker that is not needed is dropped with the lock released, since that may run foreign code.
        let waker = context.waker().clone();
        let (next, _unneeded) = self.shared.with(|state, _, _| state.log.next(key, waker, missed));
        next
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
        let _unneeded = self.shared.with(|state, _, _| state.log.unsubscribe(self.key));
    }
}

impl<C: Clock> fmt::Debug for Notices<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").field("missed", &self.missed).finish_non_exhaustive()
    }
}

/// The last notices, kept only while anybody listens.
#[derive(Default)]
pub(crate) struct Log {
    kept: VecDeque<Notice>,
    /// The number of the oldest one kept.
    first: u64,
    listeners: Slab<Listener>,
    ended: bool,
}

struct Listener {
    next: u64,
    waker: Option<Waker>,
}

impl Log {
    pub(crate) fn push(&mut self, notice: Notice, after: &mut After) {
        if self.ended {
            return;
        }
        let last = matches!(notice, Notice::Disposed);
        if !self.listeners.is_empty() {
            self.kept.push_back(notice);
            if self.kept.len() > KEPT {
                self.first += 1;
                if let Some(Notice::RefreshFailed { cause, .. }) = self.kept.pop_front() {
                    after.dropped.push(cause);
                }
            }
            self.wake(after);
        }
        if last {
            self.end(after);
        }
    }

    /// Nothing will be added any more.
    pub(crate) fn end(&mut self, after: &mut After) {
        self.ended = true;
        self.wake(after);
    }

    fn wake(&mut self, after: &mut After) {
        after.wake.extend(self.listeners.iter_mut().filter_map(|(_, listener)| listener.waker.take()));
    }

    fn subscribe(&mut self) -> usize {
        self.listeners.insert(Listener { next: self.first + self.kept.len() as u64, waker: None })
    }

    /// Hands back what may run foreign code when dropped.
    fn unsubscribe(&mut self, key: usize) -> (Option<Waker>, VecDeque<Notice>) {
        let listener = self.listeners.try_remove(key);
        let kept = if self.listeners.is_empty() { std::mem::take(&mut self.kept) } else { VecDeque::new() };
        self.first += kept.len() as u64;
        (listener.and_then(|listener| listener.waker), kept)
    }

    fn next(&mut self, key: usize, waker: Waker, missed: &mut u64) -> (Poll<Option<Notice>>, Option<Waker>) {
        let Some(listener) = self.listeners.get_mut(key) else { return (Poll::Ready(None), Some(waker)) };
        let lost = self.first.saturating_sub(listener.next);
        *missed += lost;
        listener.next += lost;
        let index = usize::try_from(listener.next - self.first).unwrap_or(usize::MAX);
        if let Some(notice) = self.kept.get(index) {
            listener.next += 1;
            return (Poll::Ready(Some(notice.clone())), Some(waker));
        }
        if self.ended {
            return (Poll::Ready(None), Some(waker));
        }
        match &listener.waker {
            Some(known) if known.will_wake(&waker) => (Poll::Pending, Some(waker)),
            _ => (Poll::Pending, listener.waker.replace(waker)),
        }
    }
}
