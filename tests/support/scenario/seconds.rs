//! Seconds, as scenario files write them.

use std::fmt::{self, Display};

/// Seconds, whole or fractional, kept as they were written.
#[derive(Clone, Copy, Debug)]
pub enum Seconds {
    Whole(i64),
    Fraction(f64),
}

impl Seconds {
    /// These seconds after `start`.
    pub fn after(self, start: i64) -> Self {
        match self {
            Self::Whole(secs) => Self::Whole(start.saturating_add(secs)),
            Self::Fraction(secs) => Self::Fraction(start as f64 + secs),
        }
    }

    pub fn as_millis(self) -> i64 {
        match self {
            Self::Whole(secs) => secs.saturating_mul(1_000),
            Self::Fraction(secs) => (secs * 1_000.0).round() as i64,
        }
    }
}

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(secs) => secs.fmt(f),
            Self::Fraction(secs) => secs.fmt(f),
        }
    }
}
