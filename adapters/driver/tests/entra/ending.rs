//! The end in the midst of a request: nobody waits, and the connection is closed.

use super::fake_acs::{Answer, FakeAcs};
use super::{Stage, rt, stage};

use acs_common_driver::Error;
use futures_lite::future;

/// A request is under way, and will not be answered.
async fn waiting() -> Stage {
    let stage = stage(FakeAcs::start().unwrap());
    stage.acs.then(Answer::never());
    // Asked for, and given up: the exchange goes on.
    let unanswered = async { drop(stage.credential.get_token().await) };
    let asked = async { drop(stage.acs.request().await) };
    future::or(asked, unanswered).await;
    stage
}

/// Bites when a driver that ends keeps its call, and when an HTTP client finishes requests in the background.
#[test]
fn disposing_hangs_up_in_the_midst_of_a_request() {
    rt::run(async {
        let stage = waiting().await;
        stage.credential.dispose();
        stage.acs.closed().await;
        assert!(matches!(stage.credential.get_token().await, Err(Error::Disposed)));
        assert_eq!(stage.acs.asked(), 1);
    });
}

/// Bites when the driver keeps itself alive.
#[test]
fn dropping_the_last_handle_hangs_up_in_the_midst_of_a_request() {
    rt::run(async {
        let Stage { acs, credential, .. } = waiting().await;
        let another = credential.clone();
        drop(credential);
        drop(another);
        acs.closed().await;
    });
}

/// Bites when the connections outlive the credential.
#[test]
fn the_end_closes_connections_that_are_idle_too() {
    rt::run(async {
        let stage = stage(FakeAcs::start().unwrap());
        assert_eq!(stage.token().await, "acs-token-1");
        let Stage { acs, credential, .. } = stage;
        drop(credential);
        acs.closed().await;
    });
}

/// Bites when a waiter's end is the exchange's.
#[test]
fn whoever_stops_waiting_stops_nothing_else() {
    rt::run(async {
        let stage = stage(FakeAcs::start().unwrap());
        stage.acs.then(Answer::token("for the patient").after(std::time::Duration::from_millis(50)));
        let impatient = async { drop(stage.credential.get_token().await) };
        let asked = async { drop(stage.acs.request().await) };
        future::or(asked, impatient).await;
        assert_eq!(stage.token().await, "for the patient");
        assert_eq!(stage.acs.asked(), 1);
    });
}
