//! What a host tells a call.

use super::challenge::{self, Challenge};
use crate::http_date;
use crate::time::UnixTime;
use crate::token::Token;

/// What happened to a call. At most one thing is under way for it, so an answer needs no name. An answer that nobody waits
/// for changes nothing.
///
/// ```
/// use acs_common::call::{CallEvent, CallResponse};
/// use acs_common::{Error, Token};
///
/// /// What became of a request for a token. The host keeps the error.
/// fn outcome(answer: Result<Token, Error>, failure: &mut Option<Error>) -> CallEvent {
///     match answer {
///         Ok(token) => CallEvent::TokenReceived { token },
///         Err(error) => {
///             *failure = Some(error);
///             CallEvent::TokenFailed
///         }
///     }
/// }
/// # let _ = outcome;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum CallEvent {
    /// The credential gave a valid token.
    TokenReceived {
        /// The token.
        token: Token,
    },
    /// The credential gave no token, or one that does not fit into a header.
    TokenFailed,
    /// The service answered.
    ResponseReceived {
        /// What the call has to know of the answer.
        response: CallResponse,
    },
    /// The request could not be signed or sent, or no response came.
    SendFailed,
    /// The caller gave up.
    Cancelled,
}

/// What a call has to know of a response. The body stays with the host.
///
/// ```
/// use acs_common::UnixTime;
/// use acs_common::call::CallResponse;
///
/// let response = CallResponse::new(401)
///     .with_challenge(br#"Bearer realm="chat", error="invalid_token""#)
///     .with_date(b"Wed, 13 Apr 2022 18:09:12 GMT");
/// assert!(response.refuses_the_token());
/// assert_eq!(response.date(), Some(UnixTime::from_secs(1_649_873_352)));
///
/// let forbidden = CallResponse::new(401).with_challenge(br#"Bearer error="insufficient_scope""#);
/// assert!(!forbidden.refuses_the_token(), "another token would not help");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CallResponse {
    status: u16,
    elsewhere: bool,
    /// Some challenge can be read.
    challenged: bool,
    /// Some `Bearer` challenge says that the token is not valid, or does not say what is wrong.
    bearer_refused: bool,
    date: Option<UnixTime>,
}

impl CallResponse {
    /// A response with this status.
    #[inline]
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, elsewhere: false, challenged: false, bearer_refused: false, date: None }
    }

    /// With a line of `WWW-Authenticate`; hand in each. Only those of a 401 matter.
    #[must_use]
    pub fn with_challenge(mut self, line: &[u8]) -> Self {
        challenge::read(line, |challenge| {
            self.challenged = true;
            self.bearer_refused |= match challenge {
                Challenge::Bearer { error } => error.is_none_or(|error| error.says("invalid_token")),
                Challenge::Other => false,
            };
        });
        self
    }

    /// With its `Date`, in the form that HTTP prescribes
    /// ([RFC 9110, section 5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7), `IMF-fixdate`). Any other text is no
    /// date.
    #[must_use]
    pub fn with_date(self, value: &[u8]) -> Self {
        Self { date: http_date::read(value), ..self }
    }

    /// The response came from another origin than the request was sent to: the HTTP client has followed a redirect. It says
    /// nothing about the token.
    #[must_use]
    pub fn from_another_origin(self) -> Self {
        Self { elsewhere: true, ..self }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// When the service answered, by its own clock. `None` if there is no such header or it cannot be read.
    #[must_use]
    pub fn date(&self) -> Option<UnixTime> {
        self.date
    }

    /// Whether the service refuses the token that was sent: see the list at [the table](crate::call).
    #[must_use]
    pub fn refuses_the_token(&self) -> bool {
        self.is_unauthorized() && (!self.challenged || self.bearer_refused)
    }

    /// The service's date, if the service refuses a signature of this date, and the date can be the reason.
    pub(super) fn refuses_the_date(&self, signed: UnixTime) -> Option<UnixTime> {
        let date = self.date.filter(|_| self.is_unauthorized())?;
        let off = date.millis_since(signed).max(signed.millis_since(date));
        (off > LARGEST_DIFFERENCE).then_some(date)
    }

    fn is_unauthorized(&self) -> bool {
        self.status == 401 && !self.elsewhere
    }
}

/// The service accepts dates within five minutes of its own; one goes to travel.
const LARGEST_DIFFERENCE: u64 = 4 * 60 * 1_000;
