//! A host under full control of the test: threads, locks and wakers are shuttle's, and the time stands still unless the test
//! moves it.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use acs_common::{Monotonic, NewToken, Now, Policy, RefresherError, UnixTime};
use acs_common_interleavings::{Builder, Clock, CoarseClock, CommunicationTokenCredential};
use shuttle::future::block_on;
use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config, Runner};

pub type Credential = CommunicationTokenCredential<Toy>;

/// Much later than zero, so that tokens can have expired.
const START: i64 = 1_700_000_000_000;

/// A clock that stands still until it is set. Its locks are real ones, so reading it is not a step of the model.
#[derive(Clone, Default)]
pub struct Toy(Arc<Time>);

#[derive(Default)]
struct Time {
    millis: AtomicU64,
    sleepers: Mutex<Vec<Waker>>,
}

impl Toy {
    fn millis(&self) -> u64 {
        self.0.millis.load(Ordering::SeqCst)
    }

    pub fn advance(&self, millis: u64) {
        self.0.millis.fetch_add(millis, Ordering::SeqCst);
        let sleepers = std::mem::take(&mut *self.0.sleepers.lock().unwrap());
        sleepers.into_iter().for_each(Waker::wake);
    }

    /// Tells whether a handle, a driver, a sleep or the test still holds this clock.
    pub fn held(&self) -> impl Fn() -> bool + Send + use<> {
        let held: Weak<Time> = Arc::downgrade(&self.0);
        move || held.strong_count() > 0
    }
}

impl Clock for Toy {
    type Sleep = Sleep;

    fn now(&self) -> Now {
        let millis = self.millis();
        Now::new(Monotonic::from_millis(millis), UnixTime::from_millis(START + i64::try_from(millis).unwrap()))
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep { clock: self.clone(), until: self.millis() + u64::try_from(duration.as_millis()).unwrap() }
    }

    fn coarse_clock(&self) -> Option<impl CoarseClock> {
        Some(self)
    }
}

impl CoarseClock for &Toy {
    fn now_at_latest(&self) -> Now {
        self.now()
    }

    fn tick(&self) -> u64 {
        self.millis()
    }
}

pub struct Sleep {
    clock: Toy,
    until: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.clock.millis() >= self.until {
            return Poll::Ready(());
        }
        self.clock.0.sleepers.lock().unwrap().push(context.waker().clone());
        Poll::Pending
    }
}

/// Counts of a refresher: its calls, the futures alive now, and the largest number of futures alive at a time.
#[derive(Clone, Default)]
pub struct Calls(Arc<Counts>);

#[derive(Default)]
struct Counts {
    started: AtomicUsize,
    alive: AtomicUsize,
    most: AtomicUsize,
}

pub struct Call {
    pub number: usize,
    counts: Arc<Counts>,
}

impl Calls {
    fn begin(&self) -> Call {
        let alive = self.0.alive.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(alive, Ordering::SeqCst);
        Call { number: self.0.started.fetch_add(1, Ordering::SeqCst) + 1, counts: Arc::clone(&self.0) }
    }

    pub fn started(&self) -> usize {
        self.0.started.load(Ordering::SeqCst)
    }

    pub fn alive(&self) -> usize {
        self.0.alive.load(Ordering::SeqCst)
    }

    pub fn most_at_once(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.counts.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How a refresh ends.
#[derive(Clone, Copy)]
pub enum Ends {
    /// With a token, after the other threads could run.
    Well,
    /// With a token, in the first poll.
    AtOnce,
    Never,
}

/// No minimum interval and no backoff, so that nothing waits for the time. A refresh times out after a second.
pub fn policy() -> Policy {
    let policy = Policy::builder().min_refresh_interval(Duration::ZERO).retry_initial(Duration::ZERO);
    policy.request_backoff_max(Duration::ZERO).refresh_timeout(Duration::from_secs(1)).build().unwrap()
}

/// A credential, and its driver on a thread.
pub fn start(clock: &Toy, ends: Ends, calls: &Calls) -> (Credential, JoinHandle<()>) {
    start_with(clock, ends, calls, None)
}

pub fn start_with(clock: &Toy, ends: Ends, calls: &Calls, token: Option<&str>) -> (Credential, JoinHandle<()>) {
    let (credential, driver) = build(clock, ends, calls, token);
    (credential, thread::spawn(move || block_on(driver)))
}

pub fn build(
    clock: &Toy,
    ends: Ends,
    calls: &Calls,
    token: Option<&str>,
) -> (Credential, impl Future<Output = ()> + Send + use<>) {
    let counted = calls.clone();
    let refresher = move || {
        let call = counted.begin();
        async move {
            match ends {
                Ends::Well => shuttle::future::yield_now().await,
                Ends::AtOnce => {}
                Ends::Never => std::future::pending().await,
            }
            Ok::<_, RefresherError>(lasting(&format!("r{}", call.number)))
        }
    };
    let mut builder = Builder::new(clock.clone(), refresher).policy(policy());
    if let Some(token) = token {
        builder = builder.initial_token(lasting(token));
    }
    builder.build().unwrap()
}

fn lasting(name: &str) -> NewToken {
    NewToken::new(name).with_expires_in(Duration::from_secs(3_600))
}

/// The text of the token.
pub fn text(token: &acs_common::Token) -> String {
    token.secret().expose().to_owned()
}

/// Polls a request once and drops it.
pub fn begin_and_cancel(credential: &Credential) {
    block_on(async {
        let mut request = Box::pin(credential.get_token());
        std::future::poll_fn(|context| {
            let _ = request.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
    });
}

/// The number of orders in which each law is tried, for each of the two ways to choose them.
fn tries() -> usize {
    match std::env::var("INTERLEAVINGS") {
        Ok(tries) => tries.parse().expect("INTERLEAVINGS is a number"),
        Err(_) => 20_000,
    }
}

/// Tries a scene in many orders: random ones, and orders with few switches at chosen places. A deadlock is a failure; its
/// order is printed, so that you can replay it.
pub fn explore(scene: impl Fn() + Send + Sync + 'static) {
    let scene = Arc::new(scene);
    let each = |scheduler: Box<dyn Scheduler + Send>| {
        let scene = Arc::clone(&scene);
        Runner::new(scheduler, Config::new()).run(move || scene());
    };
    each(Box::new(RandomScheduler::new(tries())));
    each(Box::new(PctScheduler::new(3, tries())));
}

/// Tries a small scene in every possible order.
pub fn exhaust(scene: impl Fn() + Send + Sync + 'static) {
    let most = 10_000_000;
    let tried = Runner::new(DfsScheduler::new(Some(most), false), Config::new()).run(scene);
    println!("all {tried} orders were tried");
    assert!(tried < most, "the scene is too large: not every order was tried");
}
