//! Plays the recorded scenarios in WebAssembly, where addresses have only 32 bits. It also polls credentials by hand:
//! std has no clock and no threads there, so code that uses them panics.
//!
//! The exit status is 0, or the number of the first file that fails, or 100 and more for a credential.

use std::cell::Cell;
use std::pin::Pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use acs_common_driver::entra::{EntraOptions, EntraTokenRequest, HttpRequest, HttpResponse, SourceError};
use acs_common_driver::{Builder, Clock, Monotonic, NewToken, Now, RefresherError, UnixTime};

#[path = "../../support/mod.rs"]
mod support;

use support::{check, play, scenario};

macro_rules! scenarios {
    ($($file:literal),+ $(,)?) => { [$(include_str!(concat!("../../scenarios/", $file))),+] };
}

const SCENARIOS: [&str; 15] = scenarios![
    "default/clocks.json",
    "default/curated.json",
    "default/random.json",
    "own/clocks.json",
    "own/entra.json",
    "own/entra_exchange.json",
    "own/entra_reference.json",
    "own/entra_users.json",
    "own/failures.json",
    "own/policies.json",
    "own/rejections.json",
    "own/renewal.json",
    "own/waiting.json",
    "reference/curated.json",
    "reference/random.json",
];

fn main() -> ExitCode {
    let credentials: [fn() -> bool; 2] = [renewed_by_timer, exchanged];
    let failed = SCENARIOS.iter().zip(1..).find(|(file, _)| !has_its_timelines(file)).map(|(_, number)| number);
    let failed = failed.or_else(|| credentials.iter().zip(100..).find(|(holds, _)| !holds()).map(|(_, number)| number));
    failed.map_or(ExitCode::SUCCESS, ExitCode::from)
}

fn has_its_timelines(file: &str) -> bool {
    let Ok(scenarios) = scenario::read(file, None) else { return false };
    let agrees = |one: &scenario::Scenario| {
        let expected = one.expected.as_deref();
        expected.is_some_and(|expected| check::differences(expected, &play::timeline(one)).is_empty())
    };
    !scenarios.is_empty() && scenarios.iter().all(agrees)
}

/// Fails when the driver asks std for the time, which panics.
fn renewed_by_timer() -> bool {
    let clock = Hand::default();
    let calls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&calls);
    let refresher = move || {
        counted.set(counted.get() + 1);
        let token = NewToken::new(format!("token-{}", counted.get())).with_expires_in(Duration::from_secs(3_600));
        std::future::ready(Ok::<_, RefresherError>(token))
    };
    let built = Builder::new(clock.clone(), refresher).refresh_proactively(true).build();
    let Ok((credential, mut driver)) = built else { return false };
    let mut held = |at: u64| {
        clock.0.set(at);
        let pending = poll(&mut driver).is_pending();
        let token = credential.try_token().ok().flatten();
        pending && token.is_some_and(|token| token.secret().expose() == format!("token-{}", calls.get()))
    };
    // Ten minutes before the expiry, except for the slices of the sleep. The credential's seed changes nothing.
    held(0) && held(60_000) && calls.get() == 1 && held(3_000_000) && calls.get() == 2
}

/// Fails when a request's duration is measured although there is no clock.
fn exchanged() -> bool {
    let Ok(options) = EntraOptions::new("https://contoso.communication.azure.com") else { return false };
    let source = |_: EntraTokenRequest| std::future::ready(Ok::<_, SourceError>("eyJhbGci"));
    let client = |_: HttpRequest| {
        let body = r#"{"accessToken": {"token": "the-token", "expiresOn": "2999-01-01T00:00:00Z"}}"#;
        std::future::ready(Ok::<_, RefresherError>(HttpResponse::new(200).with_body(body.into())))
    };
    let built = Builder::with_entra(Hand::default(), options, source, client).build();
    let Ok((credential, mut driver)) = built else { return false };
    poll(&mut driver).is_pending()
        && credential.try_token().ok().flatten().is_some_and(|token| token.secret().expose() == "the-token")
}

fn poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A clock that the test sets, in milliseconds.
#[derive(Clone, Default)]
struct Hand(Rc<Cell<u64>>);

impl Clock for Hand {
    type Sleep = Until;

    fn now(&self) -> Now {
        let start = UnixTime::from_secs(1_700_000_000).as_millis();
        let unix = UnixTime::from_millis(start.saturating_add_unsigned(self.0.get()));
        Now::new(Monotonic::from_millis(self.0.get()), unix)
    }

    fn sleep(&self, duration: Duration) -> Until {
        Until { clock: self.clone(), end: self.now().monotonic.as_millis() + duration.as_millis() as u64 }
    }
}

struct Until {
    clock: Hand,
    end: u64,
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.clock.0.get() >= self.end { Poll::Ready(()) } else { Poll::Pending }
    }
}
