//! Records as bytes.

use std::time::Duration;

use acs_common::UnixTime;
use acs_common::sharing::{Record, RecordError};

use proptest::prelude::*;

use crate::walk::record;

fn records() -> impl Strategy<Value = Record> {
    let moment = prop::option::of(any::<i64>()).prop_map(|moment| moment.map(UnixTime::from_millis));
    ("[A-Za-z0-9._-]{0,60}|.{0,9}", moment, any::<u64>(), any::<bool>())
        .prop_map(|(token, moment, life, known)| record(&token, moment, Duration::from_millis(life), known))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Fails when a field is written or read at the wrong place, or when the length is not checked.
    #[test]
    fn what_is_written_is_read(record in records(), cut in any::<prop::sample::Index>(), more in 1..4_usize) {
        let bytes = record.encode();
        let read = Record::decode(&bytes).unwrap();
        prop_assert_eq!(read.token.expose(), record.token.expose());
        prop_assert_eq!((read.expires_on, read.life), (record.expires_on, record.life));
        prop_assert_eq!(read.life_known, record.life_known || record.expires_on.is_none());
        prop_assert!(Record::decode(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(Record::decode(&[&bytes[..], &vec![0; more]].concat()).is_err());
    }

    /// Fails when `decode` takes what `encode` does not write, or panics.
    #[test]
    fn any_bytes_are_the_record_that_they_spell_or_none(record in records(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = record.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        match Record::decode(&bytes) {
            Ok(read) => prop_assert_eq!(&*read.encode(), &bytes),
            Err(RecordError::Version { version }) => prop_assert_eq!(version, bytes[0]),
            Err(_) => {}
        }
    }
}

/// Fails when `encode` changes: other versions of this library read it.
#[test]
fn the_form_is_fixed() {
    let record = record("eyJ", Some(UnixTime::from_millis(-2)), Duration::from_millis(258), true);
    let bytes =
        [&[1, 3][..], &[254, 255, 255, 255, 255, 255, 255, 255], &[2, 1, 0, 0, 0, 0, 0, 0], &[3, 0, 0, 0], b"eyJ"];
    assert_eq!(*record.encode(), bytes.concat());
}

/// Fails when `Debug` shows the token.
#[test]
fn no_token_shows() {
    let record = record("Canary", None, Duration::ZERO, true);
    assert!(!format!("{record:?}").contains("Canary"));
}
