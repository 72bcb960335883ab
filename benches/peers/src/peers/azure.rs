//! The Azure SDK: the policy that authorizes requests, and the cache inside each of its credentials.

use std::hint::black_box;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::policies::{Policy as _, PolicyResult};
use azure_core::http::{
    AsyncRawResponse, ClientMethodOptions, ClientOptions, Context, HttpClient, Method, Request, StatusCode, Transport,
};
use azure_core::time::OffsetDateTime;
use azure_identity::{ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions};

use super::peer;
use crate::contender::{Answer, Facts, Peer, Source, words};
use crate::issuer::Issuer;

const SCOPES: &[&str] = &["https://communication.azure.com/.default"];

/// The issuer as an implementation of the SDK's traits.
#[derive(Clone)]
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

#[async_trait]
impl ClientAssertion for Role {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok("assertion".to_owned())
    }
}

#[async_trait]
impl HttpClient for Role {
    async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
        let (status, body) = match self.0.fetch_json().await {
            Ok(body) => (StatusCode::Ok, body),
            Err(refused) => (StatusCode::ServiceUnavailable, format!(r#"{{"error":"{refused}"}}"#)),
        };
        Ok(AsyncRawResponse::from_bytes(status, Headers::new(), body))
    }
}

/// The end of the pipeline. It sends nothing.
#[derive(Debug)]
struct Sent;

#[async_trait]
impl azure_core::http::policies::Policy for Sent {
    async fn send(
        &self,
        _: &Context,
        _: &mut Request,
        _: &[Arc<dyn azure_core::http::policies::Policy>],
    ) -> PolicyResult {
        Ok(AsyncRawResponse::from_bytes(StatusCode::Ok, Headers::new(), Vec::new()))
    }
}

pub struct Policy {
    policy: BearerTokenAuthorizationPolicy,
    next: [Arc<dyn azure_core::http::policies::Policy>; 1],
}

impl Peer for Policy {
    const FACTS: Facts =
        peer("azure_core: bearer policy", "azure_core", "header, set in a request", 300, Source::InProcess);
    type Own = Request;

    async fn new(issuer: Issuer) -> Result<Self, String> {
        let policy = BearerTokenAuthorizationPolicy::new(Arc::new(Role(issuer)), SCOPES.iter().copied());
        Ok(Self { policy, next: [Arc::new(Sent)] })
    }

    fn own(&self) -> Request {
        Request::new("https://communication.azure.com/".parse().expect("a URL"), Method::Get)
    }

    async fn call(&self, request: &mut Request) -> Answer {
        black_box(self.policy.send(&Context::default(), request, &self.next).await.map_err(words)?);
        Ok(())
    }
}

pub struct Identity(Arc<ClientAssertionCredential<Role>>);

impl Peer for Identity {
    const FACTS: Facts = peer("azure_identity: its cache", "azure_identity", "owned `String`", 300, Source::InProcess);
    type Own = ();

    async fn new(issuer: Issuer) -> Result<Self, String> {
        let role = Role(issuer);
        let transport = Some(Transport::new(Arc::new(role.clone())));
        let options = ClientAssertionCredentialOptions {
            client_options: ClientOptions { transport, ..ClientOptions::default() },
        };
        let credential = ClientAssertionCredential::new("tenant".to_owned(), "client".to_owned(), role, Some(options));
        credential.map(Self).map_err(words)
    }

    fn own(&self) {}

    async fn call(&self, (): &mut ()) -> Answer {
        black_box(self.0.get_token(SCOPES, None).await.map_err(words)?);
        Ok(())
    }
}
