//! What a driver has its host do: call a refresher; or ask a source of Entra tokens, and send a request.

#[cfg(feature = "entra")]
use acs_common::entra::{CallId, EntraEvent, HttpRequest};
use acs_common::{Event, RefresherError, RequestId, Token};

use crate::refresher::RefresherPanicked;

/// What happened.
#[derive(Debug)]
#[expect(unnameable_types, reason = "of a sealed trait")]
pub enum Happened {
    /// See [`Event`], here and below.
    TokenRequested(usize),
    RequestCancelled(usize),
    TokenRejected(Token),
    TimeAdvanced,
    TryNow,
    Disposed,
    Answered(Event<usize>),
    #[cfg(feature = "entra")]
    AnsweredEntra(EntraEvent<usize>),
}

impl Happened {
    /// The foreign error in it.
    pub(crate) fn error(&self) -> Option<&RefresherError> {
        if let Self::Answered(Event::RefreshFailed { error, .. }) = self {
            return Some(error);
        }
        #[cfg(feature = "entra")]
        if let Self::AnsweredEntra(
            EntraEvent::EntraTokenFailed { error, .. } | EntraEvent::TransportFailed { error, .. },
        ) = self
        {
            return Some(error);
        }
        None
    }

    /// Whether the source has answered: a request that comes later may be in for another check of it.
    pub(crate) fn ends_check(&self) -> bool {
        #[cfg(feature = "entra")]
        if let Self::AnsweredEntra(EntraEvent::EntraTokenReceived { .. }) = self {
            return true;
        }
        false
    }
}

/// A call to be made. The large ones on the heap, since every credential has room for one.
#[derive(Debug)]
#[expect(unnameable_types, reason = "of a sealed trait")]
pub enum Call {
    /// Of the refresher.
    Refresh(RequestId),
    /// Of the source of Entra tokens: for these scopes, and whether a fresh one.
    #[cfg(feature = "entra")]
    Acquire(CallId, Box<(Vec<String>, bool)>),
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
    /// Whether a refresh starts with it.
    #[cfg(feature = "tracing")]
    pub(crate) fn starts_refresh(&self) -> bool {
        match self {
            Self::Refresh(_) => true,
            #[cfg(feature = "entra")]
            Self::Acquire(..) => true,
            #[cfg(feature = "entra")]
            Self::Send(..) => false,
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
