//! Tokens: what a refresher returns, and what callers get.

use alloc::borrow::ToOwned;
#[cfg(feature = "http")]
use alloc::boxed::Box;
#[cfg(not(target_has_atomic = "ptr"))]
use alloc::rc::Rc as Arc;
use alloc::string::String;
#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

#[cfg(feature = "http")]
use crate::error::BearerError;
use crate::error::TokenError;
use crate::jwt::{self, Claims};
use crate::policy::{Policy, UndecodableTokens};
use crate::secret::Secret;
use crate::time::{Now, UnixTime, whole_millis};

/// An access token that the machine accepted. A clone is cheap: clones share one secret, which is wiped with the last clone.
///
/// ```
/// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
///
/// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(1_700_000_000));
/// let given = NewToken::new("an opaque token").with_expires_on(UnixTime::from_secs(1_700_003_600));
/// let machine = Machine::<()>::with_static_token(given, Policy::default(), now)?;
///
/// let token = machine.token(now).expect("a static credential always holds its token");
/// assert_eq!(token.secret().expose(), "an opaque token");
/// assert_eq!(token.expires_on(), UnixTime::from_secs(1_700_003_600));
/// assert!(!format!("{token:?}").contains("an opaque token"), "secrets never show");
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[derive(Clone)]
pub struct Token(Arc<Accepted>);

#[derive(Debug)]
struct Accepted {
    secret: Secret,
    expires_on: UnixTime,
    opaque: bool,
    #[cfg(feature = "http")]
    authorization: Authorization,
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
        let token = self.secret.expose().trim_ascii();
        let unpadded = token.trim_end_matches('=');
        let is_bearer = !unpadded.is_empty() && unpadded.bytes().all(is_of_bearer);
        is_bearer.then(|| alloc::format!("Bearer {token}").into_bytes().into()).ok_or(BearerError)
    }
}

/// The characters of a bearer token, except `=` at its end.
#[cfg(any(feature = "entra", feature = "http"))]
pub(crate) fn is_of_bearer(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}

impl Token {
    /// The token's text, as the refresher returned it.
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

    /// The value of a request's `Authorization` header: `Bearer` and the token, without white space around it ([RFC 6750,
    /// section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
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
    /// let machine = Machine::<()>::with_static_token(NewToken::new("eyJ…"), Policy::default(), now)?;
    /// let Err(error) = machine.token(now).unwrap().authorization() else { panic!("an ellipsis is not ASCII") };
    /// assert!(error.to_string().contains("pass the bare token string"));
    ///
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
    /// and `=` at the end. The usual cause is `Bearer`, a quote or JSON around the token.
    #[cfg(feature = "http")]
    #[inline]
    pub fn authorization(&self) -> Result<&http::HeaderValue, BearerError> {
        self.0.authorization()
    }

    /// Whether both are clones of one token. Two tokens with the same text that the machine accepted one after the other are
    /// not.
    ///
    /// ```
    /// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
    ///
    /// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(0));
    /// let accept = || Machine::<()>::with_static_token(NewToken::new("same text"), Policy::default(), now);
    /// let (one, other) = (accept()?, accept()?);
    /// let (one, other) = (one.token(now).unwrap(), other.token(now).unwrap());
    /// assert!(one.ptr_eq(&one.clone()));
    /// assert!(!one.ptr_eq(other));
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    #[must_use]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
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
/// let bare: NewToken = "eyJhbGciOi….eyJleHAiOjE3….c2ln".into();
/// let until = NewToken::new("opaque").with_expires_on(UnixTime::from_secs(1_700_003_600));
/// let lasting = NewToken::new(String::from("opaque")).with_expires_in(Duration::from_secs(3_600));
/// # let _ = (bare, until, lasting);
/// ```
#[derive(Debug)]
pub struct NewToken {
    secret: Secret,
    expiry: Expiry,
}

#[derive(Debug)]
enum Expiry {
    Read,
    /// What [`NewToken::decoded`] found.
    Decoded(Option<Claims>),
    On(UnixTime),
    In(Duration),
}

impl NewToken {
    /// A bare token string: without `Bearer`, quotes or JSON around it. A `String` is moved, not copied.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self { secret: Secret::new(token.into()), expiry: Expiry::Read }
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
            Expiry::Read => Self { expiry: Expiry::Decoded(self.claims()), ..self },
            Expiry::Decoded(_) | Expiry::On(_) | Expiry::In(_) => self,
        }
    }

    /// The token, and the milliseconds for which it is valid (0 if it is not). `asked` is when the refresh started.
    pub(crate) fn accept(self, policy: &Policy, asked: Now, now: Now) -> Result<(Token, u64), TokenError> {
        let text = self.secret.expose();
        if text.trim().is_empty() {
            return Err(TokenError::Blank);
        }
        if text.len() >= TokenError::TOO_LONG {
            return Err(TokenError::TooLong { bytes: text.len() });
        }
        let mut opaque = false;
        let (expires_on, left) = match self.expiry {
            Expiry::On(moment) => (moment, moment.millis_since(now.unix)),
            Expiry::In(lifetime) => {
                let left = asked.plus(whole_millis(lifetime)).left(now);
                (now.unix.saturating_add_millis(left), left)
            }
            Expiry::Read | Expiry::Decoded(_) => match (self.claims(), policy.undecodable_tokens()) {
                (Some(claims), _) => {
                    let left = claims.exp.millis_since(now.unix);
                    // Even if the wall clock is slow, the token is not valid for longer than it was issued for.
                    (claims.exp, claims.iat.map_or(left, |iat| left.min(claims.exp.millis_since(iat))))
                }
                (None, UndecodableTokens::AcceptAsOpaque) => {
                    opaque = true;
                    let left = policy.opaque_millis();
                    (now.unix.saturating_add_millis(left), left)
                }
                (None, UndecodableTokens::Reject) => return Err(TokenError::Undecodable),
            },
        };
        let accepted = Accepted {
            secret: self.secret,
            expires_on,
            opaque,
            #[cfg(feature = "http")]
            authorization: Authorization::default(),
        };
        Ok((Token(Arc::new(accepted)), left))
    }

    /// `None` without reading, if the text is too long for a token.
    fn claims(&self) -> Option<Claims> {
        match self.expiry {
            Expiry::Decoded(claims) => claims,
            Expiry::Read if self.secret.expose().len() < TokenError::TOO_LONG => jwt::read(self.secret.expose()),
            Expiry::Read | Expiry::On(_) | Expiry::In(_) => None,
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
        Self { secret, expiry: Expiry::Read }
    }
}
