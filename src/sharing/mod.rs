//! Several processes, several hosts: one token for all, through a shared store. Without I/O and without a clock.
//!
//! Twenty processes that start together need one token, not twenty. A [`Sharing`] is one process's part. It stands in the
//! refresher's place: the credential calls it, and it calls the refresher only if no other process has a token that is of use,
//! or fetches one at this moment. The store has one *entry* for each credential: a record (the token, sealed by the host), and a
//! lease, which one process holds while it refreshes.
//!
//! ```text
//! Machine ─ CallRefresher ─▶ ┌─────────┐ ─ CallRefresher ─▶ the refresher, or an exchange of Entra tokens
//!         ◀──── Return ───── │ Sharing │ ◀─ TokenReceived, RefreshFailed ─
//!                            └────┬────┘ ─ CallStore ─▶ a store: files, Redis
//!                                        ◀─ StoreAnswered, StoreFailed ─
//! ```
//!
//! A token may be fetched twice without harm. So everything fails open: a store that is down, slow or wrong costs at most
//! [`store_timeout`](SharingOptionsBuilder::store_timeout), and a lost lease costs a request, never a caller.
//!
//! On tokio or smol, use `acs-common-store`: it has the stores, the sealing, and a host of this machine.
//!
//! # The host's contract
//!
//! > **Make one [`Sharing`] for each credential. Hand in what happens, with what both clocks say; poll actions until there are
//! > no more, and do what they say.**
//!
//! | a machine says | the host does |
//! |---|---|
//! | credential: [`CallRefresher`](crate::Action::CallRefresher) | hands in [`Started`](SharingEvent::Started), with [`Machine::standing`](crate::Machine::standing), the entry's name, and a new [`Owner`] from the operating system |
//! | credential: [`CancelRefresher`](crate::Action::CancelRefresher) | hands in [`Cancelled`](SharingEvent::Cancelled) |
//! | sharing: [`CallStore`](SharingAction::CallStore) | asks the store, and hands in [`StoreAnswered`](SharingEvent::StoreAnswered) or [`StoreFailed`](SharingEvent::StoreFailed). It starts operations in their order, and may have several in flight |
//! | sharing: [`CancelStore`](SharingAction::CancelStore) | drops that operation |
//! | sharing: [`CallRefresher`](SharingAction::CallRefresher) | calls the refresher; hands in [`TokenReceived`](SharingEvent::TokenReceived) or [`RefreshFailed`](SharingEvent::RefreshFailed) |
//! | sharing: [`CancelRefresher`](SharingAction::CancelRefresher) | drops that call |
//! | sharing: [`Return`](SharingAction::Return) | tells the credential: [`TokenReceived`](crate::Event::TokenReceived) or [`RefreshFailed`](crate::Event::RefreshFailed) |
//! | sharing: [`Watch`](SharingAction::Watch) | if the store can: hands in [`WatchStarted`](SharingEvent::WatchStarted), and later [`Hinted`](SharingEvent::Hinted) |
//!
//! When the service has rejected a token, the host tells the credential, then this machine
//! ([`TokenRejected`](SharingEvent::TokenRejected)). When it looks at its clocks, it hands
//! [`TimeAdvanced`](SharingEvent::TimeAdvanced) to both. After the credential's end it goes on until
//! [`is_idle`](Sharing::is_idle), which is at most one lease: until then a token may be on its way to the store.
//!
//! The host seals [records](Record) before they leave the process, with the entry's name and the fence as associated data, and
//! a new nonce each time. The errors that it hands in are shown as they are, so they must not contain a secret.
//!
//! # Fences
//!
//! A store gives each lease a number that is greater than all before it, the *fence*. A record carries the fence of its lease. So
//! a process that was stopped while it refreshed cannot replace a newer record with an older one, and a rejection names one
//! record: the store *marks* its fence. A mark keeps others from taking the token. It is no rejection: who holds the token keeps
//! it until its own request is refused.
#![doc = include_str!("transitions.md")]

mod action;
mod background;
mod event;
mod machine;
mod memory;
mod operation;
mod options;
mod record;
mod standing;
mod transitions;

pub use self::action::{SharingAction, StoreOperation};
pub use self::event::{EntryName, Found, Owner, SharingEvent, StoreAnswer, StoreCall};
pub use self::machine::{Sharing, StoreTimedOut};
pub use self::options::{SharingOptions, SharingOptionsBuilder, SharingOptionsError};
pub use self::record::{Record, RecordError};
pub use self::standing::Standing;
