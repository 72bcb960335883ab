//! The example `keep_fresh`, run as a process.

const EXAMPLE: &str = "keep_fresh";

#[path = "../../keep_fresh/suite.rs"]
mod suite;

/// Fails when `fail_refresh` drops the lease, or when the backoff ignores `Retry-After`.
#[test]
fn all_five_outages_pass_and_every_promise_is_kept() {
    suite::whole_script();
}
