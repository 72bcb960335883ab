//! Keeps short-lived access tokens fresh: the state machine behind the credentials of `acs-common-tokio` and
//! `acs-common-smol`, without a clock, I/O, threads or async.
//!
//! Azure Communication Services is Microsoft's cloud service for chat, calls, SMS and email. This is not a Microsoft product.
//!
//! A chat or calling client signs in to that service with a *user access token*, a JWT that expires within a day. A
//! [`Machine`] is one credential. It holds the token, knows when to renew it, and calls the refresher, one call at a time.
//! It answers every waiter, backs off after failures, and keeps a valid token when a refresh fails. It takes [`Event`]s, each
//! with the time, and returns [`Action`]s. So it runs in any runtime or event loop, on bare metal, in a fuzzer, and in tests
//! that never sleep and are exact to the millisecond.
//!
//! On tokio or smol, use those crates: each is this machine and a driver for it.
//!
//! # The host's contract
//!
//! > **Hand in every event with what both clocks say at that moment. After each event, poll actions until there are no more,
//! > and do what they say. When the one timer fires, hand in [`TimeAdvanced`](Event::TimeAdvanced).**
//!
//! 1. Make a [`Machine`] with a [`Policy`], and drain its actions: a proactive machine without a token starts a refresh at once.
//! 2. Wait for the first of these: a caller wants a token, the refresher answers, the timer fires. Sleep in slices of at most
//!    60 s, and hand in [`TimeAdvanced`](Event::TimeAdvanced) after each slice: the wall clock may have been set, and the
//!    monotonic clock may stop while the computer is suspended.
//! 3. Read both clocks, and [`handle`](Machine::handle) the event.
//! 4. Call [`poll_action`](Machine::poll_action) until it returns `None`, and do what each action says:
//!    * [`ReturnToken`](Action::ReturnToken): give a waiter its result;
//!    * [`CheckSource`](Action::CheckSource), only [with a source](Machine::with_source): ask the source;
//!    * [`CallRefresher`](Action::CallRefresher): start a call; [`CancelRefresher`](Action::CancelRefresher): drop it;
//!    * [`Notify`](Action::Notify): tell the listeners;
//!    * [`ScheduleTimer`](Action::ScheduleTimer): set the one timer.
//! 5. Go to 2, until you have handed in [`Disposed`](Event::Disposed).
//!
//! A refreshing machine never returns a token that had expired, by either clock, at the last event. Nothing in this crate
//! panics.
//! Early, late, repeated and spurious timers are harmless, and so are late answers and clocks that run back. A host that only
//! needs a function call in its loop asks [`token`](Machine::token) each time, and hands in events when that returns `None`.
//!
//! ```
//! use acs_common::{Action, Event, Machine, Monotonic, NewToken, Now, Policy, RefresherError, UnixTime};
//!
//! // Virtual time; a host reads its clocks.
//! let at = |ms: u64| Now::new(Monotonic::from_millis(ms), UnixTime::from_millis(1_700_000_000_000 + ms as i64));
//!
//! let initial = NewToken::new("the-initial-token").with_expires_on(UnixTime::from_secs(1_700_001_200));
//! let policy = Policy::builder().refresh_proactively(true).jitter(0.0).build()?;
//! let mut machine = Machine::<u32>::new(Some(initial), policy, at(0))?;
//!
//! // The token is valid for 20 minutes, and the refresh window is 10: the timer is set to half of the token's life.
//! let Some(Action::ScheduleTimer { at: Some(due) }) = machine.poll_action() else { panic!() };
//! assert_eq!(due.as_millis(), 600_000);
//!
//! machine.handle(Event::TimeAdvanced, at(600_000));
//! let Some(Action::CallRefresher { request, .. }) = machine.poll_action() else { panic!() };
//! while machine.poll_action().is_some() {}
//!
//! // The issuer is down. The token is still valid, and the machine tries again after a second.
//! machine.handle(Event::RefreshFailed { request, error: RefresherError::new("connection refused") }, at(600_250));
//! assert_eq!(machine.token(at(600_300)).unwrap().secret().expose(), "the-initial-token");
//! assert_eq!(machine.deadline().unwrap().as_millis(), 601_250);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Rules
//!
//! The contract is `docs/semantics.md` in the repository. "Contract, rule 2.6" is section 2, rule 6 of it.
//!
//! A token has expired as soon as *either* clock says so, and a wait is over as soon as either clock says so. The time left is
//! worked out once, on arrival, for both clocks (contract, rule 2.13). Each option, with its default: [`PolicyBuilder`].
//!
//! # Secrets
//!
//! `Debug`, errors and logs do not show a [`Secret`]. It cannot be compared, and it is wiped when its last clone is dropped.
//! **No signature is verified**: the service does that. This crate reads `exp` and `iat` to know when to renew.
//!
//! # Requests to the service
//!
//! A token goes on a request, and the service may refuse it. [`call`] is the state machine of one such request.
//!
//! # Several processes
//!
//! They can share one token through a store of files or Redis. [`sharing`] is the state machine that stands in the refresher's
//! place then.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `std` | yes | conversions from and to [`SystemTime`](std::time::SystemTime) |
//! | `entra` | yes | the token exchange for Entra users; `issuer`, a ready refresher over HTTP |
//! | `serde` | no | [identifiers](identifier) as the JSON of the REST services; [`UnixTime`] as milliseconds |
//! | `access-key` | no | requests signed with an access key (`access_key`) |
//! | `http`, needs `std` | no | a token's `Authorization` header; requests and responses of the crate `http`, for the exchange and for signing |
//!
//! Without `std` the crate is `no_std` with `alloc`. On targets without atomic operations, tokens, policies and errors are
//! shared by `Rc` and are not `Send`.
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
pub mod call;
pub mod connection_string;
mod door;
#[cfg(feature = "entra")]
pub mod entra;
mod error;
mod event;
mod http_date;
pub mod identifier;
#[cfg(feature = "entra")]
pub mod issuer;
mod json;
mod jwt;
mod machine;
mod policy;
mod secret;
mod server_time;
pub mod sharing;
mod time;
mod token;
mod url;
#[cfg(feature = "entra")]
mod wire;

pub use action::{Action, Notice, Reason, Trigger};
#[cfg(feature = "http")]
pub use error::BearerError;
pub use error::{Error, FailureCause, FailureKind, RefresherError, TokenError};
pub use event::{Event, RequestId, Source};
pub use machine::{Machine, RefreshStatus, Snapshot, Status, TokenStatus};
pub use policy::{CheckSource, Policy, PolicyBuilder, PolicyError, UndecodableTokens};
pub use secret::Secret;
pub use server_time::DateSource;
#[cfg(feature = "std")]
pub use time::SystemTimeError;
pub use time::{Monotonic, Now, UnixTime, Until};
pub use token::{NewToken, Token};
pub use url::UrlError;
