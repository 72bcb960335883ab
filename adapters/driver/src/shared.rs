//! What a credential's handles and its driver share: the machine behind a lock, and the token in front of it.

use std::mem;
use std::task::{Poll, Waker};

use acs_common::{Action, Error, Event, FailureCause, Machine, Notice, Now, Snapshot, Token};

use crate::clock::Clock;
use crate::coarse_clock::CoarseClock;
use crate::commands::{Commands, Driving, Refresh};
use crate::effects::Effects;
use crate::listeners::Listeners;
use crate::published::Published;
use crate::requests::{Place, Reply, Requests};
use crate::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) type Answer = Result<Token, Error>;

pub(crate) struct Shared<C> {
    pub(crate) clock: C,
    pub(crate) published: Published,
    state: Mutex<State>,
}

struct State {
    machine: Machine<usize>,
    requests: Requests,
    commands: Commands,
    driver: Driving,
    /// How often the driver was polled.
    polls: u64,
    disposed: bool,
    /// Kept beside the machine's own, so that it is not the machine that drops a foreign error, under the lock.
    last_failure: Option<Box<FailureCause>>,
    listeners: Listeners,
}

/// The state, locked. Never held across an await, nor while foreign code runs, but a clock: what wakes, logs or drops such is
/// left to the effects.
pub(crate) struct Locked<'a, C> {
    shared: &'a Shared<C>,
    // Before the effects, so that it is dropped before them.
    state: MutexGuard<'a, State>,
    effects: Effects,
    /// Read when first needed.
    now: Option<Now>,
}

/// A waiter that no machine has.
const NOBODY: usize = usize::MAX;

impl<C: Clock> Shared<C> {
    pub(crate) fn new(clock: C, machine: Machine<usize>) -> Self {
        let state = State {
            machine,
            requests: Requests::default(),
            commands: Commands::default(),
            driver: Driving::Woken,
            polls: 0,
            disposed: false,
            last_failure: None,
            listeners: Listeners::default(),
        };
        let shared = Self { clock, published: Published::new(), state: Mutex::new(state) };
        shared.lock().carry_out();
        shared
    }

    /// The token, if asking for it would change nothing.
    pub(crate) fn fresh(&self) -> Option<Token> {
        self.published.token(|snapshot| self.look(snapshot).map(|(token, _)| token))
    }

    /// The token, as long as asking for it would change nothing; and whether that can be told without the exact clocks.
    pub(crate) fn look<'a>(&self, snapshot: &'a Snapshot) -> Option<(&'a Token, bool)> {
        let at_latest = self.clock.coarse_clock().map(|coarse| coarse.now_at_latest());
        let soon = at_latest.and_then(|now| snapshot.token(now)).map(|token| (token, true));
        soon.or_else(|| Some((snapshot.token(self.clock.now())?, false)))
    }

    pub(crate) fn lock(&self) -> Locked<'_, C> {
        // Nothing foreign runs under the lock but a clock, so nothing was left half-done.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { shared: self, state, effects: Effects::default(), now: None }
    }
}

/// Steps of the machine.
impl<C: Clock> Locked<'_, C> {
    /// Tells the machine what happened, and does what it says.
    pub(crate) fn handle(&mut self, event: Event<usize>) {
        if let Event::SourceChecked { .. } = event {
            // A request that comes later may wait for another check.
            self.state.requests.close();
        }
        if let Event::RefreshFailed { error, .. } = &event {
            // The machine may have no use for it, and drop it at once.
            self.effects.drop_errors([FailureCause::Refresher(error.clone())]);
        }
        let now = self.now();
        self.state.machine.handle(event, now);
        self.carry_out();
    }

    /// Does what the machine says, and publishes the token it holds.
    fn carry_out(&mut self) {
        let (state, effects) = (&mut *self.state, &mut self.effects);
        while let Some(action) = state.machine.poll_action() {
            match action {
                Action::ReturnToken { waiter, result } => {
                    let reply = result.map_or_else(Reply::Refused, |_| Reply::Granted);
                    state.requests.answer(waiter, reply, effects);
                    continue;
                }
                Action::Notify(notice) => {
                    state.notify(notice, effects);
                    continue;
                }
                Action::CancelRefresher { .. } => state.commands.cancel(),
                Action::CheckSource { request, .. } => state.commands.check = Some(request),
                Action::CallRefresher { request, reason, give_up } => {
                    #[cfg(feature = "tracing")]
                    effects.log(crate::log::Entry::Refreshing);
                    state.commands.refresh = Some(Refresh { request, reason, give_up });
                }
                Action::ScheduleTimer { at } => state.commands.timer = Some(at),
            }
            state.driver.wake(effects);
        }
        if state.disposed {
            state.driver.wake(effects);
        }
        self.shared.published.publish(state.machine.snapshot());
    }

    fn now(&mut self) -> Now {
        *self.now.get_or_insert_with(|| self.shared.clock.now())
    }
}

/// Requests.
impl<C: Clock> Locked<'_, C> {
    /// The answer to a request, or to a new one, if it is there; else `waker` is called once it is.
    pub(crate) fn poll_request(&mut self, place: &mut Option<Place>, waker: Waker) -> Poll<Answer> {
        let answer = match *place {
            None => self.ask(),
            Some(place) => self.take_answer(place),
        };
        match answer {
            Ok(answer) => {
                *place = None;
                self.effects.drop_wakers([waker]);
                Poll::Ready(answer)
            }
            Err(waiting) => {
                *place = Some(waiting);
                self.state.requests.wait(waiting, waker, &mut self.effects);
                Poll::Pending
            }
        }
    }

    /// Without waiting: the token held if there is one, or why there is none.
    pub(crate) fn try_request(&mut self) -> Result<Option<Token>, Error> {
        match self.ask() {
            Ok(answer) => answer.map(Some),
            Err(place) => {
                self.leave(place);
                let now = self.now();
                match (self.state.machine.token(now), self.state.machine.pending_error(now)) {
                    (Some(token), _) => Ok(Some(token.clone())),
                    (None, Some(refusal)) => Err(refusal),
                    (None, None) => Ok(None),
                }
            }
        }
    }

    /// Gives up a request, answered or not.
    pub(crate) fn leave(&mut self, place: Place) {
        if let Some(round) = self.state.requests.leave(place, &mut self.effects) {
            self.handle(Event::RequestCancelled { waiter: round });
        }
    }

    /// Puts a request: its answer, if there is one at once, or else where it waits.
    fn ask(&mut self) -> Result<Answer, Place> {
        if matches!(self.state.driver, Driving::Ended) {
            return Ok(self.answer_at_once());
        }
        let (place, is_new) = self.state.requests.enter();
        self.handle(if is_new {
            Event::TokenRequested { waiter: place.round }
        } else {
            // All that a request does to a machine that has others of the same kind waiting is to have it look at the clocks,
            // which counts if the timer is late.
            Event::RequestCancelled { waiter: NOBODY }
        });
        match self.state.requests.take_reply(place) {
            Some(reply) => Ok(self.redeem(reply)),
            None => Err(place),
        }
    }

    /// The answer to a request that waits, if there is one; only then its place is free.
    fn take_answer(&mut self, place: Place) -> Result<Answer, Place> {
        let Some(reply) = self.state.requests.take_reply(place) else { return Err(place) };
        if matches!(reply, Reply::Granted) && !matches!(self.state.driver, Driving::Ended) {
            let now = self.now();
            if self.state.machine.token(now).is_none() {
                // Expired, rejected or disposed of since: as if it came just now.
                return self.ask();
            }
        }
        Ok(self.redeem(reply))
    }

    fn redeem(&mut self, reply: Reply) -> Answer {
        match reply {
            Reply::Granted => self.answer_at_once(),
            Reply::Refused(error) => Err(error),
        }
    }

    /// The token held; or else what is left to say when nobody is there to get one.
    fn answer_at_once(&mut self) -> Answer {
        let missing = if self.state.disposed { Error::Disposed } else { Error::DriverStopped };
        let now = self.now();
        self.state.machine.token(now).cloned().ok_or(missing)
    }
}

/// The driver.
impl<C: Clock> Locked<'_, C> {
    /// The commands that came in; `None` once there is nothing left to drive.
    pub(crate) fn take_commands(&mut self) -> Option<Commands> {
        self.state.polls += u64::from(!matches!(self.state.driver, Driving::AtWork));
        self.state.driver.is_up(&mut self.effects);
        (!self.state.disposed).then(|| mem::take(&mut self.state.commands))
    }

    /// Has `waker` called for the next command, unless there are some.
    pub(crate) fn fall_asleep(&mut self, waker: Waker) -> bool {
        let is_idle = self.state.commands.is_empty() && !self.state.disposed;
        if is_idle {
            self.state.driver.is_up(&mut self.effects);
            self.state.driver = Driving::Asleep(waker);
        } else {
            self.effects.drop_wakers([waker]);
        }
        is_idle
    }

    /// The driver lets others run, and asks to be polled again.
    pub(crate) fn pause(&mut self) {
        self.state.driver = Driving::Woken;
    }

    /// Wakes the driver, so that it can be seen whether anything polls it. How often it was polled before; `None` if it is
    /// being polled, or has ended.
    pub(crate) fn probe_driver(&mut self) -> Option<u64> {
        self.state.driver.wake(&mut self.effects);
        matches!(self.state.driver, Driving::Woken).then_some(self.state.polls)
    }

    /// The driver is gone without having been disposed: whoever waits, waits in vain.
    pub(crate) fn end_driver(&mut self) {
        self.state.driver.wake(&mut self.effects);
        self.state.driver = Driving::Ended;
        let now = self.now();
        for round in self.state.requests.waiting() {
            self.state.machine.handle(Event::RequestCancelled { waiter: round }, now);
            self.state.requests.answer(round, Reply::Refused(Error::DriverStopped), &mut self.effects);
        }
        self.carry_out();
        self.state.listeners.end(&mut self.effects);
    }
}

/// Listeners.
impl<C> Locked<'_, C> {
    pub(crate) fn subscribe(&mut self) -> usize {
        self.state.listeners.subscribe()
    }

    pub(crate) fn unsubscribe(&mut self, listener: usize) {
        self.state.listeners.unsubscribe(listener, &mut self.effects);
    }

    pub(crate) fn poll_notice(&mut self, listener: usize, waker: Waker, missed: &mut u64) -> Poll<Option<Notice>> {
        self.state.listeners.poll_next(listener, waker, missed, &mut self.effects)
    }

    /// They hear nothing any more.
    pub(crate) fn end_notices(&mut self) {
        self.state.listeners.end(&mut self.effects);
    }
}

impl State {
    fn notify(&mut self, notice: Notice, effects: &mut Effects) {
        #[cfg(feature = "tracing")]
        effects.log(crate::log::Entry::Notice(notice.clone()));
        self.disposed |= matches!(notice, Notice::Disposed);
        if let Notice::TokenChanged { .. } | Notice::Disposed = notice {
            // Now the machine has forgotten it.
            effects.drop_errors(self.last_failure.take().map(|error| *error));
        }
        if let Notice::RefreshFailed { cause, .. } = &notice {
            let replaced = self.last_failure.replace(Box::new(cause.clone()));
            effects.drop_errors(replaced.map(|error| *error));
        }
        self.listeners.push(notice, effects);
    }
}
