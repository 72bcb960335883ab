//! The memory that a JWT needs: the token itself, and the decoded parts while it is read. And how long it is kept.

mod support;

use acs_common::{Machine, NewToken, Policy};
use allocation_counter::{AllocationInfo, measure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use support::rig::{START, jwt, now};

/// What accepting it allocates, when it is passed as it came over the wire.
fn accepting(token: impl Into<NewToken>) -> AllocationInfo {
    let (token, policy) = (token.into(), Policy::default());
    let mut machine = None;
    let counted = measure(|| machine = Some(Machine::<u32>::new(Some(token), policy, now(0))));
    assert!(machine.is_some_and(|machine| machine.is_ok_and(|machine| machine.token(now(0)).is_some())));
    counted
}

/// Fails when `decode` lets its buffer grow, or copies text of the usual alphabet; when decoded text is kept; or when
/// `accept` reads again what `decoded` has read.
#[test]
fn reading_a_jwt_takes_one_buffer_for_what_is_decoded() {
    let stated = accepting(NewToken::new("x").with_expires_in(std::time::Duration::from_secs(60)));
    assert_eq!(stated.count_total, 1, "the token itself");
    let exp = START + 3_600;
    for space in [0, 1, 2, 3, 1_000, 700_000] {
        let payload = format!("{{\"exp\":{exp},\"iat\":{START}.5,\"roles\":[\"?{}\"]}}", "?".repeat(space));
        let counted = accepting(jwt(&payload));
        assert_eq!((counted.count_total, counted.bytes_current), (2, stated.bytes_current), "after {space}");
        let decoded = NewToken::new(jwt(&payload)).decoded();
        assert_eq!(accepting(decoded).count_total, 1, "it was read before, after {space}");
        let room = payload.len() as u64 + 3;
        assert!(counted.bytes_total - stated.bytes_total <= room, "after {space}: {counted:?}");
        let other_alphabet = accepting(format!("h.{}", STANDARD.encode(&payload)));
        assert_eq!(
            (other_alphabet.count_total, other_alphabet.bytes_current),
            (3, stated.bytes_current),
            "after {space}"
        );
    }
}

/// Fails when the content or depth of a claim changes the memory use: unused names and values must need no memory.
#[test]
fn no_claim_takes_more_memory_than_the_token() {
    let exp = START + 3_600;
    for claims in [
        format!("\"n\":[{}],\"exp\":{exp}", vec!["1".repeat(1_000); 700].join(",")),
        format!("\"exp\":{exp},\"exp\":{}", "1".repeat(700_000)),
        format!("\"exp\":\"{}\"", "1".repeat(700_000)),
        format!("\"exp\":{exp},\"deep\":{}{}", "[".repeat(350_000), "]".repeat(350_000)),
        format!("\"exp\":{exp},\"\\n{}\":0", "x".repeat(700_000)),
        format!("\"exp\":{exp},not JSON"),
    ] {
        let payload = format!("{{{claims}}}");
        let counted = accepting(jwt(&payload));
        assert!(counted.bytes_max <= 6 * payload.len() as u64 + 1_000, "{counted:?} for {payload:.60}");
    }
    let latin_1 = [b"{\"exp\":1700003600,\"a\":\"".as_slice(), &vec![0xfc; 700_000], b"\"}"].concat();
    let counted = accepting(jwt(&latin_1));
    assert!(counted.bytes_max <= 6 * latin_1.len() as u64, "{counted:?}");
}

/// Fails when a header keeps its token in memory.
#[test]
fn a_header_on_its_way_keeps_no_more_in_memory_than_its_own_text() {
    const LONG: i64 = 100_000;
    let text = NewToken::new("x".repeat(LONG as usize));
    let machine = Machine::<u32>::with_static_token(text, Policy::default(), now(0)).unwrap();
    let token = machine.token(now(0)).unwrap().clone();
    let header = token.authorization().unwrap().clone();
    let freed = measure(move || drop((machine, token)));
    assert!(freed.bytes_current <= -LONG, "the secret's {LONG} bytes: {freed:?}");
    assert_eq!(header.len(), "Bearer ".len() + LONG as usize);
}
