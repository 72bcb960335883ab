//! The laws of every run.

/// A law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// No token is returned that has expired by either clock, was rejected or replaced, or was held before dispose.
    HandOut,
    /// A failure never drops a held token, unless the attempt was for another user. Only expiry, rejection, replacement
    /// and dispose drop it.
    Kept,
    /// At most one refresh in flight.
    OneFlight,
    /// An answer changes nothing if its call is no longer in flight, or not yet.
    Late,
    /// No two refreshes start within the minimum interval.
    MinInterval,
    /// No refresh starts during a backoff, above all not during one that the issuer asked for.
    Backoff,
    /// No refresh starts without a reason: it needs a request, or the timer after half of the held token's lifetime.
    Unasked,
    /// A settled machine is never already due, and another look at the same moment does nothing.
    Settled,
    /// A good refresher leads back to a served token: a request gets it as soon as the requests' backoff and the
    /// minimum interval are over. A proactive credential gets it within the longest backoff, without a request.
    Recovery,
    /// The announced timer is the deadline.
    Timer,
    /// No busy loop: a timer that fires on time always causes an action.
    Vain,
    /// Every waiter is answered exactly once.
    Once,
    /// No waiter waits without a reason: it gets a valid token in the same drain, or waits for a refresh in flight or
    /// planned.
    Punctual,
    /// Each error has a failure as its cause, and what it says about asking again is true.
    Refusal,
    /// After dispose there is only `disposed`, and no secret is left.
    Disposed,
    /// A dropped token leaves no secret. A rejected token is kept for the refresher until the next token is accepted.
    Secrets,
    /// `token` and `snapshot` agree with a request.
    Snapshot,
    /// Notices report what happened, and nothing else.
    Notices,
    /// Answers first, then the call, the timer last.
    Order,
    /// Cancelling one waiter never changes what another gets.
    Cancel,
    /// The source is asked before each refresh. If it returns the source token that the held valid token was exchanged
    /// from, the held token is the answer.
    Source,
    /// Each call, and each check, states its true trigger.
    Reason,
    /// While a right reading of the server's clock holds, a token ends no later than by that clock, and no earlier than the error
    /// of the reading. No reading makes a token valid for longer than it was issued for.
    ServerTime,
}

/// A broken law, and how it was broken.
#[derive(Clone, Debug)]
pub struct Broken {
    pub law: Law,
    pub how: String,
}
