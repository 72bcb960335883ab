//! What a driver has its host do: call a refresher; or ask a source of Entra tokens, and send a request.

use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "entra")]
use acs_common::entra::{CallId, EntraEvent, HttpRequest};
use acs_common::{Event, NewToken, RefresherError, RequestId};

use crate::engine::Happened;
#[cfg(feature = "entra")]
use crate::entra::EntraTokenRequest;
use crate::refresher::{Refresher, RefresherPanicked};

/// What does a driver's work: a [`Refresher`], or what exchanges Entra tokens (feature `entra`). Not for implementing.
///
/// ```
/// use acs_common_driver::{Clock, Driver, Work};
///
/// /// Runs a driver to its end on a thread of its own.
/// fn run<C, W>(driver: Driver<C, W>)
/// where
///     C: Clock,
///     W: Work,
///     Driver<C, W>: Send + 'static,
/// {
///     std::thread::spawn(|| futures_lite::future::block_on(driver));
/// }
/// # let refresher = || std::future::ready(Ok::<_, std::io::Error>("eyJ…"));
/// # let (credential, driver) = acs_common_driver::Builder::new(acs_common_smol::Smol::default(), refresher).build()?;
/// # run(driver);
/// # credential.get_token_blocking()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Work: sealed::Work {}

impl<W: sealed::Work> Work for W {}

pub(crate) mod sealed {
    /// Seals [`Work`](super::Work).
    #[expect(unnameable_types, reason = "sealed")]
    pub trait Work {
        /// A call under way; it ends with what to tell the machine.
        type Future: Future<Output = super::Happened>;

        /// Begins a call; none if it is not of the kind that its machine makes.
        fn start(&mut self, call: super::Call) -> Option<Self::Future>;
    }
}

/// A call to be made. The large ones on the heap, since every credential has room for one.
#[derive(Debug)]
#[expect(unnameable_types, reason = "of a sealed trait")]
pub enum Call {
    /// Of the refresher.
    Refresh(RequestId),
    /// Of the source of Entra tokens.
    #[cfg(feature = "entra")]
    Acquire(CallId, Box<EntraTokenRequest>),
    /// Of the service.
    #[cfg(feature = "entra")]
    Send(CallId, Box<HttpRequest>),
}

/// Which call it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallKey {
    Refresh(RequestId),
    #[cfg(feature = "entra")]
    Acquire(CallId),
    #[cfg(feature = "entra")]
    Send(CallId),
}

impl Call {
    pub(crate) fn key(&self) -> CallKey {
        match self {
            Self::Refresh(request) => CallKey::Refresh(*request),
            #[cfg(feature = "entra")]
            Self::Acquire(call, _) => CallKey::Acquire(*call),
            #[cfg(feature = "entra")]
            Self::Send(call, _) => CallKey::Send(*call),
        }
    }
}

impl CallKey {
    /// What to tell the machine of a call that panicked.
    pub(crate) fn panicked(self) -> Happened {
        let error = RefresherError::new(RefresherPanicked);
        match self {
            Self::Refresh(request) => Happened::Answered(Event::RefreshFailed { request, error }),
            #[cfg(feature = "entra")]
            Self::Acquire(call) => Happened::AnsweredEntra(EntraEvent::EntraTokenFailed { call, error }),
            #[cfg(feature = "entra")]
            Self::Send(call) => Happened::AnsweredEntra(EntraEvent::TransportFailed { call, error }),
        }
    }
}

impl<R: Refresher> sealed::Work for R {
    type Future = Refreshing<R::Future>;

    fn start(&mut self, call: Call) -> Option<Self::Future> {
        match call {
            Call::Refresh(request) => Some(Refreshing { request, future: self.refresh() }),
            #[cfg(feature = "entra")]
            Call::Acquire(..) | Call::Send(..) => None,
        }
    }
}

pin_project_lite::pin_project! {
    /// A call of a refresher under way.
    #[derive(Debug)]
    pub struct Refreshing<F> {
        request: RequestId,
        #[pin]
        future: F,
    }
}

impl<F: Future<Output = Result<NewToken, RefresherError>>> Future for Refreshing<F> {
    type Output = Happened;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Happened> {
        let this = self.project();
        let request = *this.request;
        this.future.poll(context).map(|answer| {
            Happened::Answered(match answer {
                Ok(token) => Event::TokenReceived { request, token },
                Err(error) => Event::RefreshFailed { request, error },
            })
        })
    }
}
