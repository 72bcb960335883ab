//! A ready refresher: it asks a URL of your server for each token (feature `entra`).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pub use acs_common::issuer::{
    BadResponse, ErrorDetail, ErrorResponse, HttpRequest, HttpResponse, Issuer, IssuerError, IssuerOptionsError,
};
use acs_common::{NewToken, Reason, RefresherError};

pub use crate::http_client::HttpClient;
use crate::refresher::Refresher;
use crate::trace::Trace;
use crate::wall_clock;

/// A refresher that gets each token from an [`Issuer`] by one HTTP request. The client can be any [`HttpClient`]: each adapter
/// has one, and a closure is one too.
///
/// What is sent and read is described [there](acs_common::issuer). The credential tries again after a failure, as after that of
/// any refresher, and the issuer's `Retry-After` and `Date` count (contract, rules 2.6 and 7.4). Dropping the refresh drops its
/// request.
///
/// ```
/// use acs_common_driver::issuer::{HttpRefresher, HttpRequest, HttpResponse, Issuer};
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = |request: HttpRequest| async move {
/// #     let session = request.expose_headers().any(|header| header == ("Authorization", "Bearer my-session"));
/// #     let body = r#"{"token": "eyJhbGci", "expiresOn": "2999-01-01T00:00:00Z"}"#;
/// #     Ok::<_, std::io::Error>(HttpResponse::new(if session { 200 } else { 401 }).with_body(body.into()))
/// # };
/// // On tokio the client can be `ReqwestClient::new()?`.
/// let issuer = Issuer::post("https://contoso.example/chat/token")?.with_header("Authorization", "Bearer my-session")?;
/// let credential = CommunicationTokenCredential::with_refresher(HttpRefresher::new(issuer, client)).spawn()?;
/// assert_eq!(credential.get_token().await?.secret().expose(), "eyJhbGci");
/// # Ok(())
/// # }
/// ```
pub struct HttpRefresher<H> {
    issuer: Issuer,
    client: H,
    before_each: Option<BeforeEach>,
}

type BeforeEach = Box<dyn FnMut(Issuer) -> Result<Issuer, RefresherError> + Send>;

impl<H: HttpClient> HttpRefresher<H> {
    /// A refresher that asks this issuer through this client.
    #[must_use]
    pub fn new(issuer: Issuer, client: H) -> Self {
        Self { issuer, client, before_each: None }
    }

    /// Calls `prepare` at each refresh, with a copy of the issuer, and asks what it returns: for a header that is another one each
    /// time, such as the session of the user at present. If it fails, the refresh fails. Default: the issuer stays as it is.
    ///
    /// ```
    /// use acs_common_driver::issuer::{HttpRefresher, HttpRequest, HttpResponse, Issuer};
    /// use std::sync::{Arc, Mutex};
    ///
    /// # let client = |_: HttpRequest| async { Ok::<_, std::io::Error>(HttpResponse::new(200)) };
    /// let session = Arc::new(Mutex::new("Bearer my-session".to_owned())); // Your program replaces it now and then.
    /// let current = Arc::clone(&session);
    /// let refresher = HttpRefresher::new(Issuer::get("https://contoso.example/chat/token")?, client)
    ///     .before_each(move |issuer| Ok(issuer.with_header("Authorization", &current.lock().unwrap())?));
    /// # drop(refresher);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn before_each(self, prepare: impl FnMut(Issuer) -> Result<Issuer, RefresherError> + Send + 'static) -> Self {
        Self { before_each: Some(Box::new(prepare)), ..self }
    }
}

impl<H: HttpClient> Refresher for HttpRefresher<H> {
    type Future = Asking<H::Future>;

    fn refresh(&mut self, reason: Reason) -> Self::Future {
        let issuer = match &mut self.before_each {
            None => Ok(self.issuer.clone()),
            Some(prepare) => prepare(self.issuer.clone()),
        };
        let stage = match issuer {
            Ok(issuer) => {
                let request = issuer.request(&reason);
                let trace = Trace::new(&request, None);
                let entered = trace.enter();
                let sending = self.client.send(request);
                drop(entered);
                Stage::Sending { sending, trace, issuer, reason }
            }
            Err(error) => Stage::Failed { error },
        };
        Asking { stage }
    }
}

impl<H> fmt::Debug for HttpRefresher<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRefresher").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    /// A request in flight of an [`HttpRefresher`].
    #[derive(Debug)]
    pub struct Asking<F> {
        #[pin]
        stage: Stage<F>,
    }
}

pin_project_lite::pin_project! {
    #[derive(Debug)]
    #[project = StageProjection]
    enum Stage<F> {
        Sending {
            #[pin]
            sending: F,
            trace: Trace,
            issuer: Issuer,
            reason: Reason,
        },
        // There is no request.
        Failed { error: RefresherError },
    }
}

impl<F: Future<Output = Result<HttpResponse, RefresherError>>> Future for Asking<F> {
    type Output = Result<NewToken, RefresherError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().stage.project() {
            StageProjection::Sending { sending, trace, issuer, reason } => {
                let entered = trace.enter();
                let answer = ready!(sending.poll(context)).map_err(Issuer::unreachable);
                drop(entered);
                trace.ended(answer.as_ref().map(HttpResponse::status).map_err(|error| error.get_ref() as _));
                answer.and_then(|response| issuer.read(reason, &response, wall_clock::now()))
            }
            StageProjection::Failed { error } => Err(error.clone()),
        })
    }
}
