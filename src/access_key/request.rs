//! Signs the requests of the crate `http`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::{Request, Uri};

use super::{AccessKey, SigningError};
use crate::time::UnixTime;
use crate::url::UrlError;

/// A body that is completely in memory, so that its hash can be signed: nothing, bytes or text.
///
/// A stream is not: collect it first, and make the request with its bytes.
///
/// ```
/// use acs_common::access_key::SignableBody;
///
/// assert_eq!(().as_signed(), b"");
/// assert_eq!("{}".as_signed(), b"{}");
/// ```
pub trait SignableBody {
    /// Exactly the bytes that are sent with the request.
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
    /// Signs a request with its body. It sets the four headers, replaces headers with the same names, and marks `Authorization`
    /// as sensitive. The request's URI must be absolute, and `date` must be the present time.
    ///
    /// It rewrites the path and the query in their [signed](Self::sign) form, so that the request sends what was signed. On an
    /// error the request stays as it is.
    ///
    /// **Sign again after a redirect and before each retry**: the signature is for this method, target, host, body and date
    /// only. Set the new URI and call this again; it replaces the old headers. Turn off automatic redirects in the HTTP client:
    /// it sends the old signature, which the service rejects.
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
    /// [`SigningError`] says what is wrong with the method, the URI or the date.
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

/// Does not happen: only the URL can hold what `http` rejects, and it has been checked.
fn unsendable<E>(_: E) -> SigningError {
    SigningError::Url(UrlError::Character)
}
