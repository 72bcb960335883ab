//! The exchange of Entra tokens, seen from outside: against a fake of the service, over TLS on loopback; or, with
//! `--endpoint`, against the real one.

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

#[path = "../../fake_acs/mod.rs"]
mod fake_acs;
#[path = "../../logging/mod.rs"]
mod logging;

use fake_acs::{Answer, FakeAcs};

const HELP: &str = "\
Exchanges Entra tokens for access tokens of Azure Communication Services, and shows what happens as it happens.

Usage: entra_exchange                                   a fake of the service on loopback, in TLS that only this
                                                        program trusts, and made-up users; about 3 s
       entra_exchange --endpoint URL [--scope SCOPE]... the real service: the Entra token is got with AZURE_TENANT_ID,
                                                        AZURE_CLIENT_ID and AZURE_CLIENT_SECRET if they are set, else
                                                        from the developer tools (az, azd) you are signed in with

AZURE_LOG_LEVEL=verbose|info|warning|error, or RUST_LOG, shows each HTTP request on standard error.

Exit status: 0 every promise was kept; 1 one was broken, or there was no token; 2 usage, or an endpoint or scope that
cannot be.";

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
            ("--endpoint" | "--scope", None) => return usage(format!("{argument} takes a value")),
            (other, _) => return usage(format!("not understood: {other}")),
        }
    }
    if let Err(wrong) = logging::init() {
        return usage(wrong);
    }
    let outcome = match endpoint {
        None if scopes.is_empty() => on_loopback().await,
        None => return usage("--scope goes with --endpoint".to_owned()),
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

/// Nobody reading any more is no failure; that it cannot be written is one.
fn print(text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(io::Error::new(error.kind(), format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

async fn for_real(options: EntraOptions) -> Result<bool, Box<dyn Error>> {
    let credential =
        CommunicationTokenCredential::with_entra(options, AzureTokenSource::new(identity()?), ReqwestClient::new()?)
            .spawn()?;
    let token = credential.get_token().await?;
    let (bytes, life) = (token.secret().expose().len(), life(token.expires_on().as_millis()));
    print(&format!("An access token of {bytes} bytes, {life}."))?;
    Ok(true)
}

fn identity() -> Result<Arc<dyn TokenCredential>, Box<dyn Error>> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let names = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"];
    let [Some(tenant), Some(client), Some(secret)] = names.map(variable) else {
        return Ok(DeveloperToolsCredential::new(None)?);
    };
    let transport = Transport::new(Arc::new(reqwest::Client::from(ReqwestClient::new()?)));
    let client_options = ClientOptions { transport: Some(transport), ..ClientOptions::default() };
    let options = ClientSecretCredentialOptions { client_options };
    Ok(ClientSecretCredential::new(&tenant, client, secret.into(), Some(options))?)
}

fn life(expires_on: i64) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    let left = expires_on.saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
    format!("good for {} min", left / 60_000)
}

/// What is seen, and what was to be.
struct Show {
    started: Instant,
    acs: FakeAcs,
    /// Who is signed in.
    user: Arc<Mutex<&'static str>>,
    credential: CommunicationTokenCredential,
    promises: Vec<(bool, &'static str)>,
    tokens: usize,
    failures: usize,
}

async fn on_loopback() -> Result<bool, Box<dyn Error>> {
    let acs = FakeAcs::start()?;
    let client = reqwest::Client::builder().tls_backend_preconfigured(acs.trusting()).no_proxy();
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
    print(&format!("The exchange endpoint is {}, a fake; so are the users.\n", acs.endpoint()))?;

    let options = EntraOptions::new(&acs.endpoint())?;
    let builder = Builder::with_entra(Tokio::default(), options, source, ReqwestClient::from(client)).policy(policy);
    // Listening before anything happens.
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
        let warm = matches!(notices.next().await, Some(Notice::TokenChanged { .. }));
        self.say("alice is signed in; before anybody asked, her Entra token has been exchanged");
        self.promise(warm && self.acs.asked() == 1, "the credential warms up by itself");

        for _ in 0..5 {
            self.ask().await;
        }
        self.promise(self.acs.asked() == 1, "the same Entra token is exchanged once");

        self.sign_in("bob");
        self.ask().await;
        self.promise(self.acs.asked() == 2, "another user's token is exchanged at once");

        self.say("the service is busy: it answers 429, and asks to be left alone for a second");
        self.acs.then(Answer::status(429).header("Retry-After", "1"));
        self.sign_in("carol");
        let asked = Instant::now();
        self.ask().await;
        self.promise(asked.elapsed() >= Duration::from_secs(1) && self.acs.asked() == 4, "Retry-After is kept");

        self.say("the service is down: it answers 503, twice, without a hint");
        self.acs.then(Answer::status(503)).then(Answer::status(503));
        self.sign_in("dave");
        self.ask().await;
        self.promise(self.acs.asked() == 7, "what may pass is tried again");

        self.say("the service does not like the Entra token: it answers 401");
        self.acs.then(Answer::status(401));
        self.sign_in("erin");
        self.ask().await;
        self.promise(self.acs.asked() == 9, "after a 401 the source is asked for a fresh token, which is exchanged");

        self.say("the next user may not use the resource: it answers 403");
        let body = r#"{"error":{"code":"Forbidden","message":"the user is not assigned to this resource"}}"#;
        self.acs.then(Answer::status(403).body(body));
        self.sign_in("mallory");
        let told = self.ask().await.is_some_and(|error| error.contains("403") && error.contains("not assigned"));
        self.promise(told, "a refusal says why, and the user before is not served in place of this one");

        self.sign_in("alice");
        let failed = self.failures;
        self.ask().await;
        self.promise(self.failures == failed, "what failed for one user does not count against another");
        self.credential.dispose();
    }

    fn sign_in(&self, user: &'static str) {
        *self.user.lock().unwrap_or_else(PoisonError::into_inner) = user;
        self.say(&format!("{user} signs in"));
    }

    /// Asks for a token; why there is none, if there is none.
    async fn ask(&mut self) -> Option<String> {
        let (before, asked) = (self.acs.asked(), Instant::now());
        let answer = self.credential.get_token().await;
        let requests = self.acs.asked() - before;
        let cost = format!("after {:.2} s and {requests} requests", asked.elapsed().as_secs_f64());
        match answer {
            Ok(token) => {
                self.tokens += 1;
                self.say(&format!("  a token, {}, {cost}", life(token.expires_on().as_millis())));
                None
            }
            Err(error) => {
                self.failures += 1;
                self.say(&format!("  none, {cost}: {error}"));
                Some(error.to_string())
            }
        }
    }

    /// What cannot be written now cannot be at the end either, which says so.
    fn say(&self, what: &str) {
        let _ = print(&format!("{:6.2} s  {what}", self.started.elapsed().as_secs_f64()));
    }

    fn promise(&mut self, kept: bool, what: &'static str) {
        self.promises.push((kept, what));
    }

    /// Whether every promise was kept.
    fn sum_up(&self) -> io::Result<bool> {
        let mut lines = vec![format!(
            "\nIn {:.1} s: {} tokens given out, {} failures told, {} requests to the service.\n",
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
