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
/// let Some(Action::CallRefresher { request }) = machine.poll_action() else { panic!() };
///
/// // A minute later the call has timed out, and its late answer changes nothing.
/// machine.handle(Event::TimeAdvanced, at(60_000));
/// while machine.poll_action().is_some() {}
/// machine.handle(Event::RefreshFailed { request, error: RefresherError::new("too late") }, at(60_001));
/// assert!(machine.poll_action().is_none());
/// # Ok::<(), acs_common::InvalidToken>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(NonZeroU64);

impl RequestId {
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);

    /// The one after it, the first after the last there is.
    pub(crate) fn next(self) -> Self {
        self.0.checked_add(1).map_or(Self::FIRST, Self)
    }
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
/// # Ok::<(), acs_common::InvalidToken>(())
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
    /// The refresher answered. Ignored unless `request` is the call in flight.
    TokenReceived {
        /// Which call, from [`CallRefresher`](crate::Action::CallRefresher).
        request: RequestId,
        /// What it brought.
        token: NewToken,
    },
    /// The refresher failed. Ignored unless `request` is the call in flight.
    RefreshFailed {
        /// Which call.
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
    TryNow,
    /// The end: everyone who waits is told so, the token is forgotten, nothing else is answered from now on.
    Disposed,
}
