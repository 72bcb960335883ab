//! The system's wall clock, for adapters.

use acs_common::UnixTime;

/// The time of the system's wall clock. On WebAssembly in a browser this needs the feature `web`; without it, this call panics
/// there, like every clock of the standard library.
///
/// ```
/// use acs_common_driver::wall_clock;
///
/// assert!(wall_clock::now().as_millis() > 1_700_000_000_000, "it is later than 2023");
/// ```
#[must_use]
#[cfg(not(all(feature = "web", target_family = "wasm", target_os = "unknown")))]
pub fn now() -> UnixTime {
    std::time::SystemTime::now().into()
}

/// The time of the host's wall clock: `Date.now()`.
#[must_use]
#[cfg(all(feature = "web", target_family = "wasm", target_os = "unknown"))]
pub fn now() -> UnixTime {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and cuts to the millisecond")]
    let millis = js_sys::Date::now() as i64;
    UnixTime::from_millis(millis)
}
