//! A fake of the service, which records what it gets, and a credential with counted refreshes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acs_common_driver::{ClientArguments, NewToken, Policy};
use http::{Request, Response};

use crate::rt;

pub(crate) const ENDPOINT: &str = "https://contoso.communication.azure.com";

/// A request to a path of the service.
pub(crate) fn post(path: &str) -> Request<Vec<u8>> {
    Request::post(format!("{ENDPOINT}{path}")).header("x-caller", "me").body(b"hello".to_vec()).unwrap()
}

/// What the service got.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
    /// How many of its responses existed when the request came.
    pub(crate) responses_alive: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }
}

/// The response to a request, or a failure of the connection.
pub(crate) type Answer = Result<Response<Vec<u8>>, &'static str>;

pub(crate) fn status(status: u16) -> Response<Vec<u8>> {
    Response::builder().status(status).body(format!("body of {status}").into_bytes()).unwrap()
}

pub(crate) fn with(mut response: Response<Vec<u8>>, name: &'static str, value: &str) -> Response<Vec<u8>> {
    response.headers_mut().append(name, value.parse().unwrap());
    response
}

/// Counts as long as the response exists.
#[derive(Clone, Debug)]
pub(crate) struct Alive(#[expect(dead_code, reason = "it counts")] Arc<()>);

/// The responses that exist.
#[derive(Default)]
struct Living(Arc<()>);

/// A service that answers by a function.
#[derive(Clone)]
pub(crate) struct Service {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// In a box of its own, so that clones of the service do not count.
    alive: Arc<Living>,
    answer: Arc<dyn Fn(&Seen) -> Answer + Send + Sync>,
}

impl Service {
    pub(crate) fn new(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self { seen: Arc::default(), alive: Arc::default(), answer: Arc::new(answer) }
    }

    /// Answers 200 to these tokens, and 401 to all others.
    pub(crate) fn accepting(accepts: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self::new(move |seen| {
            let token = seen.authorization().and_then(|value| value.strip_prefix("Bearer "));
            Ok(status(if token.is_some_and(&accepts) { 200 } else { 401 }))
        })
    }

    pub(crate) async fn answer(&self, request: Request<Vec<u8>>) -> Answer {
        let (head, body) = request.into_parts();
        let seen = Seen {
            method: head.method.to_string(),
            url: head.uri.to_string(),
            headers: head.headers,
            body,
            responses_alive: Arc::strong_count(&self.alive.0) - 1,
        };
        self.seen.lock().unwrap().push(seen.clone());
        rt::sleep(Duration::from_millis(1)).await;
        let mut response = (self.answer)(&seen)?;
        response.extensions_mut().insert(Alive(Arc::clone(&self.alive.0)));
        Ok(response)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn sends(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The tokens that came, in their order.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let token = |seen: &Seen| seen.authorization().unwrap_or("none").trim_start_matches("Bearer ").to_owned();
        self.seen().iter().map(token).collect()
    }
}

/// How often a refresher was called.
#[derive(Clone, Default)]
pub(crate) struct Refreshes(Arc<AtomicUsize>);

impl Refreshes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A credential whose refresher brings `t1`, `t2`, …, each valid for an hour, and fails where `fails` says so.
pub(crate) fn credential(fails: impl Fn(usize) -> bool + Send + Sync + 'static) -> (rt::Credential, Refreshes) {
    // So that no test waits for the minimum interval.
    with_policy(Policy::builder().min_refresh_interval(Duration::ZERO).build().unwrap(), fails)
}

pub(crate) fn with_policy(
    policy: Policy,
    fails: impl Fn(usize) -> bool + Send + Sync + 'static,
) -> (rt::Credential, Refreshes) {
    let (refreshes, fails) = (Refreshes::default(), Arc::new(fails));
    let counted = refreshes.clone();
    let refresher = move || {
        let number = counted.0.fetch_add(1, Ordering::SeqCst) + 1;
        let fails = Arc::clone(&fails);
        async move {
            rt::sleep(Duration::from_millis(5)).await;
            let token = NewToken::new(format!("t{number}")).with_expires_in(Duration::from_secs(3_600));
            if fails(number) { Err("the issuer is down") } else { Ok(token) }
        }
    };
    (rt::Credential::with_refresher(refresher).policy(policy).spawn().unwrap(), refreshes)
}

pub(crate) fn arguments(credential: &rt::Credential) -> ClientArguments {
    ClientArguments::new(ENDPOINT, credential.clone()).unwrap()
}
