//! Fakes of two services of Azure: Identity, which issues tokens to those who sign with the key, and Chat, which takes messages
//! from those who have a token.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use acs_common::access_key::AccessKey;
use acs_common::call::CallResponse;
use async_channel::Sender;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Identity {
    address: SocketAddr,
    state: Arc<Mutex<Issued>>,
}

#[derive(Default)]
struct Issued {
    endpoint: String,
    first_key_is_revoked: bool,
    valid: HashSet<String>,
    count: usize,
    wrong_signatures: usize,
}

impl Identity {
    const FIRST_KEY: &str = "cHJpbWFyeSBrZXkgb2YgdGhlIGV4YW1wbGU=";
    pub(crate) const SECOND_KEY: &str = "c2Vjb25kYXJ5IGtleSBvZiB0aGUgZXhhbXBsZQ==";

    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Issued { endpoint: format!("http://{address}"), ..Issued::default() };
        let state = Arc::new(Mutex::new(state));
        let router = Router::new().fallback(issue).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, state })
    }

    /// As the Azure portal shows it.
    pub(crate) fn connection_string(&self) -> String {
        format!("endpoint=http://{}/;accesskey={}", self.address, Self::FIRST_KEY)
    }

    pub(crate) fn revoke_first_key(&self) {
        lock(&self.state).first_key_is_revoked = true;
    }

    pub(crate) fn revoke_tokens(&self) {
        lock(&self.state).valid.clear();
    }

    pub(crate) fn issued(&self) -> usize {
        lock(&self.state).count
    }

    pub(crate) fn refused(&self) -> usize {
        lock(&self.state).wrong_signatures
    }
}

async fn issue(
    State(state): State<Arc<Mutex<Issued>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut state = lock(&state);
    let keys = [Identity::FIRST_KEY, Identity::SECOND_KEY];
    let keys = keys.iter().skip(usize::from(state.first_key_is_revoked));
    let is_signed = keys.filter_map(|key| AccessKey::from_base64(key).ok()).any(|key| {
        let header = |name: &str| headers.get(name).map(|value| value.as_bytes());
        let date = CallResponse::new(200).with_date(header("x-ms-date").unwrap_or_default()).date();
        let Some(date) = date else { return false };
        let signed = key.sign(method.as_str(), &format!("{}{uri}", state.endpoint), &body, date);
        signed.is_ok_and(|signed| header("authorization") == Some(signed.authorization().as_bytes()))
    });
    if !is_signed {
        state.wrong_signatures += 1;
        return StatusCode::UNAUTHORIZED.into_response();
    }
    state.count += 1;
    let token = format!("chat-token-{}", state.count);
    state.valid.insert(token.clone());
    let in_an_hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() + 3_600;
    let expires_on = i64::try_from(in_an_hour).ok().and_then(|secs| chrono::DateTime::from_timestamp(secs, 0));
    let expires_on = expires_on.unwrap_or_default().format("%FT%TZ");
    ([("content-type", "application/json")], format!(r#"{{"token":"{token}","expiresOn":"{expires_on}"}}"#))
        .into_response()
}

pub(crate) struct Chat {
    address: SocketAddr,
    state: Arc<Taken>,
    running: Mutex<Option<Running>>,
}

struct Running {
    /// Dropped to stop it.
    stop: Sender<()>,
    serving: JoinHandle<io::Result<()>>,
}

struct Taken {
    identity: Arc<Mutex<Issued>>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// How often each message came.
    messages: HashMap<Bytes, usize>,
    refused: usize,
    busy: usize,
    busy_until: Option<Instant>,
}

/// What the Chat service has seen.
pub(crate) struct Seen {
    pub(crate) messages: usize,
    pub(crate) refused: usize,
    pub(crate) busy: usize,
}

impl Chat {
    pub(crate) async fn start(identity: &Identity) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let state = Arc::new(Taken { identity: Arc::clone(&identity.state), counts: Mutex::default() });
        let chat = Self { address: listener.local_addr()?, state, running: Mutex::new(None) };
        chat.serve(listener);
        Ok(chat)
    }

    fn serve(&self, listener: TcpListener) {
        let router = Router::new().fallback(take).with_state(Arc::clone(&self.state));
        let (stop, stopped) = async_channel::bounded::<()>(1);
        let stopped = async move {
            // An error: the other end is dropped.
            let _ = stopped.recv().await;
        };
        let serving = axum::serve(listener, router).with_graceful_shutdown(stopped);
        let serving = tokio::spawn(async move { serving.await });
        *lock(&self.running) = Some(Running { stop, serving });
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until so many messages have come.
    pub(crate) async fn reached(&self, messages: usize) {
        while lock(&self.state.counts).messages.len() < messages {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends the requests that it has, and is away for a while.
    pub(crate) async fn restart(&self) -> io::Result<()> {
        let running = lock(&self.running).take();
        if let Some(Running { stop, serving }) = running {
            drop(stop);
            serving.await??;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.serve(TcpListener::bind(self.address).await?);
        Ok(())
    }

    pub(crate) fn overload(&self) {
        lock(&self.state.counts).busy_until = Some(Instant::now() + Duration::from_millis(300));
    }

    pub(crate) fn seen(&self) -> Seen {
        let counts = lock(&self.state.counts);
        let once = counts.messages.values().filter(|times| **times == 1).count();
        Seen { messages: once, refused: counts.refused, busy: counts.busy }
    }
}

async fn take(State(state): State<Arc<Taken>>, headers: HeaderMap, body: Bytes) -> Response {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let is_valid = token.is_some_and(|token| lock(&state.identity).valid.contains(token));
    let mut counts = lock(&state.counts);
    if !is_valid {
        counts.refused += 1;
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", r#"Bearer error="invalid_token""#)]).into_response();
    }
    if counts.busy_until.is_some_and(|end| Instant::now() < end) {
        counts.busy += 1;
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response();
    }
    *counts.messages.entry(body).or_default() += 1;
    StatusCode::CREATED.into_response()
}
