//! The core for JavaScript: `npm/credential.js` is the host of these machines, and keeps their timer. Not a public interface.
//!
//! Times come in as milliseconds of `Date.now()` and `performance.now()`. No call of this module calls back, so a host may
//! call it from anywhere except from within itself.
//!
//! All that JavaScript sees of the core stands together here, so the file is long.

mod failure;

use std::time::Duration;

use acs_common::access_key::AccessKey;
use acs_common::call::Origin;
use acs_common::entra::{EntraOptions, EntraToken, Exchange, ExchangeAction, ExchangeEvent, HttpRequest, HttpResponse};
use acs_common::identifier::CommunicationIdentifier;
use acs_common::{
    Action, CheckSource, Error, Event, Machine, Monotonic, NewToken, Now, Policy, RefresherError, RequestId, Token,
    UnixTime,
};
use js_sys::{Array, Error as JsError};
use wasm_bindgen::prelude::*;

/// One credential: its machine, and for an Entra user one exchange at a time.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Core {
    machine: Machine<u32>,
    entra: Option<EntraOptions>,
    exchange: Option<(RequestId, Exchange)>,
    /// The seed of the next exchange.
    seed: u64,
    /// The machines' deadline, on both clocks.
    deadline: Option<(Monotonic, UnixTime)>,
}

/// A call that wants a token which cannot be used: the message says why.
fn refused(error: impl std::fmt::Display) -> JsError {
    JsError::new(&error.to_string())
}

fn moment(wall: f64, steady: f64) -> Now {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and cuts to the millisecond"
    )]
    let (wall, steady) = (wall as i64, steady as u64);
    Now::new(Monotonic::from_millis(steady), UnixTime::from_millis(wall))
}

fn new_token(token: String, expires_on: Option<f64>) -> NewToken {
    let token = NewToken::new(token);
    match expires_on {
        Some(at) => token.with_expires_on(moment(at, 0.0).unix),
        None => token,
    }
}

/// A policy whose successful refreshes have the reference's times: no renewal on demand before the expiry, no jitter.
fn policy(seed: u64) -> acs_common::PolicyBuilder {
    Policy::builder().background_window(Duration::ZERO).jitter(0.0).seed(seed)
}

fn seed(random: &[u8]) -> u64 {
    random.first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default()
}

fn millis(moment: UnixTime) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "JavaScript has no other numbers")]
    let millis = moment.as_millis() as f64;
    millis
}

/// Making one.
#[wasm_bindgen]
impl Core {
    /// A credential with one fixed token.
    ///
    /// # Errors
    /// It is no token.
    pub fn fixed(token: String, expires_on: Option<f64>, opaque: f64, wall: f64, steady: f64) -> Result<Self, JsError> {
        let policy = policy(0).opaque_token_lifetime(seconds(opaque)).build().map_err(refused)?;
        let machine = Machine::with_static_token(new_token(token, expires_on), policy, moment(wall, steady));
        Ok(Self::of(machine.map_err(refused)?, None, 0))
    }

    /// A credential with a refresher. `random`: at least eight bytes.
    ///
    /// # Errors
    /// The initial token is no token, or an option cannot be used.
    pub fn refreshing(
        token: Option<String>,
        expires_on: Option<f64>,
        proactive: bool,
        opaque: f64,
        random: &[u8],
        wall: f64,
        steady: f64,
    ) -> Result<Self, JsError> {
        let seed = seed(random);
        let policy = policy(seed).refresh_proactively(proactive).opaque_token_lifetime(seconds(opaque));
        let initial = token.map(|token| new_token(token, expires_on));
        let machine = Machine::new(initial, policy.build().map_err(refused)?, moment(wall, steady));
        Ok(Self::of(machine.map_err(refused)?, None, seed))
    }

    /// A credential for an Entra user. No scopes: the default.
    ///
    /// # Errors
    /// The endpoint or a scope cannot be used.
    pub fn entra(
        endpoint: &str,
        scopes: Option<Vec<String>>,
        random: &[u8],
        wall: f64,
        steady: f64,
    ) -> Result<Self, JsError> {
        let seed = seed(random);
        let mut options = EntraOptions::new(endpoint).map_err(refused)?;
        if let Some(scopes) = scopes {
            options =
                options.with_scopes(scopes).map_err(|error| refused(format!("Scopes validation failed: {error}")))?;
        }
        let policy = policy(seed).check_source(CheckSource::EachRequest).build().map_err(refused)?;
        let machine = Machine::with_source(policy, options.prewarm(), moment(wall, steady));
        Ok(Self::of(machine, Some(options), seed))
    }

    fn of(machine: Machine<u32>, entra: Option<EntraOptions>, seed: u64) -> Self {
        Self { machine, entra, exchange: None, seed, deadline: None }
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// What happens. After each of these, `poll` until there is nothing more.
#[wasm_bindgen]
impl Core {
    /// A caller wants a token.
    pub fn request(&mut self, waiter: u32, wall: f64, steady: f64) {
        self.machine.handle(Event::TokenRequested { waiter }, moment(wall, steady));
    }

    /// A caller waits no longer.
    pub fn cancel(&mut self, waiter: u32, wall: f64, steady: f64) {
        self.machine.handle(Event::RequestCancelled { waiter }, moment(wall, steady));
    }

    /// The refresher returned a token.
    pub fn received(&mut self, request: f64, token: String, expires_on: Option<f64>, wall: f64, steady: f64) {
        if let Some(request) = id(request) {
            let token = new_token(token, expires_on).decoded();
            self.machine.handle(Event::TokenReceived { request, token }, moment(wall, steady));
        }
    }

    /// The refresher failed.
    pub fn failed(&mut self, request: f64, error: JsValue, wall: f64, steady: f64) {
        if let Some(request) = id(request) {
            let error = RefresherError::new(failure::Thrown::new(error));
            self.machine.handle(Event::RefreshFailed { request, error }, moment(wall, steady));
        }
    }

    /// The source gave an Entra token.
    pub fn acquired(&mut self, request: f64, token: String, wall: f64, steady: f64) {
        self.tell(request, ExchangeEvent::EntraTokenReceived { token: EntraToken::new(token) }, moment(wall, steady));
    }

    /// The source failed.
    #[wasm_bindgen(js_name = notAcquired)]
    pub fn not_acquired(&mut self, request: f64, error: JsValue, wall: f64, steady: f64) {
        let error = RefresherError::new(failure::Thrown::new(error));
        self.tell(request, ExchangeEvent::EntraTokenFailed { error }, moment(wall, steady));
    }

    /// The service answered. `headers`: each name, followed by its value.
    pub fn responded(
        &mut self,
        request: f64,
        status: u16,
        headers: Vec<String>,
        body: Vec<u8>,
        wall: f64,
        steady: f64,
    ) {
        let response = headers.chunks_exact(2).fold(HttpResponse::new(status), |response, header| match header {
            [name, value] => response.with_header(name, value),
            _ => response,
        });
        self.tell(
            request,
            ExchangeEvent::ResponseReceived { response: response.with_body(body) },
            moment(wall, steady),
        );
    }

    /// The service could not be reached.
    pub fn unreached(&mut self, request: f64, error: JsValue, wall: f64, steady: f64) {
        let error = RefresherError::new(failure::Thrown::new(error));
        self.tell(request, ExchangeEvent::TransportFailed { error }, moment(wall, steady));
    }

    /// The timer fired, or may be late.
    pub fn look(&mut self, wall: f64, steady: f64) {
        let now = moment(wall, steady);
        self.machine.handle(Event::TimeAdvanced, now);
        // The machine may have given the exchange up. The host hears of it when it polls.
        if let Some((_, exchange)) = &mut self.exchange {
            exchange.handle(ExchangeEvent::TimeAdvanced, now);
        }
    }

    /// The network is back, or the device woke up.
    #[wasm_bindgen(js_name = retryNow)]
    pub fn retry_now(&mut self, wall: f64, steady: f64) {
        self.machine.handle(Event::RetryNow, moment(wall, steady));
    }

    /// The end.
    pub fn dispose(&mut self, wall: f64, steady: f64) {
        self.machine.handle(Event::Disposed, moment(wall, steady));
    }
}

fn id(request: f64) -> Option<RequestId> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it came from this module")]
    let request = request as u64;
    RequestId::from_u64(request)
}

/// What follows.
#[wasm_bindgen]
impl Core {
    /// The next thing to do: a list that begins with its name; `undefined` when all is said.
    pub fn poll(&mut self, wall: f64, steady: f64) -> Option<Array> {
        let now = moment(wall, steady);
        loop {
            if let Some(said) = self.poll_machine(now)? {
                return Some(said);
            }
        }
    }

    /// How long to sleep at most, in milliseconds; `undefined`: until something else happens. It looks at both clocks.
    pub fn sleep(&mut self, wall: f64, steady: f64) -> Option<f64> {
        let now = moment(wall, steady);
        let exchange = self.exchange.as_ref().and_then(|(_, exchange)| exchange.deadline());
        let next = [self.machine.deadline(), exchange].into_iter().flatten().min();
        if self.deadline.map(|(at, _)| at) != next {
            self.deadline = next.map(|at| {
                let left = i64::try_from(at.saturating_since(now.monotonic).as_millis()).unwrap_or(i64::MAX);
                (at, UnixTime::from_millis(now.unix.as_millis().saturating_add(left)))
            });
        }
        let (steady, wall) = self.deadline?;
        let left = steady.saturating_since(now.monotonic).as_millis();
        let by_wall = u128::try_from(wall.as_millis().saturating_sub(now.unix.as_millis())).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "JavaScript has no other numbers")]
        let left = left.min(by_wall) as f64;
        Some(left)
    }
}

impl Core {
    /// `None`: all is said. `Some(None)`: there is nothing for the host in what was said.
    #[expect(clippy::option_option, reason = "see above")]
    fn poll_machine(&mut self, now: Now) -> Option<Option<Array>> {
        let Some(action) = self.machine.poll_action() else { return self.poll_exchange(now) };
        Some(match action {
            Action::ReturnToken { waiter, result: Ok(token) } => Some(returned(waiter, &token)),
            Action::ReturnToken { waiter, result: Err(error) } => Some(failed(waiter, &error)),
            Action::CheckSource { request, .. } => {
                if let Some(options) = &self.entra {
                    self.seed = self.seed.wrapping_add(1);
                    let exchange = Exchange::new(options.clone(), self.machine.policy(), self.seed);
                    self.exchange = Some((request, exchange));
                }
                None
            }
            Action::CallRefresher { request, give_up, .. } if self.entra.is_some() => {
                if let Some((_, exchange)) = self.exchange.as_mut().filter(|(checked, _)| *checked == request) {
                    exchange.handle(ExchangeEvent::Started { give_up }, now);
                }
                None
            }
            Action::CallRefresher { request, .. } => Some(Array::of2(&"call".into(), &number(request))),
            Action::CancelRefresher { request } => {
                self.exchange = None;
                Some(Array::of2(&"hang up".into(), &number(request)))
            }
            // The host asks how long to sleep.
            Action::ScheduleTimer { .. } | Action::Notify(_) => None,
        })
    }

    #[expect(clippy::option_option, reason = "see above")]
    fn poll_exchange(&mut self, now: Now) -> Option<Option<Array>> {
        let (request, exchange) = self.exchange.as_mut()?;
        let request = *request;
        Some(match exchange.poll_action()? {
            ExchangeAction::AcquireEntraToken { scopes, fresh } => {
                let scopes: Array = scopes.iter().map(JsValue::from).collect();
                Some(Array::of4(&"acquire".into(), &number(request), &scopes, &fresh.into()))
            }
            ExchangeAction::SendRequest { request: http } => Some(sent(request, &http)),
            ExchangeAction::ReportSource { source } => {
                self.machine.handle(Event::SourceChecked { request, source }, now);
                None
            }
            ExchangeAction::Finish { result } => {
                self.exchange = None;
                let event = match result {
                    Ok(token) => Event::TokenReceived { request, token },
                    Err(error) => Event::RefreshFailed { request, error },
                };
                self.machine.handle(event, now);
                None
            }
            ExchangeAction::ScheduleTimer { .. } => None,
        })
    }

    fn tell(&mut self, request: f64, event: ExchangeEvent, now: Now) {
        let request = id(request);
        if let Some((_, exchange)) = self.exchange.as_mut().filter(|(current, _)| Some(*current) == request) {
            exchange.handle(event, now);
        }
    }
}

fn number(request: RequestId) -> JsValue {
    #[expect(clippy::cast_precision_loss, reason = "nobody makes 2⁵³ requests")]
    let number = request.as_u64() as f64;
    number.into()
}

fn failed(waiter: u32, error: &Error) -> Array {
    match failure::refusal(error) {
        None => Array::of3(&"failed".into(), &waiter.into(), &failure::thrown(error)),
        Some((error, response)) => {
            let message = format!("no valid token: {error}");
            let code = response.code.as_deref().map_or(JsValue::UNDEFINED, JsValue::from);
            Array::of5(&"refused".into(), &waiter.into(), &message.into(), &response.status.into(), &code)
        }
    }
}

fn returned(waiter: u32, token: &Token) -> Array {
    let text = token.secret().expose().into();
    Array::of4(&"token".into(), &waiter.into(), &text, &millis(token.expires_on()).into())
}

fn sent(request: RequestId, http: &HttpRequest) -> Array {
    let headers: Array =
        http.expose_headers().map(|(name, value)| JsValue::from(Array::of2(&name.into(), &value.into()))).collect();
    let said = Array::of4(&"send".into(), &number(request), &http.url().into(), &headers);
    said.push(&http.body().into());
    said
}

/// What a connection string says: the endpoint and the key.
///
/// # Errors
/// The text is not a connection string.
#[wasm_bindgen(js_name = readConnectionString)]
pub fn read_connection_string(text: &str) -> Result<Vec<String>, JsError> {
    let read: acs_common::connection_string::ConnectionString =
        text.parse().map_err(|error| refused(format!("Invalid connection string: {error}")))?;
    Ok(vec![read.endpoint().to_owned(), read.access_key().expose().to_owned()])
}

/// Whether a token or a key may be sent to this URL. `bare`: there may be no path and no query.
///
/// # Errors
/// It is not a URL, or plain http to another computer, or not bare.
#[wasm_bindgen(js_name = checkUrl)]
pub fn check_url(url: &str, bare: bool) -> Result<(), JsError> {
    let origin = if bare { Origin::bare(url) } else { Origin::new(url) };
    origin.map(drop).map_err(|error| refused(format!("Invalid endpoint url: {error}")))
}

/// Signs a request: the path and query to send, then each header's name, followed by its value. `date`: milliseconds since 1970.
///
/// # Errors
/// The key or the request cannot be used.
#[wasm_bindgen]
pub fn sign(key: &str, method: &str, url: &str, body: &[u8], date: f64) -> Result<Vec<String>, JsError> {
    let key = AccessKey::from_base64(key).map_err(refused)?;
    let signed = key.sign(method, url, body, moment(date, 0.0).unix).map_err(refused)?;
    let headers = signed.iter().flat_map(|(name, value)| [name, value]);
    Ok(std::iter::once(signed.target()).chain(headers).map(str::to_owned).collect())
}

/// The longest body of a response that is read; a host may stop after it.
#[wasm_bindgen(js_name = maxBody)]
#[must_use]
pub fn max_body() -> usize {
    HttpResponse::MAX_BODY
}

/// The identifier with this raw id, as the services' JSON, with its `kind`.
#[wasm_bindgen(js_name = identifierFromRawId)]
#[must_use]
pub fn identifier_from_raw_id(raw_id: &str) -> String {
    written(&CommunicationIdentifier::from_raw_id(raw_id))
}

/// Reads an identifier from the services' JSON and writes it out in full, with its `kind`.
///
/// # Errors
/// It is no identifier.
#[wasm_bindgen(js_name = readIdentifier)]
pub fn read_identifier(json: &str) -> Result<String, JsError> {
    Ok(written(&serde_json::from_str(json).map_err(refused)?))
}

fn written(identifier: &CommunicationIdentifier) -> String {
    let mut value = serde_json::to_value(identifier).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("kind".into(), identifier.kind().into());
    }
    value.to_string()
}
