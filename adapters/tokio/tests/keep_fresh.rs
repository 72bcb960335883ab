//! The example `keep_fresh`, run as a process.

const EXAMPLE: &str = "keep_fresh";

#[path = "../../keep_fresh/suite.rs"]
mod suite;

/// Bites when `fail_refresh` drops the lease, and when `rest` leaves out what `Retry-After` asked for.
#[test]
fn all_five_outages_pass_and_every_promise_is_kept() {
    suite::whole_script();
}
