//! Caches that take a function or trait to fetch a token.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity as _, ResolveIdentity, SharedIdentityCache, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::config_bag::ConfigBag;
use entelix_cloud::CloudError;
use entelix_cloud::refresh::{CachedTokenProvider, TokenRefresher, TokenSnapshot};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use object_store::CredentialProvider;
use object_store::azure::{AzureCredential, MicrosoftAzureBuilder};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
};
use olai_http::{TemporaryToken, TokenCache};
use reqsign_core::time::Timestamp;
use reqsign_core::{Context, ProvideCredential, SignRequest, Signer, SigningCredential};

use super::peer;
use crate::contender::{Answer, Facts, Peer, Source, words};
use crate::issuer::Issuer;

/// The issuer as an implementation of their traits.
#[derive(Clone)]
struct Role(Issuer);

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Role")
    }
}

impl ResolveIdentity for Role {
    fn resolve_identity<'a>(&'a self, _: &'a RuntimeComponents, _: &'a ConfigBag) -> IdentityFuture<'a> {
        IdentityFuture::new(async {
            let issued = self.0.fetch().await?;
            let expiry = Some(SystemTime::now() + issued.expires_in);
            Ok(Identity::new(issued.token, expiry))
        })
    }
}

pub struct Smithy {
    cache: SharedIdentityCache,
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
    config: ConfigBag,
}

impl Peer for Smithy {
    const FACTS: Facts = peer(
        "aws-smithy-runtime: lazy identity cache",
        "aws-smithy-runtime",
        "`Identity` of two `Arc`s",
        10,
        Source::InProcess,
    );
    type Own = ();

    async fn new(issuer: Issuer) -> Result<Self, String> {
        let components = RuntimeComponentsBuilder::for_tests()
            .with_time_source(Some(SystemTimeSource::new()))
            .with_sleep_impl(Some(TokioSleep::new()));
        Ok(Self {
            cache: IdentityCache::lazy().build(),
            resolver: SharedIdentityResolver::new(Role(issuer)),
            components: components.build().map_err(words)?,
            config: ConfigBag::base(),
        })
    }

    fn own(&self) {}

    async fn call(&self, (): &mut ()) -> Answer {
        let cached = self.cache.resolve_cached_identity(self.resolver.clone(), &self.components, &self.config);
        let identity = cached.await.map_err(words)?;
        black_box(identity.data::<String>());
        Ok(())
    }
}

#[async_trait]
impl HttpService for Role {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (status, body) = match self.0.fetch_json().await {
            Ok(body) => (200, body),
            Err(refused) => (503, refused.to_string()),
        };
        let response = http::Response::builder().status(status).body(body.into());
        Ok(response.expect("a response"))
    }
}

impl HttpConnector for Role {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

pub struct ObjectStore(Arc<dyn CredentialProvider<Credential = AzureCredential>>);

impl Peer for ObjectStore {
    const FACTS: Facts = peer("object_store: Azure credentials", "object_store", "`Arc`", 300, Source::InProcess);
    type Own = ();

    async fn new(issuer: Issuer) -> Result<Self, String> {
        let store = MicrosoftAzureBuilder::new()
            .with_account("account")
            .with_container_name("container")
            .with_client_secret_authorization("client", "secret", "tenant")
            .with_http_connector(Role(issuer));
        Ok(Self(Arc::clone(store.build().map_err(words)?.credentials())))
    }

    fn own(&self) {}

    async fn call(&self, (): &mut ()) -> Answer {
        black_box(self.0.get_credential().await.map_err(words)?);
        Ok(())
    }
}

pub struct Olai {
    cache: TokenCache<Arc<str>>,
    issuer: Issuer,
}

impl Peer for Olai {
    const FACTS: Facts = peer("olai-http: `TokenCache<Arc<str>>`", "olai-http", "`Arc`", 300, Source::InProcess);
    type Own = ();

    async fn new(issuer: Issuer) -> Result<Self, String> {
        Ok(Self { cache: TokenCache::default(), issuer })
    }

    fn own(&self) {}

    async fn call(&self, (): &mut ()) -> Answer {
        let fetch = || async {
            let issued = self.issuer.fetch().await.map_err(words)?;
            Ok(TemporaryToken { token: issued.token.into(), expiry: Some(Instant::now() + issued.expires_in) })
        };
        let token: Result<Arc<str>, String> = self.cache.get_or_insert_with(fetch).await;
        black_box(token?);
        Ok(())
    }
}

#[async_trait]
impl TokenRefresher<Arc<str>> for Role {
    async fn refresh(&self) -> Result<TokenSnapshot<Arc<str>>, CloudError> {
        let issued = self.0.fetch().await.map_err(CloudError::credential)?;
        Ok(TokenSnapshot { value: issued.token.into(), expires_at: Instant::now() + issued.expires_in })
    }
}

pub struct Entelix(CachedTokenProvider<Arc<str>>);

impl Peer for Entelix {
    const FACTS: Facts =
        peer("entelix-cloud: `CachedTokenProvider<Arc<str>>`", "entelix-cloud", "`Arc`", 300, Source::InProcess);
    type Own = ();

    async fn new(issuer: Issuer) -> Result<Self, String> {
        Ok(Self(CachedTokenProvider::new(Arc::new(Role(issuer)))))
    }

    fn own(&self) {}

    async fn call(&self, (): &mut ()) -> Answer {
        black_box(self.0.current().await.map_err(words)?);
        Ok(())
    }
}

/// Like reqsign's services: a string, and a margin of two minutes.
#[derive(Clone, Debug)]
struct Bearer {
    token: String,
    expires_at: Timestamp,
}

impl SigningCredential for Bearer {
    fn is_valid(&self) -> bool {
        self.is_valid_at(Timestamp::now() + Duration::from_secs(120))
    }

    fn is_valid_at(&self, moment: Timestamp) -> bool {
        self.expires_at > moment
    }
}

impl ProvideCredential for Role {
    type Credential = Bearer;

    async fn provide_credential(&self, _: &Context) -> reqsign_core::Result<Option<Bearer>> {
        let refused = |refused: crate::issuer::Refused| reqsign_core::Error::unexpected(refused.to_string());
        let issued = self.0.fetch().await.map_err(refused)?;
        Ok(Some(Bearer { token: issued.token, expires_at: Timestamp::now() + issued.expires_in }))
    }
}

#[derive(Debug)]
struct Header;

impl SignRequest for Header {
    type Credential = Bearer;

    async fn sign_request(
        &self,
        _: &Context,
        request: &mut http::request::Parts,
        credential: Option<&Bearer>,
        _: Option<Duration>,
    ) -> reqsign_core::Result<()> {
        if let Some(bearer) = credential {
            let value = HeaderValue::try_from(format!("Bearer {}", bearer.token)).expect("a token is ASCII");
            request.headers.insert(AUTHORIZATION, value);
        }
        Ok(())
    }
}

pub struct Reqsign(Signer<Bearer>);

impl Peer for Reqsign {
    const FACTS: Facts = peer("reqsign: `Signer`", "reqsign-core", "header, set in a request", 120, Source::InProcess);
    type Own = http::request::Parts;

    async fn new(issuer: Issuer) -> Result<Self, String> {
        Ok(Self(Signer::new(Context::new(), Role(issuer), Header)))
    }

    fn own(&self) -> http::request::Parts {
        http::Request::get("https://communication.azure.com/").body(()).expect("a request").into_parts().0
    }

    async fn call(&self, request: &mut http::request::Parts) -> Answer {
        self.0.sign(request, None).await.map_err(words)?;
        black_box(request);
        Ok(())
    }
}
