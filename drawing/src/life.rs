//! What a host records.

use alloc::string::String;
use alloc::vec::Vec;

/// What happened to one credential, in the order in which it happened.
///
/// ```
/// use acs_common_drawing::{Fact, Life};
///
/// let mut life = Life::new("on demand");
/// life.record(1_000, Fact::Suspended { until: 61_000 });
/// ```
#[derive(Clone, Debug)]
pub struct Life {
    pub(crate) name: String,
    pub(crate) facts: Vec<(u64, Fact)>,
}

impl Life {
    /// A life without facts. The name is its heading in the picture.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), facts: Vec::new() }
    }

    /// Adds what happened at this time: milliseconds of true time since the start. A time before that of the last fact counts as
    /// that.
    pub fn record(&mut self, at: u64, fact: Fact) {
        let last = self.facts.last().map_or(0, |(last, _)| *last);
        self.facts.push((at.max(last), fact));
    }
}

/// Something that happened. Texts are shown as they are, shortened if they are long: keep secrets out of them.
///
/// ```
/// use acs_common_drawing::Fact;
///
/// let failed = Fact::Returned { call: 7, failure: Some("timed out".to_owned()) };
/// assert_ne!(failed, Fact::Dropped { call: 7 });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A caller asks for a token.
    Asked {
        /// Its name.
        waiter: String,
    },
    /// A caller gets a token, or an error.
    Answered {
        /// Its name.
        waiter: String,
        /// The kind of the error, or an empty text.
        failure: Option<String>,
    },
    /// A caller gives up.
    Cancelled {
        /// Its name.
        waiter: String,
    },
    /// A refresh starts.
    Called {
        /// Its number, which is used once.
        call: u64,
    },
    /// A refresh ends.
    Returned {
        /// Its number.
        call: u64,
        /// The kind of the failure, or an empty text.
        failure: Option<String>,
    },
    /// The credential gives up a refresh that is in flight. Its later end does not count.
    Dropped {
        /// Its number.
        call: u64,
    },
    /// The credential holds this token. Record it again if one of the moments changes: when a clock is set, for example.
    Held {
        /// Its name.
        token: String,
        /// When it is due for renewal.
        due: Option<u64>,
        /// When it expires.
        expires: Option<u64>,
    },
    /// The credential does not hold a token any longer.
    Lost,
    /// The held token has expired before the moment that was recorded with it: a clock was set.
    Expired,
    /// After a failure the credential waits.
    BacksOff {
        /// When it tries again.
        until: u64,
    },
    /// The service refuses this token, and a caller says so.
    Rejected {
        /// Its name.
        token: String,
    },
    /// The wall clock is set.
    ClockSet {
        /// By so many milliseconds.
        by: i64,
    },
    /// The computer sleeps.
    Suspended {
        /// When it wakes up.
        until: u64,
    },
    /// The issuer begins to behave like this. `None`: it works as it should.
    Issuer {
        /// What it does.
        does: Option<String>,
    },
    /// The credential is disposed.
    Disposed,
    /// Anything else that deserves a mark: the host says *retry now*, a user signs in.
    Event {
        /// In a few words.
        what: String,
    },
}
