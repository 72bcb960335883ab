//! The clocks of a simulated host.

use acs_common::{Monotonic, Now, UnixTime};

use super::super::scenario::Scenario;

/// Both clocks of the host, computed from the true time, which an external clock would show.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    start: i64,
    pub(super) stepped: i64,
    pub(super) suspended: u64,
}

impl Clocks {
    pub fn new(scenario: &Scenario) -> Self {
        Self { start: scenario.start, stepped: scenario.ahead, suspended: 0 }
    }

    pub fn now(self, at: u64) -> Now {
        let unix = self.start.saturating_mul(1_000).saturating_add_unsigned(at).saturating_add(self.stepped);
        Now::new(Monotonic::from_millis(at.saturating_sub(self.suspended)), UnixTime::from_millis(unix))
    }

    /// What a right wall clock shows, in Unix seconds.
    pub(super) fn right(self, at: u64) -> i64 {
        self.start.saturating_add_unsigned(at / 1_000)
    }

    /// The `Date` of a server whose clock is ahead by so many milliseconds: cut to the second.
    pub(super) fn date(self, at: u64, ahead: i64) -> UnixTime {
        let true_time = self.start.saturating_mul(1_000).saturating_add_unsigned(at);
        UnixTime::from_secs(UnixTime::from_millis(true_time.saturating_add(ahead)).as_secs())
    }

    /// The true time at which the monotonic clock shows this, if nothing else happens.
    pub(super) fn true_time(self, monotonic: Monotonic) -> u64 {
        monotonic.as_millis().saturating_add(self.suspended)
    }
}
