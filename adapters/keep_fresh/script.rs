//! The outages of the issuer, and their times.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use acs_common_driver::{Notice, Notices, UnixTime};
use futures_lite::future;

use super::device::Device;
use super::issuer::{Issuer, Mode, Service, serve};
use super::tally::Tally;
use super::{LIFE, Options, Runtime, Scenario};

struct Outage {
    mode: Mode,
    what: &'static str,
    /// The same in a picture, where there is less room.
    short: &'static str,
    /// The outage ends when the token held has this age, and a refresh has failed.
    ends: Duration,
}

/// A renewal is due after half of a token's lifetime; each outage lasts until well after that.
const OUTAGES: [Outage; 5] = [
    Outage { mode: Mode::Down, what: "its port is closed", short: "port closed", ends: Duration::from_millis(3500) },
    Outage {
        mode: Mode::Hanging,
        what: "it accepts connections, but never responds",
        short: "never responds",
        ends: Duration::from_millis(2900),
    },
    Outage {
        mode: Mode::NotAToken,
        what: "it responds 200 with a web page",
        short: "sends a web page",
        ends: Duration::from_millis(3500),
    },
    Outage {
        mode: Mode::Expired,
        what: "it issues tokens that have already expired",
        short: "sends expired tokens",
        ends: Duration::from_millis(3500),
    },
    Outage {
        mode: Mode::Busy,
        what: "it responds 503 with Retry-After: 1",
        short: "503, Retry-After: 1",
        ends: Duration::from_millis(3200),
    },
];
const LONG_OUTAGE: [Outage; 1] = [Outage {
    mode: Mode::Down,
    what: "its port is closed, for longer than a token is valid",
    short: "port closed",
    ends: Duration::from_millis(8000),
}];

/// The time between a new token and the next outage.
const LULL: Duration = Duration::from_millis(400);
/// In this time the credential must recover from an outage: several times its longest backoff.
pub const RECOVERY: Duration = Duration::from_secs(4);

pub struct Script<R: Runtime> {
    port: Port<R>,
    tally: Arc<Tally>,
    notices: Notices<Device<R>>,
    /// When the newest token expires.
    expiry: UnixTime,
}

impl<R: Runtime> Script<R> {
    pub fn new(
        runtime: R,
        issuer: Arc<Issuer>,
        tally: Arc<Tally>,
        port: TcpListener,
        notices: Notices<Device<R>>,
    ) -> io::Result<Self> {
        let (address, open) = (port.local_addr()?, Some(R::listen(port)?));
        Ok(Self { port: Port { runtime, issuer, address, open }, tally, notices, expiry: UnixTime::default() })
    }

    /// Runs the script once, or again and again if the user set the time.
    pub async fn play(mut self, options: &Options) -> Result<(), Box<dyn Error>> {
        let outages = match options.scenario {
            Scenario::Outages => &OUTAGES[..],
            Scenario::LongOutage => &LONG_OUTAGE[..],
            Scenario::Calm => &[],
        };
        if !self.a_new_token_comes().await {
            return Err("the first token did not come: is the loopback interface up?".into());
        }
        if outages.is_empty() {
            return self.port.serve_while(future::pending()).await;
        }
        loop {
            for (number, outage) in (1..).zip(outages) {
                self.port.wait(LULL).await;
                let title = match outages.len() {
                    1 => "OUTAGE".to_owned(),
                    many => format!("OUTAGE {number} of {many}"),
                };
                self.tally.outage_begins(&format!("{title}: {}", outage.what), outage.short);
                self.port.set_mode(outage.mode);
                self.outlast(outage).await;
                self.port.recover().await?;
                self.tally.outage_ends();
                let in_time = self.a_new_token_comes().await;
                self.tally.recovered(in_time);
            }
            if options.seconds.is_none() {
                self.port.wait(LULL).await;
                return Ok(());
            }
        }
    }

    /// Returns at the end of the outage, but not before a refresh has failed.
    async fn outlast(&mut self, outage: &Outage) {
        let Self { port, notices, expiry, .. } = self;
        let noticed = async { while !matches!(notices.next().await, Some(Notice::RefreshFailed { .. }) | None) {} };
        port.serve_while(future::or(noticed, port.sleep(2 * LIFE))).await;
        let now = port.runtime.now().unix;
        let age = LIFE.as_millis() as i64 - (expiry.as_millis() - now.as_millis());
        port.wait(outage.ends.saturating_sub(Duration::from_millis(age.max(0).unsigned_abs()))).await;
    }

    /// Whether a new token comes in time.
    async fn a_new_token_comes(&mut self) -> bool {
        let Self { port, notices, expiry, .. } = self;
        let comes = async {
            loop {
                match notices.next().await {
                    Some(Notice::TokenChanged { expires_on, .. }) => {
                        *expiry = expires_on;
                        return true;
                    }
                    Some(_) => {}
                    None => return false,
                }
            }
        };
        let late = async {
            port.sleep(RECOVERY).await;
            false
        };
        port.serve_while(future::or(comes, late)).await
    }
}

/// The issuer's port.
struct Port<R: Runtime> {
    runtime: R,
    issuer: Arc<Issuer>,
    address: SocketAddr,
    open: Option<R::Listener>,
}

impl<R: Runtime> Port<R> {
    fn set_mode(&mut self, mode: Mode) {
        self.issuer.set_mode(mode);
        if mode == Mode::Down {
            self.open = None;
        }
    }

    async fn recover(&mut self) -> io::Result<()> {
        self.set_mode(Mode::Normal);
        if self.open.is_some() {
            return Ok(());
        }
        let mut tries_left = 40;
        self.open = loop {
            match TcpListener::bind(self.address).and_then(R::listen) {
                Ok(listener) => break Some(listener),
                // Another process has the port, probably for a short time.
                Err(_) if tries_left > 0 => self.sleep(Duration::from_millis(50)).await,
                Err(error) => return Err(error),
            }
            tries_left -= 1;
        };
        Ok(())
    }

    /// Serves connections, if the port is open, until the future is ready.
    async fn serve_while<T>(&self, future: impl Future<Output = T>) -> T {
        let Some(listener) = &self.open else { return future.await };
        let serve = async { match serve(&self.runtime, listener, Service::Tokens(Arc::clone(&self.issuer))).await {} };
        future::or(future, serve).await
    }

    async fn wait(&self, duration: Duration) {
        self.serve_while(self.sleep(duration)).await;
    }

    async fn sleep(&self, duration: Duration) {
        self.runtime.sleep(duration).await;
    }
}
