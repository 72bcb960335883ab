//! The driver's sources, with shuttle's locks, which try the possible orders of threads. It is a separate package, so
//! that the driver and its lock file do not depend on it: `cargo test --manifest-path tests/interleavings/Cargo.toml`.
//! The laws are in
//! `tests/laws.rs`.

#[path = "../../../adapters/driver/src/at_work.rs"]
mod at_work;
#[path = "../../../adapters/driver/src/blocking.rs"]
mod blocking;
#[path = "../../../adapters/driver/src/builder.rs"]
mod builder;
#[path = "../../../adapters/driver/src/calls.rs"]
mod calls;
#[path = "../../../adapters/driver/src/clock.rs"]
mod clock;
#[path = "../../../adapters/driver/src/coarse_clock.rs"]
mod coarse_clock;
#[path = "../../../adapters/driver/src/commands.rs"]
mod commands;
#[path = "../../../adapters/driver/src/credential.rs"]
mod credential;
#[path = "../../../adapters/driver/src/driver.rs"]
mod driver;
#[path = "../../../adapters/driver/src/effects.rs"]
mod effects;
#[path = "../../../adapters/driver/src/listeners.rs"]
mod listeners;
#[path = "../../../adapters/driver/src/notices.rs"]
mod notices;
#[path = "../../../adapters/driver/src/panics.rs"]
mod panics;
#[path = "../../../adapters/driver/src/published.rs"]
mod published;
#[path = "../../../adapters/driver/src/reader.rs"]
mod reader;
#[path = "../../../adapters/driver/src/refresher.rs"]
mod refresher;
#[path = "../../../adapters/driver/src/requests.rs"]
mod requests;
#[path = "../../../adapters/driver/src/shared.rs"]
mod shared;
#[path = "../../../adapters/driver/src/spans.rs"]
mod spans;
mod sync;
#[path = "../../../adapters/driver/src/tokens.rs"]
mod tokens;
#[path = "../../../adapters/driver/src/watchers.rs"]
mod watchers;

pub use acs_common::Error;
pub use builder::{BuildError, Builder};
pub use calls::{RefresherCalls, Work};
pub use clock::{Clock, Spawn, SpawnError};
pub use coarse_clock::{CoarseClock, SystemCoarseClock};
pub use credential::{CommunicationTokenCredential, GetToken};
pub use driver::Driver;
pub use notices::Notices;
pub use reader::Reader;
pub use tokens::Tokens;
pub use refresher::{IntoRefresher, Itself, Refresh, RefreshOutput, Refresher, RefresherPanicked, WithReason, WithoutReason};
