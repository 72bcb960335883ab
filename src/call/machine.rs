//! One authorized request: every transition, and nothing else.

use core::mem;

use super::action::{Authorization, CallAction, Returned};
use super::event::{CallEvent, CallResponse};
use crate::time::UnixTime;
use crate::token::Token;

/// One HTTP request that is authorized with a token or an access key: a sans-IO machine. See [the module](crate::call) for
/// the host's contract and for every transition.
///
/// ```
/// use acs_common::call::{Authorization, Call, CallAction, CallEvent, CallResponse};
/// use acs_common::UnixTime;
///
/// // This device's clock is an hour slow, so the service refuses the signature.
/// let mut call = Call::with_key(UnixTime::from_secs(1_649_869_752), true);
/// let Some(CallAction::Send { with: Authorization::Signature { .. } }) = call.poll_action() else { panic!() };
///
/// let response = CallResponse::new(401).with_date(b"Wed, 13 Apr 2022 18:09:12 GMT");
/// call.handle(CallEvent::ResponseReceived { response });
/// let Some(CallAction::SendAgain { with: Authorization::Signature { date } }) = call.poll_action() else { panic!() };
/// assert_eq!(date, UnixTime::from_secs(1_649_873_352));
/// ```
#[derive(Debug)]
pub struct Call {
    /// The host can send the request twice.
    replayable: bool,
    stage: Stage,
    /// The host knows of the stage.
    told: bool,
    /// The host is to be told that this token was refused.
    refused: Option<Token>,
    /// The host is to be told that the request for a token is not needed any more.
    cancels: bool,
}

#[derive(Debug)]
enum Stage {
    /// The credential is asked for a token; `other_than`: for a second time, because the service refused this one.
    Asking {
        other_than: Option<Token>,
    },
    Sending {
        with: With,
        again: bool,
    },
    /// `None`: the caller gave up.
    Ended(Option<Returned>),
}

#[derive(Debug)]
enum With {
    Token(Token),
    Signature(UnixTime),
}

impl Call {
    /// A call that is authorized with a token, so drain [`poll_action`](Self::poll_action). `replayable`: the host can send the
    /// request twice.
    #[inline]
    #[must_use]
    pub fn with_token(replayable: bool) -> Self {
        Self::new(replayable, Stage::Asking { other_than: None })
    }

    /// A call with a token that the host holds, and that is valid. It starts by sending.
    ///
    /// ```
    /// use acs_common::Token;
    /// use acs_common::call::Call;
    ///
    /// /// A call that asks for a token only if none is held.
    /// fn start(held: Option<&Token>) -> Call {
    ///     match held {
    ///         Some(token) => Call::with_held_token(token.clone(), true),
    ///         None => Call::with_token(true),
    ///     }
    /// }
    /// # let _ = start(None);
    /// ```
    #[inline]
    #[must_use]
    pub fn with_held_token(token: Token, replayable: bool) -> Self {
        Self::new(replayable, Stage::Sending { with: With::Token(token), again: false })
    }

    /// A call that is signed with an access key. `date` is the service's time as far as the host knows it, else the wall
    /// clock's.
    #[must_use]
    pub fn with_key(date: UnixTime, replayable: bool) -> Self {
        Self::new(replayable, Stage::Sending { with: With::Signature(date), again: false })
    }

    fn new(replayable: bool, stage: Stage) -> Self {
        Self { replayable, stage, told: false, refused: None, cancels: false }
    }

    /// Takes in what happened.
    #[inline]
    pub fn handle(&mut self, event: CallEvent) {
        let next = match (&self.stage, event) {
            (Stage::Asking { .. }, CallEvent::Cancelled) => {
                self.cancels = self.told;
                Stage::Ended(None)
            }
            (Stage::Sending { .. } | Stage::Ended(_), CallEvent::Cancelled) => Stage::Ended(None),
            // What the host was not told to do has no answer.
            (Stage::Asking { .. } | Stage::Sending { .. }, _) if !self.told => return,
            (Stage::Asking { other_than: None }, CallEvent::TokenReceived { token }) => {
                Stage::Sending { with: With::Token(token), again: false }
            }
            (Stage::Asking { other_than: Some(refused) }, CallEvent::TokenReceived { token }) => {
                if token.ptr_eq(refused) {
                    Stage::Ended(Some(Returned::Response))
                } else {
                    Stage::Sending { with: With::Token(token), again: true }
                }
            }
            (Stage::Asking { other_than: None }, CallEvent::TokenFailed) => Stage::Ended(Some(Returned::Failure)),
            (Stage::Asking { other_than: Some(_) }, CallEvent::TokenFailed) => Stage::Ended(Some(Returned::Response)),
            (Stage::Sending { with, again }, CallEvent::ResponseReceived { response }) => {
                let (refused, next) = received(with, response, self.replayable && !again);
                self.refused = refused;
                next
            }
            (Stage::Sending { .. }, CallEvent::SendFailed) => Stage::Ended(Some(Returned::Failure)),
            (Stage::Asking { .. } | Stage::Sending { .. } | Stage::Ended(_), _) => return,
        };
        (self.stage, self.told) = (next, false);
    }

    /// The next thing to do; `None` when all is said. It changes with [`handle`](Self::handle) only.
    #[inline]
    pub fn poll_action(&mut self) -> Option<CallAction<'_>> {
        if let Some(token) = self.refused.take() {
            return Some(CallAction::RejectToken { token });
        }
        if mem::take(&mut self.cancels) {
            return Some(CallAction::CancelToken);
        }
        if mem::replace(&mut self.told, true) {
            return None;
        }
        match &self.stage {
            Stage::Asking { other_than } => Some(CallAction::GetToken { other_than: other_than.clone() }),
            Stage::Sending { with, again: false } => Some(CallAction::Send { with: with.lend() }),
            Stage::Sending { with, again: true } => Some(CallAction::SendAgain { with: with.lend() }),
            Stage::Ended(what) => what.map(|what| CallAction::Return { what }),
        }
    }
}

/// The token that is to be rejected, and what follows from the response.
#[inline]
fn received(with: &With, response: CallResponse, can_send_again: bool) -> (Option<Token>, Stage) {
    match with {
        With::Token(token) if response.refuses_the_token() => {
            let next = if can_send_again {
                Stage::Asking { other_than: Some(token.clone()) }
            } else {
                Stage::Ended(Some(Returned::Response))
            };
            (Some(token.clone()), next)
        }
        With::Signature(signed) if can_send_again => {
            let next = match response.refuses_the_date(*signed) {
                Some(date) => Stage::Sending { with: With::Signature(date), again: true },
                None => Stage::Ended(Some(Returned::Response)),
            };
            (None, next)
        }
        With::Token(_) | With::Signature(_) => (None, Stage::Ended(Some(Returned::Response))),
    }
}

impl With {
    #[inline]
    fn lend(&self) -> Authorization<'_> {
        match self {
            Self::Token(token) => Authorization::Token(token),
            Self::Signature(date) => Authorization::Signature { date: *date },
        }
    }
}
