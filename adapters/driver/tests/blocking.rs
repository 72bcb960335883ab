//! Blocking calls for a token, with a driver on another thread.

use std::time::Duration;

use acs_common_driver::Builder;
use acs_common_smol::Smol;

/// Fails when a driver that waits for its refresher, or that a refresher blocks, counts as a driver that is not polled.
#[test]
fn a_slow_refresher_is_waited_for() {
    let refresher = || {
        std::thread::sleep(Duration::from_millis(1_300));
        async {
            smol::Timer::after(Duration::from_millis(2_100)).await;
            Ok::<_, std::io::Error>("eyJhbGci")
        }
    };
    let (credential, driver) = Builder::new(Smol::default(), refresher).build().unwrap();
    std::thread::spawn(|| futures_lite::future::block_on(driver));
    assert_eq!(credential.get_token_blocking().unwrap().secret().expose(), "eyJhbGci");
    assert_eq!(credential.get_token_blocking_for(Duration::ZERO).unwrap().secret().expose(), "eyJhbGci", "it is held");
}
