//! A tower layer that authorizes requests (feature `tower`; contract, section 8).
//!
//! [`AuthorizeLayer`] puts a credential's token on each request, or signs it with an access key. When the service refuses the
//! token (a 401), it rejects the token, gets another, and sends the request once more. It works around any
//! [`Service`](tower_service::Service) of the crate `http`'s requests: hyper-util's client, or a stack of tower-http. For reqwest
//! there is a middleware in `acs-common-tokio`.
//!
//! ```
//! use acs_common_driver::ClientArguments;
//! use acs_common_driver::tower::AuthorizeLayer;
//! use acs_common_tokio::CommunicationTokenCredential;
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let client = tower::service_fn(|request: Request<String>| async move {
//! #     let token = request.headers().get("authorization").map(|value| value.as_bytes().to_vec());
//! #     let status = if token.as_deref() == Some(b"Bearer eyJhbGci") { 200 } else { 401 };
//! #     Ok::<_, std::io::Error>(Response::builder().status(status).body(()).unwrap())
//! # });
//! let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
//! let chat = ClientArguments::new("https://contoso.communication.azure.com", credential)?;
//! let service = ServiceBuilder::new().layer(AuthorizeLayer::new(chat)).service(client);
//!
//! let url = "https://contoso.communication.azure.com/chat/threads?api-version=2024-03-07";
//! let response = service.oneshot(Request::get(url).body(String::new())?).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! # What passes untouched
//!
//! A request to another origin than the endpoint's, one whose URI is not absolute, and one that has an `Authorization` header.
//!
//! # Where it goes in a stack
//!
//! Around what sends, and inside of what retries: so each try has a valid token or a fresh signature. A layer that follows
//! redirects goes around it, too: then the token does not go to another host. A layer that sets a timeout goes around it, or
//! inside to bound each send.
//!
//! The service is `Send` and `Sync`: it can be the state of a server. Clone it for each call.
//!
//! # Memory
//!
//! Each clone of the service keeps the token that it sent last. [Release](Authorize::release) or drop a service that is idle for a
//! long time.

mod future;
mod layer;
mod service;

pub use future::Authorized;
pub use layer::AuthorizeLayer;
pub use service::Authorize;
