//! Counts what happens, and keeps the last half minute for the picture.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use acs_common_drawing::{Fact, Life, Picture};
use acs_common_web::{Token, UnixTime};

use crate::device::Device;
use crate::issuer::LIFE;
use crate::play::CALLERS;

/// How much of the past the picture shows.
const SHOWN: u64 = 30_000;

#[derive(Debug)]
pub struct Tally {
    device: Device,
    counts: RefCell<Counts>,
    callers: RefCell<[Fare; CALLERS]>,
    news: RefCell<Vec<String>>,
    life: RefCell<Life>,
    held: Cell<Held>,
}

#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Requests that the resource accepted.
    pub served: u64,
    /// Requests that the resource refused.
    pub refused: u64,
    /// Requests for a token that failed although the issuer's last token was valid.
    pub without_in_spite: u64,
    /// Requests for a token that failed because there was no valid one.
    pub without: u64,
    /// Requests for a token that were not answered at once.
    pub waited: u64,
    pub longest_wait: Duration,
    pub refreshes: u64,
    pub in_flight: u64,
    pub most_in_flight: u64,
    pub renewed: u64,
    pub failed: u64,
}

/// How a caller fares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Fare {
    #[default]
    Waits,
    Served,
    Refused,
    WithoutToken,
}

/// The token in the picture.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    number: u64,
    expires_on: UnixTime,
    /// By the true time since the start. 0: no token is held.
    expires: u64,
}

impl Held {
    fn name(self) -> String {
        format!("t{}", self.number)
    }
}

impl Tally {
    pub fn new(device: Device) -> Self {
        let name = format!("{CALLERS} callers, one credential, tokens of {} s", LIFE.as_secs());
        Self {
            device,
            counts: RefCell::default(),
            callers: RefCell::default(),
            news: RefCell::default(),
            life: RefCell::new(Life::new(name)),
            held: Cell::default(),
        }
    }

    pub fn count(&self, work: impl FnOnce(&mut Counts)) {
        work(&mut self.counts.borrow_mut());
    }

    pub fn counts(&self) -> Counts {
        self.counts.borrow().clone()
    }

    /// A line for the page.
    pub fn tell(&self, what: &str) {
        let seconds = Duration::from_millis(self.device.passed()).as_secs_f64();
        self.news.borrow_mut().push(format!("{seconds:.1} s: {what}"));
    }

    pub fn news(&self) -> Vec<String> {
        self.news.take()
    }

    pub fn fares(&self, caller: usize, fare: Fare) {
        if let Some(caller) = self.callers.borrow_mut().get_mut(caller) {
            *caller = fare;
        }
    }

    pub fn callers(&self) -> Vec<Fare> {
        self.callers.borrow().to_vec()
    }

    /// `at`: by the true time since the start.
    pub fn record(&self, at: u64, fact: Fact) {
        self.life.borrow_mut().record(at, fact);
    }

    pub fn happens(&self, fact: Fact) {
        self.record(self.device.passed(), fact);
    }

    /// A refresh starts.
    pub fn called(&self) {
        self.count(|counts| {
            counts.refreshes += 1;
            counts.in_flight += 1;
            counts.most_in_flight = counts.most_in_flight.max(counts.in_flight);
        });
        let (held, now) = (self.held.get(), self.device.passed());
        if held.expires > now {
            // The credential is proactive: it renews a valid token as soon as that is due.
            self.happens(Fact::Held { token: held.name(), due: Some(now), expires: Some(held.expires) });
        }
        self.happens(Fact::Called { call: self.counts().refreshes });
    }

    /// The last refresh has brought a token.
    pub fn renewed(&self, expires_on: UnixTime) {
        let left = expires_on.as_millis().saturating_sub(self.device.unix().as_millis());
        let held = Held {
            number: self.held.get().number + 1,
            expires_on,
            expires: self.device.passed().saturating_add_signed(left),
        };
        self.held.set(held);
        self.count(|counts| counts.renewed += 1);
        self.happens(Fact::Returned { call: self.counts().refreshes, failure: None });
        self.happens(Fact::Held { token: held.name(), due: None, expires: Some(held.expires) });
        let seconds = Duration::from_millis(left.max(0).unsigned_abs()).as_secs_f64();
        self.tell(&format!("the credential has a new token, valid for {seconds:.1} s"));
    }

    /// The last refresh has failed. `gave_up`: the credential does not wait for it any longer.
    pub fn failed(&self, kind: &str, gave_up: bool, retry_in: Option<Duration>) {
        self.count(|counts| counts.failed += 1);
        let call = self.counts().refreshes;
        self.happens(match gave_up {
            true => Fact::Dropped { call },
            false => Fact::Returned { call, failure: Some(kind.to_owned()) },
        });
        if let Some(wait) = retry_in {
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            self.happens(Fact::BacksOff { until: self.device.passed().saturating_add(wait) });
        }
        let left = self.held.get().expires.saturating_sub(self.device.passed());
        let held = match left {
            0 => "it holds no valid token".to_owned(),
            _ => format!("its token is valid for {:.1} s", Duration::from_millis(left).as_secs_f64()),
        };
        self.tell(&format!("a refresh failed: {kind}; {held}"));
    }

    /// The held token has expired.
    pub fn expired(&self) {
        self.lost(Fact::Expired);
        self.tell("the token has expired before a new one came");
    }

    /// The resource has refused the held token, and a caller says so.
    pub fn rejected(&self, token: &Token) {
        let held = self.held.get();
        if held.expires > 0 && held.expires_on == token.expires_on() {
            self.happens(Fact::Rejected { token: held.name() });
            self.lost(Fact::Lost);
            self.tell("the resource refuses the token, and a caller tells the credential");
        }
    }

    fn lost(&self, how: Fact) {
        self.held.set(Held { expires: 0, ..self.held.get() });
        self.happens(how);
    }

    pub fn picture(&self, width: u32) -> String {
        let until = self.device.passed();
        let from = until.saturating_sub(SHOWN);
        let mut life = self.life.borrow_mut();
        life.forget_before(from);
        let lives = std::slice::from_ref(&*life);
        Picture { id: "life", title: "The last half minute", lives, from, until, width }.draw()
    }
}
