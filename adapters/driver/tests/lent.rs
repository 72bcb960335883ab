//! What a reader lent stays in memory until it lets go of it, and not for longer; what a storm needs, until it is over. A binary of
//! its own, since it counts every byte of the process.

use std::alloc::System;
use std::future::{Pending, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use acs_common_driver::{Builder, Clock, CommunicationTokenCredential, Monotonic, NewToken, Now, Reader, UnixTime};
use cap::Cap;
use smol::future::{FutureExt as _, block_on, poll_once};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// How long the secret is whose memory is looked for: much longer than all else that is allocated meanwhile.
const LONG: usize = 512 << 10;

const MINUTE: u64 = 60_000;

/// Both clocks stand still unless they are moved; they have no ticks.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Clock for Hand {
    type Sleep = Pending<()>;

    fn now(&self) -> Now {
        let millis = self.0.load(Ordering::SeqCst);
        Now::new(Monotonic::from_millis(millis), UnixTime::from_millis(millis.cast_signed()))
    }

    fn sleep(&self, _: Duration) -> Self::Sleep {
        pending()
    }
}

struct Stage {
    /// How much was allocated before.
    before: usize,
    clock: Hand,
    credential: CommunicationTokenCredential<Hand>,
    driver: Pin<Box<dyn Future<Output = ()>>>,
    /// One test at a time.
    _alone: MutexGuard<'static, ()>,
}

impl Stage {
    /// Holds a long token for an hour; a refresh brings a short one.
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = MEMORY.allocated();
        let clock = Hand::default();
        let refresher = || async { Ok::<_, std::io::Error>(hour("short".to_owned())) };
        let builder = Builder::new(clock.clone(), refresher).initial_token(hour("x".repeat(LONG)));
        let (credential, driver) = builder.build().unwrap();
        Self { before, clock, credential, driver: driver.boxed_local(), _alone: alone }
    }

    /// Its reader, that has lent the long token.
    fn reader(&self) -> Reader<Hand> {
        let mut reader = self.credential.reader();
        assert_eq!(reader.token().unwrap().unwrap().secret().expose().len(), LONG);
        reader
    }

    fn is_kept(&self) -> bool {
        MEMORY.allocated() >= self.before + LONG
    }

    /// Has its driver do what there is to do.
    fn drive(&mut self) {
        block_on(poll_once(&mut self.driver));
    }
}

fn hour(token: String) -> NewToken {
    NewToken::new(token).with_expires_in(Duration::from_secs(3_600))
}

/// What puts a token out of use, unseen by the reader that lent it.
type Fate = (&'static str, fn(&mut Stage));

const FATES: [Fate; 3] = [
    ("replaced", |stage| {
        stage.clock.0.store(59 * MINUTE, Ordering::SeqCst);
        stage.credential.try_token().unwrap().expect("it is still good, and being renewed");
        stage.drive();
        assert_eq!(stage.credential.try_token().unwrap().unwrap().secret().expose(), "short");
    }),
    // A rejected token is kept for the refresher to see, until the next one is accepted.
    ("rejected", |stage| {
        let token = stage.credential.try_token().unwrap().unwrap();
        stage.credential.reject(&token);
        assert!(stage.credential.try_token().unwrap().is_none());
        stage.drive();
        assert!(stage.credential.try_token().unwrap().is_some());
    }),
    ("disposed of", |stage| stage.credential.dispose()),
];

/// Whatever the fate, the reader keeps the secret until it is made to let go of it, and nothing does afterwards. What `let_go`
/// hands back is dropped after that.
fn frees<T>(let_go: impl Fn(Reader<Hand>) -> T) {
    for (fate, befall) in FATES {
        let mut stage = Stage::new();
        let reader = stage.reader();
        befall(&mut stage);
        stage.drive();
        assert!(stage.is_kept(), "{fate}: the reader still lends it");
        let left = let_go(reader);
        assert!(!stage.is_kept(), "{fate}: still in memory");
        drop(left);
    }
}

/// Fails when `release` forgets the token lent, or the snapshot it came from.
#[test]
fn a_released_reader_frees_the_secret() {
    frees(|mut reader| {
        reader.release();
        reader
    });
}

/// Fails when `look` leaves a count of the snapshot behind, as by `mem::forget`.
#[test]
fn a_dropped_reader_frees_the_secret() {
    frees(drop);
}

/// Fails when `look` takes over the new snapshot only if there is one, or keeps the token lent before when there is none.
#[test]
fn a_reader_that_is_asked_again_frees_the_secret() {
    frees(|mut reader| {
        let _ = reader.token();
        reader
    });
    frees(|mut reader| {
        let _ = block_on(poll_once(reader.get_token()));
        reader
    });
}

/// Fails when `look` keeps a snapshot that has nothing more to lend, and when a clock without ticks is taken for one that stands
/// still.
#[test]
fn a_reader_that_is_the_first_to_find_its_token_dead_frees_the_secret() {
    let mut stage = Stage::new();
    let mut reader = stage.reader();
    stage.clock.0.store(61 * MINUTE, Ordering::SeqCst);
    assert!(reader.token().unwrap().is_none());
    assert!(!stage.is_kept());
    stage.drive();
    assert_eq!(reader.token().unwrap().unwrap().secret().expose(), "short");
}

/// Fails when `leave` keeps the places of those who waited, or the machine's queue what it grew to.
#[test]
fn a_storm_of_requests_leaves_nothing_behind_once_it_is_answered() {
    let mut stage = Stage::new();
    FATES[0].1(&mut stage);
    let short = stage.credential.try_token().unwrap().unwrap();
    let calm = MEMORY.allocated();
    stage.credential.reject(&short);
    stage.clock.0.store(60 * MINUTE, Ordering::SeqCst);
    let credential = stage.credential.clone();
    let mut storm = (0..10_000).map(|_| Box::pin(credential.get_token())).collect::<Vec<_>>();
    for request in &mut storm {
        assert!(block_on(poll_once(request)).is_none());
    }
    stage.drive();
    for request in storm {
        assert_eq!(block_on(request).unwrap().secret().expose(), "short");
    }
    let left = MEMORY.allocated().saturating_sub(calm);
    assert!(left < 1_000, "{left} bytes are left of the storm");
}
