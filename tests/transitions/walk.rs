//! Puts a machine into the first state of a row, only by events, and finds out its state from outside.
//!
//! The file is long because it has a way into each state and each condition.

use std::time::Duration;

use acs_common::{Event, NewToken, Notice, Policy, RefresherError};

use super::support::rig::{self, Did, Rig, until};
use super::table::Row;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    OnDemand,
    Proactive,
}

pub(crate) const MODES: [Mode; 2] = [Mode::OnDemand, Mode::Proactive];

impl Mode {
    pub(crate) fn admits(self, row: &Row) -> bool {
        !row.conditions.iter().any(|condition| self.excludes(condition))
    }

    pub(crate) fn excludes(self, condition: &str) -> bool {
        match self {
            Self::OnDemand => condition == "proactive",
            // A proactive credential always wants a token.
            Self::Proactive => ["on demand", "not wanted"].contains(&condition),
        }
    }
}

/// The default, with one window for both modes.
pub(crate) fn policy(mode: Mode) -> Policy {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let policy = rig::steady().refresh_proactively(mode == Mode::Proactive).background_window(minutes(10));
    policy.build().expect("no option is out of range")
}

/// A policy with short times, for random runs.
pub(crate) fn brief_policy(mode: Mode) -> Policy {
    let millis = Duration::from_millis;
    rig::steady()
        .refresh_proactively(mode == Mode::Proactive)
        .refresh_window(millis(30))
        .background_window(millis(30))
        .min_refresh_interval(millis(BRIEF_INTERVAL))
        .retry_initial(millis(5))
        .retry_max(millis(60))
        .request_backoff_max(millis(20))
        .refresh_timeout(millis(25))
        .build()
        .expect("no option is out of range")
}

/// A machine in the row's state, an event that meets its conditions, and the waiters at that time.
pub(crate) type Case = (Rig, Event<u32>, Vec<u32>);

const INTERVAL: u64 = 1_000;
const BRIEF_INTERVAL: u64 = 4;
const TIMEOUT: u64 = 60_000;
/// How long a call still has that only the wall clock calls overdue.
const GRACE: u64 = 5_000;
/// The longest backoff, which is also the backoff after a permanent failure.
const BACKOFF: u64 = 300_000;
/// A backoff that the issuer asked for, longer than the backoff of any request.
const LONG_BACKOFF: u64 = 400_000;

/// Every way to meet a row's conditions. At the event's time, only what the conditions name is due.
pub(crate) fn cases(row: &Row, mode: Mode) -> Vec<Case> {
    situations(row, mode)
        .into_iter()
        .flat_map(|(rig, at, waiting)| {
            assert_eq!(state(&rig), row.state, "{mode:?}: the way to {}", row.text);
            events(row, &rig).into_iter().map(move |event| {
                let mut rig = rig.clone();
                rig.sleep_until(at.max(rig.at));
                let asking =
                    matches!(event, Event::TokenRequested { .. } | Event::AnotherRequested { .. }).then_some(9);
                (rig, event, waiting.iter().copied().chain(asking).collect())
            })
        })
        .collect()
}

/// Machines in the row's state, and when its event comes.
pub(crate) fn places(row: &Row, mode: Mode) -> Vec<(Rig, u64)> {
    situations(row, mode).into_iter().map(|(rig, at, _)| (rig.clone(), at.max(rig.at))).collect()
}

/// Every event, in the forms that rows distinguish.
pub(crate) fn all_events(rig: &Rig) -> Vec<Event<u32>> {
    [
        ("TokenRequested", ""),
        ("AnotherRequested", "the token held"),
        ("AnotherRequested", "another token"),
        ("RequestCancelled", ""),
        ("TokenReceived", "valid"),
        ("TokenReceived", "the text held"),
        ("TokenReceived", "not valid"),
        ("TokenReceived", "of an earlier call"),
        ("RefreshFailed", ""),
        ("RefreshFailed", "of an earlier call"),
        ("TimeAdvanced", ""),
        ("TokenRejected", "the token held"),
        ("TokenRejected", "another token"),
        ("RetryNow", ""),
        ("Disposed", ""),
    ]
    .into_iter()
    .filter_map(|(event, condition)| events(&Row::of("", event, &[condition]), rig).into_iter().next())
    .collect()
}

/// Machines in the row's state, when its event comes, and the waiters.
fn situations(row: &Row, mode: Mode) -> Vec<(Rig, u64, Vec<u32>)> {
    let nobody = Vec::new;
    match row.state.as_str() {
        "static" => vec![(Rig::fixed(until(1), policy(mode)).expect("a good token"), 50, nobody())],
        "disposed" => {
            let (mut rig, _, _) = fresh(row, mode);
            rig.handle(Event::Disposed);
            vec![(rig, 0, nobody())]
        }
        "fresh, idle" => {
            let (mut rig, renewal, expiry) = fresh(row, mode);
            let at = if row.says("it has expired") {
                expiry
            } else if row.says("renew_at has come") {
                renewal
            } else if row.says("not too soon") {
                rig.at + INTERVAL
            } else {
                rig.at + 50
            };
            let waiting = ask_for_another(&mut rig, row);
            vec![(rig, at, waiting)]
        }
        "none, idle" => none_idle(row, mode),
        "none, in flight" => {
            let mut rig = none_in_flight(mode);
            let at = if row.says("refresh_timeout is over") { rig.at + TIMEOUT - 10 } else { rig.at };
            let at = sleep_in(&mut rig, row).unwrap_or(at);
            vec![(rig, at, vec![5, 6])]
        }
        "none, backing off" => {
            let mut rig = none_in_flight(mode);
            let long = row.conditions.iter().any(|condition| condition.ends_with("backoff is over"));
            rig.fail(if long { busy() } else { RefresherError::new("down") });
            let at = rig.at
                + if row.says("the timer's backoff is over") {
                    LONG_BACKOFF
                } else if row.says("the request's backoff is over") {
                    BACKOFF
                } else if row.says("not too soon") {
                    INTERVAL - 5
                } else {
                    10
                };
            vec![(rig, at, nobody())]
        }
        "due, idle" => due_idle(row, mode),
        "due, in flight" => {
            let (mut rig, expiry) = due_in_flight(row, mode);
            let at = if row.says("it has expired") {
                expiry
            } else if row.says("refresh_timeout is over") {
                rig.at + TIMEOUT - 10
            } else {
                rig.at
            };
            let at = sleep_in(&mut rig, row).unwrap_or(at);
            let waiting = ask_for_another(&mut rig, row);
            vec![(rig, at, waiting)]
        }
        "due, backing off" => {
            let (mut rig, expiry) = due_in_flight(row, mode);
            let error = if row.says("it has expired") {
                RefresherError::new("revoked").permanent()
            } else if row.says("the request's backoff is over") {
                busy()
            } else {
                RefresherError::new("down")
            };
            rig.fail(error);
            let at = if row.says("it has expired") {
                expiry
            } else if row.says("the request's backoff is over") {
                rig.at + BACKOFF
            } else if row.says("the timer's backoff is over") {
                rig.at + 1_000
            } else if row.says("not too soon") {
                rig.at + INTERVAL - 5
            } else {
                rig.at + 10
            };
            vec![(rig, at, nobody())]
        }
        other => panic!("no way to {other}"),
    }
}

/// The device sleeps while the call is in flight, and so once more while its repetition is. Returns when the row's event
/// comes.
fn sleep_in(rig: &mut Rig, row: &Row) -> Option<u64> {
    if !row.says("only the wall clock calls it overdue") {
        return None;
    }
    for _ in 0..if row.says("made again") { 2 } else { 1 } {
        rig.suspend(TIMEOUT);
        if row.says("for 5 s") {
            rig.handle(Event::TimeAdvanced);
            rig.sleep_until(rig.at + GRACE - 1).handle(Event::TimeAdvanced);
            rig.at += 1;
        }
        if row.says("made again") && rig::calls(&rig.clone().handle(Event::TimeAdvanced)) == 1 {
            rig.handle(Event::TimeAdvanced);
        }
    }
    Some(rig.at)
}

/// The waiter for another token than the held one, if the row has one.
fn ask_for_another(rig: &mut Rig, row: &Row) -> Vec<u32> {
    let than = rig.held().filter(|_| row.says("AnotherRequested waits"));
    than.map_or(Vec::new(), |than| {
        rig.handle(Event::AnotherRequested { waiter: 5, than });
        vec![5]
    })
}

fn busy() -> RefresherError {
    RefresherError::new("busy").with_retry_after(Duration::from_millis(LONG_BACKOFF))
}

/// A machine with a token accepted just now, when to renew it, and when it expires.
fn fresh(row: &Row, mode: Mode) -> (Rig, u64, u64) {
    let mut rig = Rig::empty(policy(mode));
    if mode == Mode::OnDemand {
        rig.request(1);
    }
    let brief = row.says("it has expired") && row.says("too soon") && row.state.starts_with("fresh");
    let expiry = if brief { INTERVAL - 10 } else { 2_000_010 };
    rig.sleep_until(10).answer(until(expiry));
    if !row.says("on probation") && !row.says("doubtful") {
        return (rig, 1_400_010, expiry);
    }
    let token = rig.held().expect("it has been accepted");
    rig.sleep_until(20).handle(Event::TokenRejected { token });
    rig.request(2);
    rig.run_until(INTERVAL);
    rig.sleep_until(INTERVAL + 10).answer(until(INTERVAL + 200_010));
    if row.says("doubtful") {
        let token = rig.held().expect("it has been accepted");
        rig.sleep_until(INTERVAL + 20).handle(Event::TokenRejected { token });
        return (rig, 2 * INTERVAL + 20, INTERVAL + 200_010);
    }
    (rig, INTERVAL + 100_010, INTERVAL + 200_010)
}

fn none_idle(row: &Row, mode: Mode) -> Vec<(Rig, u64, Vec<u32>)> {
    let rejected = |at: u64| {
        let (mut rig, _, _) = fresh(row, mode);
        let token = rig.held().expect("it has been accepted");
        rig.sleep_until(at).handle(Event::TokenRejected { token });
        rig
    };
    let soon = rejected(60);
    let mut awaited = soon.clone();
    awaited.sleep_until(70).request(5);
    let mut tried = soon.clone();
    tried.sleep_until(70).handle(Event::RetryNow);
    let at = if row.says("too soon") { INTERVAL - 1 } else { INTERVAL };
    if row.says("not wanted") {
        let mut cancelled = awaited.clone();
        cancelled.sleep_until(80).handle(Event::RequestCancelled { waiter: 5 });
        vec![(soon, at, vec![]), (cancelled, at, vec![])]
    } else if row.says("wanted") {
        let all = [(awaited, at, vec![5]), (tried, at, vec![])];
        let itself = (mode == Mode::Proactive).then_some((soon, at, vec![]));
        all.into_iter().chain(itself).collect()
    } else if row.says("not too soon") {
        let late = (mode == Mode::OnDemand).then(|| (rejected(5_000), 6_000, vec![]));
        late.into_iter().chain([(soon, INTERVAL, vec![]), (awaited, INTERVAL, vec![5])]).collect()
    } else {
        let waiting = if row.event == "RequestCancelled" { vec![] } else { vec![5] };
        vec![(awaited, INTERVAL - 1, waiting)]
    }
}

/// A machine whose second call was ten milliseconds ago, with two waiters.
fn none_in_flight(mode: Mode) -> Rig {
    let mut rig = Rig::empty(policy(mode));
    if mode == Mode::OnDemand {
        rig.request(1);
    }
    rig.sleep_until(10).answer(until(110));
    let token = rig.held().expect("it has been accepted");
    rig.sleep_until(20).handle(Event::TokenRejected { token });
    rig.request(5);
    rig.request(6);
    rig.run_until(INTERVAL);
    rig.sleep_until(INTERVAL + 10);
    rig
}

/// A machine with a call ten milliseconds ago, and when its token expires.
fn due_in_flight(row: &Row, mode: Mode) -> (Rig, u64) {
    let (mut rig, renewal, expiry) = fresh(row, mode);
    // Here the host's timer is late, so that the token expires before the call times out, or within the minimum
    // interval.
    let at = match (row.says("it has expired"), row.says("too soon")) {
        (false, _) => renewal,
        (true, false) => expiry - 30_000,
        (true, true) => expiry - 500,
    };
    rig.sleep_until(at);
    match mode {
        Mode::OnDemand => rig.request(3),
        Mode::Proactive => rig.handle(Event::TimeAdvanced),
    };
    rig.sleep_until(at + 10);
    (rig, expiry)
}

fn due_idle(row: &Row, mode: Mode) -> Vec<(Rig, u64, Vec<u32>)> {
    // Too soon, but wanted: after a failure and `RetryNow`.
    let (mut tried, expiry) = due_in_flight(row, mode);
    tried.fail(RefresherError::new("down"));
    tried.sleep_until(tried.at + 10).handle(Event::RetryNow);
    let tried_at = if row.says("it has expired") {
        expiry
    } else if row.says("not too soon") {
        tried.at + INTERVAL
    } else {
        tried.at + 10
    };
    let plain = (mode == Mode::OnDemand).then(|| {
        let (mut rig, renewal, expiry) = fresh(row, mode);
        rig.sleep_until(renewal).handle(Event::TimeAdvanced);
        (rig, if row.says("it has expired") { expiry } else { renewal + 10 }, vec![])
    });
    let tried = (tried, tried_at, vec![]);
    if row.says("not wanted") {
        plain.into_iter().collect()
    } else if row.says("wanted") || row.says("too soon") {
        vec![tried]
    } else {
        plain.into_iter().chain([tried]).collect()
    }
}

/// The row's event, in every form its conditions allow.
fn events(row: &Row, rig: &Rig) -> Vec<Event<u32>> {
    let last = rig.calls.last().copied();
    let earlier = if row.says("of an earlier call") { rig.calls.first().copied() } else { last };
    let request = || earlier.unwrap_or_else(|| foreign().last_call());
    let good = || until(rig.at + 3_600_000);
    match row.event.as_str() {
        "TokenRequested" => vec![Event::TokenRequested { waiter: 9 }],
        "RequestCancelled" => vec![Event::RequestCancelled { waiter: 5 }],
        "TokenReceived" if row.says("not valid") => {
            [until(rig.at), NewToken::new(" "), NewToken::new("x".repeat(1 << 20))]
                .into_iter()
                .map(|token| Event::TokenReceived { request: request(), token })
                .collect()
        }
        "TokenReceived" if row.says("the text held") => {
            let token = rig.held_for(3_600_000).unwrap_or_else(good);
            vec![Event::TokenReceived { request: request(), token }]
        }
        "TokenReceived" => vec![Event::TokenReceived { request: request(), token: good() }],
        "RefreshFailed" => vec![Event::RefreshFailed { request: request(), error: RefresherError::new("down") }],
        "TimeAdvanced" => vec![Event::TimeAdvanced],
        "TokenRejected" | "AnotherRequested" => {
            let held = rig.held().filter(|_| !row.says("another token"));
            let token = held.unwrap_or_else(|| foreign().held().expect("it has one"));
            vec![match row.event.as_str() {
                "TokenRejected" => Event::TokenRejected { token },
                _ => Event::AnotherRequested { waiter: 9, than: token },
            }]
        }
        "RetryNow" => vec![Event::RetryNow],
        "Disposed" => vec![Event::Disposed],
        other => panic!("no event {other}"),
    }
}

/// Another machine, with a call and then a token.
fn foreign() -> Rig {
    let mut rig = Rig::empty(rig::steady_policy());
    rig.request(1);
    rig.answer(until(3_600_000));
    rig
}

/// The machine's state, as its host can find it out: by asking, or by trying events on a copy.
pub(crate) fn state(rig: &Rig) -> String {
    let probe = |event: Event<u32>| rig.clone().handle(event);
    let Some(token) = rig.held() else {
        let refused = |did: &Did| matches!(did, Did::Error(_, acs_common::Error::Disposed));
        if probe(Event::TokenRequested { waiter: 99 }).iter().any(refused) {
            return "disposed".to_owned();
        }
        return format!("none, {}", attempt(rig));
    };
    let fixed = |did: &Did| matches!(did, Did::Error(_, acs_common::Error::StaticToken));
    if probe(Event::AnotherRequested { waiter: 99, than: token }).iter().any(fixed) {
        return "static".to_owned();
    }
    format!("{}, {}", if rig.machine.is_due(rig.now()) { "due" } else { "fresh" }, attempt(rig))
}

fn interval(policy: &Policy) -> u64 {
    if MODES.into_iter().any(|mode| *policy == brief_policy(mode)) { BRIEF_INTERVAL } else { INTERVAL }
}

fn attempt(rig: &Rig) -> &'static str {
    let mut probe = rig.clone();
    if let Some(request) = rig.calls.last().copied() {
        let error = RefresherError::new("a probe");
        let noticed = probe.handle(Event::RefreshFailed { request, error });
        if noticed.iter().any(|did| matches!(did, Did::Notice(Notice::RefreshFailed { .. }))) {
            return "in flight";
        }
    }
    if rig.held().is_some() && !rig.machine.is_due(rig.now()) {
        return "idle";
    }
    if rig.clone().request(99).iter().any(|did| matches!(did, Did::Error(99, _))) {
        return "backing off";
    }
    // Otherwise the end of the minimum interval shows it: then an on-demand credential starts a refresh at a request, a
    // proactive one by itself.
    let mut probe = rig.clone();
    probe.sleep_until(rig.at.max(rig.earliest_refresh(interval(rig.machine.policy()))));
    let done = if rig.machine.policy().refreshes_proactively() {
        probe.handle(Event::TimeAdvanced)
    } else {
        probe.request(99)
    };
    if rig::calls(&done) > 0 { "idle" } else { "backing off" }
}

/// The actions, as the table names them: answers of one kind count once.
pub(crate) fn actions(done: &[Did]) -> Vec<String> {
    let mut names: Vec<_> = done.iter().map(|did| name(did).to_owned()).collect();
    names.dedup();
    names
}

fn name(did: &Did) -> &'static str {
    match did {
        Did::Token(..) => "return token",
        Did::Error(..) => "return error",
        Did::Cancel(_) => "cancel",
        Did::Check(_) => "check",
        Did::Call(_) => "call",
        Did::Notice(Notice::TokenChanged { .. }) => "notify token_changed",
        Did::Notice(Notice::TokenKept { .. }) => "notify token_kept",
        Did::Notice(Notice::RefreshFailed { .. }) => "notify refresh_failed",
        Did::Notice(Notice::TokenExpired) => "notify token_expired",
        Did::Notice(Notice::Disposed) => "notify disposed",
        Did::Notice(_) => "notify of something new",
        Did::Ask | Did::Send => "an exchange",
    }
}

/// The waiters that got an answer.
pub(crate) fn answered(did: &Did) -> Option<u32> {
    match did {
        Did::Token(waiter, _) | Did::Error(waiter, _) => Some(*waiter),
        Did::Cancel(_) | Did::Call(_) | Did::Check(_) | Did::Notice(_) | Did::Ask | Did::Send => None,
    }
}
