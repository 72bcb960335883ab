//! The `tracing` spans: of each refresh, of each of its HTTP requests, and of the program.

mod recorder;

use std::future::{Pending, pending, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use acs_common_driver::entra::{EntraOptions, EntraTokenRequest, HttpRequest, HttpResponse, SourceError};
use acs_common_driver::issuer::{HttpRefresher, Issuer};
use acs_common_driver::{
    Builder, CheckSource, Clock, CommunicationTokenCredential, Driver, Monotonic, NewToken, Now, Policy, PolicyBuilder,
    RefresherError, UnixTime, parts::Work,
};
use tracing::span::{Attributes, Id, Record};
use tracing::{Instrument as _, Metadata, Subscriber, info_span};
use tracing_core::span::Current;

use recorder::{Recorder, Seen};

const REFRESH: &str = "acs.token.refresh";
const HTTP: &str = "acs.token.http";
const HOUR: Duration = Duration::from_secs(3_600);

/// A clock that is set by hand. It wakes nothing.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Hand {
    type Sleep = Pending<()>;

    fn now(&self) -> Now {
        let elapsed = self.0.load(Ordering::SeqCst);
        let unix = UnixTime::from_millis(1_800_000_000_000 + i64::try_from(elapsed).unwrap());
        Now::new(Monotonic::from_millis(elapsed), unix)
    }

    fn sleep(&self, _: Duration) -> Pending<()> {
        pending()
    }
}

/// Runs a test with a subscriber. A test that hangs fails.
fn recorded(test: impl FnOnce(&Recorder) + Send + 'static) {
    let (sender, ended) = mpsc::channel();
    let running = thread::spawn(move || {
        let recorder = Recorder::default();
        tracing::subscriber::with_default(recorder.clone(), || test(&recorder));
        sender.send(()).unwrap();
    });
    match ended.recv_timeout(Duration::from_secs(30)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs: is the subscriber called under the lock?"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {
            running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    }
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn run<C: Clock, W: Work>(driver: &mut Driver<C, W>) {
    assert!(poll(Pin::new(driver)).is_pending());
}

/// The credential, and its driver. Every call of the subscriber looks at the credential, which needs the lock.
fn built<W: Work>(
    recorder: &Recorder,
    builder: Builder<Hand, W>,
) -> (CommunicationTokenCredential<Hand>, Driver<Hand, W>) {
    let (credential, driver) = builder.named("chat").build().unwrap();
    let looked_at = credential.clone();
    recorder.look_at(move || drop(looked_at.status()));
    (credential, driver)
}

fn policy() -> PolicyBuilder {
    Policy::builder().jitter(0.0).min_refresh_interval(Duration::from_secs(1))
}

fn an_hour(token: &str) -> Result<NewToken, RefresherError> {
    Ok(NewToken::new(token).with_expires_in(HOUR))
}

/// A refresher that first lets others run, in a span of its own.
async fn slow() -> Result<NewToken, RefresherError> {
    async {
        futures_lite::future::yield_now().await;
        an_hour("a-token")
    }
    .instrument(info_span!("the refresher's"))
    .await
}

fn refreshes(recorder: &Recorder) -> Vec<Seen> {
    recorder.named(REFRESH)
}

/// Fails when a refresh is a child of the caller's span, is linked to a later caller too, or to none; when the refresher runs
/// outside of its span; when a span stays open; or when the subscriber is called under the lock.
#[test]
fn a_refresh_is_a_root_linked_to_who_asked_first() {
    recorded(|recorder| {
        let clock = Hand::default();
        let (credential, mut driver) =
            built(recorder, Builder::new(clock.clone(), slow).policy(policy().build().unwrap()));
        let mut first = pin!(credential.get_token().instrument(info_span!("first")));
        let mut second = pin!(credential.get_token().instrument(info_span!("second")));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        // The driver's place does not matter.
        info_span!("elsewhere").in_scope(|| run(&mut driver));
        let [refresh] = &refreshes(recorder)[..] else { panic!("{:?}", recorder.all()) };
        assert_eq!((refresh.parent, &refresh.follows[..]), (None, &["first"][..]));
        let fields: Vec<_> = refresh.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(fields, [("credential", "chat"), ("trigger", "first")]);
        assert!(refresh.is_open);
        assert_eq!(recorder.named("the refresher's")[0].parent, Some(REFRESH));

        run(&mut driver);
        assert!(poll(first.as_mut()).is_ready() && poll(second.as_mut()).is_ready());
        assert_eq!(recorder.events("token changed"), [Some(REFRESH)]);
        assert_eq!(recorder.open(), ["first", "second"], "the test has these two");
    });
}

/// Fails when only a caller who starts a refresh at once counts: one waits for the minimum interval here, and another one's
/// request comes after it.
#[test]
fn a_refresh_that_had_to_wait_is_linked_to_who_asked_first() {
    recorded(|recorder| {
        let clock = Hand::default();
        let refresher = || ready(an_hour("a-token"));
        let builder = Builder::new(clock.clone(), refresher).policy(policy().build().unwrap());
        let (credential, mut driver) = built(recorder, builder);
        assert!(credential.try_token().unwrap().is_none());
        run(&mut driver);
        let token = credential.try_token().unwrap().unwrap();
        info_span!("rejects").in_scope(|| credential.reject(&token));
        let mut waits = Box::pin(credential.get_token().instrument(info_span!("waits")));
        assert!(poll(waits.as_mut()).is_pending());
        let mut joins = pin!(credential.get_token().instrument(info_span!("joins")));
        assert!(poll(joins.as_mut()).is_pending());
        run(&mut driver);
        assert_eq!(refreshes(recorder).len(), 1, "too soon");
        clock.advance(Duration::from_secs(1));
        driver.look_at_clocks();
        run(&mut driver);
        let [first, second] = &refreshes(recorder)[..] else { panic!("{:?}", recorder.all()) };
        assert_eq!((&first.follows[..], &second.follows[..]), (&[][..], &["waits"][..]));
        assert_eq!((second.parent, second.fields["trigger"].as_str()), (None, "rejected"));
        drop(waits);
        assert_eq!(recorder.open(), ["joins"]);
    });
}

/// Fails when a caller who gets the token held counts for nothing, though the request starts a refresh; when a rejection does
/// not; or when a refresh that the timer starts is linked to an earlier caller, or is a child of where the driver runs.
#[test]
fn who_gets_a_token_at_once_who_rejects_one_and_the_timer() {
    recorded(|recorder| {
        let clock = Hand::default();
        let mut number = 0;
        let refresher = move || {
            number += 1;
            ready(an_hour(&format!("token-{number}")))
        };
        let policy = policy().refresh_proactively(true).build().unwrap();
        let (credential, mut driver) = built(recorder, Builder::new(clock.clone(), refresher).policy(policy));
        run(&mut driver);
        // The timer is late, so the request starts the renewal.
        clock.advance(HOUR - Duration::from_secs(1));
        let token = info_span!("asks").in_scope(|| credential.try_token()).unwrap().unwrap();
        assert_eq!(token.secret().expose(), "token-1");
        run(&mut driver);
        clock.advance(Duration::from_secs(60));
        let token = credential.try_token().unwrap().unwrap();
        assert_eq!(token.secret().expose(), "token-2");
        info_span!("rejects").in_scope(|| credential.reject(&token));
        run(&mut driver);
        clock.advance(HOUR - Duration::from_secs(1));
        info_span!("elsewhere").in_scope(|| {
            driver.look_at_clocks();
            run(&mut driver);
        });
        let links: Vec<_> = refreshes(recorder).into_iter().map(|span| (span.parent, span.follows)).collect();
        assert_eq!(links, [(None, vec![]), (None, vec!["asks"]), (None, vec!["rejects"]), (None, vec![])]);
        assert_eq!(recorder.open(), [""; 0]);
    });
}

/// Fails when a refresh that is given up, or the driver of a credential that is gone, leaves its span open.
#[test]
fn the_span_of_a_refresh_that_is_given_up_is_closed() {
    recorded(|recorder| {
        let clock = Hand::default();
        let never = || pending::<Result<NewToken, RefresherError>>();
        let builder = Builder::new(clock.clone(), never).policy(policy().no_retry().build().unwrap());
        let (credential, mut driver) = built(recorder, builder);
        let mut asking = Box::pin(credential.get_token().instrument(info_span!("first")));
        assert!(poll(asking.as_mut()).is_pending());
        run(&mut driver);
        assert_eq!(recorder.open(), ["first", REFRESH]);
        clock.advance(Duration::from_secs(61));
        driver.look_at_clocks();
        assert!(poll(asking.as_mut()).is_ready());
        drop(asking);
        assert_eq!(recorder.open(), [""; 0]);
        assert_eq!(recorder.events("timed_out"), [Some(REFRESH)]);

        let mut asking = Box::pin(credential.get_token().instrument(info_span!("second")));
        assert!(poll(asking.as_mut()).is_pending());
        run(&mut driver);
        drop(asking);
        assert_eq!(recorder.open(), [REFRESH], "the refresh goes on");
        drop(driver);
        assert_eq!(recorder.open(), [""; 0]);

        // One that no driver has started.
        let clock = Hand::default();
        let (credential, driver) = Builder::new(clock, never).build().unwrap();
        assert!(info_span!("third").in_scope(|| credential.try_token()).unwrap().is_none());
        credential.dispose();
        assert_eq!(recorder.open(), [""; 0], "a credential that is disposed keeps nothing");
        drop((credential, driver));
    });
}

const ENTRA: &str = "eyJ-Canary-the-entra-token";
const ACCESS: &str = "Canary-the-access-token";

fn exchanged(status: u16) -> Result<HttpResponse, RefresherError> {
    let body = format!(r#"{{"accessToken": {{"token": "{ACCESS}", "expiresOn": "2999-01-01T00:00:00Z"}}}}"#);
    Ok(HttpResponse::new(status).with_header("Retry-After", "0").with_header("x-canary", ENTRA).with_body(body.into()))
}

/// Fails when a try has no span of its own, is outside of the refresh, or shows anything but its method, host, number and status;
/// when the HTTP client runs outside of it; or when the source is asked outside of the refresh.
#[test]
fn each_try_of_the_exchange_is_a_span_in_the_refresh() {
    recorded(|recorder| {
        let clock = Hand::default();
        let mut answers = [Err(RefresherError::new("connection reset")), exchanged(503), exchanged(200)].into_iter();
        let client = move |_: HttpRequest| {
            tracing::info!("sending");
            let answer = answers.next().unwrap();
            async move {
                futures_lite::future::yield_now().await;
                tracing::info!("sent");
                answer
            }
        };
        let source = |_: EntraTokenRequest| {
            tracing::info!("the source is asked");
            ready(Ok::<_, SourceError>(ENTRA))
        };
        let options =
            EntraOptions::new("https://contoso.communication.azure.com:444/Canary-path").unwrap().with_prewarm(false);
        let builder = Builder::with_entra(clock.clone(), options, source, client).policy(policy().build().unwrap());
        let (credential, mut driver) = built(recorder, builder);
        assert!(info_span!("asks").in_scope(|| credential.try_token()).unwrap().is_none());
        for _ in 0..20 {
            clock.advance(Duration::from_secs(2));
            driver.look_at_clocks();
            run(&mut driver);
        }
        assert_eq!(credential.try_token().unwrap().unwrap().secret().expose(), ACCESS);

        let [refresh] = &refreshes(recorder)[..] else { panic!("{:?}", recorder.all()) };
        assert_eq!((refresh.parent, &refresh.follows[..]), (None, &["asks"][..]));
        let tries: Vec<_> = recorder.named(HTTP).into_iter().map(|span| (span.parent, span.fields)).collect();
        let expected = [("1", None), ("2", Some("503")), ("3", Some("200"))].map(|(attempt, status)| {
            let fields = [("method", "POST"), ("host", "contoso.communication.azure.com:444"), ("attempt", attempt)];
            let fields = fields.into_iter().chain(status.map(|status| ("status", status)));
            (Some(REFRESH), fields.map(|(name, value)| (name, value.to_owned())).collect())
        });
        assert_eq!(tries, expected);
        for text in ["sending", "sent", "\"request\"", "\"response\""] {
            assert!(
                recorder.events(text).iter().all(|span| *span == Some(HTTP)),
                "{text}: {:?}",
                recorder.events(text)
            );
        }
        assert_eq!((recorder.events("sent").len(), recorder.events("\"response\"").len()), (3, 2));
        assert_eq!(recorder.events("connection reset"), [Some(HTTP)]);
        assert_eq!(recorder.events("the source is asked"), [Some(REFRESH)]);
        assert_eq!(recorder.open(), [""; 0]);
        let text = recorder.text().replace("444/Canary-path/access", "");
        assert!(!text.contains("Canary"), "{text}");
    });
}

/// Fails when each request of a credential that always asks the source has a span, when its refresh has none, or when that is
/// linked to a caller who came after the check.
#[test]
fn a_check_of_the_source_alone_has_no_span() {
    recorded(|recorder| {
        let clock = Hand::default();
        let user = Arc::new(AtomicU64::new(0));
        let current = Arc::clone(&user);
        // Another subject is another user.
        let source = move |_: EntraTokenRequest| {
            let token = ["eyJhbGciOiJub25lIn0.eyJvaWQiOiJhIn0.", "eyJhbGciOiJub25lIn0.eyJvaWQiOiJiIn0."];
            ready(Ok::<_, SourceError>(token[usize::try_from(current.load(Ordering::SeqCst)).unwrap()]))
        };
        let client = |_: HttpRequest| ready(exchanged(200));
        let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap().with_prewarm(false);
        let policy = policy().check_source(CheckSource::EachRequest).build().unwrap();
        let builder = Builder::with_entra(clock.clone(), options, source, client).policy(policy);
        let (credential, mut driver) = built(recorder, builder);
        let mut ask = |name: &'static str| {
            let mut asking = Box::pin(credential.get_token().instrument(match name {
                "one" => info_span!("one"),
                "again" => info_span!("again"),
                _ => info_span!("another user"),
            }));
            assert!(poll(asking.as_mut()).is_pending());
            run(&mut driver);
            assert!(poll(asking.as_mut()).is_ready());
        };
        ask("one");
        ask("again");
        ask("again");
        assert_eq!(refreshes(recorder).len(), 1, "{:?}", recorder.all());
        user.store(1, Ordering::SeqCst);
        clock.advance(Duration::from_secs(10));
        ask("another user");
        // The next one has to wait for the minimum interval, and another caller comes after the check.
        user.store(0, Ordering::SeqCst);
        let mut waits = Box::pin(credential.get_token().instrument(info_span!("waits")));
        assert!(poll(waits.as_mut()).is_pending());
        run(&mut driver);
        let mut later = Box::pin(credential.get_token().instrument(info_span!("later")));
        assert!(poll(later.as_mut()).is_pending());
        run(&mut driver);
        assert_eq!(refreshes(recorder).len(), 2, "too soon");
        clock.advance(Duration::from_secs(1));
        driver.look_at_clocks();
        for _ in 0..3 {
            run(&mut driver);
        }
        assert!(poll(waits.as_mut()).is_ready() && poll(later.as_mut()).is_ready());
        drop((waits, later));
        let links: Vec<_> = refreshes(recorder).into_iter().map(|span| (span.parent, span.follows)).collect();
        assert_eq!(links, [(None, vec!["one"]), (None, vec!["another user"]), (None, vec!["waits"])]);
        assert_eq!(recorder.open(), [""; 0]);
    });
}

/// Fails when the ready refresher's request has no span, or when its query, its path, a header or a body shows.
#[test]
fn the_ready_refreshers_request_is_a_span_in_the_refresh() {
    recorded(|recorder| {
        let clock = Hand::default();
        let mut answers = [Err(RefresherError::new("connection reset")), exchanged(200)].into_iter();
        let client = move |_: HttpRequest| {
            tracing::info!("sending");
            let answer = answers.next().unwrap();
            async move {
                tracing::info!("sent");
                answer.map(|_| HttpResponse::new(200).with_body(ACCESS.into()))
            }
        };
        let issuer = Issuer::post("https://contoso.example/Canary-user/token?code=Canary-code").unwrap();
        let issuer = issuer.with_header("Authorization", "Bearer Canary-session").unwrap();
        let issuer = issuer.with_body("application/json", r#"{"user": "Canary-user"}"#).unwrap();
        let builder = Builder::new(clock.clone(), HttpRefresher::new(issuer, client)).policy(policy().build().unwrap());
        let (credential, mut driver) = built(recorder, builder);
        for _ in 0..2 {
            assert!(info_span!("asks").in_scope(|| credential.try_token()).is_ok_and(|token| token.is_none()));
            run(&mut driver);
            clock.advance(Duration::from_secs(60));
        }
        assert!(credential.try_token().unwrap().is_some());
        assert_eq!(refreshes(recorder).len(), 2);
        let tries: Vec<_> = recorder.named(HTTP).into_iter().map(|span| (span.parent, span.fields)).collect();
        let expected = [None, Some("200")].map(|status| {
            let fields = [("method", "POST"), ("host", "contoso.example"), ("attempt", "1")];
            let fields = fields.into_iter().chain(status.map(|status| ("status", status)));
            (Some(REFRESH), fields.map(|(name, value)| (name, value.to_owned())).collect())
        });
        assert_eq!(tries, expected);
        for text in ["sending", "sent", "\"request\""] {
            assert_eq!(recorder.events(text), [Some(HTTP); 2], "{text}");
        }
        assert_eq!(recorder.events("no complete answer from the issuer: connection reset").first(), Some(&Some(HTTP)));
        let text = recorder.text();
        assert!(!text.contains("Canary"), "{text}");
    });
}

/// Fails when the driver that `spawn` runs is outside of the program's span, when a refresh is a child of that, or when it stays
/// open after the credential.
#[test]
fn a_spawned_driver_runs_in_the_span_of_the_program() {
    recorded(|recorder| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let builder = acs_common_tokio::CommunicationTokenCredential::with_refresher(|| ready(an_hour("a-token")));
            let credential = info_span!("the program").in_scope(|| builder.refresh_proactively(true).spawn()).unwrap();
            let mut tokens = credential.tokens();
            tokens.next().await.unwrap();
            assert_eq!(recorder.events("refreshing the token"), [Some("the program")]);
            let [refresh] = &refreshes(recorder)[..] else { panic!("{:?}", recorder.all()) };
            assert_eq!((refresh.parent, &refresh.follows[..]), (None, &[][..]));
            assert_eq!(recorder.open(), ["the program"]);
            drop(credential);
            while !recorder.open().is_empty() {
                tokio::task::yield_now().await;
            }
        });
    });
}

/// A subscriber of which this call panics. The flag says whether it has.
struct Panics(&'static str, Arc<AtomicBool>);

impl Panics {
    fn called(&self, call: &str) {
        if self.0 == call {
            self.1.store(true, Ordering::SeqCst);
            panic!("{call} (on purpose)");
        }
    }
}

impl Subscriber for Panics {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.called("new_span");
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        self.called("record");
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {
        self.called("record_follows_from");
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.called("event");
    }

    fn enter(&self, _: &Id) {
        self.called("enter");
    }

    fn exit(&self, _: &Id) {
        self.called("exit");
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.called("clone_span");
        span.clone()
    }

    fn try_close(&self, _: Id) -> bool {
        self.called("try_close");
        true
    }

    fn current_span(&self) -> Current {
        self.called("current_span");
        // The caller's, of which there is always one.
        let metadata = info_span!("the caller's").metadata().unwrap();
        Current::new(Id::from_u64(2), metadata)
    }
}

/// Fails when a panic of the subscriber reaches the caller, or ends the driver.
#[test]
fn a_subscriber_that_panics_does_no_harm() {
    let calls =
        ["new_span", "record", "record_follows_from", "enter", "exit", "clone_span", "try_close", "current_span"];
    for call in calls {
        let panicked = Arc::new(AtomicBool::new(false));
        tracing::subscriber::with_default(Panics(call, Arc::clone(&panicked)), || {
            let clock = Hand::default();
            let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap().with_prewarm(false);
            let source = |_: EntraTokenRequest| ready(Ok::<_, SourceError>(ENTRA));
            let client = |_: HttpRequest| ready(exchanged(200));
            let (credential, mut driver) = Builder::with_entra(clock, options, source, client).build().unwrap();
            assert!(credential.try_token().unwrap().is_none());
            run(&mut driver);
            assert_eq!(credential.try_token().unwrap().unwrap().secret().expose(), ACCESS, "{call}");
        });
        assert!(panicked.load(Ordering::SeqCst), "{call} was not called");
    }
}
