//! Moments on two clocks, in whole milliseconds. All arithmetic saturates.

use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;

use crate::calendar::civil;

/// A moment on the host's monotonic clock: milliseconds since an origin that the host chooses once.
///
/// The clock may stop while the computer is suspended. Sums saturate at the last moment, [`u64::MAX`]` - 1` milliseconds
/// (half a billion years), where every wait is over.
///
/// ```
/// use acs_common::Monotonic;
/// use core::time::Duration;
///
/// let start = Monotonic::from_millis(1_500);
/// assert_eq!(start.saturating_add(Duration::from_secs(2)).as_millis(), 3_500);
/// assert_eq!(Monotonic::from_millis(3_500).saturating_since(start), Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic {
    /// One more than the milliseconds, so that an `Option` of it takes no more room. A machine has many of these.
    next: NonZeroU64,
}

impl Monotonic {
    /// `millis` milliseconds after the host's origin, at most the last moment.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self { next: NonZeroU64::MIN.saturating_add(millis) }
    }

    /// `elapsed` after the host's origin, as [`Instant::elapsed`](std::time::Instant::elapsed) returns it, rounded down to the
    /// millisecond.
    ///
    /// ```
    /// use acs_common::Monotonic;
    /// use core::time::Duration;
    ///
    /// assert_eq!(Monotonic::from_elapsed(Duration::from_micros(1_999)), Monotonic::from_millis(1));
    /// ```
    #[must_use]
    pub const fn from_elapsed(elapsed: Duration) -> Self {
        let whole = elapsed.as_secs().saturating_mul(1_000);
        Self::from_millis(whole.saturating_add(elapsed.subsec_millis() as u64))
    }

    /// Milliseconds since the host's origin.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.next.get() - 1
    }

    /// This moment plus `duration`, rounded up to the millisecond, at most the last moment.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        self.saturating_add_millis(millis(duration))
    }

    pub(crate) const fn saturating_add_millis(self, millis: u64) -> Self {
        Self { next: self.next.saturating_add(millis) }
    }

    /// The time from `earlier` to this moment; zero if this moment is not later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.millis_since(earlier))
    }

    /// Milliseconds from `earlier` to this; 0 if this is not after it.
    pub(crate) const fn millis_since(self, earlier: Self) -> u64 {
        self.next.get().saturating_sub(earlier.next.get())
    }
}

impl Default for Monotonic {
    /// The host's origin.
    fn default() -> Self {
        Self::from_millis(0)
    }
}

impl fmt::Debug for Monotonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Monotonic").field(&self.as_millis()).finish()
    }
}

/// A moment on the wall clock: milliseconds since 1970-01-01T00:00:00Z, without leap seconds (a JWT's `NumericDate`,
/// [RFC 7519, section 2](https://www.rfc-editor.org/rfc/rfc7519#section-2), to the millisecond).
///
/// `Display` writes it in UTC, in the form of [RFC 3339, section
/// 5.6](https://www.rfc-editor.org/rfc/rfc3339#section-5.6). A year before 0 or after 9999 has a sign. With the feature
/// `serde` it is a number of milliseconds.
///
/// ```
/// use acs_common::UnixTime;
///
/// let expiry = UnixTime::from_secs(1_700_000_000);
/// assert_eq!((expiry.as_secs(), expiry.as_millis()), (1_700_000_000, 1_700_000_000_000));
/// assert_eq!(expiry.to_string(), "2023-11-14T22:13:20Z");
/// assert_eq!(UnixTime::from_secs(i64::MAX), UnixTime::from_millis(i64::MAX), "it saturates");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(i64);

impl UnixTime {
    /// `secs` seconds after the epoch; before it if negative. Saturates.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// `millis` milliseconds after the epoch; before it if negative.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch; negative before it.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down; negative before it.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    pub(crate) const fn saturating_add_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add_unsigned(millis))
    }

    /// Milliseconds from `earlier` to this; 0 if this is not after it.
    pub(crate) const fn millis_since(self, earlier: Self) -> u64 {
        if self.0 > earlier.0 { self.0.abs_diff(earlier.0) } else { 0 }
    }
}

/// Saturates at [`i64::MIN`] and [`i64::MAX`] milliseconds. Fractions of a millisecond are cut.
#[cfg(feature = "std")]
impl From<std::time::SystemTime> for UnixTime {
    fn from(time: std::time::SystemTime) -> Self {
        let saturate = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => Self(saturate(after)),
            Err(before) => Self(saturate(before.duration()).saturating_neg()),
        }
    }
}

#[cfg(feature = "std")]
impl TryFrom<UnixTime> for std::time::SystemTime {
    type Error = SystemTimeError;

    fn try_from(time: UnixTime) -> Result<Self, SystemTimeError> {
        let distance = Duration::from_millis(time.0.unsigned_abs());
        let epoch = std::time::UNIX_EPOCH;
        let moment = if time.0 < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
        moment.ok_or(SystemTimeError { time })
    }
}

/// A moment that is outside the range of the platform's [`SystemTime`](std::time::SystemTime).
///
/// ```
/// use acs_common::{SystemTimeError, UnixTime};
/// use std::time::SystemTime;
///
/// fn at(time: UnixTime) -> Result<SystemTime, SystemTimeError> {
///     SystemTime::try_from(time)
/// }
/// assert!(at(UnixTime::from_secs(1_700_000_000)).is_ok());
/// ```
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{time} is outside the range of this platform's SystemTime: keep it as a UnixTime")]
#[non_exhaustive]
pub struct SystemTimeError {
    /// The moment.
    pub time: UnixTime,
}

/// As `Display`.
impl fmt::Debug for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, of_day) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1_000 % 60);
        match year {
            0..=9_999 => write!(f, "{year:04}")?,
            _ => write!(f, "{year:+05}")?,
        }
        write!(f, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match of_day % 1_000 {
            0 => f.write_str("Z"),
            millis => write!(f, ".{millis:03}Z"),
        }
    }
}

#[cfg(feature = "serde")]
impl serde_core::Serialize for UnixTime {
    fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde_core::Deserialize<'de> for UnixTime {
    fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self)
    }
}

/// Both of the host's clocks, read at the same moment (contract, rule 2.13).
///
/// ```
/// use acs_common::{Monotonic, Now, UnixTime};
///
/// let now = Now::new(Monotonic::from_millis(250), UnixTime::from_secs(1_700_000_000));
/// assert_eq!(now.monotonic.as_millis(), 250);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the contract has two clocks")]
pub struct Now {
    /// The monotonic clock, for waits.
    pub monotonic: Monotonic,
    /// The wall clock, for the expiry of tokens.
    pub unix: UnixTime,
}

impl Now {
    /// Both readings.
    #[must_use]
    pub const fn new(monotonic: Monotonic, unix: UnixTime) -> Self {
        Self { monotonic, unix }
    }

    /// The moment `millis` from now, on both clocks.
    pub(crate) const fn plus(self, millis: u64) -> Until {
        Until { monotonic: self.monotonic.saturating_add_millis(millis), unix: self.unix.saturating_add_millis(millis) }
    }
}

/// A moment on both clocks: the end of a wait, or a token's expiry. It has come as soon as either clock says so (contract,
/// rule 2.13).
///
/// ```
/// use acs_common::{Action, Event, Machine, Monotonic, Now, Policy, UnixTime};
/// use core::time::Duration;
///
/// let at = |ms: u64| Now::new(Monotonic::from_millis(ms), UnixTime::from_millis(1_700_000_000_000 + ms as i64));
/// let mut machine = Machine::new(None, Policy::default(), at(0))?;
/// machine.handle(Event::TokenRequested { waiter: 1 }, at(0));
/// let Some(Action::CallRefresher { give_up: Some(give_up), .. }) = machine.poll_action() else { panic!() };
///
/// // The default `refresh_timeout` is a minute.
/// assert_eq!(give_up.time_left(at(20_000)), Duration::from_secs(40));
/// # Ok::<(), acs_common::TokenError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until {
    monotonic: Monotonic,
    unix: UnixTime,
}

impl Until {
    /// The time left, by the clock that says less; zero once the moment has come.
    #[must_use]
    pub fn time_left(self, now: Now) -> Duration {
        Duration::from_millis(self.left(now))
    }

    /// Milliseconds left, by the clock that says less; 0 once it has come.
    pub(crate) fn left(self, now: Now) -> u64 {
        self.monotonic.millis_since(now.monotonic).min(self.unix.millis_since(now.unix))
    }

    pub(crate) fn has_come(self, now: Now) -> bool {
        self.left(now) == 0
    }

    /// Whether the monotonic clock says so. Only the wall clock can be set.
    pub(crate) fn has_come_by_monotonic(self, now: Now) -> bool {
        self.monotonic <= now.monotonic
    }

    /// The end of two waits that must both be over, laid on both clocks now. Their ends by one clock may be far apart, if that
    /// clock was set in between.
    pub(crate) fn later(self, other: Self, now: Now) -> Self {
        now.plus(self.left(now).max(other.left(now)))
    }

    /// `other`, or sooner, when the monotonic clock says that this has come.
    pub(crate) fn or_by_monotonic(self, other: Self) -> Self {
        Self { monotonic: self.monotonic.min(other.monotonic), unix: other.unix }
    }

    /// The end of two waits of which the shorter one counts.
    pub(crate) fn earlier(self, other: Self) -> Self {
        Self { monotonic: self.monotonic.min(other.monotonic), unix: self.unix.min(other.unix) }
    }

    pub(crate) const fn plus(self, millis: u64) -> Self {
        Now { monotonic: self.monotonic, unix: self.unix }.plus(millis)
    }
}

/// Whole milliseconds, rounded down: for a token's lifetime.
pub(crate) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whole milliseconds, rounded up, so that only zero becomes zero.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
