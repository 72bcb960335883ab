//! What a scenario shows to someone who draws it, beyond its timeline.

use std::time::Duration;

use acs_common::RequestId;

use super::super::scenario::Do;
use super::{Call, Host};

/// Gets the true time and what happens then.
pub type Watch<'a> = &'a mut dyn FnMut(u64, Seen<'_>);

/// What happens in a scenario, beyond what its timeline shows. Calls are of the refresher, or of what an exchange asks.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    Step(&'a Do),
    Called(Call),
    /// `failure`: the kind of the failure that it caused.
    Returned(Call, Option<&'static str>),
    Dropped(RequestId),
    Answered(&'a str, Option<&'static str>),
    /// The held token. The moments are in true time, if no clock is set until then.
    Held {
        token: &'a str,
        due: Option<u64>,
        expires: Option<u64>,
    },
    Lost,
    /// Because a clock was set.
    Expired,
    /// A failure, and the backoff that follows.
    Failed {
        retry_in: Option<Duration>,
    },
}

impl Host<'_> {
    pub(super) fn show(&mut self, seen: Seen<'_>) {
        if let Some(watch) = &mut self.watch {
            watch(self.at, seen);
        }
    }

    /// Shows the held token, if it has changed, or one of its moments. `by_clock`: nothing else than a clock has changed.
    pub(super) fn show_token(&mut self, by_clock: bool) {
        if self.watch.is_none() {
            return;
        }
        let (clocks, machine) = (self.clocks, &self.credential.machine);
        let held = machine.token(self.now()).is_some().then(|| {
            // Nothing of this changes the machine: it is asked what it would say later.
            let expired = |at| machine.token(clocks.now(at)).is_none();
            let due = |at| expired(at) || machine.is_due(clocks.now(at));
            let (from, to) = (self.at, self.scenario.until.saturating_add(1).max(self.at));
            (self.tokens.len(), first(from, to, due), first(from, to, expired))
        });
        if held == self.shown {
            return;
        }
        self.shown = held;
        match held {
            None if by_clock => self.show(Seen::Expired),
            None => self.show(Seen::Lost),
            Some((_, due, expires)) => {
                let name = self.tokens.last().map(|(_, name)| name.clone()).unwrap_or_default();
                self.show(Seen::Held { token: &name, due, expires });
            }
        }
    }
}

/// The first moment of `from..to` from which on this is true.
fn first(from: u64, to: u64, is_true: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut from, mut end) = (from, to);
    while from < end {
        let middle = from + (end - from) / 2;
        if is_true(middle) {
            end = middle;
        } else {
            from = middle + 1;
        }
    }
    (from < to).then_some(from)
}
