//! Tokens: what a refresher returns, and what callers get.
//!
//! The file is long because each method has its documentation and an example.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
#[cfg(not(target_has_atomic = "ptr"))]
use alloc::rc::Rc as Arc;
#[cfg(not(target_has_atomic = "ptr"))]
use alloc::rc::Weak;
use alloc::string::String;
#[cfg(target_has_atomic = "ptr")]
use alloc::sync::{Arc, Weak};
use core::fmt;
use core::time::Duration;

use crate::door;
#[cfg(feature = "http")]
use crate::error::BearerError;
use crate::error::TokenError;
use crate::jwt::{self, Claims};
use crate::policy::{Policy, UndecodableTokens};
use crate::secret::Secret;
use crate::server_time::{Anchor, SentDate};
use crate::time::{Monotonic, Now, UnixTime, Until, whole_millis};

/// An access token that the machine accepted. A clone is cheap: clones share one secret, which is wiped with the last clone.
///
/// ```
/// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
///
/// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(1_700_000_000));
/// let given = NewToken::new("an-opaque-token").with_expires_on(UnixTime::from_secs(1_700_003_600));
/// let machine = Machine::<()>::with_static_token(given, Policy::default(), now)?;
///
/// let token = machine.token(now).expect("a static credential always holds its token");
/// assert_eq!(token.secret().expose(), "an-opaque-token");
/// assert_eq!(token.expires_on(), UnixTime::from_secs(1_700_003_600));
/// assert!(!format!("{token:?}").contains("an-opaque-token"), "secrets never show");
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[derive(Clone)]
pub struct Token(Arc<Accepted>);

#[derive(Debug)]
struct Accepted {
    secret: Secret,
    expires_on: UnixTime,
    opaque: bool,
    laid: Option<Laid>,
    /// How a shared store knows it.
    share: Option<Share>,
    /// The first token with this text, if the machine has held this text since then under another expiry.
    first: Option<Weak<Self>>,
    #[cfg(feature = "http")]
    authorization: Authorization,
}

/// How the life of a token was worked out by the device's clock, so that it can be worked out again when the server's time is
/// known (contract, rule 7.3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Laid {
    pub(crate) accepted: Now,
    /// How long the token is valid at most, in milliseconds from its acceptance.
    pub(crate) most: u64,
}

/// How a shared store knows a token (contract, section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// Which of the entries that the credential has had.
    pub(crate) entry: u32,
    /// The number that the store gave to the lease under which the token was fetched.
    pub(crate) fence: u64,
    /// Another process, or an earlier run of this one, fetched it.
    pub(crate) from_store: bool,
    /// When it expires at the latest.
    pub(crate) ends: Monotonic,
}

/// Boxed, since most tokens never need it.
#[cfg(feature = "http")]
#[derive(Debug, Default)]
struct Authorization(std::sync::OnceLock<Box<http::HeaderValue>>);

#[cfg(feature = "http")]
impl Accepted {
    #[inline]
    fn authorization(&self) -> Result<&http::HeaderValue, BearerError> {
        match self.authorization.0.get() {
            Some(built) => Ok(built),
            None => self.build_authorization(),
        }
    }

    #[cold]
    fn build_authorization(&self) -> Result<&http::HeaderValue, BearerError> {
        let value = http::HeaderValue::from_maybe_shared(bytes::Bytes::from_owner(self.bearer()?));
        let mut value = value.map_err(|_| BearerError)?;
        value.set_sensitive(true);
        Ok(self.authorization.0.get_or_init(|| Box::new(value)))
    }

    fn bearer(&self) -> Result<zeroize::Zeroizing<alloc::vec::Vec<u8>>, BearerError> {
        let token = self.secret.expose();
        let bearer = || alloc::format!("Bearer {token}").into_bytes().into();
        door::is_bearer(token).then(bearer).ok_or(BearerError)
    }
}

impl Token {
    /// The token's text, as the refresher returned it, without white space around it.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0.secret
    }

    /// When the token expires, by the wall clock: the stated expiry, the JWT's `exp`, or the arrival plus the token's lifetime.
    /// To know whether the token is still valid, ask [`Machine::token`](crate::Machine::token), which looks at both clocks.
    #[must_use]
    pub fn expires_on(&self) -> UnixTime {
        self.0.expires_on
    }

    /// Whether the token's expiry could not be read and was not stated. Then
    /// [`opaque_token_lifetime`](crate::PolicyBuilder::opaque_token_lifetime) counts as its lifetime.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.0.opaque
    }

    /// Whether the token came from the shared store ([`sharing`](crate::sharing)): another process fetched it, or an earlier run
    /// of this one.
    #[must_use]
    pub fn is_from_store(&self) -> bool {
        self.0.share.is_some_and(|share| share.from_store)
    }

    pub(crate) fn share(&self) -> Option<Share> {
        self.0.share
    }

    /// The value of a request's `Authorization` header: `Bearer` and the token ([RFC 6750, section
    /// 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    ///
    /// It is marked as sensitive, and wiped from memory with its last clone. The first call builds it for all clones of this
    /// token.
    ///
    /// Needs the feature `http`.
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
    ///
    /// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(0));
    /// let machine = Machine::<()>::with_static_token(NewToken::new("eyJhbGci\n"), Policy::default(), now)?;
    /// let mut request = http::Request::get("https://contoso.communication.azure.com/chat/threads").body(())?;
    /// let authorization = machine.token(now).unwrap().authorization()?.clone();
    /// request.headers_mut().insert(http::header::AUTHORIZATION, authorization);
    /// assert_eq!(request.headers()["authorization"], "Bearer eyJhbGci");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BearerError`], if the token holds a character that the RFC does not allow. It allows ASCII letters, digits, `-._~+/`,
    /// and `=` at the end. Only [`Policy::reference`](crate::Policy::reference) accepts such tokens.
    #[cfg(feature = "http")]
    #[inline]
    pub fn authorization(&self) -> Result<&http::HeaderValue, BearerError> {
        self.0.authorization()
    }

    pub(crate) fn laid(&self) -> Option<Laid> {
        self.0.laid
    }

    /// Whether both are one token: clones, or one text that a machine has held without a break, even if the refresher returned
    /// it several times (contract, rule 2.9). Two tokens with the same text are not, if the machine held none or another one
    /// in between.
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
    ///
    /// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(0));
    /// let accept = || Machine::<()>::with_static_token(NewToken::new("same-text"), Policy::default(), now);
    /// let (one, other) = (accept()?, accept()?);
    /// let (one, other) = (one.token(now).unwrap(), other.token(now).unwrap());
    /// assert!(one.ptr_eq(&one.clone()));
    /// assert!(!one.ptr_eq(other));
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.is_clone_of(other) || core::ptr::eq(self.first(), other.first())
    }

    /// The address of the first token with this text. It names no other token as long as one of this text exists.
    fn first(&self) -> *const Accepted {
        self.0.first.as_ref().map_or(Arc::as_ptr(&self.0), Weak::as_ptr)
    }

    #[inline]
    pub(crate) fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn has_text_of(&self, other: &Self) -> bool {
        self.secret().expose() == other.secret().expose()
    }

    /// This token, as the one that is held and has the same text.
    pub(crate) fn continuing(mut self, held: &Self) -> Self {
        let of = |token: &Self| (token.expires_on(), token.is_opaque(), token.share());
        let is_same = of(&self) == of(held);
        if is_same && self.laid().is_none() && held.laid().is_none() {
            return held.clone();
        }
        // A token that was just accepted has no other clone.
        if let Some(accepted) = Arc::get_mut(&mut self.0) {
            accepted.first = Some(held.0.first.clone().unwrap_or_else(|| Arc::downgrade(&held.0)));
        }
        self
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Token").field(&self.0).finish()
    }
}

/// A token for the machine: the initial one, a static one, or what the refresher returns.
///
/// A bare string is read as a JWT, **without verifying its signature**: `exp` is its expiry ([RFC 7519, section
/// 4.1.4](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4)), and a usable `iat` limits how long it is valid.
/// [`UndecodableTokens`] says what happens to a string that cannot be read so (contract, section 3).
///
/// State the expiry, or a lifetime such as OAuth's `expires_in` ([RFC 6749, section
/// 5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)), and nothing is decoded.
///
/// ```
/// use acs_common::{NewToken, UnixTime};
/// use core::time::Duration;
///
/// let bare: NewToken = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDM2MDB9.c2ln".into();
/// let until = NewToken::new("opaque").with_expires_on(UnixTime::from_secs(1_700_003_600));
/// let lasting = NewToken::new(String::from("opaque")).with_expires_in(Duration::from_secs(3_600));
/// # let _ = (bare, until, lasting);
/// ```
#[derive(Debug)]
pub struct NewToken {
    secret: Secret,
    expiry: Expiry,
    server_time: Option<SentDate>,
    /// On the heap, and only with a shared store.
    shared: Option<Box<Shared>>,
}

/// What a shared store adds to a token.
#[derive(Clone, Copy, Debug, Default)]
struct Shared {
    share: Option<Share>,
    /// A record holds it.
    kept: Option<Kept>,
}

#[derive(Clone, Copy, Debug)]
enum Expiry {
    Read,
    /// What [`NewToken::decoded`] found.
    Decoded(Option<Claims>),
    On(UnixTime),
    In(Duration),
}

/// What a record of a shared store says of a token's life (contract, rule 9.8).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) expires_on: Option<UnixTime>,
    /// The end of the life that is known without a wall clock.
    pub(crate) ends: Option<Until>,
    pub(crate) opaque: bool,
}

/// How long a token is valid on arrival.
#[derive(Debug)]
pub(crate) struct Lifespan {
    expires_on: UnixTime,
    /// The moment that the token, or the one who gave it, names.
    pub(crate) stated: Option<UnixTime>,
    pub(crate) left: u64,
    /// How long it is valid at most, as far as that is known without the device's wall clock.
    pub(crate) known: Option<u64>,
    pub(crate) opaque: bool,
    laid: Option<Laid>,
}

impl NewToken {
    /// A bare token string: without `Bearer`, quotes or JSON around it. A `String` is moved, not copied.
    ///
    /// ASCII white space around it is dropped for good. What is then not a bearer token is refused when it is used
    /// ([`TokenError`]; contract, section 3).
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, TokenError, UnixTime};
    ///
    /// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(0));
    /// let machine = Machine::<()>::new(Some(NewToken::new("eyJhbGci\n")), Policy::default(), now)?;
    /// assert_eq!(machine.token(now).unwrap().secret().expose(), "eyJhbGci");
    ///
    /// let refused = Machine::<()>::new(Some(NewToken::new("null")), Policy::default(), now);
    /// assert_eq!(refused.unwrap_err(), TokenError::NullOrUndefined);
    /// # Ok::<(), TokenError>(())
    /// ```
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Secret::new(token.into()).into()
    }

    /// States when the token expires.
    #[must_use]
    pub fn with_expires_on(self, expires_on: impl Into<UnixTime>) -> Self {
        Self { expiry: Expiry::On(expires_on.into()), ..self }
    }

    /// States how long the token is valid, in whole milliseconds (rounded down). The time counts from the start of its refresh;
    /// for a static or an initial token it counts from the construction (contract, rule 2.4).
    #[must_use]
    pub fn with_expires_in(self, lifetime: Duration) -> Self {
        Self { expiry: Expiry::In(lifetime), ..self }
    }

    /// Adds the issuer's time, from the header `Date` of the response that brought the token. Then the token is valid for as
    /// long as the issuer says, even if this device's clock is wrong (contract, section 7).
    ///
    /// ```
    /// use acs_common::{Action, Event, Machine, Monotonic, NewToken, Now, Policy, UnixTime};
    ///
    /// // This device's clock is a day ahead, so a token of an hour seems to have expired.
    /// let at = |ms: u64| Now::new(Monotonic::from_millis(ms), UnixTime::from_millis(1_700_086_400_000 + ms as i64));
    /// let mut machine = Machine::<()>::new(None, Policy::default(), at(0))?;
    /// machine.handle(Event::TokenRequested { waiter: () }, at(0));
    /// let Some(Action::CallRefresher { request, .. }) = machine.poll_action() else { panic!("it has no token yet") };
    ///
    /// let token = NewToken::new("eyJhbGci").with_expires_on(UnixTime::from_secs(1_700_003_600));
    /// let token = token.with_server_time(UnixTime::from_secs(1_700_000_000));
    /// machine.handle(Event::TokenReceived { request, token }, at(100));
    /// assert!(machine.token(at(3_590_000)).is_some() && machine.token(at(3_600_000)).is_none());
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    ///
    /// Leave it out if the response has an `Age` above 0 (it comes from a cache), or came over plain http from a host that is
    /// not loopback.
    #[must_use]
    pub fn with_server_time(self, date: impl Into<UnixTime>) -> Self {
        Self { server_time: Some(SentDate { date: date.into(), sent: None }), ..self }
    }

    /// As [`with_server_time`](Self::with_server_time), with the moment at which the request was sent, for a host that knows
    /// it. Otherwise the start of the refresh counts.
    #[must_use]
    pub fn with_server_time_of(self, date: impl Into<UnixTime>, sent: Now) -> Self {
        Self { server_time: Some(SentDate { date: date.into(), sent: Some(sent) }), ..self }
    }

    pub(crate) fn server_time(&self) -> Option<SentDate> {
        self.server_time
    }

    /// Reads `exp` and `iat` now, which takes about a microsecond for each KiB. A host that keeps its machine behind a lock
    /// calls this before it takes the lock; otherwise the machine reads them. A second call does nothing, and neither does a
    /// call with a stated expiry.
    ///
    /// ```
    /// use acs_common::{Event, Machine, NewToken, Now, Policy, RequestId};
    /// use std::sync::Mutex;
    ///
    /// fn answer(machine: &Mutex<Machine<u32>>, request: RequestId, text: String, now: Now) {
    ///     let token = NewToken::new(text).decoded();
    ///     machine.lock().unwrap().handle(Event::TokenReceived { request, token }, now);
    /// }
    /// ```
    #[must_use]
    pub fn decoded(self) -> Self {
        match self.expiry {
            // Too long for a token: nothing is read, unless the policy accepts it all the same.
            Expiry::Read if self.secret.expose().len() >= TokenError::TOO_LONG => self,
            Expiry::Read => Self { expiry: Expiry::Decoded(self.claims()), ..self },
            Expiry::Decoded(_) | Expiry::On(_) | Expiry::In(_) => self,
        }
    }

    /// The token, and the milliseconds for which it is valid (0 if it is not). `asked` is when the refresh started. `judge`
    /// knows how long a token with this expiry is valid by the server's time, if that is known; a static token needs none.
    pub(crate) fn accept(
        self,
        policy: &Policy,
        asked: Now,
        judge: Option<impl FnOnce(UnixTime) -> Option<u64>>,
        now: Now,
    ) -> Result<(Token, u64), TokenError> {
        let Lifespan { expires_on, left, opaque, laid, .. } = self.lifespan(policy, asked, judge, now)?;
        let accepted = Accepted {
            secret: self.secret,
            expires_on,
            opaque,
            laid,
            share: self.shared.and_then(|shared| shared.share),
            first: None,
            #[cfg(feature = "http")]
            authorization: Authorization::default(),
        };
        Ok((Token(Arc::new(accepted)), left))
    }

    /// What [`accept`](Self::accept) says of the token's life.
    pub(crate) fn lifespan(
        &self,
        policy: &Policy,
        asked: Now,
        judge: Option<impl FnOnce(UnixTime) -> Option<u64>>,
        now: Now,
    ) -> Result<Lifespan, TokenError> {
        let check = if policy.refuses_blank_only() { door::check_blank } else { door::check };
        check(self.secret.expose())?;
        let own = self.server_time.filter(|_| policy.uses_server_time()).map(|date| Anchor::new(date.seen(asked), now));
        // A token that comes with the server's time needs no other clock. Any other may be laid anew.
        let lay = |expires_on: UnixTime, most: Option<u64>, opaque: bool| {
            let is_laid = own.is_none() && judge.is_some();
            let by_server = own.map_or_else(|| judge?(expires_on), |own| Some(own.life(expires_on, now)));
            let left = by_server.unwrap_or_else(|| expires_on.millis_since(now.unix));
            let known = by_server.map(|left| most.map_or(left, |most| left.min(most))).or(most);
            let most = most.unwrap_or(left);
            let laid = is_laid.then_some(Laid { accepted: now, most });
            Lifespan { expires_on, stated: Some(expires_on), left: left.min(most), known, opaque, laid }
        };
        let lasting = |left: u64, opaque: bool| {
            let expires_on = now.unix.saturating_add_millis(left);
            Lifespan { expires_on, stated: None, left, known: Some(left), opaque, laid: None }
        };
        if let Some(Kept { expires_on, ends, opaque }) = self.shared.as_ref().and_then(|shared| shared.kept) {
            let most = ends.map(|ends| ends.left(now));
            return Ok(match expires_on {
                Some(moment) => lay(moment, most, opaque),
                None => lasting(most.unwrap_or_default(), opaque),
            });
        }
        Ok(match self.expiry {
            Expiry::On(moment) => lay(moment, None, false),
            Expiry::In(lifetime) => lasting(asked.plus(whole_millis(lifetime)).left(now), false),
            Expiry::Read | Expiry::Decoded(_) => match (self.claims(), policy.undecodable_tokens()) {
                // Even if the wall clock is slow, the token is not valid for longer than it was issued for.
                (Some(claims), _) => lay(claims.exp, claims.iat.map(|iat| claims.exp.millis_since(iat)), false),
                (None, UndecodableTokens::AcceptAsOpaque) => lasting(policy.opaque_millis(), true),
                (None, UndecodableTokens::Reject) => return Err(TokenError::Undecodable),
            },
        })
    }

    /// A token that a record of a shared store holds.
    pub(crate) fn kept(secret: Secret, kept: Kept) -> Self {
        let shared = Some(Box::new(Shared { share: None, kept: Some(kept) }));
        // Its text is not read.
        Self { secret, expiry: Expiry::Decoded(None), server_time: None, shared }
    }

    pub(crate) fn with_share(mut self, share: Share) -> Self {
        self.shared.get_or_insert_default().share = Some(share);
        self
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) fn copy(&self) -> Self {
        Self { secret: self.secret.copy(), shared: self.shared.clone(), ..*self }
    }

    fn claims(&self) -> Option<Claims> {
        match self.expiry {
            Expiry::Decoded(claims) => claims,
            Expiry::Read => jwt::read(self.secret.expose()),
            Expiry::On(_) | Expiry::In(_) => None,
        }
    }
}

impl From<String> for NewToken {
    fn from(token: String) -> Self {
        Self::new(token)
    }
}

impl From<&str> for NewToken {
    fn from(token: &str) -> Self {
        Self::new(token.to_owned())
    }
}

impl From<Secret> for NewToken {
    fn from(secret: Secret) -> Self {
        Self { secret: secret.trimmed(), expiry: Expiry::Read, server_time: None, shared: None }
    }
}
