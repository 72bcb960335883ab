//! The exchange of Entra tokens: with a fake of the service, over TLS on loopback; or, with `--endpoint`, with the real
//! service.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use acs_common_tokio::azure::AzureTokenSource;
use acs_common_tokio::entra::{EntraOptions, EntraToken, EntraTokenRequest};
use acs_common_tokio::{
    Builder, CheckSource, CommunicationTokenCredential, Notice, Notices, Policy, ReqwestClient, Tokio,
};
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, Transport};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions, DeveloperToolsCredential};
use futures_rustls::rustls;

#[path = "../../fake_acs/mod.rs"]
mod fake_acs;
#[path = "../../logging/mod.rs"]
mod logging;

use fake_acs::{Answer, FakeAcs};

const HELP: &str = "\
Exchanges Entra tokens for access tokens of Azure Communication Services, and prints each step.

Usage: entra_exchange
         uses a fake of the service, on loopback over TLS, with users that do not exist; takes about 3 s
       entra_exchange --endpoint URL [--scope SCOPE]...
         uses the real service. The Entra token comes from AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET
         if they are set, else from the developer tools (az, azd) that you are signed in with

With AZURE_LOG_LEVEL=verbose|info|warning|error, or RUST_LOG, it logs each HTTP request to standard error.

Exit status: 0 every promise was kept; 1 a promise was broken, or there is no token; 2 wrong usage, or an endpoint or
a scope that is not valid.";

#[tokio::main]
async fn main() -> ExitCode {
    let usage = |wrong: String| {
        eprintln!("entra_exchange: {wrong}\n\n{HELP}");
        ExitCode::from(2)
    };
    let (mut endpoint, mut scopes) = (None, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--help" | "-h", _) => return ended(print(HELP).map(|()| true).map_err(Into::into)),
            ("--endpoint", Some(value)) => endpoint = Some(value),
            ("--scope", Some(value)) => scopes.push(value),
            ("--endpoint" | "--scope", None) => return usage(format!("{argument} needs a value")),
            (other, _) => return usage(format!("unknown argument {other:?}")),
        }
    }
    if let Err(wrong) = logging::init() {
        return usage(wrong);
    }
    let outcome = match endpoint {
        None if scopes.is_empty() => on_loopback().await,
        None => return usage("--scope needs --endpoint".to_owned()),
        Some(endpoint) => {
            let options = EntraOptions::new(&endpoint);
            let scoped = |options: EntraOptions| {
                if scopes.is_empty() { Ok(options) } else { options.with_scopes(scopes) }
            };
            match options.and_then(scoped) {
                Ok(options) => for_real(options).await,
                Err(wrong) => return usage(wrong.to_string()),
            }
        }
    };
    ended(outcome)
}

/// Whether every promise was kept, as an exit status.
fn ended(outcome: Result<bool, Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("entra_exchange: {error}");
            ExitCode::from(1)
        }
    }
}

/// A closed pipe is not a failure. Any other error is.
fn print(text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(io::Error::new(error.kind(), format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

async fn for_real(options: EntraOptions) -> Result<bool, Box<dyn Error>> {
    // This program enables `rustls-no-provider`, so it has to choose. An error means that it has chosen before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let credential =
        CommunicationTokenCredential::with_entra(options, AzureTokenSource::new(identity()?), ReqwestClient::new()?)
            .spawn()?;
    let token = credential.get_token().await?;
    let (bytes, life) = (token.secret().expose().len(), life(token.expires_on().as_millis()));
    print(&format!("Received an access token of {bytes} bytes, {life}."))?;
    Ok(true)
}

fn identity() -> Result<Arc<dyn TokenCredential>, Box<dyn Error>> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let names = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"];
    let [Some(tenant), Some(client), Some(secret)] = names.map(variable) else {
        return Ok(DeveloperToolsCredential::new(None)?);
    };
    let transport = Transport::new(Arc::new(reqwest::Client::builder().build()?));
    let client_options = ClientOptions { transport: Some(transport), ..ClientOptions::default() };
    let options = ClientSecretCredentialOptions { client_options };
    Ok(ClientSecretCredential::new(&tenant, client, secret.into(), Some(options))?)
}

fn life(expires_on: i64) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    let left = expires_on.saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
    format!("valid for {} min", left / 60_000)
}

/// What happens, and the promises.
struct Show {
    started: Instant,
    acs: FakeAcs,
    /// The user who is signed in.
    user: Arc<Mutex<&'static str>>,
    credential: CommunicationTokenCredential,
    promises: Vec<(bool, &'static str)>,
    tokens: usize,
    failures: usize,
}

async fn on_loopback() -> Result<bool, Box<dyn Error>> {
    let acs = FakeAcs::start()?;
    let client =
        reqwest::Client::builder().tls_backend_preconfigured(acs.trusting()).no_proxy().pool_max_idle_per_host(0);
    let client = client.redirect(reqwest::redirect::Policy::none()).build()?;
    let user = Arc::new(Mutex::new("alice"));
    let signed_in = Arc::clone(&user);
    let source = move |request: EntraTokenRequest| {
        let user = *signed_in.lock().unwrap_or_else(PoisonError::into_inner);
        let age = if request.fresh { "fresh" } else { "cached" };
        std::future::ready(Ok::<_, io::Error>(EntraToken::new(format!("entra-token-of-{user}-{age}"))))
    };
    let policy =
        Policy::builder().check_source(CheckSource::EachRequest).min_refresh_interval(Duration::ZERO).build()?;
    print(&format!("The exchange endpoint is {}, a fake. The users do not exist.\n", acs.endpoint()))?;

    let options = EntraOptions::new(&acs.endpoint())?;
    let builder = Builder::with_entra(Tokio::default(), options, source, ReqwestClient::from(client)).policy(policy);
    // Subscribe before the driver runs, so that no notice is missed.
    let (credential, driver) = builder.build()?;
    let mut notices = credential.notices();
    tokio::spawn(driver);
    let mut show =
        Show { started: Instant::now(), acs, user, credential, promises: Vec::new(), tokens: 0, failures: 0 };
    show.run(&mut notices).await;
    Ok(show.sum_up()?)
}

impl Show {
    async fn run(&mut self, notices: &mut Notices) {
        let started = matches!(notices.next().await, Some(Notice::RefreshStarted { .. }));
        let warm = started && matches!(notices.next().await, Some(Notice::TokenChanged { .. }));
        self.say("alice is signed in; her Entra token is exchanged before the first request for a token");
        self.promise(warm && self.acs.asked() == 1, "the credential gets its first token without a request");

        for _ in 0..5 {
            self.ask().await;
        }
        self.promise(self.acs.asked() == 1, "the same Entra token is exchanged only once");

        self.sign_in("bob");
        self.ask().await;
        self.promise(self.acs.asked() == 2, "another user's token is exchanged at once");

        self.say("the service is busy: it responds 429, with a Retry-After of one second");
        self.acs.then(Answer::status(429).header("Retry-After", "1"));
        self.sign_in("carol");
        let asked = Instant::now();
        self.ask().await;
        self.promise(
            asked.elapsed() >= Duration::from_secs(1) && self.acs.asked() == 4,
            "no request comes earlier than Retry-After",
        );

        self.say("the service is down: it responds 503, twice, without Retry-After");
        self.acs.then(Answer::status(503)).then(Answer::status(503));
        self.sign_in("dave");
        self.ask().await;
        self.promise(self.acs.asked() == 7, "after a temporary failure the exchange tries again");

        self.say("the service refuses the Entra token: it responds 401");
        self.acs.then(Answer::status(401));
        self.sign_in("erin");
        self.ask().await;
        self.promise(
            self.acs.asked() == 9,
            "after a 401 the source is asked for a new Entra token, which is exchanged",
        );

        self.say("the next user is not allowed to use the resource: the service responds 403");
        let body = r#"{"error":{"code":"Forbidden","message":"the user is not assigned to this resource"}}"#;
        self.acs.then(Answer::status(403).body(body));
        self.sign_in("mallory");
        let told = self.ask().await.is_some_and(|error| error.contains("403") && error.contains("not assigned"));
        self.promise(told, "the error says why, and the token of the previous user is not returned");

        self.sign_in("alice");
        let failed = self.failures;
        self.ask().await;
        self.promise(self.failures == failed, "the failure of one user does not affect another");
        self.credential.dispose();
    }

    fn sign_in(&self, user: &'static str) {
        *self.user.lock().unwrap_or_else(PoisonError::into_inner) = user;
        self.say(&format!("{user} signs in"));
    }

    /// Asks for a token. Returns the error text, if there is an error.
    async fn ask(&mut self) -> Option<String> {
        let (before, asked) = (self.acs.asked(), Instant::now());
        let answer = self.credential.get_token().await;
        let requests = self.acs.asked() - before;
        let cost = format!("after {:.2} s and {requests} requests", asked.elapsed().as_secs_f64());
        match answer {
            Ok(token) => {
                self.tokens += 1;
                self.say(&format!("  token received, {}, {cost}", life(token.expires_on().as_millis())));
                None
            }
            Err(error) => {
                self.failures += 1;
                self.say(&format!("  no token, {cost}: {error}"));
                Some(error.to_string())
            }
        }
    }

    /// Ignores an error: the summary would fail too, and reports it.
    fn say(&self, what: &str) {
        let _ = print(&format!("{:6.2} s  {what}", self.started.elapsed().as_secs_f64()));
    }

    fn promise(&mut self, kept: bool, what: &'static str) {
        self.promises.push((kept, what));
    }

    /// Whether every promise was kept.
    fn sum_up(&self) -> io::Result<bool> {
        let mut lines = vec![format!(
            "\nIn {:.1} s: {} tokens received, {} errors, {} requests to the service.\n",
            self.started.elapsed().as_secs_f64(),
            self.tokens,
            self.failures,
            self.acs.asked()
        )];
        let line = |(kept, what): &(bool, &str)| format!("  {}  {what}", if *kept { "kept  " } else { "BROKEN" });
        lines.extend(self.promises.iter().map(line));
        let kept = self.promises.iter().all(|(kept, _)| *kept);
        lines.push(format!("\n{}", if kept { "Every promise was kept." } else { "A promise was BROKEN." }));
        print(&lines.join("\n")).map(|()| kept)
    }
}
