//! The cases whose instructions `.ci/counts` counts. `counted` lists the cases; `counted CASE` runs a case a thousand times.
//!
//! The inputs of a case are made before [`a_thousand_times`]. Values that it makes are dropped after it.

use std::future::Ready;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use acs_common::entra::{EntraOptions, EntraToken, ExchangeAction, ExchangeEvent, HttpResponse};
use acs_common::{Event, Machine, NewToken, Now, Policy, RequestId, UnixTime};
use acs_common_benches::authorized::{Inner, layered, request};
use acs_common_benches::{at, drain, get, jwt, lasting, machine, on_smol, on_tokio, refresher};
use acs_common_driver::{Builder, Clock, CoarseClock, CommunicationTokenCredential, Reader, Token};
use tower_service::Service as _;

#[allow(dead_code, unreachable_pub, reason = "the core's tests use all of it")]
#[path = "../../../tests/support/credential.rs"]
mod credential;

use credential::{Credential, ToDo};

const TIMES: usize = 1_000;

/// callgrind counts only inside this function; it knows its name.
#[inline(never)]
fn a_thousand_times<T>(inputs: Vec<T>, mut work: impl FnMut(T)) {
    for input in inputs {
        work(black_box(input));
    }
}

fn repeat(mut work: impl FnMut()) {
    a_thousand_times(vec![(); TIMES], |()| work());
}

const CASES: &[(&str, fn())] = &[
    ("get_token_on_smol", get_token_on_smol),
    ("get_token_on_tokio", get_token_on_tokio),
    ("header_of_get_token", header_of_get_token),
    ("reader_token", reader_token),
    ("reader_header", reader_header),
    ("reader_token_after_a_tick", reader_token_after_a_tick),
    ("authorized_call", authorized_call),
    ("machine_request", machine_request),
    ("machine_refresh", machine_refresh),
    ("entra_refresh", entra_refresh),
    ("accept_jwt", accept_jwt),
    ("accept_with_expiry", accept_with_expiry),
];

fn main() {
    let Some(wanted) = std::env::args().nth(1) else {
        CASES.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let (_, run) = CASES.iter().find(|(name, _)| *name == wanted).expect("a case");
    run();
}

/// A clock that stands still except for its ticks. A real clock's ticks would depend on the speed of the machine.
struct Still {
    ticking: bool,
    ticks: AtomicU64,
}

impl Clock for Still {
    type Sleep = Ready<()>;

    fn now(&self) -> Now {
        at(1_000)
    }

    fn sleep(&self, _: Duration) -> Ready<()> {
        std::future::ready(())
    }

    fn coarse_clock(&self) -> Option<impl CoarseClock> {
        Some(self)
    }
}

impl CoarseClock for &Still {
    fn now_at_latest(&self) -> Now {
        at(1_000)
    }

    fn tick(&self) -> u64 {
        if self.ticking {
            self.ticks.store(self.ticks.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        self.ticks.load(Ordering::Relaxed)
    }
}

fn get_token_on_smol() {
    let credential = on_smol();
    repeat(|| drop(black_box(get(&credential))));
}

fn get_token_on_tokio() {
    let (_runtime, credential) = on_tokio();
    repeat(|| drop(black_box(get(&credential))));
}

fn header_of_get_token() {
    let credential = on_smol();
    repeat(|| drop(black_box(get(&credential).authorization().expect("a JWT").clone())));
}

/// A credential and its driver. No renewal is due, so the driver does not need to run.
fn still(ticking: bool) -> (CommunicationTokenCredential<Still>, impl Sized) {
    let clock = Still { ticking, ticks: 0.into() };
    Builder::new(clock, refresher).initial_token(lasting()).build().expect("a good token")
}

fn with_reader(ticking: bool, work: impl FnOnce(Reader<Still>)) {
    let (credential, _driver) = still(ticking);
    let mut reader = credential.reader();
    assert!(reader.token().expect("no failure").is_some());
    work(reader);
}

fn lend(reader: &mut Reader<Still>) -> &Token {
    reader.token().expect("no failure").expect("there is a valid token")
}

fn reader_token() {
    with_reader(false, |mut reader| repeat(|| _ = black_box(lend(&mut reader))));
}

fn reader_token_after_a_tick() {
    with_reader(true, |mut reader| repeat(|| _ = black_box(lend(&mut reader))));
}

fn reader_header() {
    with_reader(false, |mut reader| repeat(|| _ = black_box(lend(&mut reader).authorization().expect("a JWT"))));
}

/// The second call makes the reader, so that is not counted.
fn authorized_call() {
    let (credential, _driver) = still(false);
    let mut service = layered(credential, Inner::LEAKING);
    let mut call = |request| {
        let answer = pin!(service.call(request)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(black_box(answer).is_ready(), "the service answers at once");
    };
    call(request());
    call(request());
    a_thousand_times((0..TIMES).map(|_| request()).collect(), call);
}

fn machine_request() {
    let mut machine = machine(lasting());
    repeat(|| {
        machine.handle(Event::TokenRequested { waiter: 1 }, at(1_000));
        assert_eq!(drain(&mut machine), None);
    });
}

/// The token held has expired: request, call, token received, answer, timer. The policy is proactive, so that the timer is
/// set.
fn machine_refresh() {
    let policy = Policy::builder().refresh_proactively(true).build().expect("a good policy");
    let mut machine = Machine::<u32>::new(Some(living_an_hour()), policy, at(0)).expect("a good token");
    let mut now = 0;
    drain(&mut machine);
    a_thousand_times((0..TIMES).map(|_| living_an_hour()).collect(), |token| {
        now += 4_000_000;
        machine.handle(Event::TokenRequested { waiter: 1 }, at(now));
        let request = drain(&mut machine).expect("a call");
        machine.handle(Event::TokenReceived { request, token }, at(now + 1));
        assert_eq!(drain(&mut machine), None);
    });
}

fn living_an_hour() -> NewToken {
    NewToken::new(jwt()).with_expires_in(Duration::from_secs(3_600))
}

/// The same with the exchange of an Entra token; the response is made before.
fn entra_refresh() {
    let options = EntraOptions::new("https://contoso.communication.azure.com").expect("a good endpoint");
    let mut credential = Credential::<u32>::of_entra_user(options.with_prewarm(false), Policy::default(), at(0));
    let entra = || EntraToken::new("an-Entra-token").with_expires_on(UnixTime::from_secs(32_503_680_000));
    let body = format!(r#"{{"accessToken": {{"token": "{}", "expiresOn": "3000-01-01T00:00:00.0+00:00"}}}}"#, jwt());
    let response = || HttpResponse::new(200).with_body(body.clone().into_bytes());
    let mut now = 0;
    a_thousand_times((0..TIMES).map(|_| (entra(), response())).collect(), |(token, response)| {
        // So late that the rejection does not belong to a streak.
        now += 1_000_000;
        if let Some(held) = credential.machine.token(at(now)).cloned() {
            credential.handle(Event::TokenRejected { token: held }, at(now));
        }
        credential.handle(Event::TokenRequested { waiter: 1 }, at(now));
        let request = drain_entra(&mut credential, at(now)).expect("the source is asked");
        credential.tell_exchange(request, ExchangeEvent::EntraTokenReceived { token }, at(now));
        let request = drain_entra(&mut credential, at(now)).expect("the service is asked");
        credential.tell_exchange(request, ExchangeEvent::ResponseReceived { response }, at(now));
        assert_eq!(drain_entra(&mut credential, at(now)), None);
    });
}

fn drain_entra(credential: &mut Credential<u32>, now: Now) -> Option<RequestId> {
    let mut called = None;
    while let Some(to_do) = credential.poll(now) {
        if let ToDo::Exchange(request, ExchangeAction::AcquireEntraToken { .. } | ExchangeAction::SendRequest { .. }) =
            &to_do
        {
            called = Some(*request);
        }
        black_box(to_do);
    }
    called
}

fn accept_jwt() {
    accept((0..TIMES).map(|_| NewToken::new(jwt())).collect());
}

fn accept_with_expiry() {
    accept((0..TIMES).map(|_| lasting()).collect());
}

/// The machines are kept, so that wiping their tokens is not counted.
fn accept(tokens: Vec<NewToken>) {
    let mut machines = Vec::with_capacity(TIMES);
    a_thousand_times(tokens, |token| machines.push(machine(token)));
}
