//! What the issuer suffers, and when.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use acs_common_driver::{Notice, Notices, UnixTime};
use futures_lite::future;

use super::issuer::{Issuer, Mood, Service, serve};
use super::tally::Tally;
use super::{LIFE, Options, Piece, Runtime};

struct Outage {
    mood: Mood,
    what: &'static str,
    /// Ends when the token in hand is so old (and the outage has been noticed).
    ends: Duration,
}

/// A renewal is due at half of a token's life; each outage lasts until well after that.
const OUTAGES: [Outage; 5] = [
    Outage { mood: Mood::Down, what: "its port is closed", ends: Duration::from_millis(3500) },
    Outage { mood: Mood::Hanging, what: "it listens, but never answers", ends: Duration::from_millis(2900) },
    Outage { mood: Mood::Babbling, what: "it answers 200 with a web page", ends: Duration::from_millis(3500) },
    Outage { mood: Mood::Stale, what: "its tokens have already expired", ends: Duration::from_millis(3500) },
    Outage { mood: Mood::Busy, what: "it answers 503 with Retry-After: 1", ends: Duration::from_millis(3200) },
];
const LONG_OUTAGE: [Outage; 1] = [Outage {
    mood: Mood::Down,
    what: "its port is closed, for longer than a token lives",
    ends: Duration::from_millis(8000),
}];

/// How long all is well between a new token and the next outage.
const LULL: Duration = Duration::from_millis(400);
/// By then the credential is to have recovered from an outage: several times its longest rest.
pub const RECOVERY: Duration = Duration::from_secs(4);

pub struct Script<R: Runtime> {
    door: Door<R>,
    tally: Arc<Tally>,
    notices: Notices<R>,
    /// When the newest token expires.
    expiry: UnixTime,
}

impl<R: Runtime> Script<R> {
    pub fn new(
        runtime: R,
        issuer: Arc<Issuer>,
        tally: Arc<Tally>,
        door: TcpListener,
        notices: Notices<R>,
    ) -> io::Result<Self> {
        let (address, open) = (door.local_addr()?, Some(R::listen(door)?));
        Ok(Self { door: Door { runtime, issuer, address, open }, tally, notices, expiry: UnixTime::default() })
    }

    /// Once, or over and over if the user set the time.
    pub async fn play(mut self, options: Options) -> Result<(), Box<dyn Error>> {
        let outages = match options.piece {
            Piece::Outages => &OUTAGES[..],
            Piece::LongOutage => &LONG_OUTAGE[..],
            Piece::Calm => &[],
        };
        if !self.a_new_token_comes().await {
            return Err("the first token does not come: is the loopback interface up?".into());
        }
        if outages.is_empty() {
            return self.door.serve_while(future::pending()).await;
        }
        loop {
            for (number, outage) in (1..).zip(outages) {
                self.door.wait(LULL).await;
                let title = match outages.len() {
                    1 => "OUTAGE".to_owned(),
                    many => format!("OUTAGE {number} of {many}"),
                };
                self.tally.outage_begins(&format!("{title}: {}", outage.what));
                self.door.be(outage.mood);
                self.outlast(outage).await;
                self.door.recover().await?;
                self.tally.outage_ends();
                let in_time = self.a_new_token_comes().await;
                self.tally.recovered(in_time);
            }
            if options.seconds.is_none() {
                self.door.wait(LULL).await;
                return Ok(());
            }
        }
    }

    /// Returns when the outage's time has come, but not before a refresh has run into it.
    async fn outlast(&mut self, outage: &Outage) {
        let Self { door, notices, expiry, .. } = self;
        let noticed = async { while !matches!(notices.next().await, Some(Notice::RefreshFailed { .. }) | None) {} };
        door.serve_while(future::or(noticed, door.sleep(2 * LIFE))).await;
        let now = door.runtime.now().unix;
        let age = LIFE.as_millis() as i64 - (expiry.as_millis() - now.as_millis());
        door.wait(outage.ends.saturating_sub(Duration::from_millis(age.max(0).unsigned_abs()))).await;
    }

    /// Whether it comes in time.
    async fn a_new_token_comes(&mut self) -> bool {
        let Self { door, notices, expiry, .. } = self;
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
            door.sleep(RECOVERY).await;
            false
        };
        door.serve_while(future::or(comes, late)).await
    }
}

/// The issuer's port.
struct Door<R: Runtime> {
    runtime: R,
    issuer: Arc<Issuer>,
    address: SocketAddr,
    open: Option<R::Listener>,
}

impl<R: Runtime> Door<R> {
    fn be(&mut self, mood: Mood) {
        self.issuer.set_mood(mood);
        if mood == Mood::Down {
            self.open = None;
        }
    }

    async fn recover(&mut self) -> io::Result<()> {
        self.be(Mood::Well);
        if self.open.is_some() {
            return Ok(());
        }
        let mut tries_left = 40;
        self.open = loop {
            match TcpListener::bind(self.address).and_then(R::listen) {
                Ok(listener) => break Some(listener),
                // Somebody else has the port, for a moment one hopes.
                Err(_) if tries_left > 0 => self.sleep(Duration::from_millis(50)).await,
                Err(error) => return Err(error),
            }
            tries_left -= 1;
        };
        Ok(())
    }

    /// Answers whoever comes, if it is open, until the future is done.
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
