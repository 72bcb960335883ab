//! What a JWT costs in memory: the token itself, and nothing for reading it; and until when.

mod support;

use acs_common::{Machine, NewToken, Policy};
use allocation_counter::{AllocationInfo, measure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use support::rig::{START, jwt, now};

/// How often memory is allocated for accepting it.
fn allocations(token: impl Into<NewToken>) -> u64 {
    accepting(token).count_total
}

/// What is allocated for accepting it, handed in as it came over the wire.
fn accepting(token: impl Into<NewToken>) -> AllocationInfo {
    let (token, policy) = (token.into(), Policy::default());
    let mut machine = None;
    let counted = measure(|| machine = Some(Machine::<u32>::new(Some(token), policy, now(0))));
    assert!(machine.is_some_and(|machine| machine.is_ok_and(|machine| machine.token(now(0)).is_some())));
    counted
}

/// Bites when `payload` decodes into a `Vec`, `ORDINARY` is less than a date has characters, or `Within` has no word of its
/// own.
#[test]
fn reading_a_jwt_allocates_nothing() {
    let stated = allocations(NewToken::new("x").with_expires_in(std::time::Duration::from_secs(60)));
    assert_eq!(stated, 1, "the token itself");
    let exp = START + 3_600;
    for claims in [
        format!("\"exp\":{exp},\"iat\":{START}"),
        format!("\"exp\":{exp}.25,\"iat\":{START}e0"),
        format!("\"exp\":\"{exp}\""),
        format!("\"\\u0065xp\":{exp},\"name\":\"\\\"\\ud834\\udd1e\""),
        format!("\"roles\":[\"a\",{{\"b\":[[1],null]}}],\"exp\":{exp}"),
        format!("\"deep\":{}{},\"exp\":{exp}", "[".repeat(63), "]".repeat(63)),
        "\"no\":\"date\"".to_owned(),
        format!("\"exp\":{exp},not JSON"),
    ] {
        // Whatever stands at the end of a piece.
        for space in (0..400).chain([10_000, 700_000]) {
            let payload = format!("{{\"?\":\"{}\",{claims}}}", "?".repeat(space));
            assert_eq!(allocations(jwt(&payload)), stated, "{claims} after {space}");
            let other_alphabet = format!("h.{}.s", STANDARD.encode(&payload));
            assert_eq!(allocations(other_alphabet), stated, "{claims} after {space}, in the other alphabet");
        }
    }
}

/// Bites when a header holds the token that it was built for.
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

/// Bites when `long_number` is called for what is in one piece, or takes for each number all that may come.
#[test]
fn numbers_however_long_and_many_take_no_more_memory_than_the_token() {
    let exp = START + 3_600;
    assert_eq!(allocations(jwt(format!("{{\"n\":{},\"exp\":{exp}}}", "1".repeat(300)))), 1, "in one piece");
    for digits in [65, 384, 1_000, 700_000] {
        let list = vec!["1".repeat(digits); 700_000 / digits].join(",");
        let payload = format!("{{\"n\":[{list}],\"exp\":{exp}}}");
        let counted = accepting(jwt(&payload));
        assert!(counted.bytes_total <= 6 * payload.len() as u64, "{digits} digits: {counted:?}");
        assert!(counted.bytes_max <= 6 * digits as u64 + 1_000, "{digits} digits: {counted:?}");
    }
}
