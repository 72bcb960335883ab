//! The state that a credential's handles and its driver share: the machine behind a lock, and a snapshot without a lock.
//!
//! All steps under the lock stand together here, so the file is long.

use std::mem;
use std::sync::Arc;
use std::task::{Poll, Waker};

#[cfg(feature = "store")]
use acs_common::FailureKind;
use acs_common::{
    Action, Error, Event, FailureCause, Machine, Notice, Now, Snapshot, Status, Token, TokenStatus, Trigger, UnixTime,
};

use crate::clock::Clock;
use crate::coarse_clock::CoarseClock;
use crate::commands::{Commands, Driving, Refresh};
use crate::effects::Effects;
use crate::listeners::Listeners;
use crate::published::Published;
use crate::requests::{Place, Reply, Requests};
use crate::spans::Asker;
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::watchers::Watchers;

pub(crate) type Answer = Result<Token, Error>;

pub(crate) struct Shared<C> {
    pub(crate) clock: C,
    /// The credential's name, for logs.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) published: Published,
    state: Mutex<State>,
}

struct State {
    machine: Machine<usize>,
    requests: Requests,
    commands: Commands,
    driver: Driving,
    /// How often the driver has been polled.
    polls: u64,
    disposed: bool,
    /// A copy of the machine's last failure. So the machine, under the lock, never drops the last copy of a foreign error.
    last_failure: Option<Box<FailureCause>>,
    listeners: Listeners,
    watchers: Watchers,
    /// Other processes share the token.
    #[cfg(feature = "store")]
    is_shared: bool,
    /// The log has said that a token's expiry cannot be read.
    #[cfg(feature = "tracing")]
    said_opaque: bool,
    /// What led to the refresh in flight, or to the last one.
    trigger: Option<Trigger>,
}

/// The locked state. It is not held across an await, nor while foreign code runs, except a clock. The effects wake, log and
/// drop foreign values after the lock.
pub(crate) struct Locked<'a, C> {
    shared: &'a Shared<C>,
    // Declared before the effects, so that the lock is dropped first.
    state: MutexGuard<'a, State>,
    effects: Effects,
    /// Who takes this step.
    asker: Asker,
    /// The clocks are read when this is first needed.
    now: Option<Now>,
}

/// A waiter that no machine has.
const UNKNOWN: usize = usize::MAX;

impl<C: Clock> Shared<C> {
    pub(crate) fn new(clock: C, name: Option<Arc<str>>, machine: Machine<usize>) -> Self {
        let state = State {
            machine,
            requests: Requests::default(),
            commands: Commands::default(),
            driver: Driving::Woken,
            polls: 0,
            disposed: false,
            last_failure: None,
            listeners: Listeners::default(),
            watchers: Watchers::default(),
            #[cfg(feature = "store")]
            is_shared: false,
            #[cfg(feature = "tracing")]
            said_opaque: false,
            trigger: None,
        };
        let shared = Self { clock, name, published: Published::new(), state: Mutex::new(state) };
        // The actions wait for the driver, or for the first event, so that a listener can hear of the first refresh.
        shared.lock().publish();
        #[cfg(feature = "metrics")]
        crate::metrics::describe();
        shared
    }

    /// The token, if a request would change nothing.
    pub(crate) fn fresh(&self) -> Option<Token> {
        self.published.token(|snapshot| self.look(snapshot).map(|(token, _)| token))
    }

    /// The token, if a request would change nothing. The flag says whether the coarse clock was enough to know that.
    pub(crate) fn look<'a>(&self, snapshot: &'a Snapshot) -> Option<(&'a Token, bool)> {
        let at_latest = self.clock.coarse_clock().map(|coarse| coarse.now_at_latest());
        let soon = at_latest.and_then(|now| snapshot.token(now)).map(|token| (token, true));
        soon.or_else(|| Some((snapshot.token(self.clock.now())?, false)))
    }

    pub(crate) fn lock(&self) -> Locked<'_, C> {
        self.lock_for(Asker::default())
    }

    /// As `lock`, for a caller who asks for something: the span of a refresh that this starts is linked to the caller's.
    pub(crate) fn lock_for_caller(&self) -> Locked<'_, C> {
        self.lock_for(Asker::current())
    }

    fn lock_for(&self, asker: Asker) -> Locked<'_, C> {
        // Under the lock the only foreign code is a clock. So after its panic the state is still complete.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { shared: self, state, effects: Effects::default(), asker, now: None }
    }
}

/// Steps of the machine.
impl<C: Clock> Locked<'_, C> {
    /// Passes an event to the machine, and carries out its actions.
    pub(crate) fn handle(&mut self, event: Event<usize>) {
        if let Event::SourceChecked { .. } = event {
            // A later request may wait for another check.
            self.state.requests.close();
        }
        if let Event::RefreshFailed { error, .. } = &event {
            // The machine may drop the error at once. So the effects keep a copy.
            self.effects.drop_errors([FailureCause::Refresher(error.clone())]);
        }
        let now = self.now();
        #[cfg(feature = "metrics")]
        if let Event::TokenRejected { token } = &event
            && self.state.machine.token(now).is_some_and(|held| held.ptr_eq(token))
        {
            self.effects.measure([crate::metrics::Measurement::Rejected], self.shared.name.as_ref());
        }
        #[cfg(feature = "store")]
        if self.state.is_shared {
            self.handle_shared(event, now);
            return self.carry_out();
        }
        self.state.machine.handle(event, now);
        self.carry_out();
    }

    /// As `handle`, and the driver hears of what concerns the shared store.
    #[cfg(feature = "store")]
    fn handle_shared(&mut self, event: Event<usize>, now: Now) {
        let state = &mut *self.state;
        let mut signed_out = None;
        let mut rejected = None;
        if let Event::TokenRejected { token } = &event {
            rejected = Some(token.clone());
        } else if let Event::RefreshFailed { error, .. } = &event
            && error.kind() == FailureKind::SignedOut
        {
            signed_out = state.machine.token(now).cloned();
        }
        state.machine.handle(event, now);
        if state.disposed {
            return;
        }
        if let Some(token) = rejected {
            state.commands.rejected.push((token, state.machine.standing()));
            state.driver.wake(&mut self.effects);
        }
        if signed_out.is_some() && state.machine.token(now).is_none() {
            state.commands.signed_out = signed_out;
            state.driver.wake(&mut self.effects);
        }
    }

    /// Other processes share the token.
    #[cfg(feature = "store")]
    pub(crate) fn share(&mut self) {
        self.state.is_shared = true;
    }

    /// A notice of the shared store.
    #[cfg(feature = "store")]
    pub(crate) fn notify(&mut self, notice: Notice) {
        #[cfg(feature = "tracing")]
        self.effects.log(crate::log::Entry::Notice(notice.clone()), self.shared.name.as_ref());
        self.state.notify(notice, &mut self.effects);
    }

    /// Carries out the machine's actions, and publishes its snapshot.
    fn carry_out(&mut self) {
        let now = self.now();
        let (state, effects) = (&mut *self.state, &mut self.effects);
        #[cfg(feature = "tracing")]
        let mut opaque = false;
        let first_asker = |requests: &Requests| Some(requests.first_asker().unwrap_or(&self.asker).clone());
        while let Some(action) = state.machine.poll_action() {
            match action {
                Action::ReturnToken { waiter, result } => {
                    let reply = result.map_or_else(Reply::Refused, |_| Reply::Granted);
                    state.requests.answer(waiter, reply, effects);
                    continue;
                }
                Action::Notify(notice) => {
                    #[cfg(feature = "tracing")]
                    {
                        opaque |= matches!(notice, Notice::TokenChanged { opaque: true, .. });
                        effects.log(crate::log::Entry::Notice(notice.clone()), self.shared.name.as_ref());
                    }
                    #[cfg(feature = "metrics")]
                    {
                        let measured = crate::metrics::Measurement::of(&notice, state.trigger);
                        effects.measure(measured.into_iter().flatten(), self.shared.name.as_ref());
                    }
                    state.notify(notice, effects);
                    continue;
                }
                Action::CancelRefresher { .. } => state.commands.cancel(),
                Action::CheckSource { request, reason } => {
                    state.trigger = Some(reason.trigger);
                    state.commands.check = Some(request);
                    // A check while the token is fresh has no span: at each request it would be too many.
                    if !matches!(state.machine.status(now).token, TokenStatus::Fresh { .. }) {
                        effects.drop_askers(mem::replace(&mut state.commands.asker, first_asker(&state.requests)));
                    }
                }
                Action::CallRefresher { request, reason, give_up } => {
                    state.trigger = Some(reason.trigger);
                    effects.drop_askers(mem::replace(&mut state.commands.asker, first_asker(&state.requests)));
                    state.commands.refresh = Some(Refresh {
                        request,
                        reason,
                        give_up,
                        #[cfg(feature = "store")]
                        standing: state.machine.standing(),
                    });
                }
                Action::ScheduleTimer { at } => state.commands.timer = Some(at),
            }
            state.driver.wake(effects);
        }
        if state.commands.check.is_none() && state.commands.refresh.is_none() {
            effects.drop_askers(state.commands.asker.take());
        }
        if state.disposed {
            state.driver.wake(effects);
        }
        self.publish();
        #[cfg(feature = "metrics")]
        self.measure_state();
        #[cfg(feature = "tracing")]
        if opaque {
            self.say_opaque();
        }
    }

    fn publish(&self) {
        self.shared.published.publish(self.state.machine.snapshot());
    }

    /// Measures what is held, and the clock. On a proactive credential this is done once a minute at least, because its driver
    /// looks at the clocks.
    #[cfg(feature = "metrics")]
    fn measure_state(&mut self) {
        let now = self.now();
        let left = match self.state.machine.status(now).token {
            TokenStatus::Static => return,
            TokenStatus::Fresh { left, .. } | TokenStatus::Due { left, .. } => Some(left),
            TokenStatus::None | _ => None,
        };
        let server_time = self.state.machine.server_time(now);
        let ahead = server_time.map(|time| now.unix.as_millis().saturating_sub(time.as_millis()));
        let measured = crate::metrics::Measurement::State { left, ahead };
        self.effects.measure([measured], self.shared.name.as_ref());
    }

    /// Logs, once, that the expiry of the token held cannot be read.
    #[cfg(feature = "tracing")]
    pub(crate) fn say_opaque(&mut self) {
        if self.state.said_opaque {
            return;
        }
        let now = self.now();
        if let Some(token) = self.state.machine.token(now).filter(|token| token.is_opaque()) {
            let left = token.expires_on().as_millis().saturating_sub(now.unix.as_millis());
            let valid_for = std::time::Duration::from_millis(left.try_into().unwrap_or_default());
            self.effects.log(crate::log::Entry::Opaque { valid_for }, self.shared.name.as_ref());
            self.state.said_opaque = true;
        }
    }

    /// What the credential holds and does.
    pub(crate) fn status(&mut self) -> Status {
        let now = self.now();
        self.state.machine.status(now)
    }

    pub(crate) fn server_time(&mut self) -> Option<UnixTime> {
        let now = self.now();
        self.state.machine.server_time(now)
    }

    fn now(&mut self) -> Now {
        *self.now.get_or_insert_with(|| self.shared.clock.now())
    }
}

/// Requests.
impl<C: Clock> Locked<'_, C> {
    /// Puts a request, or takes its answer. If there is no answer yet, `waker` is called for it. The request is for another
    /// token than `than`.
    pub(crate) fn poll_request(
        &mut self,
        place: &mut Option<Place>,
        than: Option<&Token>,
        waker: Waker,
    ) -> Poll<Answer> {
        let answer = match *place {
            None => self.ask(than),
            Some(place) => self.take_answer(place, than),
        };
        match answer {
            Ok(answer) => {
                #[cfg(feature = "metrics")]
                if let Some(since) = place.and_then(|place| place.since) {
                    let waited = self.now().monotonic.saturating_since(since);
                    let measured = crate::metrics::Measurement::answered(answer.as_ref().err(), waited);
                    self.effects.measure([measured], self.shared.name.as_ref());
                }
                *place = None;
                self.effects.drop_wakers([waker]);
                Poll::Ready(answer)
            }
            Err(waiting) => {
                #[cfg(feature = "metrics")]
                let waiting =
                    waiting.since(place.and_then(|place| place.since).unwrap_or_else(|| self.now().monotonic));
                *place = Some(waiting);
                self.state.requests.wait(waiting, waker, &mut self.effects);
                Poll::Pending
            }
        }
    }

    /// A request that does not wait: the token held, `None`, or the error.
    pub(crate) fn try_request(&mut self) -> Result<Option<Token>, Error> {
        match self.ask(None) {
            Ok(answer) => answer.map(Some),
            Err(place) => {
                self.leave(place);
                let now = self.now();
                match (self.state.machine.token(now), self.state.machine.pending_error(now)) {
                    (Some(token), _) => Ok(Some(token.clone())),
                    (None, Some(error)) => Err(error),
                    (None, None) => Ok(None),
                }
            }
        }
    }

    /// Withdraws a request, with or without an answer.
    pub(crate) fn leave(&mut self, place: Place) {
        if let Some(round) = self.state.requests.leave(place, &mut self.effects) {
            self.handle(Event::RequestCancelled { waiter: round });
        }
    }

    /// Puts a request. Returns its answer, or the place where it waits.
    fn ask(&mut self, than: Option<&Token>) -> Result<Answer, Place> {
        if matches!(self.state.driver, Driving::Ended) {
            return Ok(self.answer_at_once(than));
        }
        let now = self.now();
        let held = self.state.machine.token(now);
        // A token that is not held cannot be the answer, so such a request is like any other.
        let refused = than.filter(|than| held.is_some_and(|held| held.ptr_eq(than)));
        let (place, is_new) = self.state.requests.enter(refused, &self.asker);
        match refused {
            Some(than) if is_new => {
                self.handle(Event::AnotherRequested { waiter: place.round, than: than.clone() });
            }
            None if is_new => self.handle(Event::TokenRequested { waiter: place.round }),
            // The machine already has a waiter for this round.
            Some(_) | None => self.look(),
        }
        match self.state.requests.take_reply(place) {
            Some(reply) => Ok(self.redeem(reply, than)),
            None => Err(place),
        }
    }

    /// Lets the machine look at the clocks, because the timer may be late. A cancelled waiter that it does not know has that
    /// effect.
    fn look(&mut self) {
        self.handle(Event::RequestCancelled { waiter: UNKNOWN });
    }

    /// How long until the machine has to look at the clocks.
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    pub(crate) fn until_due(&mut self) -> Option<std::time::Duration> {
        let now = self.now();
        Some(self.state.machine.deadline()?.saturating_since(now.monotonic))
    }

    /// The answer to a waiting request. If there is no answer, the request keeps its place.
    fn take_answer(&mut self, place: Place, than: Option<&Token>) -> Result<Answer, Place> {
        let reply = match self.state.requests.take_reply(place) {
            Some(reply) => reply,
            None => {
                // The refresher may block the driver's thread, and then the timer is late.
                self.look();
                self.state.requests.take_reply(place).ok_or(place)?
            }
        };
        if matches!(reply, Reply::Granted) && !matches!(self.state.driver, Driving::Ended) {
            let now = self.now();
            if self.state.machine.token(now).is_none() {
                // The token has expired, or was rejected or disposed. So this is a new request.
                return self.ask(than);
            }
        }
        Ok(self.redeem(reply, than))
    }

    fn redeem(&mut self, reply: Reply, than: Option<&Token>) -> Answer {
        match reply {
            Reply::Granted => self.answer_at_once(than),
            Reply::Refused(error) => Err(error),
        }
    }

    /// The token held, or the error of a credential that cannot refresh any more.
    fn answer_at_once(&mut self, than: Option<&Token>) -> Answer {
        let missing = if self.state.disposed { Error::Disposed } else { Error::DriverStopped };
        let now = self.now();
        let held = self.state.machine.token(now);
        held.filter(|held| !than.is_some_and(|than| than.ptr_eq(held))).cloned().ok_or(missing)
    }
}

/// The driver.
impl<C: Clock> Locked<'_, C> {
    /// The new commands; `None` when the credential is disposed.
    pub(crate) fn take_commands(&mut self) -> Option<Commands> {
        if self.state.polls == 0 {
            self.carry_out();
        }
        self.state.polls += u64::from(!matches!(self.state.driver, Driving::AtWork));
        self.state.driver.is_up(&mut self.effects);
        (!self.state.disposed).then(|| mem::take(&mut self.state.commands))
    }

    /// Registers `waker` for the next command, unless there are commands now. Returns whether it was registered.
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

    /// The driver stops so that other tasks can run. It has asked to be polled again.
    pub(crate) fn pause(&mut self) {
        self.state.driver = Driving::Woken;
    }

    /// Wakes the driver, to find out whether something polls it. Returns how often it was polled before; `None` if it is being
    /// polled now, or has ended.
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    pub(crate) fn probe_driver(&mut self) -> Option<u64> {
        self.state.driver.wake(&mut self.effects);
        matches!(self.state.driver, Driving::Woken).then_some(self.state.polls)
    }

    /// The driver has ended. If the credential is not disposed, all waiting requests fail.
    pub(crate) fn end_driver(&mut self) {
        self.state.driver.wake(&mut self.effects);
        self.state.driver = Driving::Ended;
        let now = self.now();
        for round in self.state.requests.waiting() {
            self.state.machine.handle(Event::RequestCancelled { waiter: round }, now);
            self.state.requests.answer(round, Reply::Refused(Error::DriverStopped), &mut self.effects);
        }
        self.carry_out();
        self.end_streams();
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

    /// Ends the streams of notices and of tokens.
    pub(crate) fn end_streams(&mut self) {
        self.state.listeners.end(&mut self.effects);
        self.state.watchers.end(&mut self.effects);
    }
}

/// Watchers of the latest token.
impl<C: Clock> Locked<'_, C> {
    pub(crate) fn watch(&mut self) -> usize {
        self.state.watchers.watch()
    }

    pub(crate) fn unwatch(&mut self, watcher: usize) {
        self.state.watchers.unwatch(watcher, &mut self.effects);
    }

    /// The valid token, if the watcher has not seen it; `None` at the end. Otherwise `waker` is called when there is another.
    pub(crate) fn poll_token(&mut self, watcher: usize, waker: Waker) -> Poll<Option<Token>> {
        let now = self.now();
        let state = &mut *self.state;
        if let Some(token) = state.machine.token(now)
            && state.watchers.takes(watcher)
        {
            self.effects.drop_wakers([waker]);
            return Poll::Ready(Some(token.clone()));
        }
        if state.watchers.have_ended() {
            self.effects.drop_wakers([waker]);
            return Poll::Ready(None);
        }
        state.watchers.wait(watcher, waker, &mut self.effects);
        Poll::Pending
    }
}

impl State {
    fn notify(&mut self, notice: Notice, effects: &mut Effects) {
        self.disposed |= matches!(notice, Notice::Disposed);
        #[cfg(feature = "store")]
        if self.disposed {
            // Nobody takes them any more, and they hold tokens.
            (self.commands.rejected, self.commands.signed_out) = (Vec::new(), None);
        }
        if let Notice::TokenChanged { .. } | Notice::TokenKept { .. } | Notice::Disposed = notice {
            // The machine has dropped its copy.
            effects.drop_errors(self.last_failure.take().map(|error| *error));
        }
        if let Notice::TokenChanged { .. } = notice {
            self.watchers.token_changed(effects);
        }
        if self.disposed {
            self.watchers.end(effects);
        }
        if let Notice::RefreshFailed { cause, .. } = &notice {
            let replaced = self.last_failure.replace(Box::new(cause.clone()));
            effects.drop_errors(replaced.map(|error| *error));
        }
        self.listeners.push(notice, effects);
    }
}
