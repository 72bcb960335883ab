//! What a credential's handles and its driver share: the machine behind a lock, and the token in front of it.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use acs_common::{Error, Monotonic, Now, Snapshot, Token};
use arc_swap::ArcSwapOption;
use slab::Slab;

use crate::Clock;
use crate::engine::{Engine, Happened, ToDo};
use crate::notices::Log;
use crate::work::Call;

pub(crate) type Answer = Result<Token, Error>;

pub(crate) struct Shared<C> {
    pub(crate) clock: C,
    /// The token, while a request would do no more than return it.
    fresh: ArcSwapOption<Snapshot>,
    state: Mutex<State>,
}

/// Never locked across an await, nor while calling a refresher, waking a task or writing a log.
pub(crate) struct State {
    machine: Engine,
    pub(crate) requests: Slab<Request>,
    pub(crate) orders: Orders,
    pub(crate) driver: Driving,
    /// The last handle is gone.
    pub(crate) closed: bool,
    pub(crate) disposed: bool,
    pub(crate) log: Log,
}

pub(crate) enum Request {
    Waiting(Waker),
    Answered(Answer),
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
            closed: false,
            disposed: false,
            log: Log::default(),
        };
        let shared = Self { clock, fresh: ArcSwapOption::empty(), state: Mutex::new(state) };
        shared.with(|state, _, after| state.carry_out(after));
        shared
    }

    /// The token, if asking for it would change nothing.
    pub(crate) fn fresh(&self) -> Option<Token> {
        self.fresh.load().as_ref()?.token(self.clock.now_or_later()).cloned()
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
        // Whatever panicked did not leave the machine half-changed: it calls no foreign code.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, state: &State) {
        let snapshot = state.machine.snapshot();
        let published = self.fresh.load();
        let same = match (published.as_deref(), &snapshot) {
            (Some(published), Some(snapshot)) => published.is_same(snapshot),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same {
            self.fresh.store(snapshot.map(Into::into));
        }
    }
}

impl State {
    pub(crate) fn handle(&mut self, happened: Happened, now: Now, after: &mut After) {
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
                    self.disposed |= matches!(notice, acs_common::Notice::Disposed);
                    #[cfg(feature = "tracing")]
                    after.log.push(crate::log::Entry::Notice(notice.clone()));
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

    fn answer(&mut self, key: usize, answer: Answer, after: &mut After) {
        if let Some(request) = self.requests.get_mut(key)
            && let Request::Waiting(waker) = mem::replace(request, Request::Answered(answer))
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
        #[cfg(feature = "tracing")]
        self.log.into_iter().for_each(crate::log::Entry::write);
        self.wake.into_iter().for_each(Waker::wake);
    }
}
