//! One exchange: sends the request, tries again, ends with a token or an error. Nothing else waits, and nothing is kept.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::http::{HttpRequest, HttpResponse};
use super::options::EntraOptions;
use super::response::{self, ErrorResponse, ExchangeError};
use super::source::EntraToken;
use super::{hints, scrub};
use crate::backoff::Random;
use crate::error::{FailureKind, RefresherError};
use crate::secret::Secret;
use crate::time::{Now, Until};
use crate::token::NewToken;

/// How often a try that failed is repeated.
const RETRIES: u32 = 3;
/// The pause before the first repetition, in milliseconds; it doubles.
const FIRST_PAUSE: u64 = 800;
/// The longest pause; who asks for a longer one ends the exchange.
const LONGEST_PAUSE: u64 = 60_000;

#[derive(Debug)]
pub(super) struct Exchange {
    token: EntraToken,
    request_id: String,
    /// When the credential gives it up.
    give_up: Option<Until>,
    jitter: f32,
    sent: u32,
    repeated: u32,
    /// The service's refusal of the first Entra token, once a fresh one has been asked for.
    unauthorized: Option<Box<ErrorResponse>>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// To be sent, or sent.
    Sending,
    Pausing(Until),
    /// For a fresh Entra token.
    Asking,
}

/// Whose answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Asked {
    Source,
    Service,
}

/// What comes of an answer.
#[derive(Debug)]
pub(super) enum Next {
    GoOn,
    Done(Result<NewToken, RefresherError>),
}

impl Exchange {
    pub(super) fn new(token: EntraToken, give_up: Option<Until>, jitter: f32, random: &mut Random) -> Self {
        let request_id = guid(random);
        let state = State::Sending;
        Self { token, request_id, give_up, jitter, sent: 0, repeated: 0, unauthorized: None, state }
    }

    /// The Entra token in hand.
    pub(super) fn into_token(self) -> EntraToken {
        self.token
    }

    /// The request of the next try.
    pub(super) fn request(&mut self, options: &EntraOptions) -> HttpRequest {
        self.sent = self.sent.saturating_add(1);
        let url = format!("{}{}", options.endpoint(), options.path());
        let authorization = Secret::new(format!("Bearer {}", self.token.expose()));
        HttpRequest::new(url, authorization, self.request_id.clone(), self.sent)
    }

    /// Until when it pauses, if it does.
    pub(super) fn pause(&self) -> Option<Until> {
        match self.state {
            State::Pausing(until) => Some(until),
            State::Sending | State::Asking => None,
        }
    }

    /// Whom it waits for, unless it pauses.
    pub(super) fn asked(&self) -> Option<Asked> {
        match self.state {
            State::Sending => Some(Asked::Service),
            State::Asking => Some(Asked::Source),
            State::Pausing(_) => None,
        }
    }

    /// Ends a pause that is over.
    pub(super) fn wake_up(&mut self, now: Now) {
        if self.pause().is_some_and(|end| end.has_come(now)) {
            self.state = State::Sending;
        }
    }

    pub(super) fn received(&mut self, response: &HttpResponse, now: Now, random: &mut Random) -> Next {
        if response.status == 200 {
            return Next::Done(response::token(response).map_err(|error| {
                RefresherError::new(ExchangeError::BadResponse(error)).with_kind(FailureKind::BadResponse)
            }));
        }
        let hint = hints::retry_after(response, now.unix);
        let refusal = self.refusal(response, hint);
        match response.status {
            408 | 429 | 500 | 502..=504 | 506..=599 => {
                self.repeat(hint, now, random).unwrap_or_else(|| Next::Done(Err(refused(refusal))))
            }
            401 if self.unauthorized.is_none() => {
                self.unauthorized = Some(refusal);
                self.state = State::Asking;
                Next::GoOn
            }
            _ => Next::Done(Err(refused(refusal).permanent())),
        }
    }

    pub(super) fn unreachable(&mut self, error: RefresherError, now: Now, random: &mut Random) -> Next {
        self.repeat(None, now, random)
            .unwrap_or_else(|| Next::Done(Err(RefresherError::new(ExchangeError::Transport(error)))))
    }

    /// The source's answer to being asked again: another token is worth one more try; the same one is not.
    pub(super) fn asked_again(&mut self, token: Option<EntraToken>) -> Next {
        match token {
            Some(token) if !token.is_same(&self.token) => {
                self.token = token;
                self.state = State::Sending;
                Next::GoOn
            }
            _ => {
                let refusal = self.unauthorized.take().map(refused);
                Next::Done(Err(refusal.unwrap_or_else(|| RefresherError::new("not asked")).permanent()))
            }
        }
    }

    /// Pauses before another try; `None` if that was the last one, or the service asks for more patience than there is.
    fn repeat(&mut self, hint: Option<u64>, now: Now, random: &mut Random) -> Option<Next> {
        if self.repeated >= RETRIES {
            return None;
        }
        let pause = match hint {
            Some(asked) => {
                let left = self.give_up.map_or(u64::MAX, |end| end.left(now));
                (asked <= left.min(LONGEST_PAUSE)).then_some(asked)?
            }
            None => {
                let doubled = FIRST_PAUSE.saturating_mul(1 << self.repeated);
                random.shorten(doubled.min(LONGEST_PAUSE), self.jitter)
            }
        };
        self.repeated = self.repeated.saturating_add(1);
        self.state = if pause == 0 { State::Sending } else { State::Pausing(now.plus(pause)) };
        Some(Next::GoOn)
    }

    fn refusal(&self, response: &HttpResponse, hint: Option<u64>) -> Box<ErrorResponse> {
        let scrub = |text: &str| scrub::scrub(text, self.token.expose());
        Box::new(response::error(response, &self.request_id, hint.map(Duration::from_millis), &scrub))
    }
}

fn refused(refusal: Box<ErrorResponse>) -> RefresherError {
    let retry_after = refusal.retry_after;
    let error = RefresherError::new(ExchangeError::Refused(refusal));
    match retry_after {
        Some(delay) => error.with_retry_after(delay),
        None => error,
    }
}

/// A random GUID ([RFC 9562, section 5.4](https://www.rfc-editor.org/rfc/rfc9562#section-5.4)), to tell exchanges apart.
fn guid(random: &mut Random) -> String {
    let (high, low) = (random.next(), random.next());
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let (high, low) = (format!("{high:016x}"), format!("{low:016x}"));
    let parts = [high.get(..8), high.get(8..12), high.get(12..), low.get(..4), low.get(4..)];
    parts.map(Option::unwrap_or_default).join("-").to_owned()
}
