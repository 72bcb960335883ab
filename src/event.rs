//! What a host tells the machine.

use core::num::NonZeroU64;

use crate::error::RefresherError;
use crate::token::{NewToken, Token};

/// Names one call of the refresher. Minted by the machine only, so that an answer can be told from a late one.
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

    /// As a number, for a host behind a foreign interface.
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

    /// From such a number; `None` for 0, which is none of them. An answer with an id that is not in flight is ignored.
    #[must_use]
    pub const fn from_u64(id: u64) -> Option<Self> {
        match NonZeroU64::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The one after it, the first after the last there is.
    pub(crate) fn next(self) -> Self {
        self.0.checked_add(1).map_or(Self::FIRST, Self)
    }
}

/// What a source gave, as two numbers of the host's choice. A credential with a source
/// ([`Machine::with_source`](crate::Machine::with_source)) exchanges what its source gives for an access token. The machine
/// never sees what that is: it compares these numbers and nothing else.
///
/// ```
/// use acs_common::Source;
///
/// // The same user, signed in anew: another version of the same user's credentials.
/// let (before, after) = (Source { version: 1, user: 7 }, Source { version: 2, user: 7 });
/// assert!(before != after && before.user == after.user);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "which one, and whose: that is all the machine compares")]
pub struct Source {
    /// Equal for the same thing (for Entra: the same Entra token), different for another one.
    pub version: u64,
    /// Equal only if it is certain that both are of one user.
    pub user: u64,
}

/// What happened. `W` is the host's name for a waiter: a key, a file descriptor, a channel.
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
/// // Nobody answers who cancelled; who waits is told of the end.
/// let Some(Action::ReturnToken { waiter: 2, result: Err(Error::Disposed) }) = machine.poll_action() else { panic!() };
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<W> {
    /// Somebody wants a token. Exactly one [`ReturnToken`](crate::Action::ReturnToken) will answer, unless the request is
    /// cancelled first. Names should differ among those who wait.
    TokenRequested {
        /// Who.
        waiter: W,
    },
    /// Somebody no longer waits: there will be no answer. Ignored if there was one already. A refresh in flight goes on.
    RequestCancelled {
        /// Who.
        waiter: W,
    },
    /// The source answered a [`CheckSource`](crate::Action::CheckSource); or, while the refresher is at work, it gave
    /// another version (after a 401, say). Ignored unless `request` is in flight.
    SourceChecked {
        /// Which check, from [`CheckSource`](crate::Action::CheckSource).
        request: RequestId,
        /// What the source gave.
        source: Source,
    },
    /// The refresher returned a token. Ignored unless `request` is the call in flight.
    TokenReceived {
        /// Which call, from [`CallRefresher`](crate::Action::CallRefresher).
        request: RequestId,
        /// What it brought.
        token: NewToken,
    },
    /// The refresher failed, or the source did. Ignored unless `request` is in flight.
    RefreshFailed {
        /// Which call, or which check.
        request: RequestId,
        /// Why.
        error: RefresherError,
    },
    /// The timer fired, or somebody just looked at the clocks: early, late, repeated, all harmless.
    TimeAdvanced,
    /// The service refused this very token (a 401). Ignored if another is held by now. A static token stays.
    TokenRejected {
        /// Which.
        token: Token,
    },
    /// Trying makes sense again: the network is back, the user signed in, the device woke up. Ends the rest and the row of
    /// failures, of refreshes and of rejected replacements.
    RetryNow,
    /// The end: everyone who waits is told so, the token is forgotten, nothing else is answered from now on.
    Disposed,
}
