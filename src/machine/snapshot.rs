//! What a host needs for a fast path.

use crate::time::{Now, Until};
use crate::token::Token;

/// The held token, and how long a request does nothing except return it ([`Machine::snapshot`](crate::Machine::snapshot)).
///
/// ```
/// use acs_common::{Machine, Monotonic, NewToken, Now, Policy, UnixTime};
///
/// let at = |secs: i64| Now::new(Monotonic::from_millis(1_000 * secs as u64), UnixTime::from_secs(secs));
/// let hour = NewToken::new("opaque").with_expires_on(UnixTime::from_secs(3_600));
/// let machine = Machine::<()>::new(Some(hour), Policy::builder().jitter(0.0).build()?, at(0))?;
///
/// let snapshot = machine.snapshot().expect("the token is fresh");
/// assert!(snapshot.token(at(3_479)).is_some());
/// assert!(snapshot.token(at(3_480)).is_none(), "a request starts a renewal now, so ask the machine");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) token: Token,
    /// `None`: it never ends.
    pub(super) until: Option<Until>,
}

impl Snapshot {
    /// Whether both hold clones of one token, for the same time.
    #[must_use]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.token.is_clone_of(&other.token) && self.until == other.until
    }

    /// The token, if a request at `now` does nothing except return it.
    #[must_use]
    pub fn token(&self, now: Now) -> Option<&Token> {
        if self.until.is_some_and(|end| end.has_come(now)) { None } else { Some(&self.token) }
    }
}
