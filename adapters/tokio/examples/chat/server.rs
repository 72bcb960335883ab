//! Your server. It holds the key of the resource, knows its users by their sessions, and gives each of them a token.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use acs_common_tokio::tower::{Authorize, AuthorizeLayer};
use acs_common_tokio::{ClientArguments, ClientAuth, SharedKey};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::BodyExt as _;
use tokio::net::TcpListener;
use tower::{Layer as _, ServiceExt as _};

use super::{HttpClient, SESSION, http_client};

pub(crate) struct Server {
    /// Where its users get their tokens.
    pub(crate) url: String,
    /// Rotate it at any time.
    pub(crate) key: SharedKey,
    inside: Arc<Inside>,
}

struct Inside {
    endpoint: String,
    /// The Identity service. The layer signs each request with the key.
    identity: Authorize<HttpClient, Bytes>,
    reasons: Mutex<Vec<String>>,
}

impl Server {
    pub(crate) async fn start(resource: ClientArguments) -> Result<Self, Box<dyn Error>> {
        let ClientAuth::Key(key) = resource.auth() else { return Err("the server needs the key".into()) };
        let (key, endpoint) = (key.clone(), resource.endpoint().to_owned());
        let identity = AuthorizeLayer::new(resource).signing().layer(http_client());
        let inside = Arc::new(Inside { endpoint, identity, reasons: Mutex::default() });
        let router = Router::new().route("/chat/token", post(token)).with_state(Arc::clone(&inside));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/chat/token", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, key, inside })
    }

    /// Why it was asked, each time.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.inside.reasons.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A user with a session asks for a token. The answer is what the Identity service says: `{"token": …, "expiresOn": …}`.
async fn token(State(inside): State<Arc<Inside>>, headers: HeaderMap) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header("authorization") != SESSION {
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")]).into_response();
    }
    // A server with a cache of tokens passes over it if this says `rejected`.
    inside.reasons.lock().unwrap_or_else(PoisonError::into_inner).push(header("x-reason").to_owned());
    match issue(&inside, "8:acs:jo").await {
        Ok((status, body)) => (status, [("content-type", "application/json")], body).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

async fn issue(inside: &Inside, user: &str) -> Result<(StatusCode, Bytes), Box<dyn Error + Send + Sync>> {
    let url = format!("{}/identities/{user}/:issueAccessToken?api-version=2023-10-01", inside.endpoint);
    let request = Request::post(url).header("content-type", "application/json");
    let request = request.body(Bytes::from_static(br#"{"scopes":["chat"]}"#))?;
    let response = inside.identity.clone().oneshot(request).await?;
    Ok((response.status(), response.into_body().collect().await?.to_bytes()))
}
