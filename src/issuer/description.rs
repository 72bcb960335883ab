//! What an issuer is asked, and how.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::error::IssuerOptionsError;
use crate::action::Reason;
use crate::call::{Origin, OriginError};
use crate::secret::Secret;
use crate::url::{Url, UrlError};
use crate::wire::{HttpRequest, Text};

/// Where tokens come from: a URL of your server, and the request to send there. See [the module](crate::issuer).
///
/// ```
/// use acs_common::issuer::{Issuer, IssuerOptionsError};
///
/// // The token is the body, or its JSON field `token`.
/// let simple = Issuer::get("https://contoso.example/chat/token")?;
///
/// // OAuth 2.0, for example.
/// let oauth = Issuer::post("https://contoso.example/oauth/token")?
///     .with_body("application/x-www-form-urlencoded", "grant_type=refresh_token&refresh_token=…")?
///     .with_token_field("access_token");
///
/// // Nothing that may be a secret shows.
/// let debug = format!("{oauth:?}");
/// assert!(debug.contains("https://contoso.example/oauth/token") && !debug.contains("refresh_token"));
/// assert_eq!(Issuer::get("http://contoso.example/token").unwrap_err(), IssuerOptionsError::NotHttps);
/// # drop(simple);
/// # Ok::<(), IssuerOptionsError>(())
/// ```
#[derive(Clone)]
pub struct Issuer {
    method: &'static str,
    url: Zeroizing<String>,
    headers: Vec<(String, Zeroizing<String>)>,
    body: Zeroizing<String>,
    /// The path to the token in a JSON object. Never empty.
    field: Vec<String>,
    reason_header: Option<String>,
    reason_query: Option<String>,
    rejected_header: Option<String>,
}

impl Issuer {
    /// An issuer that is asked with `GET`. The URL is https (plain http only to a loopback host), and may have a query. White
    /// space around it is dropped.
    ///
    /// # Errors
    /// [`IssuerOptionsError`] says what is wrong with the URL. It does not repeat it.
    pub fn get(url: &str) -> Result<Self, IssuerOptionsError> {
        Self::new("GET", url)
    }

    /// An issuer that is asked with `POST`, without a body unless there is [one](Self::with_body). For the URL see
    /// [`get`](Self::get).
    ///
    /// # Errors
    /// [`IssuerOptionsError`] says what is wrong with the URL. It does not repeat it.
    pub fn post(url: &str) -> Result<Self, IssuerOptionsError> {
        Self::new("POST", url)
    }

    fn new(method: &'static str, url: &str) -> Result<Self, IssuerOptionsError> {
        let url = url.trim_ascii();
        check_url(url)?;
        Ok(Self {
            method,
            url: Zeroizing::new(url.to_owned()),
            headers: Vec::new(),
            body: Zeroizing::default(),
            field: ["token".to_owned()].into(),
            reason_header: None,
            reason_query: None,
            rejected_header: None,
        })
    }

    /// Sends this header, in place of one of the same name. Its value counts as a secret.
    ///
    /// Without yours, the request says `Accept: application/json, text/plain`, `Accept-Encoding: identity` (compressed bodies
    /// are not read) and `Cache-Control: no-cache`. In a browser a header that is not
    /// [safelisted](https://fetch.spec.whatwg.org/#cors-safelisted-request-header) needs the permission of a server of another
    /// origin; those three do not.
    ///
    /// # Errors
    /// The name or the value is not valid in HTTP, or the HTTP client sets this header itself.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, IssuerOptionsError> {
        let name = header_name(name)?;
        let value = value.trim_ascii();
        if !value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
            return Err(IssuerOptionsError::HeaderValue { name });
        }
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
        self.headers.push((name, Zeroizing::new(value.to_owned())));
        Ok(self)
    }

    /// Sends this body, with `POST`. It counts as a secret.
    ///
    /// ```
    /// use acs_common::issuer::Issuer;
    ///
    /// let issuer = Issuer::post("https://contoso.example/token")?.with_body("application/json", r#"{"room": 7}"#)?;
    /// # drop(issuer);
    /// # Ok::<(), acs_common::issuer::IssuerOptionsError>(())
    /// ```
    ///
    /// # Errors
    /// The content type is not a valid header value.
    pub fn with_body(self, content_type: &str, body: &str) -> Result<Self, IssuerOptionsError> {
        let issuer = self.with_header("Content-Type", content_type)?;
        Ok(Self { method: "POST", body: Zeroizing::new(body.to_owned()), ..issuer })
    }

    /// The field of a JSON object with the token. A dot leads into an object within. Default: `token`.
    ///
    /// ```
    /// use acs_common::issuer::Issuer;
    ///
    /// // {"accessToken": {"token": "eyJhbGci", "expiresOn": "2026-09-21T14:13:20Z"}}
    /// let issuer = Issuer::get("https://contoso.example/token")?.with_token_field("accessToken.token");
    /// # drop(issuer);
    /// # Ok::<(), acs_common::issuer::IssuerOptionsError>(())
    /// ```
    #[must_use]
    pub fn with_token_field(self, field: &str) -> Self {
        Self { field: field.split('.').map(ToOwned::to_owned).collect(), ..self }
    }

    /// Says in this header why the token is asked for: `rejected` if the service has refused a token since one was last accepted
    /// (then a token from a cache is of no use), else what led to the first refresh since then, also when this is a retry:
    /// `first`, `renewal`, `expired` or `requested` (see [`Trigger`](crate::Trigger)).
    ///
    /// # Errors
    /// The name is not a valid one, or the HTTP client sets this header itself.
    pub fn with_reason_header(self, name: &str) -> Result<Self, IssuerOptionsError> {
        Ok(Self { reason_header: Some(header_name(name)?), ..self })
    }

    /// Says the same in a parameter of this name, at the end of the URL's query.
    ///
    /// ```
    /// use acs_common::issuer::{Issuer, IssuerOptionsError};
    ///
    /// let issuer = Issuer::get("https://contoso.example/token?room=7")?.with_reason_query("reason")?;
    /// // GET https://contoso.example/token?room=7&reason=first
    /// assert_eq!(issuer.with_reason_query("a b").unwrap_err(), IssuerOptionsError::QueryName);
    /// # Ok::<(), IssuerOptionsError>(())
    /// ```
    ///
    /// # Errors
    /// The name has other characters than ASCII letters, digits and `-._~`, or none.
    pub fn with_reason_query(self, name: &str) -> Result<Self, IssuerOptionsError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err(IssuerOptionsError::QueryName);
        }
        Ok(Self { reason_query: Some(name.to_owned()), ..self })
    }

    /// Sends the token that the service refused, if there is one, in this header: so the server can pass over its cache, or
    /// revoke the token. Default: it is not sent.
    ///
    /// # Errors
    /// The name is not a valid one, or the HTTP client sets this header itself.
    pub fn with_rejected_token_header(self, name: &str) -> Result<Self, IssuerOptionsError> {
        Ok(Self { rejected_header: Some(header_name(name)?), ..self })
    }

    /// The request of one refresh.
    #[must_use]
    pub fn request(&self, reason: &Reason) -> HttpRequest {
        let why = if reason.rejected.is_some() { "rejected" } else { reason.first.as_str() };
        let mut headers = Vec::with_capacity(self.headers.len().saturating_add(5));
        let own = self.headers.iter().map(|(name, value)| (name, Text::Secret(Secret::new((**value).clone()))));
        let why_header = self.reason_header.iter().map(|name| (name, Text::Fixed(why)));
        let rejected = self.rejected_header.iter().zip(&reason.rejected);
        let rejected =
            rejected.map(|(name, token)| (name, Text::Secret(Secret::new(token.secret().expose().to_owned()))));
        for (name, value) in own.chain(why_header).chain(rejected) {
            headers.push((name.clone().into(), value));
        }
        for (name, value) in DEFAULTS {
            if !self.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                headers.push((name.into(), Text::Fixed(value)));
            }
        }
        let body = Text::Secret(Secret::new((*self.body).clone()));
        HttpRequest::new(self.method, self.url_for(why), headers, body).with_secret_query()
    }

    fn url_for(&self, why: &str) -> Zeroizing<String> {
        let Some(name) = &self.reason_query else { return self.url.clone() };
        let mark = match self.url.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some(_) => "&",
        };
        // In one piece, so it does not grow and leave itself behind.
        Zeroizing::new([self.url.as_str(), mark, name, "=", why].concat())
    }

    pub(super) fn field(&self) -> &[String] {
        &self.field
    }

    /// What must not show in a text that the issuer sends.
    pub(super) fn secrets<'s>(&'s self, reason: &'s Reason) -> impl Iterator<Item = &'s str> {
        let query = self.url.split_once('?').map_or("", |(_, query)| query);
        let parameters =
            query.split('&').map(|parameter| parameter.split_once('=').map_or(parameter, |(_, value)| value));
        let values = self.headers.iter().map(|(_, value)| value.as_str()).chain(parameters);
        let values = values.flat_map(words).filter(|word| word.len() >= SHORTEST && !is_scheme(word));
        let body = words(&self.body).filter(|word| word.len() >= SHORTEST_OF_BODY);
        let rejected = self.rejected_header.as_ref().and(reason.rejected.as_ref());
        values.chain(body).chain(rejected.map(|token| token.secret().expose()))
    }
}

/// The headers of each request, unless the caller sets them.
const DEFAULTS: [(&str, &str); 3] = [
    ("Accept", "application/json, text/plain"),
    ("Accept-Encoding", "identity"),
    // For caches between the issuer and this client.
    ("Cache-Control", "no-cache"),
];

/// HTTP clients set them, or the connection depends on them.
const RESERVED: [&str; 4] = ["Host", "Content-Length", "Transfer-Encoding", "Connection"];

/// A shorter word of a header or a query is not taken for a secret: it would be removed from texts that it is no part of.
const SHORTEST: usize = 4;
/// The same for a body, which has ordinary words too.
const SHORTEST_OF_BODY: usize = 12;

/// The words of a value: as `scrub` finds them in a text, without punctuation.
fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| c.is_whitespace() || "&\"'()<>[]{},:;".contains(c))
}

/// An authentication scheme is no secret.
fn is_scheme(word: &str) -> bool {
    ["Bearer", "Basic", "Digest", "DPoP"].iter().any(|scheme| scheme.eq_ignore_ascii_case(word))
}

fn check_url(url: &str) -> Result<(), IssuerOptionsError> {
    match Origin::new(url) {
        Ok(_) => {}
        Err(OriginError::Url(error)) => return Err(IssuerOptionsError::Url(error)),
        Err(OriginError::UserInfo) => return Err(IssuerOptionsError::UserInfo),
        // `NotBare` is not an error of `new`.
        Err(OriginError::NotHttps | OriginError::NotBare) => return Err(IssuerOptionsError::NotHttps),
    }
    let (url, _) = Url::parse(url).map_err(IssuerOptionsError::Url)?;
    if url.has_fragment {
        return Err(IssuerOptionsError::Fragment);
    }
    // The other characters that are not letters or digits are allowed, or are refused above.
    if url.query.is_some_and(|query| query.contains(['"', '<', '>', '[', ']', '^', '`', '{', '|', '}'])) {
        return Err(IssuerOptionsError::Url(UrlError::Character));
    }
    Ok(())
}

fn header_name(name: &str) -> Result<String, IssuerOptionsError> {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_reserved = RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name));
    if name.is_empty() || is_reserved || !name.bytes().all(is_of_name) {
        return Err(IssuerOptionsError::HeaderName { name: name.to_owned() });
    }
    Ok(name.to_owned())
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Issuer")
            .field("method", &self.method)
            .field("url", &self.url.split('?').next())
            .field("headers", &names)
            .field("body", &alloc::format!("{} bytes", self.body.len()))
            .field("field", &self.field.join("."))
            .field("reason_header", &self.reason_header)
            .field("reason_query", &self.reason_query)
            .field("rejected_header", &self.rejected_header)
            .finish()
    }
}
