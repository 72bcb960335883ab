//! The other libraries, each used by its public interface, with its default windows and retries.

mod azure;
mod by_hand;
mod google;
mod oauth;
mod tasks;
mod toolkits;

use std::time::Duration;

use crate::contender::{Entry, Facts, Kind, Source};

pub const ENTRIES: &[Entry] = &[
    Entry::of::<by_hand::Locked>(),
    Entry::of::<azure::Policy>(),
    Entry::of::<azure::Identity>(),
    Entry::of::<toolkits::Smithy>(),
    Entry::of::<google::CloudAuth>(),
    Entry::of::<google::GcpAuth>(),
    Entry::of::<google::Yup>(),
    Entry::of::<toolkits::ObjectStore>(),
    Entry::of::<toolkits::Olai>(),
    Entry::of::<toolkits::Entelix>(),
    Entry::of::<toolkits::Reqsign>(),
    Entry::of::<oauth::Gears>(),
    Entry::of::<oauth::Middle>(),
    Entry::of::<tasks::Aliri>(),
    Entry::of::<tasks::AliriWithStatus>(),
];

const fn peer(name: &'static str, package: &'static str, returns: &'static str, window: u64, source: Source) -> Facts {
    Facts {
        name,
        package: Some(package),
        kind: Kind::Peer,
        returns,
        checks_expiry: true,
        window: Duration::from_secs(window),
        source,
    }
}
