//! Every transition of a run, and nothing else. That is why this file is long. `background.rs` has what goes on after a run.

use core::mem;
use core::time::Duration;

use super::background::Kept;
use super::event::{EntryName, Found, Owner, SharingEvent, StoreAnswer, StoreCall};
use super::machine::{Answer, Lease, Run, Sharing, Stage, StoreTimedOut, Wait};
use super::operation::{Operation, elapsed};
use super::standing::Standing;
use crate::action::{Notice, Reason};
use crate::error::{RefresherError, TokenError};
use crate::event::RequestId;
use crate::time::{Now, UnixTime, Until, whole_millis};
use crate::token::{NewToken, Share};

/// The first time between two polls of a lease that another process has, and the longest, in milliseconds.
const FIRST_POLL: u64 = 50;
const LONGEST_POLL: u64 = 1_000;
/// A poll comes up to so much earlier.
const POLL_JITTER: f32 = 0.25;
/// The poll at the end of a lease comes up to so much later.
const AFTER_LEASE: u64 = 100;

impl Sharing {
    /// Takes in an event. Read both clocks into `now` just before the call, and drain [`poll_action`](Self::poll_action) after
    /// it. This does not fail and does not panic.
    pub fn handle(&mut self, event: SharingEvent, now: Now) {
        match event {
            SharingEvent::Started { request, reason, give_up, standing, entry, owner } => {
                self.end_run(now);
                self.start(Start { request, reason, give_up, standing, owner }, entry, now);
            }
            SharingEvent::Cancelled { request } => {
                if self.run.as_ref().is_some_and(|run| run.request == request) {
                    self.end_run(now);
                }
            }
            SharingEvent::TokenReceived { request, token } => self.refreshed(request, Ok(token), now),
            SharingEvent::RefreshFailed { request, error } => self.refreshed(request, Err(error), now),
            SharingEvent::StoreAnswered { call, answer } => self.answered(call, answer, now),
            SharingEvent::StoreFailed { call, error } => self.failed(call, error, now),
            SharingEvent::WatchStarted => {
                if let Some(wait) = self.run.as_mut().and_then(|run| run.wait.as_mut()) {
                    wait.poll = LONGEST_POLL;
                }
            }
            SharingEvent::Hinted => {
                if let Some(wait) = self.run.as_mut().and_then(|run| run.wait.as_mut()) {
                    wait.hinted = true;
                }
            }
            SharingEvent::TokenRejected { token, standing } => {
                if let Some(run) = &mut self.run {
                    run.standing = standing;
                }
                if let Some(share) = token.share() {
                    self.memory.reject(share, now);
                }
            }
            SharingEvent::SignedOut { token } => {
                if let Some(share) = token.share() {
                    self.memory.reject(share, now);
                }
                // There may be no further run. Without an answer the mark goes first in the next one.
                if self.memory.backoff(now).is_none()
                    && let Some((entry, fence)) = self.memory.unmarked()
                {
                    let mark = self.operation(self.options.store_timeout, now);
                    self.background.mark(entry, fence, mark, &mut self.dropped);
                }
            }
            SharingEvent::TimeAdvanced => self.announce_timer = true,
        }
        self.settle(now);
    }
}

/// What a run starts with.
struct Start {
    request: RequestId,
    reason: Reason,
    give_up: Option<Until>,
    standing: Standing,
    owner: Owner,
}

// What follows from an event.
impl Sharing {
    fn start(&mut self, start: Start, entry: Option<EntryName>, now: Now) {
        let Start { request, reason, give_up, standing, owner } = start;
        let entry = entry.map(|entry| (entry.clone(), self.memory.enter(&entry)));
        let allowance = self.options.store_timeout;
        let stage = if entry.is_none() || self.memory.backoff(now).is_some() {
            Stage::Refreshing { lease: None, told: false }
        } else {
            let operation = self.operation(allowance, now);
            match self.memory.unmarked() {
                Some((of, fence)) => Stage::Marking { of, fence, mark: operation },
                None => Stage::Reading(operation),
            }
        };
        let run = Run { request, reason, give_up, standing, started: now, owner, entry, allowance, stage, wait: None };
        self.run = Some(run);
    }

    /// The credential does not need the run any more.
    fn end_run(&mut self, now: Now) {
        let Some(mut run) = self.run.take() else { return };
        match mem::replace(&mut run.stage, Stage::Refreshing { lease: None, told: false }) {
            Stage::Marking { mark: operation, .. } | Stage::Reading(operation) => operation.drop(&mut self.dropped),
            Stage::Taking(take) => self.release_taken(&run, take.told, Some(take), now),
            Stage::Waiting { .. } => {}
            Stage::Refreshing { lease, told } => {
                if told {
                    self.cancelled = Some(run.request);
                }
                if let Some(lease) = lease {
                    self.release(&run, lease.fence, lease.extension, now);
                }
            }
        }
    }

    /// The refresher has ended. The answer goes out first; then the store learns of it.
    fn refreshed(&mut self, request: RequestId, result: Result<NewToken, RefresherError>, now: Now) {
        let is_awaited =
            |run: &mut Run| run.request == request && matches!(run.stage, Stage::Refreshing { told: true, .. });
        let Some(mut run) = self.run.take_if(is_awaited) else { return };
        let lease = match &mut run.stage {
            Stage::Refreshing { lease, .. } => lease.take(),
            Stage::Marking { .. } | Stage::Reading(_) | Stage::Taking(_) | Stage::Waiting { .. } => None,
        };
        let (Some(lease), Some((entry, number))) = (lease, run.entry.clone()) else {
            return self.answers.push_back((request, Answer(result)));
        };
        let kept = result.as_ref().ok().and_then(|token| self.keep(token, &run, now));
        let share = |ends| Share { entry: number, fence: lease.fence, from_store: false, ends };
        let result = match &kept {
            Some(kept) => result.map(|token| token.with_share(share(kept.valid_until(now)))),
            None => result,
        };
        self.answers.push_back((request, Answer(result)));
        self.finish(&run, entry, lease.fence, kept, lease.extension, now);
    }

    /// What the store is to keep of the token; `None` if the credential will not accept it, or it is too long.
    fn keep(&self, token: &NewToken, run: &Run, now: Now) -> Option<Kept> {
        let judge = |expires_on: UnixTime| run.standing.judge(expires_on, now);
        let life = token.lifespan(&self.policy, run.started, Some(judge), now).ok().filter(|life| life.left > 0)?;
        let is_short = token.secret().expose().len() < TokenError::TOO_LONG;
        is_short.then(|| Kept::new(token.secret().copy(), &life, now))
    }

    /// Releases the lease of a run that brings no token.
    fn release(&mut self, run: &Run, fence: u64, after: Option<Operation>, now: Now) {
        if let Some((entry, _)) = &run.entry {
            self.finish(run, entry.clone(), fence, None, after, now);
        }
    }

    /// Releases the lease that the store may have given, if it was asked for one: no fence is known.
    fn release_taken(&mut self, run: &Run, was_asked: bool, after: Option<Operation>, now: Now) {
        if was_asked {
            self.release(run, 0, after, now);
        }
    }

    fn finish(
        &mut self,
        run: &Run,
        entry: EntryName,
        fence: u64,
        kept: Option<Kept>,
        after: Option<Operation>,
        now: Now,
    ) {
        // What the host was not told of never happens.
        let after = after.filter(|operation| operation.told);
        let ends = now.plus(self.options.lease);
        self.background.finish(entry, run.owner, fence, kept, after, ends, &mut self.dropped);
    }

    /// The store answered.
    fn answered(&mut self, call: StoreCall, answer: StoreAnswer, now: Now) {
        let Some(mut run) = self.run.take_if(|run| run.stage.awaits(call)) else {
            return self.answered_in_background(call, &answer, now);
        };
        let in_lease = |lease: Option<Lease>| Stage::Refreshing { lease, told: false };
        run.stage = match (mem::replace(&mut run.stage, in_lease(None)), answer) {
            (Stage::Marking { of, fence, mark }, StoreAnswer::Marked) => {
                run.allowance = mark.allowance(now);
                self.memory.marked(&of, fence);
                Stage::Reading(self.operation(run.allowance, now))
            }
            (Stage::Reading(read), StoreAnswer::Read(found)) => {
                run.allowance = read.allowance(now);
                if let Some(token) = self.usable(&run, found, &read, now) {
                    self.succeed();
                    return self.answers.push_back((run.request, Answer(Ok(token))));
                }
                Stage::Taking(self.operation(run.allowance, now))
            }
            (Stage::Taking(take), StoreAnswer::Granted { fence, found }) => {
                self.succeed();
                if let Some(token) = self.usable(&run, found, &take, now) {
                    self.answers.push_back((run.request, Answer(Ok(token))));
                    return self.release(&run, fence, None, now);
                }
                let extend = take.sent.plus(self.options.lease / 3);
                run.wait = None;
                in_lease(Some(Lease { fence, extend, extension: None }))
            }
            (Stage::Taking(take), StoreAnswer::Held { left, found }) => {
                self.succeed();
                if let Some(token) = self.usable(&run, found, &take, now) {
                    return self.answers.push_back((run.request, Answer(Ok(token))));
                }
                // A poll gives its time back.
                if run.wait.is_none() {
                    run.allowance = take.allowance(now);
                }
                self.wait(&mut run, left, now)
            }
            // Whatever the store says of the lease, the refresh goes on.
            (Stage::Refreshing { lease, told }, StoreAnswer::Granted { .. } | StoreAnswer::Held { .. }) => {
                let lease = lease.map(|lease| Lease { extension: None, ..lease });
                Stage::Refreshing { lease, told }
            }
            // The answer is to another operation: the host is wrong, and the operation has no answer.
            (stage, _) => stage,
        };
        self.run = Some(run);
    }

    /// The time until the next poll.
    fn wait(&mut self, run: &mut Run, left: Duration, now: Now) -> Stage {
        let ends = now.plus(self.options.lease_wait);
        let wait = run.wait.get_or_insert(Wait { ends, poll: FIRST_POLL, hinted: false });
        let poll = self.random.shorten(wait.poll, POLL_JITTER);
        wait.poll = wait.poll.saturating_mul(2).min(LONGEST_POLL);
        // Not all who wait come in the same moment.
        let after = AFTER_LEASE.saturating_sub(self.random.shorten(AFTER_LEASE, 1.0));
        let until_free = whole_millis(left).saturating_add(after);
        Stage::Waiting { until: now.plus(poll.min(until_free).max(1)) }
    }

    /// The token of the record, if it is of use (contract, rules 9.7, 9.8 and 9.12).
    fn usable(&mut self, run: &Run, found: Found, operation: &Operation, now: Now) -> Option<NewToken> {
        let (record, fence, age, marked) = match found {
            Found::Nothing => return None,
            Found::Unreadable => {
                if self.memory.lose() {
                    self.notices.push_back(Notice::StoreRecordUnreadable);
                }
                return None;
            }
            Found::Record { record, fence, age, marked } => (record, fence, age, marked),
        };
        self.memory.read();
        if marked || self.memory.is_rejected(fence, now) {
            return None;
        }
        // The age is of the moment at which the store looked, which was later than the question.
        let age = whole_millis(age).saturating_add(elapsed(operation.sent, now));
        let (_, entry) = run.entry.as_ref()?;
        let life = whole_millis(record.life);
        let token = NewToken::kept(record.token.copy(), record.kept(age, now));
        let judge = |expires_on: UnixTime| run.standing.judge(expires_on, now);
        let left = token.lifespan(&self.policy, now, Some(judge), now).ok()?.left;
        if left == 0 {
            return None;
        }
        if let Some((held, share)) = run.standing.held(now) {
            let is_same = share.is_some_and(|share| (share.entry, share.fence) == (*entry, fence));
            if is_same || left <= held || left <= self.policy.window_millis().min(life / 2) {
                return None;
            }
        }
        let ends = now.monotonic.saturating_add_millis(left);
        Some(token.with_share(Share { entry: *entry, fence, from_store: true, ends }))
    }

    /// The store failed.
    fn failed(&mut self, call: StoreCall, error: RefresherError, now: Now) {
        match self.run.take_if(|run| run.stage.awaits(call)) {
            Some(run) => self.lose_store(run, error, now),
            None => {
                if self.background.failed(call) {
                    self.fail(error, now);
                }
            }
        }
    }

    /// An operation of the run failed.
    fn lose_store(&mut self, mut run: Run, error: RefresherError, now: Now) {
        self.fail(error, now);
        run.stage = match mem::replace(&mut run.stage, Stage::Refreshing { lease: None, told: false }) {
            // The lease may be there all the same. Whatever the store says, the refresh goes on.
            Stage::Refreshing { lease, told } => {
                Stage::Refreshing { lease: lease.map(|lease| Lease { extension: None, ..lease }), told }
            }
            // Perhaps it was granted.
            Stage::Taking(take) => {
                self.release_taken(&run, take.told, None, now);
                run.wait = None;
                Stage::Refreshing { lease: None, told: false }
            }
            Stage::Marking { .. } | Stage::Reading(_) | Stage::Waiting { .. } => {
                run.wait = None;
                Stage::Refreshing { lease: None, told: false }
            }
        };
        self.run = Some(run);
    }

    fn answered_in_background(&mut self, call: StoreCall, answer: &StoreAnswer, now: Now) {
        if let Some((entry, fence)) = self.background.answered(call, answer, now) {
            self.memory.marked(&entry, fence);
        }
    }

    fn fail(&mut self, error: RefresherError, now: Now) {
        if self.memory.fail(&mut self.random, now) {
            self.notices.push_back(Notice::StoreFailed { error });
        }
    }

    fn succeed(&mut self) {
        if self.memory.succeed() {
            self.notices.push_back(Notice::StoreBack);
        }
    }

    fn operation(&mut self, allowance: u64, now: Now) -> Operation {
        self.calls = self.calls.wrapping_add(1);
        Operation::new(StoreCall(self.calls), allowance, now)
    }
}

impl Stage {
    /// The operation of the store in flight.
    fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Marking { mark: operation, .. } | Self::Reading(operation) | Self::Taking(operation) => {
                Some(operation)
            }
            Self::Waiting { .. } => None,
            Self::Refreshing { lease, .. } => lease.as_ref()?.extension.as_ref(),
        }
    }

    pub(super) fn operation_mut(&mut self) -> Option<&mut Operation> {
        match self {
            Self::Marking { mark: operation, .. } | Self::Reading(operation) | Self::Taking(operation) => {
                Some(operation)
            }
            Self::Waiting { .. } => None,
            Self::Refreshing { lease, .. } => lease.as_mut()?.extension.as_mut(),
        }
    }

    /// Whether the host was told of this operation, and it has no answer.
    fn awaits(&self, call: StoreCall) -> bool {
        self.operation().is_some_and(|operation| operation.told && operation.call == call)
    }
}

// What follows from the state.
impl Sharing {
    /// Does what follows from the time, whatever led to it.
    fn settle(&mut self, now: Now) {
        self.memory.expire(now);
        self.end_wait(now);
        self.poll_lease(now);
        self.give_up_operation(now);
        self.extend(now);
        let failures = self.background.expire(now, &mut self.dropped);
        (0..failures).for_each(|_| self.fail(RefresherError::new(StoreTimedOut), now));
        let (backoff, timeout) = (self.memory.backoff(now), self.options.store_timeout);
        while self.background.is_due(backoff) {
            let operation = self.operation(timeout, now);
            self.background.start(operation, backoff, now);
        }
        let deadline = self.until_due(now).map(|wait| now.monotonic.saturating_add_millis(wait));
        self.announce_timer |= deadline != self.deadline;
        self.deadline = deadline;
    }

    /// An operation without an answer in its time has failed.
    fn give_up_operation(&mut self, now: Now) {
        let is_over = |run: &mut Run| run.stage.operation().is_some_and(|operation| operation.until.has_come(now));
        let Some(run) = self.run.take_if(is_over) else { return };
        if let Some(operation) = run.stage.operation() {
            operation.drop(&mut self.dropped);
        }
        self.lose_store(run, RefresherError::new(StoreTimedOut), now);
    }

    /// After `lease_wait` the run is alone, whichever owner has the lease by then.
    fn end_wait(&mut self, now: Now) {
        let is_over = |run: &mut Run| run.wait.as_ref().is_some_and(|wait| wait.ends.has_come(now));
        let Some(mut run) = self.run.take_if(is_over) else { return };
        run.wait = None;
        if let Stage::Taking(poll) = mem::replace(&mut run.stage, Stage::Refreshing { lease: None, told: false }) {
            self.release_taken(&run, poll.told, Some(poll), now);
        }
        self.run = Some(run);
    }

    /// Asks again for the lease of another process.
    fn poll_lease(&mut self, now: Now) {
        let Some(Run { stage: Stage::Waiting { until }, wait, allowance, .. }) = &mut self.run else { return };
        let Some(wait) = wait else { return };
        if !wait.hinted && !until.has_come(now) {
            return;
        }
        wait.hinted = false;
        let allowance = *allowance;
        let take = self.operation(allowance, now);
        if let Some(run) = &mut self.run {
            run.stage = Stage::Taking(take);
        }
    }

    /// Extends the lease while the refresher works.
    fn extend(&mut self, now: Now) {
        let is_due = |lease: &&mut Lease| lease.extension.is_none() && lease.extend.has_come(now);
        let lease = self.run.as_mut().and_then(|run| match &mut run.stage {
            Stage::Refreshing { lease, .. } => lease.as_mut().filter(is_due),
            Stage::Marking { .. } | Stage::Reading(_) | Stage::Taking(_) | Stage::Waiting { .. } => None,
        });
        if let Some(lease) = lease {
            self.calls = self.calls.wrapping_add(1);
            lease.extend = now.plus((self.options.lease / 3).max(1));
            lease.extension = Some(Operation::new(StoreCall(self.calls), self.options.store_timeout, now));
        }
    }

    /// Milliseconds until something follows from the time alone.
    fn until_due(&self, now: Now) -> Option<u64> {
        let run = self.run.iter().flat_map(|run| {
            let next = match &run.stage {
                Stage::Waiting { until } => Some(*until),
                Stage::Refreshing { lease, .. } => lease.as_ref().map(|lease| lease.extend),
                Stage::Marking { .. } | Stage::Reading(_) | Stage::Taking(_) => None,
            };
            let operation = run.stage.operation().map(|operation| operation.until);
            [next, operation, run.wait.as_ref().map(|wait| wait.ends)].into_iter().flatten()
        });
        run.chain(self.background.waits(self.memory.backoff(now))).map(|end| end.left(now)).min()
    }
}
