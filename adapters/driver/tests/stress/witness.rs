//! Records everything that happens to one credential, and checks the laws.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use acs_common_driver::{Error, FailureCause, RefresherPanicked, Token, UnixTime};

use super::watched::{One, Present};

#[derive(Default)]
pub(crate) struct Witness {
    pub(crate) clocks: Present,
    pub(crate) sleeps: Present,
    pub(crate) drivers: Present,
    pub(crate) callers: Present,
    in_flight: Present,
    refreshes: AtomicUsize,
    /// The number of events so far, as a clock.
    moment: AtomicUsize,
    /// Which token was rejected, and when the call of `reject` returned.
    rejected: Mutex<HashMap<String, usize>>,
    disposed: AtomicBool,
    over: AtomicBool,
    /// A panic would be lost with its task.
    broken: Mutex<Vec<String>>,
    sum: Sum,
}

/// A call of the refresher, until it is dropped.
pub(crate) struct Call {
    pub(crate) number: usize,
    _in_flight: One,
}

/// A request for a token.
pub(crate) struct Asked {
    moment: usize,
    after_dispose: bool,
    at: UnixTime,
}

impl Witness {
    pub(crate) fn begins(&self) -> Call {
        let in_flight = self.in_flight.one();
        self.holds(self.in_flight.count() == 1, || "two refreshes in flight".to_owned());
        Call { number: self.refreshes.fetch_add(1, SeqCst), _in_flight: in_flight }
    }

    pub(crate) fn refreshes(&self) -> usize {
        self.refreshes.load(SeqCst)
    }

    pub(crate) fn asks(&self) -> Asked {
        let at = std::time::SystemTime::now().into();
        Asked { after_dispose: self.disposed.load(SeqCst), moment: self.moment.fetch_add(1, SeqCst), at }
    }

    pub(crate) fn sees(&self, asked: &Asked, answer: &Result<Token, Error>) {
        let too_late = asked.after_dispose && !matches!(answer, Err(Error::Disposed));
        self.holds(!too_late, || format!("{answer:?} after dispose"));
        let counter = match answer {
            Ok(token) => {
                // Each clock is read to the millisecond.
                let left = token.expires_on().as_millis() - asked.at.as_millis();
                self.holds(left >= -1, || format!("the token had expired {left} ms before the request"));
                let rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
                let good = rejected.get(token.secret().expose()).is_none_or(|moment| *moment > asked.moment);
                self.holds(good, || "a rejected token is returned again".to_owned());
                &self.sum.tokens
            }
            Err(Error::RefreshFailed { cause: FailureCause::Refresher(error), .. })
                if error.get_ref().is::<RefresherPanicked>() =>
            {
                &self.sum.panics
            }
            Err(Error::RefreshFailed { cause: FailureCause::TimedOut { .. }, .. }) => &self.sum.timeouts,
            Err(Error::RefreshFailed { .. }) => &self.sum.failures,
            Err(Error::Disposed) => &self.sum.disposed,
            Err(error) => return self.holds(false, || format!("the driver was not ended: {error}")),
        };
        counter.fetch_add(1, SeqCst);
    }

    pub(crate) fn gives_up(&self) {
        self.sum.gave_up.fetch_add(1, SeqCst);
    }

    /// The token was rejected and dropped, and the call of `reject` has returned.
    pub(crate) fn rejected(&self, token: &Token) {
        let text = token.secret().expose().to_owned();
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        rejected.entry(text).or_insert_with(|| self.moment.fetch_add(1, SeqCst));
        self.sum.rejects.fetch_add(1, SeqCst);
    }

    pub(crate) fn disposed(&self) {
        self.disposed.store(true, SeqCst);
    }

    pub(crate) fn over(&self) {
        self.over.store(true, SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    pub(crate) fn holds(&self, law: bool, broken: impl FnOnce() -> String) {
        if !law {
            self.broken.lock().unwrap_or_else(PoisonError::into_inner).push(broken());
        }
    }

    pub(crate) fn broken(&self) -> Vec<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is left, and how many.
    pub(crate) fn left(&self) -> Option<[(&'static str, usize); 5]> {
        let left = [
            ("callers", self.callers.count()),
            ("refreshes", self.in_flight.count()),
            ("tasks", self.drivers.count()),
            ("sleeps", self.sleeps.count()),
            ("states", self.clocks.count()),
        ];
        left.iter().any(|(_, count)| *count > 0).then_some(left)
    }
}

/// What happened, over all scenarios.
#[derive(Default)]
pub(crate) struct Sum {
    scenarios: AtomicUsize,
    refreshes: AtomicUsize,
    tokens: AtomicUsize,
    failures: AtomicUsize,
    panics: AtomicUsize,
    timeouts: AtomicUsize,
    disposed: AtomicUsize,
    gave_up: AtomicUsize,
    rejects: AtomicUsize,
}

impl Sum {
    pub(crate) fn add(&self, witness: &Witness) {
        self.scenarios.fetch_add(1, SeqCst);
        self.refreshes.fetch_add(witness.refreshes(), SeqCst);
        for ((_, all), (_, one)) in self.answers().into_iter().zip(witness.sum.answers()) {
            all.fetch_add(one.load(SeqCst), SeqCst);
        }
    }

    fn answers(&self) -> [(&'static str, &AtomicUsize); 7] {
        [
            ("tokens", &self.tokens),
            ("failures", &self.failures),
            ("panics", &self.panics),
            ("timeouts", &self.timeouts),
            ("told of the disposal", &self.disposed),
            ("gave up", &self.gave_up),
            ("rejected", &self.rejects),
        ]
    }

    /// What has not happened yet.
    pub(crate) fn missed(&self) -> Option<&'static str> {
        self.answers().iter().find(|(_, count)| count.load(SeqCst) == 0).map(|(what, _)| *what)
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} credentials, {} refreshes", self.scenarios.load(SeqCst), self.refreshes.load(SeqCst))?;
        self.answers().iter().try_for_each(|(what, count)| write!(f, ", {what} {}", count.load(SeqCst)))
    }
}
