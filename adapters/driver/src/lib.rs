#![doc = include_str!("../README.md")]
#![warn(clippy::wildcard_enum_match_arm)]

mod at_work;
#[cfg(feature = "azure")]
pub mod azure;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod blocking;
mod builder;
#[cfg(all(feature = "access-key", feature = "http"))]
mod call_error;
mod calls;
#[cfg(feature = "tracing")]
mod chain;
#[cfg(feature = "access-key")]
mod client;
mod clock;
mod coarse_clock;
mod commands;
mod credential;
mod driver;
mod effects;
#[cfg(feature = "entra")]
pub mod entra;
#[cfg(feature = "entra")]
mod exchanges;
#[cfg(all(feature = "access-key", feature = "http"))]
mod hosted;
#[cfg(feature = "entra")]
mod http_client;
#[cfg(feature = "entra")]
pub mod issuer;
mod listeners;
#[cfg(feature = "tracing")]
mod log;
#[cfg(feature = "metrics")]
mod metrics;
mod notices;
mod panics;
mod provider;
mod published;
mod reader;
mod refresher;
mod requests;
mod shared;
#[cfg(feature = "store")]
mod sharing;
mod spans;
mod sync;
mod tokens;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "entra")]
mod trace;
pub mod wall_clock;
mod watchers;

#[cfg(feature = "http")]
pub use acs_common::BearerError;
#[cfg(feature = "access-key")]
pub use acs_common::access_key;
pub use acs_common::call;
#[cfg(feature = "access-key")]
pub use acs_common::call::OriginError;
pub use acs_common::{
    CheckSource, Error, FailureCause, FailureKind, Monotonic, NewToken, Notice, Now, Policy, PolicyBuilder,
    PolicyError, Reason, RefreshStatus, RefresherError, Secret, Status, Token, TokenError, TokenStatus, Trigger,
    UndecodableTokens, UnixTime,
};
pub use builder::{BuildError, Builder};
#[cfg(all(feature = "access-key", feature = "http"))]
pub use call_error::CallError;
#[cfg(feature = "access-key")]
pub use client::{ClientArguments, ClientArgumentsError, ClientAuth, SharedKey};
pub use clock::{Clock, Spawn, SpawnError};
pub use coarse_clock::{CoarseClock, SystemCoarseClock};
pub use credential::{CommunicationTokenCredential, GetToken, ReplaceToken};
pub use driver::Driver;
pub use notices::Notices;
pub use provider::{NoticeStream, TokenFuture, TokenProvider, TokenReader};
pub use reader::Reader;
pub use refresher::{IntoRefresher, Refresher, RefresherPanicked};
pub use tokens::Tokens;

/// Stores that several processes share (feature `store`): all of `acs-common-store`, and the options of a credential that shares
/// its token.
///
/// ```
/// use acs_common_driver::store::{MemoryStore, SharingOptions};
///
/// let (store, options) = (MemoryStore::new(), SharingOptions::default());
/// # drop((store, options));
/// ```
#[cfg(feature = "store")]
pub mod store {
    pub use acs_common::sharing::{SharingOptions, SharingOptionsBuilder, SharingOptionsError, StoreTimedOut};
    pub use acs_common_store::*;
}

/// Types in public signatures that users do not need to name.
#[doc(hidden)]
pub mod parts {
    pub use crate::calls::{RefresherCalls, Work};
    #[cfg(feature = "entra")]
    pub use crate::entra::Acquiring;
    #[cfg(feature = "entra")]
    pub use crate::exchanges::Exchanger;
    #[cfg(all(feature = "access-key", feature = "http"))]
    pub use crate::hosted::{Given, Host, authorized};
    #[cfg(feature = "entra")]
    pub use crate::http_client::Sending;
    #[cfg(feature = "entra")]
    pub use crate::issuer::Asking;
    pub use crate::refresher::{Itself, Refresh, RefreshOutput, WithReason, WithoutReason};
    #[cfg(feature = "store")]
    pub use crate::sharing::SharedCalls;
}
