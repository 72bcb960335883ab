//! The play: who takes part, and what the buttons do.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use acs_common_drawing::Fact;
use acs_common_web::generic::CommunicationTokenCredential;
use acs_common_web::{Builder, Policy, PolicyError, Spawn as _, TokenStatus, UndecodableTokens, Web};
use wasm_bindgen_futures::spawn_local;

use crate::callers;
use crate::device::Device;
use crate::issuer::{Issuer, LIFE, Mode};
use crate::tally::{Fare, Tally};

pub const CALLERS: usize = 8;
/// How long the computer sleeps: longer than a token is valid.
const SLEEP: Duration = Duration::from_secs(12);
const HOUR: i64 = 3_600_000;

pub struct Play {
    device: Device,
    issuer: Rc<Issuer>,
    tally: Rc<Tally>,
    credential: CommunicationTokenCredential<Device>,
}

impl fmt::Debug for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Play").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// The tokens are valid for seconds, not for an hour. So the policy's times are seconds and less.
fn policy() -> Result<Policy, PolicyError> {
    Policy::builder()
        .refresh_proactively(true)
        .refresh_window(LIFE / 2)
        .refresh_timeout(Duration::from_secs(1))
        .min_refresh_interval(Duration::from_millis(200))
        .retry_initial(Duration::from_millis(500))
        .retry_max(Duration::from_secs(1))
        .undecodable_tokens(UndecodableTokens::Reject)
        .build()
}

impl Play {
    pub fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let device = Device::default();
        let issuer = Rc::new(Issuer::new(device.clone()));
        let tally = Rc::new(Tally::new(device.clone()));
        let (service, counted) = (Rc::clone(&issuer), Rc::clone(&tally));
        let refresher = move || {
            let service = Rc::clone(&service);
            let in_flight = InFlight::enter(&counted);
            async move {
                let _in_flight = in_flight;
                service.fetch().await
            }
        };
        let (credential, driver) = Builder::new(device.clone(), refresher).policy(policy()?).build()?;
        spawn_local(callers::narrate(credential.notices(), Rc::clone(&tally)));
        Web::default().spawn(driver)?;
        for number in 0..CALLERS {
            let (device, credential) = (device.clone(), credential.clone());
            let (issuer, tally) = (Rc::clone(&issuer), Rc::clone(&tally));
            spawn_local(async move {
                // Not all in step.
                device.pause(Duration::from_millis(31) * u32::try_from(number).unwrap_or_default()).await;
                callers::call(device, credential, issuer, tally, number).await;
            });
        }
        Ok(Self { device, issuer, tally, credential })
    }

    pub fn press(&self, button: &str) -> String {
        let said = match button {
            "works" => self.set_mode(Mode::Works),
            "down" => self.set_mode(Mode::Down),
            "hang" => self.set_mode(Mode::Hangs),
            "garbage" => self.set_mode(Mode::Garbage),
            "expired" => self.set_mode(Mode::Expired),
            "revoke" => {
                self.issuer.revoke_all();
                self.tally.happens(Fact::Event { what: "revoked".to_owned() });
                "the issuer revokes the token".to_owned()
            }
            "clock" => self.turn_clock(),
            "sleep" => {
                let until = self.device.passed() + SLEEP.as_millis() as u64;
                self.tally.happens(Fact::Suspended { until });
                self.device.sleep_through(SLEEP);
                format!("the computer has slept for {} s", SLEEP.as_secs())
            }
            other => format!("there is no button {other:?}"),
        };
        self.tally.tell(&said);
        said
    }

    fn set_mode(&self, mode: Mode) -> String {
        if mode != self.issuer.mode() {
            self.issuer.set_mode(mode);
            let does = (mode != Mode::Works).then(|| mode.what().to_owned());
            self.tally.happens(Fact::Issuer { does });
        }
        format!("the issuer {}", mode.what())
    }

    fn turn_clock(&self) -> String {
        let by = if self.device.ahead() == 0 { HOUR } else { -HOUR };
        self.device.set_ahead(self.device.ahead() + by);
        self.tally.happens(Fact::ClockSet { by });
        if by > 0 {
            self.issuer.forget_delivery();
            return "this computer's clock is an hour ahead".to_owned();
        }
        "this computer's clock is right again".to_owned()
    }

    /// What the page shows, by its name.
    pub fn numbers(&self) -> Vec<(&'static str, f64)> {
        let counts = self.tally.counts();
        let left = match self.credential.status().token {
            TokenStatus::Fresh { left, .. } | TokenStatus::Due { left, .. } => left,
            _ => Duration::ZERO,
        };
        #[expect(clippy::cast_precision_loss, reason = "JavaScript has no other numbers")]
        let number = |count: u64| count as f64;
        vec![
            ("served", number(counts.served)),
            ("inSpite", number(counts.without_in_spite)),
            ("without", number(counts.without)),
            ("waited", number(counts.waited)),
            ("longestWait", counts.longest_wait.as_secs_f64()),
            ("refused", number(counts.refused)),
            ("refreshes", number(counts.refreshes)),
            ("renewed", number(counts.renewed)),
            ("failed", number(counts.failed)),
            ("mostInFlight", number(counts.most_in_flight)),
            ("left", left.as_secs_f64()),
        ]
    }

    pub fn callers(&self) -> Vec<String> {
        let name = |fare: Fare| match fare {
            Fare::Waits => "waits",
            Fare::Served => "served",
            Fare::Refused => "refused",
            Fare::WithoutToken => "no token",
        };
        self.tally.callers().into_iter().map(name).map(str::to_owned).collect()
    }

    pub fn news(&self) -> Vec<String> {
        self.tally.news()
    }

    pub fn picture(&self, width: u32) -> String {
        self.tally.picture(width)
    }
}

/// A refresh is in flight until this is dropped.
struct InFlight(Rc<Tally>);

impl InFlight {
    fn enter(tally: &Rc<Tally>) -> Self {
        tally.called();
        Self(Rc::clone(tally))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.count(|counts| counts.in_flight -= 1);
    }
}
