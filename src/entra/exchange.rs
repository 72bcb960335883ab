//! One refresh: it asks the source for an Entra token, sends the request, tries again, and ends with an access token or an
//! error. It knows no waiters and no credential, and keeps nothing after its end.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::mem;
use core::time::Duration;

use super::action::ExchangeAction;
use super::event::ExchangeEvent;
use super::options::EntraOptions;
use super::response::{self, ExchangeError};
use super::source::EntraToken;
use crate::backoff::Random;
use crate::error::{FailureKind, RefresherError};
use crate::event::Source;
use crate::policy::Policy;
use crate::secret::Secret;
use crate::time::{Monotonic, Now, UnixTime, Until};
use crate::token::NewToken;
use crate::wire::{self, AUTHORIZATION, HttpRequest, HttpResponse, Refusal, Text};

const BEARER: &str = "Bearer ";

/// How often a failed try is repeated.
const RETRIES: u32 = 3;
/// The pause before the first repetition, in milliseconds; it doubles.
const FIRST_PAUSE: u64 = 800;
/// The longest pause. A service that asks for a longer one ends the exchange.
const LONGEST_PAUSE: u64 = 60_000;

/// One refresh of an Entra user's credential: a sans-IO machine that does the work of the refresher. A host makes one at each
/// [`CheckSource`](crate::Action::CheckSource), and drops it when it [finishes](ExchangeAction::Finish) or at
/// [`CancelRefresher`](crate::Action::CancelRefresher). See [the module](crate::entra) for the whole.
///
/// ```
/// use acs_common::entra::{EntraOptions, Exchange, ExchangeAction, ExchangeEvent, HttpResponse};
/// use acs_common::{Monotonic, Now, Policy, UnixTime};
///
/// let at = |ms: u64| Now::new(Monotonic::from_millis(ms), UnixTime::from_millis(1_700_000_000_000 + ms as i64));
/// let options = EntraOptions::new("https://contoso.communication.azure.com")?;
/// let mut exchange = Exchange::new(options, &Policy::default(), 1);
/// let Some(ExchangeAction::AcquireEntraToken { .. }) = exchange.poll_action() else { panic!() };
///
/// exchange.handle(ExchangeEvent::EntraTokenReceived { token: "entra".into() }, at(20));
/// let Some(ExchangeAction::ReportSource { .. }) = exchange.poll_action() else { panic!() };
/// assert!(exchange.poll_action().is_none(), "the credential decides what is done with it");
///
/// exchange.handle(ExchangeEvent::Started { give_up: None }, at(20));
/// let Some(ExchangeAction::SendRequest { request }) = exchange.poll_action() else { panic!() };
/// assert_eq!(
///     request.url(),
///     "https://contoso.communication.azure.com/access/entra/:exchangeAccessToken?api-version=2025-03-02-preview",
/// );
/// let body = br#"{"accessToken": {"token": "acs", "expiresOn": "2023-11-14T23:13:20.0000000+00:00"}}"#;
/// let response = HttpResponse::new(200).with_body(body.to_vec());
/// exchange.handle(ExchangeEvent::ResponseReceived { response }, at(80));
/// assert!(matches!(exchange.poll_action(), Some(ExchangeAction::Finish { result: Ok(_) })));
/// # Ok::<(), acs_common::entra::EntraOptionsError>(())
/// ```
#[derive(Debug)]
pub struct Exchange {
    options: EntraOptions,
    /// Makes numbers of Entra tokens: the same for all exchanges of a credential.
    key: u64,
    jitter: f32,
    random: Random,
    request_id: String,
    token: Option<EntraToken>,
    /// When the credential will give up this exchange.
    give_up: Option<Until>,
    sent: u32,
    /// When the last request was sent.
    sent_at: Now,
    repeated: u32,
    /// The service's refusal of the first Entra token, once a fresh one has been asked for.
    unauthorized: Option<RefresherError>,
    stage: Stage,
    /// Whether the host knows the stage.
    told: bool,
    /// The source's numbers, until the host knows them.
    report: Option<Source>,
    /// How the exchange ended, until the host knows it.
    result: Option<Result<NewToken, RefresherError>>,
    deadline: Option<Monotonic>,
    announce_timer: bool,
}

/// The stages of an exchange.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The source is asked. `fresh`: for a second time, because the service refused the first token.
    Acquiring {
        fresh: bool,
    },
    /// The source has answered. The machine decides whether the exchange starts.
    AwaitingStart,
    /// A request is in flight.
    Sending,
    /// The exchange waits before the next try.
    Pausing {
        until: Until,
    },
    Ended,
}

impl Exchange {
    /// An exchange that asks the source first, so drain [`poll_action`](Self::poll_action).
    ///
    /// `seed` is for this exchange alone: its request id and the jitter of its pauses come from it. The numbers of
    /// [sources](Source) come from the policy's [seed](crate::PolicyBuilder::seed), so hand the credential's own policy in.
    #[must_use]
    pub fn new(options: EntraOptions, policy: &Policy, seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            options,
            key: policy.seed().unwrap_or_default(),
            jitter: policy.exchange_jitter(),
            request_id: guid(&mut random),
            random,
            token: None,
            give_up: None,
            sent: 0,
            sent_at: Now::new(Monotonic::from_millis(0), UnixTime::from_millis(0)),
            repeated: 0,
            unauthorized: None,
            stage: Stage::Acquiring { fresh: false },
            told: false,
            report: None,
            result: None,
            deadline: None,
            announce_timer: false,
        }
    }

    /// When the host must hand in [`TimeAdvanced`](ExchangeEvent::TimeAdvanced), if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Monotonic> {
        self.deadline
    }

    /// The claims `tid` and `oid` of the Entra token in hand, read unverified: for the name of a shared store's entry. `None`
    /// without a token, or if they cannot be read.
    #[must_use]
    pub fn user(&self) -> Option<(Secret, Secret)> {
        self.token.as_ref()?.user_claims()
    }

    /// Handles an event; see [`Machine::handle`](crate::Machine::handle).
    pub fn handle(&mut self, event: ExchangeEvent, now: Now) {
        if let Stage::Pausing { until } = self.stage
            && until.has_come(now)
        {
            self.enter(Stage::Sending);
        }
        // An answer that is not waited for changes nothing. `told`: the host cannot answer what it was not told to do.
        match (self.stage, event) {
            (_, ExchangeEvent::TimeAdvanced) => self.announce_timer = true,
            (Stage::Acquiring { .. } | Stage::Sending, _) if !self.told => {}
            (Stage::Acquiring { fresh: false }, ExchangeEvent::EntraTokenReceived { token }) => self.acquired(token),
            (Stage::Acquiring { fresh: true }, ExchangeEvent::EntraTokenReceived { token }) => {
                self.acquired_again(token)
            }
            (Stage::Acquiring { fresh: false }, ExchangeEvent::EntraTokenFailed { error }) => self.end(Err(error)),
            (Stage::Acquiring { fresh: true }, ExchangeEvent::EntraTokenFailed { .. }) => self.refuse(),
            (Stage::Acquiring { .. }, ExchangeEvent::SignedOut) => {
                let error = RefresherError::new(ExchangeError::SignedOut).with_kind(FailureKind::SignedOut);
                self.end(Err(error.permanent().revoking()));
            }
            (Stage::AwaitingStart, ExchangeEvent::Started { give_up }) => {
                self.give_up = give_up;
                self.enter(Stage::Sending);
            }
            (Stage::Sending, ExchangeEvent::ResponseReceived { response }) => self.received(&response, now),
            (Stage::Sending, ExchangeEvent::TransportFailed { error }) => {
                if !self.pause(None, now) {
                    self.end(Err(RefresherError::new(ExchangeError::Transport(error))));
                }
            }
            (
                Stage::Acquiring { .. } | Stage::AwaitingStart | Stage::Sending | Stage::Pausing { .. } | Stage::Ended,
                _,
            ) => {}
        }
        if matches!(self.stage, Stage::Sending) && !self.told {
            self.sent_at = now;
        }
        let deadline = match self.stage {
            Stage::Pausing { until } => Some(now.monotonic.saturating_add_millis(until.left(now))),
            Stage::Acquiring { .. } | Stage::AwaitingStart | Stage::Sending | Stage::Ended => None,
        };
        self.announce_timer |= deadline != self.deadline;
        self.deadline = deadline;
    }

    /// The next action; `None` if there is no more. The timer comes last.
    pub fn poll_action(&mut self) -> Option<ExchangeAction> {
        if let Some(source) = self.report.take() {
            return Some(ExchangeAction::ReportSource { source });
        }
        if !mem::replace(&mut self.told, true) {
            match self.stage {
                Stage::Acquiring { fresh } => {
                    let scopes = self.options.scopes().to_vec();
                    return Some(ExchangeAction::AcquireEntraToken { scopes, fresh });
                }
                Stage::Sending => return Some(ExchangeAction::SendRequest { request: self.request() }),
                Stage::AwaitingStart | Stage::Pausing { .. } | Stage::Ended => {}
            }
        }
        if let Some(result) = self.result.take() {
            return Some(ExchangeAction::Finish { result });
        }
        mem::take(&mut self.announce_timer).then_some(ExchangeAction::ScheduleTimer { at: self.deadline })
    }

    fn acquired(&mut self, token: EntraToken) {
        if let Err(what) = token.check() {
            return self.end(Err(RefresherError::new(what)));
        }
        self.take_token(token);
        self.enter(Stage::AwaitingStart);
    }

    /// Another token than the refused one gets one more try.
    fn acquired_again(&mut self, token: EntraToken) {
        if token.check().is_err() || self.token.as_ref().is_some_and(|refused| refused.reads_same(&token)) {
            return self.refuse();
        }
        self.take_token(token);
        self.enter(Stage::Sending);
    }

    fn take_token(&mut self, token: EntraToken) {
        self.report = Some(token.source(self.key));
        self.token = Some(token);
    }

    fn enter(&mut self, stage: Stage) {
        (self.stage, self.told) = (stage, false);
    }

    /// The request of the next try.
    fn request(&mut self) -> HttpRequest {
        self.sent = self.sent.saturating_add(1);
        let url = format!("{}{}", self.options.endpoint(), self.options.path());
        // With all the room it needs: a string that grows leaves copies behind.
        let mut authorization = String::with_capacity(BEARER.len().saturating_add(self.entra_text().len()));
        authorization.push_str(BEARER);
        authorization.push_str(self.entra_text());
        let headers = [
            (AUTHORIZATION, Text::Secret(Secret::new(authorization))),
            ("Content-Type", Text::Fixed("application/json")),
            ("Accept", Text::Fixed("application/json")),
            ("Accept-Encoding", Text::Fixed("identity")),
            ("x-ms-client-request-id", Text::Plain(self.request_id.clone())),
        ];
        let headers = headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
        HttpRequest::new("POST", url, headers, Text::Fixed("{}")).with_id(self.request_id.clone(), self.sent)
    }

    fn received(&mut self, response: &HttpResponse, now: Now) {
        let hint = wire::retry_after(response, now.unix);
        let date = wire::server_time(response);
        let sent = self.sent_at;
        if response.status == 200 {
            let result = response::token(response).map_err(|bad| {
                let bad = bad.or_more(self.refusal(response, hint).response);
                let error = RefresherError::new(ExchangeError::BadResponse(bad)).with_kind(FailureKind::BadResponse);
                with_date(error, date, sent)
            });
            return self.end(result.map(|token| match date {
                Some(date) => token.with_server_time_of(date, sent),
                None => token,
            }));
        }
        let refusal = with_date(self.refusal(response, hint).into_error(ExchangeError::Refused), date, sent);
        match response.status {
            408 | 425 | 429 | 500 | 502..=504 | 506..=599 => {
                if !self.pause(hint, now) {
                    self.end(Err(refusal));
                }
            }
            401 if self.unauthorized.is_none() => {
                self.unauthorized = Some(refusal);
                self.enter(Stage::Acquiring { fresh: true });
            }
            _ => self.end(Err(refusal)),
        }
    }

    /// The service's first refusal is the failure.
    fn refuse(&mut self) {
        let refusal = self.unauthorized.take().unwrap_or_else(|| RefresherError::new("refused"));
        self.end(Err(refusal));
    }

    /// Pauses before another try. False: there is no further try, or the service asks for a longer pause than is left.
    fn pause(&mut self, hint: Option<u64>, now: Now) -> bool {
        let most = self.give_up.map_or(u64::MAX, |end| end.left(now)).min(LONGEST_PAUSE);
        if self.repeated >= RETRIES || hint.is_some_and(|asked| asked > most) {
            return false;
        }
        let millis = match hint {
            // The first time, the service's hint counts as it is.
            Some(asked) if self.repeated == 0 => asked,
            asked => {
                let doubled = FIRST_PAUSE.saturating_mul(1 << self.repeated).min(LONGEST_PAUSE);
                self.random.shorten(doubled, self.jitter).max(asked.unwrap_or_default())
            }
        };
        self.repeated = self.repeated.saturating_add(1);
        match millis {
            0 => self.enter(Stage::Sending),
            _ => self.enter(Stage::Pausing { until: now.plus(millis) }),
        }
        true
    }

    /// Ends, and keeps nothing of what was exchanged.
    fn end(&mut self, result: Result<NewToken, RefresherError>) {
        self.token = None;
        self.unauthorized = None;
        self.result = Some(result);
        self.enter(Stage::Ended);
    }

    fn refusal(&self, response: &HttpResponse, hint: Option<u64>) -> Refusal {
        let hint = hint.map(Duration::from_millis);
        wire::refusal(response, &self.request_id, hint, [self.entra_text()])
    }

    fn entra_text(&self) -> &str {
        self.token.as_ref().map_or("", EntraToken::expose)
    }
}

fn with_date(error: RefresherError, date: Option<UnixTime>, sent: Now) -> RefresherError {
    match date {
        Some(date) => error.with_server_time_of(date, sent),
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
