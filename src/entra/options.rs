//! The options of the exchange, checked once at construction.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU16;

use crate::connection_string::behind;
use crate::url::Url;

/// At which endpoint, and for which scopes, an Entra token is exchanged.
///
/// ```
/// use acs_common::entra::EntraOptions;
///
/// let calls = EntraOptions::new("https://contoso.communication.azure.com/")?
///     .with_scopes(["https://auth.msft.communication.azure.com/TeamsExtension.ManageCalls"])?;
/// assert_eq!(calls.endpoint(), "https://contoso.communication.azure.com");
///
/// let error = EntraOptions::new("http://contoso.communication.azure.com").unwrap_err();
/// assert_eq!(error.to_string(), "the endpoint is not https: tokens are sent to it, and plain http is for loopback hosts only");
/// # Ok::<(), acs_common::entra::EntraOptionsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntraOptions {
    endpoint: String,
    scopes: Vec<String>,
    family: Family,
    prewarm: bool,
}

/// Which of the service's two exchanges the scopes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Clients,
    TeamsExtension,
}

const DEFAULT_SCOPE: &str = "https://communication.azure.com/clients/.default";

impl EntraOptions {
    /// Options for this endpoint of the resource: https (plain http only to a loopback host), with an optional port and path.
    /// White space around it is dropped. The scope is `https://communication.azure.com/clients/.default` unless
    /// [others are given](Self::with_scopes).
    ///
    /// # Errors
    /// The endpoint is invalid. The error says what is wrong with it.
    pub fn new(endpoint: &str) -> Result<Self, EntraOptionsError> {
        Ok(Self {
            endpoint: check_endpoint(endpoint.trim_ascii())?,
            scopes: [DEFAULT_SCOPE.to_owned()].into(),
            family: Family::Clients,
            prewarm: true,
        })
    }

    /// Asks for these scopes: all of `https://communication.azure.com/clients/…`, or all of the Teams extension
    /// (`https://auth.msft.communication.azure.com/…`, in the US government's cloud `….azure.us/…`). Copied.
    ///
    /// # Errors
    /// The list is empty, or one scope is of an unknown family or of another family than the first. The error names it.
    pub fn with_scopes<S: Into<String>>(self, scopes: impl IntoIterator<Item = S>) -> Result<Self, EntraOptionsError> {
        let scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        let mut families = scopes.iter().map(|scope| family(scope).ok_or(scope));
        let first = families.next().ok_or(EntraOptionsError::NoScopes)?;
        let unknown = |scope: &String| EntraOptionsError::UnknownScope { scope: scope.clone() };
        let family = first.map_err(unknown)?;
        for (other, scope) in families.zip(scopes.iter().skip(1)) {
            if other.map_err(unknown)? != family {
                return Err(EntraOptionsError::MixedScopes { scope: scope.clone() });
            }
        }
        Ok(Self { scopes, family, ..self })
    }

    /// Whether the credential gets its first token at construction, before the first request. Default: yes.
    #[must_use]
    pub fn with_prewarm(self, on: bool) -> Self {
        Self { prewarm: on, ..self }
    }

    /// The endpoint, without slashes at its end.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The scopes to ask the source of Entra tokens for.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether to get a token at construction ([`with_prewarm`](Self::with_prewarm)).
    #[must_use]
    pub fn prewarm(&self) -> bool {
        self.prewarm
    }

    /// Path and query of the exchange. They follow the endpoint.
    pub(super) fn path(&self) -> &'static str {
        match self.family {
            Family::Clients => "/access/entra/:exchangeAccessToken?api-version=2025-03-02-preview",
            Family::TeamsExtension => "/access/teamsExtension/:exchangeAccessToken?api-version=2025-06-30",
        }
    }
}

/// Scheme and host of a scope (case does not matter), the path after them, and the family.
const FAMILIES: [(&str, &str, Family); 3] = [
    ("https://auth.msft.communication.azure.com", "/", Family::TeamsExtension),
    ("https://auth.msft.communication.azure.us", "/", Family::TeamsExtension),
    ("https://communication.azure.com", "/clients/", Family::Clients),
];

fn family(scope: &str) -> Option<Family> {
    FAMILIES.into_iter().find_map(|(host, path, family)| {
        let (start, rest) = scope.split_at_checked(host.len())?;
        let name = rest.strip_prefix(path)?;
        let named = !name.is_empty() && !name.contains(char::is_whitespace);
        (start.eq_ignore_ascii_case(host) && named).then_some(family)
    })
}

fn check_endpoint(endpoint: &str) -> Result<String, EntraOptionsError> {
    // A URL may have this in its path. But errors show an endpoint, and must not show a key.
    if [";accesskey=", ";endpoint="].iter().any(|name| behind(endpoint, name).is_some()) {
        return Err(EntraOptionsError::EndpointIsConnectionString);
    }
    let (scheme, rest) = endpoint.split_once(':').ok_or(EntraOptionsError::EndpointUnreadable)?;
    if !is_scheme(scheme) {
        return Err(EntraOptionsError::EndpointUnreadable);
    }
    let url = Url::split(scheme, rest.strip_prefix("//").ok_or(EntraOptionsError::EndpointWithoutHost)?);
    if url.host.is_empty() {
        return Err(EntraOptionsError::EndpointWithoutHost);
    }
    if url.has_user_info {
        return Err(EntraOptionsError::EndpointWithUserInfo);
    }
    if url.query.is_some() || url.has_fragment {
        return Err(EntraOptionsError::EndpointWithQuery);
    }
    let out_of_range =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<NonZeroU16>().is_err();
    if url.port.strip_prefix(':').is_some_and(out_of_range) {
        return Err(EntraOptionsError::EndpointPort);
    }
    let secure = url.is_https() || scheme.eq_ignore_ascii_case("http") && url.is_loopback();
    if !secure {
        return Err(EntraOptionsError::EndpointNotHttps);
    }
    // A browser accepts any `%`.
    if url.check().is_err() || !url.path.split('%').skip(1).all(is_encoded) {
        return Err(EntraOptionsError::EndpointUnreadable);
    }
    Ok(endpoint.trim_end_matches('/').to_owned())
}

fn is_scheme(text: &str) -> bool {
    let is_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_of_scheme)
}

/// Whether two hexadecimal digits follow a `%`.
fn is_encoded(text: &str) -> bool {
    text.as_bytes().first_chunk().is_some_and(|digits: &[u8; 2]| digits.iter().all(u8::is_ascii_hexdigit))
}

/// What is wrong with [`EntraOptions`].
///
/// ```
/// use acs_common::entra::EntraOptions;
///
/// let options = EntraOptions::new("https://contoso.communication.azure.com")?;
/// let error = options.with_scopes(["https://graph.microsoft.com/.default"]).unwrap_err();
/// assert!(error.to_string().contains("https://graph.microsoft.com/.default"));
/// # Ok::<(), acs_common::entra::EntraOptionsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntraOptionsError {
    /// It is not a valid URL.
    #[error("the endpoint is not a valid URL: pass one such as https://contoso.communication.azure.com")]
    EndpointUnreadable,
    /// It has no host.
    #[error("the endpoint has no host: pass one such as https://contoso.communication.azure.com")]
    EndpointWithoutHost,
    /// It is not https, and its host is not loopback. Tokens must not be sent unencrypted.
    #[error("the endpoint is not https: tokens are sent to it, and plain http is for loopback hosts only")]
    EndpointNotHttps,
    /// It contains a user name or a password.
    #[error("the endpoint has a user name or a password before an `@`: leave it out")]
    EndpointWithUserInfo,
    /// It is a connection string, or a part of one.
    #[error(
        "the endpoint looks like a connection string with the access key in it: pass only the text between `endpoint=` and `;accesskey=`"
    )]
    EndpointIsConnectionString,
    /// It has a query or a fragment.
    #[error("the endpoint has a query or a fragment (`?`, `#`): leave it out")]
    EndpointWithQuery,
    /// Its port is not valid.
    #[error("the endpoint's port is not a number from 1 to 65535")]
    EndpointPort,
    /// The list is empty.
    #[error("the list of scopes is empty: pass at least one, or keep the default")]
    NoScopes,
    /// A scope belongs to no known family.
    #[error(
        "the scope {scope:?} is unknown: use https://communication.azure.com/clients/… or https://auth.msft.communication.azure.com/… (….azure.us/…)"
    )]
    #[non_exhaustive]
    UnknownScope {
        /// The scope.
        scope: String,
    },
    /// A scope belongs to another family than the first one.
    #[error("the scope {scope:?} belongs to another exchange than the first scope: make a credential for each family")]
    #[non_exhaustive]
    MixedScopes {
        /// The scope.
        scope: String,
    },
}
