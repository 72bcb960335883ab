//! The service.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use acs_common::Token;
use http::{Request, Response};
use tower_service::Service;

use super::future::{Authorized, Held};
use super::layer::{Settings, put};
use crate::call_error::CallError;
use crate::client::ClientAuth;
use crate::provider::TokenReader;

/// A service whose requests are authorized, from an [`AuthorizeLayer`](super::AuthorizeLayer).
///
/// The first call of a clone is one allocation, and its second call another one, for a reader of the token. The calls after them
/// allocate nothing, until there is a new token. The future of a call owns what it needs. If you drop it, its request for a token
/// ends, and so does the request to the service; the credential stays as it is.
pub struct Authorize<S, B> {
    inner: S,
    settings: Arc<Settings<B>>,
    /// `None`: it has made no second call, or there is a key instead.
    reader: Option<Box<dyn TokenReader>>,
    /// The token of the last call.
    held: Option<Arc<Held<B>>>,
}

impl<S, B> Authorize<S, B> {
    pub(super) fn new(inner: S, settings: Arc<Settings<B>>) -> Self {
        Self { inner, settings, reader: None, held: None }
    }

    /// The token that is held, for a request that is sent at once.
    #[inline]
    fn held(&mut self) -> Option<Arc<Held<B>>> {
        let Some(reader) = &mut self.reader else { return self.first_held() };
        let Ok(Some(token)) = reader.token() else {
            self.held = None;
            return None;
        };
        match &self.held {
            Some(held) if held.token.ptr_eq(token) => Some(Arc::clone(held)),
            Some(_) | None => {
                let token = token.clone();
                Some(self.hold(token))
            }
        }
    }

    /// As `held`, for the first call. The second one makes the reader: many a service is cloned for one call.
    #[inline(never)]
    fn first_held(&mut self) -> Option<Arc<Held<B>>> {
        let ClientAuth::Token(credential) = &self.settings.auth else { return None };
        if self.held.is_some() {
            self.reader = Some(credential.reader());
            return self.held();
        }
        let token = credential.try_token().ok()??;
        Some(self.hold(token))
    }

    fn hold(&mut self, token: Token) -> Arc<Held<B>> {
        let held = Held { token, settings: Arc::clone(&self.settings) };
        Arc::clone(self.held.insert(Arc::new(held)))
    }

    /// Drops the token that the service sent last, from its own memory. Call it before the service is idle for a long time.
    pub fn release(&mut self) {
        self.held = None;
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
        if let Some(held) = self.held()
            && let Ok(authorization) = held.token.authorization()
        {
            put(&mut request, authorization);
            let again = replay.map(|replay| (replay, self.inner.clone()));
            let sent_at = self.settings.tells_the_time().then(|| self.settings.now()).flatten();
            return Authorized::sent(held, self.inner.call(request), again, sent_at);
        }
        // The future waits with the service that is ready; a clone may not be.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        Authorized::waiting(Arc::clone(&self.settings), request, replay, ready)
    }
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
