//! The connection string of a resource of Azure Communication Services, as the Azure portal shows it.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::secret::Secret;
use crate::url::{InvalidUrl, Url};

/// `endpoint=…;accesskey=…`, taken apart.
///
/// The names are compared without regard to case, and must stand in this order, with nothing but the endpoint and one
/// semicolon between them. What stands before `endpoint=` is skipped. The *last* `;accesskey=` begins the key, and
/// the rest of the line belongs to it, semicolons and spaces too. The endpoint is kept as it was written, and must
/// be a URL (`https` or `http`) of a host, with or without a port and a closing `/`.
///
/// So a second `;accesskey=` is not refused: the first one is then taken for a part of the host's name, as the reference
/// takes it. Such an endpoint shows in `Debug` only up to its semicolon.
///
/// ```
/// use acs_common::connection_string::ConnectionString;
///
/// let text = "endpoint=https://contoso.communication.azure.com/;accesskey=c2VjcmV0";
/// let parsed: ConnectionString = text.parse()?;
/// assert_eq!(parsed.endpoint(), "https://contoso.communication.azure.com/");
/// assert_eq!(parsed.access_key().expose(), "c2VjcmV0");
/// assert!(!format!("{parsed:?}").contains("c2VjcmV0"), "secrets never show");
/// # Ok::<(), acs_common::connection_string::InvalidConnectionString>(())
/// ```
pub struct ConnectionString {
    endpoint: String,
    access_key: Secret,
}

impl ConnectionString {
    /// Where the resource is: a URL that paths may be appended to, once a closing `/` is taken off.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The key, still in base64 and not checked: `AccessKey` (feature `access-key`) reads it.
    #[must_use]
    pub fn access_key(&self) -> &Secret {
        &self.access_key
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.endpoint.split_once(';').map_or(&*self.endpoint, |(host, _)| host);
        f.debug_struct("ConnectionString").field("endpoint", &endpoint).field("access_key", &self.access_key).finish()
    }
}

impl FromStr for ConnectionString {
    type Err = InvalidConnectionString;

    fn from_str(text: &str) -> Result<Self, InvalidConnectionString> {
        // The reference searches by a pattern that no line break matches.
        let mut lines = text.split(['\n', '\r', '\u{2028}', '\u{2029}']).filter_map(|line| behind(line, "endpoint="));
        let mut begun = lines.clone();
        let Some((endpoint, access_key)) = lines.find_map(|line| around_last(line, ";accesskey=")) else {
            let begun = begun.next().is_some();
            return Err(if begun { InvalidConnectionString::NoAccessKey } else { InvalidConnectionString::NoEndpoint });
        };
        if endpoint.is_empty() {
            return Err(InvalidConnectionString::EmptyEndpoint);
        }
        if access_key.is_empty() {
            return Err(InvalidConnectionString::EmptyAccessKey);
        }
        let (url, _) = Url::parse(endpoint)?;
        if !matches!(url.path, "" | "/") || url.query.is_some() || url.has_user_info || url.has_fragment {
            return Err(InvalidConnectionString::EndpointNotBare);
        }
        Ok(Self { endpoint: endpoint.to_owned(), access_key: Secret::new(access_key.to_owned()) })
    }
}

/// What follows the first such name.
pub(crate) fn behind<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (at, _) = line.as_bytes().windows(name.len()).enumerate().find(|(_, text)| is(text, name))?;
    line.get(at.checked_add(name.len())?..)
}

/// What stands before and behind the last such name.
fn around_last<'a>(line: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let (at, _) = line.as_bytes().windows(name.len()).enumerate().rev().find(|(_, text)| is(text, name))?;
    Some((line.get(..at)?, line.get(at.checked_add(name.len())?..)?))
}

fn is(text: &[u8], name: &str) -> bool {
    text.eq_ignore_ascii_case(name.as_bytes())
}

/// What is wrong with a connection string. It repeats nothing of it, since that might be the key.
///
/// ```
/// use acs_common::connection_string::{ConnectionString, InvalidConnectionString};
///
/// let turned = "accesskey=c2VjcmV0;endpoint=https://contoso.communication.azure.com/";
/// let error = turned.parse::<ConnectionString>().unwrap_err();
/// assert_eq!(error, InvalidConnectionString::NoAccessKey);
/// assert!(error.to_string().contains("behind the endpoint"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConnectionString {
    /// There is no `endpoint=`.
    #[error("the connection string has no `endpoint=`: copy the whole of it, `endpoint=…;accesskey=…`")]
    NoEndpoint,
    /// There is no `;accesskey=` behind the endpoint.
    #[error(
        "the connection string has no `;accesskey=` behind the endpoint: copy the whole of it, `endpoint=…;accesskey=…`"
    )]
    NoAccessKey,
    /// Nothing stands between `endpoint=` and `;accesskey=`.
    #[error("the endpoint of the connection string is empty: copy the whole of it from the Azure portal")]
    EmptyEndpoint,
    /// Nothing stands behind `;accesskey=`.
    #[error("the access key of the connection string is empty: copy the whole of it from the Azure portal")]
    EmptyAccessKey,
    /// The endpoint is no URL.
    #[error("the endpoint of the connection string is no URL of a resource: {0}")]
    Endpoint(#[from] InvalidUrl),
    /// The endpoint has a path, a query, a fragment or user info.
    #[error(
        "the endpoint of the connection string has more than a host and a port: drop its path, query, fragment and user info"
    )]
    EndpointNotBare,
}
