//! What the host tells the machine.

use core::num::NonZeroU64;

use crate::error::RefresherError;
use crate::server_time::DateSource;
use crate::time::{Now, UnixTime};
use crate::token::{NewToken, Token};

/// The id of one refresh. Only the machine makes new ids. They tell a current answer from a late one.
///
/// ```
/// use acs_common::{Action, Event, Machine, Monotonic, Now, Policy, RefresherError, UnixTime};
///
/// # let at = |ms: u64| Now::new(Monotonic::from_millis(ms), UnixTime::from_millis(1_700_000_000_000 + ms as i64));
/// let mut machine = Machine::new(None, Policy::default(), at(0))?;
/// machine.handle(Event::TokenRequested { waiter: "me" }, at(0));
/// let Some(Action::CallRefresher { request, .. }) = machine.poll_action() else { panic!() };
///
/// // A minute later the call has timed out, and its late answer changes nothing.
/// machine.handle(Event::TimeAdvanced, at(60_000));
/// while machine.poll_action().is_some() {}
/// machine.handle(Event::RefreshFailed { request, error: RefresherError::new("too late") }, at(60_001));
/// assert!(machine.poll_action().is_none());
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(NonZeroU64);

impl RequestId {
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);

    /// The id as a number, for a host behind a foreign function interface.
    ///
    /// ```
    /// use acs_common::RequestId;
    ///
    /// assert_eq!(RequestId::from_u64(7).map(RequestId::as_u64), Some(7));
    /// assert_eq!(RequestId::from_u64(0), None);
    /// ```
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0.get()
    }

    /// The id with this number; `None` for 0. The machine ignores an answer whose id is not in flight.
    #[must_use]
    pub const fn from_u64(id: u64) -> Option<Self> {
        match NonZeroU64::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The next id. After the last one comes the first.
    pub(crate) fn next(self) -> Self {
        self.0.checked_add(1).map_or(Self::FIRST, Self)
    }
}

/// What a source returned, as two numbers that the host chooses.
///
/// A credential [with a source](crate::Machine::with_source) exchanges what the source returns for an access token. The
/// machine does not see the source's data. It compares these two numbers only.
///
/// ```
/// use acs_common::Source;
///
/// // The same user signs in again: another version, the same user.
/// let (before, after) = (Source { version: 1, user: 7 }, Source { version: 2, user: 7 });
/// assert!(before != after && before.user == after.user);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the machine compares a version and a user, and nothing else")]
pub struct Source {
    /// Equal for the same data (the same Entra token, for example), different for other data.
    pub version: u64,
    /// Equal only if it is certain that both are from the same user.
    pub user: u64,
}

/// What happened. `W` is how the host names a waiter: a key, a file descriptor, a channel.
///
/// ```
/// use acs_common::{Action, Error, Event, Machine, Monotonic, Now, Policy, UnixTime};
///
/// # let at = |ms: u64| Now::new(Monotonic::from_millis(ms), UnixTime::from_millis(1_700_000_000_000 + ms as i64));
/// let mut machine = Machine::new(None, Policy::default(), at(0))?;
/// for event in [
///     Event::TokenRequested { waiter: 1 },
///     Event::TokenRequested { waiter: 2 },
///     Event::RequestCancelled { waiter: 1 },
///     Event::Disposed,
/// ] {
///     machine.handle(event, at(10));
/// }
/// // The cancelled waiter gets nothing. The other one gets an error.
/// let Some(Action::ReturnToken { waiter: 2, result: Err(Error::Disposed) }) = machine.poll_action() else { panic!() };
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<W> {
    /// A caller wants a token. Exactly one [`ReturnToken`](crate::Action::ReturnToken) follows, unless the request is
    /// cancelled first. Two waiters should not have the same name.
    TokenRequested {
        /// The caller's name.
        waiter: W,
    },
    /// A caller wants another token than this one, for example after a 401 (contract, rule 2.1). If this is the token held, the
    /// request is treated as if none were held: it waits for the refresh in flight, starts one, or gets the last failure.
    /// Otherwise it is like [`TokenRequested`](Self::TokenRequested). The token stays, and other requests still get it. Hand in
    /// [`TokenRejected`](Self::TokenRejected) before, if the service rejected it.
    ///
    /// ```
    /// use acs_common::{Action, Event, Machine, Monotonic, NewToken, Now, Policy, UnixTime};
    ///
    /// let at = |secs: i64| Now::new(Monotonic::from_millis(1_000 * secs as u64), UnixTime::from_secs(secs));
    /// let hour = NewToken::new("opaque").with_expires_on(UnixTime::from_secs(3_600));
    /// let mut machine = Machine::new(Some(hour), Policy::default(), at(0))?;
    /// let than = machine.token(at(1)).unwrap().clone();
    ///
    /// // A host does this for each 401, however many requests got one.
    /// for waiter in ["one", "two"] {
    ///     machine.handle(Event::TokenRejected { token: than.clone() }, at(1));
    ///     machine.handle(Event::AnotherRequested { waiter, than: than.clone() }, at(1));
    /// }
    /// assert!(matches!(machine.poll_action(), Some(Action::CallRefresher { .. })), "one refresh for both");
    /// # Ok::<(), acs_common::TokenError>(())
    /// ```
    AnotherRequested {
        /// The caller's name.
        waiter: W,
        /// The token that the caller does not want.
        than: Token,
    },
    /// A caller no longer waits, so it gets no answer. Ignored if it has had its answer. Other waiters and the refresh in
    /// flight are not affected (contract, rule 2.11).
    RequestCancelled {
        /// The caller's name.
        waiter: W,
    },
    /// The source answered a [`CheckSource`](crate::Action::CheckSource). Or it returned another version while the refresher
    /// works, for example after a 401. Ignored unless `request` is in flight.
    SourceChecked {
        /// The id from [`CheckSource`](crate::Action::CheckSource).
        request: RequestId,
        /// What the source returned.
        source: Source,
    },
    /// The refresher returned a token. Ignored unless `request` is the call in flight.
    TokenReceived {
        /// The id from [`CallRefresher`](crate::Action::CallRefresher).
        request: RequestId,
        /// What the refresher returned.
        token: NewToken,
    },
    /// The refresher or the source failed. Ignored unless `request` is in flight.
    RefreshFailed {
        /// The id of the call or the check.
        request: RequestId,
        /// Why.
        error: RefresherError,
    },
    /// The timer fired, or the host looked at the clocks. Early, late and repeated events of this kind are harmless.
    TimeAdvanced,
    /// The service rejected this token (with a 401). The machine drops it. A refresh follows: at once if the credential is
    /// proactive, otherwise with the next request (contract, rule 2.9). Ignored if the machine holds another token by now. A
    /// static token stays.
    ///
    /// The token that replaced a rejected one is not dropped: perhaps one endpoint rejects every token. It becomes *doubtful*:
    /// due for renewal after a backoff, and returned until then. The backoff grows with each such rejection. Requests for
    /// [another](Self::AnotherRequested) wait for the renewal, or get the failure.
    TokenRejected {
        /// The rejected token, as the machine returned it.
        token: Token,
    },
    /// Another try makes sense now: the network is back, the user signed in, the device woke up. This ends the backoff and
    /// both streaks, of failed refreshes and of rejected replacements (contract, rule 2.10).
    RetryNow,
    /// A response told the server's time in its header `Date` (contract, section 7). So a token is valid for as long as the
    /// server says, even if the device's clock is wrong. The time of the issuer comes better with the token
    /// ([`NewToken::with_server_time`]) or the failure ([`RefresherError::with_server_time`]).
    ///
    /// Leave out a response with an `Age` above 0, and one over plain http that is not from a loopback host.
    ServerTimeSeen {
        /// The header's moment.
        date: UnixTime,
        /// When the request was sent.
        sent: Now,
        /// Who sent the response.
        by: DateSource,
    },
    /// Dispose of the credential. Every waiter gets [`Error::Disposed`](crate::Error::Disposed), the token is dropped, and
    /// every later request gets the same error (contract, rule 2.12).
    Disposed,
}
