//! Two crates for OAuth's client credentials, with our token endpoint.

use std::hint::black_box;

use middle::{Authorizer as _, BasicClientCredentialAuthorizer};
use toolkit_auth::{OAuthClientConfig, SecretString, TokenProvider};

use super::peer;
use crate::contender::{Answer, Facts, Peer, Source, words};
use crate::issuer::Issuer;

pub struct Gears(TokenProvider);

impl Peer for Gears {
    const FACTS: Facts = peer("cf-gears-toolkit-auth", "cf-gears-toolkit-auth", "owned `String`", 1_800, Source::Http);
    type Own = ();

    async fn new(issuer: Issuer) -> Result<Self, String> {
        let config = OAuthClientConfig {
            token_endpoint: Some(issuer.url().parse().map_err(words)?),
            client_id: "client".to_owned(),
            client_secret: SecretString::new("secret"),
            ..OAuthClientConfig::default()
        };
        TokenProvider::new(config).map(Self).map_err(words)
    }

    fn own(&self) {}

    async fn call(&self, (): &mut ()) -> Answer {
        black_box(self.0.get().await.map_err(words)?.expose());
        Ok(())
    }
}

pub struct Middle(BasicClientCredentialAuthorizer);

impl Peer for Middle {
    const FACTS: Facts = peer("middle", "middle", "header, an `Arc`", 30, Source::HttpAtConstruction);
    type Own = ();

    async fn new(issuer: Issuer) -> Result<Self, String> {
        let url = issuer.url().parse().map_err(words)?;
        let builder = BasicClientCredentialAuthorizer::basic_builder("client", "secret", url);
        builder.build().await.map(Self).map_err(words)
    }

    fn own(&self) {}

    async fn call(&self, (): &mut ()) -> Answer {
        black_box(self.0.authorization_header().map_err(words)?);
        Ok(())
    }
}
