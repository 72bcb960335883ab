//! The exchange's HTTP request and response, as plain data.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::url::Url;

const AUTHORIZATION: &str = "Authorization";

/// A request. Send it as it is, and do not follow redirects: the token is for this URL only.
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
    url: String,
    authorization: Secret,
    request_id: String,
    attempt: u32,
}

impl HttpRequest {
    pub(super) fn new(url: String, authorization: Secret, request_id: String, attempt: u32) -> Self {
        Self { url, authorization, request_id, attempt }
    }

    /// `POST`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        "POST"
    }

    /// The whole URL. It holds no secret.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
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

    /// All headers, without those that HTTP clients add by themselves (`Host`, `Content-Length`). One holds the Entra token.
    pub fn expose_headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            (AUTHORIZATION, self.authorization.expose()),
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            ("x-ms-client-request-id", self.request_id.as_str()),
        ]
        .into_iter()
    }

    /// `{}`.
    #[must_use]
    pub fn body(&self) -> &'static str {
        "{}"
    }

    /// The id of this exchange for the service. It is the same at every try.
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
            .field("url", &self.url)
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
    pub(super) status: u16,
    /// Wiped: a value may hold a token.
    headers: Vec<(String, Zeroizing<String>)>,
    pub(super) body: Zeroizing<Vec<u8>>,
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

/// Converts to a request of the `http` crate. The header with the Entra token is marked as sensitive, and wiped with its last
/// clone.
///
/// ```
/// use acs_common::entra::HttpRequest;
///
/// fn convert(request: HttpRequest) -> Result<http::Request<&'static [u8]>, http::Error> {
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
impl TryFrom<HttpRequest> for http::Request<&'static [u8]> {
    type Error = http::Error;

    fn try_from(request: HttpRequest) -> Result<Self, http::Error> {
        let mut converted = http::Request::builder().method(request.method()).uri(request.url());
        for (name, value) in request.expose_headers().filter(|(name, _)| *name != AUTHORIZATION) {
            converted = converted.header(name, value);
        }
        let body = request.body().as_bytes();
        let wiped = bytes::Bytes::from_owner(Wiped(request.authorization));
        let mut authorization = http::HeaderValue::from_maybe_shared(wiped)?;
        authorization.set_sensitive(true);
        converted.header(AUTHORIZATION, authorization).body(body)
    }
}

/// The bytes of a secret, without a copy. They are wiped on drop.
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
