//! Signing the requests of the crate `http`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::{Request, Uri};

use super::{AccessKey, SigningError};
use crate::time::UnixTime;
use crate::url::UrlError;

/// A body that is in memory as a whole, so that its hash can be signed: nothing, bytes or text.
///
/// A stream is not one: collect it first, and make the request with its bytes.
///
/// ```
/// use acs_common::access_key::SignableBody;
///
/// assert_eq!(().as_signed(), b"");
/// assert_eq!("{}".as_signed(), b"{}");
/// ```
pub trait SignableBody {
    /// All the bytes that are sent with the request, and no others.
    fn as_signed(&self) -> &[u8];
}

impl SignableBody for () {
    fn as_signed(&self) -> &[u8] {
        &[]
    }
}

impl<T: SignableBody> SignableBody for Option<T> {
    fn as_signed(&self) -> &[u8] {
        self.as_ref().map_or(&[], T::as_signed)
    }
}

macro_rules! holds_its_bytes {
    ($([$($parameter:tt)*] $type:ty)*) => {$(
        impl<$($parameter)*> SignableBody for $type {
            fn as_signed(&self) -> &[u8] {
                self.as_ref()
            }
        }
    )*};
}

holds_its_bytes! { [] [u8] [const N: usize] [u8; N] [] Vec<u8> [] Bytes [] str [] String }

macro_rules! holds_a_body {
    ($($type:ty)*) => {$(
        impl<T: SignableBody + ?Sized> SignableBody for $type {
            fn as_signed(&self) -> &[u8] {
                (**self).as_signed()
            }
        }
    )*};
}

holds_a_body! { &T Box<T> }

impl AccessKey {
    /// Signs a request with the body it carries: sets its four headers in place of any that it has under these names,
    /// `Authorization` marked as sensitive. Its URI must be absolute, and `date` must be now.
    ///
    /// Its path and query are rewritten in the form in which they are [signed](Self::sign), so that what is sent is what
    /// was signed. Nothing is changed if it fails.
    ///
    /// **Sign again after a redirect**, and before each retry: the signature holds for this target, body and date only.
    /// Set the new URI and call this again; it replaces the old headers. A client that follows redirects by itself sends
    /// the old signature, which the service refuses, so turn that off.
    ///
    /// ```
    /// use acs_common::UnixTime;
    /// use acs_common::access_key::AccessKey;
    ///
    /// let key = AccessKey::from_base64("pw==")?;
    /// let mut request = http::Request::put("https://contoso.communication.azure.com/x?a=b%20c").body("{}")?;
    /// key.sign_request(&mut request, UnixTime::from_secs(1_649_873_352))?;
    /// assert_eq!(request.headers()["host"], "contoso.communication.azure.com");
    /// assert_eq!(request.headers()["x-ms-date"], "Wed, 13 Apr 2022 18:09:12 GMT");
    /// assert_eq!(request.uri(), "https://contoso.communication.azure.com/x?a=b+c");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A body that is not in memory cannot be signed, so this does not compile:
    ///
    /// ```compile_fail,E0277
    /// use acs_common::{UnixTime, access_key::AccessKey};
    ///
    /// # fn sign(key: &AccessKey) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut request = http::Request::put("https://contoso.communication.azure.com/").body(std::io::stdin())?;
    /// key.sign_request(&mut request, UnixTime::from_secs(1_649_873_352))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`SigningError`] says what cannot be signed.
    pub fn sign_request<B: SignableBody>(&self, request: &mut Request<B>, date: UnixTime) -> Result<(), SigningError> {
        let url = std::format!("{}", request.uri());
        let signed = self.sign(request.method().as_str(), &url, request.body().as_signed(), date)?;
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = Some(signed.target().parse().map_err(unsendable)?);
        let uri = Uri::from_parts(parts).map_err(unsendable)?;
        let host = HeaderValue::from_str(signed.host()).map_err(unsendable)?;
        let date = HeaderValue::from_str(signed.date()).map_err(unsendable)?;
        let content_hash = HeaderValue::from_str(signed.content_hash()).map_err(unsendable)?;
        let mut authorization = HeaderValue::from_str(signed.authorization()).map_err(unsendable)?;
        authorization.set_sensitive(true);

        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(HOST, host);
        headers.insert(HeaderName::from_static("x-ms-date"), date);
        headers.insert(HeaderName::from_static("x-ms-content-sha256"), content_hash);
        headers.insert(AUTHORIZATION, authorization);
        Ok(())
    }
}

/// Only the URL could hold what `http` refuses, and it has been read already.
fn unsendable<E>(_: E) -> SigningError {
    SigningError::Url(UrlError::Character)
}
