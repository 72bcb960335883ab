//! A request and its response, as plain data.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::url::Url;

pub(crate) const AUTHORIZATION: &str = "Authorization";

/// A value or a body, and whether it is a secret.
pub(crate) enum Text {
    Fixed(&'static str),
    Plain(String),
    Secret(Secret),
}

impl Text {
    fn expose(&self) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

/// A request. Send it as it is, and do not follow redirects: it is for this URL only.
///
/// ```
/// use acs_common::entra::HttpRequest;
///
/// /// The head of the request in HTTP/1.1.
/// fn head(request: &HttpRequest) -> String {
///     let headers: String = request.expose_headers().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
///     format!("{} {} HTTP/1.1\r\n{headers}\r\n", request.method(), request.url())
/// }
/// # let _ = head;
/// ```
pub struct HttpRequest {
    method: &'static str,
    url: Zeroizing<String>,
    /// How much of the URL may be shown, in bytes.
    shown: usize,
    headers: Vec<(Cow<'static, str>, Text)>,
    body: Text,
    request_id: String,
    attempt: u32,
}

impl HttpRequest {
    pub(crate) fn new(
        method: &'static str,
        url: impl Into<Zeroizing<String>>,
        headers: Vec<(Cow<'static, str>, Text)>,
        body: Text,
    ) -> Self {
        let url = url.into();
        Self { method, shown: url.len(), url, headers, body, request_id: String::new(), attempt: 1 }
    }

    pub(crate) fn with_id(self, request_id: String, attempt: u32) -> Self {
        Self { request_id, attempt, ..self }
    }

    /// The query may be a secret.
    pub(crate) fn with_secret_query(self) -> Self {
        Self { shown: self.url.find('?').unwrap_or(self.url.len()), ..self }
    }

    /// `POST` or `GET`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The whole URL. The query of an [issuer](crate::issuer)'s URL may hold a secret: show
    /// [`display_url`](Self::display_url).
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL for logs and errors. Of an [issuer](crate::issuer)'s URL the query is left out, because it may hold a secret.
    #[must_use]
    pub fn display_url(&self) -> &str {
        self.url.get(..self.shown).unwrap_or_default()
    }

    /// Whether the URL leads to this computer: to `localhost` or a loopback address. Then the request may be plain http, and must
    /// not go through a proxy: the proxy would see the token, and could answer in place of the service.
    ///
    /// ```
    /// use acs_common::entra::HttpRequest;
    ///
    /// fn proxy(request: &HttpRequest) -> Option<String> {
    ///     if request.is_loopback() { None } else { std::env::var("HTTPS_PROXY").ok() }
    /// }
    /// # let _ = proxy;
    /// ```
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.url.split_once("://").is_some_and(|(scheme, rest)| Url::split(scheme, rest).is_loopback())
    }

    /// All headers, without those that HTTP clients add by themselves (`Host`, `Content-Length`). Some hold secrets: the Entra
    /// token, or what an [issuer](crate::issuer) is sent.
    pub fn expose_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (&**name, value.expose()))
    }

    /// The body: `{}` in the exchange. Empty: the request has none.
    #[must_use]
    pub fn body(&self) -> &str {
        self.body.expose()
    }

    /// The id of this exchange for the service. It is the same at every try. Empty for an [issuer](crate::issuer).
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The number of this try, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.display_url())
            .field("request_id", &self.request_id)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// The response to an [`HttpRequest`].
///
/// ```
/// use acs_common::entra::HttpResponse;
///
/// let response = HttpResponse::new(429).with_header("Retry-After", "20").with_body(b"slow down".to_vec());
/// assert_eq!(format!("{response:?}"), r#"HttpResponse { status: 429, headers: ["Retry-After"], body: "9 bytes" }"#);
/// ```
pub struct HttpResponse {
    pub(crate) status: u16,
    /// Wiped: a value may hold a token.
    headers: Vec<(String, Zeroizing<String>)>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl HttpResponse {
    /// The largest body that is read, in bytes. A host may stop reading after one byte more.
    pub const MAX_BODY: usize = 1 << 20;

    /// A response without headers or body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Zeroizing::new(Vec::new()) }
    }

    /// Adds this header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), Zeroizing::new(value.to_owned())));
        self
    }

    /// Sets the body. It is wiped when the response is dropped.
    #[must_use]
    pub fn with_body(self, body: Vec<u8>) -> Self {
        Self { body: Zeroizing::new(body), ..self }
    }

    /// Adds this part to the end of the body, for hosts that read it in parts. What the body outgrows is wiped. Returns whether to
    /// read on: no more once the body is longer than [`MAX_BODY`](Self::MAX_BODY).
    ///
    /// ```
    /// use acs_common::entra::HttpResponse;
    /// use std::io::{Read, Result};
    ///
    /// fn read(mut response: HttpResponse, mut connection: impl Read) -> Result<HttpResponse> {
    ///     let mut part = [0; 4096];
    ///     loop {
    ///         let bytes = connection.read(&mut part)?;
    ///         if bytes == 0 || !response.extend_body(&part[..bytes]) {
    ///             return Ok(response);
    ///         }
    ///     }
    /// }
    /// # let _ = read(HttpResponse::new(200), std::io::empty());
    /// ```
    #[must_use = "a body without end is to be read no further"]
    pub fn extend_body(&mut self, part: &[u8]) -> bool {
        let room = Self::MAX_BODY.saturating_add(1).saturating_sub(self.body.len());
        let part = part.get(..room).unwrap_or(part);
        let length = self.body.len().saturating_add(part.len());
        if length > self.body.capacity() {
            let doubled = self.body.capacity().saturating_mul(2);
            let mut larger = Zeroizing::new(Vec::with_capacity(length.max(doubled)));
            larger.extend_from_slice(&self.body);
            self.body = larger;
        }
        self.body.extend_from_slice(part);
        self.body.len() <= Self::MAX_BODY
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first header of this name. Case does not matter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("headers", &names)
            .field("body", &alloc::format!("{} bytes", self.body.len()))
            .finish()
    }
}

/// Converts to a request of the `http` crate. Headers with secrets are marked as sensitive. They and the body are wiped with
/// their last clones.
///
/// ```
/// use acs_common::entra::HttpRequest;
/// use bytes::Bytes;
///
/// /// Of the exchange.
/// fn convert(request: HttpRequest) -> Result<http::Request<Bytes>, http::Error> {
///     let request = http::Request::try_from(request)?;
///     assert!(request.headers()["authorization"].is_sensitive());
///     Ok(request)
/// }
/// # let _ = convert;
/// ```
///
/// # Errors
/// The Entra token has characters that a header must not have.
#[cfg(feature = "http")]
impl TryFrom<HttpRequest> for http::Request<bytes::Bytes> {
    type Error = http::Error;

    fn try_from(request: HttpRequest) -> Result<Self, http::Error> {
        let mut converted = http::Request::builder().method(request.method).uri(request.url());
        for (name, value) in request.headers {
            let sensitive = matches!(value, Text::Secret(_));
            let mut value = http::HeaderValue::from_maybe_shared(bytes_of(value))?;
            value.set_sensitive(sensitive);
            converted = converted.header(&*name, value);
        }
        converted.body(bytes_of(request.body))
    }
}

/// Without a copy. The bytes of a secret are wiped on drop.
#[cfg(feature = "http")]
fn bytes_of(text: Text) -> bytes::Bytes {
    match text {
        Text::Fixed(text) => bytes::Bytes::from_static(text.as_bytes()),
        Text::Plain(text) => text.into(),
        Text::Secret(secret) => bytes::Bytes::from_owner(Wiped(secret)),
    }
}

#[cfg(feature = "http")]
struct Wiped(Secret);

#[cfg(feature = "http")]
impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

/// Converts a response of the `http` crate. Headers whose value is not text are left out: nothing reads them.
///
/// ```
/// use acs_common::entra::HttpResponse;
///
/// let response = http::Response::builder().status(503).header("Retry-After", "7").body(Vec::new())?;
/// assert_eq!(HttpResponse::from(response).header("retry-after"), Some("7"));
/// # Ok::<(), http::Error>(())
/// ```
#[cfg(feature = "http")]
impl<B: Into<Vec<u8>>> From<http::Response<B>> for HttpResponse {
    fn from(response: http::Response<B>) -> Self {
        let (head, body) = response.into_parts();
        let mut converted = Self::new(head.status.as_u16()).with_body(body.into());
        for (name, value) in &head.headers {
            if let Ok(value) = value.to_str() {
                converted = converted.with_header(name.as_str(), value);
            }
        }
        converted
    }
}
