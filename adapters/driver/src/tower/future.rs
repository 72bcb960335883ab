//! A call in flight: the host of one [`Call`].

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use acs_common::call::{Call, CallEvent, CallResponse};
use acs_common::{Error, Now, Token};
use http::header::{AGE, DATE, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use tower_service::Service;

use super::layer::{Settings, put};
use crate::call_error::CallError;
use crate::client::ClientAuth;
use crate::hosted::{Owned, Step, step, usable};
use crate::provider::TokenFuture;

pin_project_lite::pin_project! {
    /// A call of [`Authorize`](super::Authorize). It returns the response, whatever its status, or a [`CallError`].
    #[must_use = "a future does nothing until it is awaited"]
    pub struct Authorized<S: Service<Request<B>>, B> {
        // A request on its way.
        #[pin]
        sending: Option<S::Future>,
        state: State<S, B>,
    }
}

type CallResult<R, E> = Result<R, CallError<E>>;

#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and a box would be an allocation a call"
)]
enum State<S: Service<Request<B>>, B> {
    /// The request passes untouched.
    Untouched,
    /// The request was sent with the token that the service holds. Nearly every call is this and no more, so it is small.
    Sent {
        held: Arc<Held<B>>,
        /// The clone of the request, and what it is sent with.
        again: Option<(Request<B>, S)>,
        /// When the request was sent, if the credential is to hear the response's `Date`.
        sent_at: Option<Now>,
    },
    /// The call waits for a token or a signature, or sends again.
    More(Box<Steps<S, B>>),
}

/// A token, and what was configured: one allocation for each token of a service, so that a call clones one pointer.
pub(super) struct Held<B> {
    pub(super) token: Token,
    pub(super) settings: Arc<Settings<B>>,
}

/// What the call holds between its steps.
struct Steps<S: Service<Request<B>>, B> {
    call: Call,
    settings: Arc<Settings<B>>,
    /// The request that is sent next.
    request: Option<Request<B>>,
    /// Its clone, until that is sent.
    replay: Option<Request<B>>,
    service: Option<S>,
    /// The service needs no wait.
    is_ready: bool,
    /// When the request was sent.
    sent_at: Option<Now>,
    /// The second signature has the service's date.
    corrected: bool,
    asking: Option<TokenFuture>,
    /// What is returned, if there is no other token.
    result: Option<CallResult<S::Response, S::Error>>,
}

impl<S: Service<Request<B>>, B> Authorized<S, B> {
    pub(super) fn untouched(sending: S::Future) -> Self {
        Self { sending: Some(sending), state: State::Untouched }
    }

    /// The request is on its way with this token. `again`: its clone, and a service to send that with.
    #[inline]
    pub(super) fn sent(
        held: Arc<Held<B>>,
        sending: S::Future,
        again: Option<(Request<B>, S)>,
        sent_at: Option<Now>,
    ) -> Self {
        Self { sending: Some(sending), state: State::Sent { held, again, sent_at } }
    }

    /// The first poll sends the request, or asks for a token. The service is ready.
    pub(super) fn waiting(
        settings: Arc<Settings<B>>,
        first: Request<B>,
        replay: Option<Request<B>>,
        service: S,
    ) -> Self {
        let call = match &settings.auth {
            ClientAuth::Token(_) => Call::with_token(replay.is_some()),
            ClientAuth::Key(key) => Call::with_key(key.date(), replay.is_some()),
        };
        let (request, service) = (Some(first), Some(service));
        let steps = Steps { request, replay, service, is_ready: true, ..Steps::new(call, settings) };
        Self { sending: None, state: State::More(Box::new(steps)) }
    }
}

impl<S, B, R> Future for Authorized<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<R>, CallError<S::Error>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            if let Some(sending) = this.sending.as_mut().as_pin_mut() {
                let received = ready!(sending.poll(context)).map_err(CallError::Service);
                this.sending.set(None);
                match this.state {
                    State::Untouched => return Poll::Ready(received),
                    State::Sent { held, again, sent_at } => {
                        let Ok(response) = &received else { return Poll::Ready(received) };
                        let answer = answer(response);
                        if let Some(sent_at) = sent_at.take() {
                            held.settings.time_seen(response, answer, sent_at);
                        }
                        if !answer.refuses_the_token() {
                            return Poll::Ready(received);
                        }
                        let steps = Steps::refused(held, again.take(), answer, received);
                        *this.state = State::More(Box::new(steps));
                    }
                    State::More(steps) => steps.received(received),
                }
            }
            // Else it was polled after its end.
            let State::More(steps) = this.state else { return Poll::Pending };
            if let Some(asking) = &mut steps.asking {
                let answer = ready!(asking.as_mut().poll(context));
                steps.asking = None;
                steps.answered(answer);
            }
            if let Some(result) = steps.act() {
                return Poll::Ready(result);
            }
            if let Some(request) = ready!(steps.poll_request(context))
                && let Some(service) = &mut steps.service
            {
                steps.sent_at = steps.settings.now();
                this.sending.set(Some(service.call(request)));
            }
        }
    }
}

impl<S: Service<Request<B>>, B> Steps<S, B> {
    fn new(call: Call, settings: Arc<Settings<B>>) -> Self {
        Self {
            call,
            settings,
            request: None,
            replay: None,
            service: None,
            is_ready: false,
            sent_at: None,
            corrected: false,
            asking: None,
            result: None,
        }
    }

    /// After a request that was sent at once, and whose token the service refused.
    #[cold]
    fn refused(
        held: &Held<B>,
        again: Option<(Request<B>, S)>,
        answer: CallResponse,
        received: CallResult<S::Response, S::Error>,
    ) -> Self {
        let (replay, service) = again.unzip();
        let mut call = Call::with_held_token(held.token.clone(), replay.is_some());
        // It says: send. That is done.
        drop(step(&mut call));
        call.handle(CallEvent::ResponseReceived { response: answer });
        Self { replay, service, result: Some(received), ..Self::new(call, Arc::clone(&held.settings)) }
    }

    fn answered(&mut self, answer: Result<Token, Error>) {
        match usable(answer) {
            Ok(token) => self.call.handle(CallEvent::TokenReceived { token }),
            Err(error) => {
                self.result.get_or_insert(Err(error));
                self.call.handle(CallEvent::TokenFailed);
            }
        }
    }

    /// The request to send now, since the service is ready for it. `Ready(None)`: there is something else to do first.
    fn poll_request(&mut self, context: &mut Context<'_>) -> Poll<Option<Request<B>>> {
        if self.asking.is_some() {
            return Poll::Ready(None);
        }
        let (Some(_), Some(service)) = (&self.request, &mut self.service) else { return Poll::Pending };
        if !self.is_ready
            && let Err(error) = ready!(service.poll_ready(context))
        {
            self.request = None;
            self.send_failed(CallError::Service(error));
            return Poll::Ready(None);
        }
        self.is_ready = false;
        Poll::Ready(self.request.take())
    }

    fn send_failed(&mut self, error: CallError<S::Error>) {
        self.result = Some(Err(error));
        self.call.handle(CallEvent::SendFailed);
    }

    /// Does what the call says. Returns its result, if it has ended.
    fn act(&mut self) -> Option<CallResult<S::Response, S::Error>> {
        loop {
            match step(&mut self.call) {
                Step::Return(_) => return self.result.take(),
                Step::Nothing => return None,
                Step::Reject(token) => {
                    if let ClientAuth::Token(credential) = &self.settings.auth {
                        credential.reject(&token);
                    }
                }
                Step::Get(other_than) => {
                    if let ClientAuth::Token(credential) = &self.settings.auth {
                        self.asking = Some(match other_than {
                            Some(refused) => credential.replace(&refused),
                            None => credential.get_token(),
                        });
                    }
                }
                Step::Send { with, again } => {
                    // A response goes with its body, and so with its connection.
                    self.result = None;
                    self.corrected = again && matches!(with, Owned::Signature(_));
                    let request = if again { &mut self.replay } else { &mut self.request };
                    let Some(request) = request.take() else { continue };
                    match self.settings.authorize(with, request) {
                        Ok(request) => self.request = Some(request),
                        Err(error) => self.send_failed(error),
                    }
                }
            }
        }
    }
}

impl<S, B, R> Steps<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    fn received(&mut self, received: CallResult<Response<R>, S::Error>) {
        match &received {
            Ok(response) => {
                let answer = answer(response);
                if let Some(sent_at) = self.sent_at.take() {
                    self.settings.time_seen(response, answer, sent_at);
                }
                if self.corrected
                    && answer.status() != 401
                    && let ClientAuth::Key(key) = &self.settings.auth
                    && let Some(date) = with_date(answer, response).date()
                {
                    key.learn_date(date);
                }
                self.call.handle(CallEvent::ResponseReceived { response: answer });
            }
            Err(_) => self.call.handle(CallEvent::SendFailed),
        }
        self.result = Some(received);
    }
}

impl<B> Settings<B> {
    /// The credential hears the response's `Date`.
    #[cold]
    fn time_seen<R>(&self, response: &Response<R>, answer: CallResponse, sent_at: Now) {
        if let ClientAuth::Token(credential) = &self.auth
            && response.headers().get(AGE).is_none_or(|age| age == "0")
            && let Some(date) = with_date(answer, response).date()
        {
            credential.service_time_seen(date, sent_at);
        }
    }

    fn authorize<E>(&self, with: Owned, mut request: Request<B>) -> CallResult<Request<B>, E> {
        match (with, &self.auth) {
            (Owned::Token(token), _) => {
                put(&mut request, token.authorization().map_err(CallError::Bearer)?);
                Ok(request)
            }
            (Owned::Signature(date), ClientAuth::Key(key)) => self.sign(request, key, date),
            // A call by token asks for no signature.
            (Owned::Signature(_), ClientAuth::Token(_)) => Ok(request),
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
