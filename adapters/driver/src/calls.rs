//! The calls of a refresher: at most one at a time. A panic in a call is caught.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use acs_common::{Event, Machine, Monotonic, NewToken, Now, Policy, RefresherError, RequestId, TokenError};

use crate::commands::Refresh;
use crate::panics::catch_panic;
use crate::refresher::{Refresher, RefresherPanicked};

/// The work of a driver: the calls of a refresher, or the exchange of Entra tokens. You cannot implement it.
pub trait Work: sealed::Work {}

impl<W: sealed::Work> Work for W {}

pub(crate) mod sealed {
    use std::fmt::Debug;
    use std::sync::Arc;

    use acs_common::{Machine, Policy, TokenError};
    #[cfg(feature = "store")]
    use acs_common::{Notice, Token, sharing::Standing};
    #[cfg(feature = "store")]
    use acs_common_store::{EntryName, NamingKey};

    use super::{Context, Event, Monotonic, Now, Poll, Refresh, RequestId};

    /// Seals [`Work`](super::Work).
    #[expect(unnameable_types, private_interfaces, reason = "sealed")]
    pub trait Work: Debug {
        /// The machine that this work is for.
        fn machine(&mut self, policy: Policy, now: Now) -> Result<Machine<usize>, TokenError>;

        /// The credential's name, for logs.
        fn name(&mut self, name: Option<&Arc<str>>);

        /// Starts to ask the source. This replaces the call in flight.
        fn start_check(&mut self, request: RequestId);

        /// Calls the refresher. With a source: continues with the token that the source gave.
        fn start_refresh(&mut self, refresh: Refresh, now: Now);

        /// Starts what is due now.
        fn look(&mut self, now: Now);

        /// Drops the call in flight.
        fn cancel(&mut self);

        /// The next event for the machine.
        fn poll(&mut self, now: impl Fn() -> Now, context: &mut Context<'_>) -> Poll<Event<usize>>;

        /// When to call `look`, if nothing else happens before.
        fn deadline(&self) -> Option<Monotonic>;

        /// Whether a call is in flight.
        fn is_calling(&self) -> bool;

        /// The service rejected this token, and the machine knows.
        #[cfg(feature = "store")]
        fn token_rejected(&mut self, _: Token, _: Standing) {}

        /// The user has signed out, and the machine dropped this token.
        #[cfg(feature = "store")]
        fn signed_out(&mut self, _: Token) {}

        /// What listeners are to hear of the shared store.
        #[cfg(feature = "store")]
        fn take_notice(&mut self) -> Option<Notice> {
            None
        }

        /// The credential is disposed: does what is left to be done. `look` and `deadline` go on.
        #[cfg(feature = "store")]
        fn poll_end(&mut self, _: impl Fn() -> Now, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }

        /// The name of the shared store's entry; `None`: it cannot be named.
        #[cfg(feature = "store")]
        fn entry(&self, naming: &NamingKey, name: &str) -> Option<EntryName>;

        /// Whether there is a shared store.
        #[cfg(feature = "store")]
        fn is_shared(&self) -> bool {
            false
        }
    }
}

/// A refresher and its call in flight: the work of a refreshing credential's driver.
pub struct RefresherCalls<R: Refresher> {
    pub(crate) initial: Option<NewToken>,
    refresher: R,
    request: Option<RequestId>,
    call: InFlight<R::Future>,
}

impl<R: Refresher> RefresherCalls<R> {
    pub(crate) fn new(refresher: R) -> Self {
        Self { initial: None, refresher, request: None, call: InFlight::None }
    }
}

#[expect(private_interfaces, reason = "sealed")]
impl<R: Refresher> sealed::Work for RefresherCalls<R> {
    fn machine(&mut self, policy: Policy, now: Now) -> Result<Machine<usize>, TokenError> {
        Machine::new(self.initial.take(), policy, now)
    }

    /// Does nothing: it logs nothing itself.
    fn name(&mut self, _: Option<&Arc<str>>) {}

    /// Does nothing: this machine has no source.
    fn start_check(&mut self, _: RequestId) {}

    fn start_refresh(&mut self, refresh: Refresh, _: Now) {
        self.request = Some(refresh.request);
        self.call.start(|| self.refresher.refresh(refresh.reason));
    }

    /// Does nothing: the one call starts at once.
    fn look(&mut self, _: Now) {}

    fn cancel(&mut self) {
        self.call.cancel();
    }

    fn poll(&mut self, _: impl Fn() -> Now, context: &mut Context<'_>) -> Poll<Event<usize>> {
        let answer = ready!(self.call.poll(context));
        let Some(request) = self.request.take() else { return Poll::Pending };
        Poll::Ready(match answer {
            // Decode the token here, because the machine is behind a lock.
            Some(Ok(token)) => Event::TokenReceived { request, token: token.decoded() },
            Some(Err(error)) => Event::RefreshFailed { request, error },
            None => Event::RefreshFailed { request, error: RefresherError::new(RefresherPanicked) },
        })
    }

    fn deadline(&self) -> Option<Monotonic> {
        None
    }

    fn is_calling(&self) -> bool {
        self.call.is_some()
    }

    #[cfg(feature = "store")]
    fn entry(&self, naming: &acs_common_store::NamingKey, name: &str) -> Option<acs_common_store::EntryName> {
        Some(naming.name(name))
    }
}

impl<R: Refresher> fmt::Debug for RefresherCalls<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefresherCalls").field("initial", &self.initial).finish_non_exhaustive()
    }
}

/// At most one call of foreign code. The code may panic when the call is started, polled or dropped.
pub(crate) enum InFlight<F> {
    None,
    Running(Pin<Box<F>>),
    /// It panicked when it was started.
    Panicked,
}

impl<F: Future> InFlight<F> {
    pub(crate) fn start(&mut self, call: impl FnOnce() -> F) {
        self.cancel();
        *self = match catch_panic(|| Box::pin(call())) {
            Some(future) => Self::Running(future),
            None => Self::Panicked,
        };
    }

    pub(crate) fn cancel(&mut self) {
        let call = mem::replace(self, Self::None);
        catch_panic(|| drop(call));
    }

    pub(crate) fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// The result of the call, when it has ended; `None` if it panicked.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let polled = match self {
            Self::None => return Poll::Pending,
            Self::Running(future) => catch_panic(|| future.as_mut().poll(context)),
            Self::Panicked => None,
        };
        let answer = match polled {
            Some(Poll::Pending) => return Poll::Pending,
            Some(Poll::Ready(answer)) => Some(answer),
            None => None,
        };
        self.cancel();
        Poll::Ready(answer)
    }
}
