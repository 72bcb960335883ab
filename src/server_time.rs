//! What the `Date` of responses says about the server's time (contract, section 7). The device's clocks are never set: the
//! server's time decides only how long a token is valid.

use crate::time::{Now, UnixTime, Until};
use crate::token::Token;

/// Who sent a `Date` (contract, section 7). An issuer is believed about its own tokens, a service only as far as that does no
/// harm.
///
/// ```
/// use acs_common::{DateSource, Event, Machine, Monotonic, Now, Policy, UnixTime};
///
/// let at = |ms: u64| Now::new(Monotonic::from_millis(ms), UnixTime::from_millis(1_700_000_000_000 + ms as i64));
/// let mut machine = Machine::<()>::new(None, Policy::default(), at(0))?;
///
/// // The service's clock is an hour ahead of this device.
/// let date = UnixTime::from_secs(1_700_003_600);
/// machine.handle(Event::ServerTimeSeen { date, sent: at(0), by: DateSource::Service }, at(100));
/// assert_eq!(machine.server_time(at(100)), Some(UnixTime::from_millis(1_700_003_601_050)));
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the contract knows these two")]
pub enum DateSource {
    /// The issuer of the tokens: the refresher's server, or the service that exchanges Entra tokens.
    Issuer,
    /// A service that a token was sent to.
    Service,
}

/// The `Date` of an issuer's response, with the token or the failure that it brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentDate {
    pub(crate) date: UnixTime,
    /// When the request was sent; `None`: when the refresh started.
    pub(crate) sent: Option<Now>,
}

impl SentDate {
    pub(crate) fn seen(self, started: Now) -> Sighting {
        Sighting { date: self.date, sent: self.sent.unwrap_or(started), by: DateSource::Issuer }
    }
}

/// The `Date` of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighting {
    pub(crate) date: UnixTime,
    /// When the request was sent.
    pub(crate) sent: Now,
    pub(crate) by: DateSource,
}

/// A `Date` has no fractions of a second, and a server may read its clock some time before it answers.
const DATE_ERROR: u64 = 2_000;
/// The longest round trip that says something about the server's time.
const LONGEST_TRIP: u64 = 30_000;
/// From here on both clocks do not measure the same round trip.
const TRIP_ERROR: u64 = 2_000;
/// After this time a newer `Date` is better, and an issuer's `Date` no longer protects from a service's.
const OLD: u64 = 3_600_000;
/// Two responses that confirm each other are at least this far apart.
const CONFIRMED_AFTER: u64 = 1_000;
/// The service's `Date` is not taken for this time after it was wrong.
const BAN: u64 = 3_600_000;
/// A smaller difference of the wall clock is not reported.
const SKEW: u64 = 5_000;

/// One reading of the server's clock, and both clocks of the device at that moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    /// The latest time that the server's clock can have shown.
    late: UnixTime,
    at: Now,
    /// How much earlier the server's time can be.
    error: u64,
    by: DateSource,
}

/// The device's clocks since a moment, in milliseconds.
#[derive(Clone, Copy)]
struct Elapsed {
    monotonic: u64,
    /// Negative if the clock was set back.
    wall: i64,
}

impl Elapsed {
    fn between(before: Now, now: Now) -> Self {
        let wall = now.unix.as_millis().saturating_sub(before.unix.as_millis());
        Self { monotonic: now.monotonic.millis_since(before.monotonic), wall }
    }

    /// The clock that says more.
    fn longest(self) -> u64 {
        self.monotonic.max(u64::try_from(self.wall).unwrap_or_default())
    }

    /// How much the two clocks differ.
    fn difference(self) -> u64 {
        self.wall.abs_diff(i64::try_from(self.monotonic).unwrap_or(i64::MAX))
    }

    /// Whether both measure the same time. Otherwise the device slept, or a clock was set.
    fn agrees(self) -> bool {
        self.difference() <= DATE_ERROR.saturating_add(self.monotonic / 1_000)
    }

    /// How far a clock can have drifted: 500 parts in a million.
    fn drift(self) -> u64 {
        self.monotonic / 2_000
    }
}

impl Anchor {
    pub(crate) fn new(seen: Sighting, now: Now) -> Self {
        let error = DATE_ERROR.saturating_add(Elapsed::between(seen.sent, now).longest());
        Self { late: seen.date.saturating_add_millis(error), at: now, error, by: seen.by }
    }

    /// What the server's clock can show at most. Three candidates if the device's clocks disagree: which of them is right
    /// cannot be told.
    fn latest(&self, now: Now) -> [UnixTime; 3] {
        let elapsed = Elapsed::between(self.at, now);
        if elapsed.agrees() {
            return [self.late.saturating_add_millis(elapsed.longest().saturating_add(elapsed.drift())); 3];
        }
        let by_wall = UnixTime::from_millis(self.late.as_millis().saturating_add(elapsed.wall));
        [by_wall, self.late.saturating_add_millis(elapsed.monotonic), now.unix]
    }

    /// How long a token with this expiry is valid, in milliseconds. It has expired only if all candidates say so.
    pub(crate) fn life(&self, expires_on: UnixTime, now: Now) -> u64 {
        let lives = self.latest(now).map(|latest| expires_on.millis_since(latest));
        lives.into_iter().filter(|left| *left > 0).min().unwrap_or_default()
    }

    /// As [`life`](Self::life); `None` if a service's reading refuses what the wall clock accepts.
    pub(crate) fn judge(&self, expires_on: UnixTime, now: Now) -> Option<u64> {
        let left = self.life(expires_on, now);
        let is_believed = left > 0 || self.by == DateSource::Issuer || expires_on <= now.unix;
        is_believed.then_some(left)
    }

    /// The middle of what the server's clock can show; `None` if the device's clocks disagree.
    fn middle(&self, now: Now) -> Option<UnixTime> {
        let [latest, ..] = self.latest(now);
        let half = i64::try_from(self.error / 2).unwrap_or(i64::MAX);
        Elapsed::between(self.at, now).agrees().then(|| UnixTime::from_millis(latest.as_millis().saturating_sub(half)))
    }

    /// Whether a newer reading can be of the same clock.
    fn agrees(&self, newer: &Self) -> bool {
        let drift = Elapsed::between(self.at, newer.at).drift().saturating_mul(2);
        let earliest = |late: UnixTime, error: u64| late.as_millis().saturating_sub_unsigned(error);
        self.latest(newer.at).into_iter().any(|latest| {
            earliest(latest, self.error.saturating_add(drift)) <= newer.late.as_millis()
                && earliest(newer.late, newer.error) <= latest.as_millis()
        })
    }

    fn is_old(&self, now: Now) -> bool {
        Elapsed::between(self.at, now).longest() > OLD
    }

    /// How far the wall clock is outside of what the server's clock can show; positive if it is ahead.
    fn skew(&self) -> i64 {
        let (wall, late) = (self.at.unix.as_millis(), self.late.as_millis());
        let early = late.saturating_sub_unsigned(self.error);
        wall.saturating_sub(late).max(0).saturating_add(wall.saturating_sub(early).min(0))
    }
}

/// What is known of the server's time.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerTime {
    anchor: Option<Anchor>,
    /// A service's reading that disagrees with the anchor, until a second one confirms it.
    unconfirmed: Option<Anchor>,
    /// Until when no such reading replaces the anchor again.
    replaced: Option<Until>,
    /// Until when the service's readings are not taken.
    banned: Option<Until>,
    /// The skew that was reported last.
    reported: Option<i64>,
}

impl ServerTime {
    /// Takes the reading, if it is better than the one before. `pause`: how long a service's reading that replaced another one
    /// stays.
    pub(crate) fn see(&mut self, seen: Sighting, pause: u64, now: Now) -> bool {
        self.replaced.take_if(|end| end.has_come(now));
        self.banned.take_if(|end| end.has_come(now));
        let trip = Elapsed::between(seen.sent, now);
        let is_banned = seen.by == DateSource::Service && self.banned.is_some();
        if trip.longest() > LONGEST_TRIP || trip.difference() > TRIP_ERROR || is_banned {
            return false;
        }
        let newer = Anchor::new(seen, now);
        let is_better = self.anchor.is_none_or(|older| {
            if older.agrees(&newer) {
                self.unconfirmed = None;
                let clocks_disagree = !Elapsed::between(older.at, now).agrees();
                return newer.error < older.error || older.is_old(now) || clocks_disagree;
            }
            match newer.by {
                DateSource::Issuer => true,
                DateSource::Service if older.by == DateSource::Issuer && !older.is_old(now) => false,
                DateSource::Service => self.confirms(&newer, pause, now),
            }
        });
        if is_better {
            (self.anchor, self.unconfirmed) = (Some(newer), None);
        }
        is_better
    }

    /// Whether a second response says the same as this one, which disagrees with the anchor.
    fn confirms(&mut self, newer: &Anchor, pause: u64, now: Now) -> bool {
        let is_same = self.unconfirmed.is_some_and(|first| first.agrees(newer));
        let first = if is_same { self.unconfirmed } else { self.unconfirmed.replace(*newer) };
        let is_later = first.is_some_and(|first| Elapsed::between(first.at, now).longest() >= CONFIRMED_AFTER);
        let confirms = is_same && is_later && self.replaced.is_none();
        if confirms {
            self.replaced = Some(now.plus(pause));
        }
        confirms
    }

    /// How long a token is valid that arrives now, in milliseconds; `None` without a reading.
    ///
    /// A reading of a service must not refuse what the wall clock accepts. Then the reading is dropped, and the service is not
    /// believed for an hour.
    pub(crate) fn judge(&mut self, expires_on: UnixTime, now: Now) -> Option<u64> {
        let judged = self.anchor?.judge(expires_on, now);
        if judged.is_none() {
            (self.anchor, self.unconfirmed) = (None, None);
            self.banned = Some(now.plus(BAN));
        }
        judged
    }

    pub(crate) fn anchor(&self) -> Option<Anchor> {
        self.anchor
    }

    /// How long a held token is still valid, in milliseconds, by the new reading; `None` if the token needs no clock of a
    /// server.
    pub(crate) fn lay(&self, token: &Token, now: Now) -> Option<u64> {
        let laid = token.laid()?;
        let most = laid.most.saturating_sub(Elapsed::between(laid.accepted, now).longest());
        Some(self.anchor?.life(token.expires_on(), now).min(most))
    }

    pub(crate) fn is_known(&self) -> bool {
        self.anchor.is_some()
    }

    pub(crate) fn middle(&self, now: Now) -> Option<UnixTime> {
        self.anchor?.middle(now)
    }

    /// How far the wall clock is off, if that has to be reported: more than five seconds, and more than five from what was
    /// reported before.
    pub(crate) fn skew(&mut self) -> Option<i64> {
        let by = self.anchor?.skew();
        if by.unsigned_abs() <= SKEW {
            self.reported = None;
            return None;
        }
        let is_new = self.reported.is_none_or(|before| before.abs_diff(by) > SKEW);
        is_new.then(|| *self.reported.insert(by))
    }
}
