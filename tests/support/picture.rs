//! A scenario as a picture. The drawing itself is in `drawing/`. Included by the example `simulate`, and by its tests.
#![allow(dead_code, unreachable_pub, reason = "each includer uses a part of it")]

use std::collections::BTreeMap;

use acs_common::RequestId;
use acs_common_drawing::{Fact, Life, Picture, words as drawn_words};

use crate::support::play::{self, Call, Seen};
use crate::support::scenario::{Do, Outage, Scenario};

/// The widths of the pictures in the documentation: on a page of a repository, and on a phone.
pub const WIDTHS: [(&str, u32); 2] = [("", 830), ("-narrow", 400)];

/// The picture of one scenario, played under one or more policies, one below the other.
pub fn draw(id: &str, played: &[(String, Scenario)], width: u32, most: usize) -> String {
    let lives: Vec<_> = played.iter().map(|(name, scenario)| life(name, scenario, most)).collect();
    let until = played.iter().map(|(_, scenario)| scenario.until).max().unwrap_or_default();
    let title = played.first().map_or("", |(_, scenario)| scenario.name.as_str());
    Picture { id, title, lives: &lives, from: 0, until, width }.draw()
}

/// What happens in at most so many steps of a scenario.
pub fn life(name: &str, scenario: &Scenario, most: usize) -> Life {
    let outages = scenario.issuer.iter().flat_map(|issuer| &issuer.outages);
    let mut facts: Vec<_> = outages.flat_map(|outage| [(outage.from, does(outage)), (outage.until, None)]).collect();
    facts.sort_by_key(|(at, does)| (*at, does.is_some()));
    let mut facts: Vec<_> = facts.into_iter().map(|(at, does)| (at, Fact::Issuer { does })).collect();
    let mut calls = Calls::default();
    play::play_watched(scenario, most, &mut |at, seen| facts.extend(calls.fact(at, seen).map(|fact| (at, fact))));
    facts.sort_by_key(|(at, _)| *at);
    let mut life = Life::new(name);
    if scenario.ahead != 0 {
        life.record(0, Fact::ClockSet { by: scenario.ahead });
    }
    for (at, fact) in facts {
        life.record(at, fact);
    }
    life
}

fn does(outage: &Outage) -> Option<String> {
    Some(match &outage.answer {
        None => "does not answer".to_owned(),
        Some(_) => "fails".to_owned(),
    })
}

/// The calls in flight, with the numbers that they have in the picture.
#[derive(Default)]
struct Calls {
    next: u64,
    in_flight: BTreeMap<u64, Call>,
    /// The name of the held token.
    held: Option<String>,
}

impl Calls {
    fn fact(&mut self, at: u64, seen: Seen<'_>) -> Option<Fact> {
        Some(match seen {
            Seen::Step(step) => return self.step(at, step),
            Seen::Called(call) => {
                self.next += 1;
                self.in_flight.insert(self.next, call);
                Fact::Called { call: self.next }
            }
            Seen::Returned(call, failure) => {
                let number = *self.in_flight.iter().find(|(_, other)| **other == call)?.0;
                self.in_flight.remove(&number);
                Fact::Returned { call: number, failure: failure.map(words) }
            }
            Seen::Dropped(request) => {
                let number = *self.in_flight.iter().find(|(_, call)| belongs(**call, request))?.0;
                self.in_flight.remove(&number);
                Fact::Dropped { call: number }
            }
            Seen::Answered(waiter, failure) => {
                Fact::Answered { waiter: waiter.to_owned(), failure: failure.map(words) }
            }
            Seen::Held { token, due, expires } => {
                self.held = Some(token.to_owned());
                Fact::Held { token: token.to_owned(), due, expires }
            }
            Seen::Lost => {
                self.held = None;
                Fact::Lost
            }
            Seen::Expired => {
                self.held = None;
                Fact::Expired
            }
            Seen::Failed { retry_in } => {
                let wait = u64::try_from(retry_in?.as_millis()).unwrap_or(u64::MAX);
                Fact::BacksOff { until: at.saturating_add(wait) }
            }
        })
    }

    fn step(&self, at: u64, step: &Do) -> Option<Fact> {
        Some(match step {
            Do::GetToken { id } => Fact::Asked { waiter: id.clone() },
            Do::Cancel { id } => Fact::Cancelled { waiter: id.clone() },
            Do::Reject { token } if token == "held" => Fact::Rejected { token: self.held.clone()? },
            Do::Reject { token } => Fact::Rejected { token: token.clone() },
            Do::Dispose => Fact::Disposed,
            Do::RetryNow => Fact::Event { what: "retry now".to_owned() },
            Do::SignIn { with } => Fact::Event { what: format!("{with} signs in") },
            Do::SignOut => Fact::Event { what: "signed out".to_owned() },
            Do::StepWallClock { by } => Fact::ClockSet { by: *by },
            Do::ServiceDate { ahead, .. } => {
                let (side, by) = (if *ahead < 0 { "behind" } else { "ahead" }, ahead.unsigned_abs());
                Fact::Event { what: format!("service's clock {} {side}", drawn_words(by)) }
            }
            Do::Suspend { millis } => Fact::Suspended { until: at.saturating_add(*millis) },
        })
    }
}

fn belongs(call: Call, to: RequestId) -> bool {
    match call {
        Call::Refresher(request, _) | Call::Source(request, _) | Call::Service(request, _) => request == to,
    }
}

/// The kind of a failure, as people read it. Most are no more than failures.
fn words(kind: &str) -> String {
    if kind == "refresh_failed" { String::new() } else { kind.replace('_', " ") }
}
