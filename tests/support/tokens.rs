//! The tokens of scenarios, as text.

use std::time::Duration;

use acs_common::{NewToken, UnixTime};
use base64::Engine as _;
use serde_json::json;

use super::scenario::TokenSpec;

/// A token as the scenario describes it. `name` makes opaque tokens differ.
pub fn new_token(token: &TokenSpec, name: &str, start: i64) -> NewToken {
    let text = NewToken::new(text(token, name, start));
    match token {
        TokenSpec::ExpiresIn(secs) => text.with_expires_in(Duration::from_millis(secs.as_millis().unsigned_abs())),
        TokenSpec::ExpiresOn(secs) => text.with_expires_on(UnixTime::from_millis(secs.after(start).as_millis())),
        TokenSpec::Jwt { .. } | TokenSpec::Opaque | TokenSpec::Raw(_) => text,
    }
}

fn text(token: &TokenSpec, name: &str, start: i64) -> String {
    match token {
        TokenSpec::Jwt { exp, iat } => {
            let exp = exp.after(start);
            jwt(&match iat {
                Some(iat) => format!("{{\"exp\":{exp},\"iat\":{}}}", iat.after(start)),
                None => format!("{{\"exp\":{exp}}}"),
            }) + name
        }
        TokenSpec::ExpiresIn(_) | TokenSpec::ExpiresOn(_) | TokenSpec::Opaque => format!("opaque-{name}"),
        TokenSpec::Raw(text) => text.clone(),
    }
}

/// Whether the door lets a text in, once the white space around it is dropped.
pub fn is_bearer_token(text: &str) -> bool {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-._~+/".contains(character);
    let unpadded = text.trim_end_matches('=');
    !unpadded.is_empty() && unpadded.chars().all(allowed) && text != "null" && text != "undefined"
}

/// White space that the door drops.
pub const AROUND: [char; 5] = [' ', '\t', '\n', '\r', '\u{c}'];

/// A JWT, except for the part in place of the signature.
pub fn jwt(payload: &str) -> String {
    format!("eyJhbGciOiJub25lIn0.{}.", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload))
}

/// The text of an Entra token by its name, `USER` or `USER/MORE`. The token of a user named `opaque` cannot be read.
pub fn entra_text(name: &str) -> String {
    let user = name.split('/').next().unwrap_or_default();
    if user == "opaque" {
        return name.to_owned();
    }
    jwt(&json!({"tid": "tenant", "oid": user, "name": name}).to_string()) + user
}

/// The response of the exchange when it succeeds.
pub fn token_response(token: &TokenSpec, name: &str, start: i64) -> String {
    let expires_on = match token {
        TokenSpec::Jwt { exp: secs, .. } | TokenSpec::ExpiresOn(secs) | TokenSpec::ExpiresIn(secs) => {
            Some(rfc3339(secs.after(start).as_millis()))
        }
        TokenSpec::Opaque | TokenSpec::Raw(_) => None,
    };
    let token = json!({"token": text(token, name, start), "expiresOn": expires_on});
    json!({"identity": {"id": "8:acs:…"}, "accessToken": token}).to_string()
}

/// In the service's format: seven digits of a second, and an offset. Clamped to years of four digits.
fn rfc3339(millis: i64) -> String {
    let moment = chrono::DateTime::from_timestamp_millis(millis.clamp(YEAR_0, YEAR_9999)).expect("in our era");
    moment.format("%Y-%m-%dT%H:%M:%S%.3f0000+00:00").to_string()
}

/// 0000-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z
const YEAR_0: i64 = -62_167_219_200_000;
const YEAR_9999: i64 = 253_402_300_799_999;
