//! A task that publishes tokens on a channel.

use std::hint::black_box;

use aliri_clock::DurationSecs;
use aliri_tokens::backoff::ErrorBackoffConfig;
use aliri_tokens::jitter::NullJitter;
use aliri_tokens::sources::AsyncTokenSource;
use aliri_tokens::{AccessToken, IdToken, TokenLifetimeConfig, TokenStatus, TokenWatcher, TokenWithLifetime};
use async_trait::async_trait;

use super::peer;
use crate::contender::{Answer, Facts, Peer, Source, words};
use crate::issuer::{Issuer, Refused};

struct Role(Issuer);

#[async_trait]
impl AsyncTokenSource for Role {
    type Error = Refused;

    async fn request_token(&mut self) -> Result<TokenWithLifetime, Refused> {
        let issued = self.0.fetch().await?;
        let (token, life) = (AccessToken::from(issued.token), DurationSecs(issued.expires_in.as_secs()));
        Ok(TokenLifetimeConfig::default().create_token(token, None::<IdToken>, life))
    }
}

async fn watch(issuer: Issuer) -> Result<TokenWatcher, String> {
    let backoff = ErrorBackoffConfig::default();
    TokenWatcher::spawn_from_token_source(Role(issuer), NullJitter, backoff).await.map_err(words)
}

pub struct Aliri(TokenWatcher);

impl Peer for Aliri {
    const FACTS: Facts = Facts {
        checks_expiry: false,
        ..peer("aliri_tokens: `token()`", "aliri_tokens", "a lock guard", 30, Source::AtConstruction)
    };
    type Own = ();

    async fn new(issuer: Issuer) -> Result<Self, String> {
        watch(issuer).await.map(Self)
    }

    fn own(&self) {}

    async fn call(&self, (): &mut ()) -> Answer {
        black_box(self.0.token().access_token());
        Ok(())
    }
}

pub struct AliriWithStatus(TokenWatcher);

impl Peer for AliriWithStatus {
    const FACTS: Facts =
        peer("aliri_tokens: with `token_status()`", "aliri_tokens", "a lock guard", 30, Source::AtConstruction);
    type Own = ();

    async fn new(issuer: Issuer) -> Result<Self, String> {
        watch(issuer).await.map(Self)
    }

    fn own(&self) {}

    async fn call(&self, (): &mut ()) -> Answer {
        let token = self.0.token();
        if let TokenStatus::Expired = token.token_status() {
            return Err("expired".to_owned());
        }
        black_box(token.access_token());
        Ok(())
    }
}
