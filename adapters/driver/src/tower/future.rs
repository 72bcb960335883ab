//! A call in flight: the host of one [`Call`].

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use acs_common::call::{Authorization, Call, CallAction, CallEvent, CallResponse, Returned};
use acs_common::{Error, Now, Token};
use http::header::{AGE, DATE, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use tower_service::Service;

use super::layer::{Settings, put};
use crate::call_error::CallError;
use crate::client::ClientAuth;
use crate::hosted::{Owned, usable};
use crate::provider::TokenFuture;

pin_project_lite::pin_project! {
    /// A call of [`Authorize`](super::Authorize). It returns the response, whatever its status, or a [`CallError`].
    #[must_use = "a future does nothing until it is awaited"]
    pub struct Authorized<S: Service<Request<B>>, B> {
        // A request on its way.
        #[pin]
        sending: Option<S::Future>,
        // `None`: the request passes untouched.
        steps: Option<Steps<S, B>>,
    }
}

/// What the call holds between its steps.
pub(super) struct Steps<S: Service<Request<B>>, B> {
    call: Call,
    settings: Arc<Settings<B>>,
    /// The request that is sent next.
    request: Option<Request<B>>,
    /// It has its authorization, and waits for the service.
    is_authorized: bool,
    /// Its clone, until that is sent.
    replay: Option<Request<B>>,
    service: Option<S>,
    is_ready: bool,
    asking: Option<TokenFuture>,
    response: Option<S::Response>,
    failure: Option<CallError<S::Error>>,
    /// The second signature has the service's date.
    corrected: bool,
    /// When the request was sent, if the credential is to hear the response's `Date`.
    sent_at: Option<Now>,
}

impl<S: Service<Request<B>>, B> Authorized<S, B> {
    pub(super) fn untouched(sending: S::Future) -> Self {
        Self { sending: Some(sending), steps: None }
    }

    /// The request is on its way. `again`: its clone, and a service to send that with.
    #[inline]
    pub(super) fn sent(
        call: Call,
        settings: &Arc<Settings<B>>,
        sending: S::Future,
        again: Option<(Request<B>, S)>,
        sent_at: Option<Now>,
    ) -> Self {
        let (replay, service) = again.unzip();
        let steps = Steps { replay, service, sent_at, ..Steps::new(call, settings) };
        Self { sending: Some(sending), steps: Some(steps) }
    }

    /// The request is sent by the first poll, or when there is a token. The service is ready.
    pub(super) fn waiting(
        call: Call,
        settings: &Arc<Settings<B>>,
        first: Request<B>,
        replay: Option<Request<B>>,
        service: S,
    ) -> Self {
        let asking = match &settings.auth {
            ClientAuth::Token(credential) => Some(credential.get_token()),
            ClientAuth::Key(_) => None,
        };
        let request = Some(first);
        let service = Some(service);
        let steps = Steps { request, replay, service, is_ready: true, asking, ..Steps::new(call, settings) };
        Self { sending: None, steps: Some(steps) }
    }
}

impl<S, B, R> Future for Authorized<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<R>, CallError<S::Error>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            if let Some(sending) = this.sending.as_mut().as_pin_mut() {
                let result = ready!(sending.poll(context));
                this.sending.set(None);
                match this.steps {
                    Some(steps) => steps.received(result),
                    None => return Poll::Ready(result.map_err(CallError::Service)),
                }
            }
            let Some(steps) = this.steps else {
                // It was polled after its end.
                return Poll::Pending;
            };
            if let Some(asking) = &mut steps.asking {
                let answer = ready!(asking.as_mut().poll(context));
                steps.asking = None;
                steps.answered(answer);
            }
            if let Some(result) = steps.act() {
                return Poll::Ready(result);
            }
            if steps.asking.is_none() {
                let Some(request) = ready!(steps.poll_service(context)) else { continue };
                let (Some(request), Some(service)) = (request, &mut steps.service) else { return Poll::Pending };
                steps.is_ready = false;
                steps.sent_at = steps.settings.now();
                this.sending.set(Some(service.call(request)));
            }
        }
    }
}

impl<S: Service<Request<B>>, B> Steps<S, B> {
    #[inline]
    fn new(call: Call, settings: &Arc<Settings<B>>) -> Self {
        Self {
            call,
            settings: Arc::clone(settings),
            request: None,
            is_authorized: false,
            replay: None,
            service: None,
            is_ready: false,
            asking: None,
            response: None,
            failure: None,
            corrected: false,
            sent_at: None,
        }
    }

    fn answered(&mut self, answer: Result<Token, Error>) {
        match usable(answer) {
            Ok(token) => self.call.handle(CallEvent::TokenReceived { token }),
            Err(error) => {
                self.failure = Some(error);
                self.call.handle(CallEvent::TokenFailed);
            }
        }
    }

    fn send_failed(&mut self, error: CallError<S::Error>) {
        self.failure = Some(error);
        self.call.handle(CallEvent::SendFailed);
    }

    /// The request that can be sent now, as there is a service for it. `Ready(None)`: the service has failed.
    fn poll_service(&mut self, context: &mut Context<'_>) -> Poll<Option<Option<Request<B>>>> {
        if !self.is_authorized {
            return Poll::Ready(Some(None));
        }
        if !self.is_ready
            && let Some(service) = &mut self.service
        {
            if let Err(error) = ready!(service.poll_ready(context)) {
                self.is_authorized = false;
                self.send_failed(CallError::Service(error));
                return Poll::Ready(None);
            }
            self.is_ready = true;
        }
        self.is_authorized = false;
        Poll::Ready(Some(self.request.take()))
    }

    fn authorize(&self, with: Owned, request: Option<Request<B>>) -> Result<Option<Request<B>>, CallError<S::Error>> {
        let Some(mut request) = request else { return Ok(None) };
        match (with, &self.settings.auth) {
            (Owned::Token(token), _) => {
                put(&mut request, token.authorization().map_err(CallError::Bearer)?.clone());
                Ok(Some(request))
            }
            (Owned::Signature(date), ClientAuth::Key(key)) => self.settings.sign(request, key, date).map(Some),
            // A call by token asks for no signature.
            (Owned::Signature(_), ClientAuth::Token(_)) => Ok(Some(request)),
        }
    }
}

impl<S, B, R> Steps<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    fn received(&mut self, result: Result<Response<R>, S::Error>) {
        match result {
            Ok(response) => {
                let answer = answer(&response);
                if let Some(sent_at) = self.sent_at.take()
                    && let ClientAuth::Token(credential) = &self.settings.auth
                    && response.headers().get(AGE).is_none_or(|age| age == "0")
                    && let Some(date) = with_date(answer, &response).date()
                {
                    credential.service_time_seen(date, sent_at);
                }
                if self.corrected
                    && answer.status() != 401
                    && let ClientAuth::Key(key) = &self.settings.auth
                    && let Some(date) = with_date(answer, &response).date()
                {
                    key.learn_date(date);
                }
                self.response = Some(response);
                self.call.handle(CallEvent::ResponseReceived { response: answer });
            }
            Err(error) => self.send_failed(CallError::Service(error)),
        }
    }

    /// Does what the call says. Returns its result, if it has ended.
    fn act(&mut self) -> Option<Result<Response<R>, CallError<S::Error>>> {
        loop {
            let (with, request) = match self.call.poll_action()? {
                CallAction::RejectToken { token } => {
                    if let ClientAuth::Token(credential) = &self.settings.auth {
                        credential.reject(&token);
                    }
                    continue;
                }
                CallAction::GetToken { other_than } => {
                    if let ClientAuth::Token(credential) = &self.settings.auth {
                        self.asking = Some(match other_than {
                            Some(refused) => credential.replace(&refused),
                            None => credential.get_token(),
                        });
                    }
                    continue;
                }
                CallAction::CancelToken => {
                    self.asking = None;
                    continue;
                }
                CallAction::Send { with } => (Owned::from(with), self.request.take()),
                CallAction::SendAgain { with } => {
                    // With its body, and so with its connection.
                    self.response = None;
                    self.corrected = matches!(with, Authorization::Signature { .. });
                    (Owned::from(with), self.replay.take())
                }
                CallAction::Return { what: Returned::Response } => return self.response.take().map(Ok),
                CallAction::Return { what: Returned::Failure } => return self.failure.take().map(Err),
            };
            match self.authorize(with, request) {
                Ok(request) => {
                    self.is_authorized = request.is_some();
                    self.request = request;
                }
                Err(error) => self.send_failed(error),
            }
        }
    }
}

/// What the machine has to know of the response.
#[inline]
fn answer<R>(response: &Response<R>) -> CallResponse {
    let answer = CallResponse::new(response.status().as_u16());
    if response.status() != StatusCode::UNAUTHORIZED {
        return answer;
    }
    let lines = response.headers().get_all(WWW_AUTHENTICATE).iter();
    with_date(lines.fold(answer, |answer, line| answer.with_challenge(line.as_bytes())), response)
}

fn with_date<R>(answer: CallResponse, response: &Response<R>) -> CallResponse {
    match response.headers().get(DATE) {
        Some(date) => answer.with_date(date.as_bytes()),
        None => answer,
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for Authorized<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized").field("is_sending", &self.sending.is_some()).finish_non_exhaustive()
    }
}
