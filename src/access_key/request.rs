//! Signing the requests of the crate `http`.

use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::{Request, Uri};

use super::{AccessKey, SigningError};
use crate::time::UnixTime;
use crate::url::InvalidUrl;

impl AccessKey {
    /// Signs a request: sets its four headers in place of any it has under these names, `Authorization` marked as
    /// sensitive. Its URI must be absolute, `body` must be the bytes that are going to be sent, and `date` now.
    ///
    /// Its path and query are rewritten in the form in which they are [signed](Self::sign), so that what is sent is what was
    /// signed. Nothing is changed if it fails.
    ///
    /// ```
    /// use acs_common::UnixTime;
    /// use acs_common::access_key::AccessKey;
    ///
    /// let key = AccessKey::from_base64("pw==")?;
    /// let mut request = http::Request::put("https://contoso.communication.azure.com/x?a=b%20c").body("{}")?;
    /// let body = *request.body();
    /// key.sign_request(&mut request, body.as_bytes(), UnixTime::from_secs(1_649_873_352))?;
    /// assert_eq!(request.headers()["host"], "contoso.communication.azure.com");
    /// assert_eq!(request.headers()["x-ms-date"], "Wed, 13 Apr 2022 18:09:12 GMT");
    /// assert_eq!(request.uri(), "https://contoso.communication.azure.com/x?a=b+c");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SigningError`] says what cannot be signed.
    pub fn sign_request<B>(&self, request: &mut Request<B>, body: &[u8], date: UnixTime) -> Result<(), SigningError> {
        let signed = self.sign(request.method().as_str(), &std::format!("{}", request.uri()), body, date)?;
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

/// Only the URL could hold what `http` does not take, and it has been read already.
fn unsendable<E>(_: E) -> SigningError {
    SigningError::Url(InvalidUrl::Character)
}
