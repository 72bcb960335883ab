//! No secret shows, on any runtime. Each adapter's tests include this beside a module `rt`. Both kinds of credential run
//! on every path, and the test captures all text: `tracing` at its most detailed level (also the HTTP client's events),
//! `Debug` and `Display` of all values, and panic messages.

use std::error::Error as _;
use std::fmt::{Debug, Display};
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acs_common_driver::entra::{EntraOptions, EntraToken, EntraTokenRequest, ExchangeError, SourceError};
use acs_common_driver::issuer::{HttpRefresher, Issuer};
use acs_common_driver::tower::AuthorizeLayer;
use acs_common_driver::{CheckSource, ClientArguments, Error, FailureCause, NewToken, Policy, RefresherError};
use http::{Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::rt;

#[path = "../../../fake_acs/mod.rs"]
mod fake_acs;

use fake_acs::{Answer, FakeAcs};

const ENTRA: &str = "eyJhbGciOiJub25lIn0.Canary0Entra0Qx7vB2mZ9kL4pT8wY3nR6sD1fG5hJ0.c2lnbmF0dXJl0Canary";
const ENTRA_OPAQUE: &str = "Canary1Opaque1Ht5rE8wQ2zX6cV9bN3mK7jL1pO4iU0yT";
const ACCESS: &str = "Canary2Access2Pq4wE7rT1yU8iO5aS3dF6gH9jK2lZ0xC";
const REFRESHED: &str = "Canary3Refreshed3Mn6bV3cX8zL1kJ5hG2fD9sA4pO7iU";

const SESSION: &str = "Canary4Session4Zz9yX8wV7uT6sR5qP4oN3mL2kJ1iH0gF";
const CODE: &str = "Canary5Code5Yy8xW7vU6tS5rQ4pO3nM2lK1jI0hG9fE";
const PAYLOAD: &str = "Canary6Payload6Xx7wV6uT5sR4qP3oN2mL1kJ0iH9gF8";
const ISSUED: &str = "Canary7Issued7Ww6vU5tS4rQ3pO2nM1lK0jI9hG8fE7d";

const HELD: &str = "Canary8Held8Vv5uT4sR3qP2oN1mL0kJ9iH8gF7eD6cB5";
/// An access key, and what it decodes to: `Canary9Key9Uu4tS3rQ2pO1nM0lK9jI8`.
const KEY: &str = "Q2FuYXJ5OUtleTlVdTR0UzNyUTJwTzFuTTBsSzlqSTg=";

/// No piece of a secret of this length shows.
const PIECE: usize = 12;

/// Collects all text.
#[derive(Clone, Default)]
struct Captured {
    text: Arc<Mutex<Vec<u8>>>,
    /// What else must not show.
    signatures: Arc<Mutex<Vec<String>>>,
}

impl Captured {
    fn note(&self, what: impl Debug) {
        writeln!(self.clone(), "{what:?}").unwrap();
    }

    fn error(&self, error: &(impl Debug + Display)) {
        writeln!(self.clone(), "{error} {error:?} {error:#?}").unwrap();
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fails when a header of an authorized request is not marked as sensitive, when an error of the HTTP client shows the issuer's query, when `RefresherPanicked` repeats the panic, when `scrub` is missing, when a `Debug` of the core shows a token's
/// text, when `Trace` logs headers, or when `Authorization` is not marked as sensitive.
#[test]
fn no_piece_of_a_secret_shows() {
    let captured = Captured::default();
    let writer = captured.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
    let hooked = captured.clone();
    // The refresher's panic message is not checked; what this library does with it is.
    std::panic::set_hook(Box::new(move |panic| hooked.note(panic.location().map(ToString::to_string))));

    rt::run(async {
        plain(&captured).await;
        issuer(&captured).await;
        authorized(&captured).await;
        for check in [CheckSource::OnRefresh, CheckSource::EachRequest] {
            entra(&captured, check).await;
        }
    });
    drop(std::panic::take_hook());

    let said = String::from_utf8_lossy(&captured.text.lock().unwrap()).into_owned();
    let ours = ["an authorized request", "token changed", "refresh_failed", "request_id", "status=503", "attempt=2"];
    for expected in ours.iter().chain(rt::LOGGED_BY_CLIENT) {
        assert!(said.contains(expected), "{expected:?} was not captured, so other texts may be missing too");
    }
    let signatures = captured.signatures.lock().unwrap().clone();
    assert!(signatures.len() >= 3, "the key has signed: {}", signatures.len());
    for secret in [
        ENTRA,
        ENTRA_OPAQUE,
        ACCESS,
        REFRESHED,
        SESSION,
        CODE,
        PAYLOAD,
        ISSUED,
        HELD,
        KEY,
        "Canary9Key9Uu4tS3rQ2pO1nM0lK9jI8",
    ]
    .into_iter()
    .chain(signatures.iter().map(String::as_str))
    {
        for piece in secret.as_bytes().windows(PIECE).map(|piece| std::str::from_utf8(piece).unwrap()) {
            // The first part of every unsigned JWT is not a secret.
            if let Some(line) = said.lines().find(|line| line.contains(piece)) {
                assert!("eyJhbGciOiJub25lIn0.".contains(piece), "{piece} of {secret} shows: {line}");
            }
        }
    }
}

fn quick() -> Policy {
    let policy = Policy::builder().min_refresh_interval(Duration::ZERO).retry_initial(Duration::ZERO);
    policy.refresh_timeout(Duration::from_millis(300)).retry_max(Duration::from_millis(1)).build().unwrap()
}

async fn plain(captured: &Captured) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let refresher = move || {
        let call = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match call {
                0 => Ok(NewToken::from(REFRESHED)),
                1 => panic!("a refresher that panics over {REFRESHED}"),
                2 => Err(RefresherError::new("issuer down")),
                3 => Ok(NewToken::new(REFRESHED).with_expires_in(Duration::ZERO)),
                4 => Ok(NewToken::new(REFRESHED.repeat(1 << 15))),
                5 => std::future::pending().await,
                _ => Ok(NewToken::new(REFRESHED).with_expires_in(Duration::from_secs(60))),
            }
        }
    };
    let builder = rt::Credential::with_refresher(refresher).policy(quick()).initial_token(ACCESS);
    captured.note(&builder);
    let credential = builder.spawn().unwrap();
    let mut notices = credential.notices();
    for _ in 0..10 {
        match credential.get_token().await {
            Ok(token) => {
                captured.note((&token, token.secret(), &credential));
                credential.reject(&token);
            }
            Err(error) => {
                captured.error(&error);
                captured.note(error.source());
            }
        }
        rt::sleep(Duration::from_millis(3)).await;
    }
    captured.note(credential.try_token());
    credential.dispose();
    captured.error(&credential.get_token().await.unwrap_err());
    while let Some(notice) = notices.next().await {
        captured.note(notice);
    }
    captured.note(NewToken::from(ACCESS));
    captured.error(&rt::Credential::with_static_token("x".repeat(1 << 20)).unwrap_err());
}

/// Asks for a token, and rejects it, until each of the server's answers was heard.
async fn wear_out(captured: &Captured, credential: &rt::Credential, times: u32) {
    for _ in 0..times {
        match credential.get_token().await {
            Ok(token) => {
                captured.note((&token, credential));
                credential.reject(&token);
            }
            Err(error) => {
                captured.error(&error);
                captured.note(error.source());
                if let Error::RefreshFailed { cause: FailureCause::Refresher(reported), .. } = &error {
                    captured.note(reported.get_ref().downcast_ref::<ExchangeError>());
                    captured.error(reported);
                }
            }
        }
        credential.retry_now();
        rt::sleep(Duration::from_millis(3)).await;
    }
}

/// A server that repeats all that it is sent.
async fn issuer(captured: &Captured) {
    let acs = FakeAcs::start().unwrap();
    let all = [SESSION, CODE, PAYLOAD, ISSUED];
    let quoting = |status| {
        let [a, b, c, d] = all;
        let body = format!(r#"{{"error":{{"code":"{a}","message":"Bearer {a} code={b} '{c}' {d}","target":"{b}"}}}}"#);
        Answer::status(status).header("x-ms-error-code", b).header("x-ms-request-id", c).body(&body)
    };
    acs.then(Answer::status(200).body(&format!(r#"{{"token":"{ISSUED}","expires_in":60}}"#)))
        .then(quoting(503).header("Retry-After", "0"))
        .then(quoting(403))
        .then(quoting(200))
        .then(Answer::status(302).header("Location", &format!("https://{SESSION}/?{CODE}")))
        .then(Answer::status(200).body(&format!("{ISSUED} {SESSION}")))
        .then(Answer::status(200).broken_body(&format!(r#"{{"token":"{ISSUED}"#)))
        .then(Answer::hang_up())
        .then(Answer::never());
    let asked = Issuer::post(&format!("{}/token?code={CODE}", acs.endpoint()))
        .and_then(|issuer| issuer.with_header("Authorization", &format!("Bearer {SESSION}")))
        .and_then(|issuer| issuer.with_body("application/json", &format!(r#"{{"secret":"{PAYLOAD}"}}"#)))
        .and_then(|issuer| issuer.with_rejected_token_header("x-refused"))
        .unwrap();
    let client = rt::client(acs.trusting());
    let refresher = HttpRefresher::new(asked, client);
    captured.note(&refresher);
    let credential = rt::Credential::with_refresher(refresher).policy(quick()).spawn().unwrap();
    let mut notices = credential.notices();
    wear_out(captured, &credential, 10).await;
    assert!(acs.asked() >= 9, "{}", acs.asked());
    drop(acs);
    captured.error(&credential.get_token().await.map(drop).unwrap_err());
    credential.dispose();
    while let Some(notice) = notices.next().await {
        captured.note(notice);
    }
}

/// The authorized call, by token and by key. The service inside logs each request, as a layer for traces does, and repeats the
/// token in its challenge.
async fn authorized(captured: &Captured) {
    let noted = captured.clone();
    let service = service_fn(move |request: Request<String>| {
        tracing::debug!("an authorized request: {request:?}");
        let sent = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        // A signature can be used for some minutes.
        let signature = sent.rsplit_once("Signature=").map(|(_, signature)| signature.to_owned());
        noted.signatures.lock().unwrap().extend(signature);
        let refused =
            Response::builder().status(401).header("www-authenticate", format!("Bearer error_description=\"{sent}\""));
        let answer = match request.uri().path() {
            "/refused" => Ok(refused.body(sent.to_owned()).unwrap()),
            "/good" => Ok(Response::new(String::new())),
            _ => Err(io::Error::other("no connection")),
        };
        std::future::ready(answer)
    });
    let refresher =
        || std::future::ready(Ok::<_, RefresherError>(NewToken::new(HELD).with_expires_in(Duration::from_secs(60))));
    let credential = rt::Credential::with_refresher(refresher).policy(quick()).spawn().unwrap();
    let endpoint = "https://contoso.communication.azure.com";
    let key = format!("endpoint={endpoint}/;accesskey={KEY}");
    for arguments in [
        ClientArguments::new(endpoint, credential.clone()).unwrap(),
        ClientArguments::from_connection_string(&key).unwrap(),
    ] {
        let layer = AuthorizeLayer::new(arguments.clone()).signing();
        captured.note((&arguments, &layer));
        for path in ["/good", "/refused", "/away"] {
            let service = layer.layer(service.clone());
            captured.note(&service);
            let call = service.oneshot(Request::get(format!("{endpoint}{path}")).body(String::new()).unwrap());
            // The response is the service's own.
            if let Err(error) = call.await {
                captured.error(&error);
                captured.note(error.into_boxed());
            }
        }
    }
    credential.dispose();
    let service = AuthorizeLayer::new(ClientArguments::new(endpoint, credential).unwrap()).layer(service);
    captured.error(&service.oneshot(Request::get(endpoint).body(String::new()).unwrap()).await.map(drop).unwrap_err());
}

async fn entra(captured: &Captured, check: CheckSource) {
    let acs = FakeAcs::start().unwrap();
    let (first, last) = ENTRA_OPAQUE.split_at(ENTRA_OPAQUE.len() / 2);
    let quoting = |status| {
        let inner = format!(r#"{{"code":"{first}","message":"half: {last}"}}"#);
        let body = format!(
            r#"{{"error":{{"code":"{ENTRA}","message":"refused Bearer {ENTRA}, '{ENTRA_OPAQUE}'","target":"{ENTRA_OPAQUE}","details":[{inner}],"innererror":{inner}}}}}"#
        );
        Answer::status(status).header("x-ms-error-code", ENTRA).header("x-ms-request-id", ENTRA_OPAQUE).body(&body)
    };
    acs.then(Answer::token(ACCESS))
        .then(quoting(503).header("Retry-After", "0"))
        .then(quoting(403))
        .then(quoting(401))
        .then(quoting(401))
        .then(Answer::hang_up())
        .then(Answer::status(200).body(&format!(r#"{{"accessToken":{{"token":"{ACCESS}","expiresOn":"never"}}}}"#)))
        .then(Answer::status(200).body(&format!("{ACCESS} is no JSON")))
        .then(Answer::never());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let source = move |request: EntraTokenRequest| {
        let call = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match call {
                3 => Err(SourceError::SignedOut),
                4 => panic!("a source that panics over {ENTRA}"),
                5 => Err(SourceError::from(RefresherError::new("broker down"))),
                _ if request.fresh || call % 2 == 1 => Ok(EntraToken::new(ENTRA_OPAQUE)),
                _ => Ok(EntraToken::new(ENTRA)),
            }
        }
    };
    let client = rt::client(acs.trusting());
    let options = EntraOptions::new(&acs.endpoint()).unwrap();
    let policy = quick().to_builder().check_source(check).exchange_jitter(1.0).build().unwrap();
    let builder = rt::Credential::with_entra(options, source, client).policy(policy);
    captured.note(&builder);
    let credential = builder.spawn().unwrap();
    let mut notices = credential.notices();
    wear_out(captured, &credential, 14).await;
    credential.dispose();
    while let Some(notice) = notices.next().await {
        captured.note(notice);
    }
    captured.note(EntraToken::new(ENTRA));
}
