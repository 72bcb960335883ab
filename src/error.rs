//! What can go wrong, and where the cause is. All errors of a credential stand together here, so the file
//! is long; most of it is documentation.

use alloc::boxed::Box;
#[cfg(not(target_has_atomic = "ptr"))]
use alloc::rc::Rc as Arc;
#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use core::error::Error as StdError;
use core::fmt;
use core::time::Duration;

use crate::server_time::SentDate;
use crate::time::{Now, UnixTime};

/// Why a caller gets no token.
///
/// Its text includes the text of the refresher's error. So its [`source`](StdError::source) is the source of that error, not
/// that error.
///
/// ```
/// use acs_common::{Error, FailureKind};
///
/// fn advise(error: &Error) -> &'static str {
///     match error {
///         Error::RefreshFailed { cause, .. } if cause.is_permanent() => "sign in again",
///         Error::RefreshFailed { cause, .. } if cause.kind() == FailureKind::TimedOut => "check the network",
///         Error::RefreshFailed { retry_in: Some(_), .. } => "ask again after that",
///         Error::Disposed => "make a new credential",
///         _ => "ask again",
///     }
/// }
/// assert_eq!(advise(&Error::Disposed), "make a new credential");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The credential holds no valid token, and the last refresh failed.
    #[non_exhaustive]
    RefreshFailed {
        /// Why it failed.
        cause: FailureCause,
        /// The request's backoff that is left (contract, rule 2.6). A request during that time gets the same error; a later
        /// one starts another refresh. `None`: the next request starts one at once.
        retry_in: Option<Duration>,
    },
    /// The credential is disposed: it returns no more tokens.
    Disposed,
    /// The request is for another token than the one that a static credential has.
    StaticToken,
    /// The credential's driver has stopped, because its task was dropped or its runtime was shut down. The machine itself
    /// never returns this; the adapters do.
    DriverStopped,
    /// Nothing polls the credential's driver, so waiting for a token makes no sense: the call that waits blocks the thread
    /// that would run the driver, or nothing runs it.
    DriverStalled,
    /// No token came within the time that the call was given. The refresh goes on.
    WaitTimedOut {
        /// How long the call was to wait at most.
        limit: Duration,
    },
    /// The refresher asks its own credential for a token while it is called to get one. It would wait for itself.
    CalledFromRefresher,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RefreshFailed { cause, .. } => write!(f, "no valid token: {cause}"),
            Self::Disposed => f.write_str("the credential is disposed: make a new one"),
            Self::StaticToken => f.write_str(
                "the credential has one fixed token and gets no other: make one with a refresher, or a new one with a new token",
            ),
            Self::DriverStopped => f.write_str(
                "the credential's background task (its driver) has stopped: keep the task and its runtime alive as long as the credential",
            ),
            Self::DriverStalled => f.write_str(
                "nothing has run the credential's background task for a second: this call blocks the thread that would, or nothing runs it; in async code await get_token, or make this call in spawn_blocking, with a multi-threaded runtime",
            ),
            Self::WaitTimedOut { limit } => write!(
                f,
                "no token came within {limit:?}: wait longer, or ask again later (the refresh goes on)",
            ),
            Self::CalledFromRefresher => f.write_str(
                "the refresher asks its own credential for a token and would wait for itself: give it a credential of its own, or none",
            ),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::RefreshFailed { cause, .. } => cause.source(),
            Self::Disposed
            | Self::StaticToken
            | Self::DriverStopped
            | Self::DriverStalled
            | Self::WaitTimedOut { .. }
            | Self::CalledFromRefresher => None,
        }
    }
}

/// Why a refresh failed.
///
/// ```
/// use acs_common::{FailureCause, RefresherError};
///
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let failure = FailureCause::Refresher(RefresherError::new(refused));
/// assert_eq!(failure.to_string(), "the refresher failed: connection refused");
///
/// // The refresher's error is kept, for code that examines it.
/// let FailureCause::Refresher(error) = failure else { panic!() };
/// assert!(error.get_ref().is::<std::io::Error>());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FailureCause {
    /// The refresher failed.
    Refresher(RefresherError),
    /// The refresher's token had already expired on arrival: it comes from a cache, or a clock is wrong.
    #[non_exhaustive]
    ExpiredToken {
        /// When it expired.
        expires_on: UnixTime,
        /// The wall clock of the device on arrival.
        device_time: UnixTime,
        /// Whether the server's time decided ([`NewToken::with_server_time`](crate::NewToken::with_server_time)), not the
        /// device's clock.
        by_server_time: bool,
    },
    /// The refresher returned something that is not a usable token.
    InvalidToken(TokenError),
    /// The refresher, or the source, did not answer in time.
    #[non_exhaustive]
    TimedOut {
        /// [`refresh_timeout`](crate::PolicyBuilder::refresh_timeout); or
        /// [`source_check_timeout`](crate::PolicyBuilder::source_check_timeout), if a valid token waited for the source.
        timeout: Duration,
    },
    /// The service rejected the token, and also the token that replaced it (contract, rule 2.9).
    Rejected,
    /// The service rejected the token, and the refresher returned the same text again (contract, rule 2.9). The refresher is
    /// told of the rejected token ([`Reason::rejected`](crate::Reason::rejected)), so that it can bypass a cache.
    RejectedTokenReturned,
}

/// The kind of a [`FailureCause`], to compare and to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// [`FailureCause::Refresher`]
    RefresherFailed,
    /// [`FailureCause::ExpiredToken`]
    ExpiredToken,
    /// [`FailureCause::InvalidToken`]
    InvalidToken,
    /// [`FailureCause::TimedOut`]
    TimedOut,
    /// [`FailureCause::Rejected`] and [`FailureCause::RejectedTokenReturned`]
    Rejected,
    /// The token exchange got a response that cannot be read.
    BadResponse,
    /// The source of Entra tokens reports that the user has signed out.
    SignedOut,
}

impl FailureKind {
    /// The kind's name in scenario files, logs and metrics.
    ///
    /// ```
    /// use acs_common::FailureKind;
    ///
    /// assert_eq!(FailureKind::TimedOut.as_str(), "timed_out");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefresherFailed => "refresh_failed",
            Self::ExpiredToken => "expired_token",
            Self::InvalidToken => "invalid_token",
            Self::TimedOut => "timed_out",
            Self::Rejected => "rejected",
            Self::BadResponse => "bad_response",
            Self::SignedOut => "signed_out",
        }
    }
}

impl FailureCause {
    /// The kind of this cause.
    ///
    /// ```
    /// use acs_common::{FailureKind, FailureCause};
    ///
    /// assert_eq!(FailureCause::Rejected.kind(), FailureKind::Rejected);
    /// ```
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Refresher(error) => error.kind,
            Self::ExpiredToken { .. } => FailureKind::ExpiredToken,
            Self::InvalidToken(_) => FailureKind::InvalidToken,
            Self::TimedOut { .. } => FailureKind::TimedOut,
            Self::Rejected | Self::RejectedTokenReturned => FailureKind::Rejected,
        }
    }

    /// Whether the refresher reported a [permanent](RefresherError::permanent) failure: another try fails too, until
    /// something else changes.
    ///
    /// ```
    /// use acs_common::{FailureCause, RefresherError};
    ///
    /// let revoked = FailureCause::Refresher(RefresherError::new("refresh token revoked").permanent());
    /// assert!(revoked.is_permanent());
    /// assert!(!FailureCause::Rejected.is_permanent());
    /// ```
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Refresher(error) if error.is_permanent())
    }

    /// Whether the held token must not be used any more, although it is valid.
    pub(crate) fn revokes(&self) -> bool {
        matches!(self, Self::Refresher(error) if error.revokes)
    }

    /// The issuer's `Retry-After`; zero if it sent none.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Self::Refresher(error) => error.retry_after.unwrap_or_default(),
            Self::ExpiredToken { .. }
            | Self::InvalidToken(_)
            | Self::TimedOut { .. }
            | Self::Rejected
            | Self::RejectedTokenReturned => Duration::ZERO,
        }
    }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refresher(error) => write!(f, "the refresher failed: {error}"),
            Self::ExpiredToken { expires_on, by_server_time: true, .. } => write!(
                f,
                "the refresher's token had already expired at {expires_on}, by the server's time: return a new token, not a cached one",
            ),
            Self::ExpiredToken { expires_on, device_time, .. } => {
                write!(f, "the refresher's token had already expired at {expires_on}")?;
                if device_time.millis_since(*expires_on) <= CLOCK_DOUBT {
                    return f.write_str(": return a new token, not a cached one");
                }
                write!(
                    f,
                    ", and this device's clock says {device_time}: return a new token, not a cached one; if the clock is wrong, set it, or pass the issuer's `Date` to with_server_time",
                )
            }
            Self::InvalidToken(error) => write!(f, "the refresher returned an invalid token: {error}"),
            Self::TimedOut { timeout } => write!(
                f,
                "the refresher did not answer within {timeout:?}: check the network, or set a longer refresh_timeout (None for an interactive sign-in)",
            ),
            Self::Rejected => f.write_str(
                "the service rejected the token, and then the token that replaced it: check that both are for this resource, and that the user still has access",
            ),
            Self::RejectedTokenReturned => f.write_str(
                "the refresher returned the token that the service had refused: is there a cache in between?",
            ),
        }
    }
}

impl StdError for FailureCause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Refresher(error) => error.source.source(),
            Self::InvalidToken(_)
            | Self::ExpiredToken { .. }
            | Self::TimedOut { .. }
            | Self::Rejected
            | Self::RejectedTokenReturned => None,
        }
    }
}

/// A token that expired longer ago than this, in milliseconds, makes the device's clock doubtful (contract, rule 7.5).
const CLOCK_DOUBT: u64 = 30_000;

/// A refresher's error. It can move between threads, where the target has threads.
#[cfg(target_has_atomic = "ptr")]
pub(crate) type Cause = dyn StdError + Send + Sync;
#[cfg(not(target_has_atomic = "ptr"))]
pub(crate) type Cause = dyn StdError;

/// What a refresher returns when it fails.
///
/// It is transient by default: the machine backs off, then tries again (contract, rule 2.6). [`permanent`](Self::permanent)
/// changes that.
///
/// Any error becomes a `RefresherError` with `?` or `into`. It is kept ([`get_ref`](Self::get_ref)), and its text is shown in
/// errors and logs. So neither that error nor its sources may hold a secret.
///
/// ```
/// use acs_common::RefresherError;
/// use core::time::Duration;
///
/// fn parse(answer: &str) -> Result<u32, RefresherError> {
///     Ok(answer.parse::<u32>()?)
/// }
/// assert_eq!(parse("?").unwrap_err().to_string(), "invalid digit found in string");
///
/// let busy = RefresherError::new("429 Too Many Requests").with_retry_after(Duration::from_secs(20));
/// let revoked = RefresherError::new("invalid_grant: the user signed out").permanent();
/// assert!(revoked.is_permanent() && !busy.is_permanent());
/// ```
#[derive(Clone)]
pub struct RefresherError {
    source: Arc<Cause>,
    permanent: bool,
    retry_after: Option<Duration>,
    kind: FailureKind,
    revokes: bool,
    server_time: Option<SentDate>,
}

impl RefresherError {
    /// Makes a transient failure from a message or an error. A boxed `RefresherError` is unpacked, so it stays permanent or not.
    #[must_use]
    pub fn new(source: impl Into<Box<Cause>>) -> Self {
        match source.into().downcast::<Boxed>() {
            Ok(boxed) => boxed.0,
            Err(source) => Self {
                source: Arc::from(source),
                permanent: false,
                retry_after: None,
                kind: FailureKind::RefresherFailed,
                revokes: false,
                server_time: None,
            },
        }
    }

    /// Makes the failure permanent: another try fails too, until something else changes. Examples: the credentials are
    /// revoked, the user signed out.
    ///
    /// The machine backs off for [`retry_max`](crate::PolicyBuilder::retry_max) (default: 5 minutes), the timer for longer if
    /// [`with_retry_after`](Self::with_retry_after) says so. [`RetryNow`](crate::Event::RetryNow) ends the backoff (contract,
    /// rule 2.6).
    #[must_use]
    pub fn permanent(self) -> Self {
        Self { permanent: true, ..self }
    }

    /// Adds the time that the issuer asked for, from its `Retry-After` header ([RFC 9110, section
    /// 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)). The timer waits at least that long; a request waits at
    /// most [`retry_max`](crate::PolicyBuilder::retry_max) (contract, rule 2.6).
    #[must_use]
    pub fn with_retry_after(self, delay: Duration) -> Self {
        Self { retry_after: Some(delay), ..self }
    }

    /// Adds the issuer's time, from the header `Date` of its response: see
    /// [`NewToken::with_server_time`](crate::NewToken::with_server_time). A failure tells the time too.
    ///
    /// ```
    /// use acs_common::{RefresherError, UnixTime};
    ///
    /// let busy = RefresherError::new("503 Service Unavailable").with_server_time(UnixTime::from_secs(1_700_000_000));
    /// assert_eq!(busy.to_string(), "503 Service Unavailable");
    /// ```
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

    /// The error that the refresher reported.
    ///
    /// ```
    /// use acs_common::RefresherError;
    ///
    /// let error = RefresherError::from(std::fmt::Error);
    /// assert!(error.get_ref().is::<std::fmt::Error>());
    /// ```
    #[must_use]
    pub fn get_ref(&self) -> &Cause {
        &*self.source
    }

    /// The kind of the failure: [`RefresherFailed`](FailureKind::RefresherFailed), unless the token exchange knows more.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Whether the failure is [permanent](Self::permanent).
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }
}

/// For the token exchange.
#[cfg(feature = "entra")]
impl RefresherError {
    pub(crate) fn with_kind(self, kind: FailureKind) -> Self {
        Self { kind, ..self }
    }

    /// The held token must not be used any more, although it is valid.
    pub(crate) fn revoking(self) -> Self {
        Self { revokes: true, ..self }
    }
}

impl fmt::Debug for RefresherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefresherError")
            .field("source", &self.source)
            .field("permanent", &self.permanent)
            .field("retry_after", &self.retry_after)
            .finish()
    }
}

impl fmt::Display for RefresherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for RefresherError {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

/// Code that takes any error takes this one too, and loses nothing of it.
///
/// ```
/// use acs_common::RefresherError;
///
/// let boxed: Box<dyn std::error::Error + Send + Sync> = RefresherError::new("signed out").permanent().into();
/// assert_eq!(boxed.to_string(), "signed out");
/// assert!(RefresherError::new(boxed).is_permanent());
/// ```
impl From<RefresherError> for Box<Cause> {
    fn from(error: RefresherError) -> Self {
        Self::from(Boxed(error))
    }
}

/// A [`RefresherError`] as an error. It is not one itself: then it could be made from itself.
#[derive(Debug)]
struct Boxed(RefresherError);

impl fmt::Display for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Boxed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.source()
    }
}

/// Why a string is not a usable token (contract, section 3). The text says what the string looks like, and what to pass instead.
///
/// ```
/// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, TokenError, UnixTime};
///
/// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(0));
/// let refused = |text: &str| Machine::<()>::with_static_token(NewToken::new(text), Policy::default(), now).unwrap_err();
/// assert_eq!(refused("Bearer eyJhbGci"), TokenError::StartsWithBearer);
/// assert_eq!(refused("Bearer eyJhbGci").to_string(), "the token starts with `Bearer `: pass only what follows");
/// assert_eq!(refused(r#"{"token":"eyJhbGci"}"#), TokenError::Json);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is empty or only white space.
    #[error("the token is empty or blank: see whether your server's answer has a token, and in which field")]
    Blank,
    /// It has 1 MiB (1,048,576 bytes) or more, without the white space around it.
    #[error(
        "the token has {bytes} bytes, but it must have less than 1 MiB: pass the bare token string, without the response around it"
    )]
    #[non_exhaustive]
    TooLong {
        /// The token's length in bytes.
        bytes: usize,
    },
    /// It starts with the scheme of an `Authorization` header.
    #[error("the token starts with `Bearer `: pass only what follows")]
    StartsWithBearer,
    /// It starts with a quote, as when a JSON string is passed without being read as JSON.
    #[error("the token is in quotes: pass only what is between them (a JSON string must be read as JSON)")]
    InQuotes,
    /// It starts with a brace or a bracket: a response that was passed whole, or an error in place of a token.
    #[error("the token is JSON: pass its field `token` alone (in OAuth `access_token`), or return its error")]
    Json,
    /// It starts with `<`: a page of a sign-in, a proxy or a maintenance.
    #[error(
        "the token is HTML or XML: check that the issuer answers and not a sign-in page or a proxy, and pass the bare token string"
    )]
    Html,
    /// There is white space or a line break in it. Around it, ASCII white space does no harm.
    #[error("the token has white space or a line break in it: pass the bare token string, on one line")]
    WhiteSpace,
    /// It is the word `null` or `undefined`: a token that is not there was turned into text.
    #[error("the token is the word `null` or `undefined`: check that there is a token before you turn it into text")]
    NullOrUndefined,
    /// It has another character that a bearer token does not have ([RFC 6750, section
    /// 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    #[error(
        "the token has characters that no bearer token has: pass the bare token string, of letters, digits and `-._~+/`, with `=` only at its end"
    )]
    OtherCharacters,
    /// It is not a JWT with a usable `exp`, and the policy rejects such tokens
    /// ([`UndecodableTokens::Reject`](crate::UndecodableTokens::Reject)).
    #[error(
        "the token is not a JWT with a usable `exp`: pass its expiry with it, or set undecodable_tokens to AcceptAsOpaque"
    )]
    Undecodable,
}

impl TokenError {
    /// The first length, in bytes, that is refused.
    pub(crate) const TOO_LONG: usize = 1 << 20;
}

/// Why a token cannot be put into an `Authorization` header. Only [`Policy::reference`](crate::Policy::reference) accepts such tokens.
///
/// ```
/// use acs_common::{BearerError, Machine, Monotonic, NewToken, Now, Policy, UnixTime};
///
/// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(0));
/// let machine = Machine::<()>::with_static_token(NewToken::new("Bearer eyJ"), Policy::reference(), now)?;
/// assert_eq!(machine.token(now).unwrap().authorization(), Err(BearerError));
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the token holds a space, a quote or another character that a bearer token must not have: pass the bare token string, without `Bearer`, quotes or JSON around it"
)]
#[expect(clippy::exhaustive_structs, reason = "it has one cause")]
pub struct BearerError;
