//! What the machine of a shared store tells its host.

use core::time::Duration;

use super::event::{EntryName, Owner, StoreCall};
use super::record::Record;
use crate::action::{Notice, Reason};
use crate::error::RefresherError;
use crate::event::RequestId;
use crate::time::{Monotonic, Until};
use crate::token::NewToken;

/// What the host must do now. The enum is exhaustive on purpose: a host that forgets an action must not compile.
///
/// ```
/// use acs_common::sharing::SharingAction;
///
/// /// What a host might write to its log. No secret is in it.
/// fn describe(action: &SharingAction) -> String {
///     match action {
///         SharingAction::Return { result: Ok(_), .. } => "the run brought a token".to_owned(),
///         SharingAction::Return { result: Err(error), .. } => format!("the run failed: {error}"),
///         SharingAction::CancelRefresher { request } => format!("drop the call {}", request.as_u64()),
///         SharingAction::CallRefresher { reason, .. } => format!("call the refresher: {}", reason.trigger.as_str()),
///         SharingAction::CancelStore { call } => format!("drop the operation {}", call.as_u64()),
///         SharingAction::CallStore { call, entry, .. } => format!("operation {} on {}", call.as_u64(), entry.as_str()),
///         SharingAction::Watch { entry } => format!("watch {}", entry.as_str()),
///         SharingAction::StopWatching => "stop watching".to_owned(),
///         SharingAction::Notify(notice) => format!("notice: {notice:?}"),
///         SharingAction::ScheduleTimer { at } => format!("wake up at {at:?}"),
///     }
/// }
/// assert_eq!(describe(&SharingAction::StopWatching), "stop watching");
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a host that forgets an action must not compile")]
pub enum SharingAction {
    /// The run has its answer. Tell the credential, by [`TokenReceived`](crate::Event::TokenReceived) or
    /// [`RefreshFailed`](crate::Event::RefreshFailed), before you do what comes next.
    Return {
        /// The id of the refresh.
        request: RequestId,
        /// The token, or the error.
        result: Result<NewToken, RefresherError>,
    },
    /// Drop the call of the refresher. Its answer is ignored.
    CancelRefresher {
        /// The id of the refresh.
        request: RequestId,
    },
    /// Call the refresher. Hand in [`TokenReceived`](super::SharingEvent::TokenReceived) or
    /// [`RefreshFailed`](super::SharingEvent::RefreshFailed).
    CallRefresher {
        /// The id of the refresh.
        request: RequestId,
        /// Why the credential refreshes.
        reason: Reason,
        /// When the credential gives up.
        give_up: Option<Until>,
    },
    /// Drop this operation of the store: nobody waits for its answer.
    CancelStore {
        /// The id of the operation.
        call: StoreCall,
    },
    /// Ask the store for this operation. Hand in [`StoreAnswered`](super::SharingEvent::StoreAnswered) or
    /// [`StoreFailed`](super::SharingEvent::StoreFailed). Start operations in the order in which they come.
    CallStore {
        /// The id of the operation.
        call: StoreCall,
        /// The entry that it is for.
        entry: EntryName,
        /// The operation.
        operation: StoreOperation,
        /// When the machine gives the operation up. The host should not try longer.
        give_up: Until,
    },
    /// Watch this entry, if the store can. Hand in [`WatchStarted`](super::SharingEvent::WatchStarted), and then
    /// [`Hinted`](super::SharingEvent::Hinted) when somebody has finished or marked something in it. This replaces an earlier watch.
    Watch {
        /// The entry.
        entry: EntryName,
    },
    /// Stop watching.
    StopWatching,
    /// Pass this notice on to the credential's listeners.
    Notify(Notice),
    /// Set the one timer to this moment, or disarm it. This replaces every earlier setting. When it fires, hand in
    /// [`TimeAdvanced`](super::SharingEvent::TimeAdvanced).
    ScheduleTimer {
        /// When; `None`: disarm.
        at: Option<Monotonic>,
    },
}

/// One operation of a store, on one entry, atomic there (contract, section 9). The host seals the record.
///
/// ```
/// use acs_common::sharing::{Owner, StoreOperation};
/// use core::time::Duration;
///
/// let take = StoreOperation::Take { owner: Owner::from_bytes([7; 16]), lease: Duration::from_secs(5) };
/// assert!(matches!(take, StoreOperation::Take { lease, .. } if lease.as_secs() == 5));
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "the contract has these operations")]
pub enum StoreOperation {
    /// Read the record, its age, and whether it is marked.
    Read,
    /// Take the lease, or extend it, to end so long from now.
    Take {
        /// Who takes it.
        owner: Owner,
        /// How long.
        lease: Duration,
    },
    /// Store the record, unless the stored one has this fence or a greater one. Then release the lease, if it is this owner's.
    Finish {
        /// Who has the lease.
        owner: Owner,
        /// The number of the lease under which the record was fetched.
        fence: u64,
        /// The record; `None`: the lease is only released.
        record: Option<Record>,
    },
    /// Note that the service rejected the record with this fence, unless the store never gave that fence.
    Mark {
        /// The fence.
        fence: u64,
    },
}
