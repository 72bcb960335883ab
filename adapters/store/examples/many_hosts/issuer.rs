//! The issuer of the tokens, which counts.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// How long it takes to get one.
pub(crate) const LATENCY: Duration = Duration::from_millis(300);

pub(crate) struct Issuer {
    listener: TcpListener,
    log: Arc<Mutex<Log>>,
    /// How long a token is valid. Half of it later, it is due.
    pub(crate) life: Duration,
}

#[derive(Default)]
struct Log {
    /// When each token was asked for.
    asked: Vec<Instant>,
    /// The process that asked last, if it has no answer so far.
    asking: Option<u32>,
    /// When the newest token was revoked.
    revoked: Vec<Instant>,
}

impl Issuer {
    pub(crate) fn start(life: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket on the loopback interface");
        let issuer = Self { listener, log: Arc::default(), life };
        let (listener, log) = (issuer.listener.try_clone().expect("a second handle"), Arc::clone(&issuer.log));
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                thread::spawn(move || answer(&connection, &log, life));
            }
        });
        issuer
    }

    pub(crate) fn address(&self) -> String {
        self.listener.local_addr().expect("it is bound").to_string()
    }

    /// When each token was asked for, in order.
    pub(crate) fn asked(&self) -> Vec<Instant> {
        let mut asked = lock(&self.log).asked.clone();
        asked.sort_unstable();
        asked
    }

    /// Revokes the newest token, unless one is on its way. Returns its number.
    pub(crate) fn revoke(&self) -> Option<usize> {
        let mut log = lock(&self.log);
        let may_revoke = log.asking.is_none() && !log.asked.is_empty();
        may_revoke.then(|| {
            log.revoked.push(Instant::now());
            log.asked.len()
        })
    }

    /// When the newest token was revoked, in order.
    pub(crate) fn revoked(&self) -> Vec<Instant> {
        lock(&self.log).revoked.clone()
    }

    /// A process that waits for its answer.
    pub(crate) fn asking(&self) -> Option<u32> {
        lock(&self.log).asking
    }
}

/// A process that is killed takes no answer. That is no trouble of the issuer's.
fn answer(mut connection: &TcpStream, log: &Mutex<Log>, life: Duration) {
    let mut line = String::new();
    let read = BufReader::new(connection).read_line(&mut line);
    let Some(process) = read.ok().and_then(|_| line.trim_end().strip_prefix("token ")?.parse().ok()) else { return };
    let number = {
        let mut log = lock(log);
        log.asked.push(Instant::now());
        log.asking = Some(process);
        log.asked.len()
    };
    thread::sleep(LATENCY);
    lock(log).asking.take_if(|asking| *asking == process);
    let _ = connection.write_all(format!("token-{number} {}\n", life.as_millis()).as_bytes());
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().expect("nothing panics under this lock")
}
