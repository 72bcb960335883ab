//! The loop of an authorized call for hosts whose sends are async functions. (The tower layer is a future by hand, since its
//! sends are.)

use std::future::pending;

use acs_common::access_key::SignedHeaders;
use acs_common::call::{Authorization, Call, CallAction, CallEvent, CallResponse, Returned};
use acs_common::{Error, Token, UnixTime};
use http::HeaderValue;

use crate::call_error::CallError;
use crate::client::{ClientAuth, SharedKey};

/// What a host does for a call: it has the request, and sends it.
pub trait Host: Send {
    /// The response that the caller gets.
    type Response: Send;
    /// The error of sending.
    type Error: Send;

    /// Puts the authorization on the request, and sends it. `again`: the clone that was made before the first send.
    fn send(
        &mut self,
        with: Given<'_>,
        again: bool,
    ) -> impl Future<Output = Result<Self::Response, CallError<Self::Error>>> + Send;

    /// What the call has to know of a response. Its date is left out if the response is not fresh from the service.
    fn answer(&self, response: &Self::Response) -> CallResponse;
}

/// What goes on a request.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a host that forgets a kind must not compile")]
pub enum Given<'a> {
    /// The header `Authorization`.
    Token(HeaderValue),
    /// A signature with this key.
    Signature(&'a SharedKey, UnixTime),
}

impl Given<'_> {
    /// The headers of a signed request, and its target.
    ///
    /// # Errors
    /// The request cannot be signed.
    pub fn sign<E>(
        key: &SharedKey,
        date: UnixTime,
        method: &str,
        url: &str,
        body: Option<&[u8]>,
    ) -> Result<SignedHeaders, CallError<E>> {
        let body = body.ok_or(CallError::NotSignable)?;
        key.key().sign(method, url, body, date).map_err(CallError::Signing)
    }
}

/// Makes a call. `replayable`: the host can send its request twice.
///
/// # Errors
/// There is no token, or the last send failed.
pub async fn authorized<H: Host>(
    auth: &ClientAuth,
    replayable: bool,
    host: &mut H,
) -> Result<H::Response, CallError<H::Error>> {
    let mut call = match auth {
        ClientAuth::Token(_) => Call::with_token(replayable),
        ClientAuth::Key(key) => Call::with_key(key.date(), replayable),
    };
    let (mut response, mut failure) = (None, None);
    loop {
        match step(&mut call) {
            Step::Reject(token) => {
                if let ClientAuth::Token(credential) = auth {
                    credential.reject(&token);
                }
            }
            Step::Get(refused) => {
                let ClientAuth::Token(credential) = auth else { continue };
                let token = match refused {
                    Some(refused) => credential.replace(&refused),
                    None => credential.get_token(),
                };
                match usable(token.await) {
                    Ok(token) => call.handle(CallEvent::TokenReceived { token }),
                    Err(error) => {
                        failure = Some(error);
                        call.handle(CallEvent::TokenFailed);
                    }
                }
            }
            Step::Send { with, again } => {
                // With its body, and so with its connection.
                response = None;
                let corrected = again && matches!(with, Owned::Signature(_));
                let sent_at = match auth {
                    ClientAuth::Token(credential) => credential.now(),
                    ClientAuth::Key(_) => None,
                };
                let sent = match (with, auth) {
                    (Owned::Token(token), _) => match token.authorization() {
                        Ok(header) => host.send(Given::Token(header.clone()), again).await,
                        Err(error) => Err(CallError::Bearer(error)),
                    },
                    (Owned::Signature(date), ClientAuth::Key(key)) => {
                        host.send(Given::Signature(key, date), again).await
                    }
                    // A call by token asks for no signature.
                    (Owned::Signature(_), ClientAuth::Token(_)) => Err(CallError::NotSignable),
                };
                match sent {
                    Ok(received) => {
                        let answer = host.answer(&received);
                        if corrected
                            && answer.status() != 401
                            && let (ClientAuth::Key(key), Some(date)) = (auth, answer.date())
                        {
                            key.learn_date(date);
                        }
                        if let (ClientAuth::Token(credential), Some(date), Some(sent_at)) =
                            (auth, answer.date(), sent_at)
                        {
                            credential.service_time_seen(date, sent_at);
                        }
                        response = Some(received);
                        call.handle(CallEvent::ResponseReceived { response: answer });
                    }
                    Err(error) => {
                        failure = Some(error);
                        call.handle(CallEvent::SendFailed);
                    }
                }
            }
            Step::Return(Returned::Response) => {
                if let Some(response) = response.take() {
                    return Ok(response);
                }
            }
            Step::Return(Returned::Failure) => {
                if let Some(failure) = failure.take() {
                    return Err(failure);
                }
            }
            // A call that has ended stays so.
            Step::Nothing => pending().await,
        }
    }
}

/// An action, without a borrow of the machine.
pub(crate) enum Step {
    Reject(Token),
    Get(Option<Token>),
    Send { with: Owned, again: bool },
    Return(Returned),
    Nothing,
}

/// What goes on a request, taken out of the machine.
pub(crate) enum Owned {
    Token(Token),
    Signature(UnixTime),
}

impl From<Authorization<'_>> for Owned {
    fn from(with: Authorization<'_>) -> Self {
        match with {
            Authorization::Token(token) => Self::Token(token.clone()),
            Authorization::Signature { date } => Self::Signature(date),
        }
    }
}

/// The answer of a credential. A token that fits into no header is as good as none.
pub(crate) fn usable<E>(answer: Result<Token, Error>) -> Result<Token, CallError<E>> {
    let token = answer.map_err(CallError::Token)?;
    token.authorization().map_err(CallError::Bearer)?;
    Ok(token)
}

pub(crate) fn step(call: &mut Call) -> Step {
    match call.poll_action() {
        Some(CallAction::RejectToken { token }) => Step::Reject(token),
        Some(CallAction::GetToken { other_than }) => Step::Get(other_than),
        Some(CallAction::Send { with }) => Step::Send { with: with.into(), again: false },
        Some(CallAction::SendAgain { with }) => Step::Send { with: with.into(), again: true },
        Some(CallAction::Return { what }) => Step::Return(what),
        Some(CallAction::CancelToken) | None => Step::Nothing,
    }
}
