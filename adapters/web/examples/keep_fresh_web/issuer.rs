//! The issuer of tokens, which can fail in several ways, and the resource that requires a token. Both know the true time.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::future;
use std::time::Duration;

use acs_common_web::{Clock as _, NewToken, RefresherError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::device::Device;

/// How long a token is valid.
pub const LIFE: Duration = Duration::from_secs(10);
/// How long a request takes.
const TO_ISSUER: Duration = Duration::from_millis(120);
const TO_RESOURCE: Duration = Duration::from_millis(30);
/// A token whose true end is so near may end at once by the device's clocks, which have whole milliseconds.
const GRACE: u64 = 10;

const LOGIN_PAGE: &str = "<!doctype html><title>Wi-Fi</title><p>Please accept our terms to use this network.";

/// How the issuer behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Works,
    /// Its port is closed.
    Down,
    /// It never responds.
    Hangs,
    /// It responds with a web page.
    Garbage,
    /// Its tokens have expired.
    Expired,
}

impl Mode {
    pub const fn what(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Down => "is down",
            Self::Hangs => "never responds",
            Self::Garbage => "sends a web page",
            Self::Expired => "sends expired tokens",
        }
    }
}

/// Why a request to the issuer failed.
#[derive(Debug, thiserror::Error)]
#[error("connection refused")]
pub struct Refused;

pub struct Issuer {
    device: Device,
    mode: Cell<Mode>,
    /// When the tokens that are not revoked expire, by the true time.
    good: RefCell<HashMap<String, u64>>,
    /// The last good token that reached the device.
    delivered: RefCell<Option<String>>,
    issued: Cell<u64>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Issuer {
    pub fn new(device: Device) -> Self {
        Self {
            device,
            mode: Cell::new(Mode::Works),
            good: RefCell::default(),
            delivered: RefCell::default(),
            issued: Cell::default(),
        }
    }

    pub fn mode(&self) -> Mode {
        self.mode.get()
    }

    pub fn set_mode(&self, mode: Mode) {
        self.mode.set(mode);
    }

    /// The refresher: a request for a token.
    pub async fn fetch(&self) -> Result<NewToken, RefresherError> {
        self.device.pause(TO_ISSUER).await;
        let token = match self.mode.get() {
            Mode::Works => self.issue(Duration::ZERO),
            Mode::Expired => self.issue(LIFE + Duration::from_secs(1)),
            Mode::Garbage => LOGIN_PAGE.to_owned(),
            Mode::Down => return Err(RefresherError::new(Refused)),
            Mode::Hangs => future::pending().await,
        };
        let known = self.good.borrow().contains_key(&token);
        if known {
            self.delivered.replace(Some(token.clone()));
        }
        let token = NewToken::new(token);
        // A `Date` has whole seconds, and a token here is valid for ten. So it is used only if the clock is wrong.
        Ok(if self.device.ahead() == 0 { token } else { token.with_server_time(self.device.unix()) })
    }

    /// A JWT that was issued so long ago. Its signature is a number which nobody checks: the resource asks the issuer.
    fn issue(&self, age: Duration) -> String {
        self.issued.set(self.issued.get() + 1);
        let now = self.device.unix().as_millis();
        #[expect(clippy::cast_precision_loss, reason = "a moment of these years")]
        let issued = now as f64 / 1_000.0 - age.as_secs_f64();
        let claims = format!("{{\"sub\":\"a caller\",\"iat\":{issued:.3},\"exp\":{:.3}}}", issued + LIFE.as_secs_f64());
        let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
        let signature = URL_SAFE_NO_PAD.encode([self.issued.get(), self.device.seed()].map(u64::to_be_bytes).concat());
        let token = format!("{}.{}.{signature}", encode("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"), encode(&claims));
        if age.is_zero() {
            let passed = self.device.passed();
            let mut good = self.good.borrow_mut();
            good.retain(|_, expires| *expires > passed);
            good.insert(token.clone(), passed + LIFE.as_millis() as u64);
        }
        token
    }

    /// Withdraws every token that was issued so far.
    pub fn revoke_all(&self) {
        self.good.borrow_mut().clear();
    }

    /// The clock of the device was set ahead: what it got before has expired by that clock.
    pub fn forget_delivery(&self) {
        self.delivered.replace(None);
    }

    /// Whether the device has got a token that is valid now.
    pub fn has_delivered_a_valid_token(&self) -> bool {
        let delivered = self.delivered.borrow();
        delivered.as_ref().is_some_and(|token| self.left(token) > GRACE)
    }

    /// A request to the resource with this token: whether it is accepted.
    pub async fn accepts(&self, token: &str) -> bool {
        self.device.pause(TO_RESOURCE).await;
        self.left(token) > 0
    }

    /// For how many milliseconds the token is valid.
    fn left(&self, token: &str) -> u64 {
        let good = self.good.borrow();
        good.get(token).map_or(0, |expires| expires.saturating_sub(self.device.passed()))
    }
}
