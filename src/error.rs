//! What can go wrong, and whose fault it was.

use alloc::boxed::Box;
#[cfg(not(target_has_atomic = "ptr"))]
use alloc::rc::Rc as Arc;
#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use core::error::Error as StdError;
use core::fmt;
use core::time::Duration;

use crate::time::UnixTime;

/// Why a caller gets no token. Its text says everything down to what the refresher reported, whose own
/// [`source`](StdError::source), if it has one, is this error's.
///
/// ```
/// use acs_common::{Error, FailureKind};
///
/// fn advise(error: &Error) -> &'static str {
///     match error {
///         Error::RefreshFailed { cause, .. } if cause.is_permanent() => "sign in again",
///         Error::RefreshFailed { cause, .. } if cause.kind() == FailureKind::TimedOut => "look at the network",
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
    /// No valid token is held, and the refresh that was to bring one failed.
    #[non_exhaustive]
    RefreshFailed {
        /// Why it failed.
        cause: FailureCause,
        /// From when on asking again starts another refresh, counted from this answer; until then the same failure is
        /// the answer. `None`: at once.
        retry_in: Option<Duration>,
    },
    /// The credential was disposed: it gives out no token any more.
    Disposed,
    /// What drives the credential has ended (its task was dropped, its runtime shut down), so no token can be got.
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
            Self::DriverStopped => f.write_str(
                "the credential's driver has ended: keep its task, and the runtime it runs on, alive as long as the credential",
            ),
            Self::DriverStalled => f.write_str(
                "nothing has run the credential's driver for a second: this call blocks the thread that would, or nothing runs it; in async code await get_token, or make this call in spawn_blocking, with a multi-threaded runtime",
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
            | Self::DriverStopped
            | Self::DriverStalled
            | Self::WaitTimedOut { .. }
            | Self::CalledFromRefresher => None,
        }
    }
}

/// Why a refresh brought no token.
///
/// ```
/// use acs_common::{FailureCause, RefresherError};
///
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let failure = FailureCause::Refresher(RefresherError::new(refused));
/// assert_eq!(failure.to_string(), "the refresher failed: connection refused");
///
/// // What the refresher reported is there to be looked at.
/// let FailureCause::Refresher(error) = failure else { panic!() };
/// assert!(error.get_ref().is::<std::io::Error>());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FailureCause {
    /// The refresher failed.
    Refresher(RefresherError),
    /// The refresher's token was dead on arrival: it is stale (a cache?), or one of the clocks is wrong.
    #[non_exhaustive]
    ExpiredToken {
        /// When it expired.
        expires_on: UnixTime,
    },
    /// The refresher's token is none.
    InvalidToken(TokenError),
    /// The refresher did not answer in time.
    #[non_exhaustive]
    TimedOut {
        /// [`refresh_timeout`](crate::PolicyBuilder::refresh_timeout).
        timeout: Duration,
    },
    /// The service refused the token, and the one that replaced it too.
    Rejected,
}

/// Which kind of [`FailureCause`] it was, for comparing and counting.
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
    /// [`FailureCause::Rejected`]
    Rejected,
    /// The exchange of an Entra token got an answer that cannot be read.
    BadResponse,
    /// The source of Entra tokens says that the user has signed out.
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
    /// Which kind it is.
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
            Self::Rejected => FailureKind::Rejected,
        }
    }

    /// Whether the refresher said that trying again is no use until somebody does something about it.
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

    /// Whether the token held is not to be used any more, although it is valid.
    pub(crate) fn revokes(&self) -> bool {
        matches!(self, Self::Refresher(error) if error.revokes)
    }

    /// How long the issuer asked to be left alone; zero if it did not.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Self::Refresher(error) => error.retry_after.unwrap_or_default(),
            Self::ExpiredToken { .. } | Self::InvalidToken(_) | Self::TimedOut { .. } | Self::Rejected => {
                Duration::ZERO
            }
        }
    }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refresher(error) => write!(f, "the refresher failed: {error}"),
            Self::ExpiredToken { expires_on } => write!(
                f,
                "the refresher's token had already expired (at Unix time {} s): is it cached, or this machine's clock fast?",
                expires_on.as_millis().div_euclid(1_000),
            ),
            Self::InvalidToken(error) => write!(f, "the refresher's token is invalid: {error}"),
            Self::TimedOut { timeout } => write!(
                f,
                "the refresher did not answer within {timeout:?}: is the network up? (interactive sign-ins need a longer refresh_timeout, or none)",
            ),
            Self::Rejected => f.write_str(
                "the service refused the token, and its replacement too: are they for another resource, or the user's rights revoked?",
            ),
        }
    }
}

impl StdError for FailureCause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Refresher(error) => error.source.source(),
            Self::InvalidToken(_) | Self::ExpiredToken { .. } | Self::TimedOut { .. } | Self::Rejected => None,
        }
    }
}

/// What a refresher reports: to be shared between threads, where there can be any.
#[cfg(target_has_atomic = "ptr")]
type Cause = dyn StdError + Send + Sync;
#[cfg(not(target_has_atomic = "ptr"))]
type Cause = dyn StdError;

/// What a refresher answers when it fails. Transient unless it says otherwise: the machine rests, then tries again.
///
/// Made from any error with `?` or `into`. It keeps that error for [`get_ref`](Self::get_ref) to find, and shows
/// what it shows, so that error must hold no secret, and nor must its sources.
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
}

impl RefresherError {
    /// A transient failure, from a message or an error. A `RefresherError` that was boxed is itself again, permanent or not.
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
            },
        }
    }

    /// Trying again is no use until somebody does something about it: credentials revoked, user signed out. The machine
    /// rests for [`retry_max`](crate::PolicyBuilder::retry_max), the timer for longer if the issuer
    /// [asks](Self::with_retry_after) for it, or until [`RetryNow`](crate::Event::RetryNow).
    #[must_use]
    pub fn permanent(self) -> Self {
        Self { permanent: true, ..self }
    }

    /// The issuer asked to be left alone for so long
    /// ([`Retry-After`](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)).
    #[must_use]
    pub fn with_retry_after(self, delay: Duration) -> Self {
        Self { retry_after: Some(delay), ..self }
    }

    /// What the refresher reported.
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

    /// Whether it is [permanent](Self::permanent).
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }
}

/// For the exchange of Entra tokens.
#[cfg(feature = "entra")]
impl RefresherError {
    pub(crate) fn with_kind(self, kind: FailureKind) -> Self {
        Self { kind, ..self }
    }

    /// The token held is not to be used any more, although it is valid.
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

/// So that whatever takes any error takes this one too, and loses nothing of it.
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

/// A [`RefresherError`] as an error, which it cannot be itself: it would be made of itself.
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

/// Why a string is no token.
///
/// ```
/// use acs_common::TokenError;
///
/// assert!(TokenError::Blank.to_string().contains("pass the bare token string"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Nothing but white space.
    #[error("the token is blank: pass the bare token string, without `Bearer` or quotes")]
    Blank,
    /// 1 MiB or more.
    #[error(
        "the token has {bytes} bytes, and 1 MiB or more is refused: pass the bare token string, not what it came in"
    )]
    #[non_exhaustive]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Not a JWT with an `exp`, and the policy refuses what it cannot read.
    #[error(
        "the token is no JWT with a usable `exp`: pass its expiry with it, or let the policy accept undecodable tokens"
    )]
    Undecodable,
}

impl TokenError {
    /// The first length, in bytes, that is refused.
    pub(crate) const TOO_LONG: usize = 1 << 20;
}

/// Why a token goes into no `Authorization` header.
///
/// ```
/// use acs_common::{BearerError, Machine, Monotonic, NewToken, Now, Policy, UnixTime};
///
/// let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(0));
/// let machine = Machine::<()>::with_static_token(NewToken::new("Bearer eyJ"), Policy::default(), now)?;
/// assert_eq!(machine.token(now).unwrap().authorization(), Err(BearerError));
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the token holds a space, a quote or other characters no bearer token has: hand in the bare token, without `Bearer`, quotes or JSON round it"
)]
///
/// Needs the feature `http`.
#[expect(clippy::exhaustive_structs, reason = "there is nothing to say but that")]
pub struct BearerError;
