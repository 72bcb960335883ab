//! The exchange of Entra tokens, in place of a refresher: the core's machine of one exchange, and the calls it needs.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use acs_common::entra::{EntraOptions, Exchange, ExchangeAction, ExchangeError, ExchangeEvent, HttpRequest};
use acs_common::{Event, Machine, Monotonic, Now, Policy, RefresherError, RequestId, TokenError};

use crate::calls::{InFlight, sealed};
use crate::commands::Refresh;
use crate::entra::{EntraTokenRequest, EntraTokenSource, HttpClient, SourceError};
use crate::panics::catch_panic;
use crate::refresher::RefresherPanicked;
use crate::trace::Trace;

/// Exchanges Entra tokens: a source, an HTTP client and the exchange in flight. This is the work of a driver.
pub struct Exchanger<S: EntraTokenSource, H: HttpClient> {
    options: EntraOptions,
    /// The policy of the credential, once that is built.
    policy: Policy,
    source: S,
    client: H,
    exchange: Option<(RequestId, Exchange)>,
    exchanges: u64,
    /// The last action of the exchange, to be done next.
    wanted: Option<ExchangeAction>,
    asking: InFlight<S::Future>,
    sending: InFlight<H::Future>,
    trace: Option<Trace>,
    name: Option<Arc<str>>,
}

impl<S: EntraTokenSource, H: HttpClient> Exchanger<S, H> {
    pub(crate) fn new(options: EntraOptions, source: S, client: H) -> Self {
        Self {
            options,
            policy: Policy::default(),
            source,
            client,
            exchange: None,
            exchanges: 0,
            wanted: None,
            asking: InFlight::None,
            sending: InFlight::None,
            trace: None,
            name: None,
        }
    }

    fn tell(&mut self, event: ExchangeEvent, now: Now) {
        // The exchange may drop a foreign error at once. So keep a copy, and drop that here.
        let mut error = None;
        if let ExchangeEvent::EntraTokenFailed { error: foreign } | ExchangeEvent::TransportFailed { error: foreign } =
            &event
        {
            error = Some(foreign.clone());
        }
        if let Some((_, exchange)) = &mut self.exchange {
            exchange.handle(event, now);
        }
        catch_panic(|| drop(error));
    }

    /// Does what the exchange says, until there is an event for the machine.
    fn carry_out(&mut self) -> Option<Event<usize>> {
        while let Some((request, exchange)) = &mut self.exchange {
            let request = *request;
            match self.wanted.take().or_else(|| exchange.poll_action())? {
                ExchangeAction::ReportSource { source } => return Some(Event::SourceChecked { request, source }),
                ExchangeAction::Finish { result } => {
                    self.exchange = None;
                    return Some(match result {
                        Ok(token) => Event::TokenReceived { request, token: token.decoded() },
                        Err(error) => Event::RefreshFailed { request, error },
                    });
                }
                ExchangeAction::AcquireEntraToken { scopes, fresh } => {
                    self.asking.start(|| self.source.entra_token(EntraTokenRequest { scopes, fresh }));
                }
                ExchangeAction::SendRequest { request } => self.send(request),
                // The driver reads the deadline each time.
                ExchangeAction::ScheduleTimer { .. } => {}
            }
        }
        None
    }

    /// Whether the exchange continues with another call. Before that the machine looks at the clocks, and may cancel it.
    fn goes_on(&mut self) -> bool {
        self.wanted = self.exchange.as_mut().and_then(|(_, exchange)| exchange.poll_action());
        matches!(self.wanted, Some(ExchangeAction::AcquireEntraToken { .. } | ExchangeAction::SendRequest { .. }))
    }

    fn send(&mut self, request: HttpRequest) {
        let trace = self.trace.insert(Trace::new(&request, self.name.as_ref()));
        let _entered = trace.enter();
        self.sending.start(|| self.client.send(request));
    }

    /// The result of the call in flight.
    fn poll_calls(&mut self, context: &mut Context<'_>) -> Poll<ExchangeEvent> {
        if let Poll::Ready(answer) = self.asking.poll(context) {
            return Poll::Ready(match answer {
                Some(Ok(token)) => ExchangeEvent::EntraTokenReceived { token },
                Some(Err(SourceError::SignedOut)) => ExchangeEvent::SignedOut,
                Some(Err(SourceError::Failed(error))) => ExchangeEvent::EntraTokenFailed { error },
                None => ExchangeEvent::EntraTokenFailed { error: RefresherError::new(RefresherPanicked) },
            });
        }
        let entered = self.trace.as_ref().map(Trace::enter);
        let polled = self.sending.poll(context);
        drop(entered);
        polled.map(|answer| {
            match (self.trace.take(), &answer) {
                (Some(trace), Some(Ok(response))) => trace.ended(Ok(response.status())),
                (Some(trace), Some(Err(error))) => trace.ended(Err(&ExchangeError::Transport(error.clone()))),
                (_, None) | (None, _) => {}
            }
            match answer {
                Some(Ok(response)) => ExchangeEvent::ResponseReceived { response },
                Some(Err(error)) => ExchangeEvent::TransportFailed { error },
                None => ExchangeEvent::TransportFailed { error: RefresherError::new(RefresherPanicked) },
            }
        })
    }
}

#[expect(private_interfaces, reason = "sealed")]
impl<S: EntraTokenSource, H: HttpClient> sealed::Work for Exchanger<S, H> {
    fn machine(&mut self, policy: Policy, now: Now) -> Result<Machine<usize>, TokenError> {
        self.policy = policy.clone();
        Ok(Machine::with_source(policy, self.options.prewarm(), now))
    }

    fn name(&mut self, name: Option<&Arc<str>>) {
        self.name = name.cloned();
    }

    fn start_check(&mut self, request: RequestId) {
        self.cancel();
        // Each exchange has its own seed. A credential with the same policy seed uses the same seeds again.
        let seed = self.policy.seed().unwrap_or_default().wrapping_add(self.exchanges);
        self.exchanges = self.exchanges.wrapping_add(1);
        self.exchange = Some((request, Exchange::new(self.options.clone(), &self.policy, seed)));
    }

    fn start_refresh(&mut self, refresh: Refresh, now: Now) {
        self.tell(ExchangeEvent::Started { give_up: refresh.give_up }, now);
    }

    fn look(&mut self, now: Now) {
        self.tell(ExchangeEvent::TimeAdvanced, now);
    }

    fn cancel(&mut self) {
        (self.exchange, self.wanted) = (None, None);
        self.asking.cancel();
        self.sending.cancel();
        self.trace = None;
    }

    fn poll(&mut self, now: impl Fn() -> Now, context: &mut Context<'_>) -> Poll<Event<usize>> {
        loop {
            if let Some(event) = self.carry_out() {
                return Poll::Ready(event);
            }
            let answer = ready!(self.poll_calls(context));
            self.tell(answer, now());
            if self.goes_on() {
                return Poll::Ready(Event::TimeAdvanced);
            }
        }
    }

    fn deadline(&self) -> Option<Monotonic> {
        self.exchange.as_ref()?.1.deadline()
    }

    fn is_calling(&self) -> bool {
        self.exchange.is_some()
    }

    #[cfg(feature = "store")]
    fn entry(&self, naming: &acs_common_store::NamingKey, name: &str) -> Option<acs_common_store::EntryName> {
        let (tenant, object) = self.exchange.as_ref()?.1.user()?;
        let (endpoint, scopes) = (self.options.endpoint(), self.options.scopes());
        Some(naming.entra_name(name, endpoint, scopes, tenant.expose(), object.expose()))
    }
}

impl<S: EntraTokenSource, H: HttpClient> fmt::Debug for Exchanger<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchanger").field("options", &self.options).finish_non_exhaustive()
    }
}
