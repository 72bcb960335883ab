//! Readers: handles for one task or thread.

use acs_common_driver::{Error, Policy};

use super::{Calls, HOUR, good, lasting, millis, rt};

/// Fails when a reader without a token does not ask the machine.
#[test]
fn a_reader_starts_the_refresh_it_needs_and_lends_what_it_brings() {
    rt::run(async {
        let calls = Calls::default();
        let credential = rt::Credential::with_refresher(good(&calls, millis(20))).spawn().unwrap();
        let mut reader = credential.reader();
        assert!(reader.token().unwrap().is_none(), "there is no token yet");
        assert_eq!(reader.get_token().await.unwrap().secret().expose(), "r1");
        assert_eq!(reader.token().unwrap().unwrap().secret().expose(), "r1");
        assert_eq!(calls.started(), 1);
    });
}

/// Fails when `publish` does not count the version.
#[test]
fn no_reader_lends_a_token_that_was_rejected_or_disposed_of() {
    rt::run(async {
        let calls = Calls::default();
        let credential = rt::Credential::with_refresher(good(&calls, millis(1))).spawn().unwrap();
        let (mut reader, mut other) = (credential.reader(), credential.reader());
        let refused = reader.get_token().await.unwrap().clone();
        assert!(other.token().unwrap().is_some());
        credential.reject(&refused);
        assert!(other.token().unwrap().is_none(), "the one it lent is dropped");
        assert_eq!(reader.get_token().await.unwrap().secret().expose(), "r2");
        credential.dispose();
        assert!(matches!(reader.token(), Err(Error::Disposed)));
        assert!(matches!(other.get_token().await, Err(Error::Disposed)));
    });
}

/// Fails when it rejects nothing, the token of another reader, or a released token.
#[test]
fn a_reader_rejects_the_token_it_lent_last() {
    rt::run(async {
        let calls = Calls::default();
        let credential = rt::Credential::with_refresher(good(&calls, millis(1))).spawn().unwrap();
        let (mut reader, mut other) = (credential.reader(), credential.reader());
        let token = reader.get_token().await.unwrap();
        assert_eq!(token.secret().expose(), "r1");
        other.get_token().await.unwrap();
        reader.reject();
        assert_eq!(reader.get_token().await.unwrap().secret().expose(), "r2");
        // The credential holds another token than the one lent.
        other.reject();
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "r2");
        reader.release();
        reader.reject();
        assert_eq!(credential.get_token().await.unwrap().secret().expose(), "r2");
    });
}

/// The lifetime is longer than the longest delay of a tick, so that ticks are used. Fails when a reader keeps a result for
/// longer than its tick.
#[test]
fn a_reader_lends_no_expired_token() {
    rt::run(async {
        let calls = Calls::default();
        let credential =
            rt::Credential::with_refresher(good(&calls, HOUR)).initial_token(lasting("initial", millis(1_200)));
        let mut reader = credential.policy(Policy::reference()).spawn().unwrap().reader();
        assert_eq!(reader.token().unwrap().unwrap().secret().expose(), "initial");
        rt::sleep(millis(1_250)).await;
        assert!(reader.token().unwrap().is_none());
    });
}

/// Fails when a reader holds no handle of its credential.
#[test]
fn a_credential_exists_as_long_as_its_readers() {
    rt::run(async {
        let calls = Calls::default();
        let mut reader = rt::Credential::with_refresher(good(&calls, millis(1))).spawn().unwrap().reader();
        assert_eq!(reader.get_token().await.unwrap().secret().expose(), "r1");
        drop(reader);
        rt::sleep(millis(20)).await;
        assert_eq!(calls.alive(), 0);
    });
}

/// Fails when its `Debug` is derived, or shows nothing.
#[test]
fn a_reader_shows_its_name_and_nothing_of_what_it_lends() {
    let mut reader = rt::Credential::with_static_token("canary").unwrap().reader();
    assert!(reader.token().unwrap().is_some());
    assert_eq!(format!("{reader:?}"), "Reader { .. }");
}

#[test]
fn a_reader_is_send_and_sync_and_so_are_its_futures() {
    fn check<T: Send + Sync>(_: &T) {}
    let mut reader = rt::Credential::with_static_token("static").unwrap().reader();
    check(&reader);
    check(&reader.get_token());
}
