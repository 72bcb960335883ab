//! The exchange of Entra tokens: what it may be told, what it sends, and what it makes of each answer.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod bounds;
mod coverage;
mod errors;
mod hints;
mod laws;
mod options;
mod sources;
mod wire;

use acs_common::Policy;
use acs_common::entra::HttpResponse;

/// The default policy without jitter, so that pauses can be told.
fn exact() -> Policy {
    Policy::builder().exchange_jitter(0.0).build().expect("nothing is refused")
}

/// Status 200 and a token of this expiry.
fn success(token: &str, expires_on: &str) -> HttpResponse {
    let body = format!(r#"{{"accessToken": {{"token": "{token}", "expiresOn": "{expires_on}"}}}}"#);
    HttpResponse::new(200).with_body(body.into_bytes())
}
