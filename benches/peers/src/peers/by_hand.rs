//! Simple code by hand.

use std::hint::black_box;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use crate::contender::{Answer, Facts, Kind, Peer, Source, words};
use crate::issuer::Issuer;

pub struct Locked {
    held: RwLock<Option<Arc<(String, SystemTime)>>>,
    issuer: Issuer,
}

impl Peer for Locked {
    const FACTS: Facts = Facts {
        name: "by hand: `RwLock<Arc<_>>`",
        package: None,
        kind: Kind::Peer,
        returns: "`Arc`",
        checks_expiry: true,
        window: Duration::ZERO,
        source: Source::InProcess,
    };
    type Own = ();

    async fn new(issuer: Issuer) -> Result<Self, String> {
        Ok(Self { held: RwLock::new(None), issuer })
    }

    fn own(&self) {}

    async fn call(&self, (): &mut ()) -> Answer {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner).clone();
        let token = match held {
            Some(token) if SystemTime::now() < token.1 => token,
            _ => {
                let issued = self.issuer.fetch().await.map_err(words)?;
                let token = Arc::new((issued.token, SystemTime::now() + issued.expires_in));
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&token));
                token
            }
        };
        black_box(&token.0);
        Ok(())
    }
}
