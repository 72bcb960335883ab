//! Reads the issuer's response.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::time::Duration;

use zeroize::Zeroizing;

use super::description::Issuer;
use super::error::IssuerError;
use crate::action::Reason;
use crate::door;
use crate::error::{FailureKind, RefresherError, TokenError};
use crate::json;
use crate::jwt;
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::token::NewToken;
use crate::wire::{self, BadResponse, HttpResponse, rfc3339};

impl Issuer {
    /// The token that the response brings, or why it brings none. `reason` is that of the request; `now` measures a
    /// `Retry-After` that is a date, if the response has no `Date`.
    ///
    /// ```
    /// use acs_common::issuer::{HttpResponse, Issuer, IssuerError};
    /// use acs_common::{Reason, UnixTime};
    ///
    /// fn explain(issuer: &Issuer, reason: &Reason) {
    ///     let body = br#"{"error": {"code": "Blocked", "message": "no chat for this user"}}"#;
    ///     let response = HttpResponse::new(403).with_body(body.to_vec());
    ///     let error = issuer.read(reason, &response, UnixTime::from_secs(0)).unwrap_err();
    ///     assert_eq!(error.to_string(), "the issuer answered with status 403 (Blocked): no chat for this user");
    ///     assert!(error.is_permanent() && error.get_ref().is::<IssuerError>());
    /// }
    /// # let _ = explain;
    /// ```
    ///
    /// # Errors
    /// An [`IssuerError`], permanent or not, with the issuer's `Retry-After` and `Date`.
    pub fn read(&self, reason: &Reason, response: &HttpResponse, now: UnixTime) -> Result<NewToken, RefresherError> {
        let date = wire::server_time(response);
        let refusal = || {
            let retry_after = wire::retry_after(response, now).map(Duration::from_millis);
            wire::refusal(response, "", retry_after, self.secrets(reason))
        };
        let result = if (200..300).contains(&response.status()) {
            token(response, self.field()).map_err(|bad| {
                let bad = IssuerError::BadResponse(bad.or_more(refusal().response));
                RefresherError::new(bad).with_kind(FailureKind::BadResponse)
            })
        } else {
            Err(refusal().into_error(IssuerError::Refused))
        };
        match (result, date) {
            (Ok(token), Some(date)) => Ok(token.with_server_time(date)),
            (Err(error), Some(date)) => Err(error.with_server_time(date)),
            (result, None) => result,
        }
    }

    /// The failure of a refresh whose request got no complete response.
    ///
    /// ```
    /// use acs_common::RefresherError;
    /// use acs_common::issuer::Issuer;
    ///
    /// let failed = Issuer::unreachable(RefresherError::new("connection refused"));
    /// assert_eq!(failed.to_string(), "no complete answer from the issuer: connection refused");
    /// ```
    #[must_use]
    pub fn unreachable(error: RefresherError) -> RefresherError {
        RefresherError::new(IssuerError::Transport(error))
    }
}

fn token(response: &HttpResponse, field: &[String]) -> Result<NewToken, BadResponse> {
    let not_a_token = |error| BadResponse::NotAToken { error, content_type: None };
    let Some(text) = wire::body(response)? else { return Err(not_a_token(TokenError::OtherCharacters)) };
    let text = text.trim_ascii();
    if text.starts_with('{') {
        return from_object(text, field);
    }
    // ASP.NET, for example, answers with a JSON string.
    let token = text.starts_with('"').then(|| json::string(text)).flatten();
    let token = token.unwrap_or_else(|| Zeroizing::new(text.to_owned()));
    checked(token)
}

fn from_object(mut object: &str, field: &[String]) -> Result<NewToken, BadResponse> {
    let no_token = || BadResponse::NoToken { field: field.join(".") };
    let (name, path) = field.split_last().ok_or_else(no_token)?;
    json::fields(object, []).ok_or(BadResponse::NotJson)?;
    for name in path {
        let [within] = json::fields(object, [name]).ok_or_else(no_token)?;
        object = within.ok_or_else(no_token)?;
    }
    let [token, lifetime @ .., on, on_too, at, at_too] = json::fields(
        object,
        [name.as_str(), "expires_in", "expiresIn", "expiresOn", "expires_on", "expiresAt", "expires_at"],
    )
    .ok_or_else(no_token)?;
    let token = token.and_then(json::string).ok_or_else(no_token)?;
    let token = checked(token)?;
    let lifetime = lifetime.into_iter().flatten().find_map(seconds);
    let moment = [on, on_too, at, at_too].into_iter().flatten().find_map(moment);
    Ok(match (lifetime, moment) {
        (Some(lifetime), _) => token.with_expires_in(lifetime),
        (None, Some(moment)) => token.with_expires_on(moment),
        (None, None) => token,
    })
}

fn checked(token: Zeroizing<String>) -> Result<NewToken, BadResponse> {
    door::check(token.trim_ascii()).map_err(|error| BadResponse::NotAToken { error, content_type: None })?;
    Ok(Secret::from_wiped(token).into())
}

/// A moment as text, or as a number.
fn moment(json: &str) -> Option<UnixTime> {
    let text = json::string(json);
    text.and_then(|text| rfc3339(text.trim_ascii())).or_else(|| jwt::moment(json))
}

/// A lifetime in seconds, as a number or as text.
fn seconds(json: &str) -> Option<Duration> {
    let text = json::string(json);
    let text = text.as_ref().map_or(json, |text| text.trim_ascii());
    // Without a sign or an exponent; too large a number is the largest.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = is_number.then(|| text.parse().ok()).flatten()?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
