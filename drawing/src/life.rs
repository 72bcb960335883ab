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

    /// Forgets what was over by then, so that a life without end takes a bounded room. A picture that begins at this time, or
    /// later, stays the same.
    ///
    /// ```
    /// use acs_common_drawing::{Fact, Life, Picture};
    ///
    /// let mut life = Life::new("long");
    /// life.record(1_000, Fact::Held { token: "t1".to_owned(), due: None, expires: Some(90_000) });
    /// life.record(2_000, Fact::Event { what: "forgotten".to_owned() });
    /// life.forget_before(60_000);
    ///
    /// let svg = Picture { id: "now", title: "", lives: &[life], from: 60_000, until: 80_000, width: 830 }.draw();
    /// assert!(svg.contains("t1") && !svg.contains("forgotten"));
    /// ```
    pub fn forget_before(&mut self, at: u64) {
        let is_old = self.facts.partition_point(|(time, _)| *time < at);
        let rest = self.facts.split_off(is_old);
        for (time, fact) in core::mem::take(&mut self.facts) {
            self.condense(at, time, fact);
        }
        self.facts.extend(rest);
    }

    /// Adds a fact from before `at`, and forgets what it ends. What is over after this fact alone is not added.
    fn condense(&mut self, at: u64, time: u64, fact: Fact) {
        let goes_on = match &fact {
            Fact::Asked { .. } => true,
            Fact::Answered { waiter, .. } | Fact::Cancelled { waiter } => {
                let asked = |one: &Fact| matches!(one, Fact::Asked { waiter: asked } if asked == waiter);
                self.forget(self.facts.iter().position(|(_, one)| asked(one)));
                false
            }
            Fact::Called { .. } => {
                self.forget(self.position(|one| matches!(one, Fact::BacksOff { .. })));
                true
            }
            Fact::Returned { call, .. } | Fact::Dropped { call } => {
                self.forget(self.position(|one| matches!(one, Fact::Called { call: called } if called == call)));
                false
            }
            Fact::Held { token, due, expires } => {
                let held = self.position(|one| matches!(one, Fact::Held { .. }));
                if let Some((_, Fact::Held { token: same, due: was_due, expires: ends })) =
                    held.and_then(|held| self.facts.get_mut(held))
                    && same == token
                    && ends.is_none_or(|end| end > time)
                {
                    (*was_due, *ends) = (was_due.filter(|due| *due <= time).or(*due), *expires);
                    return;
                }
                self.forget(held);
                true
            }
            Fact::Lost | Fact::Expired => {
                self.forget(self.position(|one| matches!(one, Fact::Held { .. })));
                false
            }
            Fact::Disposed => {
                self.forget(self.position(|one| matches!(one, Fact::Held { .. })));
                self.forget(self.position(|one| matches!(one, Fact::BacksOff { .. })));
                true
            }
            Fact::BacksOff { until } => {
                self.forget(self.position(|one| matches!(one, Fact::BacksOff { .. })));
                *until >= at
            }
            Fact::Suspended { until } => *until >= at,
            Fact::Issuer { does } => {
                self.forget(self.position(|one| matches!(one, Fact::Issuer { .. })));
                does.is_some()
            }
            Fact::Rejected { .. } | Fact::ClockSet { .. } | Fact::Event { .. } => false,
        };
        if goes_on {
            self.facts.push((time, fact));
        }
    }

    /// Where the last fact of this kind is.
    fn position(&self, is: impl Fn(&Fact) -> bool) -> Option<usize> {
        self.facts.iter().rposition(|(_, one)| is(one))
    }

    fn forget(&mut self, position: Option<usize>) {
        if let Some(position) = position {
            self.facts.remove(position);
        }
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
