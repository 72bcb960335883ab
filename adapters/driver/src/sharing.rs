//! The host of a shared store, around the work of any credential: the core's machine, and the calls of the store.
//!
//! A name of the core is any text; one of a store can only be made by its key, since it becomes the name of a file. So this
//! keeps the store's name of each entry that the machine may ask for.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use acs_common::sharing::{
    EntryName as CoreName, Found as Opened, Owner, Sharing, SharingAction, SharingEvent, SharingOptions, Standing,
    StoreAnswer, StoreCall, StoreOperation,
};
use acs_common::{Event, Machine, Monotonic, Notice, Now, Policy, RefresherError, RequestId, Token, TokenError};
use acs_common_store::{EntryName, Fence, Found, Hints, NewRecord, Nonce, SharedStore, StoreFuture, Taken};

use crate::calls::{InFlight, sealed};
use crate::commands::Refresh;
use crate::panics::catch_panic;

/// The work of a credential that shares its token: the work of one that does not, and a store. This is the work of a driver.
pub struct SharedCalls<W> {
    inner: W,
    store: SharedStore,
    name: Arc<str>,
    pub(crate) options: SharingOptions,
    /// `None` until the credential is built.
    sharing: Option<Sharing>,
    /// The run under way, and whether it has called the refresher.
    run: Option<(RequestId, bool)>,
    /// The refresher of this run goes on without the machine, for another user than the entry is of.
    strayed: Option<RequestId>,
    /// The names of the entries that the machine may ask for. The last one is the run's.
    names: VecDeque<EntryName>,
    operations: Vec<(StoreCall, EntryName, InFlight<StoreFuture<Done>>)>,
    watched: Option<Hints>,
    /// What the machine is told next.
    told: VecDeque<SharingEvent>,
    notices: VecDeque<Notice>,
}

/// An operation as the store answered it.
enum Done {
    Read(Found),
    Taken(Taken),
    Finished,
    Marked,
}

/// So many entries are known by name. A run knows its own; older ones are of other users.
const NAMES: usize = 8;

impl<W: sealed::Work> SharedCalls<W> {
    pub(crate) fn new(inner: W, store: SharedStore, name: Arc<str>) -> Self {
        Self {
            inner,
            store,
            name,
            options: SharingOptions::default(),
            sharing: None,
            run: None,
            strayed: None,
            names: VecDeque::new(),
            operations: Vec::new(),
            watched: None,
            told: VecDeque::new(),
            notices: VecDeque::new(),
        }
    }

    fn tell(&mut self, event: SharingEvent, now: Now) {
        // The machine may drop a foreign error at once. So keep a copy, and drop that here.
        let mut error = None;
        if let SharingEvent::RefreshFailed { error: foreign, .. } | SharingEvent::StoreFailed { error: foreign, .. } =
            &event
        {
            error = Some(foreign.clone());
        }
        if let Some(sharing) = &mut self.sharing {
            sharing.handle(event, now);
        }
        catch_panic(|| drop(error));
    }

    /// The entry of the run that starts; `None`: it cannot be named.
    fn entry(&mut self) -> Option<CoreName> {
        let name = self.inner.entry(self.store.naming(), &self.name)?;
        let core = CoreName::new(name.as_str());
        self.names.retain(|known| *known != name);
        self.names.push_back(name);
        if self.names.len() > NAMES {
            self.names.pop_front();
        }
        Some(core)
    }

    /// Does what the machine says, until there is an event for the credential.
    fn carry_out(&mut self, now: Now) -> Option<Event<usize>> {
        loop {
            while let Some(event) = self.told.pop_front() {
                self.tell(event, now);
            }
            match self.sharing.as_mut()?.poll_action()? {
                SharingAction::Return { request, result } => {
                    self.run = None;
                    // An exchange that has not started is of no use any more.
                    self.inner.cancel();
                    return Some(match result {
                        Ok(token) => Event::TokenReceived { request, token: token.decoded() },
                        Err(error) => Event::RefreshFailed { request, error },
                    });
                }
                SharingAction::CancelRefresher { request } => {
                    if self.strayed.take() != Some(request) {
                        self.inner.cancel();
                    }
                }
                SharingAction::CallRefresher { request, reason, give_up } => {
                    self.run = Some((request, true));
                    self.inner.start_refresh(Refresh { request, reason, give_up, standing: Standing::default() }, now);
                }
                SharingAction::CancelStore { call } => self.drop_operation(call),
                SharingAction::CallStore { call, entry, operation, .. } => self.start(call, &entry, operation),
                SharingAction::Watch { entry } => self.watch(&entry),
                SharingAction::StopWatching => self.stop_watching(),
                SharingAction::Notify(notice) => self.notices.push_back(notice),
                // The driver reads the deadline each time.
                SharingAction::ScheduleTimer { .. } => {}
            }
        }
    }

    fn named(&self, entry: &CoreName) -> Option<EntryName> {
        self.names.iter().find(|name| name.as_str() == entry.as_str()).cloned()
    }

    fn start(&mut self, call: StoreCall, entry: &CoreName, operation: StoreOperation) {
        let started = self.named(entry).ok_or_else(|| RefresherError::new(Forgotten)).and_then(|name| {
            let mut started = InFlight::None;
            let work = self.operation(&name, operation)?;
            started.start(|| work(&self.store));
            Ok((call, name, started))
        });
        match started {
            Ok(operation) => self.operations.push(operation),
            Err(error) => self.told.push_back(SharingEvent::StoreFailed { call, error }),
        }
    }

    /// What starts the operation. A record is sealed first.
    fn operation(&self, name: &EntryName, operation: StoreOperation) -> Result<Start, RefresherError> {
        let name = name.clone();
        Ok(match operation {
            StoreOperation::Read => Box::new(move |store| {
                let answer = store.store().read(&name);
                Box::pin(async { answer.await.map(Done::Read) })
            }),
            StoreOperation::Take { owner, lease } => Box::new(move |store| {
                let answer = store.store().take(&name, owner, lease);
                Box::pin(async { answer.await.map(Done::Taken) })
            }),
            StoreOperation::Finish { owner, fence, record } => {
                let fence = Fence::new(fence).ok_or_else(|| RefresherError::new(Forgotten))?;
                let record = record
                    .map(|record| {
                        let nonce = random_nonce()?;
                        let sealed =
                            self.store.sealing().seal(&name, fence, &record, nonce).map_err(RefresherError::new)?;
                        // The store keeps what expires by its moment, too, at least for the life that is left.
                        Ok::<_, RefresherError>(NewRecord::new(sealed, record.life))
                    })
                    .transpose()?;
                Box::new(move |store| {
                    let answer = store.store().finish(&name, owner, fence, record);
                    Box::pin(async { answer.await.map(|()| Done::Finished) })
                })
            }
            StoreOperation::Mark { fence } => {
                let fence = Fence::new(fence).ok_or_else(|| RefresherError::new(Forgotten))?;
                Box::new(move |store| {
                    let answer = store.store().mark(&name, fence);
                    Box::pin(async { answer.await.map(|()| Done::Marked) })
                })
            }
        })
    }

    fn drop_operation(&mut self, call: StoreCall) {
        for (_, _, operation) in self.operations.iter_mut().filter(|(known, ..)| *known == call) {
            operation.cancel();
        }
        self.operations.retain(|(known, ..)| *known != call);
    }

    fn watch(&mut self, entry: &CoreName) {
        self.stop_watching();
        let Some(name) = self.named(entry) else { return };
        self.watched = catch_panic(|| self.store.store().watch(&name)).flatten();
        if self.watched.is_some() {
            self.told.push_back(SharingEvent::WatchStarted);
        }
    }

    fn stop_watching(&mut self) {
        let watched = self.watched.take();
        catch_panic(|| drop(watched));
    }

    /// What the store says next.
    fn poll_store(&mut self, context: &mut Context<'_>) -> Poll<SharingEvent> {
        for index in 0..self.operations.len() {
            let Some((call, name, operation)) = self.operations.get_mut(index) else { break };
            let call = *call;
            let Poll::Ready(answer) = operation.poll(context) else { continue };
            let event = match answer {
                Some(Ok(done)) => SharingEvent::StoreAnswered { call, answer: opened(&self.store, name, done) },
                Some(Err(error)) => SharingEvent::StoreFailed { call, error: RefresherError::new(error) },
                None => SharingEvent::StoreFailed { call, error: RefresherError::new(StorePanicked) },
            };
            self.operations.remove(index);
            return Poll::Ready(event);
        }
        if let Some(hints) = &mut self.watched {
            match catch_panic(|| hints.as_mut().poll_next(context)) {
                Some(Poll::Ready(Some(()))) => return Poll::Ready(SharingEvent::Hinted),
                // There are no more hints. The machine polls.
                Some(Poll::Ready(None)) | None => self.stop_watching(),
                Some(Poll::Pending) => {}
            }
        }
        Poll::Pending
    }

    /// An event of the work inside. What answers the run is for the machine of the store.
    fn pass(&mut self, event: Event<usize>) -> Option<Event<usize>> {
        match (self.run, event) {
            (Some((running, true)), Event::TokenReceived { request, token }) if request == running => {
                self.told.push_back(SharingEvent::TokenReceived { request, token });
                None
            }
            (Some((running, true)), Event::RefreshFailed { request, error }) if request == running => {
                self.told.push_back(SharingEvent::RefreshFailed { request, error });
                None
            }
            (Some((running, true)), Event::SourceChecked { request, source }) if request == running => {
                // The service has refused the Entra token, and the source gave one of another user: the access token is not for
                // this entry.
                if self.inner.entry(self.store.naming(), &self.name).as_ref() != self.names.back() {
                    (self.run, self.strayed) = (None, Some(request));
                    self.told.push_back(SharingEvent::Cancelled { request });
                }
                Some(Event::SourceChecked { request, source })
            }
            (_, event) => Some(event),
        }
    }
}

type Start = Box<dyn FnOnce(&SharedStore) -> StoreFuture<Done>>;

/// What the machine is to know of the answer. Records are opened here, outside of the lock.
fn opened(store: &SharedStore, name: &EntryName, done: Done) -> StoreAnswer {
    let open = |found: Found| match found.record {
        None if found.loss.is_some() => Opened::Unreadable,
        None => Opened::Nothing,
        Some(stored) => match store.sealing().open(name, stored.fence, &stored.sealed) {
            Ok(record) => Opened::Record { record, fence: stored.fence.get(), age: stored.age, marked: stored.marked },
            Err(_) => Opened::Unreadable,
        },
    };
    match done {
        Done::Read(found) => StoreAnswer::Read(open(found)),
        Done::Taken(Taken::Granted { fence, found }) => StoreAnswer::Granted { fence: fence.get(), found: open(found) },
        Done::Taken(Taken::Held { left, found }) => StoreAnswer::Held { left, found: open(found) },
        Done::Finished => StoreAnswer::Finished,
        Done::Marked => StoreAnswer::Marked,
    }
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
fn random_owner() -> Option<Owner> {
    acs_common_store::random_owner().ok()
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
fn random_nonce() -> Result<Nonce, RefresherError> {
    Nonce::random().map_err(RefresherError::new)
}

/// A page has no store that others share. A run without an owner is alone.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
fn random_owner() -> Option<Owner> {
    None
}

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
fn random_nonce() -> Result<Nonce, RefresherError> {
    Err(RefresherError::new(Forgotten))
}

/// The run is of an entry that is not known any more, or of a fence that no store gives.
#[derive(Debug, thiserror::Error)]
#[error("the shared store's entry is not known any more")]
struct Forgotten;

#[derive(Debug, thiserror::Error)]
#[error("the shared store panicked")]
struct StorePanicked;

#[expect(private_interfaces, reason = "sealed")]
impl<W: sealed::Work> sealed::Work for SharedCalls<W> {
    fn machine(&mut self, policy: Policy, now: Now) -> Result<Machine<usize>, TokenError> {
        // Of the policy's seed only the chance in the waits depends.
        self.sharing = Some(Sharing::new(self.options, &policy, policy.seed().unwrap_or_default()));
        self.inner.machine(policy, now)
    }

    fn name(&mut self, name: Option<&Arc<str>>) {
        self.inner.name(name);
    }

    fn start_check(&mut self, request: RequestId) {
        self.inner.start_check(request);
    }

    fn start_refresh(&mut self, refresh: Refresh, _: Now) {
        let Refresh { request, reason, give_up, standing } = refresh;
        let (entry, owner) = match random_owner() {
            Some(owner) => (self.entry(), owner),
            None => (None, Owner::from_bytes([0; 16])),
        };
        self.run = Some((request, false));
        self.told.push_back(SharingEvent::Started { request, reason, give_up, standing, entry, owner });
    }

    fn look(&mut self, now: Now) {
        self.inner.look(now);
        self.told.push_back(SharingEvent::TimeAdvanced);
    }

    fn cancel(&mut self) {
        if let Some((request, _)) = self.run.take() {
            self.told.push_back(SharingEvent::Cancelled { request });
        }
        self.inner.cancel();
    }

    fn poll(&mut self, now: impl Fn() -> Now, context: &mut Context<'_>) -> Poll<Event<usize>> {
        loop {
            if let Some(event) = self.carry_out(now()) {
                return Poll::Ready(event);
            }
            if let Poll::Ready(event) = self.inner.poll(&now, context) {
                match self.pass(event) {
                    Some(event) => return Poll::Ready(event),
                    None => continue,
                }
            }
            match self.poll_store(context) {
                Poll::Ready(event) => self.told.push_back(event),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn deadline(&self) -> Option<Monotonic> {
        let of_sharing = self.sharing.as_ref().and_then(Sharing::deadline);
        [self.inner.deadline(), of_sharing].into_iter().flatten().min()
    }

    fn is_calling(&self) -> bool {
        self.run.is_some() || self.inner.is_calling()
    }

    fn token_rejected(&mut self, token: Token, standing: Standing) {
        self.told.push_back(SharingEvent::TokenRejected { token, standing });
    }

    fn signed_out(&mut self, token: Token) {
        self.told.push_back(SharingEvent::SignedOut { token });
    }

    fn take_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    fn poll_end(&mut self, now: impl Fn() -> Now, context: &mut Context<'_>) -> Poll<()> {
        loop {
            while self.carry_out(now()).is_some() {}
            if self.sharing.as_ref().is_none_or(Sharing::is_idle) {
                return Poll::Ready(());
            }
            match self.poll_store(context) {
                Poll::Ready(event) => self.told.push_back(event),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn entry(&self, naming: &acs_common_store::NamingKey, name: &str) -> Option<EntryName> {
        self.inner.entry(naming, name)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

impl<W> fmt::Debug for SharedCalls<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedCalls")
            .field("store", &self.store)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
