//! Rules 13 and 15: what a store can and cannot do to those who use it.

use std::time::Duration;

use acs_common::{Secret, UnixTime};
use acs_common_store::{Loss, NewRecord, Nonce, OpenError, Record, Sealed, SealingKeys};

use super::{Host, LEASE, Rubbish, granted, held, keys, name, owner, record, text, wall_clock};

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.canary-token.signature";
const USER: &str = "8:acs:canary-resource_canary-user";

fn sealed_with(keys: &SealingKeys, entry: &str, fence: acs_common_store::Fence) -> Sealed {
    let record = Record::new(Secret::new(TOKEN.to_owned()), Duration::from_secs(3_600))
        .with_expires_on(UnixTime::from_secs(1_764_259_200));
    keys.seal(&name(entry), fence, &record, Nonce::random().unwrap()).unwrap()
}

/// Fails when a store changes a byte of what it keeps.
pub async fn another_process_opens_what_was_sealed(host: &(impl Host + Sync)) {
    let (store, other, entry) = (host.store(), host.store(), name(USER));
    let (fence, _) = granted(store.take(&entry, owner(1), LEASE).await);
    let sealed = sealed_with(&keys(), USER, fence);
    store.finish(&entry, owner(1), fence, Some(NewRecord::new(sealed, LEASE))).await.unwrap();
    let record = other.read(&entry).await.unwrap().record.unwrap();
    let opened = keys().open(&entry, record.fence, &record.sealed).unwrap();
    assert_eq!(opened.token.expose(), TOKEN);
    assert_eq!(opened.expires_on, Some(UnixTime::from_secs(1_764_259_200)));
}

/// Fails when a record opens that was sealed for another entry or fence, with another key, or that was changed.
pub async fn no_hostile_record_opens(host: &(impl Host + Sync)) {
    let (store, entry) = (host.store(), name("a"));
    let (first, _) = granted(store.take(&entry, owner(1), LEASE).await);
    store.finish(&entry, owner(1), first, None).await.unwrap();
    let good = |fence| sealed_with(&keys(), "a", fence);
    let cut = |fence, length: usize| Sealed::from_bytes(good(fence).as_bytes()[..length].to_vec());
    let other_key = SealingKeys::from_bytes(1, b"another key with the same number").unwrap();
    let unknown_key = SealingKeys::from_bytes(2, b"another key with the same number").unwrap();
    for round in 0..8 {
        let (fence, _) = granted(store.take(&entry, owner(1), LEASE).await);
        let (hostile, expected) = match round {
            0 => (good(first), OpenError::Forged),
            1 => (sealed_with(&keys(), "b", fence), OpenError::Forged),
            2 => (sealed_with(&other_key, "a", fence), OpenError::Forged),
            3 => (sealed_with(&unknown_key, "a", fence), OpenError::UnknownKey { number: 2 }),
            4 => (cut(fence, 60), OpenError::Forged),
            5 => (cut(fence, 10), OpenError::CutOff),
            6 => (cut(fence, 0), OpenError::CutOff),
            _ => {
                let mut later = good(fence).as_bytes().to_vec();
                later[0] = 2;
                (Sealed::from_bytes(later), OpenError::Version { found: 2 })
            }
        };
        store.finish(&entry, owner(1), fence, Some(NewRecord::new(hostile, LEASE))).await.unwrap();
        let record = store.read(&entry).await.unwrap().record.unwrap();
        assert_eq!(keys().open(&entry, record.fence, &record.sealed).unwrap_err(), expected, "round {round}");

        // The next good one replaces it.
        let (fence, _) = granted(store.take(&entry, owner(1), LEASE).await);
        store.finish(&entry, owner(1), fence, Some(NewRecord::new(good(fence), LEASE))).await.unwrap();
        let record = store.read(&entry).await.unwrap().record.unwrap();
        assert!(keys().open(&entry, record.fence, &record.sealed).is_ok(), "round {round}");
    }
}

/// Fails when rubbish in an entry's place is an error that lasts, is returned as a record, or is read although it is huge.
pub async fn rubbish_is_a_loss_and_is_replaced(host: &(impl Host + Sync)) {
    let (store, other, entry) = (host.store(), host.store(), name("a"));
    let kinds = [Rubbish::Huge, Rubbish::Noise, Rubbish::Empty, Rubbish::Half, Rubbish::Later, Rubbish::Numbers];
    for (rubbish, round) in kinds.into_iter().zip(0..) {
        let (before, _) = granted(store.take(&entry, owner(round), LEASE).await);
        store.finish(&entry, owner(round), before, record("before")).await.unwrap();
        if !host.plant(&entry, rubbish) {
            continue;
        }
        let found = store.read(&entry).await.unwrap();
        assert!(found.record.is_none() && found.loss.is_some(), "{rubbish:?}: {found:?}");
        // It is not read, so nobody knows what else is wrong with it.
        assert!(!matches!(rubbish, Rubbish::Huge) || found.loss == Some(Loss::TooLarge), "{found:?}");
        store.mark(&entry, before).await.unwrap();
        std::thread::sleep(Duration::from_millis(2));
        let (after, found) = granted(other.take(&entry, owner(100 + round), LEASE).await);
        assert!(after > before, "{rubbish:?}: {after} after {before}");
        assert!(after.get() <= wall_clock() + 1_000, "{rubbish:?}: a fence of rubbish counts");
        assert!(found.record.is_none(), "{rubbish:?}: {found:?}");
        held(store.take(&entry, owner(round), LEASE).await);
        other.finish(&entry, owner(100 + round), after, record("after")).await.unwrap();
        let found = store.read(&entry).await.unwrap();
        assert_eq!((text(&found), found.loss), (("after", after, false), None), "{rubbish:?}");
    }
}

/// Fails when what is stored names the user, or shows the token, plain or in a common encoding.
pub async fn a_store_shows_no_user_and_no_token(host: &(impl Host + Sync)) {
    let (store, entry) = (host.store(), name(USER));
    for round in 1..4 {
        let (fence, _) = granted(store.take(&entry, owner(round), LEASE).await);
        let sealed = sealed_with(&keys(), USER, fence);
        store.finish(&entry, owner(round), fence, Some(NewRecord::new(sealed, LEASE))).await.unwrap();
        store.mark(&entry, fence).await.unwrap();
    }
    granted(store.take(&entry, owner(9), LEASE).await);
    let dump = host.dump();
    let holds = |text: &[u8]| dump.windows(text.len()).any(|window| window == text);
    assert!(holds(entry.as_str().as_bytes()), "the dump shows what is stored: {}", String::from_utf8_lossy(&dump));
    for secret in [TOKEN, USER, "canary"] {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        for shown in [secret.to_owned(), secret.to_uppercase(), hex.to_uppercase(), hex] {
            assert!(!holds(shown.as_bytes()), "{shown} shows");
        }
        use base64::Engine as _;
        // Whatever stands before it, so without the characters at both ends that depend on that.
        for before in ["", "x", "xx"] {
            let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(format!("{before}{secret}"));
            let own = &encoded[if before.is_empty() { 0 } else { 4 }..encoded.len() - 4];
            assert!(own.len() < 4 || !holds(own.as_bytes()), "{own} shows");
        }
    }
}
