//! A chat, from the access key to the message: `cargo run -p acs-common-tokio --example chat`.
//!
//! `server.rs` is your server. It holds the key of the resource, and gives each of its users a token, which it gets from the
//! Identity service by signed requests. `fakes.rs` has fakes of the Identity service and of the Chat service. Here is the client
//! of one user, with eight callers. Its credential asks the server (the ready refresher), and its calls go through the layer.
//! Meanwhile the Chat service revokes the token, restarts, and has too much to do; and the key is rotated.

mod fakes;
mod server;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acs_common::access_key::AccessKey;
use acs_common_tokio::issuer::{HttpRefresher, Issuer};
use acs_common_tokio::tower::{Authorize, AuthorizeLayer};
use acs_common_tokio::{CallError, ClientArguments, CommunicationTokenCredential, Notice, ReqwestClient};
use axum::body::Bytes;
use futures_rustls::rustls::crypto;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tower::util::MapRequest;
use tower::{Layer as _, Service as _, ServiceExt as _};

use fakes::{Chat, Identity};
use server::Server;

const CALLERS: usize = 8;
const MESSAGES_OF_EACH: usize = 30;
/// Where the user's session ends, a server says 401. This one does not end.
const SESSION: &str = "Bearer session-of-jo";

#[tokio::main]
async fn main() -> ExitCode {
    match chat().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::from(2)
        }
    }
}

/// An HTTP client that makes connections and nothing else.
type HttpClient = MapRequest<Client<HttpConnector, Full<Bytes>>, fn(Request<Bytes>) -> Request<Full<Bytes>>>;

fn http_client() -> HttpClient {
    let whole: fn(Request<Bytes>) -> Request<Full<Bytes>> = |request| request.map(Full::new);
    Client::builder(TokioExecutor::new()).build_http().map_request(whole)
}

/// Whether all was as it should be.
async fn chat() -> Result<bool, Box<dyn Error>> {
    // The three of them listen on this computer. In your program the first two are Azure's.
    let identity = Identity::start().await?;
    let chat = Chat::start(&identity).await?;
    let resource = ClientArguments::from_connection_string(&identity.connection_string())?;
    let server = Server::start(resource).await?;

    // The client of a user. It knows the server and the session, and no key.
    // `ReqwestClient` leaves the choice of TLS to the program.
    let _ = crypto::ring::default_provider().install_default();
    let issuer = Issuer::post(&server.url)?.with_header("Authorization", SESSION)?.with_reason_header("x-reason")?;
    let user = CommunicationTokenCredential::with_refresher(HttpRefresher::new(issuer, ReqwestClient::new()?))
        .named("jo")
        .spawn()?;
    let mut notices = user.notices();
    let service = AuthorizeLayer::new(ClientArguments::new(&chat.endpoint(), user.clone())?).layer(http_client());

    let tries = Arc::new(Tries::default());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (service, tries, endpoint) = (service.clone(), Arc::clone(&tries), chat.endpoint());
        callers.spawn(async move {
            for number in 0..MESSAGES_OF_EACH {
                send(service.clone(), &endpoint, &format!("{caller}/{number}"), &tries).await?;
            }
            Ok::<_, String>(())
        });
    }
    let script = async {
        // The key is rotated while the server runs. From then on the first one is of no use.
        chat.reached(20).await;
        server.key.rotate(AccessKey::from_base64(Identity::SECOND_KEY)?);
        identity.revoke_first_key();
        chat.reached(60).await;
        identity.revoke_tokens();
        chat.reached(120).await;
        chat.restart().await?;
        chat.reached(180).await;
        chat.overload();
        Ok::<_, Box<dyn Error>>(())
    };
    let all = async { tokio::join!(script, callers.join_all()) };
    let (played, ended) = tokio::time::timeout(Duration::from_secs(60), all).await?;
    played?;
    let failed: Vec<String> = ended.into_iter().filter_map(Result::err).collect();
    user.dispose();
    let mut changes = 0;
    while let Some(notice) = notices.next().await {
        changes += usize::from(matches!(notice, Notice::TokenChanged { .. }));
    }

    let (seen, count) = (chat.seen(), |counter: &AtomicUsize| counter.load(Ordering::SeqCst));
    println!("{} of {} messages arrived, by {CALLERS} callers", seen.messages, CALLERS * MESSAGES_OF_EACH);
    println!(
        "the Chat service refused {} requests with 401, and the callers saw {}",
        seen.refused,
        count(&tries.refused)
    );
    println!("it was too busy for {} requests, and the callers waited as it asked", seen.busy);
    println!("it was away for {} tries, which the callers repeated", count(&tries.away));
    println!(
        "the server asked the Identity service for {} tokens, because: {}",
        identity.issued(),
        server.reasons().join(", ")
    );
    println!(
        "the credential heard of {changes} tokens; the key was rotated once, and {} requests had a wrong signature",
        identity.refused()
    );
    failed.iter().for_each(|failure| println!("failed: {failure}"));
    let is_good = failed.is_empty()
        && seen.messages == CALLERS * MESSAGES_OF_EACH
        && (1..=CALLERS).contains(&seen.refused)
        && count(&tries.refused) == 0
        && (identity.issued(), changes, identity.refused()) == (2, 2, 0);
    println!("{}", if is_good { "all is as it should be" } else { "something is wrong" });
    Ok(is_good)
}

/// What the callers see.
#[derive(Default)]
struct Tries {
    refused: AtomicUsize,
    away: AtomicUsize,
}

/// Sends a message until the service has it. The layer takes care of the token; this takes care of the rest.
async fn send(
    mut service: Authorize<HttpClient, Bytes>,
    endpoint: &str,
    id: &str,
    tries: &Tries,
) -> Result<(), String> {
    loop {
        let request = Request::post(format!("{endpoint}/chat/threads/19/messages?api-version=2024-03-07"));
        let request = request.body(Bytes::copy_from_slice(id.as_bytes())).map_err(|error| error.to_string())?;
        let answer = match service.ready().await {
            Ok(service) => service.call(request).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(response) if response.status() == StatusCode::CREATED => return Ok(()),
            Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => {
                let seconds = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
                tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(1))).await;
            }
            Ok(response) => {
                if response.status() == StatusCode::UNAUTHORIZED {
                    tries.refused.fetch_add(1, Ordering::SeqCst);
                }
                return Err(format!("{id}: status {}", response.status()));
            }
            // There is no connection. That can pass.
            Err(CallError::Service(_)) => {
                tries.away.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(format!("{id}: {error}")),
        }
    }
}
