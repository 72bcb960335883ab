//! The laws of contract section 8, over random runs. `tests/support/call_world.rs` checks them.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::call_world::{Op, Setup, World, http_date, ops, response};
use acs_common::UnixTime;
use acs_common::call::CallResponse;

/// A run whose host drains often, so that most events are awaited.
fn runs() -> impl Strategy<Value = Vec<u8>> {
    let drained = any::<(u8, u8)>().prop_map(|(kind, value)| vec![kind, value, 9, 0]);
    let bare = any::<(u8, u8)>().prop_map(|(kind, value)| vec![kind, value]);
    let steps = prop::collection::vec(prop_oneof![4 => drained, 1 => bare], 0..12);
    (any::<u8>(), steps).prop_map(|(setup, steps)| [vec![setup, 9, 0], steps.concat()].concat())
}

/// Fails when `handle` sends again what is not replayable, when `received` keeps a refused token to itself, when `told` is not
/// looked at, when a cancelled call goes on, or when the first response is lost although no other token came.
#[test]
fn every_run_obeys_every_law() {
    let (mut twice, mut runs_played) = (0, 0);
    let config = Config { cases: 4_000, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&runs(), |bytes| {
        let (setup, ops) = ops(&bytes);
        World::play(setup, &ops).map(|_| ()).map_err(TestCaseError::fail)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    // The runs reach what the laws are about.
    for seed in 0..=u8::MAX {
        for challenge in 0..8 {
            let first = Op::Response { status: 401, challenge, elsewhere: false, ahead: Some(i64::from(seed) * 4) };
            let steps = [Op::Drain, Op::Token(0), Op::Drain, first, Op::Drain, Op::Token(2), Op::Drain];
            for key in [false, true] {
                let world = World::play(Setup { key, held: false, replayable: true }, &steps).unwrap();
                twice += usize::from(world.sends() == 2);
                runs_played += 1;
            }
        }
    }
    assert!(twice > runs_played / 4, "{twice} of {runs_played}");
}

/// Fails when the limit is not four minutes, or when it is for one direction only.
#[test]
fn a_signature_is_corrected_from_four_minutes_on() {
    for (ahead, sends) in [(0, 1), (240, 1), (241, 2), (-240, 1), (-241, 2), (86_400, 2)] {
        let first = Op::Response { status: 401, challenge: 0, elsewhere: false, ahead: Some(ahead) };
        let setup = Setup { key: true, held: false, replayable: true };
        let world = World::play(setup, &[Op::Drain, first, Op::Drain]).unwrap();
        assert_eq!(world.sends(), sends, "the service is {ahead} s ahead");
    }
}

/// Fails when `CallResponse` forgets where it came from, or takes any status for a refusal.
#[test]
fn only_a_401_of_the_own_origin_is_a_refusal() {
    let of = |status, elsewhere| response(Op::Response { status, challenge: 1, elsewhere, ahead: None });
    assert!(of(401, false).refuses_the_token());
    for status in (100..600).filter(|status| *status != 401) {
        assert!(!of(status, false).refuses_the_token(), "{status}");
    }
    assert!(!of(401, true).refuses_the_token());
}

/// Fails when a field of the date is read from the wrong place, or a day that does not exist is read as another.
#[test]
fn dates_are_read_in_the_form_of_http() {
    let read = |text: &str| CallResponse::new(200).with_date(text.as_bytes()).date();
    for (text, seconds) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        (" Tue, 29 Feb 2000 23:59:60 GMT ", 951_868_800),
        ("Mon, 01 Jan 0001 00:00:00 GMT", -62_135_596_800),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ("Wed, 01 Mar 2023 00:00:00 GMT", 1_677_628_800),
    ] {
        assert_eq!(read(text), Some(UnixTime::from_secs(seconds)), "{text}");
    }
    for text in [
        "",
        "784111777",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT x",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Thu, 29 Feb 2001 08:49:37 GMT",
        "Fri, 31 Nov 1994 08:49:37 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    for seconds in (1_648_771_200..1_651_363_200).step_by(4_321) {
        assert_eq!(read(&http_date(seconds)), Some(UnixTime::from_secs(seconds)));
    }
}
