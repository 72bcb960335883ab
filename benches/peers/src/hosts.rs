//! Many of our credentials in one process: machines that one loop drives, or tasks of a runtime.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use acs_common::{Action, Event, Machine, Monotonic, NewToken, Now, Policy, RefresherError, UnixTime};
use acs_common_smol::CommunicationTokenCredential as OnSmol;
use acs_common_tokio::CommunicationTokenCredential as OnTokio;
use tokio::runtime::Runtime;

use crate::issuer::LENGTH;

/// The wall clock may change while a loop sleeps. So every machine reads it at least this often.
const SLICE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq)]
pub enum Host {
    Core,
    Tokio,
    Smol,
}

pub const HOSTS: [Host; 3] = [Host::Core, Host::Tokio, Host::Smol];

/// Credentials that renew their tokens by timer, from a source that returns at once.
pub trait Fleet {
    /// Runs them for this time.
    fn run(&mut self, time: Duration);

    /// How often the source was asked.
    fn fetches(&self) -> usize;
}

impl Host {
    pub fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Tokio => "tokio",
            Self::Smol => "smol",
        }
    }

    /// The largest allowed number of bytes for one credential of very many, without its token.
    pub fn most(self) -> Option<f64> {
        match self {
            Self::Core => Some(400.0),
            Self::Tokio => Some(1_536.0),
            Self::Smol => None,
        }
    }

    /// Returns when each has its first token.
    pub fn start(self, count: usize, life: Duration, policy: &Policy) -> Box<dyn Fleet> {
        match self {
            Self::Core => Box::new(Loop::start(count, life, policy)),
            Self::Tokio => {
                let runtime = Runtime::new().expect("a runtime");
                let within = runtime.enter();
                let fleet = Tasks::start(count, life, |refresher| {
                    let credential = OnTokio::with_refresher(refresher).policy(policy.clone()).spawn();
                    credential.expect("a credential")
                });
                drop(within);
                Box::new((fleet, runtime))
            }
            Self::Smol => Box::new(Tasks::start(count, life, |refresher| {
                let credential = OnSmol::with_refresher(refresher).policy(policy.clone()).spawn();
                credential.expect("a credential")
            })),
        }
    }
}

fn token(life: Duration) -> NewToken {
    NewToken::new("t".repeat(LENGTH)).with_expires_in(life)
}

struct Loop {
    started: Instant,
    machines: Vec<Machine<()>>,
    timers: BTreeSet<(Monotonic, usize)>,
    look: Instant,
    life: Duration,
    fetches: usize,
}

impl Loop {
    fn start(count: usize, life: Duration, policy: &Policy) -> Self {
        let started = Instant::now();
        let mut fleet = Self {
            started,
            machines: Vec::with_capacity(count),
            timers: BTreeSet::new(),
            look: started + SLICE,
            life,
            fetches: 0,
        };
        for at in 0..count {
            fleet.machines.push(Machine::new(None, policy.clone(), fleet.now()).expect("there is no initial token"));
            fleet.tell(at, Event::TimeAdvanced);
        }
        fleet
    }

    fn now(&self) -> Now {
        Now::new(Monotonic::from_elapsed(self.started.elapsed()), UnixTime::from(SystemTime::now()))
    }

    fn tell(&mut self, at: usize, event: Event<()>) {
        let armed = self.machines[at].deadline();
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let now = self.now();
            self.machines[at].handle(event, now);
            while let Some(action) = self.machines[at].poll_action() {
                match action {
                    Action::CallRefresher { request, .. } => {
                        self.fetches += 1;
                        next = Some(Event::TokenReceived { request, token: token(self.life) });
                    }
                    // The deadline is read below.
                    Action::ScheduleTimer { .. } => {}
                    Action::ReturnToken { .. } | Action::CancelRefresher { .. } | Action::Notify(_) => {}
                    Action::CheckSource { .. } => unreachable!("these have no source"),
                }
            }
        }
        let deadline = self.machines[at].deadline();
        if deadline != armed {
            armed.map(|spent| self.timers.remove(&(spent, at)));
            self.timers.extend(deadline.map(|moment| (moment, at)));
        }
    }
}

impl Fleet for Loop {
    fn run(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if Instant::now() >= self.look {
                self.look += SLICE;
                (0..self.machines.len()).for_each(|at| self.tell(at, Event::TimeAdvanced));
            }
            let now = self.now().monotonic;
            while let Some(&(_, at)) = self.timers.first().filter(|timer| timer.0 <= now) {
                self.tell(at, Event::TimeAdvanced);
            }
            let timer = self.timers.first().map_or(SLICE, |timer| timer.0.saturating_since(self.now().monotonic));
            let until = self.look.min(end).saturating_duration_since(Instant::now());
            thread::sleep(timer.min(until));
        }
    }

    fn fetches(&self) -> usize {
        self.fetches
    }
}

struct Tasks<C> {
    _held: Vec<C>,
    fetches: Arc<AtomicUsize>,
}

type Answer = std::future::Ready<Result<NewToken, RefresherError>>;

impl<C> Tasks<C> {
    fn start(count: usize, life: Duration, spawn: impl Fn(Box<dyn FnMut() -> Answer + Send>) -> C) -> Self {
        let fetches = Arc::new(AtomicUsize::new(0));
        let mut held = Vec::with_capacity(count);
        for _ in 0..count {
            let fetches = Arc::clone(&fetches);
            held.push(spawn(Box::new(move || {
                fetches.fetch_add(1, Ordering::Relaxed);
                std::future::ready(Ok(token(life)))
            })));
        }
        while fetches.load(Ordering::Relaxed) < count {
            thread::sleep(Duration::from_micros(100));
        }
        Self { _held: held, fetches }
    }
}

impl<C> Fleet for Tasks<C> {
    fn run(&mut self, time: Duration) {
        thread::sleep(time);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }
}

impl<C> Fleet for (Tasks<C>, Runtime) {
    fn run(&mut self, time: Duration) {
        self.0.run(time);
    }

    fn fetches(&self) -> usize {
        self.0.fetches()
    }
}
