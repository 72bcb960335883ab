//! Without async: one poll loop drives the machine, on non-blocking sockets and one timer.
//!
//! `cargo run --example event_loop`. The loop is in `run`. Below it are the sockets and clocks that every such program
//! has. The loop talks to two threads: the issuer of the tokens (once busy, once silent), and the other parts of the
//! program.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use acs_common::{
    Action, Event, Machine, Monotonic, NewToken, Notice, Now, Policy, RefresherError, RequestId, Token, UnixTime,
};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Waker};
use serde_json::{Value, json};

/// Here waiters have names. In a server they might be connections.
type Name = &'static str;

/// The wall clock may move while the loop sleeps, so it looks at least this often.
const SLICE: Duration = Duration::from_secs(60);
const PROGRAM: mio::Token = mio::Token(0);
const ISSUER: mio::Token = mio::Token(1);

fn run(mut machine: Machine<Name>, mut host: Host, mut poll: Poll, program: &Receiver<Event<Name>>) -> io::Result<()> {
    let mut happened = VecDeque::from([Event::TimeAdvanced]);
    let mut ready = Events::with_capacity(8);
    let mut timer = None;
    loop {
        // Tell the machine what happened, and do what it says.
        // [loop]
        while let Some(event) = happened.pop_front() {
            machine.handle(event, host.now());
            while let Some(action) = machine.poll_action() {
                match action {
                    Action::ReturnToken { waiter, result } => host.answer(waiter, result),
                    Action::CheckSource { .. } => {} // Only for Entra users.
                    Action::CallRefresher { request, .. } => happened.extend(host.call_issuer(request)),
                    Action::CancelRefresher { request } => host.hang_up(request),
                    Action::ScheduleTimer { at } => timer = at,
                    Action::Notify(Notice::Disposed) => return Ok(()),
                    Action::Notify(notice) => host.report(&notice),
                }
            }
        }
        // [/loop]
        // Sleep until something happens or the timer's moment comes, but look at the clocks once a minute.
        let left = timer.map_or(SLICE, |at: Monotonic| at.saturating_since(host.now().monotonic));
        poll.poll(&mut ready, Some(left.min(SLICE))).or_else(unless_interrupted)?;
        for readiness in &ready {
            match readiness.token() {
                ISSUER => happened.extend(host.hear_issuer()),
                _ => happened.extend(program.try_iter()),
            }
        }
        // Early, late or for nothing: saying that time went by is always right.
        happened.push_back(Event::TimeAdvanced);
    }
}

fn unless_interrupted(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if let Some(argument) = std::env::args().nth(1) {
        eprintln!("event_loop: unknown argument {argument:?}\n\nUsage: event_loop (no arguments; it ends after 4 s)");
        return Ok(ExitCode::from(2));
    }
    let policy = Policy::builder()
        .refresh_proactively(true)
        .refresh_timeout(Duration::from_millis(300))
        .min_refresh_interval(Duration::from_millis(200))
        .retry_initial(Duration::from_millis(200))
        .build()?;
    let poll = Poll::new()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let registry = poll.registry().try_clone()?;
    let host = Host { started: Instant::now(), issuer: listener.local_addr()?, registry, call: None };
    let machine = Machine::new(None, policy, host.now())?;
    let (send, program) = mpsc::channel();
    let waker = Arc::new(Waker::new(poll.registry(), PROGRAM)?);

    print("Tokens live 2 s and are renewed half-way. Calls 2 and 4 of the issuer go wrong, which nobody notices.\n");
    thread::spawn(move || issue(&listener));
    // The waker must outlive the loop: if it is dropped, its last wake-up is lost.
    let lent = Arc::clone(&waker);
    thread::spawn(move || use_tokens(&send, &lent));
    run(machine, host, poll, &program)?;
    print("\nThe machine is disposed: it has forgotten its token, and the loop has ended.");
    Ok(ExitCode::SUCCESS)
}

/// A closed output is not a reason to panic.
fn print(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The loop's sockets and clocks.
struct Host {
    started: Instant,
    issuer: SocketAddr,
    registry: Registry,
    call: Option<Call>,
}

/// The request for a token that is in flight.
struct Call {
    request: RequestId,
    stream: TcpStream,
    unsent: &'static [u8],
    answer: Vec<u8>,
}

impl Host {
    /// Both clocks.
    fn now(&self) -> Now {
        Now::new(Monotonic::from_elapsed(self.started.elapsed()), UnixTime::from(SystemTime::now()))
    }

    fn say(&self, what: &str) {
        print(&format!("{:5.2} s  {what}", self.started.elapsed().as_secs_f64()));
    }

    fn answer(&self, waiter: Name, result: Result<Token, acs_common::Error>) {
        match result {
            Ok(token) => self.say(&format!("{waiter} gets a token, good {}", self.until(token.expires_on()))),
            Err(error) => self.say(&format!("{waiter} gets no token: {error}")),
        }
    }

    fn report(&self, notice: &Notice) {
        match notice {
            Notice::RefreshStarted { trigger, .. } => self.say(&format!("a refresh has started: {}", trigger.as_str())),
            Notice::TokenChanged { expires_on, .. } => {
                self.say(&format!("a new token is held, good {}", self.until(*expires_on)))
            }
            Notice::RefreshFailed { cause, retry_in, .. } => {
                let next = retry_in.map(|wait| format!("next try in {:.2} s", wait.as_secs_f64()));
                let next = next.unwrap_or_else(|| "next try on demand".to_owned());
                self.say(&format!("refresh failed, {next}: {cause}"));
            }
            other => self.say(&format!("{other:?}")),
        }
    }

    fn until(&self, moment: UnixTime) -> String {
        format!("for {:.2} s", (moment.as_millis() - self.now().unix.as_millis()) as f64 / 1_000.0)
    }

    /// Starts a call. Returns an event only if the call fails at once.
    fn call_issuer(&mut self, request: RequestId) -> Option<Event<Name>> {
        self.say("the issuer is called");
        let connect = || {
            let mut stream = TcpStream::connect(self.issuer)?;
            self.registry.register(&mut stream, ISSUER, Interest::READABLE | Interest::WRITABLE)?;
            Ok(stream)
        };
        match connect() {
            Ok(stream) => {
                self.call = Some(Call { request, stream, unsent: b"GET /token HTTP/1.0\r\n\r\n", answer: Vec::new() });
                None
            }
            Err(error) => Some(Event::RefreshFailed { request, error: io::Error::into(error) }),
        }
    }

    fn hang_up(&mut self, request: RequestId) {
        if self.call.take_if(|call| call.request == request).is_some() {
            self.say("the call is hung up");
        }
    }

    /// Continues the call as far as possible without waiting. Returns an event when the call is over.
    fn hear_issuer(&mut self) -> Option<Event<Name>> {
        let answer = match self.call.as_mut()?.proceed() {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return None,
            Err(error) => Err(error.into()),
            Ok(()) => Ok(()),
        };
        let Call { request, answer: text, .. } = self.call.take()?;
        Some(match answer.and_then(|()| read_token(&text)) {
            Ok(token) => Event::TokenReceived { request, token },
            Err(error) => Event::RefreshFailed { request, error },
        })
    }
}

impl Call {
    /// Sends the request, then reads until the issuer closes the connection.
    fn proceed(&mut self) -> io::Result<()> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        while !self.unsent.is_empty() {
            let sent = self.stream.write(self.unsent)?;
            self.unsent = &self.unsent[sent..];
        }
        self.stream.read_to_end(&mut self.answer).map(|_| ())
    }
}

/// An HTTP response with a body as in OAuth (RFC 6749, section 5.1).
fn read_token(answer: &[u8]) -> Result<NewToken, RefresherError> {
    let unreadable = || RefresherError::new("the issuer's answer makes no sense");
    let (head, body) = str::from_utf8(answer)?.split_once("\r\n\r\n").ok_or_else(unreadable)?;
    let (_, status) = head.lines().next().and_then(|line| line.split_once(' ')).ok_or_else(unreadable)?;
    if !status.starts_with("200") {
        return Err(RefresherError::new(format!("the issuer answered {status}")));
    }
    let body: Value = serde_json::from_str(body)?;
    let token = body["access_token"].as_str().ok_or_else(unreadable)?;
    let seconds = body["expires_in"].as_u64().ok_or_else(unreadable)?;
    Ok(NewToken::new(token).with_expires_in(Duration::from_secs(seconds)))
}

/// The issuer.
fn issue(listener: &TcpListener) {
    let mut silent = Vec::new();
    for (number, stream) in (1..).zip(listener.incoming().map_while(Result::ok)) {
        let request = BufReader::new(&stream).lines();
        request.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
        thread::sleep(Duration::from_millis(100));
        let answer = match number {
            2 => "HTTP/1.0 503 Service Unavailable\r\n\r\n".to_owned(),
            4 => {
                silent.push(stream);
                continue;
            }
            _ => {
                let body = json!({"access_token": format!("token-{number}"), "token_type": "Bearer", "expires_in": 2});
                format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}")
            }
        };
        // A closed connection does not need the answer.
        let _ = (&stream).write_all(answer.as_bytes());
    }
}

/// The other parts of the program: they request a token from time to time, and end the program.
fn use_tokens(program: &Sender<Event<Name>>, waker: &Waker) {
    let ask = |waiter| Event::TokenRequested { waiter };
    let pause = |millis| Duration::from_millis(millis);
    let script = [
        (pause(0), ask("alice")),
        (pause(0), ask("bob")),
        (pause(1_200), ask("carol")),
        (pause(1_400), ask("dave")),
        (pause(600), Event::Disposed),
    ];
    for (pause, event) in script {
        thread::sleep(pause);
        if program.send(event).and_then(|()| waker.wake().map_err(|_| mpsc::SendError(Event::Disposed))).is_err() {
            return;
        }
    }
}
