//! The connection string of a resource of Azure Communication Services, as the Azure portal shows it.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::secret::Secret;
use crate::url::{Url, UrlError};

/// A parsed connection string, `endpoint=…;accesskey=…`. It is read as the Azure SDKs for .NET, Java and Python read it.
///
/// - The pairs are in any order, with semicolons between them. Empty pairs and pairs with another name are skipped. Of two
///   pairs with the same name, the last one counts.
/// - Names are compared without regard to case. White space around names and values is dropped.
/// - Single or double quotes around the whole text are dropped. They often come from an env file.
/// - If one line of several is a whole connection string, the other lines are skipped.
///
/// The endpoint must be a URL (`https` or `http`) with a host, and may have a port and a `/` at the end. It is kept as it was
/// written.
///
/// [`from_str`](Self::from_str) returns a [`ConnectionStringError`] that says what is wrong and how to correct it.
///
/// ```
/// use acs_common::connection_string::ConnectionString;
///
/// let text = "endpoint=https://contoso.communication.azure.com/;accesskey=c2VjcmV0";
/// let parsed: ConnectionString = text.parse()?;
/// assert_eq!(parsed.endpoint(), "https://contoso.communication.azure.com/");
/// assert_eq!(parsed.access_key().expose(), "c2VjcmV0");
/// assert!(!format!("{parsed:?}").contains("c2VjcmV0"), "secrets never show");
///
/// let quoted: ConnectionString = r#""AccessKey = c2VjcmV0; Endpoint = https://contoso.communication.azure.com/;""#.parse()?;
/// assert_eq!(quoted.endpoint(), parsed.endpoint());
/// # Ok::<(), acs_common::connection_string::ConnectionStringError>(())
/// ```
pub struct ConnectionString {
    endpoint: String,
    access_key: Secret,
}

impl ConnectionString {
    /// The URL of the resource. Remove a `/` at its end before you append a path.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The key in base64, not checked. `key` (feature `access-key`) reads it.
    #[must_use]
    pub fn access_key(&self) -> &Secret {
        &self.access_key
    }

    /// The key, ready for use.
    ///
    /// Needs the feature `access-key`.
    ///
    /// ```
    /// use acs_common::UnixTime;
    /// use acs_common::connection_string::ConnectionString;
    ///
    /// let text = "endpoint=https://contoso.communication.azure.com/;accesskey=c2VjcmV0";
    /// let resource: ConnectionString = text.parse()?;
    /// let url = format!("{}identities", resource.endpoint());
    /// let signed = resource.key()?.sign("GET", &url, b"", UnixTime::from_secs(0))?;
    /// assert_eq!(signed.target(), "/identities");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AccessKeyError`](crate::access_key::AccessKeyError): the key is not base64. The error does not repeat the key.
    #[cfg(feature = "access-key")]
    pub fn key(&self) -> Result<crate::access_key::AccessKey, crate::access_key::AccessKeyError> {
        crate::access_key::AccessKey::from_base64(self.access_key.expose())
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionString")
            .field("endpoint", &self.endpoint)
            .field("access_key", &self.access_key)
            .finish()
    }
}

impl FromStr for ConnectionString {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, ConnectionStringError> {
        // The reference reads one line. The other SDKs read the whole text, where a line break is white space.
        let text = unquoted(text);
        let mut lines = text.split(['\n', '\r', '\u{2028}', '\u{2029}']);
        lines.find_map(|line| read(line).ok()).map_or_else(|| read(text), Ok)
    }
}

fn read(text: &str) -> Result<ConnectionString, ConnectionStringError> {
    let text = unquoted(text);
    let endpoint = value(text, "endpoint").ok_or(ConnectionStringError::NoEndpoint)?;
    let access_key = value(text, "accesskey").ok_or(ConnectionStringError::NoAccessKey)?;
    if endpoint.is_empty() {
        return Err(ConnectionStringError::EmptyEndpoint);
    }
    if access_key.is_empty() {
        return Err(ConnectionStringError::EmptyAccessKey);
    }
    let (url, _) = Url::parse(endpoint)?;
    // `Debug` shows the endpoint, so the key must not be in it.
    let holds_key = behind(endpoint, "accesskey=").is_some();
    if holds_key || !matches!(url.path, "" | "/") || url.query.is_some() || url.has_user_info || url.has_fragment {
        return Err(ConnectionStringError::EndpointNotBare);
    }
    Ok(ConnectionString { endpoint: endpoint.to_owned(), access_key: Secret::new(access_key.to_owned()) })
}

/// The text without white space, semicolons and one pair of quotes at its ends.
fn unquoted(text: &str) -> &str {
    let text = text.trim_matches(|letter: char| letter == ';' || letter.is_whitespace());
    let within = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(text)
}

/// The value of the last pair with this name.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.rsplit(';').filter_map(|pair| pair.split_once('='));
    pairs.find(|(other, _)| other.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The text after the first occurrence of `name`, in upper or lower case.
pub(crate) fn behind<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let same = |window: &[u8]| window.eq_ignore_ascii_case(name.as_bytes());
    let at = text.as_bytes().windows(name.len()).position(same)?;
    text.get(at.checked_add(name.len())?..)
}

/// What is wrong with a connection string. The error repeats nothing of the string, because that may be the key.
///
/// ```
/// use acs_common::connection_string::{ConnectionString, ConnectionStringError};
///
/// let half = "endpoint=https://contoso.communication.azure.com/";
/// let error = half.parse::<ConnectionString>().unwrap_err();
/// assert_eq!(error, ConnectionStringError::NoAccessKey);
/// assert!(error.to_string().contains("copy the whole string from the Azure portal"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionStringError {
    /// No pair has the name `endpoint`.
    #[error(
        "the connection string has no pair `endpoint=…`: copy the whole string from the Azure portal, `endpoint=…;accesskey=…`"
    )]
    NoEndpoint,
    /// No pair has the name `accesskey`.
    #[error(
        "the connection string has no pair `accesskey=…`: copy the whole string from the Azure portal, `endpoint=…;accesskey=…`"
    )]
    NoAccessKey,
    /// Nothing follows `endpoint=`.
    #[error("the endpoint in the connection string is empty: copy the whole string from the Azure portal")]
    EmptyEndpoint,
    /// Nothing follows `accesskey=`.
    #[error("the access key in the connection string is empty: copy the whole string from the Azure portal")]
    EmptyAccessKey,
    /// The endpoint is not a valid URL.
    #[error("the endpoint in the connection string is not a valid URL: {0}")]
    Endpoint(#[from] UrlError),
    /// The endpoint has a path, a query, a fragment or user info.
    #[error(
        "the endpoint in the connection string has more than a host and a port: remove its path, query, fragment and user info"
    )]
    EndpointNotBare,
}
