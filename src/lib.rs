//! Keeps short-lived access tokens fresh: the state machine behind the credentials of `acs-common-tokio` and
//! `acs-common-smol`, without a clock, I/O, threads or async.
//!
//! Azure Communication Services lets a chat or calling client in with a *user access token*, a JWT that lives from
//! minutes to a day. [`Machine`] is the life of one credential: it holds the token, knows when to renew it, calls the
//! refresher at most once at a time, tells everyone who waits, rests after failures, and never lets go of a valid token
//! because a refresh failed. It takes [`Event`]s, each with the time, and gives [`Action`]s; so it runs in any runtime or
//! event loop, on bare metal, in a fuzzer, and in tests that are exact to the millisecond without sleeping.
//!
//! If you are on tokio or smol, use those crates: they are this machine and a driver for it.
//!
//! # The host's contract
//!
//! > **Hand in every event with what both clocks say at that moment; after each, poll actions until there are none, and do
//! > what they say; when the one timer fires, hand in [`TimeAdvanced`](Event::TimeAdvanced).**
//!
//! 1. Make a [`Machine`] with a [`Policy`], and drain it: a proactive one without a token wants to start at once.
//! 2. Wait for whatever comes first: somebody who wants a token, an answer of the refresher, the timer. Sleep in slices of
//!    at most 60 s, and hand in [`TimeAdvanced`](Event::TimeAdvanced) after each: the wall clock may have been set, and a
//!    suspended machine's monotonic clock stands still.
//! 3. Read both clocks, and [`handle`](Machine::handle) the event.
//! 4. [`poll_action`](Machine::poll_action) until it returns `None`:
//!    [`ReturnToken`](Action::ReturnToken) answers a waiter, [`CallRefresher`](Action::CallRefresher) and
//!    [`CancelRefresher`](Action::CancelRefresher) start a call and drop it, [`ScheduleTimer`](Action::ScheduleTimer)
//!    replaces the one timer, [`Notify`](Action::Notify) is for whoever cares.
//! 5. Go to 2, until [`Disposed`](Event::Disposed) has been handed in.
//!
//! Whatever a host does, no token is given out that was dead by either clock when the last event was handed in, and nothing
//! panics. Early, late, repeated and
//! spurious timers, late answers and clocks that run back are harmless. A host that wants no more than a function call in
//! its own loop asks [`token`](Machine::token) each time, and needs the events only for what that cannot answer.
//!
//! ```
//! use acs_common::{Action, Event, Machine, Monotonic, NewToken, Now, Policy, RefresherError, UnixTime};
//!
//! // Virtual time: a host has clocks.
//! let at = |ms: u64| Now::new(Monotonic::from_millis(ms), UnixTime::from_millis(1_700_000_000_000 + ms as i64));
//!
//! let in_hand = NewToken::new("the one in hand").with_expires_on(UnixTime::from_secs(1_700_001_200));
//! let policy = Policy::builder().refresh_proactively(true).build()?;
//! let mut machine = Machine::<u32>::new(Some(in_hand), policy, at(0))?;
//!
//! // Twenty minutes of life, and a window of ten: the timer is set for half-way.
//! let Some(Action::ScheduleTimer { at: Some(due) }) = machine.poll_action() else { panic!() };
//! assert_eq!(due.as_millis(), 600_000);
//!
//! machine.handle(Event::TimeAdvanced, at(600_000));
//! let Some(Action::CallRefresher { request, .. }) = machine.poll_action() else { panic!() };
//! while machine.poll_action().is_some() {}
//!
//! // The issuer is down. That costs nothing: the token is valid, and it is tried again in a second.
//! machine.handle(Event::RefreshFailed { request, error: RefresherError::new("connection refused") }, at(600_250));
//! assert_eq!(machine.token(at(600_300)).unwrap().secret().expose(), "the one in hand");
//! assert_eq!(machine.deadline().unwrap().as_millis(), 601_250);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Rules
//!
//! What is valid: a token is dead as soon as *either* clock says so; its life is worked out once, on arrival, and laid on
//! both. A wait is over as soon as either clock says so. What is due when, and every knob: [`PolicyBuilder`].
//!
//! # Secrets
//!
//! A [`Secret`] never shows in `Debug`, errors or logs, is not comparable, and is wiped when its last clone is dropped.
//! **No signature is verified**: the service does that; this crate reads `exp` and `iat` to know when to renew.
//!
//! # Features
//!
//! `std` (default): conversions from and to [`SystemTime`](std::time::SystemTime). Without it the crate is `no_std` with
//! `alloc`, and on targets without atomic operations tokens, policies and errors are shared by `Rc`, and are not `Send`.
//! `entra` (default): the exchange of Entra tokens. `serde`: [identifiers](identifier) as the JSON of the REST services.
//! `access-key`: requests signed with an access key (`access_key`). `http`, which brings `std`: a token's finished
//! `Authorization` header, and the crate `http`'s requests and responses for the exchange and for signing.
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

#[cfg(feature = "access-key")]
pub mod access_key;
mod action;
mod backoff;
mod calendar;
pub mod connection_string;
#[cfg(feature = "entra")]
pub mod entra;
mod error;
mod event;
pub mod identifier;
mod json;
mod jwt;
mod machine;
mod policy;
mod secret;
mod time;
mod token;
mod url;

pub use action::{Action, Notice, Reason, Trigger};
#[cfg(feature = "http")]
pub use error::BearerError;
pub use error::{Error, FailureCause, FailureKind, RefresherError, TokenError};
pub use event::{Event, RequestId, Source};
pub use machine::{Machine, Snapshot};
pub use policy::{CheckSource, Policy, PolicyBuilder, PolicyError, UndecodableTokens};
pub use secret::Secret;
#[cfg(feature = "std")]
pub use time::SystemTimeError;
pub use time::{Monotonic, Now, UnixTime, Until};
pub use token::{NewToken, Token};
pub use url::UrlError;
