//! Where a token may go.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::fmt;

use crate::url::{Url, UrlError};

/// The one origin that requests are authorized for: scheme, host and port
/// ([RFC 6454](https://www.rfc-editor.org/rfc/rfc6454#section-4)). It is https, or plain http to a loopback host.
///
/// ```
/// use acs_common::call::Origin;
///
/// let origin = Origin::new("https://contoso.communication.azure.com/")?;
/// assert_eq!(origin.to_string(), "https://contoso.communication.azure.com");
/// assert!(origin.covers("https", "Contoso.Communication.Azure.com", Some(443)));
/// assert!(!origin.covers("http", "contoso.communication.azure.com", Some(443)));
/// assert!(!origin.covers("https", "contoso.communication.azure.com.example", None));
///
/// let error = Origin::new("http://contoso.communication.azure.com").unwrap_err();
/// assert_eq!(error.to_string(), "the endpoint is plain http: use https, because tokens are sent to it (http is for loopback hosts only)");
/// # Ok::<(), acs_common::call::OriginError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    https: bool,
    /// In lower case, an IPv6 address in its brackets.
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of the resource's endpoint. White space around it is dropped; a path, a query and a fragment do not matter.
    ///
    /// # Errors
    /// [`OriginError`]: it is not a URL, has user info, or is plain http to a host that is not loopback.
    pub fn new(endpoint: &str) -> Result<Self, OriginError> {
        let (url, host) = Url::parse(endpoint.trim_ascii())?;
        if url.has_user_info {
            return Err(OriginError::UserInfo);
        }
        let https = url.is_https();
        if !https && !url.is_loopback() {
            return Err(OriginError::NotHttps);
        }
        // The port is there if it is not the scheme's own; an IPv6 address has colons in its brackets.
        let (host, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name.to_owned(), port.parse().map_err(|_| UrlError::Port)?),
            Some(_) | None => (host, own_port(https)),
        };
        Ok(Self { https, host, port })
    }

    /// As [`new`](Self::new), and the endpoint has nothing but the origin, with or without a `/` at its end.
    ///
    /// ```
    /// use acs_common::call::{Origin, OriginError};
    ///
    /// assert!(Origin::bare("https://contoso.communication.azure.com/").is_ok());
    /// assert_eq!(Origin::bare("https://contoso.communication.azure.com/chat"), Err(OriginError::NotBare));
    /// ```
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and [`OriginError::NotBare`].
    pub fn bare(endpoint: &str) -> Result<Self, OriginError> {
        let origin = Self::new(endpoint)?;
        let (url, _) = Url::parse(endpoint.trim_ascii())?;
        let is_bare = matches!(url.path, "" | "/") && url.query.is_none() && !url.has_fragment;
        if is_bare { Ok(origin) } else { Err(OriginError::NotBare) }
    }

    /// Whether a request with this scheme, host and port (`None`: the scheme's own) goes to this origin. An IPv6 address is in
    /// its brackets.
    #[must_use]
    pub fn covers(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let https = scheme.eq_ignore_ascii_case("https");
        (https || scheme.eq_ignore_ascii_case("http"))
            && https == self.https
            && host.eq_ignore_ascii_case(&self.host)
            && port.unwrap_or(own_port(https)) == self.port
    }
}

fn own_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.host)?;
        if self.port == own_port(self.https) { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Why an endpoint is no place to send tokens to.
///
/// ```
/// use acs_common::call::{Origin, OriginError};
///
/// assert_eq!(Origin::new("https://user@contoso.example"), Err(OriginError::UserInfo));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// It is not a valid URL.
    #[error("the endpoint is not a valid URL: {0}")]
    Url(#[from] UrlError),
    /// It holds a user name or a password.
    #[error("the endpoint has user info before the `@`: remove it")]
    UserInfo,
    /// Anyone on the way could read the token.
    #[error("the endpoint is plain http: use https, because tokens are sent to it (http is for loopback hosts only)")]
    NotHttps,
    /// It is not the resource's endpoint, but the URL of something in it.
    #[error("the endpoint has more than a host and a port: remove its path, query and fragment")]
    NotBare,
}
