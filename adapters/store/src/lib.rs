#![doc = include_str!("../README.md")]
#![warn(clippy::wildcard_enum_match_arm)]

mod entry;
mod error;
#[cfg(all(feature = "file", any(feature = "smol", feature = "tokio")))]
mod file;
mod keys;
mod memory;
mod name;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod random;
#[cfg(all(feature = "redis", any(feature = "smol", feature = "tokio")))]
mod redis_store;
#[cfg(all(any(feature = "file", feature = "redis"), any(feature = "smol", feature = "tokio")))]
mod runtime;
mod sealed;
mod shared;
mod store;
mod words;

pub use acs_common::sharing::{Owner, Record};
pub use error::{KeyError, OpenError, StoreError, StoreErrorKind};
#[cfg(all(feature = "file", any(feature = "smol", feature = "tokio")))]
pub use file::FileStore;
pub use keys::{NamingKey, SealingKeys};
pub use memory::MemoryStore;
pub use name::EntryName;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use random::{RandomError, random_owner};
/// The crate whose clients and connections [`RedisStore`] takes.
#[cfg(all(feature = "redis", any(feature = "smol", feature = "tokio")))]
pub use redis;
#[cfg(all(feature = "redis", any(feature = "smol", feature = "tokio")))]
pub use redis_store::RedisStore;
pub use sealed::Sealed;
pub use shared::SharedStore;
pub use store::{Hints, Store, StoreFuture};
pub use words::{Fence, Found, Loss, NewRecord, Nonce, StoredRecord, Taken};
