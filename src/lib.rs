//! Keeps short-lived access tokens fresh.
#![doc = include_str!("transitions.md")]
#![no_std]
#![warn(
    clippy::wildcard_enum_match_arm,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod action;
mod backoff;
mod error;
mod event;
mod jwt;
mod machine;
mod policy;
mod secret;
mod time;
mod token;

pub use action::{Action, Notice};
pub use error::{Error, FailureKind, InvalidToken, PolicyError, RefreshError, RefresherError};
pub use event::{Event, RequestId};
pub use machine::{Machine, Snapshot};
pub use policy::{Policy, PolicyBuilder, UndecodableTokens};
pub use secret::Secret;
pub use time::{Monotonic, Now, UnixTime};
pub use token::{NewToken, Token};
