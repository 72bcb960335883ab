//! A token that a reader lent, or that a service sent, stays in memory until that drops it, and not longer. The memory of many requests is
//! freed after them. This is a separate binary because it counts every byte of the process.

use std::alloc::System;
use std::convert::Infallible;
use std::future::{Pending, Ready, pending, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use acs_common_driver::tower::{Authorize, AuthorizeLayer};
use acs_common_driver::{
    Builder, ClientArguments, Clock, CommunicationTokenCredential, Monotonic, NewToken, Now, Reader, UnixTime,
};
use cap::Cap;
use http::{Request, Response};
use smol::future::{FutureExt as _, block_on, poll_once};
use tower::util::ServiceFn;
use tower::{Layer as _, Service as _, service_fn};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// The length of the secret: much longer than everything else that is allocated meanwhile.
const LONG: usize = 512 << 10;

const MINUTE: u64 = 60_000;

/// Both clocks stand still unless the test moves them. They have no ticks.
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
    /// The number of bytes allocated before.
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

    /// A reader that has lent the long token.
    fn reader(&self) -> Reader<Hand> {
        let mut reader = self.credential.reader();
        assert_eq!(reader.token().unwrap().unwrap().secret().expose().len(), LONG);
        reader
    }

    /// A service that has sent the long token.
    fn service(&self) -> Authorized {
        let arguments =
            ClientArguments::new("https://contoso.communication.azure.com", self.credential.clone()).unwrap();
        let inner: fn(Request<()>) -> Ready<Answer> = |request| {
            let header = request.headers()["authorization"].len();
            ready(Ok(Response::new(header)))
        };
        let mut service = AuthorizeLayer::without_replay(arguments).layer(service_fn(inner));
        assert_eq!(send(&mut service), Some("Bearer ".len() + LONG));
        service
    }

    fn is_kept(&self) -> bool {
        MEMORY.allocated() >= self.before + LONG
    }

    /// Polls the driver once.
    fn drive(&mut self) {
        block_on(poll_once(&mut self.driver));
    }
}

type Answer = Result<Response<usize>, Infallible>;
type Authorized = Authorize<ServiceFn<fn(Request<()>) -> Ready<Answer>>, ()>;

/// The length of the header that is sent at once, if there is a token.
fn send(service: &mut Authorized) -> Option<usize> {
    let request = Request::get("https://contoso.communication.azure.com/chat").body(()).unwrap();
    Some(block_on(poll_once(service.call(request)))?.ok()?.into_body())
}

fn hour(token: String) -> NewToken {
    NewToken::new(token).with_expires_in(Duration::from_secs(3_600))
}

/// What ends the use of a token while its reader does not look.
type Fate = (&'static str, fn(&mut Stage));

const FATES: [Fate; 3] = [
    ("replaced", |stage| {
        stage.clock.0.store(59 * MINUTE, Ordering::SeqCst);
        stage.credential.try_token().unwrap().expect("it is still good, and being renewed");
        stage.drive();
        assert_eq!(stage.credential.try_token().unwrap().unwrap().secret().expose(), "short");
    }),
    // The refresher gets the rejected token, so it is kept until the next one is accepted.
    ("rejected", |stage| {
        let token = stage.credential.try_token().unwrap().unwrap();
        stage.credential.reject(&token);
        assert!(stage.credential.try_token().unwrap().is_none());
        stage.drive();
        assert!(stage.credential.try_token().unwrap().is_some());
    }),
    ("disposed of", |stage| stage.credential.dispose()),
];

/// In each case what `make` returns keeps the secret until `let_go`, and after that nothing keeps it. The value that `let_go`
/// returns is dropped later.
fn frees<H, T>(make: impl Fn(&Stage) -> H, let_go: impl Fn(H) -> T) {
    for (fate, befall) in FATES {
        let mut stage = Stage::new();
        let holder = make(&stage);
        befall(&mut stage);
        stage.drive();
        assert!(stage.is_kept(), "{fate}: it is held");
        let left = let_go(holder);
        assert!(!stage.is_kept(), "{fate}: still in memory");
        drop(left);
    }
}

/// Fails when `release` keeps the token lent, or its snapshot.
#[test]
fn a_released_reader_frees_the_secret() {
    frees(Stage::reader, |mut reader| {
        reader.release();
        reader
    });
}

/// Fails when `look` leaks a count of the snapshot, as with `mem::forget`.
#[test]
fn a_dropped_reader_frees_the_secret() {
    frees(Stage::reader, drop);
}

/// Fails when `look` ignores that there is no snapshot, or then keeps the token that it lent before.
#[test]
fn a_reader_that_is_asked_again_frees_the_secret() {
    frees(Stage::reader, |mut reader| {
        let _ = reader.token();
        reader
    });
    frees(Stage::reader, |mut reader| {
        let _ = block_on(poll_once(reader.get_token()));
        reader
    });
}

/// Fails when `look` keeps a snapshot without a valid token, or when a clock without ticks counts as a clock that stands
/// still.
#[test]
fn a_reader_that_is_the_first_to_find_its_token_expired_frees_the_secret() {
    let mut stage = Stage::new();
    let mut reader = stage.reader();
    stage.clock.0.store(61 * MINUTE, Ordering::SeqCst);
    assert!(reader.token().unwrap().is_none());
    assert!(!stage.is_kept());
    stage.drive();
    assert_eq!(reader.token().unwrap().unwrap().secret().expose(), "short");
}

/// Fails when `release` keeps the service's token, or its reader's.
#[test]
fn a_released_service_frees_the_secret() {
    frees(Stage::service, |mut service| {
        service.release();
        service
    });
}

/// Fails when `held` goes on with the token that the service has sent.
#[test]
fn a_service_that_is_used_again_frees_the_secret() {
    frees(Stage::service, |mut service| {
        assert_ne!(send(&mut service), Some("Bearer ".len() + LONG));
        service
    });
    let mut stage = Stage::new();
    let mut service = stage.service();
    stage.clock.0.store(61 * MINUTE, Ordering::SeqCst);
    assert_eq!(send(&mut service), None);
    assert!(!stage.is_kept());
    stage.drive();
    assert_eq!(send(&mut service), Some("Bearer short".len()));
}

/// Fails when `leave` keeps the places of cancelled requests, or when the machine's queue keeps its memory.
#[test]
fn many_requests_leave_nothing_in_memory_after_their_answers() {
    let mut stage = Stage::new();
    FATES[0].1(&mut stage);
    let short = stage.credential.try_token().unwrap().unwrap();
    let calm = MEMORY.allocated();
    stage.credential.reject(&short);
    stage.clock.0.store(60 * MINUTE, Ordering::SeqCst);
    let credential = stage.credential.clone();
    let mut requests = (0..10_000).map(|_| Box::pin(credential.get_token())).collect::<Vec<_>>();
    for request in &mut requests {
        assert!(block_on(poll_once(request)).is_none());
    }
    stage.drive();
    for request in requests {
        assert_eq!(block_on(request).unwrap().secret().expose(), "short");
    }
    let left = MEMORY.allocated().saturating_sub(calm);
    assert!(left < 1_000, "{left} bytes are left of the requests");
}
