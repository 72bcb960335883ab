//! An Entra user's credential in your own loop: no runtime, no async, no adapter.
//!
//! `Host` connects the two machines: the credential (`Machine`) and one exchange at a time (`Exchange`). Threads do
//! what the exchange asks for, and send the answers back. This example imitates an identity library and the service.
//! The service is busy at the first try, to show a pause. In a program, use real ones.
//!
//! cargo run --example `own_loop_entra`

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use acs_common::entra::{EntraOptions, EntraToken, Exchange, ExchangeAction, ExchangeEvent, HttpRequest, HttpResponse};
use acs_common::{Action, Event, Machine, Monotonic, Now, Policy, RequestId, Token, UnixTime};

/// The wall clock may be set while the loop sleeps, so it looks at least this often.
const SLICE: Duration = Duration::from_secs(60);

/// The events that the loop waits for.
enum Happened {
    /// One of the program's tasks, by its number, wants a token.
    Wanted(u32),
    /// A thread has an event for the exchange of that request.
    Answered(RequestId, ExchangeEvent),
}

struct Host {
    origin: Instant,
    options: EntraOptions,
    machine: Machine<u32>,
    exchange: Option<(RequestId, Exchange)>,
    exchanges: u64,
    inbox: Receiver<Happened>,
    threads: Sender<Happened>,
    /// The tasks that have been answered.
    served: Vec<(u32, Token)>,
}

impl Host {
    fn now(&self) -> Now {
        Now::new(Monotonic::from_elapsed(self.origin.elapsed()), UnixTime::from(SystemTime::now()))
    }

    /// One turn: waits for the next event, passes it on, and does what the machines say.
    fn turn(&mut self) {
        let deadlines = [self.machine.deadline(), self.exchange.as_ref().and_then(|(_, exchange)| exchange.deadline())];
        let sleep = deadlines.into_iter().flatten().map(|at| at.saturating_since(self.now().monotonic)).min();
        match self.inbox.recv_timeout(sleep.unwrap_or(SLICE).min(SLICE)) {
            Ok(Happened::Wanted(task)) => self.tell(Event::TokenRequested { waiter: task }),
            Ok(Happened::Answered(request, event)) => self.tell_exchange(request, event),
            Err(_) => {
                self.tell(Event::TimeAdvanced);
                if let Some((request, _)) = self.exchange {
                    self.tell_exchange(request, ExchangeEvent::TimeAdvanced);
                }
            }
        }
    }

    /// Passes the event to the machine, and does what the machine says.
    fn tell(&mut self, event: Event<u32>) {
        self.machine.handle(event, self.now());
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::ReturnToken { waiter, result: Ok(token) } => self.served.push((waiter, token)),
                Action::ReturnToken { waiter, result: Err(error) } => say(&format!("task {waiter}: {error}")),
                Action::CheckSource { request, reason } => {
                    say(&format!("the source is asked: {}", reason.trigger.as_str()));
                    // In a program: from the system's randomness.
                    self.exchanges += 1;
                    let exchange = Exchange::new(self.options.clone(), self.machine.policy(), self.exchanges);
                    self.exchange = Some((request, exchange));
                    self.drain_exchange();
                }
                Action::CallRefresher { request, give_up, .. } => {
                    self.tell_exchange(request, ExchangeEvent::Started { give_up });
                }
                // A thread that still works for it sends an answer that is ignored.
                Action::CancelRefresher { .. } => self.exchange = None,
                Action::Notify(notice) => say(&format!("{notice:?}")),
                // The loop reads the deadline before each sleep.
                Action::ScheduleTimer { .. } => {}
            }
        }
    }

    /// Passes the event to the exchange of this request, if it is still in flight.
    fn tell_exchange(&mut self, request: RequestId, event: ExchangeEvent) {
        let now = self.now();
        if let Some((_, exchange)) = self.exchange.as_mut().filter(|(wanted, _)| *wanted == request) {
            exchange.handle(event, now);
            self.drain_exchange();
        }
    }

    fn drain_exchange(&mut self) {
        while let Some((request, exchange)) = &mut self.exchange {
            let request = *request;
            match exchange.poll_action() {
                None => return,
                Some(ExchangeAction::AcquireEntraToken { scopes, fresh }) => {
                    self.run(request, move || ask_identity_library(&scopes, fresh));
                }
                Some(ExchangeAction::SendRequest { request: http }) => {
                    say(&format!("try {}: {} {}", http.attempt(), http.method(), http.url()));
                    self.run(request, move || send(&http));
                }
                Some(ExchangeAction::ReportSource { source }) => self.tell(Event::SourceChecked { request, source }),
                Some(ExchangeAction::Finish { result }) => {
                    self.exchange = None;
                    self.tell(match result {
                        Ok(token) => Event::TokenReceived { request, token },
                        Err(error) => Event::RefreshFailed { request, error },
                    });
                }
                Some(ExchangeAction::ScheduleTimer { .. }) => {}
            }
        }
    }

    fn run(&self, request: RequestId, call: impl FnOnce() -> ExchangeEvent + Send + 'static) {
        let loop_ = self.threads.clone();
        // A loop that has ended does not need the answer.
        thread::spawn(move || loop_.send(Happened::Answered(request, call())).ok());
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = EntraOptions::new("https://contoso.communication.azure.com")?;
    let origin = Instant::now();
    let start = Now::new(Monotonic::from_elapsed(Duration::ZERO), UnixTime::from(SystemTime::now()));
    let machine = Machine::with_source(Policy::default(), options.prewarm(), start);
    let (threads, inbox) = channel();
    let mut host = Host { origin, options, machine, exchange: None, exchanges: 0, inbox, threads, served: Vec::new() };
    host.tell(Event::TimeAdvanced);

    for task in 1..=3 {
        host.threads.send(Happened::Wanted(task))?;
    }
    while host.served.len() < 3 {
        host.turn();
    }
    for (task, token) in &host.served {
        say(&format!("task {task} has a token until {} ms", token.expires_on().as_millis()));
    }
    host.tell(Event::Disposed);
    Ok(())
}

/// In a program: an identity library, which returns a cached token unless a fresh one is requested.
fn ask_identity_library(scopes: &[String], fresh: bool) -> ExchangeEvent {
    say(&format!("an Entra token for {scopes:?}, fresh: {fresh}"));
    ExchangeEvent::EntraTokenReceived { token: EntraToken::new("an-entra-token") }
}

/// In a program: an HTTP client that checks certificates and follows no redirects.
fn send(request: &HttpRequest) -> ExchangeEvent {
    let response = if request.attempt() == 1 {
        HttpResponse::new(503).with_header("Retry-After", "1")
    } else {
        let body = r#"{"accessToken": {"token": "an-access-token", "expiresOn": "2999-01-01T00:00:00Z"}}"#;
        HttpResponse::new(200).with_body(body.into())
    };
    ExchangeEvent::ResponseReceived { response }
}

/// A closed output is not an error.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
