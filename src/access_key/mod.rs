//! Signs requests with the access key of a resource (HMAC-SHA256), for a server that calls as the resource.
//!
//! ```
//! use acs_common::UnixTime;
//! use acs_common::access_key::AccessKey;
//!
//! let key = AccessKey::from_base64("pw==")?;
//! let url = "https://contoso.communication.azure.com/identities?api-version=2025-06-30";
//! let signed = key.sign("POST", url, b"{}", UnixTime::from_secs(1_649_873_352))?;
//! assert_eq!(signed.host(), "contoso.communication.azure.com");
//! assert_eq!(signed.date(), "Wed, 13 Apr 2022 18:09:12 GMT");
//! assert_eq!(signed.content_hash(), "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=");
//! assert!(signed.authorization().starts_with("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "http")]
mod request;
mod target;

#[cfg(feature = "http")]
pub use request::SignableBody;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::http_date;
use crate::time::UnixTime;
use crate::url::{Url, UrlError};

/// An access key, ready for use. `Debug` does not show it, and it is wiped from memory on drop.
///
/// ```
/// use acs_common::access_key::AccessKey;
/// use acs_common::connection_string::ConnectionString;
///
/// let resource: ConnectionString = "endpoint=https://contoso.communication.azure.com/;accesskey=c2VjcmV0".parse()?;
/// let key = AccessKey::from_base64(resource.access_key().expose())?;
/// assert_eq!(format!("{key:?}"), "AccessKey(…)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AccessKey(Hmac<Sha256>);

impl AccessKey {
    /// Reads the key in base64, as the Azure portal shows it. The padding may be missing. White space around the key is dropped.
    ///
    /// # Errors
    /// [`AccessKeyError`]: the key is empty or not base64. The error does not repeat the key.
    pub fn from_base64(key: &str) -> Result<Self, AccessKeyError> {
        // Not `decode`, which drops what it has decoded when it comes to a wrong character.
        let (encoded, mut key) = (key.trim_ascii(), Zeroizing::new(Vec::new()));
        BASE64.decode_vec(encoded, &mut key).map_err(|_| AccessKeyError::NotBase64)?;
        if key.is_empty() {
            return Err(AccessKeyError::Empty);
        }
        // HMAC takes keys of any length, so this does not fail.
        Hmac::new_from_slice(&key).map(Self).map_err(|_| AccessKeyError::Empty)
    }

    /// The four headers that prove to the service that the request comes from the resource's owner. The service accepts them
    /// for some minutes after `date`. `url` is absolute. `body` is the whole body of the request (empty without a body): the
    /// service rejects other bytes. The method is signed in upper case.
    ///
    /// The signed text is what the reference makes of the URL. Dot segments of the path are resolved. The query is parsed and
    /// written again as a form: `%20` becomes `+`, `?x` becomes `?x=`, an empty query is dropped. Everything else in the path
    /// stays, with its percent-encoding. Send [`target`](SignedHeaders::target) in place of the URL's path and query.
    ///
    /// **Sign again after a redirect and before each retry**: the signature is for this method, target, host, body and date
    /// only. Turn off automatic redirects in the HTTP client: it sends the old signature, which the service rejects.
    ///
    /// # Errors
    /// [`SigningError`] says what is wrong with the method, the URL or the date.
    pub fn sign(&self, method: &str, url: &str, body: &[u8], date: UnixTime) -> Result<SignedHeaders, SigningError> {
        if method.is_empty()
            || !method.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
        {
            return Err(SigningError::Method);
        }
        let (Url { path, query, .. }, host) = Url::parse(url)?;
        let date = http_date::write(date).ok_or(SigningError::Date)?;
        let target = target::canonical(path, query.unwrap_or_default());
        let content_hash = STANDARD.encode(Sha256::digest(body));
        let text = format!("{}\n{target}\n{date};{host};{content_hash}", method.to_ascii_uppercase());
        let signature = self.0.clone().chain_update(text).finalize().into_bytes();
        let signature = STANDARD.encode(signature);
        let authorization =
            format!("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}");
        Ok(SignedHeaders { target, host, date, content_hash, authorization })
    }
}

/// With or without padding, and spare bits are ignored, as in the reference's decoder.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(…)")
    }
}

/// The headers of a signed request. `Debug` does not show the signature, because it can be used for some minutes.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedHeaders {
    target: String,
    host: String,
    date: String,
    content_hash: String,
    authorization: String,
}

impl SignedHeaders {
    /// The path and the query in their signed form.
    ///
    /// ```
    /// use acs_common::UnixTime;
    /// use acs_common::access_key::AccessKey;
    ///
    /// let key = AccessKey::from_base64("pw==")?;
    /// let signed = key.sign("GET", "https://example.com/a%20b/?x=a%20b", b"", UnixTime::from_secs(0))?;
    /// assert_eq!(signed.target(), "/a%20b/?x=a+b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// `Host`: in lower case, with the port unless it is the scheme's default.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `x-ms-date`: the date of the signature.
    #[must_use]
    pub fn date(&self) -> &str {
        &self.date
    }

    /// `x-ms-content-sha256`: the SHA-256 hash of the body, in base64.
    #[must_use]
    pub fn content_hash(&self) -> &str {
        &self.content_hash
    }

    /// `Authorization`: the signature, and the names of the signed headers.
    #[must_use]
    pub fn authorization(&self) -> &str {
        &self.authorization
    }

    /// All four headers, each with its name.
    ///
    /// ```
    /// use acs_common::UnixTime;
    /// use acs_common::access_key::AccessKey;
    ///
    /// let key = AccessKey::from_base64("pw==")?;
    /// let signed = key.sign("GET", "https://example.com:8443/", b"", UnixTime::from_secs(0))?;
    /// let lines: Vec<String> = signed.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    /// assert_eq!(lines[..2], ["Host: example.com:8443", "x-ms-date: Thu, 01 Jan 1970 00:00:00 GMT"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("Host", self.host()),
            ("x-ms-date", self.date()),
            ("x-ms-content-sha256", self.content_hash()),
            ("Authorization", self.authorization()),
        ]
        .into_iter()
    }
}

impl fmt::Debug for SignedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedHeaders")
            .field("target", &self.target)
            .field("host", &self.host)
            .field("date", &self.date)
            .field("content_hash", &self.content_hash)
            .finish_non_exhaustive()
    }
}

/// Why a text is not an access key.
///
/// ```
/// use acs_common::access_key::{AccessKey, AccessKeyError};
///
/// assert_eq!(AccessKey::from_base64("top secret!").unwrap_err(), AccessKeyError::NotBase64);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessKeyError {
    /// The key is empty.
    #[error("the access key is empty: copy it from the Azure portal")]
    Empty,
    /// The key is not base64.
    #[error("the access key is not base64: copy the whole key from the Azure portal, and nothing before or after it")]
    NotBase64,
}

/// Why a request cannot be signed.
///
/// ```
/// use acs_common::access_key::{AccessKey, SigningError};
/// use acs_common::{UrlError, UnixTime};
///
/// let key = AccessKey::from_base64("pw==")?;
/// let refused = key.sign("GET", "/identities", b"", UnixTime::from_secs(0)).unwrap_err();
/// assert_eq!(refused, SigningError::Url(UrlError::Scheme));
/// # Ok::<(), acs_common::access_key::AccessKeyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// The method is not a token ([RFC 9110, section 9.1](https://www.rfc-editor.org/rfc/rfc9110#section-9.1)).
    #[error("the method is empty or holds a character that is not allowed in it: pass an HTTP method such as `GET`")]
    Method,
    /// The URL is not valid for a request.
    #[error("the URL cannot be signed: {0}")]
    Url(#[from] UrlError),
    /// The date is outside the years 0 to 9999.
    #[error("the date is outside the years 0 to 9999, so a header cannot hold it: check the clock of this machine")]
    Date,
}
