//! Walks `src/call/transitions.md`: each row against a real call, and each state and event has a row.

use acs_common::call::{Authorization, Call, CallAction, CallEvent, Returned};
use acs_common::{Machine, NewToken, Policy, Token, UnixTime};

use crate::support::call_world::{Op, SIGNED, response};
use crate::support::rig::now;
use crate::support::table::{Row, rows};

const DOCUMENT: &str = include_str!("../../src/call/transitions.md");

const STATES: [&str; 7] =
    ["asking", "sending", "asking again", "sending again", "sending, signed", "sending again, signed", "ended"];
const EVENTS: [&str; 5] = ["TokenReceived", "TokenFailed", "ResponseReceived", "SendFailed", "Cancelled"];

fn token(text: &str) -> Token {
    Machine::<()>::with_static_token(NewToken::new(text), Policy::default(), now(0))
        .unwrap()
        .token(now(0))
        .unwrap()
        .clone()
}

const REFUSAL: Op = Op::Response { status: 401, challenge: 2, elsewhere: false, ahead: Some(0) };
const LATE: Op = Op::Response { status: 401, challenge: 0, elsewhere: false, ahead: Some(600) };

struct Walk {
    call: Call,
    refused: Token,
}

impl Walk {
    /// A call in this state.
    fn to(state: &str, replayable: bool) -> Self {
        let refused = token("refused");
        let signed = || Call::with_key(UnixTime::from_secs(SIGNED), replayable);
        let mut walk = Self { call: Call::with_token(replayable), refused: refused.clone() };
        let steps: &[&str] = match state {
            "asking" => &[],
            "sending" => &["token"],
            "asking again" => &["token", "refusal"],
            "sending again" => &["token", "refusal", "another"],
            "ended" => &["token", "good"],
            "sending, signed" => {
                walk.call = signed();
                &[]
            }
            "sending again, signed" => {
                walk.call = signed();
                &["late"]
            }
            _ => panic!("no such state: {state}"),
        };
        drop(walk.drain());
        for step in steps {
            walk.call.handle(match *step {
                "token" => CallEvent::TokenReceived { token: refused.clone() },
                "another" => CallEvent::TokenReceived { token: token("another") },
                "refusal" => CallEvent::ResponseReceived { response: response(REFUSAL) },
                "late" => CallEvent::ResponseReceived { response: response(LATE) },
                _ => CallEvent::ResponseReceived { response: acs_common::call::CallResponse::new(200) },
            });
            drop(walk.drain());
        }
        walk
    }

    fn drain(&mut self) -> Vec<&'static str> {
        let mut actions = Vec::new();
        while let Some(action) = self.call.poll_action() {
            actions.push(match action {
                CallAction::RejectToken { .. } => "reject",
                CallAction::GetToken { other_than: None } => "get",
                CallAction::GetToken { other_than: Some(_) } => "get another",
                CallAction::CancelToken => "cancel",
                CallAction::Send { with: Authorization::Token(_) | Authorization::Signature { .. } } => "send",
                CallAction::SendAgain { .. } => "send again",
                CallAction::Return { what: Returned::Response } => "return response",
                CallAction::Return { what: Returned::Failure } => "return failure",
            });
        }
        actions
    }

    fn event(&self, row: &Row<'_>) -> CallEvent {
        let says = |condition: &str| row.conditions.contains(&condition);
        match row.event {
            "TokenReceived" if says("the refused token") => CallEvent::TokenReceived { token: self.refused.clone() },
            "TokenReceived" => CallEvent::TokenReceived { token: token("refused") },
            "TokenFailed" => CallEvent::TokenFailed,
            "ResponseReceived" => CallEvent::ResponseReceived {
                response: response(if says("a refusal") {
                    REFUSAL
                } else if says("a refusal of the date") {
                    LATE
                } else if row.state.ends_with("signed") {
                    REFUSAL
                } else {
                    Op::Response { status: 403, challenge: 2, elsewhere: false, ahead: Some(600) }
                }),
            },
            "SendFailed" => CallEvent::SendFailed,
            "Cancelled" => CallEvent::Cancelled,
            other => panic!("no such event: {other}"),
        }
    }

    /// Says in which of the states the call is, by what it does next.
    fn is_in(&self, state: &str, replayable: bool) -> bool {
        format!("{:?}", self.call) == format!("{:?}", Self::to(state, replayable).call)
            || (state == "ended" && format!("{:?}", self.call).contains("Ended"))
            || (state == "sending" && format!("{:?}", self.call).contains("again: false"))
            || (state.starts_with("sending again") && format!("{:?}", self.call).contains("again: true"))
    }
}

/// Fails when an arm of `handle` or `received` leads elsewhere, or the table says so.
#[test]
fn every_row_of_the_table_is_what_a_call_does() {
    let rows = rows(DOCUMENT);
    for row in &rows {
        let replayable = !row.conditions.contains(&"not replayable");
        for replayable in if row.conditions.iter().any(|condition| condition.ends_with("replayable")) {
            vec![replayable]
        } else if row.state.contains("again") {
            vec![true]
        } else {
            vec![true, false]
        } {
            let mut walk = Walk::to(row.state, replayable);
            let event = walk.event(row);
            walk.call.handle(event);
            let actions = walk.drain();
            assert_eq!(actions, row.actions, "{}", row.text);
            assert!(walk.is_in(row.next, replayable), "{}", row.text);
        }
    }
    assert!(rows.len() > 40, "{} rows", rows.len());
}

/// Fails when a state or an event has no row.
#[test]
fn every_state_and_event_has_a_row() {
    let rows = rows(DOCUMENT);
    for state in STATES {
        for event in EVENTS {
            let unconditional = rows.iter().any(|row| row.state == state && row.event == event);
            assert!(unconditional, "{state}, {event}");
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

/// Fails when `with_held_token` starts elsewhere than in `sending`.
#[test]
fn a_call_with_a_held_token_is_one_that_has_got_it() {
    for replayable in [false, true] {
        let asked = Walk::to("sending", replayable);
        let call = Call::with_held_token(asked.refused.clone(), replayable);
        let mut held = Walk { call, refused: asked.refused.clone() };
        assert_eq!(held.drain(), ["send"]);
        assert_eq!(format!("{:?}", held.call), format!("{:?}", asked.call));
    }
}
