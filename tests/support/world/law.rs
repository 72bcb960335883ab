//! What must hold of every life.

/// A law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Never a token that has expired by either clock, was rejected or replaced, or was held before the end.
    HandOut,
    /// A failure never costs a held token, unless the attempt was for another user; nor does anything else but expiry,
    /// rejection, replacement, the end.
    Kept,
    /// At most one refresh in flight.
    OneFlight,
    /// An answer changes nothing if its call is not in flight any more, or not yet.
    Late,
    /// No two refreshes start within the minimum interval.
    MinInterval,
    /// None starts during a backoff, least of all one that the issuer asked for.
    Backoff,
    /// None starts that nobody wants: without a demand if not by timer, or before half of the held token's life.
    Unasked,
    /// A settled machine is never already due, and looking again at the same moment does nothing.
    Settled,
    /// A good refresher leads back to a served token: a request gets it as soon as the requests' backoff and the minimum
    /// interval are
    /// over, and a proactive credential has it, unasked, within the longest backoff.
    Recovery,
    /// The announced timer is the deadline.
    Timer,
    /// No busy loop: a timer that fires on time never does so in vain.
    Vain,
    /// Every waiter is answered exactly once.
    Once,
    /// Nobody waits for nothing: with a valid token in the same drain, else for a refresh that is under way or planned.
    Punctual,
    /// Nobody is refused without a failure, and what the error says about asking again is true.
    Refusal,
    /// After the end nothing but `disposed`, and no secret left.
    Disposed,
    /// What is dropped leaves no secret behind; what is rejected is kept for the refresher until the next token is accepted.
    Secrets,
    /// `token` and `snapshot` agree with a request.
    Snapshot,
    /// What happened is reported, and nothing else.
    Notices,
    /// Answers first, then the call, the timer last.
    Order,
    /// Cancelling one waiter never changes what another gets.
    Cancel,
    /// The source is asked before each refresh. If it has what the valid token held was got for, that is the answer.
    Source,
    /// Each call, and each check, says truly why it is made.
    Reason,
}

/// A law broken, and how.
#[derive(Clone, Debug)]
pub struct Broken {
    pub law: Law,
    pub how: String,
}
