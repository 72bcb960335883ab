//! Where a moment is on the picture, and durations in words.

use alloc::format;
use alloc::string::{String, ToString as _};

/// Lengths in tenths of a pixel, so that no picture depends on how a computer rounds fractions.
pub(crate) type Tenths = i64;

/// A pixel.
pub(crate) const PX: Tenths = 10;

/// From `from` to `until`, on the pixels from `left` to `right`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) left: Tenths,
    pub(crate) right: Tenths,
    from: u64,
    until: u64,
}

impl Axis {
    pub(crate) fn new(left: Tenths, right: Tenths, (from, until): (u64, u64)) -> Self {
        let from = from.min(u64::MAX - 1);
        Self { left, right, from, until: until.max(from + 1) }
    }

    pub(crate) fn x(self, at: u64) -> Tenths {
        let passed = at.clamp(self.from, self.until) - self.from;
        let length = i128::from(self.right - self.left) * i128::from(passed) / i128::from(self.until - self.from);
        self.left + length as Tenths
    }

    /// How long this many tenths of a pixel are, in milliseconds.
    pub(crate) fn millis(self, length: Tenths) -> u64 {
        let millis = u128::from(self.until - self.from) * u128::from(length.unsigned_abs());
        u64::try_from(millis / u128::from((self.right - self.left).unsigned_abs().max(1))).unwrap_or(u64::MAX)
    }

    /// The distance of the grid lines: a duration that people use, and at least this many tenths of a pixel.
    pub(crate) fn grid(self, least: Tenths) -> u64 {
        let least = self.millis(least).max(1);
        STEPS.into_iter().find(|step| *step >= least).unwrap_or_else(|| {
            let mut days = DAY;
            loop {
                let steps = [1, 2, 5].map(|times| days.saturating_mul(times));
                match steps.into_iter().find(|step| *step >= least) {
                    Some(step) => break step,
                    None => days = days.saturating_mul(10),
                }
            }
        })
    }

    pub(crate) fn ticks(self, grid: u64) -> impl Iterator<Item = u64> {
        (self.from.div_ceil(grid)..=self.until / grid).map(move |number| number * grid)
    }
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const STEPS: [u64; 29] = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    5 * DAY,
];

/// A duration, given in milliseconds, in at most two units; the rest is cut off.
///
/// ```
/// use acs_common_drawing::words;
///
/// assert_eq!([250, 1_500, 90_000, 5_400_000].map(words), ["250 ms", "1.5 s", "1 min 30 s", "1 h 30 min"]);
/// ```
#[must_use]
pub fn words(millis: u64) -> String {
    let two = |large: u64, name: &str, small: u64, other: &str| match millis % large / small {
        0 => format!("{} {name}", millis / large),
        rest => format!("{} {name} {rest} {other}", millis / large),
    };
    match millis {
        0 => "0".to_string(),
        1..SECOND => format!("{millis} ms"),
        SECOND..MINUTE => {
            let digits = if millis < 10 * SECOND { 2 } else { 1 };
            let text = format!("{}.{:02}", millis / SECOND, millis % SECOND / 10);
            let text = text.get(..text.len() - (2 - digits)).unwrap_or_default();
            format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
        }
        MINUTE..HOUR => two(MINUTE, "min", SECOND, "s"),
        HOUR..DAY => two(HOUR, "h", MINUTE, "min"),
        DAY.. => two(DAY, "d", HOUR, "h"),
    }
}
