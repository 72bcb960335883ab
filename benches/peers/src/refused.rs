//! Misfortune H: the service refuses a token that is valid. For all that attaches tokens to requests, and not only keeps them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acs_common::NewToken;
use acs_common_tokio::azure::AuthorizePolicy;
use acs_common_tokio::tower::AuthorizeLayer;
use acs_common_tokio::{AuthorizeMiddleware, ClientArguments, CommunicationTokenCredential};
use async_trait::async_trait;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::headers::{AUTHORIZATION, Headers};
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, Context, Method, Request};
use azure_core::time::OffsetDateTime;
use futures_util::future::{BoxFuture, join_all};
use http::{Extensions, Response};
use reqwest::ResponseBuilderExt as _;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use toolkit_auth::{BearerAuthAutoRefreshLayer, OAuthClientConfig, SecretString, TokenProvider};
use tower::{Layer as _, Service as _, service_fn};

use crate::issuer::{Issuer, Plan};
use crate::report::{self, Verdict};

const CALLERS: usize = 8;
const CALLS: usize = 100;
const ENDPOINT: &str = "https://contoso.communication.azure.com";
/// What a request carries, beside its authorization.
const HEADERS: [(&str, &str); 3] = [("accept", "application/json"), ("x-one", "1"), ("x-two", "2")];
const SCOPES: &[&str] = &["https://communication.azure.com/.default"];

/// Takes the tokens that were issued since the last revocation, and counts what it gets.
#[derive(Clone)]
pub struct Service(Arc<State>);

struct State {
    issuer: Issuer,
    /// The number of the first token that is still good.
    good_from: AtomicUsize,
    sends: AtomicUsize,
    /// It answers at once, and takes everything.
    is_prompt: bool,
}

impl Service {
    fn new() -> Self {
        Self::of(false)
    }

    /// Answers at once, and takes everything.
    pub fn prompt() -> Self {
        Self::of(true)
    }

    fn of(is_prompt: bool) -> Self {
        let plan = Plan::tokens_of(Duration::from_secs(3_600)).after(Duration::from_millis(20));
        let (good_from, sends) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(State { issuer: Issuer::new(plan), good_from, sends, is_prompt }))
    }

    /// The status that a request with this header gets.
    async fn answer(&self, authorization: Option<&str>) -> u16 {
        if self.0.is_prompt {
            return 200;
        }
        self.0.sends.fetch_add(1, Ordering::SeqCst);
        // So that calls are under way at the same time.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let number = authorization.and_then(|value| value.strip_prefix("Bearer eyJ")?.parse().ok());
        let is_good = number.is_some_and(|number: usize| number >= self.0.good_from.load(Ordering::SeqCst));
        if is_good { 200 } else { 401 }
    }

    fn revoke(&self) {
        self.0.good_from.store(self.0.issuer.fetches(), Ordering::SeqCst);
    }
}

/// Makes calls through a library.
pub trait Host: Send + Sync {
    /// The status that the caller sees.
    fn call(&self) -> BoxFuture<'_, Result<u16, String>>;
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn credential(issuer: &Issuer) -> Result<CommunicationTokenCredential, String> {
    let issuer = issuer.clone();
    let refresher = move || {
        let issuer = issuer.clone();
        async move {
            let issued = issuer.fetch().await?;
            Ok::<_, crate::issuer::Refused>(NewToken::new(issued.token).with_expires_in(issued.expires_in))
        }
    };
    CommunicationTokenCredential::with_refresher(refresher).spawn().map_err(words)
}

fn arguments(service: &Service) -> Result<ClientArguments, String> {
    ClientArguments::new(ENDPOINT, credential(&service.0.issuer)?).map_err(words)
}

/// A service of tower that is called by a closure.
struct Called<F>(F);

impl<F: Fn() -> BoxFuture<'static, Result<u16, String>> + Send + Sync> Host for Called<F> {
    fn call(&self) -> BoxFuture<'_, Result<u16, String>> {
        self.0()
    }
}

fn text(headers: &http::HeaderMap) -> Option<&str> {
    headers.get(http::header::AUTHORIZATION)?.to_str().ok()
}

/// The service as tower's.
macro_rules! inner {
    ($service:expr) => {{
        let service = $service.clone();
        service_fn(move |request: http::Request<()>| {
            let service = service.clone();
            async move {
                let status = service.answer(text(request.headers())).await;
                Ok::<_, toolkit_http::HttpError>(Response::builder().status(status).body(()).expect("a status"))
            }
        })
    }};
}

/// Calls this service, which is always ready.
macro_rules! called {
    ($authorized:expr) => {{
        let authorized = std::sync::Mutex::new($authorized);
        Ok(Box::new(Called(move || {
            let request = HEADERS
                .iter()
                .fold(http::Request::get(ENDPOINT), |request, (name, value)| request.header(*name, *value));
            let request = request.body(()).expect("it is valid");
            let answer = authorized.lock().expect("nothing panics").call(request);
            Box::pin(async move { Ok(answer.await.map_err(words)?.status().as_u16()) }) as BoxFuture<'static, _>
        })))
    }};
}

/// Without anything.
pub fn bare_service(service: &Service) -> Result<Box<dyn Host>, String> {
    called!(inner!(service))
}

pub fn our_layer(service: &Service) -> Result<Box<dyn Host>, String> {
    called!(AuthorizeLayer::new(arguments(service)?).layer(inner!(service)))
}

pub fn our_layer_without_replay(service: &Service) -> Result<Box<dyn Host>, String> {
    called!(AuthorizeLayer::without_replay(arguments(service)?).layer(inner!(service)))
}

pub fn gears_layer(service: &Service) -> Result<Box<dyn Host>, String> {
    let config = OAuthClientConfig {
        token_endpoint: Some(service.0.issuer.url().parse().map_err(words)?),
        client_id: "client".to_owned(),
        client_secret: SecretString::new("secret"),
        ..OAuthClientConfig::default()
    };
    let provider = TokenProvider::new(config).map_err(words)?;
    called!(BearerAuthAutoRefreshLayer::new(provider).layer(inner!(service)))
}

/// The end of a pipeline of the Azure SDK.
#[derive(Clone)]
struct Transport(Service);

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transport")
    }
}

#[async_trait]
impl Policy for Transport {
    async fn send(&self, _: &Context, request: &mut Request, _: &[Arc<dyn Policy>]) -> PolicyResult {
        // Not by name: a header that is not there would be an error with a backtrace.
        let authorization = request.headers().iter().find(|(name, _)| **name == AUTHORIZATION);
        let authorization = authorization.map(|(_, value)| value.as_str());
        let status = self.0.answer(authorization).await;
        Ok(AsyncRawResponse::from_bytes(status.into(), Headers::new(), Vec::new()))
    }
}

/// Changes nothing.
#[derive(Debug)]
struct Passes;

#[async_trait]
impl Policy for Passes {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        next[0].send(context, request, &next[1..]).await
    }
}

struct Pipeline {
    policy: Arc<dyn Policy>,
    next: [Arc<dyn Policy>; 1],
}

impl Host for Pipeline {
    fn call(&self) -> BoxFuture<'_, Result<u16, String>> {
        Box::pin(async {
            let mut request = Request::new(ENDPOINT.parse().map_err(words)?, Method::Get);
            HEADERS.iter().for_each(|(name, value)| request.insert_header(*name, *value));
            let response = self.policy.send(&Context::default(), &mut request, &self.next).await.map_err(words)?;
            Ok(response.status().into())
        })
    }
}

fn pipeline(service: &Service, policy: Arc<dyn Policy>) -> Box<dyn Host> {
    Box::new(Pipeline { policy, next: [Arc::new(Transport(service.clone()))] })
}

/// Without anything.
pub fn bare_pipeline(service: &Service) -> Result<Box<dyn Host>, String> {
    Ok(pipeline(service, Arc::new(Passes)))
}

pub fn our_policy(service: &Service) -> Result<Box<dyn Host>, String> {
    Ok(pipeline(service, Arc::new(AuthorizePolicy::new(arguments(service)?))))
}

pub fn bearer_policy(service: &Service) -> Result<Box<dyn Host>, String> {
    Ok(of_sdk(service, Arc::new(Role(service.0.issuer.clone()))))
}

fn bearer_policy_of_ours(service: &Service) -> Result<Box<dyn Host>, String> {
    Ok(of_sdk(service, Arc::new(credential(&service.0.issuer)?)))
}

fn of_sdk(service: &Service, credential: Arc<dyn TokenCredential>) -> Box<dyn Host> {
    let policy = BearerTokenAuthorizationPolicy::new(credential, SCOPES.iter().copied());
    pipeline(service, Arc::new(policy))
}

/// The issuer as a credential of the SDK.
struct Role(Issuer);

impl std::fmt::Debug for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Role")
    }
}

#[async_trait]
impl TokenCredential for Role {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let refused = |refused| azure_core::Error::new(ErrorKind::Credential, refused);
        let issued = self.0.fetch().await.map_err(refused)?;
        Ok(AccessToken::new(Secret::new(issued.token), OffsetDateTime::now_utc() + issued.expires_in))
    }
}

/// Answers in the network's place.
struct Network(Service);

#[async_trait]
impl Middleware for Network {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let status = self.0.answer(text(request.headers())).await;
        let response = Response::builder().status(status).url(request.url().clone());
        Ok(response.body(Vec::new()).expect("a status").into())
    }
}

/// What one writes: the token in a mutex; after a 401 another one, and the request once more.
struct ByHand {
    held: Mutex<Option<String>>,
    issuer: Issuer,
}

impl ByHand {
    /// Another token than this one.
    async fn token(&self, than: Option<&str>) -> reqwest_middleware::Result<String> {
        let mut held = self.held.lock().await;
        if let Some(token) = held.as_ref().filter(|token| Some(token.as_str()) != than) {
            return Ok(token.clone());
        }
        let issued = self.issuer.fetch().await.map_err(reqwest_middleware::Error::middleware)?;
        Ok(held.insert(issued.token).clone())
    }
}

#[async_trait]
impl Middleware for ByHand {
    async fn handle(
        &self,
        mut request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let again = request.try_clone();
        let token = self.token(None).await?;
        put(&mut request, &token);
        let response = next.clone().run(request, extensions).await?;
        match again {
            Some(mut again) if response.status() == 401 => {
                put(&mut again, &self.token(Some(&token)).await?);
                next.run(again, extensions).await
            }
            _ => Ok(response),
        }
    }
}

fn put(request: &mut reqwest::Request, token: &str) {
    let value = format!("Bearer {token}").parse().expect("a token is ASCII");
    request.headers_mut().insert(http::header::AUTHORIZATION, value);
}

impl Host for ClientWithMiddleware {
    fn call(&self) -> BoxFuture<'_, Result<u16, String>> {
        let headers = HEADERS
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)));
        let headers = headers.collect::<http::HeaderMap>();
        Box::pin(async { Ok(self.get(ENDPOINT).headers(headers).send().await.map_err(words)?.status().as_u16()) })
    }
}

/// Without anything.
pub fn bare_client(service: &Service) -> Result<Box<dyn Host>, String> {
    Ok(Box::new(ClientBuilder::new(reqwest::Client::new()).with(Network(service.clone())).build()))
}

fn middleware(service: &Service, first: impl Middleware) -> Box<dyn Host> {
    Box::new(ClientBuilder::new(reqwest::Client::new()).with(first).with(Network(service.clone())).build())
}

pub fn our_middleware(service: &Service) -> Result<Box<dyn Host>, String> {
    Ok(middleware(service, AuthorizeMiddleware::new(arguments(service)?)))
}

pub fn by_hand(service: &Service) -> Result<Box<dyn Host>, String> {
    Ok(middleware(service, ByHand { held: Mutex::new(None), issuer: service.0.issuer.clone() }))
}

pub type Make = fn(&Service) -> Result<Box<dyn Host>, String>;

const HOSTS: [(&str, bool, Make); 7] = [
    ("ours: tower layer", true, our_layer),
    ("ours: policy for the Azure SDK", true, our_policy),
    ("ours: middleware for reqwest", true, our_middleware),
    ("reqwest-middleware, by hand", false, by_hand),
    ("azure_core: bearer policy", false, bearer_policy),
    ("azure_core: bearer policy, with our credential", false, bearer_policy_of_ours),
    ("cf-gears-toolkit-auth: auto-refresh layer", false, gears_layer),
];

/// A host that has its first token.
pub async fn with_a_token(make: Make, service: &Service) -> Result<Arc<dyn Host>, String> {
    let host: Arc<dyn Host> = make(service)?.into();
    // cf-gears' provider gets its first token in the background.
    let mut first = host.call().await;
    for _ in 0..50 {
        if matches!(first, Ok(200)) {
            return Ok(host);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        first = host.call().await;
    }
    Err(format!("no first token: {first:?}"))
}

/// What `CALLS` calls of `CALLERS` callers cost, after the service has revoked the token.
struct Cost {
    failed: usize,
    refreshes: usize,
    sends: usize,
}

async fn refused(make: Make) -> Result<Cost, String> {
    let service = Service::new();
    let host = with_a_token(make, &service).await?;
    // Longer than our minimum interval.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let (refreshes, sends) = (service.0.issuer.fetches(), service.0.sends.load(Ordering::SeqCst));
    service.revoke();
    let (left, failed) = (Arc::new(AtomicUsize::new(CALLS)), Arc::new(AtomicUsize::new(0)));
    let callers = (0..CALLERS).map(|_| {
        let (host, left, failed) = (Arc::clone(&host), Arc::clone(&left), Arc::clone(&failed));
        tokio::spawn(async move {
            while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                if host.call().await != Ok(200) {
                    failed.fetch_add(1, Ordering::SeqCst);
                }
            }
        })
    });
    join_all(callers).await;
    Ok(Cost {
        failed: failed.load(Ordering::SeqCst),
        refreshes: service.0.issuer.fetches() - refreshes,
        sends: service.0.sends.load(Ordering::SeqCst) - sends,
    })
}

pub fn run() {
    let runtime = Runtime::new().expect("a runtime");
    println!("\n## A valid token is refused\n");
    println!(
        "H: the service revokes the token, which is valid for an hour; then {CALLS} calls of {CALLERS} callers. For all that attaches \
        tokens to requests. A refresh takes 20 ms, a request 1 ms.\n"
    );
    report::head(&["", "calls that fail", "refreshes", "sends"]);
    let mut verdicts = Vec::new();
    for (name, is_ours, make) in HOSTS {
        let Cost { failed, refreshes, sends } =
            runtime.block_on(refused(make)).unwrap_or_else(|error| panic!("{name}: {error}"));
        report::row(&[name.to_owned(), failed.to_string(), refreshes.to_string(), sends.to_string()]);
        if is_ours {
            let what = format!("H, {name}: {failed}, {refreshes}, {sends}");
            verdicts.push(Verdict { what, held: failed == 0 && refreshes == 1 && sends <= CALLS + CALLERS });
        }
    }
    report::verdicts(&verdicts);
    runtime.shutdown_background();
}
