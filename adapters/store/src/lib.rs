#![doc = include_str!("../README.md")]
#![warn(clippy::wildcard_enum_match_arm)]

mod error;
mod keys;
mod name;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod random;
mod record;
mod sealed;
mod shared;
mod store;
mod words;

pub use error::{KeyError, OpenError, StoreError, StoreErrorKind};
pub use keys::{NamingKey, SealingKeys};
pub use name::EntryName;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use random::RandomError;
pub use record::Record;
pub use sealed::Sealed;
pub use shared::SharedStore;
pub use store::{Hints, Store, StoreFuture};
pub use words::{Fence, Found, Loss, NewRecord, Nonce, Owner, StoredRecord, Taken};
