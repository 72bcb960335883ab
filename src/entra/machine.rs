//! The credential of an Entra user: the machine, and the exchange as its refresher.

use alloc::string::String;
use alloc::vec::Vec;

use super::exchange::{Asked, Exchange, Next};
use super::http::{HttpRequest, HttpResponse};
use super::options::EntraOptions;
use super::response::ExchangeError;
use super::run::{Run, Step};
use super::source::EntraToken;
use crate::action::{Action, Notice};
use crate::error::{Error, FailureKind, RefresherError};
use crate::event::Event;
use crate::machine::{Given, Machine, Snapshot};
use crate::policy::Policy;
use crate::time::{Monotonic, Now, Until};
use crate::token::{NewToken, Token};

/// Names one call of the source, or one HTTP request. Minted by the machine only, so that an answer can be told from a
/// late one.
///
/// ```
/// use acs_common::entra::{EntraAction, EntraEvent, EntraMachine, EntraOptions};
/// use acs_common::{Monotonic, Now, Policy, UnixTime};
///
/// let at = |ms: u64| Now::new(Monotonic::from_millis(ms), UnixTime::from_millis(1_700_000_000_000 + ms as i64));
/// let options = EntraOptions::new("https://contoso.communication.azure.com")?;
/// let mut machine = EntraMachine::<u32>::new(options, Policy::default(), at(0));
/// let Some(EntraAction::AcquireEntraToken { call, .. }) = machine.poll_action() else { panic!("it warms up") };
///
/// // A minute later the source has not answered.
/// machine.handle(EntraEvent::TimeAdvanced, at(60_000));
/// let told: Vec<_> = std::iter::from_fn(|| machine.poll_action()).collect();
/// assert!(told.iter().any(|action| matches!(action, EntraAction::Cancel { call: dropped } if *dropped == call)));
///
/// // Its late answer changes nothing.
/// machine.handle(EntraEvent::EntraTokenReceived { call, token: "entra".into() }, at(60_001));
/// assert!(machine.poll_action().is_none());
/// # Ok::<(), acs_common::entra::EntraOptionsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(u64);

/// What happened. `W` is the host's name for a waiter.
///
/// ```
/// use acs_common::RefresherError;
/// use acs_common::entra::{CallId, EntraEvent, HttpResponse};
///
/// /// What became of a request, in the words of some HTTP client.
/// fn outcome(call: CallId, result: Result<HttpResponse, std::io::Error>) -> EntraEvent<u32> {
///     match result {
///         Ok(response) => EntraEvent::ResponseReceived { call, response },
///         Err(error) => EntraEvent::TransportFailed { call, error: RefresherError::new(error) },
///     }
/// }
/// # let _ = outcome;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum EntraEvent<W> {
    /// Somebody wants a token; see [`Event::TokenRequested`].
    TokenRequested {
        /// Who.
        waiter: W,
    },
    /// Somebody no longer waits; see [`Event::RequestCancelled`].
    RequestCancelled {
        /// Who.
        waiter: W,
    },
    /// The source gave an Entra token.
    EntraTokenReceived {
        /// Which call.
        call: CallId,
        /// What it gave.
        token: EntraToken,
    },
    /// The source failed.
    EntraTokenFailed {
        /// Which call.
        call: CallId,
        /// Why.
        error: RefresherError,
    },
    /// The source says that nobody is signed in any more: the access token is dropped, valid or not.
    SignedOut {
        /// Which call.
        call: CallId,
    },
    /// The service answered.
    ResponseReceived {
        /// Which request.
        call: CallId,
        /// What it answered.
        response: HttpResponse,
    },
    /// The service could not be reached, or did not answer in full.
    TransportFailed {
        /// Which request.
        call: CallId,
        /// Why.
        error: RefresherError,
    },
    /// The timer fired, or somebody just looked at the clocks.
    TimeAdvanced,
    /// The service refused this very access token; see [`Event::TokenRejected`].
    TokenRejected {
        /// Which.
        token: Token,
    },
    /// Trying makes sense again: the source is asked in any case.
    TryNow,
    /// The end.
    Disposed,
}

/// What to do. Exhaustive on purpose: a host that forgets one must not compile.
///
/// ```
/// use acs_common::entra::EntraAction;
///
/// /// What a host might write to its log.
/// fn describe(action: &EntraAction<u32>) -> String {
///     match action {
///         EntraAction::ReturnToken { waiter, result: Ok(_) } => format!("{waiter} gets a token"),
///         EntraAction::ReturnToken { waiter, result: Err(error) } => format!("{waiter} gets none: {error}"),
///         EntraAction::Notify(notice) => format!("notice: {notice:?}"),
///         EntraAction::Cancel { call } => format!("drop {call:?}"),
///         EntraAction::AcquireEntraToken { scopes, fresh, .. } => format!("ask for {scopes:?}, fresh: {fresh}"),
///         EntraAction::SendRequest { request, .. } => format!("try {} of {}", request.attempt(), request.request_id()),
///         EntraAction::ScheduleTimer { at } => format!("wake up at {at:?}"),
///     }
/// }
/// assert_eq!(describe(&EntraAction::ScheduleTimer { at: None }), "wake up at None");
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a host that forgets an action must not compile")]
pub enum EntraAction<W> {
    /// Answer this waiter.
    ReturnToken {
        /// Who asked.
        waiter: W,
        /// The token, or why there is none.
        result: Result<Token, Error>,
    },
    /// Drop this call: its answer is not wanted any more.
    Cancel {
        /// Which.
        call: CallId,
    },
    /// Ask the source for an Entra token.
    AcquireEntraToken {
        /// Which call this is.
        call: CallId,
        /// For these scopes.
        scopes: Vec<String>,
        /// The service refused the last one, so another is wanted than one from a cache.
        fresh: bool,
    },
    /// Send this, and do not follow redirects.
    SendRequest {
        /// Which call this is.
        call: CallId,
        /// What to send.
        request: HttpRequest,
    },
    /// Tell whoever cares.
    Notify(Notice),
    /// Arm the one timer, in place of any earlier one, or disarm it; see [`Action::ScheduleTimer`].
    ScheduleTimer {
        /// When; `None`: disarm.
        at: Option<Monotonic>,
    },
}

/// The life of an Entra user's credential: a [`Machine`] whose refresher asks a source for an Entra token and exchanges it
/// for an access token. All rules of the machine hold; one run of source and exchange is one refresh.
///
/// The contract with the host is the [machine's](crate#the-hosts-contract), with two kinds of call in place of one.
///
/// ```
/// use acs_common::entra::{EntraAction, EntraEvent, EntraMachine, EntraOptions, EntraToken, HttpResponse};
/// use acs_common::{Monotonic, Now, Policy, UnixTime};
///
/// let at = |ms: u64| Now::new(Monotonic::from_millis(ms), UnixTime::from_millis(1_700_000_000_000 + ms as i64));
/// let options = EntraOptions::new("https://contoso.communication.azure.com")?;
/// let mut machine = EntraMachine::<u32>::new(options, Policy::default(), at(0));
///
/// let Some(EntraAction::AcquireEntraToken { call, .. }) = machine.poll_action() else { panic!("it warms up") };
/// machine.handle(EntraEvent::EntraTokenReceived { call, token: EntraToken::new("entra") }, at(20));
///
/// let Some(EntraAction::SendRequest { call, request }) = machine.poll_action() else { panic!() };
/// assert_eq!(
///     request.url(),
///     "https://contoso.communication.azure.com/access/entra/:exchangeAccessToken?api-version=2025-03-02-preview",
/// );
/// let body = br#"{"accessToken": {"token": "acs", "expiresOn": "2023-11-14T23:13:20.0000000+00:00"}}"#;
/// let response = HttpResponse::new(200).with_body(body.to_vec());
/// machine.handle(EntraEvent::ResponseReceived { call, response }, at(80));
/// assert_eq!(machine.token(at(90)).unwrap().secret().expose(), "acs");
/// # Ok::<(), acs_common::entra::EntraOptionsError>(())
/// ```
#[derive(Debug)]
pub struct EntraMachine<W> {
    machine: Machine<W>,
    options: EntraOptions,
    run: Option<Run>,
    /// What the access token held was exchanged for.
    held: Option<EntraToken>,
    /// What the failures so far are of: the exchange failed for it, or what came of it was rejected. `None` if there are
    /// none but the source's own.
    failed: Option<EntraToken>,
    /// A call the host has yet to be told to drop.
    abandoned: Option<CallId>,
    last_call: u64,
    deadline: Option<Monotonic>,
    /// As the machine's own.
    rearm: bool,
}

impl<W: PartialEq> EntraMachine<W> {
    /// A credential for these options. Unless they say otherwise, it has an action at once, so drain
    /// [`poll_action`](Self::poll_action) first.
    #[must_use]
    pub fn new(options: EntraOptions, policy: Policy, now: Now) -> Self {
        let mut machine = Self {
            machine: Machine::with_source(policy, options.prewarm(), now),
            options,
            run: None,
            held: None,
            failed: None,
            abandoned: None,
            last_call: 0,
            deadline: None,
            rearm: false,
        };
        machine.settle(now);
        machine
    }

    /// The token held, if it is valid; see [`Machine::token`]. With
    /// [`CheckSource::EachRequest`](crate::CheckSource::EachRequest) a request may find out that it is another user's.
    #[must_use]
    pub fn token(&self, now: Now) -> Option<&Token> {
        self.machine.token(now)
    }

    /// See [`Machine::refusal`]; while the source is being asked, too.
    #[must_use]
    pub fn refusal(&self, now: Now) -> Option<Error> {
        self.machine.refusal(now)
    }

    /// See [`Machine::snapshot`].
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        let snapshot = self.machine.snapshot()?;
        // A request also ends a pause that is over.
        Some(match self.pause() {
            Some(end) => snapshot.ended_by(end),
            None => snapshot,
        })
    }

    /// See [`Machine::deadline`].
    #[must_use]
    pub fn deadline(&self) -> Option<Monotonic> {
        self.deadline
    }

    /// Takes in what happened; see [`Machine::handle`].
    pub fn handle(&mut self, event: EntraEvent<W>, now: Now) {
        if let Some(Run { step: Step::Exchanging(exchange), .. }) = &mut self.run {
            exchange.wake_up(now);
        }
        match event {
            EntraEvent::TokenRequested { waiter } => self.machine.handle(Event::TokenRequested { waiter }, now),
            EntraEvent::RequestCancelled { waiter } => self.machine.handle(Event::RequestCancelled { waiter }, now),
            EntraEvent::TokenRejected { token } => {
                self.machine.handle(Event::TokenRejected { token }, now);
                if !self.machine.holds_token() && self.machine.rests_after_rejection() {
                    self.failed = self.held.take().or(self.failed.take());
                }
            }
            EntraEvent::TryNow => self.machine.handle(Event::TryNow, now),
            EntraEvent::Disposed => {
                self.machine.handle(Event::Disposed, now);
                self.drop_run();
                self.failed = None;
            }
            EntraEvent::TimeAdvanced => {
                self.rearm = true;
                self.machine.handle(Event::TimeAdvanced, now);
            }
            EntraEvent::EntraTokenReceived { call, token } => {
                if let Some(run) = self.answered(call, Asked::Source) {
                    self.source_gave(run, token, now);
                }
            }
            EntraEvent::EntraTokenFailed { call, error } => {
                if let Some(run) = self.answered(call, Asked::Source) {
                    self.source_failed(run, error, now);
                }
            }
            EntraEvent::SignedOut { call } => {
                if let Some(run) = self.answered(call, Asked::Source) {
                    let error = RefresherError::new(ExchangeError::SignedOut).permanent();
                    self.finish(run, Err(error.with_kind(FailureKind::SignedOut).forgetting_token()), now);
                }
            }
            EntraEvent::ResponseReceived { call, response } => {
                if let Some(run) = self.answered(call, Asked::Service) {
                    self.advance(run, now, |exchange, random| exchange.received(&response, now, random));
                }
            }
            EntraEvent::TransportFailed { call, error } => {
                if let Some(run) = self.answered(call, Asked::Service) {
                    self.advance(run, now, |exchange, random| exchange.unreachable(error, now, random));
                }
            }
        }
        self.settle(now);
    }

    /// The run whose call this answers, if it is the one that is waited for, and of that kind.
    fn answered(&mut self, call: CallId, asked: Asked) -> Option<Run> {
        let mut run = self.run.take_if(|run| run.call == Some(call) && run.step.asked() == Some(asked))?;
        run.call = None;
        Some(run)
    }

    fn source_gave(&mut self, run: Run, token: EntraToken, now: Now) {
        if token.is_blank() {
            let blank = "the source gave a blank Entra token: is anybody signed in?";
            return self.source_failed(run, RefresherError::new(blank), now);
        }
        let request = run.request;
        let is_same = |other: &EntraToken| other.is_same(&token);
        let stranger = self.held.as_ref().is_some_and(|held| !held.is_of_same_user(&token));
        match run.step {
            Step::Asking | Step::Cleared(_) => {
                let unchanged = self.held.as_ref().is_some_and(is_same);
                let another = !self.failed.as_ref().is_some_and(is_same);
                self.run = Some(Run { step: Step::Cleared(token), ..run });
                self.machine.source_answered(request, Given { unchanged, another, stranger }, now);
            }
            Step::Exchanging(_) => {
                self.machine.source_changed_its_mind(request, stranger);
                self.advance(run, now, |exchange, _| exchange.asked_again(Some(token)));
            }
        }
    }

    fn source_failed(&mut self, run: Run, error: RefresherError, now: Now) {
        match run.step {
            Step::Asking | Step::Cleared(_) => self.finish(run, Err(error), now),
            Step::Exchanging(_) => self.advance(run, now, |exchange, _| exchange.asked_again(None)),
        }
    }

    /// Lets the exchange go on, and ends the run if it ends.
    fn advance(
        &mut self,
        mut run: Run,
        now: Now,
        step: impl FnOnce(&mut Exchange, &mut crate::backoff::Random) -> Next,
    ) {
        if let Step::Exchanging(exchange) = &mut run.step
            && let Next::Done(outcome) = step(exchange, self.machine.random())
        {
            return self.finish(run, outcome, now);
        }
        self.run = Some(run);
    }

    fn finish(&mut self, run: Run, outcome: Result<NewToken, RefresherError>, now: Now) {
        let Run { request, step, .. } = run;
        let used = match step {
            Step::Asking => None,
            Step::Cleared(token) => Some(token),
            Step::Exchanging(exchange) => Some(exchange.into_token()),
        };
        let event = match outcome {
            Ok(token) => Event::TokenReceived { request, token },
            Err(error) => Event::RefreshFailed { request, error },
        };
        let before = self.machine.token(now).cloned();
        self.machine.handle(event, now);
        let accepted = match (&before, self.machine.token(now)) {
            (Some(before), Some(after)) => !before.is_same(after),
            (None, after) => after.is_some(),
            (Some(_), None) => false,
        };
        if accepted {
            self.held = used;
            self.failed = None;
        } else if used.is_some() {
            self.failed = used;
        }
    }

    fn settle(&mut self, now: Now) {
        self.machine.look(now);
        if self.run.as_ref().is_some_and(|run| Some(run.request) != self.machine.in_flight())
            && let Some(Step::Exchanging(exchange)) = self.drop_run()
        {
            // It took too long.
            self.failed = Some(exchange.into_token());
        }
        if !self.machine.holds_token() {
            self.held = None;
        }
        if let Some(request) = self.machine.poll_exchange()
            && let Some(run) = self.run.take_if(|run| run.request == request)
        {
            self.run = Some(self.exchange(run));
        }
        let pause = self.pause().map(|end| now.monotonic.saturating_add_millis(end.left(now)));
        let deadline = [pause, self.machine.deadline()].into_iter().flatten().min();
        self.rearm |= deadline != self.deadline;
        self.deadline = deadline;
    }

    /// Until when the exchange pauses between two tries, if it does.
    fn pause(&self) -> Option<Until> {
        match &self.run {
            Some(Run { step: Step::Exchanging(exchange), .. }) => exchange.pause(),
            Some(Run { step: Step::Asking | Step::Cleared(_), .. }) | None => None,
        }
    }

    /// The machine has given it up, or done with it.
    fn drop_run(&mut self) -> Option<Step> {
        let run = self.run.take()?;
        self.abandoned = run.call.or(self.abandoned);
        Some(run.step)
    }

    fn exchange(&mut self, run: Run) -> Run {
        match run.step {
            Step::Cleared(token) => {
                let (give_up, jitter) = (self.machine.timeout(), self.machine.policy().exchange_jitter());
                let exchange = Exchange::new(token, give_up, jitter, self.machine.random());
                Run { step: Step::Exchanging(exchange), ..run }
            }
            Step::Asking | Step::Exchanging(_) => run,
        }
    }

    /// The next thing to do: answers first, the timer last; `None` when all is said. See [`Machine::poll_action`].
    pub fn poll_action(&mut self) -> Option<EntraAction<W>> {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::ReturnToken { waiter, result } => return Some(EntraAction::ReturnToken { waiter, result }),
                Action::Notify(notice) => return Some(EntraAction::Notify(notice)),
                Action::CallRefresher { request } => self.run = Some(Run { request, step: Step::Asking, call: None }),
                // Told below: this machine has calls and a timer of its own.
                Action::CancelRefresher { .. } | Action::ScheduleTimer { .. } => {}
            }
        }
        if let Some(call) = self.abandoned.take() {
            return Some(EntraAction::Cancel { call });
        }
        if let Some(action) = self.poll_call() {
            return Some(action);
        }
        if core::mem::take(&mut self.rearm) {
            return Some(EntraAction::ScheduleTimer { at: self.deadline });
        }
        None
    }

    /// The call the run needs, if the host has not been told to make it.
    fn poll_call(&mut self) -> Option<EntraAction<W>> {
        let run = self.run.as_mut().filter(|run| run.call.is_none())?;
        let asked = run.step.asked()?;
        self.last_call = self.last_call.wrapping_add(1);
        let call = CallId(self.last_call);
        run.call = Some(call);
        Some(match (asked, &mut run.step) {
            (Asked::Service, Step::Exchanging(exchange)) => {
                EntraAction::SendRequest { call, request: exchange.request(&self.options) }
            }
            (_, step) => {
                let fresh = matches!(step, Step::Exchanging(_));
                EntraAction::AcquireEntraToken { call, scopes: self.options.scopes().to_vec(), fresh }
            }
        })
    }
}
