//! Names, keys and sealed records (contract, rules 13 and 14).

use std::time::Duration;

use acs_common::{Secret, UnixTime};
use acs_common_store::{
    EntryName, Fence, KeyError, NamingKey, Nonce, OpenError, Owner, Record, Sealed, SealingKeys, StoreErrorKind,
    random_owner,
};

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.canary.signature";

const SEALED_V1: &str = "0100000001050505050505050505050505050505050505050505050505904d55e7d0879ccf90ee39ff40af9075f481fa97aaab0100a361460a5f5acef1be27d4cfaa1c7fad5cf1d20c24b860caaad068742ceb003b8cacdbca6c9c95ca2237ae654fdcabcf36a08b";

fn key(number: u8) -> [u8; 32] {
    core::array::from_fn(|at| number ^ at as u8)
}

fn keys(number: u8) -> SealingKeys {
    SealingKeys::from_bytes(u32::from(number), &key(number)).unwrap()
}

fn name() -> EntryName {
    NamingKey::from_bytes(&key(9)).unwrap().name("agent")
}

fn fence(number: u64) -> Fence {
    Fence::new(number).unwrap()
}

fn record() -> Record {
    Record::new(Secret::new(TOKEN.to_owned()), Duration::from_millis(3_600_001))
        .with_expires_on(UnixTime::from_millis(1_764_259_200_123))
        .with_life_known(true)
}

fn sealed() -> Sealed {
    keys(1).seal(&name(), fence(7), &record(), Nonce::from_bytes([5; 24])).unwrap()
}

/// Fails when a field is lost or changed by sealing.
#[test]
fn what_is_sealed_opens_as_it_was() {
    let opened = keys(1).open(&name(), fence(7), &sealed()).unwrap();
    assert_eq!(opened.token.expose(), TOKEN);
    assert_eq!(opened.expires_on, Some(UnixTime::from_millis(1_764_259_200_123)));
    assert_eq!(opened.life, Duration::from_millis(3_600_001));
    assert!(opened.life_known);

    let opaque = Record::new(Secret::new("x".to_owned()), Duration::ZERO);
    let sealed = keys(1).seal(&name(), fence(0), &opaque, Nonce::from_bytes([6; 24])).unwrap();
    let opened = keys(1).open(&name(), fence(0), &sealed).unwrap();
    assert_eq!((opened.expires_on, opened.life, opened.life_known), (None, Duration::ZERO, true));
}

/// Fails when the format changes: processes of one version write what those of another read. The expected bytes were calculated with
/// Python's `hmac` and libsodium (`crypto_aead_xchacha20poly1305_ietf_encrypt`).
#[test]
fn the_format_is_that_of_version_1() {
    let hex: String = sealed().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, SEALED_V1);
    assert_eq!(name().as_str(), "v1.gXaZH-rmuavwwcM8GL4rNAyGaRAVf6P_RhHZxwG-V34");
    let entra = NamingKey::from_bytes(&key(9)).unwrap().entra_name("agent", "https://a", &["s"], "t", "o");
    assert_eq!(entra.as_str(), "v1.peLltCf0TTLlgft_A2Co9VP9EaC_-StlcHp4lahZSDY");
}

/// Fails when the name or the fence is missing from the associated data: then a record opens where it was copied to.
#[test]
fn a_record_opens_under_its_name_and_fence_only() {
    let other = NamingKey::from_bytes(&key(9)).unwrap().name("another");
    assert_eq!(keys(1).open(&other, fence(7), &sealed()).unwrap_err(), OpenError::Forged);
    assert_eq!(keys(1).open(&name(), fence(8), &sealed()).unwrap_err(), OpenError::Forged);
    assert_eq!(keys(1).open(&name(), fence(6), &sealed()).unwrap_err(), OpenError::Forged);
}

/// Fails when a byte of a record is not authenticated, or when a short record panics.
#[test]
fn no_changed_record_opens() {
    let good = sealed();
    for length in 0..good.as_bytes().len() {
        let cut = Sealed::from_bytes(good.as_bytes()[..length].to_vec());
        let error = keys(1).open(&name(), fence(7), &cut).unwrap_err();
        assert!(matches!(error, OpenError::CutOff | OpenError::Forged), "{length}: {error}");
    }
    for at in 0..good.as_bytes().len() {
        let mut changed = good.as_bytes().to_vec();
        changed[at] ^= 1;
        let error = keys(1).open(&name(), fence(7), &Sealed::from_bytes(changed)).unwrap_err();
        let expected = match at {
            0 => OpenError::Version { found: 0 },
            1..5 => OpenError::UnknownKey { number: 1 ^ 1 << (8 * (4 - at)) },
            _ => OpenError::Forged,
        };
        assert_eq!(error, expected, "byte {at}");
    }
    let longer = Sealed::from_bytes([good.as_bytes(), b"x"].concat());
    assert_eq!(keys(1).open(&name(), fence(7), &longer).unwrap_err(), OpenError::Forged);
}

/// Fails when another key than the stated one is tried, or when the first key does not seal.
#[test]
fn keys_are_changed_in_two_steps() {
    let (old, new) = (key(1), key(2));
    let before = SealingKeys::from_bytes(1, &old).unwrap();
    let step_1 = SealingKeys::from_bytes(1, &old).unwrap().and_bytes(2, &new).unwrap();
    let step_2 = SealingKeys::from_bytes(2, &new).unwrap().and_bytes(1, &old).unwrap();
    let after = SealingKeys::from_bytes(2, &new).unwrap();
    let seal = |keys: &SealingKeys| keys.seal(&name(), fence(7), &record(), Nonce::random().unwrap()).unwrap();
    for (writer, readers) in [(&before, [&before, &step_1, &step_2]), (&step_1, [&before, &step_1, &step_2])] {
        for reader in readers {
            reader.open(&name(), fence(7), &seal(writer)).unwrap();
        }
    }
    for reader in [&step_1, &step_2, &after] {
        reader.open(&name(), fence(7), &seal(&step_2)).unwrap();
    }
    let error = before.open(&name(), fence(7), &seal(&step_2)).unwrap_err();
    assert_eq!(error, OpenError::UnknownKey { number: 2 });
    // A process with another key under the same number.
    let wrong = SealingKeys::from_bytes(1, &new).unwrap();
    assert_eq!(wrong.open(&name(), fence(7), &seal(&before)).unwrap_err(), OpenError::Forged);
    assert_eq!(step_1.and_bytes(1, &new).unwrap_err(), KeyError::Number { number: 1 });
}

/// Fails when the length is looked at after opening, or when the longest token that the core accepts does not fit.
#[test]
fn the_longest_token_fits_and_no_longer_record_is_opened() {
    let token = "a".repeat(1 << 20);
    let longest = Record::new(Secret::new(token), Duration::from_secs(1));
    let sealed = keys(1).seal(&name(), fence(7), &longest, Nonce::random().unwrap()).unwrap();
    assert!(sealed.as_bytes().len() <= Sealed::MAX_LEN);
    assert_eq!(keys(1).open(&name(), fence(7), &sealed).unwrap().token.expose().len(), 1 << 20);

    let too_long = Record::new(Secret::new("a".repeat(Sealed::MAX_LEN)), Duration::from_secs(1));
    let error = keys(1).seal(&name(), fence(7), &too_long, Nonce::random().unwrap()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misused);
    let large = Sealed::from_bytes(vec![1; Sealed::MAX_LEN + 1]);
    assert_eq!(keys(1).open(&name(), fence(7), &large).unwrap_err(), OpenError::TooLarge);
}

/// Fails when two different lists of parts give one name, or when a name shows a part.
#[test]
fn names_differ_and_say_nothing() {
    let key = NamingKey::from_bytes(&key(9)).unwrap();
    let of = |name: &str, endpoint: &str, scopes: &[&str], tid: &str, oid: &str| {
        key.entra_name(name, endpoint, scopes, tid, oid)
    };
    let names = [
        key.name("a"),
        key.name("ab"),
        key.name(""),
        of("a", "b", &[], "c", "d"),
        of("ab", "", &[], "c", "d"),
        of("a", "b", &["c"], "d", "e"),
        of("a", "b", &["c", "d"], "e", "f"),
        of("a", "b", &["cd"], "e", "f"),
        of("a", "b", &["c", "d"], "f", "e"),
        of("a", "c", &["b", "d"], "e", "f"),
    ];
    for (at, name) in names.iter().enumerate() {
        assert!(!names[..at].contains(name), "{at}");
    }
    assert_eq!(of("a", "b", &["d", "c"], "e", "f"), of("a", "b", &["c", "d"], "e", "f"));
    let other = NamingKey::from_bytes(&core::array::from_fn::<u8, 32, _>(|at| at as u8)).unwrap();
    assert_ne!(key.name("a"), other.name("a"));
    let shown = key.name("8:acs:contoso_agent").to_string();
    assert!(shown.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)), "{shown}");
    assert!(!shown.contains("agent"));
}

/// Fails when a key, a token or the bytes of a nonce show.
#[test]
fn no_secret_shows() {
    let keys = SealingKeys::from_bytes(1, b"canary-canary-canary-canary-cana").unwrap();
    let naming = NamingKey::from_bytes(b"canary-canary-canary-canary-cana").unwrap();
    let sealed = Sealed::from_bytes(b"canary".to_vec());
    let nonce = Nonce::from_bytes(*b"canary-canary-canary-can");
    let shown = format!("{keys:?} {naming:?} {:?} {sealed:?} {nonce:?}", record());
    assert!(!shown.contains("canary"), "{shown}");
    for wrong in ["canary-is-not-base64!", "Y2FuYXJ5", "Y2FuYXJ5=="] {
        let errors = [SealingKeys::from_base64(1, wrong).unwrap_err(), NamingKey::from_base64(wrong).unwrap_err()];
        let shown = format!("{errors:?} {}", errors[0]);
        assert!(!shown.to_lowercase().contains("canary") && !shown.contains("Y2Fu"), "{shown}");
    }
    assert_eq!(NamingKey::from_bytes(&[0; 32]).unwrap_err(), KeyError::Weak);
    assert_eq!(SealingKeys::from_bytes(1, &[]).unwrap_err(), KeyError::Length { found: 0 });
}

/// Fails when two owners or two nonces are the same.
#[test]
fn owners_and_nonces_are_random() {
    let owners: std::collections::HashSet<Owner> = (0..1_000).map(|_| random_owner().unwrap()).collect();
    assert_eq!(owners.len(), 1_000);
    let seal = || keys(1).seal(&name(), fence(7), &record(), Nonce::random().unwrap()).unwrap();
    assert_ne!(seal(), seal());
}
