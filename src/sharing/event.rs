//! What a host tells the machine of a shared store.

#[cfg(not(target_has_atomic = "ptr"))]
use alloc::rc::Rc as Arc;
#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use super::record::Record;
use super::standing::Standing;
use crate::action::Reason;
use crate::error::RefresherError;
use crate::event::RequestId;
use crate::time::Until;
use crate::token::{NewToken, Token};

/// The name of one entry of a store: of one credential in all processes. The host makes it, so that it names no user (contract,
/// rule 9.14). A clone is cheap.
///
/// ```
/// use acs_common::sharing::EntryName;
///
/// assert_eq!(EntryName::new("v1.kJ0q").as_str(), "v1.kJ0q");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryName(Arc<str>);

impl EntryName {
    /// An entry of this name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who holds a lease: 128 random bits from the operating system, new for each run. Two runs with the same bits would share a
/// lease, so they never come from a seeded generator, a process id or a host name (contract, section 9).
///
/// ```
/// use acs_common::sharing::Owner;
///
/// let random = [7; 16]; // from the operating system
/// assert_eq!(Owner::from_bytes(random).as_bytes(), &random);
/// assert_eq!(Owner::from_bytes(random).to_string(), "07".repeat(16));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner([u8; 16]);

impl Owner {
    /// An owner of these bits.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bits.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// In hexadecimal digits.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({self})")
    }
}

/// The id of one operation of the store. It tells its answer from those to others, which come late.
///
/// ```
/// use acs_common::sharing::{Owner, Sharing, SharingAction, SharingEvent, SharingOptions};
/// # use acs_common::sharing::EntryName;
/// # use acs_common::{Action, Event, Machine, Monotonic, Now, Policy, UnixTime};
/// # let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(0));
/// # let mut machine = Machine::new(None, Policy::default(), now)?;
/// # machine.handle(Event::TokenRequested { waiter: 1 }, now);
/// # let Some(Action::CallRefresher { request, reason, give_up }) = machine.poll_action() else { panic!() };
/// # let (entry, owner) = (Some(EntryName::new("v1.a")), Owner::from_bytes([0; 16]));
/// # let started = SharingEvent::Started { request, reason, give_up, standing: machine.standing(), entry, owner };
/// let mut sharing = Sharing::new(SharingOptions::default(), &Policy::default(), 1);
/// sharing.handle(started, now);
/// let Some(SharingAction::CallStore { call, .. }) = sharing.poll_action() else { panic!() };
/// assert_eq!(call.as_u64(), 1);
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreCall(pub(super) u64);

impl StoreCall {
    /// The id as a number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// What happened. An answer that is not waited for changes nothing.
///
/// ```
/// use acs_common::sharing::{Found, SharingEvent, StoreAnswer, StoreCall};
///
/// /// Converts the result of reading a file.
/// fn read(call: StoreCall, result: Result<Found, std::io::Error>) -> SharingEvent {
///     match result {
///         Ok(found) => SharingEvent::StoreAnswered { call, answer: StoreAnswer::Read(found) },
///         Err(error) => SharingEvent::StoreFailed { call, error: error.into() },
///     }
/// }
/// # let _ = read;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SharingEvent {
    /// The credential said [`CallRefresher`](crate::Action::CallRefresher): a run starts. At most one is under way.
    Started {
        /// The id of the refresh.
        request: RequestId,
        /// Why the credential refreshes.
        reason: Reason,
        /// When the credential gives up.
        give_up: Option<Until>,
        /// What the credential holds: [`Machine::standing`](crate::Machine::standing).
        standing: Standing,
        /// The entry; `None`: it cannot be named, so the run is alone.
        entry: Option<EntryName>,
        /// New for this run.
        owner: Owner,
    },
    /// The credential said [`CancelRefresher`](crate::Action::CancelRefresher).
    Cancelled {
        /// The id of the refresh.
        request: RequestId,
    },
    /// The refresher returned a token.
    TokenReceived {
        /// The id from [`CallRefresher`](super::SharingAction::CallRefresher).
        request: RequestId,
        /// What the refresher returned.
        token: NewToken,
    },
    /// The refresher failed.
    RefreshFailed {
        /// The id from [`CallRefresher`](super::SharingAction::CallRefresher).
        request: RequestId,
        /// Why.
        error: RefresherError,
    },
    /// The store did an operation.
    StoreAnswered {
        /// The id from [`CallStore`](super::SharingAction::CallStore).
        call: StoreCall,
        /// What came of it.
        answer: StoreAnswer,
    },
    /// The store failed, or could not be reached. Perhaps it did the operation all the same.
    StoreFailed {
        /// The id from [`CallStore`](super::SharingAction::CallStore).
        call: StoreCall,
        /// Why.
        error: RefresherError,
    },
    /// The entry is [watched](super::SharingAction::Watch). A host that cannot watch never says so.
    WatchStarted,
    /// Somebody finished or marked something in the entry that is watched. It may be wrong.
    Hinted,
    /// The credential heard that the service rejected this token: hand it in after the credential's own
    /// [`TokenRejected`](crate::Event::TokenRejected), whatever token it is.
    TokenRejected {
        /// The token.
        token: Token,
        /// What the credential holds now.
        standing: Standing,
    },
    /// The user has signed out, and the credential dropped this token (contract, rule 5.6).
    SignedOut {
        /// The token.
        token: Token,
    },
    /// The timer fired, or the host looked at its clocks. Early, late and repeated events of this kind are harmless.
    TimeAdvanced,
}

/// What came of an operation of the store. Times are by the store's clock.
///
/// ```
/// use acs_common::sharing::{Found, StoreAnswer};
/// use core::time::Duration;
///
/// // Another process refreshes.
/// let answer = StoreAnswer::Held { left: Duration::from_secs(4), found: Found::Nothing };
/// # let _ = answer;
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "the contract has these operations")]
pub enum StoreAnswer {
    /// Of [`Read`](super::StoreOperation::Read).
    Read(Found),
    /// Of [`Take`](super::StoreOperation::Take): this owner has the lease.
    Granted {
        /// The number of the lease.
        fence: u64,
        /// What reading would have brought.
        found: Found,
    },
    /// Of [`Take`](super::StoreOperation::Take): another owner has the lease.
    Held {
        /// How long it lasts.
        left: Duration,
        /// What reading would have brought.
        found: Found,
    },
    /// Of [`Finish`](super::StoreOperation::Finish).
    Finished,
    /// Of [`Mark`](super::StoreOperation::Mark).
    Marked,
}

/// What an entry has.
///
/// ```
/// use acs_common::Secret;
/// use acs_common::sharing::{Found, Record};
/// use core::time::Duration;
///
/// let record = Record::new(Secret::new("eyJhbGci".to_owned()), Duration::from_secs(3_600));
/// let found = Found::Record { record, fence: 7, age: Duration::from_secs(60), marked: false };
/// assert!(!format!("{found:?}").contains("eyJ"));
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "the contract has these")]
pub enum Found {
    /// No record.
    Nothing,
    /// Something that is too long, that no key opens, or that is [not a record](super::RecordError): as good as none.
    Unreadable,
    /// A record.
    Record {
        /// What was stored.
        record: Record,
        /// The number of the lease under which it was written.
        fence: u64,
        /// How long ago it was written.
        age: Duration,
        /// A process reported that the service rejected it.
        marked: bool,
    },
}
