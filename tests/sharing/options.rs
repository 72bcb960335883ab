//! The options of a shared store (contract, section 9).

use std::time::Duration;

use acs_common::sharing::{SharingOptions, SharingOptionsError};

/// Fails when `build` leaves out a limit, or is off by one.
#[test]
fn what_makes_no_sense_is_refused() {
    let millis = Duration::from_millis;
    let check = |lease, timeout| SharingOptions::builder().lease(millis(lease)).store_timeout(millis(timeout)).build();
    assert!(SharingOptions::builder().build().is_ok());
    for (lease, timeout) in [(2_000, 250), (60_000, 7_500), (8, 1)] {
        assert!(check(lease, timeout).is_ok(), "{lease}, {timeout}");
    }
    assert_eq!(check(5_000, 0), Err(SharingOptionsError::ZeroStoreTimeout));
    assert_eq!(check(60_001, 250), Err(SharingOptionsError::LeaseTooLong { lease: millis(60_001) }));
    let too_short = SharingOptionsError::LeaseTooShort { lease: millis(1_999), store_timeout: millis(250) };
    assert_eq!(check(1_999, 250), Err(too_short));
    assert!(check(60_000, 7_501).is_err() && check(0, 1).is_err());
    assert!(SharingOptions::builder().store_timeout(Duration::MAX).build().is_err());
}
