//! A credential's machine and, for an Entra user, the exchange that does the refresher's work. It passes the messages
//! between the two, as every host does.

use std::collections::VecDeque;

use acs_common::entra::{EntraOptions, Exchange, ExchangeAction, ExchangeEvent};
use acs_common::{Action, Event, Machine, Monotonic, Now, RequestId};

#[derive(Debug)]
pub struct Credential<W> {
    pub machine: Machine<W>,
    pub exchange: Option<(RequestId, Exchange)>,
    /// Of an Entra user's credential.
    options: Option<EntraOptions>,
    exchanges: u64,
    /// What the exchange asks the host to do.
    wanted: VecDeque<(RequestId, ExchangeAction)>,
}

/// What the host itself must do.
#[derive(Debug)]
pub enum ToDo<W> {
    /// An action of the machine.
    Act(Action<W>),
    /// An action of the exchange for this request: ask the source, send a request, arm the timer.
    Exchange(RequestId, ExchangeAction),
}

impl<W: PartialEq> Credential<W> {
    pub fn new(machine: Machine<W>) -> Self {
        Self { machine, options: None, exchange: None, exchanges: 0, wanted: VecDeque::new() }
    }

    pub fn of_entra_user(options: EntraOptions, policy: acs_common::Policy, now: Now) -> Self {
        let machine = Machine::with_source(policy, options.prewarm(), now);
        Self { options: Some(options), ..Self::new(machine) }
    }

    /// Passes the event to the machine. At each event the exchange looks at the clocks, too.
    pub fn handle(&mut self, event: Event<W>, now: Now) {
        if let Some((_, exchange)) = &mut self.exchange {
            exchange.handle(ExchangeEvent::TimeAdvanced, now);
            self.drain_exchange(now);
        }
        self.machine.handle(event, now);
    }

    /// Passes the event to the exchange for this request, if it is still in flight. At each answer the machine looks at
    /// the clocks, too.
    pub fn tell_exchange(&mut self, request: RequestId, event: ExchangeEvent, now: Now) {
        if let Some((_, exchange)) = self.exchange.as_mut().filter(|(known, _)| *known == request) {
            exchange.handle(event, now);
            self.drain_exchange(now);
        }
        self.machine.handle(Event::TimeAdvanced, now);
    }

    /// The earlier of the two deadlines.
    pub fn deadline(&self) -> Option<Monotonic> {
        self.machine.deadline().into_iter().chain(self.exchange_deadline()).min()
    }

    pub fn exchange_deadline(&self) -> Option<Monotonic> {
        self.exchange.as_ref().and_then(|(_, exchange)| exchange.deadline())
    }

    /// The next action for the host. What one machine says to the other is passed on.
    pub fn poll(&mut self, now: Now) -> Option<ToDo<W>> {
        while let Some(action) = self.machine.poll_action() {
            match (action, &self.options) {
                (Action::CheckSource { request, .. }, Some(options)) => {
                    let policy = self.machine.policy();
                    let seed = policy.seed().unwrap_or_default().wrapping_add(self.exchanges);
                    let exchange = Exchange::new(options.clone(), policy, seed);
                    self.exchanges += 1;
                    self.exchange = Some((request, exchange));
                    self.drain_exchange(now);
                }
                (Action::CallRefresher { give_up, .. }, Some(_)) => {
                    if let Some((_, exchange)) = &mut self.exchange {
                        exchange.handle(ExchangeEvent::Started { give_up }, now);
                        self.drain_exchange(now);
                    }
                }
                (action, _) => {
                    if matches!(action, Action::CancelRefresher { .. }) {
                        self.exchange = None;
                        self.wanted.clear();
                    }
                    return Some(ToDo::Act(action));
                }
            }
        }
        self.wanted.pop_front().map(|(request, action)| ToDo::Exchange(request, action))
    }

    fn drain_exchange(&mut self, now: Now) {
        while let Some((request, exchange)) = &mut self.exchange {
            let request = *request;
            let event = match exchange.poll_action() {
                None => return,
                Some(ExchangeAction::ReportSource { source }) => Event::SourceChecked { request, source },
                Some(ExchangeAction::Finish { result }) => {
                    self.exchange = None;
                    match result {
                        Ok(token) => Event::TokenReceived { request, token },
                        Err(error) => Event::RefreshFailed { request, error },
                    }
                }
                Some(action) => {
                    self.wanted.push_back((request, action));
                    continue;
                }
            };
            self.machine.handle(event, now);
        }
    }
}

/// Only without an exchange in flight: an exchange holds a secret, which is never copied.
impl<W: Clone> Clone for Credential<W> {
    fn clone(&self) -> Self {
        assert!(self.exchange.is_none(), "an exchange cannot be copied");
        let (machine, options) = (self.machine.clone(), self.options.clone());
        Self { machine, exchange: None, options, exchanges: self.exchanges, wanted: VecDeque::new() }
    }
}
