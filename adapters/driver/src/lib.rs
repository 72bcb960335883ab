#![doc = include_str!("../README.md")]

#[cfg(feature = "azure")]
pub mod azure;
mod builder;
mod clock;
mod credential;
mod driver;
mod engine;
#[cfg(feature = "entra")]
pub mod entra;
#[cfg(feature = "tracing")]
mod log;
mod notices;
mod published;
mod reader;
mod refresher;
mod shared;
mod sync;
mod ticks;
pub mod wall_clock;
mod work;

#[cfg(feature = "http")]
pub use acs_common::InvalidBearer;
pub use acs_common::{
    CheckSource, Error, FailureKind, InvalidToken, Monotonic, NewToken, Notice, Now, Policy, PolicyBuilder,
    PolicyError, RefreshError, RefresherError, Secret, Token, UndecodableTokens, UnixTime,
};
#[cfg(feature = "entra")]
pub use builder::EntraBuilder;
pub use builder::{BuildError, Builder};
pub use clock::{Clock, Spawn, SpawnError};
pub use credential::{CommunicationTokenCredential, GetToken};
pub use driver::Driver;
pub use notices::Notices;
pub use reader::Reader;
pub use refresher::{Refresh, Refresher, RefresherPanicked};
pub use ticks::Ticks;
pub use work::Work;

/// The workspace's README, whose examples compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
