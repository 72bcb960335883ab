//! A middleware for `reqwest`.

use acs_common_driver::call::{CallResponse, Origin};
use acs_common_driver::parts::{Given, Host, authorized};
use acs_common_driver::{CallError, ClientArguments, ClientAuth};
use async_trait::async_trait;
use http::header::{AGE, AUTHORIZATION, DATE, WWW_AUTHENTICATE};
use http::{Extensions, HeaderName, HeaderValue, StatusCode};
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Error, Middleware, Next};

/// Authorizes the requests of a `reqwest` client, with a credential's token or an access key (feature `reqwest-middleware`). After
/// a 401 it rejects the token, gets another, and sends once more (contract, section 8).
///
/// Put it after a middleware that retries, so that each try has a valid token or a fresh signature.
///
/// A request to another origin and one that has an `Authorization` header pass untouched. `reqwest` follows redirects below this:
/// it takes the header off when the host changes, and a 401 from there says nothing about the token. A signature is not valid for
/// another URL, so with an access key turn redirects off. A request whose body is a stream is sent once; an access key cannot sign
/// it.
///
/// ```
/// use acs_common_tokio::{AuthorizeMiddleware, ClientArguments, CommunicationTokenCredential};
/// use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// fn client(chat: ClientArguments, client: reqwest::Client) -> ClientWithMiddleware {
///     ClientBuilder::new(client).with(AuthorizeMiddleware::new(chat)).build()
/// }
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
/// let chat = ClientArguments::new("https://contoso.communication.azure.com", credential)?;
/// # let _ = (client, chat);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AuthorizeMiddleware {
    origin: Origin,
    auth: ClientAuth,
}

impl AuthorizeMiddleware {
    /// A middleware for requests to this endpoint.
    #[must_use]
    pub fn new(arguments: ClientArguments) -> Self {
        Self { origin: arguments.origin().clone(), auth: arguments.auth().clone() }
    }
}

fn goes_to(origin: &Origin, url: &Url) -> bool {
    url.host_str().is_some_and(|host| origin.covers(url.scheme(), host, url.port()))
}

#[async_trait]
impl Middleware for AuthorizeMiddleware {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response, Error> {
        if !goes_to(&self.origin, request.url()) || request.headers().contains_key(AUTHORIZATION) {
            return next.run(request, extensions).await;
        }
        let again = request.try_clone();
        let replayable = again.is_some();
        let mut chain = Chain { origin: &self.origin, first: Some(request), again, extensions, next };
        authorized(&self.auth, replayable, &mut chain).await.map_err(|error| match error {
            CallError::Service(error) => error,
            other => Error::middleware(other),
        })
    }
}

/// The rest of a client's chain, and the request that goes through it.
struct Chain<'a> {
    origin: &'a Origin,
    first: Option<Request>,
    again: Option<Request>,
    extensions: &'a mut Extensions,
    next: Next<'a>,
}

impl Host for Chain<'_> {
    type Response = Response;
    type Error = Error;

    async fn send(&mut self, with: Given<'_>, again: bool) -> Result<Response, CallError<Error>> {
        let request = if again { self.again.take() } else { self.first.take() };
        let mut request = request.ok_or(CallError::NotSignable)?;
        match with {
            Given::Token(header) => drop(request.headers_mut().insert(AUTHORIZATION, header)),
            Given::Signature(key, date) => {
                let bytes = request.body().map_or(Some(&[][..]), reqwest::Body::as_bytes);
                let url = request.url();
                let signed = Given::sign(key, date, request.method().as_str(), url.as_str(), bytes)?;
                // Not by joining: a target that begins with `//` would name another host.
                let target = format!("{}{}", url.origin().ascii_serialization(), signed.target());
                *request.url_mut() = Url::parse(&target).map_err(unsendable)?;
                for (name, value) in signed.iter() {
                    let name = HeaderName::from_bytes(name.as_bytes()).map_err(unsendable)?;
                    let mut value = HeaderValue::from_str(value).map_err(unsendable)?;
                    value.set_sensitive(name == AUTHORIZATION);
                    request.headers_mut().insert(name, value);
                }
            }
        }
        self.next.clone().run(request, self.extensions).await.map_err(CallError::Service)
    }

    fn answer(&self, response: &Response) -> CallResponse {
        let (status, headers) = (response.status(), response.headers());
        let mut answer = CallResponse::new(status.as_u16());
        if !goes_to(self.origin, response.url()) {
            return answer.from_another_origin();
        }
        if status == StatusCode::UNAUTHORIZED {
            let lines = headers.get_all(WWW_AUTHENTICATE).iter();
            answer = lines.fold(answer, |answer, line| answer.with_challenge(line.as_bytes()));
        }
        match headers.get(DATE) {
            Some(date) if headers.get(AGE).is_none_or(|age| age == "0") => answer.with_date(date.as_bytes()),
            Some(_) | None => answer,
        }
    }
}

/// Does not happen: the URL has been checked.
fn unsendable<E: std::error::Error + Send + Sync + 'static>(error: E) -> CallError<Error> {
    CallError::Service(Error::middleware(error))
}
