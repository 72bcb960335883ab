//! Single rules of contract section 9, each where it is on the edge.

use std::time::Duration;

use acs_common::sharing::{Found, Record, SharingEvent, StoreAnswer};
use acs_common::{NewToken, Policy, RefresherError, UnixTime};

use crate::support::rig::{HOUR, MINUTE, SECOND, START};
use crate::support::tokens::jwt;
use crate::walk::{Walk, kept, record, usable};

fn quick() -> Policy {
    Policy::builder().min_refresh_interval(Duration::ZERO).build().unwrap()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A record of an hour that was written `age` ago. Its moment is `ahead` seconds from the start.
fn hour(ahead: Option<i64>, known: bool, age: u64) -> Found {
    let moment = ahead.map(|ahead| UnixTime::from_secs(START + ahead));
    Found::Record { record: record("other", moment, secs(3_600), known), fence: 90, age: secs(age), marked: false }
}

/// Fails when the age is left out, when a life that is known by another's wall clock only counts, or when a token is returned at
/// its end (rule 9.8).
#[test]
fn what_is_left_goes_by_the_moment_and_by_a_known_life() {
    for (found, left) in [
        (hour(Some(3_600), true, 0), Some(3_600)),
        (hour(Some(3_600), true, 600), Some(3_000)),
        // By this device's clock less is left: the smaller counts.
        (hour(Some(1_200), true, 600), Some(1_200)),
        // The writer's clock was a day ahead, or this one is behind.
        (hour(Some(90_000), true, 600), Some(3_000)),
        (hour(Some(90_000), false, 600), Some(90_000)),
        (hour(Some(60), false, 4_000), Some(60)),
        (hour(None, true, 3_599), Some(1)),
        (hour(None, true, 3_600), None),
        (hour(None, true, 9_999), None),
        (hour(Some(0), false, 0), None),
        (hour(Some(-1), true, 0), None),
    ] {
        let mut walk = Walk::new(quick());
        walk.run(Some("v1.a"));
        let shown = format!("{found:?}");
        let actions = walk.answer(StoreAnswer::Read(found));
        let Some(left) = left else {
            assert_eq!(actions, ["take"], "{shown}");
            continue;
        };
        assert_eq!(actions, ["return token"], "{shown}");
        walk.at = left * SECOND - 1;
        assert!(walk.machine.token(walk.now()).is_some(), "{shown}");
        walk.at += 1;
        assert!(walk.machine.token(walk.now()).is_none(), "{shown}");
        assert!(walk.held.unwrap().is_from_store());
    }
}

/// Fails when the time that an answer took is not counted: the age is of the moment at which the store looked.
#[test]
fn an_answer_that_comes_late_is_older() {
    let mut walk = Walk::new(quick());
    walk.run(Some("v1.a"));
    walk.at += 2 * SECOND;
    walk.answer(StoreAnswer::Read(hour(None, true, 3_590)));
    walk.at += 8 * SECOND;
    assert!(walk.machine.token(walk.now()).is_none());
}

/// Fails when a token that is no better than the held one is taken: the same fence, less left, or due (rule 9.7). And when the
/// due moment goes by what is left: then no token that was just read is due.
#[test]
fn a_valid_token_is_replaced_by_a_better_one_only() {
    let found = |fence, left: u64, life| {
        let record = record("other", Some(UnixTime::from_millis(START * 1_000 + left as i64)), secs(life), false);
        Found::Record { record, fence, age: Duration::ZERO, marked: false }
    };
    // The window is two minutes. The held token has ten minutes left, or none is held.
    for (held, fence, left, life, is_taken) in [
        (true, 95, 11 * MINUTE, 3_600, true),
        (true, 90, 11 * MINUTE, 3_600, false),
        (true, 95, 10 * MINUTE, 3_600, false),
        (true, 95, 10 * MINUTE + 1, 3_600, true),
        (false, 95, MINUTE, 3_600, true),
        (false, 95, 1, 3_600, true),
        (false, 90, 11 * MINUTE, 3_600, true),
    ] {
        let mut walk = Walk::new(quick());
        if held {
            walk.run(Some("v1.a"));
            let record = record("held", None, secs(600), true);
            walk.answer(StoreAnswer::Read(Found::Record { record, fence: 90, age: Duration::ZERO, marked: false }));
        }
        walk.run(Some("v1.a"));
        let actions = walk.answer(StoreAnswer::Read(found(fence, left, life)));
        assert_eq!(actions == ["return token"], is_taken, "{held} {fence} {left}: {actions:?}");
    }
    // The held token has a second left. Due is what has the window or less left, or half of its life.
    for (left, life, is_taken) in
        [(2 * MINUTE + 1, 3_600, true), (2 * MINUTE, 3_600, false), (MINUTE, 120, false), (MINUTE + 1, 120, true)]
    {
        let mut walk = Walk::new(quick());
        walk.run(Some("v1.a"));
        let record = record("held", None, secs(1), true);
        walk.answer(StoreAnswer::Read(Found::Record { record, fence: 90, age: Duration::ZERO, marked: false }));
        walk.run(Some("v1.a"));
        let actions = walk.answer(StoreAnswer::Read(found(95, left, life)));
        assert_eq!(actions == ["return token"], is_taken, "{left} of {life}: {actions:?}");
    }
}

fn holding(policy: Policy) -> Walk {
    let mut walk = Walk::new(policy);
    walk.run(Some("v1.a"));
    walk.answer(StoreAnswer::Read(Found::Nothing));
    walk.answer(StoreAnswer::Granted { fence: 100, found: Found::Nothing });
    assert_eq!(walk.sharing.stage(), "holding");
    walk
}

/// Fails when a record says more of a token's life than is known, or says by a wall clock what is known without one (rule 9.8).
#[test]
fn a_record_says_what_is_known_of_the_life() {
    let at = |secs: i64| UnixTime::from_secs(START + secs);
    let token = |text: &str| NewToken::new(text);
    let claims = |iat: i64, exp: i64| jwt(&format!(r#"{{"iat":{},"exp":{}}}"#, START + iat, START + exp));
    for (given, expires_on, life, known) in [
        (token("opaque").with_expires_in(secs(900)), None, 900, true),
        (token("opaque").with_expires_on(at(900)), Some(at(900)), 900, false),
        // The issuer's clock says that less is left: its `Date` is up to two seconds old.
        (token("opaque").with_expires_on(at(900)).with_server_time(at(100)), Some(at(900)), 798, true),
        (token(&claims(0, 900)), Some(at(900)), 900, true),
        // By this device's clock less is left, but the life of the token does not depend on it.
        (token(&claims(-300, 600)), Some(at(600)), 900, true),
        (token(&jwt(&format!(r#"{{"exp":{}}}"#, START + 900))), Some(at(900)), 900, false),
        (token("opaque"), None, 600, true),
    ] {
        let mut walk = holding(quick());
        let request = walk.request;
        assert_eq!(walk.tell(SharingEvent::TokenReceived { request, token: given }), ["return token", "finish record"]);
        let record = walk.written.as_ref().unwrap();
        let written = (record.expires_on, record.life, record.life_known);
        assert_eq!(written, (expires_on, secs(life), known));
        // The same token, as another process reads it.
        let mut other = Walk::new(quick());
        other.run(Some("v1.a"));
        let record = Record::decode(&record.encode()).unwrap();
        other.answer(StoreAnswer::Read(Found::Record { record, fence: 100, age: Duration::ZERO, marked: false }));
        let (mine, other) = (walk.held.unwrap(), other.held.unwrap());
        assert_eq!((other.secret().expose(), other.is_opaque()), (mine.secret().expose(), mine.is_opaque()));
        assert!(other.is_from_store() && !mine.is_from_store());
    }
}

/// Fails when a finish is not repeated, is repeated with the old life, or is repeated after a lease (rule 9.6).
#[test]
fn a_finish_is_repeated_until_it_is_answered() {
    let mut walk = holding(quick());
    let request = walk.request;
    walk.tell(SharingEvent::TokenReceived { request, token: kept() });
    let written = |walk: &mut Walk| walk.written.take().map(|record| record.life);
    assert_eq!(written(&mut walk), Some(secs(3_600)));
    assert_eq!(walk.later(250), ["drop", "failed"]);
    assert_eq!(walk.later(SECOND), ["finish record"]);
    assert_eq!(written(&mut walk), Some(Duration::from_millis(3_598_750)));
    assert_eq!(walk.fail(), [""; 0]);
    assert_eq!(walk.later(2 * SECOND), ["finish record"]);
    walk.fail();
    walk.later(2 * SECOND);
    assert!(walk.sharing.is_idle(), "a lease is over");
    assert_eq!(walk.later(MINUTE), [""; 0]);
}

/// Fails when each operation gets all the time, when a poll's time counts, or when the run waits for longer (rule 9.11).
#[test]
fn a_run_waits_for_the_store_so_long_in_all() {
    let mut walk = Walk::new(quick());
    let left = |walk: &Walk| walk.give_up.unwrap().time_left(walk.now()).as_millis();
    let held = || StoreAnswer::Held { left: secs(60), found: Found::Nothing };
    walk.run(Some("v1.a"));
    assert_eq!(left(&walk), 250);
    walk.at += 100;
    walk.answer(StoreAnswer::Read(Found::Nothing));
    assert_eq!(left(&walk), 150);
    walk.at += 100;
    walk.answer(held());
    for _ in 0..5 {
        assert_eq!(walk.tell(SharingEvent::Hinted), ["take"]);
        assert_eq!(left(&walk), 50);
        walk.at += 40;
        walk.answer(held());
    }
    walk.tell(SharingEvent::Hinted);
    assert_eq!(walk.later(49), [""; 0]);
    assert_eq!(walk.later(1), ["drop", "call", "finish none", "stop watching", "failed"]);
}

/// Fails when polls come in another rhythm, or not when the lease ends (rule 9.10).
#[test]
fn polls_come_less_and_less_often_and_when_the_lease_ends() {
    for (watched, bounds) in [
        (false, [(38, 50), (75, 100), (150, 200), (300, 400), (600, 800), (750, 1_000), (750, 1_000)]),
        (true, [(38, 50), (750, 1_000), (750, 1_000), (750, 1_000), (750, 1_000), (750, 1_000), (750, 1_000)]),
    ] {
        let mut walk = Walk::new(quick());
        let held = |left| StoreAnswer::Held { left: Duration::from_millis(left), found: Found::Nothing };
        walk.run(Some("v1.a"));
        walk.answer(StoreAnswer::Read(Found::Nothing));
        walk.answer(held(60_000));
        if watched {
            walk.tell(SharingEvent::WatchStarted);
        }
        let wait = |walk: &mut Walk| {
            let wait = walk.sharing.deadline().unwrap().as_millis() - walk.at;
            assert_eq!(walk.later(wait), ["take"]);
            wait
        };
        for (least, most) in bounds {
            let waited = wait(&mut walk);
            assert!((least..=most).contains(&waited), "{waited} is not in {least}..={most}");
            walk.answer(held(60_000));
        }
        wait(&mut walk);
        walk.answer(held(300));
        assert!((300..=400).contains(&wait(&mut walk)), "the lease ends");
    }
}

/// Fails when the store is asked in its backoff, when the backoff does not grow, or when a notice comes twice (rule 9.11).
#[test]
fn a_store_that_failed_is_left_alone_for_longer_and_longer() {
    let mut walk = Walk::new(quick());
    for (number, most) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
        assert_eq!(walk.run(Some("v1.a")), ["read"]);
        let expected: &[&str] = if number == 0 { &["call", "failed"] } else { &["call"] };
        assert_eq!(walk.fail(), expected);
        let mut number = 2 * number;
        let mut refreshed = |walk: &mut Walk| {
            number += 1;
            let token = NewToken::new(format!("alone-{number}")).with_expires_in(secs(3_600));
            let request = walk.request;
            assert_eq!(walk.tell(SharingEvent::TokenReceived { request, token }), ["return token"]);
        };
        refreshed(&mut walk);
        let most = most * SECOND;
        walk.at += most * 3 / 4 - 1;
        assert_eq!(walk.run(Some("v1.a")), ["call"], "a backoff of {most} ms");
        refreshed(&mut walk);
        walk.at += most / 4 + 1;
    }
    assert_eq!(walk.run(Some("v1.a")), ["read"]);
    assert_eq!(walk.answer(StoreAnswer::Read(usable(95, 9))), ["return token", "back"]);
    assert_eq!(walk.run(Some("v1.a")), ["read"]);
}

/// Fails when a token that was rejected here is taken again, when a mark without an answer is forgotten, or when the fence under
/// which the same text comes is not looked at (rule 9.12).
#[test]
fn a_rejected_token_is_marked_and_never_taken_again() {
    let mut walk = Walk::new(quick());
    walk.run(Some("v1.a"));
    walk.answer(StoreAnswer::Read(usable(90, 1)));
    walk.reject();
    assert_eq!(walk.run(Some("v1.a")), ["mark"]);
    assert_eq!(walk.fail(), ["call", "failed"]);
    let request = walk.request;
    walk.tell(SharingEvent::TokenReceived { request, token: NewToken::new("alone").with_expires_in(secs(60)) });
    walk.at += MINUTE;
    assert_eq!(walk.run(Some("v1.a")), ["mark"]);
    assert_eq!(walk.answer(StoreAnswer::Marked), ["read"]);
    // The store has lost the mark.
    assert_eq!(walk.answer(StoreAnswer::Read(usable(90, 1))), ["take"]);
    assert_eq!(walk.answer(StoreAnswer::Granted { fence: 100, found: usable(90, 1) }), ["call", "back"]);
    let request = walk.request;
    walk.tell(SharingEvent::RefreshFailed { request, error: RefresherError::new("down") });
    walk.answer(StoreAnswer::Finished);
    walk.at += MINUTE;
    // The same text under another fence.
    let Found::Record { record, .. } = usable(90, 1) else { panic!() };
    walk.run(Some("v1.a"));
    let found = Found::Record { record, fence: 101, age: Duration::ZERO, marked: false };
    assert_eq!(walk.answer(StoreAnswer::Read(found)), ["return token"]);
    assert_eq!(walk.held.unwrap().secret().expose(), "other-90");
}

/// Fails when a rejection during a run is forgotten, or when the run still compares with the token that was dropped.
#[test]
fn a_rejection_during_a_run_counts() {
    let mut walk = Walk::new(quick());
    walk.run(Some("v1.a"));
    walk.answer(StoreAnswer::Read(usable(90, 2)));
    walk.run(Some("v1.a"));
    walk.reject();
    // It has less left than the dropped one.
    assert_eq!(walk.answer(StoreAnswer::Read(usable(90, 2))), ["take"]);
    assert_eq!(walk.answer(StoreAnswer::Granted { fence: 96, found: usable(95, 1) }), ["return token", "finish none"]);
    assert_eq!(walk.run(Some("v1.a")), ["mark"]);
}

/// Fails when more than the last eight rejections are remembered, or fewer.
#[test]
fn the_last_eight_rejections_are_remembered() {
    let mut walk = Walk::new(quick());
    for fence in 1..=9 {
        walk.run(Some("v1.a"));
        if fence > 1 {
            walk.answer(StoreAnswer::Marked);
        }
        walk.answer(StoreAnswer::Read(usable(fence, 1)));
        // It is not rejected in its probation, in which it would stay.
        walk.at += 6 * MINUTE;
        walk.reject();
    }
    walk.run(Some("v1.a"));
    walk.answer(StoreAnswer::Marked);
    for fence in (2..=9).rev() {
        let taken = walk.answer(StoreAnswer::Read(usable(fence, 1)));
        assert_eq!(taken, ["take"], "{fence}");
        let request = walk.request;
        walk.tell(SharingEvent::Cancelled { request });
        walk.restart(Some("v1.a"));
    }
    assert_eq!(walk.answer(StoreAnswer::Read(usable(1, 1))), ["return token"]);
}

/// Fails when a fence of one entry is taken for one of another: the user has changed.
#[test]
fn another_entry_has_other_fences() {
    let mut walk = Walk::new(quick());
    walk.run(Some("v1.a"));
    walk.answer(StoreAnswer::Read(usable(90, 1)));
    let of_a = walk.held.clone().unwrap();
    walk.reject();
    assert_eq!(walk.run(Some("v1.b")), ["mark"], "the old entry's");
    assert_eq!(walk.answer(StoreAnswer::Marked), ["read"]);
    assert_eq!(walk.answer(StoreAnswer::Read(usable(90, 1))), ["return token"]);
    // A late report of the old user's token.
    let standing = walk.machine.standing();
    walk.tell(SharingEvent::TokenRejected { token: of_a, standing });
    assert_eq!(walk.run(Some("v1.b")), ["read"]);
}

/// Fails when the lease is extended too late, or after the run (rule 9.9).
#[test]
fn a_lease_is_extended_as_long_as_the_refresher_works() {
    let mut walk = holding(quick());
    for _ in 0..5 {
        assert_eq!(walk.sharing.deadline().unwrap().as_millis() - walk.at, 1_666);
        assert_eq!(walk.later(1_666), ["take"]);
        walk.answer(StoreAnswer::Held { left: secs(9), found: usable(200, 9) });
    }
    let request = walk.request;
    walk.tell(SharingEvent::TokenReceived { request, token: kept() });
    walk.answer(StoreAnswer::Finished);
    assert_eq!(walk.sharing.deadline(), None);
}

/// Fails when `Debug` of a machine, an action or an event shows a token.
#[test]
fn no_token_shows() {
    let mut walk = Walk::new(quick());
    walk.run(Some("v1.a"));
    let canary = || record("Canary", None, secs(60), true);
    let found = || Found::Record { record: canary(), fence: 90, age: Duration::ZERO, marked: false };
    walk.answer(StoreAnswer::Read(found()));
    walk.reject();
    walk.run(Some("v1.a"));
    walk.answer(StoreAnswer::Marked);
    walk.answer(StoreAnswer::Read(found()));
    let call = walk.call.unwrap();
    let answer = StoreAnswer::Granted { fence: 100, found: found() };
    let mut shown = format!("{answer:?}");
    walk.tell(SharingEvent::StoreAnswered { call, answer });
    let request = walk.request;
    let token = NewToken::new("Canary").with_expires_in(secs(60));
    let event = SharingEvent::TokenReceived { request, token };
    shown.push_str(&format!("{event:?}"));
    walk.sharing.handle(event, walk.now());
    shown.push_str(&format!("{:?}", walk.sharing));
    while let Some(action) = walk.sharing.poll_action() {
        shown.push_str(&format!("{action:?}"));
    }
    shown.push_str(&format!("{:?}{HOUR}", walk.sharing));
    assert!(shown.contains("Secret(…)") && !shown.contains("Canary"), "{shown}");
}
