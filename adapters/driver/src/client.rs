//! What a client of the service is made from: where the resource is, and who calls it (feature `access-key`).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use acs_common::UnixTime;
use acs_common::access_key::{AccessKey, AccessKeyError};
use acs_common::call::{Origin, OriginError};
use acs_common::connection_string::{ConnectionString, ConnectionStringError};
use arc_swap::ArcSwap;

use crate::provider::TokenProvider;
use crate::wall_clock;

/// An access key that can be changed while clients use it. Clones share the key.
///
/// A resource has two keys, so that they can be rotated: give the clients the second key, then make a new first one in the
/// Azure portal. Requests that are being signed end with the key they began with. The old key is wiped from memory when the
/// last of them has ended.
///
/// It also knows by how much the service's clock is ahead of this device's, once the service has refused a request for its
/// date.
///
/// ```
/// use acs_common::access_key::AccessKey;
/// use acs_common_driver::SharedKey;
///
/// let key = SharedKey::new(AccessKey::from_base64("cHJpbWFyeQ==")?);
/// let of_a_client = key.clone();
/// key.rotate(AccessKey::from_base64("c2Vjb25kYXJ5")?);
/// assert_eq!(format!("{of_a_client:?}"), "SharedKey(…)");
/// # Ok::<(), acs_common::access_key::AccessKeyError>(())
/// ```
#[derive(Clone)]
pub struct SharedKey(Arc<Inner>);

struct Inner {
    key: ArcSwap<AccessKey>,
    /// By how many milliseconds the service is ahead.
    ahead: AtomicI64,
}

impl SharedKey {
    /// A key that can be rotated.
    #[must_use]
    pub fn new(key: AccessKey) -> Self {
        Self(Arc::new(Inner { key: ArcSwap::from_pointee(key), ahead: AtomicI64::new(0) }))
    }

    /// From now on requests are signed with this key.
    pub fn rotate(&self, key: AccessKey) {
        self.0.key.store(Arc::new(key));
    }

    /// The key at present. Do not keep it: a key that is kept is neither rotated nor wiped.
    ///
    /// ```
    /// use acs_common::UnixTime;
    /// use acs_common_driver::SharedKey;
    /// # use acs_common::access_key::AccessKey;
    ///
    /// let shared = SharedKey::new(AccessKey::from_base64("pw==")?);
    /// let signed = shared.key().sign("GET", "https://contoso.communication.azure.com/", b"", UnixTime::from_secs(0))?;
    /// assert_eq!(signed.host(), "contoso.communication.azure.com");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn key(&self) -> Arc<AccessKey> {
        self.0.key.load_full()
    }

    /// The date to sign with now: the wall clock's, or the service's once it is [known](Self::learn_date).
    ///
    /// ```
    /// use acs_common::UnixTime;
    /// use acs_common::access_key::AccessKey;
    /// use acs_common_driver::SharedKey;
    ///
    /// let key = SharedKey::new(AccessKey::from_base64("pw==")?);
    /// key.learn_date(UnixTime::from_secs(1_649_873_352)); // This device's clock is years fast.
    /// assert!(key.date() >= UnixTime::from_secs(1_649_873_351) && key.date() < UnixTime::from_secs(1_649_873_400));
    /// # Ok::<(), acs_common::access_key::AccessKeyError>(())
    /// ```
    #[must_use]
    pub fn date(&self) -> UnixTime {
        let ahead = self.0.ahead.load(Ordering::Relaxed);
        UnixTime::from_millis(wall_clock::now().as_millis().saturating_add(ahead))
    }

    /// The service's clock says this now. The layers of this library call it when the service has refused a signature for its
    /// date, and then accepted one with its own date.
    pub fn learn_date(&self, date: UnixTime) {
        let ahead = date.as_millis().saturating_sub(wall_clock::now().as_millis());
        self.0.ahead.store(ahead, Ordering::Relaxed);
    }
}

impl From<AccessKey> for SharedKey {
    fn from(key: AccessKey) -> Self {
        Self::new(key)
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(…)")
    }
}

/// Who calls the service: a user with a token, or the resource's owner with an access key. Cheap to clone.
///
/// ```
/// use acs_common::access_key::AccessKey;
/// use acs_common_driver::ClientAuth;
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// let user: ClientAuth = CommunicationTokenCredential::with_static_token("eyJhbGci")?.into();
/// let owner: ClientAuth = AccessKey::from_base64("pw==")?.into();
/// assert!(matches!((user, owner), (ClientAuth::Token(_), ClientAuth::Key(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum ClientAuth {
    /// A credential, whose token goes on each request.
    Token(Arc<dyn TokenProvider>),
    /// An access key, which signs each request.
    Key(SharedKey),
}

impl<P: TokenProvider + 'static> From<P> for ClientAuth {
    fn from(credential: P) -> Self {
        Self::Token(Arc::new(credential))
    }
}

impl From<SharedKey> for ClientAuth {
    fn from(key: SharedKey) -> Self {
        Self::Key(key)
    }
}

impl From<AccessKey> for ClientAuth {
    fn from(key: AccessKey) -> Self {
        Self::Key(key.into())
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(…)",
            Self::Key(_) => "Key(…)",
        })
    }
}

/// What a client of the service is made from: the resource's endpoint, and who calls.
///
/// ```
/// use acs_common_driver::{ClientArguments, ClientAuth};
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// let text = "endpoint=https://contoso.communication.azure.com/;accesskey=c2VjcmV0";
/// let owner = ClientArguments::from_connection_string(text)?;
/// assert_eq!(owner.endpoint(), "https://contoso.communication.azure.com");
/// assert!(matches!(owner.auth(), ClientAuth::Key(_)));
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
/// let user = ClientArguments::new("https://contoso.communication.azure.com", credential)?;
/// assert!(matches!(user.auth(), ClientAuth::Token(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientArguments {
    endpoint: String,
    origin: Origin,
    auth: ClientAuth,
}

impl ClientArguments {
    /// The endpoint is https (plain http only to a loopback host), with a host and perhaps a port, and nothing behind it but a
    /// `/`. White space around it is dropped.
    ///
    /// # Errors
    /// [`OriginError`] says what is wrong with the endpoint.
    pub fn new(endpoint: &str, auth: impl Into<ClientAuth>) -> Result<Self, OriginError> {
        let origin = Origin::bare(endpoint)?;
        let endpoint = endpoint.trim_ascii();
        let endpoint = endpoint.strip_suffix('/').unwrap_or(endpoint).to_owned();
        Ok(Self { endpoint, origin, auth: auth.into() })
    }

    /// From the text that the Azure portal shows, `endpoint=…;accesskey=…`.
    ///
    /// # Errors
    /// [`ClientArgumentsError`] says what is wrong with the text. It does not repeat it.
    pub fn from_connection_string(text: &str) -> Result<Self, ClientArgumentsError> {
        let parsed: ConnectionString = text.parse()?;
        Ok(Self::new(parsed.endpoint(), parsed.key()?)?)
    }

    /// The endpoint as it was given, without a `/` at its end.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The origin that requests are authorized for.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Who calls.
    #[must_use]
    pub fn auth(&self) -> &ClientAuth {
        &self.auth
    }
}

/// Why a connection string is of no use to a client.
///
/// ```
/// use acs_common_driver::{ClientArguments, ClientArgumentsError};
///
/// let text = "endpoint=https://contoso.communication.azure.com;accesskey=not base64";
/// let error = ClientArguments::from_connection_string(text).unwrap_err();
/// assert!(matches!(error, ClientArgumentsError::Key(_)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientArgumentsError {
    /// The text is not a connection string.
    #[error(transparent)]
    ConnectionString(#[from] ConnectionStringError),
    /// The key in it cannot be read.
    #[error(transparent)]
    Key(#[from] AccessKeyError),
    /// The endpoint in it is no place to send signatures to.
    #[error(transparent)]
    Endpoint(#[from] OriginError),
}
