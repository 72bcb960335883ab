//! What a call tells its host.

use crate::time::UnixTime;
use crate::token::Token;

/// What a call tells its host to do. Exhaustive on purpose: a host that forgets one must not compile.
///
/// ```
/// use acs_common::call::{Authorization, CallAction};
///
/// /// What a host might write to its log. No secret is in it.
/// fn describe(action: &CallAction<'_>) -> String {
///     match action {
///         CallAction::RejectToken { .. } => "the service refused the token".to_owned(),
///         CallAction::GetToken { other_than: None } => "ask for a token".to_owned(),
///         CallAction::GetToken { other_than: Some(_) } => "ask for another token".to_owned(),
///         CallAction::CancelToken => "drop the request for a token".to_owned(),
///         CallAction::Send { with: Authorization::Token(_) } => "send with the token".to_owned(),
///         CallAction::Send { with: Authorization::Signature { date } } => format!("sign with {date}, and send"),
///         CallAction::SendAgain { .. } => "drop the response, and send once more".to_owned(),
///         CallAction::Return { what } => format!("the caller gets the {what:?}"),
///     }
/// }
/// assert_eq!(describe(&CallAction::CancelToken), "drop the request for a token");
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a host that forgets an action must not compile")]
pub enum CallAction<'a> {
    /// Tell the credential that the service refused this token: [`TokenRejected`](crate::Event::TokenRejected).
    RejectToken {
        /// The token that was sent.
        token: Token,
    },
    /// Ask the credential for a valid token, and wait for it. Hand in [`TokenReceived`](super::CallEvent::TokenReceived) or
    /// [`TokenFailed`](super::CallEvent::TokenFailed).
    GetToken {
        /// The token that the service refused. Only another one is of use. The response stays with the host meanwhile.
        other_than: Option<Token>,
    },
    /// The caller has given up: drop the request for a token, which has no answer so far.
    CancelToken,
    /// Put the authorization on the request, and send it. Hand in [`ResponseReceived`](super::CallEvent::ResponseReceived) or
    /// [`SendFailed`](super::CallEvent::SendFailed).
    Send {
        /// What goes on the request.
        with: Authorization<'a>,
    },
    /// Drop the response, with its body. Then put the authorization on the kept clone of the request, and send that.
    SendAgain {
        /// What goes on the request.
        with: Authorization<'a>,
    },
    /// The call has ended.
    Return {
        /// What the caller gets.
        what: Returned,
    },
}

/// What a request is authorized with.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a host that forgets a kind must not compile")]
pub enum Authorization<'a> {
    /// The header `Authorization` with this token.
    Token(&'a Token),
    /// A signature with the access key.
    Signature {
        /// The date to sign with.
        date: UnixTime,
    },
}

/// What the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a host that forgets a kind must not compile")]
pub enum Returned {
    /// The response that came last, as it is.
    Response,
    /// The failure that came last: of the credential, or of sending.
    Failure,
}
