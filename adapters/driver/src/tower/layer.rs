//! The layer and its options.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use acs_common::access_key::SignableBody;
use acs_common::call::Origin;
use acs_common::{Now, UnixTime};
use http::header::AUTHORIZATION;
use http::uri::Scheme;
use http::{HeaderValue, Request, Uri};
use tower_layer::Layer;

use super::service::Authorize;
use crate::call_error::CallError;
use crate::client::{ClientArguments, ClientAuth, SharedKey};

/// Authorizes the requests of a service; see [the module](crate::tower). `B` is the type of their bodies.
///
/// A request can be sent a second time if the layer has a clone of it, which it makes before each send.
/// [`new`](Self::new) asks for a body that is `Clone`; [`replay_with`](Self::replay_with) and
/// [`without_replay`](Self::without_replay) ask nothing. A request that cannot be sent again gets its 401 as the response; the token
/// is rejected all the same, so that the next request has another.
///
/// ```
/// use acs_common_driver::ClientArguments;
/// use acs_common_driver::tower::AuthorizeLayer;
///
/// let text = "endpoint=https://contoso.communication.azure.com/;accesskey=c2VjcmV0";
/// let layer = AuthorizeLayer::<Vec<u8>>::new(ClientArguments::from_connection_string(text)?).signing();
/// # drop(layer);
/// # Ok::<(), acs_common_driver::ClientArgumentsError>(())
/// ```
pub struct AuthorizeLayer<B> {
    settings: Arc<Settings<B>>,
}

/// Makes a clone of a request.
type Replay<B> = fn(&Request<B>) -> Option<Request<B>>;

pub(super) struct Settings<B> {
    origin: Origin,
    /// The origin as most requests spell it.
    spelled: (Scheme, String),
    pub(super) auth: ClientAuth,
    replay: Option<Replay<B>>,
    bytes: Option<fn(&B) -> &[u8]>,
    /// How many requests the service and its clones have sent at once. Two threads may count one request.
    calls: AtomicU32,
}

impl<B> AuthorizeLayer<B> {
    /// A layer whose requests can be sent again: their bodies are cloned. For a body that is not `Clone`, use
    /// [`without_replay`](Self::without_replay) or [`replay_with`](Self::replay_with).
    #[must_use]
    pub fn new(arguments: ClientArguments) -> Self
    where
        B: Clone,
    {
        Self::replay_with(arguments, |request| Some(request.clone()))
    }

    /// A layer that makes the clone with this function. `None`: this request is sent once only.
    ///
    /// ```
    /// use acs_common_driver::ClientArguments;
    /// use acs_common_driver::tower::AuthorizeLayer;
    /// # use http::Request;
    /// # enum Body { Empty, Stream(std::fs::File) }
    /// # fn layer(chat: ClientArguments) -> AuthorizeLayer<Body> {
    /// AuthorizeLayer::replay_with(chat, |request: &Request<Body>| match request.body() {
    ///     Body::Empty => {
    ///         let mut again = Request::new(Body::Empty);
    ///         *again.method_mut() = request.method().clone();
    ///         *again.uri_mut() = request.uri().clone();
    ///         *again.headers_mut() = request.headers().clone();
    ///         Some(again)
    ///     }
    ///     Body::Stream(_) => None,
    /// })
    /// # }
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn replay_with(arguments: ClientArguments, replay: fn(&Request<B>) -> Option<Request<B>>) -> Self {
        Self::assemble(arguments, Some(replay))
    }

    /// A layer that sends each request once, and clones nothing.
    #[must_use]
    pub fn without_replay(arguments: ClientArguments) -> Self {
        Self::assemble(arguments, None)
    }

    fn assemble(arguments: ClientArguments, replay: Option<Replay<B>>) -> Self {
        let (origin, auth) = (arguments.origin().clone(), arguments.auth().clone());
        let (scheme, authority) = match origin.to_string().split_once("://") {
            Some(("http", authority)) => (Scheme::HTTP, authority.to_owned()),
            Some((_, authority)) => (Scheme::HTTPS, authority.to_owned()),
            None => (Scheme::HTTPS, String::new()),
        };
        let spelled = (scheme, authority);
        Self { settings: Arc::new(Settings { origin, spelled, auth, replay, bytes: None, calls: AtomicU32::new(0) }) }
    }

    /// Requests can be signed with an access key, because their bodies are in memory: nothing, bytes or text. Without it, a
    /// request that an access key should sign fails with [`CallError::NotSignable`].
    #[must_use]
    pub fn signing(self) -> Self
    where
        B: SignableBody,
    {
        self.signing_with(B::as_signed)
    }

    /// As [`signing`](Self::signing), for a type of body that you cannot implement [`SignableBody`] for. The function returns
    /// exactly the bytes that are sent.
    #[must_use]
    pub fn signing_with(self, bytes: fn(&B) -> &[u8]) -> Self {
        let Settings { origin, spelled, auth, replay, .. } = &*self.settings;
        let (origin, spelled, auth, replay) = (origin.clone(), spelled.clone(), auth.clone(), *replay);
        let (bytes, calls) = (Some(bytes), AtomicU32::new(0));
        Self { settings: Arc::new(Settings { origin, spelled, auth, replay, bytes, calls }) }
    }
}

impl<S, B> Layer<S> for AuthorizeLayer<B> {
    type Service = Authorize<S, B>;

    fn layer(&self, inner: S) -> Authorize<S, B> {
        Authorize::new(inner, Arc::clone(&self.settings))
    }
}

impl<B> Clone for AuthorizeLayer<B> {
    fn clone(&self) -> Self {
        Self { settings: Arc::clone(&self.settings) }
    }
}

impl<B> fmt::Debug for AuthorizeLayer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.show("AuthorizeLayer", f)
    }
}

impl<B> Settings<B> {
    /// Whether the request is one of those that are authorized.
    #[inline]
    pub(super) fn covers(&self, request: &Request<B>) -> bool {
        let uri = request.uri();
        let (scheme, authority) = &self.spelled;
        let is_spelled =
            uri.scheme() == Some(scheme) && uri.authority().is_some_and(|other| other.as_str() == authority);
        (is_spelled || self.covers_spelled_otherwise(uri)) && !request.headers().contains_key(AUTHORIZATION)
    }

    #[cold]
    fn covers_spelled_otherwise(&self, uri: &Uri) -> bool {
        let parts = (uri.scheme_str(), uri.host());
        matches!(parts, (Some(scheme), Some(host)) if self.origin.covers(scheme, host, uri.port_u16()))
    }

    /// A clone of the request, to be sent if the service refuses the first.
    #[inline]
    pub(super) fn replay(&self, request: &Request<B>) -> Option<Request<B>> {
        self.replay.and_then(|replay| replay(request))
    }

    /// Whether the credential hears the `Date` of the next response. The first ones are enough, and then one in many: reading the
    /// clocks costs more than the rest of a call.
    #[inline]
    pub(super) fn tells_the_time(&self) -> bool {
        let calls = self.calls.load(Ordering::Relaxed).wrapping_add(1);
        self.calls.store(calls, Ordering::Relaxed);
        calls.is_power_of_two() || calls.is_multiple_of(256)
    }

    /// What the credential's clocks show.
    pub(super) fn now(&self) -> Option<Now> {
        match &self.auth {
            ClientAuth::Token(credential) => credential.now(),
            ClientAuth::Key(_) => None,
        }
    }

    /// Signs the request with the key.
    pub(super) fn sign<E>(
        &self,
        request: Request<B>,
        key: &SharedKey,
        date: UnixTime,
    ) -> Result<Request<B>, CallError<E>> {
        let bytes = self.bytes.ok_or(CallError::NotSignable)?;
        let (head, body) = request.into_parts();
        let mut signed = Request::from_parts(head, bytes(&body));
        key.key().sign_request(&mut signed, date).map_err(CallError::Signing)?;
        let (head, _) = signed.into_parts();
        Ok(Request::from_parts(head, body))
    }

    pub(super) fn show(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("origin", &format_args!("{}", self.origin))
            .field("auth", &self.auth)
            .field("replay", &self.replay.is_some())
            .finish_non_exhaustive()
    }
}

/// Puts the header on the request.
#[inline]
pub(super) fn put<B>(request: &mut Request<B>, authorization: &HeaderValue) {
    request.headers_mut().insert(AUTHORIZATION, authorization.clone());
}
