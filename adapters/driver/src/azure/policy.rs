//! A policy for the pipelines of the SDK's clients.

use std::sync::Arc;

use acs_common::call::{CallResponse, Origin};
use azure_core::error::ErrorKind;
use azure_core::http::headers::{AUTHORIZATION, HeaderName, Headers, WWW_AUTHENTICATE};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, Body, Context, Request, StatusCode, Url};

use crate::call_error::CallError;
use crate::client::{ClientArguments, ClientAuth};
use crate::hosted::{Given, Host, authorized};

/// Authorizes the requests of a client of the Azure SDK, with a credential's token or an access key. After a 401 it rejects the
/// token, gets another, and sends once more (contract, section 8).
///
/// Put it into `per_try_policies` of the client's options, so that each try has a valid token or a fresh signature. The SDK's own
/// `BearerTokenAuthorizationPolicy` cannot tell a credential that its token was refused: it goes on with the refused token.
///
/// A request to another origin and one that has an `Authorization` header pass untouched. The SDK's bodies can be sent again: a
/// stream is reset. An access key signs bodies in memory only. The SDK keeps one line of each header, so of several
/// `WWW-Authenticate` lines this policy sees what the transport leaves.
///
/// ```
/// use acs_common_driver::ClientArguments;
/// use acs_common_driver::azure::AuthorizePolicy;
/// use acs_common_tokio::CommunicationTokenCredential;
/// use azure_core::http::ClientOptions;
/// use std::sync::Arc;
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
/// let chat = ClientArguments::new("https://contoso.communication.azure.com", credential)?;
/// let options = ClientOptions {
///     per_try_policies: vec![Arc::new(AuthorizePolicy::new(chat))],
///     ..ClientOptions::default()
/// };
/// # drop(options);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AuthorizePolicy {
    origin: Origin,
    auth: ClientAuth,
}

impl AuthorizePolicy {
    /// A policy for requests to this endpoint.
    #[must_use]
    pub fn new(arguments: ClientArguments) -> Self {
        Self { origin: arguments.origin().clone(), auth: arguments.auth().clone() }
    }

    fn covers(&self, request: &Request) -> bool {
        let url = request.url();
        let to_origin = url.host_str().is_some_and(|host| self.origin.covers(url.scheme(), host, url.port()));
        to_origin && text(request.headers(), &AUTHORIZATION).is_none()
    }
}

#[async_trait::async_trait]
impl Policy for AuthorizePolicy {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let Some((first, rest)) = next.split_first() else {
            return Err(azure_core::Error::with_message(ErrorKind::Other, NO_TRANSPORT));
        };
        if !self.covers(request) {
            return first.send(context, request, rest).await;
        }
        let mut pipeline = Pipeline { context, request, first, rest };
        match authorized(&self.auth, true, &mut pipeline).await {
            Ok(response) => Ok(response),
            Err(CallError::Service(error)) => Err(error),
            Err(CallError::Token(error)) => Err(azure_core::Error::new(ErrorKind::Credential, error)),
            Err(CallError::Bearer(error)) => Err(azure_core::Error::new(ErrorKind::Credential, error)),
            Err(CallError::Signing(error)) => Err(azure_core::Error::new(ErrorKind::Credential, error)),
            Err(CallError::NotSignable) => Err(azure_core::Error::with_message(ErrorKind::Credential, NOT_SIGNABLE)),
        }
    }
}

/// The value of a header, if it is there. `Headers::get_str` makes an error of a header that is not, and takes a backtrace for it.
fn text<'a>(headers: &'a Headers, name: &HeaderName) -> Option<&'a str> {
    headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
}

const NO_TRANSPORT: &str = "the pipeline ends with `AuthorizePolicy`: a transport policy must follow it";
const NOT_SIGNABLE: &str =
    "an access key signs the whole body: put the body into memory (`Body::Bytes`) instead of a stream";

/// The rest of a pipeline, and the request that goes through it.
struct Pipeline<'a> {
    context: &'a Context<'a>,
    request: &'a mut Request,
    first: &'a Arc<dyn Policy>,
    rest: &'a [Arc<dyn Policy>],
}

/// What this policy puts on a request, and takes off again: a policy outside may send the request once more.
const PUT: [HeaderName; 4] = [AUTHORIZATION, HOST, DATE_SIGNED, CONTENT_HASH];
const HOST: HeaderName = HeaderName::from_static("host");
const DATE_SIGNED: HeaderName = HeaderName::from_static("x-ms-date");
const CONTENT_HASH: HeaderName = HeaderName::from_static("x-ms-content-sha256");
const DATE: HeaderName = HeaderName::from_static("date");
const AGE: HeaderName = HeaderName::from_static("age");

impl Pipeline<'_> {
    /// Returns the headers that were there before.
    fn put(&mut self, with: Given<'_>) -> Result<Headers, CallError<azure_core::Error>> {
        let before = self.request.headers().clone();
        match with {
            Given::Token(header) => {
                // It is a bearer token, so it is ASCII.
                let text = header.to_str().unwrap_or_default().to_owned();
                self.request.insert_header(AUTHORIZATION, text);
            }
            Given::Signature(key, date) => {
                let bytes = match self.request.body() {
                    Body::Bytes(bytes) => Some(&bytes[..]),
                    Body::SeekableStream(_) => None,
                };
                let (method, url) = (self.request.method(), self.request.url().clone());
                let signed = Given::sign(key, date, method.as_ref(), url.as_str(), bytes)?;
                // Not by joining: a target that begins with `//` would name another host.
                let target = format!("{}{}", url.origin().ascii_serialization(), signed.target());
                *self.request.url_mut() = Url::parse(&target).map_err(|error| CallError::Service(error.into()))?;
                let values = [signed.authorization(), signed.host(), signed.date(), signed.content_hash()];
                for (name, value) in PUT.into_iter().zip(values) {
                    self.request.insert_header(name, value.to_owned());
                }
            }
        }
        Ok(before)
    }
}

impl Host for Pipeline<'_> {
    type Response = AsyncRawResponse;
    type Error = azure_core::Error;

    async fn send(&mut self, with: Given<'_>, again: bool) -> Result<AsyncRawResponse, CallError<azure_core::Error>> {
        if again {
            self.request.body_mut().reset().await.map_err(CallError::Service)?;
        }
        let before = self.put(with)?;
        let result = self.first.send(self.context, self.request, self.rest).await;
        let mut before = before;
        for name in PUT {
            match before.remove(name.clone()) {
                Some(value) => self.request.insert_header(name, value),
                None => drop(self.request.headers_mut().remove(name)),
            }
        }
        result.map_err(CallError::Service)
    }

    fn answer(&self, response: &AsyncRawResponse) -> CallResponse {
        let (status, headers) = (response.status(), response.headers());
        let mut answer = CallResponse::new(status.into());
        if let Some(line) = text(headers, &WWW_AUTHENTICATE).filter(|_| status == StatusCode::Unauthorized) {
            answer = answer.with_challenge(line.as_bytes());
        }
        match text(headers, &DATE) {
            Some(date) if text(headers, &AGE).is_none_or(|age| age == "0") => answer.with_date(date.as_bytes()),
            Some(_) | None => answer,
        }
    }
}
