//! Two HTTP servers: the issuer of tokens, which can fail in several ways, and the resource that requires a token.

use std::convert::Infallible;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer as _, SigningKey};
use futures_lite::future;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use super::tally::Tally;
use super::{LIFE, Runtime, start};

/// How the issuer behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Normal,
    /// Its port is closed.
    Down,
    /// It accepts connections and never responds.
    Hanging,
    /// It responds 200 with a body that is not a token.
    NotAToken,
    /// Its tokens have expired.
    Expired,
    /// It responds 503, with `Retry-After`.
    Busy,
}

/// The value of `Retry-After`.
const PAUSE: Duration = Duration::from_secs(1);
/// How much earlier a client may come: its clock counts whole milliseconds.
const GRACE: Duration = Duration::from_millis(5);

const LOGIN_PAGE: &str = "<!doctype html><title>Wi-Fi</title><p>Please accept our terms to use this network.";

pub struct Issuer {
    key: SigningKey,
    state: Mutex<State>,
    tally: Arc<Tally>,
}

struct State {
    mode: Mode,
    /// The client must not send a request before this moment.
    pause_ends: Option<Instant>,
}

impl Issuer {
    pub fn new(tally: Arc<Tally>) -> Result<Self, Box<dyn Error>> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let state = Mutex::new(State { mode: Mode::Normal, pause_ends: None });
        Ok(Self { key: SigningKey::from_bytes(&seed), state, tally })
    }

    pub fn set_mode(&self, mode: Mode) {
        self.with(|state| state.mode = mode);
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn issue(&self) -> Response<Full<Bytes>> {
        let now = Instant::now();
        let (mode, too_soon) = self.with(|state| {
            let too_soon = state.pause_ends.take().is_some_and(|end| now + GRACE < end);
            if state.mode == Mode::Busy {
                state.pause_ends = Some(now + PAUSE);
            }
            (state.mode, too_soon)
        });
        if too_soon {
            self.tally.count(|counts| counts.retried_too_soon += 1);
        }
        let token = |age: Duration| respond(StatusCode::OK, "application/jwt", self.token(age));
        match mode {
            Mode::Normal => token(Duration::ZERO),
            Mode::Expired => token(LIFE + Duration::from_secs(1)),
            Mode::NotAToken => respond(StatusCode::OK, "text/html", LOGIN_PAGE.to_owned()),
            Mode::Hanging | Mode::Down => future::pending().await,
            Mode::Busy => {
                let mut answer = respond(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "busy".to_owned());
                answer.headers_mut().insert(RETRY_AFTER, PAUSE.as_secs().into());
                answer
            }
        }
    }

    /// A signed JWT (RFC 7519, RFC 8037), issued `age` ago.
    fn token(&self, age: Duration) -> String {
        let encode = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let issued = unix_now() - age.as_secs_f64();
        let claims = json!({"sub": "a caller", "iat": issued, "exp": issued + LIFE.as_secs_f64()});
        let signed = format!("{}.{}", encode(json!({"alg": "EdDSA", "typ": "JWT"})), encode(claims));
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    /// Whether this issuer signed the token and it is valid now, without leeway.
    fn is_good(&self, token: &str) -> Option<bool> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        self.key.verifying_key().verify_strict(signed.as_bytes(), &signature).ok()?;
        let decode = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        Some(decode(header)?["alg"] == "EdDSA" && unix_now() < decode(claims)?["exp"].as_f64()?)
    }

    fn admit(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let header = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
        let token = header.and_then(|header| header.strip_prefix("Bearer "));
        if token.and_then(|token| self.is_good(token)) == Some(true) {
            return respond(StatusCode::OK, "text/plain", "welcome".to_owned());
        }
        let mut refusal = respond(StatusCode::UNAUTHORIZED, "text/plain", "a valid token is required".to_owned());
        refusal.headers_mut().insert(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"".parse().expect("plain ASCII"));
        refusal
    }
}

/// The service on a port.
#[derive(Clone)]
pub enum Service {
    Tokens(Arc<Issuer>),
    Resource(Arc<Issuer>),
}

impl Service {
    async fn answer(self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match (self, request.uri().path()) {
            (Self::Tokens(issuer), "/token") => issuer.issue().await,
            (Self::Resource(issuer), "/resource") => issuer.admit(&request),
            _ => respond(StatusCode::NOT_FOUND, "text/plain", "not found".to_owned()),
        }
    }
}

/// Serves every connection, indefinitely.
pub async fn serve<R: Runtime>(runtime: &R, listener: &R::Listener, service: Service) -> Infallible {
    loop {
        let Ok(stream) = R::accept(listener).await else {
            // For instance the process has no free file descriptor: that is temporary.
            runtime.sleep(Duration::from_millis(50)).await;
            continue;
        };
        let service = service.clone();
        let answer = service_fn(move |request| {
            let answer = service.clone().answer(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        start(runtime, async move {
            // A client that closes its connection is not an error.
            let _ = http1::Builder::new().serve_connection(stream, answer).await;
        });
    }
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header(CONTENT_TYPE, kind);
    response.body(Full::new(body.into())).expect("a fixed header")
}

/// Seconds since 1970, with a precision of about a microsecond.
fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs_f64()
}
