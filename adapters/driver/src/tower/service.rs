//! The service.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use acs_common::call::{Call, CallAction, CallEvent};
use http::{HeaderValue, Request, Response};
use tower_service::Service;

use super::future::Authorized;
use super::layer::{Settings, put};
use crate::call_error::CallError;
use crate::client::ClientAuth;
use crate::provider::TokenReader;

/// A service whose requests are authorized, from an [`AuthorizeLayer`](super::AuthorizeLayer).
///
/// A clone has its own reader of the token (one allocation). The future of a call owns what it needs. If you drop it, its
/// request for a token ends, and so does the request to the service; the credential stays as it is.
pub struct Authorize<S, B> {
    inner: S,
    settings: Arc<Settings<B>>,
    /// `None`: there is a key instead.
    reader: Option<Box<dyn TokenReader>>,
    /// How many calls it has authorized.
    calls: u32,
}

impl<S, B> Authorize<S, B> {
    pub(super) fn new(inner: S, settings: Arc<Settings<B>>) -> Self {
        let reader = match &settings.auth {
            ClientAuth::Token(credential) => Some(credential.reader()),
            ClientAuth::Key(_) => None,
        };
        Self { inner, settings, reader, calls: 0 }
    }

    /// Drops the token that the service sent last, from its own memory. Call it before the service is idle for a long time.
    pub fn release(&mut self) {
        if let Some(reader) = &mut self.reader {
            reader.release();
        }
    }
}

impl<S, B, R> Service<Request<B>> for Authorize<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<R>;
    type Error = CallError<S::Error>;
    type Future = Authorized<S, B>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(CallError::Service)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if !self.settings.covers(&request) {
            return Authorized::untouched(self.inner.call(request));
        }
        let replay = self.settings.replay(&request);
        let mut call = match &self.settings.auth {
            ClientAuth::Token(_) => Call::with_token(replay.is_some()),
            ClientAuth::Key(key) => Call::with_key(key.date(), replay.is_some()),
        };
        if let Some(reader) = &mut self.reader
            && let Some(authorization) = held(&mut call, &mut **reader)
        {
            put(&mut request, authorization);
            let again = replay.map(|replay| (replay, self.inner.clone()));
            self.calls = self.calls.wrapping_add(1);
            let sent_at = if tells_the_time(self.calls) { self.settings.now() } else { None };
            return Authorized::sent(call, &self.settings, self.inner.call(request), again, sent_at);
        }
        // The future waits with the service that is ready; a clone may not be.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        Authorized::waiting(call, &self.settings, request, replay, ready)
    }
}

/// Whether the credential hears the `Date` of this call's response. The first ones are enough, and then one in many: reading the
/// clocks costs more than the rest of a call.
#[inline]
fn tells_the_time(calls: u32) -> bool {
    calls.is_power_of_two() || calls.is_multiple_of(256)
}

/// The header of a token that is held, for a request that is sent at once.
#[inline]
fn held(call: &mut Call, reader: &mut dyn TokenReader) -> Option<HeaderValue> {
    let Some(CallAction::GetToken { .. }) = call.poll_action() else { return None };
    let token = reader.token().ok()??;
    let authorization = token.authorization().ok()?.clone();
    call.handle(CallEvent::TokenReceived { token: token.clone() });
    matches!(call.poll_action(), Some(CallAction::Send { .. })).then_some(authorization)
}

impl<S: Clone, B> Clone for Authorize<S, B> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.settings))
    }
}

impl<S, B> fmt::Debug for Authorize<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.show("Authorize", f)
    }
}
