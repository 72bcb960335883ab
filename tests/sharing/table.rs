//! Walks `src/sharing/transitions.md`: each row against a real machine, and each state and event has a row.

use std::time::Duration;

use acs_common::sharing::{Found, SharingEvent, StoreAnswer};
use acs_common::{Machine, NewToken, Policy, RefresherError};

use crate::support::rig::now;
use crate::support::table::{Row, rows};
use crate::walk::{Walk, kept, marked, usable};

const DOCUMENT: &str = include_str!("../../src/sharing/transitions.md");

const STATES: [&str; 9] =
    ["idle", "marking", "reading", "taking", "waiting", "polling", "holding", "extending", "alone"];
const EVENTS: [&str; 11] = [
    "Started",
    "Cancelled",
    "TokenReceived",
    "RefreshFailed",
    "StoreAnswered",
    "StoreFailed",
    "WatchStarted",
    "Hinted",
    "TokenRejected",
    "SignedOut",
    "TimeAdvanced",
];

impl Walk {
    /// A machine in this state, by the shortest way.
    fn to(state: &str, conditions: &[&str]) -> Self {
        let mut walk = Self::new(Policy::builder().min_refresh_interval(Duration::ZERO).build().unwrap());
        // A token from the store, which can be rejected.
        walk.run(Some("v1.a"));
        walk.answer(StoreAnswer::Read(usable(90, 1)));
        if conditions.contains(&"an unmarked rejection") {
            walk.reject();
        }
        if conditions.contains(&"the store backs off") {
            walk.run(Some("v1.a"));
            walk.fail();
            walk.tell(SharingEvent::TokenReceived { request: walk.request, token: kept() });
        }
        let held = || StoreAnswer::Held { left: Duration::from_secs(5), found: Found::Nothing };
        let granted = || StoreAnswer::Granted { fence: 100, found: Found::Nothing };
        match state {
            "idle" => {}
            "marking" => {
                walk.reject();
                walk.run(Some("v1.a"));
            }
            "alone" => drop(walk.run(None)),
            _ => {
                walk.run(Some("v1.a"));
                if state != "reading" {
                    walk.answer(StoreAnswer::Read(Found::Nothing));
                }
                match state {
                    "waiting" => drop(walk.answer(held())),
                    "polling" => {
                        walk.answer(held());
                        walk.later(50);
                        if conditions.contains(&"`lease_wait` is over") {
                            walk.answer(held());
                            walk.later(29_900);
                        }
                        if conditions.contains(&"hinted") {
                            walk.tell(SharingEvent::Hinted);
                        }
                    }
                    "holding" => drop(walk.answer(granted())),
                    "extending" => {
                        walk.answer(granted());
                        walk.later(1_667);
                    }
                    _ => {}
                }
            }
        }
        assert_eq!(walk.sharing.stage(), state);
        walk
    }

    fn play(&mut self, row: &Row<'_>) -> Vec<&'static str> {
        let says = |condition: &str| row.conditions.contains(&condition);
        let request = self.request;
        match row.event {
            "Started" => self.run(if says("no entry") { None } else { Some("v1.a") }),
            "Cancelled" => self.tell(SharingEvent::Cancelled { request }),
            "TokenReceived" => {
                let expired = NewToken::new("expired").with_expires_in(Duration::ZERO);
                let is_kept = says("kept") || row.state != "holding";
                self.tell(SharingEvent::TokenReceived { request, token: if is_kept { kept() } else { expired } })
            }
            "RefreshFailed" => self.tell(SharingEvent::RefreshFailed { request, error: RefresherError::new("down") }),
            "StoreAnswered" => {
                let found = if says("usable") { usable(95, 2) } else { marked() };
                let left = Duration::from_secs(5);
                let answer = match row.state {
                    _ if says("granted") => StoreAnswer::Granted { fence: 100, found },
                    _ if says("held") => StoreAnswer::Held { left, found },
                    _ if says("marked") => StoreAnswer::Marked,
                    "reading" if says("nothing") => StoreAnswer::Read(Found::Nothing),
                    "reading" if says("unreadable") => StoreAnswer::Read(Found::Unreadable),
                    "reading" => StoreAnswer::Read(found),
                    // The answer to another operation.
                    _ => StoreAnswer::Finished,
                };
                self.answer(answer)
            }
            "StoreFailed" => self.fail(),
            "WatchStarted" => self.tell(SharingEvent::WatchStarted),
            "Hinted" => self.tell(SharingEvent::Hinted),
            "TokenRejected" => self.reject(),
            "SignedOut" => {
                let static_token = Machine::<()>::with_static_token(NewToken::new("x"), Policy::default(), now(0));
                let token = match &self.held {
                    Some(held) if says("of the entry") => held.clone(),
                    _ => static_token.unwrap().token(now(0)).unwrap().clone(),
                };
                self.tell(SharingEvent::SignedOut { token })
            }
            "TimeAdvanced" => self.later(if says("used up") {
                250
            } else if says("a poll is due") {
                50
            } else if says("a third of the lease is over") {
                1_667
            } else if says("`lease_wait` is over") {
                30_000 - self.at
            } else {
                1
            }),
            other => panic!("no such event: {other}"),
        }
    }
}

/// Fails when an arm of `handle`, `answered` or `settle` leads elsewhere, or the table says so.
#[test]
fn every_row_of_the_table_is_what_a_run_does() {
    let rows = rows(DOCUMENT);
    for row in &rows {
        let mut walk = Walk::to(row.state, &row.conditions);
        let mut actions = walk.play(row);
        if row.actions == ["return"] {
            actions = actions.iter().map(|action| action.split(' ').next().unwrap()).collect();
        }
        assert_eq!(actions, row.actions, "{}", row.text);
        assert_eq!(walk.sharing.stage(), row.next, "{}", row.text);
    }
    assert!(rows.len() > 100, "{} rows", rows.len());
}

/// Fails when a state or an event has no row.
#[test]
fn every_state_and_event_has_a_row() {
    let rows = rows(DOCUMENT);
    for state in STATES {
        for event in EVENTS {
            // `Started` ends the run as `Cancelled` does, and `SignedOut` does not touch it.
            let is_left_out = state != "idle" && matches!(event, "Started" | "SignedOut");
            assert!(is_left_out || rows.iter().any(|row| row.state == state && row.event == event), "{state}, {event}");
        }
    }
    for row in rows {
        assert!(
            STATES.contains(&row.state) && STATES.contains(&row.next) && EVENTS.contains(&row.event),
            "{}",
            row.text
        );
    }
}

/// Fails when a finish is sent before the take in flight has its answer or its time, or is not sent then.
#[test]
fn a_release_waits_for_the_take_in_flight() {
    for state in ["taking", "polling", "extending"] {
        for is_answered in [true, false] {
            let mut walk = Walk::to(state, &[]);
            let request = walk.request;
            let actions = walk.tell(SharingEvent::Cancelled { request });
            assert!(!actions.iter().any(|action| action.starts_with("finish")), "{state}: {actions:?}");
            assert!(!walk.sharing.is_idle());
            let actions = if is_answered {
                walk.answer(StoreAnswer::Granted { fence: 101, found: Found::Nothing })
            } else {
                walk.later(250)
            };
            assert!(actions.contains(&"finish none"), "{state}: {actions:?}");
            walk.answer(StoreAnswer::Finished);
            assert!(walk.sharing.is_idle(), "{state}");
        }
    }
}
