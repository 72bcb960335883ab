//! The issuer of all tokens, in this process. It follows a plan and counts its fetches. For libraries that need HTTP it
//! listens on the loopback interface.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The length of a token, in bytes.
pub const LENGTH: usize = 1_024;
/// The message of a planned panic, which differs from all others.
pub const PANIC: &str = "the source panics, as planned";

#[derive(Clone)]
pub struct Issuer(Arc<State>);

struct State {
    plan: Mutex<Plan>,
    fetches: AtomicUsize,
    address: OnceLock<SocketAddr>,
}

#[derive(Clone, Copy)]
pub struct Plan {
    pub life: Duration,
    pub delay: Duration,
    pub then: Then,
}

#[derive(Clone, Copy)]
pub enum Then {
    /// A new token for each fetch.
    Issue,
    /// The same token for each fetch, with this expiry.
    Repeat(Instant),
    Fail,
    Panic,
}

pub struct Issued {
    pub token: String,
    pub expires_in: Duration,
}

#[derive(Debug)]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the issuer is down, as planned")
    }
}

impl std::error::Error for Refused {}

impl Plan {
    pub fn tokens_of(life: Duration) -> Self {
        Self { life, delay: Duration::ZERO, then: Then::Issue }
    }

    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    pub fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    fn carry_out(self, number: usize) -> Result<Issued, Refused> {
        match self.then {
            Then::Issue => Ok(Issued { token: token(number), expires_in: self.life }),
            Then::Repeat(expiry) => {
                Ok(Issued { token: token(0), expires_in: expiry.saturating_duration_since(Instant::now()) })
            }
            Then::Fail => Err(Refused),
            Then::Panic => panic!("{PANIC}"),
        }
    }
}

fn token(number: usize) -> String {
    format!("eyJ{number:0>width$}", width = LENGTH - 3)
}

impl Issuer {
    pub fn new(plan: Plan) -> Self {
        Self(Arc::new(State { plan: Mutex::new(plan), fetches: AtomicUsize::new(0), address: OnceLock::new() }))
    }

    pub fn plan(&self, plan: Plan) {
        *self.0.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    pub fn fetches(&self) -> usize {
        self.0.fetches.load(Ordering::SeqCst)
    }

    pub async fn fetch(&self) -> Result<Issued, Refused> {
        let (plan, number) = self.begin();
        if !plan.delay.is_zero() {
            async_io::Timer::after(plan.delay).await;
        }
        plan.carry_out(number)
    }

    /// The body of a response of RFC 6749, for libraries that read it themselves.
    pub async fn fetch_json(&self) -> Result<String, Refused> {
        self.fetch().await.map(|issued| json(&issued))
    }

    fn begin(&self) -> (Plan, usize) {
        let number = self.0.fetches.fetch_add(1, Ordering::SeqCst);
        (*self.0.plan.lock().unwrap_or_else(PoisonError::into_inner), number)
    }

    /// The URL of a token endpoint that follows the plan; it responds 503 for a failure.
    pub fn url(&self) -> String {
        let address = self.0.address.get_or_init(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            let (address, issuer) = (listener.local_addr().expect("an address"), self.clone());
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let issuer = issuer.clone();
                    // A client that closes its connection is not an error.
                    thread::spawn(move || drop(issuer.serve(stream)));
                }
            });
            address
        });
        format!("http://{address}/token")
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let line = line.trim_end().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().map_err(io::Error::other)?;
                }
            }
            reader.read_exact(&mut vec![0; length])?;
            let (plan, number) = self.begin();
            thread::sleep(plan.delay);
            let (status, body) = match plan.carry_out(number) {
                Ok(issued) => ("200 OK", json(&issued)),
                Err(refused) => ("503 Service Unavailable", format!(r#"{{"error":"{refused}"}}"#)),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes())?;
        }
    }
}

fn json(issued: &Issued) -> String {
    let (token, seconds) = (&issued.token, issued.expires_in.as_secs());
    format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{seconds}}}"#)
}
