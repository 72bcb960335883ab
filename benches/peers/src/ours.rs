//! This project's credential, on both runtimes.

use std::hint::black_box;
use std::time::Duration;

use acs_common::{NewToken, Policy};
use acs_common_smol::CommunicationTokenCredential as OnSmol;
use acs_common_tokio::CommunicationTokenCredential as OnTokio;

use crate::contender::{Answer, Entry, Facts, Kind, Peer, Source, words};
use crate::issuer::{Issued, Issuer, Refused};

pub const OWNED: &str = "`Token`, an `Arc`";
pub const BORROWED: &str = "`&Token`";

pub const ENTRIES: &[Entry] = &[Entry::of::<Owned<OnTokio>>(), Entry::of::<Owned<OnSmol>>()];

impl From<Issued> for NewToken {
    fn from(issued: Issued) -> Self {
        Self::new(issued.token).with_expires_in(issued.expires_in)
    }
}

async fn fetch(issuer: Issuer) -> Result<NewToken, Refused> {
    issuer.fetch().await.map(Into::into)
}

const fn ours(name: &'static str, returns: &'static str) -> Facts {
    Facts {
        name,
        package: Some("acs-common"),
        kind: Kind::Ours,
        returns,
        checks_expiry: true,
        window: Duration::from_secs(120),
        source: Source::InProcess,
    }
}

/// The same, with a policy by which a token is due as soon as a second of its life has passed, for an outage that is not to
/// begin half an hour from now.
pub fn due(entry: Entry) -> Entry {
    match entry.facts.name {
        ON_SMOL => Entry::of::<Due<OnSmol>>(),
        _ => Entry::of::<Due<OnTokio>>(),
    }
}

const ON_TOKIO: &str = "ours, tokio: `get_token()`";
const ON_SMOL: &str = "ours, smol: `get_token()`";

struct Owned<C>(C);

struct Due<C>(C);

macro_rules! on {
    ($credential:ident, $name:ident) => {
        impl Peer for Owned<$credential> {
            const FACTS: Facts = ours($name, OWNED);
            type Own = ();

            async fn new(issuer: Issuer) -> Result<Self, String> {
                let credential = $credential::with_refresher(move || fetch(issuer.clone())).spawn();
                credential.map(Self).map_err(words)
            }

            fn own(&self) {}

            async fn call(&self, (): &mut ()) -> Answer {
                black_box(self.0.get_token().await.map_err(words)?.secret().expose());
                Ok(())
            }
        }

        impl Peer for Due<$credential> {
            const FACTS: Facts = Facts { window: Duration::from_secs(7_200), ..ours($name, OWNED) };
            type Own = ();

            async fn new(issuer: Issuer) -> Result<Self, String> {
                let policy = Policy::builder().renew_before_half(true).background_window(Self::FACTS.window);
                let credential = $credential::with_refresher(move || fetch(issuer.clone()));
                credential.policy(policy.build().map_err(words)?).spawn().map(Self).map_err(words)
            }

            fn own(&self) {}

            async fn call(&self, (): &mut ()) -> Answer {
                black_box(self.0.get_token().await.map_err(words)?.secret().expose());
                Ok(())
            }
        }
    };
}

on!(OnTokio, ON_TOKIO);
on!(OnSmol, ON_SMOL);
