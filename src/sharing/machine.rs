//! The machine from outside: its parts, its queries and its actions. `transitions.rs` has all that changes it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use super::action::{SharingAction, StoreOperation};
use super::background::Background;
use super::event::{EntryName, Owner, StoreCall};
use super::memory::Memory;
use super::operation::Operation;
use super::options::SharingOptions;
use super::standing::Standing;
use crate::action::{Notice, Reason};
use crate::backoff::Random;
use crate::error::RefresherError;
use crate::event::RequestId;
use crate::policy::Policy;
use crate::time::{Monotonic, Now, Until};
use crate::token::NewToken;

/// One credential's part in a shared store: a sans-IO machine in the refresher's place. See [the module](crate::sharing) for the
/// host's contract and for every transition.
///
/// It is there as long as the credential. A *run* is one refresh of it. What a run leaves to be done, such as storing its token,
/// goes on in the background.
///
/// ```
/// use acs_common::sharing::{EntryName, Found, Owner, Record, Sharing, SharingAction, SharingEvent, SharingOptions, StoreAnswer};
/// use acs_common::{Action, Event, Machine, Monotonic, Now, Policy, Secret, UnixTime};
/// use core::time::Duration;
///
/// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(1_700_000_000));
/// let mut machine = Machine::new(None, Policy::default(), now)?;
/// machine.handle(Event::TokenRequested { waiter: "me" }, now);
/// let Some(Action::CallRefresher { request, reason, give_up }) = machine.poll_action() else { panic!() };
///
/// let mut sharing = Sharing::new(SharingOptions::default(), &Policy::default(), 1);
/// let (entry, owner) = (Some(EntryName::new("v1.a")), Owner::from_bytes([7; 16]));
/// let started = SharingEvent::Started { request, reason, give_up, standing: machine.standing(), entry, owner };
/// sharing.handle(started, now);
/// let Some(SharingAction::CallStore { call, .. }) = sharing.poll_action() else { panic!("it reads the store") };
///
/// // Another process has stored a token of an hour, half an hour ago.
/// let token = Secret::new("eyJhbGci".to_owned());
/// let record = Record::new(token, Duration::from_secs(3_600)).with_expires_on(UnixTime::from_secs(1_700_001_800));
/// let found = Found::Record { record, fence: 7, age: Duration::from_secs(1_800), marked: false };
/// sharing.handle(SharingEvent::StoreAnswered { call, answer: StoreAnswer::Read(found) }, now);
/// let Some(SharingAction::Return { request, result: Ok(token) }) = sharing.poll_action() else { panic!("no request is made") };
///
/// machine.handle(Event::TokenReceived { request, token }, now);
/// assert!(machine.token(now).unwrap().is_from_store());
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sharing {
    pub(super) options: SharingOptions,
    pub(super) policy: Policy,
    pub(super) random: Random,
    pub(super) memory: Memory,
    pub(super) run: Option<Run>,
    pub(super) background: Background,
    pub(super) calls: u64,
    pub(super) answers: VecDeque<(RequestId, Answer)>,
    /// The host must drop these.
    pub(super) cancelled: Option<RequestId>,
    pub(super) dropped: Vec<StoreCall>,
    /// What the host watches.
    pub(super) watched: Option<EntryName>,
    pub(super) notices: VecDeque<Notice>,
    pub(super) deadline: Option<Monotonic>,
    pub(super) announce_timer: bool,
}

/// One refresh of the credential.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) request: RequestId,
    pub(super) reason: Reason,
    pub(super) give_up: Option<Until>,
    pub(super) standing: Standing,
    pub(super) started: Now,
    pub(super) owner: Owner,
    /// The entry, and its number.
    pub(super) entry: Option<(EntryName, u32)>,
    /// Milliseconds that the run still waits for the store.
    pub(super) allowance: u64,
    pub(super) stage: Stage,
    /// Another process had the lease.
    pub(super) wait: Option<Wait>,
}

#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The store is told of a rejection.
    Marking {
        of: EntryName,
        fence: u64,
        mark: Operation,
    },
    Reading(Operation),
    Taking(Operation),
    /// Another process has the lease. The next poll comes then.
    Waiting {
        until: Until,
    },
    /// The refresher works: under a lease, or alone.
    Refreshing {
        lease: Option<Lease>,
        told: bool,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Wait {
    pub(super) ends: Until,
    /// Milliseconds until the next poll.
    pub(super) poll: u64,
    /// A hint came.
    pub(super) hinted: bool,
}

/// A lease of this run.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) fence: u64,
    /// When to extend it.
    pub(super) extend: Until,
    pub(super) extension: Option<Operation>,
}

/// What a run returns. A copy is for tests that copy a whole world.
#[derive(Debug)]
pub(super) struct Answer(pub(super) Result<NewToken, RefresherError>);

impl Clone for Answer {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Ok(token) => Ok(token.copy()),
            Err(error) => Err(error.clone()),
        })
    }
}

/// The store did not answer in time.
///
/// ```
/// use acs_common::sharing::StoreTimedOut;
///
/// assert_eq!(StoreTimedOut.to_string(), "the shared store did not answer within store_timeout");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared store did not answer within store_timeout")]
#[expect(clippy::exhaustive_structs, reason = "it has no details")]
pub struct StoreTimedOut;

impl Sharing {
    /// A machine without a run. `seed` is for the chance in its waits: each process has its own. Owners never come from it.
    #[must_use]
    pub fn new(options: SharingOptions, policy: &Policy, seed: u64) -> Self {
        Self {
            options: options.limited_by(policy),
            policy: policy.clone(),
            random: Random::new(seed),
            memory: Memory::default(),
            run: None,
            background: Background::default(),
            calls: 0,
            answers: VecDeque::new(),
            cancelled: None,
            dropped: Vec::new(),
            watched: None,
            notices: VecDeque::new(),
            deadline: None,
            announce_timer: false,
        }
    }

    /// When the host must hand in [`TimeAdvanced`](super::SharingEvent::TimeAdvanced), if nothing else happens before. It is what the
    /// last [`ScheduleTimer`](SharingAction::ScheduleTimer) says.
    ///
    /// The result changes with each [`handle`](Self::handle) only.
    #[must_use]
    pub fn deadline(&self) -> Option<Monotonic> {
        self.deadline
    }

    /// Whether nothing is under way: no run, and nothing in the background. Then the host may end.
    ///
    /// ```
    /// use acs_common::Policy;
    /// use acs_common::sharing::{Sharing, SharingOptions};
    ///
    /// assert!(Sharing::new(SharingOptions::default(), &Policy::default(), 1).is_idle());
    /// ```
    ///
    /// The result changes with each [`handle`](Self::handle) only.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.run.is_none() && self.background.is_idle()
    }

    /// The name of the run's stage.
    ///
    /// Hidden: only this crate's tests use it.
    #[doc(hidden)]
    #[must_use]
    pub fn stage(&self) -> &'static str {
        let Some(run) = &self.run else { return "idle" };
        match &run.stage {
            Stage::Marking { .. } => "marking",
            Stage::Reading(_) => "reading",
            Stage::Taking(_) if run.wait.is_none() => "taking",
            Stage::Taking(_) => "polling",
            Stage::Waiting { .. } => "waiting",
            Stage::Refreshing { lease: None, .. } => "alone",
            Stage::Refreshing { lease: Some(Lease { extension: None, .. }), .. } => "holding",
            Stage::Refreshing { lease: Some(Lease { extension: Some(_), .. }), .. } => "extending",
        }
    }

    /// The next action; `None` when there are no more. The answer comes first, the timer last.
    ///
    /// An action is derived when it is polled. The result changes with each [`handle`](Self::handle), and each call takes one
    /// action.
    pub fn poll_action(&mut self) -> Option<SharingAction> {
        if let Some((request, Answer(result))) = self.answers.pop_front() {
            return Some(SharingAction::Return { request, result });
        }
        if let Some(request) = self.cancelled.take() {
            return Some(SharingAction::CancelRefresher { request });
        }
        if let Some(call) = self.dropped.pop() {
            return Some(SharingAction::CancelStore { call });
        }
        if let Some(action) = self.poll_run() {
            return Some(action);
        }
        if let Some(action) = self.background.poll() {
            return Some(action);
        }
        if let Some(action) = self.poll_watch() {
            return Some(action);
        }
        if let Some(notice) = self.notices.pop_front() {
            return Some(SharingAction::Notify(notice));
        }
        mem::take(&mut self.announce_timer).then_some(SharingAction::ScheduleTimer { at: self.deadline })
    }

    /// The action for the run's stage, if the host does not know of it.
    fn poll_run(&mut self) -> Option<SharingAction> {
        let lease = Duration::from_millis(self.options.lease);
        let run = self.run.as_mut()?;
        if let Stage::Refreshing { told, .. } = &mut run.stage
            && !mem::replace(told, true)
        {
            let (request, reason, give_up) = (run.request, run.reason.clone(), run.give_up);
            return Some(SharingAction::CallRefresher { request, reason, give_up });
        }
        let (entry, _) = run.entry.clone()?;
        let (entry, operation) = match &run.stage {
            Stage::Marking { of, fence, .. } => (of.clone(), StoreOperation::Mark { fence: *fence }),
            Stage::Reading(_) => (entry, StoreOperation::Read),
            Stage::Taking(_) | Stage::Refreshing { .. } => (entry, StoreOperation::Take { owner: run.owner, lease }),
            Stage::Waiting { .. } => return None,
        };
        run.stage.operation_mut()?.tell(entry, operation)
    }

    /// The watch is on as long as the run waits for another process.
    fn poll_watch(&mut self) -> Option<SharingAction> {
        let waiting = self.run.as_ref().filter(|run| run.wait.is_some());
        let wanted = waiting.and_then(|run| run.entry.as_ref()).map(|(entry, _)| entry);
        if wanted == self.watched.as_ref() {
            return None;
        }
        self.watched = wanted.cloned();
        Some(match &self.watched {
            Some(entry) => SharingAction::Watch { entry: entry.clone() },
            None => SharingAction::StopWatching,
        })
    }
}
