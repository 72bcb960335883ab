//! Credentials of Entra users, and the ready refresher, over real HTTPS with a fake of the service. Each adapter's tests include this suite beside
//! a module `rt` for the runtime (`Clock`, `Client`, `client`, `system_client`, `PROXIES`,
//! `OPENSSL`, `run`).

mod bodies;
mod clocks;
mod ending;
mod exchange;
mod issuer;
mod proxies;
mod refusals;
mod transport;

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acs_common_driver::entra::{
    EntraOptions, EntraToken, EntraTokenRequest, EntraTokenSource, ErrorResponse, ExchangeError, SourceError,
};
use acs_common_driver::parts::Work;
use acs_common_driver::{
    Builder, Clock, CommunicationTokenCredential, Driver, Error, FailureCause, Monotonic, Notice, Notices, Now, Policy,
    PolicyBuilder, RefresherError, Spawn, SpawnError,
};
use smol::channel::{Receiver, Sender, unbounded};

use super::rt;

#[path = "../../../fake_acs/mod.rs"]
mod fake_acs;
#[path = "../../../../tests/support/fake_clock.rs"]
mod fake_clock;

use fake_acs::FakeAcs;

/// The next notice that is not of the start of a refresh.
async fn result_of<C: Clock>(notices: &mut Notices<C>) -> Option<Notice> {
    loop {
        let notice = notices.next().await;
        if !matches!(notice, Some(Notice::RefreshStarted { .. })) {
            return notice;
        }
    }
}

/// The runtime's clocks, except for the pauses between tries, the minimum interval and other short waits: these end at
/// once, and the clock moves forward by their length. Timeouts and calls take their real time.
#[derive(Clone, Default)]
struct Hurried {
    clock: rt::Clock,
    skipped: Arc<AtomicU64>,
}

/// Sleeps of this length are timeouts, not pauses.
const NO_PAUSE: Duration = Duration::from_secs(20);

impl Hurried {
    /// The total length of all pauses so far.
    fn skipped(&self) -> Duration {
        Duration::from_millis(self.skipped.load(Ordering::SeqCst))
    }
}

impl Clock for Hurried {
    type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn now(&self) -> Now {
        let Now { monotonic, unix, .. } = self.clock.now();
        let monotonic = Monotonic::from_millis(monotonic.as_millis() + self.skipped.load(Ordering::SeqCst));
        Now::new(monotonic, unix)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        if duration < NO_PAUSE {
            self.skipped.fetch_add(duration.as_millis() as u64, Ordering::SeqCst);
            return Box::pin(std::future::ready(()));
        }
        let sleep = self.clock.sleep(duration);
        Box::pin(async move {
            sleep.await;
        })
    }
}

impl<F> Spawn<F> for Hurried
where
    rt::Clock: Spawn<F>,
{
    fn spawn(&self, driver: F) -> Result<(), SpawnError> {
        self.clock.spawn(driver)
    }
}

/// A source of Entra tokens. The test can change its user, and sees its requests.
#[derive(Clone)]
struct Source {
    token: Arc<Mutex<&'static str>>,
    /// What it returns for requests for fresh tokens, in this order.
    fresh: Vec<&'static str>,
    asking: Sender<EntraTokenRequest>,
    asked: Receiver<EntraTokenRequest>,
}

const ENTRA: &str = "the-entra-token";

impl Source {
    fn new() -> Self {
        let (asking, asked) = unbounded();
        Self { token: Arc::new(Mutex::new(ENTRA)), fresh: Vec::new(), asking, asked }
    }

    fn sign_in(&self, token: &'static str) {
        *self.token.lock().unwrap() = token;
    }

    /// Waits for the next request to the source.
    async fn asked(&self) -> EntraTokenRequest {
        self.asked.recv().await.unwrap()
    }
}

impl EntraTokenSource for Source {
    type Future = std::future::Ready<Result<EntraToken, SourceError>>;

    fn entra_token(&mut self, request: EntraTokenRequest) -> Self::Future {
        let fresh = request.fresh && !self.fresh.is_empty();
        let token = if fresh { self.fresh.remove(0) } else { *self.token.lock().unwrap() };
        self.asking.try_send(request).unwrap();
        std::future::ready(Ok(token.into()))
    }
}

/// A credential with its source and service.
struct Stage {
    acs: FakeAcs,
    source: Source,
    clock: Hurried,
    credential: CommunicationTokenCredential<Hurried>,
}

/// No minimum interval and no backoff, because these tests are about the exchange.
fn policy() -> PolicyBuilder {
    Policy::builder().min_refresh_interval(Duration::ZERO).seed(1)
}

fn options(acs: &FakeAcs) -> EntraOptions {
    EntraOptions::new(&acs.endpoint()).unwrap().with_prewarm(false)
}

/// The credential asks for nothing before the test does.
fn stage(acs: FakeAcs) -> Stage {
    stage_with(acs, policy().build().unwrap())
}

fn stage_with(acs: FakeAcs, policy: Policy) -> Stage {
    let (options, client) = (options(&acs), rt::client(acs.trusting()));
    stage_of(acs, options, Source::new(), client, policy)
}

fn stage_of(acs: FakeAcs, options: EntraOptions, source: Source, client: rt::Client, policy: Policy) -> Stage {
    let clock = Hurried::default();
    let credential = spawn(Builder::with_entra(clock.clone(), options, source.clone(), client).policy(policy));
    Stage { acs, source, clock, credential }
}

fn spawn<C, W>(builder: Builder<C, W>) -> CommunicationTokenCredential<C>
where
    C: Clock + Spawn<Driver<C, W>> + Clone,
    W: Work,
{
    builder.spawn().unwrap()
}

impl Stage {
    async fn token(&self) -> String {
        self.credential.get_token().await.unwrap().secret().expose().to_owned()
    }

    async fn error(&self) -> Error {
        self.credential.get_token().await.unwrap_err()
    }
}

#[track_caller]
fn cause(error: &Error) -> &RefresherError {
    match error {
        Error::RefreshFailed { cause: FailureCause::Refresher(error), .. } => error,
        other => panic!("not an error of the exchange: {other:?}"),
    }
}

/// The error of the exchange.
#[track_caller]
fn exchange_error(error: &Error) -> &ExchangeError {
    cause(error).get_ref().downcast_ref().expect("the exchange's own error")
}

#[track_caller]
fn refused(error: &Error) -> &ErrorResponse {
    match exchange_error(error) {
        ExchangeError::Refused(response) => response,
        other => panic!("not refused: {other:?}"),
    }
}
