//! Three crates for Google's tokens, with our token endpoint.

use std::hint::black_box;
use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gcp_auth::TokenProvider as _;
use google_cloud_auth::credentials::{AccessTokenCredentials, user_account};
use serde_json::{Value, json};
use yup_oauth2::authenticator::DefaultAuthenticator;

use super::peer;
use crate::contender::{Answer, Facts, Peer, Source, words};
use crate::issuer::Issuer;

const SCOPES: &[&str] = &["https://www.googleapis.com/auth/cloud-platform"];

/// The key of a service account, made for this run. Its signatures are not checked.
static KEY: LazyLock<String> = LazyLock::new(|| {
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let key: Pkcs8V1Der<'_> = key.as_der().expect("the key can be encoded");
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(key.as_ref()))
});

fn service_account(issuer: &Issuer) -> Value {
    json!({
        "type": "service_account",
        "project_id": "peers",
        "client_email": "peers@example.com",
        "private_key": *KEY,
        "token_uri": issuer.url(),
    })
}

pub struct CloudAuth(AccessTokenCredentials);

impl Peer for CloudAuth {
    const FACTS: Facts = peer("google-cloud-auth", "google-cloud-auth", "owned `String`", 240, Source::Http);
    type Own = ();

    async fn new(issuer: Issuer) -> Result<Self, String> {
        let user = json!({
            "type": "authorized_user",
            "client_id": "client",
            "client_secret": "secret",
            "refresh_token": "refresh",
            "token_uri": issuer.url(),
        });
        user_account::Builder::new(user).build_access_token_credentials().map(Self).map_err(words)
    }

    fn own(&self) {}

    async fn call(&self, (): &mut ()) -> Answer {
        black_box(self.0.access_token().await.map_err(words)?);
        Ok(())
    }
}

pub struct GcpAuth(gcp_auth::CustomServiceAccount);

impl Peer for GcpAuth {
    const FACTS: Facts = peer("gcp_auth", "gcp_auth", "`Arc`", 20, Source::Http);
    type Own = ();

    async fn new(issuer: Issuer) -> Result<Self, String> {
        gcp_auth::CustomServiceAccount::from_json(&service_account(&issuer).to_string()).map(Self).map_err(words)
    }

    fn own(&self) {}

    async fn call(&self, (): &mut ()) -> Answer {
        black_box(self.0.token(SCOPES).await.map_err(words)?.as_str());
        Ok(())
    }
}

pub struct Yup(DefaultAuthenticator);

impl Peer for Yup {
    const FACTS: Facts = peer("yup-oauth2", "yup-oauth2", "owned `String`", 60, Source::Http);
    type Own = ();

    async fn new(issuer: Issuer) -> Result<Self, String> {
        let key = serde_json::from_value(service_account(&issuer)).map_err(words)?;
        yup_oauth2::ServiceAccountAuthenticator::builder(key).build().await.map(Self).map_err(words)
    }

    fn own(&self) {}

    async fn call(&self, (): &mut ()) -> Answer {
        black_box(self.0.token(SCOPES).await.map_err(words)?.token());
        Ok(())
    }
}
