//! What a credential's handles and its driver share: the machine behind a lock, and the token in front of it.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use acs_common::{Error, Monotonic, Notice, Now, RefreshError, Snapshot, Token};
use slab::Slab;

use crate::Clock;
use crate::engine::{Engine, Happened, ToDo};
use crate::notices::Log;
use crate::published::Published;
use crate::sync::{ArcSwapOption, AtomicU64, Mutex, MutexGuard, PoisonError};
use crate::work::Call;

pub(crate) type Answer = Result<Token, Error>;

pub(crate) struct Shared<C> {
    pub(crate) clock: C,
    /// The token, while a request would do no more than return it.
    fresh: ArcSwapOption<Published>,
    /// Counts what was published there, for those who keep a copy.
    version: AtomicU64,
    state: Mutex<State>,
}

/// Never locked across an await, nor while calling a refresher, waking a task or writing a log.
pub(crate) struct State {
    machine: Engine,
    pub(crate) requests: Slab<Request>,
    pub(crate) orders: Orders,
    pub(crate) driver: Driving,
    pub(crate) disposed: bool,
    /// Kept beside the machine's own, so that it is not the machine that drops a foreign error, under the lock.
    last_failure: Option<Box<RefreshError>>,
    pub(crate) log: Log,
}

pub(crate) enum Request {
    /// Being put.
    Asking,
    Waiting(Waker),
    /// It gets the token held when it comes for it, or asks again: in between that may have died.
    Granted,
    Refused(Error),
}

/// What the driver is to do.
#[derive(Default)]
pub(crate) struct Orders {
    pub(crate) cancel: bool,
    pub(crate) call: Option<Call>,
    /// Arm or disarm the timer.
    pub(crate) timer: Option<Option<Monotonic>>,
}

pub(crate) enum Driving {
    /// At work, or yet to start.
    Awake,
    Asleep(Waker),
    Ended,
}

/// What is left to do once the lock is released.
#[derive(Default)]
pub(crate) struct After {
    pub(crate) wake: Vec<Waker>,
    /// What may run foreign code when dropped.
    pub(crate) dropped: Vec<RefreshError>,
    #[cfg(feature = "tracing")]
    pub(crate) log: Vec<crate::log::Entry>,
}

impl<C: Clock> Shared<C> {
    pub(crate) fn new(clock: C, machine: Engine, driver: Driving) -> Self {
        let state = State {
            machine,
            requests: Slab::new(),
            orders: Orders::default(),
            driver,
            disposed: false,
            last_failure: None,
            log: Log::default(),
        };
        let shared =
            Self { clock, fresh: ArcSwapOption::empty(), version: AtomicU64::new(0), state: Mutex::new(state) };
        shared.with(|state, _, after| state.carry_out(after));
        shared
    }

    /// The token, if asking for it would change nothing.
    pub(crate) fn fresh(&self) -> Option<Token> {
        let published = self.fresh.load();
        let published = published.as_deref()?;
        self.look(&published.snapshot).map(|(token, _)| published.own(token))
    }

    /// The token, as long as asking for it would change nothing; and whether that can be told without the exact clocks.
    pub(crate) fn look<'a>(&self, snapshot: &'a Snapshot) -> Option<(&'a Token, bool)> {
        let soon = snapshot.token(self.clock.now_or_later()).map(|token| (token, true));
        soon.or_else(|| Some((snapshot.token(self.clock.now())?, false)))
    }

    /// What was published last, and its version: as long as that does not change, there is nothing newer.
    pub(crate) fn published(&self) -> (u64, Option<Arc<Published>>) {
        // In this order: what is newer than its version is only fetched once more.
        let version = self.version();
        (version, self.fresh.load_full())
    }

    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Works on the locked state; then, unlocked, does what that left to do.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State, Now, &mut After) -> T) -> T {
        let mut after = After::default();
        let result = {
            let mut state = self.lock();
            let result = work(&mut state, self.clock.now(), &mut after);
            self.publish(&state);
            result
        };
        after.finish();
        result
    }

    /// Tells the machine what happened, and does what it says.
    pub(crate) fn handle(&self, happened: Happened) {
        self.with(|state, now, after| state.handle(happened, now, after));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing foreign runs under the lock but a clock, so nothing was left half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, state: &State) {
        let snapshot = state.machine.snapshot();
        let published = self.fresh.load();
        let same = match (published.as_deref(), &snapshot) {
            (Some(published), Some(snapshot)) => published.snapshot.is_same(snapshot),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same {
            self.fresh.store(snapshot.map(Published::new).map(Into::into));
            self.version.fetch_add(1, Ordering::Release);
        }
    }
}

impl State {
    pub(crate) fn handle(&mut self, happened: Happened, now: Now, after: &mut After) {
        // The machine may have no use for it, and drop it at once.
        after.dropped.extend(happened.error().cloned().map(RefreshError::Refresher));
        self.machine.handle(happened, now);
        self.carry_out(after);
    }

    pub(crate) fn carry_out(&mut self, after: &mut After) {
        while let Some(to_do) = self.machine.poll() {
            match to_do {
                ToDo::Return(waiter, result) => self.answer(waiter, result, after),
                ToDo::Cancel => {
                    // A call not yet picked up need not be made.
                    if self.orders.call.take().is_none() {
                        self.orders.cancel = true;
                    }
                    self.wake_driver(after);
                }
                ToDo::Call(call) => {
                    #[cfg(feature = "tracing")]
                    after.log.extend(crate::log::Entry::of(&call));
                    self.orders.call = Some(call);
                    self.wake_driver(after);
                }
                ToDo::Notify(notice) => {
                    self.disposed |= matches!(notice, Notice::Disposed);
                    if let Notice::TokenChanged { .. } | Notice::Disposed = notice {
                        // Now the machine has forgotten it.
                        after.dropped.extend(self.last_failure.take().map(|error| *error));
                    }
                    #[cfg(feature = "tracing")]
                    after.log.push(crate::log::Entry::Notice(notice.clone()));
                    if let Notice::RefreshFailed { cause, .. } = &notice {
                        let replaced = self.last_failure.replace(Box::new(cause.clone()));
                        after.dropped.extend(replaced.map(|error| *error));
                    }
                    self.log.push(notice, after);
                }
                ToDo::Schedule(at) => {
                    self.orders.timer = Some(at);
                    self.wake_driver(after);
                }
            }
        }
        if self.disposed {
            self.wake_driver(after);
        }
    }

    /// Puts a request: its answer, if there is one at once, or else where that will be.
    pub(crate) fn ask(&mut self, now: Now, after: &mut After) -> Result<Answer, usize> {
        if matches!(self.driver, Driving::Ended) {
            return Ok(self.answer_at_once(now));
        }
        let key = self.requests.insert(Request::Asking);
        self.handle(Happened::TokenRequested(key), now, after);
        self.take_answer(key, now, after).ok_or(key)
    }

    /// The answer to a request, or to a new one, if it is there; else `waker` is called once it is. Hands back the waker
    /// that is not needed, to be dropped with the lock released: that may run foreign code.
    pub(crate) fn poll_request(
        &mut self,
        key: Option<usize>,
        waker: Waker,
        now: Now,
        after: &mut After,
    ) -> (Result<Answer, usize>, Option<Waker>) {
        let answer = match key {
            None => self.ask(now, after),
            Some(key) => self.take_answer(key, now, after).ok_or(key),
        };
        let Err(key) = answer else { return (answer, Some(waker)) };
        let unneeded = match self.requests.get_mut(key) {
            Some(Request::Waiting(known)) if known.will_wake(&waker) => Some(waker),
            Some(request) => match mem::replace(request, Request::Waiting(waker)) {
                Request::Waiting(replaced) => Some(replaced),
                Request::Asking | Request::Granted | Request::Refused(_) => None,
            },
            // Never: a request has its place until it has its answer, or leaves.
            None => Some(waker),
        };
        (answer, unneeded)
    }

    /// What there is without waiting.
    pub(crate) fn held(&self, now: Now) -> Result<Option<Token>, Error> {
        match (self.machine.token(now), self.machine.refusal(now)) {
            (Some(token), _) => Ok(Some(token.clone())),
            (None, Some(refusal)) => Err(refusal),
            (None, None) => Ok(None),
        }
    }

    /// The answer, if there is one; only then its place is free.
    fn take_answer(&mut self, key: usize, now: Now, after: &mut After) -> Option<Answer> {
        let request = self.requests.get_mut(key)?;
        if matches!(request, Request::Granted)
            && !matches!(self.driver, Driving::Ended)
            && self.machine.token(now).is_none()
        {
            // Dead, rejected or disposed of since: as if it came just now.
            *request = Request::Asking;
            self.handle(Happened::TokenRequested(key), now, after);
        }
        if let Request::Asking | Request::Waiting(_) = self.requests.get(key)? {
            return None;
        }
        match self.leave(key)? {
            Request::Refused(error) => Some(Err(error)),
            Request::Asking | Request::Waiting(_) | Request::Granted => Some(self.answer_at_once(now)),
        }
    }

    /// Ends a request, answered or not. When nobody waits any more, their places are given back to the heap.
    pub(crate) fn leave(&mut self, key: usize) -> Option<Request> {
        let request = self.requests.try_remove(key);
        if self.requests.is_empty() {
            self.requests = Slab::new();
        }
        request
    }

    /// The token held; or else what is left to say when nobody is there to get one.
    fn answer_at_once(&self, now: Now) -> Answer {
        let missing = if self.disposed { Error::Disposed } else { Error::DriverStopped };
        self.machine.token(now).cloned().ok_or(missing)
    }

    fn answer(&mut self, key: usize, answer: Answer, after: &mut After) {
        let answer = match answer {
            Ok(_) => Request::Granted,
            Err(error) => Request::Refused(error),
        };
        if let Some(request) = self.requests.get_mut(key)
            && let Request::Waiting(waker) = mem::replace(request, answer)
        {
            after.wake.push(waker);
        }
    }

    pub(crate) fn wake_driver(&mut self, after: &mut After) {
        if let Driving::Asleep(_) = self.driver
            && let Driving::Asleep(waker) = mem::replace(&mut self.driver, Driving::Awake)
        {
            after.wake.push(waker);
        }
    }

    /// The driver is gone without having been disposed: whoever waits, waits in vain.
    pub(crate) fn end_driver(&mut self, now: Now, after: &mut After) {
        self.wake_driver(after);
        self.driver = Driving::Ended;
        let waiting = |(key, request): (usize, &Request)| matches!(request, Request::Waiting(_)).then_some(key);
        for key in self.requests.iter().filter_map(waiting).collect::<Vec<_>>() {
            self.machine.handle(Happened::RequestCancelled(key), now);
            self.answer(key, Err(Error::DriverStopped), after);
        }
        self.carry_out(after);
        self.log.end(after);
    }
}

impl After {
    fn finish(self) {
        self.wake.into_iter().for_each(|waker| contained(|| waker.wake()));
        #[cfg(feature = "tracing")]
        self.log.into_iter().for_each(|entry| contained(|| entry.write()));
        self.dropped.into_iter().for_each(|error| contained(|| drop(error)));
    }
}

/// Runs what is foreign: nobody is to suffer from a panic of it but who hears of it from the panic hook. Whoever runs it here
/// may be the driver, or already panicking.
pub(crate) fn contained(foreign: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(foreign));
}
