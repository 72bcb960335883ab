//! The example `paused_time`, as a test. Your own test may look like it.

#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../examples/paused_time.rs"]
mod example;

/// Fails when the credential sleeps by another clock than tokio's, gives up after a failure, or loses a valid token to one.
#[tokio::test(start_paused = true)]
async fn an_outage_of_three_minutes_costs_no_poll() {
    let started = std::time::Instant::now();
    let outcome = example::fifty_minutes().await.unwrap();
    println!("{outcome:?} in {:?}", started.elapsed());
    assert_eq!((outcome.read, outcome.failed), (50, 0));
    assert!(outcome.refused >= 3, "the outage is noticed: {outcome:?}");
    assert!((4..=6).contains(&outcome.tokens), "one in ten minutes: {outcome:?}");
    // A run is the same each time.
    assert_eq!(example::fifty_minutes().await.unwrap(), outcome);
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
}
