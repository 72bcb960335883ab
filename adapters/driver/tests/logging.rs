//! What the `tracing` events contain, and what they do not.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acs_common_driver::entra::{EntraOptions, EntraTokenRequest, HttpRequest, HttpResponse, SourceError};
use acs_common_driver::{Builder, NewToken, Policy, RefresherError};
use acs_common_smol::{CommunicationTokenCredential, Smol};
use futures_lite::future;
use tracing_subscriber::fmt;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged while this runs, without the spans.
fn captured(run: impl FnOnce()) -> Vec<String> {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).without_time();
    tracing::subscriber::with_default(subscriber.with_writer(move || writer.clone()).finish(), run);
    let captured = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    captured.lines().map(|line| without_spans(line.trim())).collect()
}

fn without_spans(line: &str) -> String {
    match (line.split_once(" acs.token."), line.split_once("}: acs_common")) {
        (Some((level, _)), Some((_, event))) => format!("{level} acs_common{event}"),
        _ => line.to_owned(),
    }
}

type Answer = Result<HttpResponse, RefresherError>;

const ENTRA: &str = "eyJ-the-entra-token";

/// The log of one request for a token; the service gives these answers.
fn logged(answers: impl IntoIterator<Item = Answer>) -> Vec<String> {
    logged_of(answers, || Ok(ENTRA))
}

fn logged_of(
    answers: impl IntoIterator<Item = Answer>,
    source: fn() -> Result<&'static str, SourceError>,
) -> Vec<String> {
    let mut answers = answers.into_iter().collect::<Vec<_>>().into_iter();
    let lines = captured(|| {
        let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap().with_prewarm(false);
        let client = move |_: HttpRequest| std::future::ready(answers.next().unwrap());
        let source = move |_: EntraTokenRequest| std::future::ready(source());
        let policy = Policy::builder().no_retry().build().unwrap();
        let builder = Builder::with_entra(Smol::default(), options, source, client).policy(policy).named("chat");
        let (credential, driver) = builder.build().unwrap();
        let asking = async {
            let _ = credential.get_token().await;
            credential.dispose();
            future::pending().await
        };
        future::block_on(future::or(driver, asking));
    });
    let all = lines.join("\n");
    assert!(!all.contains("entra-token") && !all.contains("Bearer"), "{all}");
    lines
}

fn of_http(lines: &[String]) -> Vec<&str> {
    lines.iter().filter(|line| line.contains(" acs_common::http: ")).map(String::as_str).collect()
}

/// The value of a field in a line.
#[track_caller]
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let (_, rest) = line.split_once(&format!(" {name}=")).unwrap_or_else(|| panic!("no {name} in {line}"));
    rest.split(' ').next().unwrap()
}

fn good() -> HttpResponse {
    let body = r#"{"accessToken": {"token": "acs-token-in-a-body", "expiresOn": "2999-01-01T00:00:00Z"}}"#;
    HttpResponse::new(200).with_header("x-ms-request-id", ENTRA).with_body(body.into())
}

/// Fails when a response is not logged, when each try is attempt 1, or when a header or a body is logged.
#[test]
fn each_request_and_response_is_logged_with_what_tells_them_apart() {
    let busy = HttpResponse::new(503).with_header("Retry-After", "0").with_body("in-a-body".into());
    let all = logged([Ok(busy), Ok(good())]);
    let lines = of_http(&all);
    let [request, response, second_request, second_response] = lines[..] else { panic!("{lines:?}") };
    let url =
        "\"https://contoso.communication.azure.com/access/entra/:exchangeAccessToken?api-version=2025-03-02-preview\"";
    for (line, attempt) in [(request, "1"), (second_request, "2")] {
        assert!(line.starts_with("INFO acs_common::http: request "), "{line}");
        assert_eq!((field(line, "method"), field(line, "url"), field(line, "attempt")), ("\"POST\"", url, attempt));
    }
    for (line, status, attempt) in [(response, "503", "1"), (second_response, "200", "2")] {
        assert!(line.starts_with("INFO acs_common::http: response "), "{line}");
        assert_eq!((field(line, "status"), field(line, "attempt")), (status, attempt));
        assert!(field(line, "duration").ends_with('s'), "{line}");
    }
    let id = field(request, "request_id");
    assert_eq!(id.len(), 38, "a GUID in quotes");
    assert!(lines.iter().all(|line| field(line, "request_id") == id), "{lines:?}");
    let all = all.join("\n");
    assert!(!all.contains("in-a-body") && !all.to_lowercase().contains("retry-after"), "{all}");
}

/// Fails when a request without a response is not logged.
#[test]
fn a_request_without_a_response_is_logged_with_the_cause() {
    let lost = || Err(RefresherError::new("connection reset by peer"));
    let lines = logged([lost(), Ok(good())]);
    let lines = of_http(&lines);
    let [_, lost, _, response] = lines[..] else { panic!("{lines:?}") };
    assert!(
        lost.starts_with("WARN acs_common::http: no complete answer from the exchange: connection reset by peer "),
        "{lost}"
    );
    assert_eq!((field(lost, "attempt"), field(response, "attempt")), ("1", "2"));
}

/// Fails when a failure is reported only to the callers.
#[test]
fn the_credentials_events_are_logged_beside_its_requests() {
    let lines = logged([Ok(good())]);
    let of_ours: Vec<_> = lines.iter().filter(|line| line.contains(" acs_common: ")).collect();
    let [refreshing, changed, disposed] = of_ours[..] else { panic!("{of_ours:?}") };
    let first = r#"credential="chat" reason="first" first="first" failures=0"#;
    assert_eq!(refreshing, &format!("DEBUG acs_common: refreshing the token {first}"));
    let (changed, took) = changed.rsplit_once(" took=").unwrap();
    assert_eq!(
        changed,
        "INFO acs_common: token changed credential=\"chat\" expires_on=2999-01-01T00:00:00Z opaque=false"
    );
    assert!(took.ends_with('s'), "{took}");
    assert_eq!(disposed, "DEBUG acs_common: credential disposed credential=\"chat\"");

    let lines = logged([Ok(HttpResponse::new(403))]);
    let failed = lines.iter().find(|line| line.starts_with("WARN acs_common: ")).unwrap();
    assert!(failed.contains("refused with status 403") && failed.contains("permanent=false"), "{failed}");

    let lines = logged_of([], || Err(SourceError::SignedOut));
    let failed = lines.iter().find(|line| line.starts_with("WARN acs_common: ")).unwrap();
    assert_eq!(field(failed, "kind"), "\"signed_out\"");
}

/// The log of a credential whose refresher gives these answers, one at each request.
fn refreshed(name: Option<&str>, answers: Vec<Result<NewToken, RefresherError>>) -> Vec<String> {
    captured(|| {
        let requests = answers.len();
        let mut answers = answers.into_iter();
        let policy = Policy::builder().no_retry().min_refresh_interval(Duration::ZERO).build().unwrap();
        let mut builder = Builder::new(Smol::default(), move || std::future::ready(answers.next().unwrap()));
        if let Some(name) = name {
            builder = builder.named(name);
        }
        let (credential, driver) = builder.policy(policy).build().unwrap();
        let asking = async {
            for _ in 0..requests {
                if let Ok(token) = credential.get_token().await {
                    credential.reject(&token);
                }
            }
        };
        future::block_on(future::or(asking, driver));
    })
}

/// An error with a cause, and that with one.
#[derive(Debug)]
struct Caused(&'static str, Option<Box<Self>>);

impl std::fmt::Display for Caused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Caused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

/// Fails when a cause is left out, or is written twice because the error before it has its text, or when an error can forge
/// a line of the log.
#[test]
fn a_failure_is_logged_with_all_its_causes_on_one_line() {
    let caused = |text, cause: Option<Caused>| Caused(text, cause.map(Box::new));
    let refused = || caused("connection refused", None);
    let connect = caused("error trying to connect", Some(caused("tcp: connection refused", Some(refused()))));
    let forging = caused("line\n2026-01-01 INFO all is well", Some(caused("\x1b[2J", None)));
    let lines = refreshed(Some("chat"), vec![Err(RefresherError::new(connect)), Err(RefresherError::new(forging))]);
    let failed: Vec<_> = lines.iter().filter(|line| line.starts_with("WARN acs_common: ")).collect();
    let [failed, forged] = failed[..] else { panic!("{lines:?}") };
    let text = "the refresher failed: error trying to connect: tcp: connection refused";
    assert!(failed.contains(&format!("acs_common: {text} credential=\"chat\" kind=\"refresh_failed\"")), "{failed}");
    let text = r"the refresher failed: line\n2026-01-01 INFO all is well: \u{1b}[2J";
    assert!(forged.contains(text), "{forged}");
}

/// Fails when the log does not say that an expiry is assumed, or says it for each token, or for one whose expiry is stated.
#[test]
fn an_opaque_token_is_logged_once_for_a_credential() {
    let opaque = || Ok(NewToken::new("opaque"));
    let stated = || Ok(NewToken::new("opaque").with_expires_in(Duration::from_secs(3_600)));
    let warned = |lines: &[String]| lines.iter().filter(|line| line.contains("expiry cannot be read")).count();
    let lines = refreshed(None, vec![stated(), opaque(), opaque(), opaque()]);
    assert_eq!(warned(&lines), 1, "{lines:#?}");
    let line = lines.iter().find(|line| line.contains("expiry cannot be read")).unwrap();
    assert!(line.starts_with("WARN") && line.contains("valid_for=600s") && !line.contains("credential="), "{line}");
    assert!(lines.iter().any(|line| line.contains("opaque=true")), "{lines:#?}");
    assert_eq!(warned(&refreshed(None, vec![stated(), stated()])), 0);

    // An initial token, too. A static one has no expiry to read.
    let lines = captured(|| {
        let pending = || std::future::pending::<Result<NewToken, RefresherError>>();
        let _ = Builder::new(Smol::default(), pending).initial_token("opaque").build().unwrap();
        let _ = CommunicationTokenCredential::with_static_token("opaque").unwrap();
    });
    assert_eq!(warned(&lines), 1, "{lines:#?}");
}

/// Fails when the log's panic reaches the code that logs: the driver, which would end; the client's call, which would
/// count as failed; or a last handle that a panic drops, which would abort the process.
#[test]
fn a_log_that_panics_does_no_harm() {
    let writer = || -> Captured { panic!("a log that panics (on purpose)") };
    let subscriber = fmt().with_max_level(tracing::Level::TRACE).with_writer(writer).finish();
    tracing::subscriber::with_default(subscriber, || {
        let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap();
        let client = |_: HttpRequest| std::future::ready(Answer::Ok(good()));
        let source = |_: EntraTokenRequest| std::future::ready(Ok::<_, SourceError>(ENTRA));
        let (credential, driver) = Builder::with_entra(Smol::default(), options, source, client).build().unwrap();
        future::block_on(future::or(
            async {
                credential.get_token().await.unwrap();
            },
            async {
                driver.await;
                panic!("the driver ended");
            },
        ));
        let last = credential;
        let dropping = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _last = last;
            std::panic::resume_unwind(Box::new("the task's own"));
        }));
        assert_eq!(dropping.unwrap_err().downcast_ref(), Some(&"the task's own"));
    });
}
