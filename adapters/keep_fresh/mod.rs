//! The example `keep_fresh`: all of it except the runtime's part. Each adapter's example includes this folder, so
//! that tokio and smol run the same program.
//!
//! An issuer of tokens fails on a script (`script.rs`). A resource checks the tokens (`issuer.rs`). Callers use the
//! resource all the time (`callers.rs`). Between them is one credential. The program prints what happens, counts it,
//! and checks the promises (`tally.rs`).
#![allow(unreachable_pub, reason = "one folder, included by two examples")]

mod callers;
mod device;
mod http;
mod issuer;
mod options;
mod record;
mod script;
mod tally;

use std::error::Error;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use acs_common_drawing::Fact;
use acs_common_driver::{
    Builder, Clock, CommunicationTokenCredential, NewToken, Policy, PolicyError, RefresherError, Spawn,
    UndecodableTokens,
};
use futures_lite::future;
use hyper::StatusCode;

use device::Device;
use http::{Client, Trouble};
use issuer::{Issuer, Service};
pub use options::{Options, Scenario};
use script::Script;
use tally::Tally;

/// A future that a runtime runs in the background.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the example needs from a runtime, beside what every adapter has: sockets and ctrl-c.
pub trait Runtime: Clock<Sleep: Send> + Spawn<Task> + Clone + Default + Send + Sync + 'static {
    const NAME: &'static str;
    /// The name of the example on this runtime.
    const EXAMPLE: &'static str;
    type Stream: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static;
    type Listener: Send + Sync + 'static;

    fn connect(to: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn listen(listener: TcpListener) -> io::Result<Self::Listener>;
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    /// Ready once the user presses ctrl-c.
    fn interrupted() -> impl Future<Output = ()> + Send;
}

/// How long a token is valid.
pub const LIFE: Duration = Duration::from_secs(5);
const CALLERS: u32 = 8;
/// The width of the picture in pixels, if none is given.
const WIDTH: u32 = 830;

/// Reads the arguments and runs the script; `block_on` runs a future on the runtime.
pub fn main<R: Runtime>(block_on: impl FnOnce(Pin<Box<dyn Future<Output = ExitCode>>>) -> ExitCode) -> ExitCode {
    match options::read(std::env::args().skip(1)) {
        Ok(None) => {
            say(&options::help(R::EXAMPLE));
            ExitCode::SUCCESS
        }
        Ok(Some(options)) => block_on(Box::pin(async move {
            match play::<R>(options).await {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::from(1),
                Err(error) => refuse::<R>(&format!("the example cannot continue: {error}")),
            }
        })),
        Err(wrong) => refuse::<R>(&format!("{wrong}\n\n{}", options::help(R::EXAMPLE))),
    }
}

fn refuse<R: Runtime>(wrong: &str) -> ExitCode {
    eprintln!("{}: {wrong}", R::EXAMPLE);
    ExitCode::from(2)
}

/// Prints a line. A closed standard output must not cause a panic.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Whether every promise was kept.
async fn play<R: Runtime>(options: Options) -> Result<bool, Box<dyn Error>> {
    let runtime = R::default();
    let tally = Arc::new(Tally::new(options.scenario, options.svg.is_some()));
    let issuer = Arc::new(Issuer::new(Arc::clone(&tally))?);
    let (port, resource) = (bind()?, bind()?);
    let (issuer_address, resource_address) = (port.local_addr()?, resource.local_addr()?);

    // First build, then spawn: so the first notice is not missed.
    let (credential, driver) = credential::<R>(&runtime, options.clock_ahead, issuer_address, &tally)?;
    let (notices, notices_for_script) = (credential.notices(), credential.notices());
    let script = Script::new(runtime.clone(), Arc::clone(&issuer), Arc::clone(&tally), port, notices_for_script)?;

    let performance = async {
        introduce::<R>(&options, issuer_address, resource_address);
        if let Some(seconds) = options.clock_ahead {
            tally.record.add(0, Fact::ClockSet { by: seconds.saturating_mul(1_000) });
        }
        start(&runtime, driver);
        start(&runtime, callers::narrate(runtime.clone(), notices, Arc::clone(&tally)));
        let resource = R::listen(resource)?;
        let service = Service::Resource(Arc::clone(&issuer));
        let listening = runtime.clone();
        start(&runtime, async move { match issuer::serve(&listening, &resource, service).await {} });
        for number in 1..=CALLERS {
            let (credential, tally, name) = (credential.clone(), Arc::clone(&tally), format!("caller {number}"));
            start(&runtime, callers::call(runtime.clone(), credential, resource_address, tally, name));
        }
        let (clock, watched) = (runtime.clone(), Arc::clone(&tally));
        start(&runtime, async move { watched.record.watch_clocks(&clock).await });
        script.play(&options).await
    };
    let time_is_up = async {
        match options.seconds {
            Some(seconds) => runtime.sleep(Duration::from_secs(seconds)).await,
            None => future::pending().await,
        };
        tally.tell("timer", "the time set by --seconds is over");
        Ok(())
    };
    let interrupted = async {
        R::interrupted().await;
        tally.tell("you", "press ctrl-c");
        Ok(())
    };
    // Ctrl-c comes first: its handler is in place before the first line is printed.
    let outcome: Result<(), Box<dyn Error>> = future::or(interrupted, future::or(performance, time_is_up)).await;
    tally.close();
    credential.dispose();
    tally.wait_for_all(&runtime).await;
    outcome?;
    let kept = tally.summarise();
    if let Some(file) = &options.svg {
        let title = format!("{} on {}, as it really happened", R::EXAMPLE, R::NAME);
        let name = format!("{CALLERS} callers, one credential, tokens of {} s", LIFE.as_secs());
        let picture = tally.draw(&title, &name, options.width.unwrap_or(WIDTH));
        std::fs::write(file, picture).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(kept)
}

type OnDevice<R> = CommunicationTokenCredential<Device<R>>;

/// The credential that the example shows.
fn credential<R: Runtime>(
    runtime: &R,
    clock_ahead: Option<i64>,
    issuer: SocketAddr,
    tally: &Arc<Tally>,
) -> Result<(OnDevice<R>, impl Future<Output = ()> + Send + 'static), Box<dyn Error>> {
    let tally = Arc::clone(tally);
    let refresher = move || {
        let counted = tally.refresh();
        async move {
            let _counted = counted;
            // A `Date` has whole seconds, and a token here is valid for five. So it is used only if the clock is wrong.
            fetch_token::<R>(issuer, clock_ahead.is_some()).await
        }
    };
    let device = Device::new(runtime.clone(), clock_ahead.unwrap_or_default());
    Ok(Builder::new(device, refresher).policy(policy()?).build()?)
}

/// The tokens are valid for seconds, not for an hour. So the policy's times are seconds and less.
fn policy() -> Result<Policy, PolicyError> {
    Policy::builder()
        .refresh_proactively(true)
        .refresh_window(LIFE / 2)
        .refresh_timeout(Duration::from_millis(600))
        .min_refresh_interval(Duration::from_millis(200))
        .retry_initial(Duration::from_millis(250))
        .retry_max(Duration::from_millis(500))
        .undecodable_tokens(UndecodableTokens::Reject)
        .build()
}

/// The refresher: one HTTP request. The body of the response is the token.
async fn fetch_token<R: Runtime>(issuer: SocketAddr, with_date: bool) -> Result<NewToken, RefresherError> {
    let answer = Client::<R>::new(issuer).get("/token", None).await?;
    if answer.status == StatusCode::OK {
        let token = NewToken::new(answer.body);
        return Ok(match answer.date.filter(|_| with_date) {
            Some(date) => token.with_server_time(date),
            None => token,
        });
    }
    let mut failure = RefresherError::new(Trouble::Status(answer.status));
    if let Some(delay) = answer.retry_after {
        failure = failure.with_retry_after(delay);
    }
    // The request is wrong, and the same request will fail again. The exceptions are "too slow" and "too often".
    let too_soon = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    if answer.status.is_client_error() && !too_soon.contains(&answer.status) {
        failure = failure.permanent();
    }
    Err(failure)
}

fn introduce<R: Runtime>(options: &Options, issuer: SocketAddr, resource: SocketAddr) {
    let outages = match options.scenario {
        Scenario::Outages => {
            "The issuer of the tokens fails in five ways, one after the other. The callers must not notice it."
        }
        Scenario::LongOutage => {
            "The issuer is down for longer than a token is valid. So for a while no caller can get a token."
        }
        Scenario::Calm => "Nothing fails. You can set the clock, or suspend this process.",
    };
    let clock = match options.clock_ahead {
        Some(ahead) => format!(
            "\nThe clock of the device that runs the credential is {} s {}. The refresher hands in the issuer's Date.",
            ahead.unsigned_abs(),
            if ahead < 0 { "behind" } else { "ahead" },
        ),
        None => String::new(),
    };
    say(&format!(
        "{CALLERS} callers on {} use a protected resource all the time. They share one credential, which renews its token ahead of time.\n\
        {outages}{clock}\n\
        A token is valid for {} s. The credential renews it after half of that time. Sockets, HTTP, signatures and clocks are real.\n\
        Issuer: http://{issuer}/token   Resource: http://{resource}/resource\n\n  \
        time  who         what",
        R::NAME,
        LIFE.as_secs(),
    ));
}

fn bind() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

fn start<R: Runtime>(runtime: &R, task: impl Future<Output = ()> + Send + 'static) {
    runtime.spawn(Box::pin(task)).expect("the caller is inside the runtime");
}
