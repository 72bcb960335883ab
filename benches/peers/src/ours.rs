//! This project's credential, on both runtimes.

use std::hint::black_box;
use std::time::Duration;

use acs_common::{NewToken, Policy, Token};
use acs_common_smol::CommunicationTokenCredential as OnSmol;
use acs_common_tokio::CommunicationTokenCredential as OnTokio;

use crate::contender::{Answer, Entry, Facts, Kind, Peer, Source, words};
use crate::issuer::{Issued, Issuer, Refused};

pub const OWNED: &str = "`Token`, an `Arc`";
pub const BORROWED: &str = "`&Token`";

pub const OWNERS: [Entry; 2] = [Entry::of::<Owned<OnTokio>>(), Entry::of::<Owned<OnSmol>>()];
pub const READERS: [Entry; 6] = [
    Entry::of::<Borrowed<OnTokio>>(),
    Entry::of::<Borrowed<OnSmol>>(),
    Entry::of::<Header<OnTokio>>(),
    Entry::of::<Header<OnSmol>>(),
    Entry::of::<ClonedHeader<OnTokio>>(),
    Entry::of::<ClonedHeader<OnSmol>>(),
];

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

pub const DUE_WINDOW: Duration = Duration::from_secs(7_200);
pub const DUE_AFTER: Duration = Duration::from_secs(1);

/// The same, with another policy: the renewal of a token with a lifetime below the sum of these is due after a second. So
/// the credential has to bridge a whole outage of a minute.
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

struct Borrowed<C>(C);

struct Header<C>(C);

struct ClonedHeader<C>(C);

/// Our credential on one of the runtimes.
macro_rules! on {
    ($runtime:ident, $credential:ident, $name:ident) => {
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
            const FACTS: Facts = ours($name, OWNED);
            type Own = ();

            async fn new(issuer: Issuer) -> Result<Self, String> {
                let policy = Policy::builder().renew_before_half(true).background_window(DUE_WINDOW);
                let credential = $credential::with_refresher(move || fetch(issuer.clone()));
                credential.policy(policy.build().map_err(words)?).spawn().map(Self).map_err(words)
            }

            fn own(&self) {}

            async fn call(&self, (): &mut ()) -> Answer {
                black_box(self.0.get_token().await.map_err(words)?.secret().expose());
                Ok(())
            }
        }

        reads!($runtime, $credential, Borrowed, "a reader's `token()`", BORROWED, |token: &Token| {
            black_box(token.secret().expose());
            Answer::Ok(())
        });
        reads!($runtime, $credential, Header, "a reader's header", "`&HeaderValue`", |token: &Token| {
            black_box(token.authorization().map_err(words)?);
            Answer::Ok(())
        });
        reads!($runtime, $credential, ClonedHeader, "a reader's header, cloned", "header", |token: &Token| {
            black_box(token.authorization().map_err(words)?.clone());
            Answer::Ok(())
        });
    };
}

/// A reader in each thread.
macro_rules! reads {
    ($runtime:ident, $credential:ident, $type:ident, $what:literal, $returns:expr, $look:expr) => {
        impl Peer for $type<$credential> {
            const FACTS: Facts = ours(concat!("ours, ", stringify!($runtime), ": ", $what), $returns);
            type Own = $runtime::Own;

            async fn new(issuer: Issuer) -> Result<Self, String> {
                let credential = $credential::with_refresher(move || fetch(issuer.clone())).spawn().map_err(words)?;
                credential.get_token().await.map_err(words)?;
                Ok(Self(credential))
            }

            fn own(&self) -> Self::Own {
                self.0.reader()
            }

            async fn call(&self, reader: &mut Self::Own) -> Answer {
                let token = reader.token().map_err(words)?.ok_or("no valid token")?;
                ($look)(token)
            }
        }
    };
}

mod tokio {
    pub type Own = acs_common_tokio::Reader;
}

mod smol {
    pub type Own = acs_common_smol::Reader;
}

on!(tokio, OnTokio, ON_TOKIO);
on!(smol, OnSmol, ON_SMOL);
