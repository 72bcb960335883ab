//! Nothing that this project allocates is freed unwiped, up to the hand-over to an HTTP client: here one of the test's own,
//! which looks at the request and lets go of it. All in one test, since the count is the process's.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};
use std::time::{Duration, Instant};

use acs_common::access_key::AccessKey;
use acs_common::connection_string::ConnectionString;
use acs_common::entra::{EntraOptions, EntraToken, Exchange, ExchangeAction, ExchangeEvent, HttpRequest, HttpResponse};
use acs_common::issuer::Issuer;
use acs_common::{
    Action, Event, Machine, Monotonic, NewToken, Now, Policy, RefresherError, UndecodableTokens, UnixTime,
};
use acs_common_driver::entra::EntraTokenRequest;
use acs_common_driver::{Clock, CommunicationTokenCredential, Driver, Spawn, SpawnError};
use acs_common_wiped::{CLAIM, CLAIM_ENCODED, ESCAPED, Looking, PLAIN, found, report};
use futures_lite::future;

#[global_allocator]
static ALLOCATOR: Looking = Looking;

const NOW: i64 = 1_700_000_000_000;

fn at(millis: u64) -> Now {
    Now::new(Monotonic::from_millis(millis), UnixTime::from_millis(NOW + millis as i64))
}

/// A text that is never freed, so the test itself is not found.
fn lasting(text: String) -> &'static str {
    text.leak()
}

struct Secrets {
    /// A token that is not a JWT.
    opaque: &'static str,
    /// One that is, with its claims in the standard alphabet.
    jwt: &'static str,
    /// The first as JSON, with each letter escaped, or each eighth.
    escaped: &'static str,
    half_escaped: &'static str,
    challenge: &'static str,
    /// Of a request to an issuer.
    bearer: &'static str,
    url: &'static str,
    /// The JWT with bytes in its payload's place that are no base64, and two texts that are no tokens.
    broken: &'static str,
    wrong: [&'static str; 2],
}

fn secrets() -> Secrets {
    let plain = PLAIN.repeat(40);
    // `{"a":"` is six bytes, so the claim is where three divides. `","exp":4102444800}` is eighteen.
    let claims = format!("eyJhIjoi{}IiwiZXhwIjo0MTAyNDQ0ODAwfQ", CLAIM_ENCODED.repeat(30));
    let jwt = lasting(format!("{plain}.{claims}.{plain}"));
    Secrets {
        opaque: lasting(plain.clone()),
        jwt,
        challenge: lasting(format!("Bearer error=\"{plain}\", error_description=\"x\"")),
        bearer: lasting(format!("Bearer {plain}")),
        url: lasting(format!("https://contoso.example/?code={plain}")),
        broken: lasting(jwt.replace("fQ.", "fQ~.")),
        wrong: [lasting(format!("\"{plain}\"")), lasting(format!("{jwt} x"))],
        escaped: lasting(ESCAPED.repeat(40)),
        half_escaped: lasting(format!("\\u0057{}", &PLAIN[1..]).repeat(40)),
    }
}

/// What a service may answer.
fn answers(secrets: &Secrets) -> Vec<&'static str> {
    let Secrets { opaque, jwt, escaped, half_escaped, .. } = secrets;
    let expires = "\"expiresOn\":\"2023-11-14T23:13:20Z\"";
    [
        format!(r#"{{"accessToken":{{"token":"{opaque}",{expires}}}}}"#),
        format!(r#"{{"accessToken":{{"token":"{jwt}"}}}}"#),
        format!(r#"{{"accessToken":{{"token":"{escaped}",{expires}}}}}"#),
        format!("\u{feff}{}", format_args!(r#"{{"\u0061ccessToken":{{"t\u006fken":"{half_escaped}","expiresOn":"{opaque}"}}}}"#)),
        format!(r#"{{"{half_escaped}":1,"accessToken":{{"{escaped}":"{escaped}","token":"{opaque}"}}}}"#),
        format!(r#"{{"accessToken":{{"token":"{opaque}\u12"}}}}"#),
        format!(r#"{{"accessToken":{{"token":"{opaque}",}}}}"#),
        format!(r#"{{"accessToken":"{opaque}"}}"#),
        format!(r#""{opaque}""#),
        format!(r#"["{opaque}"]"#),
        format!(r#"{{"error":{{"code":["{opaque}"],"message":{{"x":"{jwt}"}},"details":"{opaque}","innererror":"{jwt}"}}}}"#),
        format!(r#"{{"error":["{opaque}"],"error_description":["{jwt}"],"details":{{"x":"{jwt}"}}}}"#),
        format!(r#"{{"error":{{"code":"{opaque}","message":"no: {half_escaped}, {jwt}"}}}}"#),
        format!(
            r#"{{"error":{{"code":"x","message":"{escaped}","details":[{{"code":"{opaque}","target":"{jwt}"}}],"innererror":{{"message":"{jwt}"}}}}}}"#
        ),
        format!(r#"{{"error":"{opaque}","error_description":"{jwt}"}}"#),
        format!(r#"{{"title":"{opaque}","detail":"{half_escaped}"}}"#),
        format!("<html>{opaque}</html>"),
        format!("{opaque}{}", "x".repeat(HttpResponse::MAX_BODY)),
        String::new(),
    ]
    .map(lasting)
    .to_vec()
}

/// The client of the test. It looks at the request in both its forms, and hands the body over in one part or in many.
fn responded(request: HttpRequest, secrets: &Secrets, status: u16, body: &'static str, parts: usize) -> HttpResponse {
    assert!(request.expose_headers().any(|(_, value)| value.starts_with("Bearer ") && value.contains(PLAIN)));
    let request = http::Request::try_from(request).unwrap();
    let sent = request.headers()["authorization"].clone();
    assert!(sent.as_bytes().ends_with(PLAIN.as_bytes()) && sent.is_sensitive());
    drop(request);
    if parts == 0 {
        let response = http::Response::builder()
            .status(status)
            .header("WWW-Authenticate", http::HeaderValue::from_static(secrets.opaque))
            .header("x-ms-request-id", http::HeaderValue::from_static(secrets.jwt));
        return response.body(body.as_bytes().to_vec()).unwrap().into();
    }
    let mut response = HttpResponse::new(status)
        .with_header("Location", secrets.opaque)
        .with_header("x-ms-error-code", secrets.opaque)
        .with_header("Content-Type", secrets.jwt)
        .with_header("WWW-Authenticate", secrets.challenge);
    for part in body.as_bytes().chunks(body.len().div_ceil(parts).max(1)) {
        if !response.extend_body(part) {
            break;
        }
    }
    response
}

/// One exchange by hand, to its end, or until so many actions have been carried out.
fn exchange(secrets: &Secrets, status: u16, body: &'static str, parts: usize, most: usize) {
    let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap();
    let policy = Policy::default();
    let mut exchange = Exchange::new(options, &policy, 1);
    let mut millis = 0;
    for _ in 0..most {
        let Some(action) = exchange.poll_action() else { return };
        match action {
            ExchangeAction::AcquireEntraToken { fresh, .. } => {
                let text = if fresh { secrets.jwt } else { secrets.opaque };
                let token = match fresh {
                    true => EntraToken::new(["\t ", text, " \n"].concat()),
                    false => EntraToken::from(text),
                };
                exchange.handle(ExchangeEvent::EntraTokenReceived { token }, at(millis));
            }
            ExchangeAction::ReportSource { .. } => {
                exchange.handle(ExchangeEvent::Started { give_up: None }, at(millis))
            }
            ExchangeAction::SendRequest { request } => {
                let response = responded(request, secrets, status, body, parts);
                let _ = format!("{response:?}");
                exchange.handle(ExchangeEvent::ResponseReceived { response }, at(millis));
            }
            ExchangeAction::ScheduleTimer { at: Some(moment) } => {
                millis = moment.as_millis();
                exchange.handle(ExchangeEvent::TimeAdvanced, at(millis));
            }
            ExchangeAction::ScheduleTimer { at: None } => {}
            ExchangeAction::Finish { result: Ok(token) } => {
                let machine = Machine::<u32>::with_static_token(token, policy, at(millis));
                if let Ok(machine) = &machine
                    && let Some(token) = machine.token(at(millis))
                {
                    let _ = token.authorization().map(Clone::clone);
                }
                return;
            }
            ExchangeAction::Finish { result: Err(error) } => {
                let _ = format!("{error} {error:?}");
                return;
            }
        }
    }
}

/// One request to an issuer, after a rejection, and its response. The URL has no secret: HTTP clients copy it.
fn issued(secrets: &Secrets, status: u16, body: &'static str, parts: usize) {
    let held = NewToken::new(secrets.opaque).with_expires_in(Duration::from_secs(3_600));
    let mut machine = Machine::<u32>::new(Some(held), Policy::default(), at(0)).unwrap();
    let held = machine.token(at(0)).unwrap().clone();
    machine.handle(Event::TokenRejected { token: held }, at(1));
    machine.handle(Event::TokenRequested { waiter: 1 }, at(1));
    let Some(Action::CallRefresher { request, reason, .. }) = machine.poll_action() else { panic!("it holds no token") };
    let issuer = Issuer::post("https://contoso.example/token")
        .and_then(|issuer| issuer.with_header("Authorization", secrets.opaque))
        .and_then(|issuer| issuer.with_header("authorization", secrets.bearer))
        .and_then(|issuer| issuer.with_body("application/json", secrets.jwt))
        .and_then(|issuer| issuer.with_rejected_token_header("x-refused"))
        .unwrap()
        .with_token_field("accessToken.token");
    let response = responded(issuer.clone().request(&reason), secrets, status, body, parts);
    let event = match issuer.read(&reason, &response, at(2).unix) {
        Ok(token) => Event::TokenReceived { request, token },
        Err(error) => {
            let _ = format!("{error} {error:?} {issuer:?}");
            Event::RefreshFailed { request, error }
        }
    };
    machine.handle(event, at(2));
    drop(Issuer::get(secrets.url).unwrap().with_reason_query("why").unwrap().request(&reason));
}

/// A machine with a token of each kind, as it is given, renewed, rejected, refused and disposed.
fn machine(secrets: &Secrets) {
    let strict = Policy::builder().undecodable_tokens(UndecodableTokens::Reject).build().unwrap();
    for text in [secrets.opaque, secrets.jwt, secrets.broken] {
        for policy in [Policy::default(), strict.clone()] {
            let given = || NewToken::new(text).with_expires_in(Duration::from_secs(3_600));
            let mut machine = Machine::<u32>::new(Some(given()), policy.clone(), at(0)).unwrap();
            let held = machine.token(at(0)).unwrap().clone();
            let _ = (machine.snapshot(), held.authorization().map(Clone::clone), format!("{machine:?}"));
            machine.handle(Event::TokenRejected { token: held }, at(1));
            for (step, token) in [NewToken::new(text), NewToken::from(text).decoded(), given()].into_iter().enumerate()
            {
                machine.handle(Event::TokenRequested { waiter: 1 }, at(2_000 + step as u64 * 4_000_000));
                while let Some(action) = machine.poll_action() {
                    if let Action::CallRefresher { request, .. } = action {
                        let now = at(2_010 + step as u64 * 4_000_000);
                        let token = if step == 2 { given() } else { NewToken::new(text) };
                        machine.handle(Event::TokenReceived { request, token }, now);
                    }
                }
                drop(token);
            }
            machine.handle(Event::Disposed, at(20_000_000));
            drop(Machine::<u32>::with_static_token(NewToken::new(text), policy, at(0)));
        }
    }
    for wrong in secrets.wrong {
        let machine = Machine::<u32>::with_static_token(NewToken::new(wrong), strict.clone(), at(0));
        let _ = machine.map_err(|error| error.to_string());
    }
}

/// Connection strings and keys, good and bad.
fn keys() -> ([&'static str; 4], &'static str) {
    let key = CLAIM_ENCODED.repeat(20);
    let text = format!("endpoint=https://contoso.communication.azure.com/;accesskey={key}");
    let strings = [text.clone(), format!("\"{text};\""), format!("{text};endpoint=x"), format!("{text}!")];
    (strings.map(lasting), lasting(format!("{key}=A==")))
}

fn access_keys(strings: [&str; 4], wrong: &str) {
    for text in strings {
        let Ok(resource) = text.parse::<ConnectionString>() else { continue };
        let _ = format!("{resource:?}");
        let Ok(key) = AccessKey::from_base64(resource.access_key().expose()) else { continue };
        let url = "https://contoso.communication.azure.com/x?y=1";
        key.clone().sign("POST", url, b"{}", UnixTime::from_millis(NOW)).unwrap();
    }
    AccessKey::from_base64(wrong).unwrap_err();
}

/// The system's clocks, without sleep: nothing here waits.
#[derive(Clone)]
struct Awake(Instant);

impl Default for Awake {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Awake {
    type Sleep = future::Pending<()>;

    fn now(&self) -> Now {
        at(self.0.elapsed().as_millis() as u64)
    }

    fn sleep(&self, _: Duration) -> Self::Sleep {
        future::pending()
    }
}

/// The driver is run by hand.
impl<F> Spawn<F> for Awake {
    fn spawn(&self, _: F) -> Result<(), SpawnError> {
        Err(SpawnError::new("by hand"))
    }
}

/// What a credential does, until it is dropped.
fn used<W: acs_common_driver::parts::Work>(credential: CommunicationTokenCredential<Awake>, driver: Driver<Awake, W>) {
    let driven = async {
        driver.await;
        future::pending().await
    };
    let user = async {
        let token = credential.get_token().await?;
        let _ = (format!("{credential:?}"), token.authorization().map(Clone::clone));
        let mut reader = credential.reader();
        let _ = reader.token()?;
        credential.reject(&token);
        drop(token);
        // The next refresh comes after the minimum interval. It is dropped in the middle.
        let unfinished = credential.get_token();
        future::or(async { drop(unfinished.await) }, future::yield_now()).await;
        credential.dispose();
        Ok::<_, acs_common::Error>(())
    };
    future::block_on(future::or(user, driven)).unwrap();
}

fn credentials(secrets: &'static Secrets, answers: Vec<&'static str>) {
    for text in [secrets.opaque, secrets.jwt] {
        let refresher = move || ready(Ok::<String, Infallible>(text.to_owned()));
        let builder = acs_common_driver::Builder::new(Awake::default(), refresher);
        let (credential, driver) = builder.build().unwrap();
        used(credential, driver);
    }
    for body in answers.into_iter().take(5) {
        let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap();
        let source = |_: EntraTokenRequest| ready(Ok::<String, Infallible>(secrets.opaque.to_owned()));
        let client = move |request: HttpRequest| -> Ready<Result<HttpResponse, RefresherError>> {
            ready(Ok(responded(request, secrets, 200, body, 3)))
        };
        let builder = acs_common_driver::Builder::with_entra(Awake::default(), options, source, client);
        let (credential, driver) = builder.build().unwrap();
        used(credential, driver);
    }
}

/// Fails when any of it leaves a secret in a block that it frees. The backtrace on standard error says where.
#[test]
fn nothing_is_freed_unwiped() -> Result<(), Box<dyn Error>> {
    // The allocator sees what is dropped, what stays behind of what grows, and part of a secret.
    for (leak, seen) in [
        (|| drop(PLAIN.repeat(2)), 1),
        (|| drop(format!("{}{}", CLAIM.repeat(9), "x".repeat(4_096))), 2),
        (|| drop(CLAIM_ENCODED[3..].to_owned() + CLAIM_ENCODED), 1),
    ] as [(fn(), usize); 3]
    {
        let before = found();
        leak();
        assert!(found() >= before + seen, "the allocator does not look");
    }

    let secrets: &'static Secrets = Box::leak(Box::new(secrets()));
    let (answers, (strings, wrong)) = (answers(secrets), keys());
    let before = found();
    report();
    machine(secrets);
    assert_eq!(found(), before, "the machine");
    access_keys(strings, wrong);
    assert_eq!(found(), before, "connection string and access key");
    for (at, body) in answers.iter().enumerate() {
        for status in [200, 302, 400, 401, 503] {
            for parts in [0, 1, 7, 1_000] {
                exchange(secrets, status, body, parts, usize::MAX);
                assert_eq!(found(), before, "answer {at}, status {status}, {parts} parts");
                issued(secrets, status, body, parts);
                assert_eq!(found(), before, "of an issuer: answer {at}, status {status}, {parts} parts");
            }
            for most in 0..12 {
                exchange(secrets, status, body, 7, most);
                assert_eq!(found(), before, "answer {at}, status {status}, ended after {most} actions");
            }
        }
    }
    credentials(secrets, answers);
    assert_eq!(found(), before, "the driver");
    Ok(())
}
