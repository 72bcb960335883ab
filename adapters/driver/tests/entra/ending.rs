//! The end during a request: no caller waits, and the connection is closed.

use super::fake_acs::{Answer, FakeAcs};
use super::{Stage, rt, stage};

use acs_common_driver::Error;
use futures_lite::future;

/// A request is in flight, and gets no response.
async fn waiting() -> Stage {
    let stage = stage(FakeAcs::start().unwrap());
    stage.acs.then(Answer::never());
    // The caller asks and cancels; the exchange continues.
    let unanswered = async { drop(stage.credential.get_token().await) };
    let asked = async { drop(stage.acs.request().await) };
    future::or(asked, unanswered).await;
    stage
}

/// Fails when a driver that ends keeps its call, or when an HTTP client finishes requests in the background.
#[test]
fn disposing_closes_the_connection_during_a_request() {
    rt::run(async {
        let stage = waiting().await;
        stage.credential.dispose();
        stage.acs.closed().await;
        assert!(matches!(stage.credential.get_token().await, Err(Error::Disposed)));
        assert_eq!(stage.acs.asked(), 1);
    });
}

/// Fails when the driver keeps itself alive.
#[test]
fn dropping_the_last_handle_closes_the_connection_during_a_request() {
    rt::run(async {
        let Stage { acs, credential, .. } = waiting().await;
        let another = credential.clone();
        drop(credential);
        drop(another);
        acs.closed().await;
    });
}

/// Fails when a connection is kept for the next exchange: it comes an hour later, and may find the connection dead.
#[test]
fn no_connection_stays_open_after_its_answer() {
    rt::run(async {
        let stage = stage(FakeAcs::start().unwrap());
        assert_eq!(stage.token().await, "acs-token-1");
        stage.acs.closed().await;
    });
}

/// Fails when a cancelled request ends the exchange.
#[test]
fn a_cancelled_request_does_not_stop_the_exchange() {
    rt::run(async {
        let stage = stage(FakeAcs::start().unwrap());
        stage.acs.then(Answer::token("for-the-second-caller").after(std::time::Duration::from_millis(50)));
        let impatient = async { drop(stage.credential.get_token().await) };
        let asked = async { drop(stage.acs.request().await) };
        future::or(asked, impatient).await;
        assert_eq!(stage.token().await, "for-the-second-caller");
        assert_eq!(stage.acs.asked(), 1);
    });
}
