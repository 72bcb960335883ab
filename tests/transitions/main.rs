//! The table and the diagram in `src/transitions.md` are correct and complete.
//!
//! The file is long because it reads the table, draws the diagram, and compares both with the machine.

#[path = "../support/mod.rs"]
mod support;

mod diagram;
mod source;
mod table;
mod walk;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use acs_common::{Event, Monotonic, NewToken, RefresherError};
use proptest::prelude::*;

use diagram::Arrow;
use support::rig::{self, Rig, until};
use table::Row;
use walk::{MODES, Mode, actions, brief_policy, cases, policy, state};

const DOCUMENT: &str = include_str!("../../src/transitions.md");

const EVENTS: [&str; 9] = [
    "TokenRequested",
    "AnotherRequested",
    "RequestCancelled",
    "TokenReceived",
    "RefreshFailed",
    "TimeAdvanced",
    "TokenRejected",
    "RetryNow",
    "Disposed",
];

const STATES: [&str; 9] = [
    "none, idle",
    "none, in flight",
    "none, backing off",
    "fresh, idle",
    "due, idle",
    "due, in flight",
    "due, backing off",
    "disposed",
    "static",
];

/// The conditions of rows that the walk understands.
const CONDITIONS: [&str; 23] = [
    "on demand",
    "proactive",
    "too soon",
    "not too soon",
    "wanted",
    "not wanted",
    "valid",
    "not valid",
    "of an earlier call",
    "refresh_timeout is over",
    "only the wall clock calls it overdue",
    "for 5 s",
    "made again",
    "the request's backoff is over",
    "the timer's backoff is over",
    "renew_at has come",
    "it has expired",
    "the token held",
    "another token",
    "on probation",
    "doubtful",
    "the text held",
    "AnotherRequested waits",
];

/// A row with one of these conditions needs another row with the opposite condition.
const OPPOSITES: [(&str, &str); 4] = [
    ("too soon", "not too soon"),
    ("wanted", "not wanted"),
    ("valid", "not valid"),
    ("the token held", "another token"),
];

/// Fails when `receive` stores an expired token, `fail_refresh` drops the lease, `settle` forgets the timeout, `reject`
/// forgets the probation, `retry_now` keeps the backoff, `dispose` does not cancel, or when any row's state or action
/// is changed.
#[test]
fn every_row_of_the_table_is_what_the_machine_does() {
    let mut walked = 0;
    for row in table::read(DOCUMENT) {
        let mut walked_row = 0;
        for mode in MODES.into_iter().filter(|mode| mode.admits(&row)) {
            for (mut rig, event, waiting) in cases(&row, mode) {
                let place = format!("{mode:?}: {}: {event:?}", row.text);
                let got = rig.handle(event);
                let answers = got.iter().filter_map(walk::answered).collect::<Vec<_>>();
                let returns = row.actions.iter().any(|action| action.starts_with("return"));
                assert_eq!(answers, if returns { waiting } else { Vec::new() }, "{place}: who is answered");
                assert_eq!(actions(&got), row.actions, "{place}");
                assert_eq!(state(&rig), row.next, "{place}");
                walked_row += 1;
            }
        }
        assert!(walked_row > 0, "the walk cannot reach this row: {}", row.text);
        walked += walked_row;
    }
    assert!(walked >= 200, "only {walked} cases");
}

/// Fails when `source_checked` calls the refresher for the source of the held token, or in the backoff of the same
/// source, or too soon; when `settle` forgets the check's timeout; when `fail_refresh` keeps the token of another user;
/// when `end_check` answers waiters that came after the source had answered; and when any row's state or action is
/// changed.
#[test]
fn every_row_of_a_credential_with_a_source_is_what_the_machine_does() {
    let mut walked = 0;
    let rows = table::read_with_a_source(DOCUMENT);
    let heads: BTreeSet<_> = rows.iter().map(|row| (&row.state, &row.event, &row.conditions)).collect();
    assert_eq!(heads.len(), rows.len(), "two rows are equal, or contradict each other");
    for row in &rows {
        let known = |condition: &String| CONDITIONS.into_iter().chain(source::CONDITIONS).any(|one| one == condition);
        assert!(row.conditions.iter().all(known), "{}", row.text);
        let mut walked_row = 0;
        for mode in source::Mode::all().filter(|mode| mode.admits(row)) {
            let mut run = source::Run::at(row, mode);
            let place = format!("{mode:?}: {}", row.text);
            assert_eq!(run.state(), row.state, "{place}: the way to it");
            run.sleep_for(row);
            let waiting = run.waiting_at(row);
            let got = run.handle(run.event(row));
            let answers = got.iter().filter_map(walk::answered).collect::<Vec<_>>();
            let returns = row.actions.iter().any(|action| action.starts_with("return"));
            assert_eq!(answers, if returns { waiting } else { Vec::new() }, "{place}: who is answered");
            assert_eq!(actions(&got), row.actions, "{place}");
            assert_eq!(run.state(), row.next, "{place}");
            walked_row += 1;
        }
        assert!(walked_row > 0, "the walk cannot reach this row: {}", row.text);
        walked += walked_row;
    }
    assert!(walked >= 120, "only {walked} cases");
}

/// Fails when a row is doubled, when the last row of a state and event is deleted, or when a row loses or inverts a
/// condition.
#[test]
fn no_state_lacks_a_row_for_an_event_and_no_two_rows_contradict() {
    let rows = table::read(DOCUMENT);
    for state in STATES {
        for event in EVENTS {
            for mode in MODES {
                let here: Vec<_> =
                    rows.iter().filter(|row| row.state == state && row.event == event && mode.admits(row)).collect();
                assert!(!here.is_empty(), "{state}, {event}, {mode:?}: no row");
                let conditions: BTreeSet<_> = here.iter().map(|row| &row.conditions).collect();
                assert_eq!(conditions.len(), here.len(), "{state}, {event}, {mode:?}: two rows under one condition");
                let about_a_token = |row: &&&Row| row.says("the token held") || row.says("another token");
                let some = here.iter().filter(about_a_token).count();
                assert!(some == 0 || some == here.len(), "{state}, {event}, {mode:?}: which token?");
                for row in &here {
                    for (condition, opposite) in OPPOSITES.into_iter().flat_map(|(a, b)| [(a, b), (b, a)]) {
                        let answered = !row.says(condition) || here.iter().any(|other| other.says(opposite));
                        assert!(answered || mode.excludes(opposite), "{}: missing row for {opposite}", row.text);
                    }
                }
            }
        }
    }
    for row in &rows {
        assert!(STATES.contains(&row.state.as_str()) && STATES.contains(&row.next.as_str()), "{}", row.text);
        assert!(EVENTS.contains(&row.event.as_str()), "{}", row.text);
        let waited = row.says("not too soon") || !row.says("wanted") && !row.says("not wanted");
        assert!(waited, "a wanted refresh starts only when it is not too soon: {}", row.text);
        let unknown = row.conditions.iter().find(|condition| !CONDITIONS.contains(&condition.as_str()));
        assert_eq!(unknown, None, "{}", row.text);
    }
}

/// Fails when a row is deleted and no other row of its state and event has the same outcome.
#[test]
fn from_every_place_in_the_table_no_event_leads_out_of_it() {
    let rows: Rc<[Row]> = table::read(DOCUMENT).into();
    let mut observed = 0;
    for mode in MODES {
        for (rig, at) in places(mode) {
            let mut run = Run { rows: rows.clone(), mode, state: state(&rig), rig };
            run.rig.sleep_until(at);
            run.observe(Event::TimeAdvanced);
            run.tick();
            for event in walk::all_events(&run.rig) {
                let mut run = run.clone();
                run.observe(event);
                observed += 1;
            }
        }
    }
    assert!(observed >= 2_000, "only {observed} moves");
}

/// Every state under every condition, independent of the document.
fn places(mode: Mode) -> Vec<(Rig, u64)> {
    let single = CONDITIONS.iter().map(|condition| vec![*condition]);
    let several = [vec![], vec!["it has expired", "too soon"], vec!["on probation", "not too soon"]];
    let all: Vec<_> = single.chain(several).collect();
    let rows = STATES.into_iter().flat_map(|state| all.iter().map(move |conditions| Row::of(state, "", conditions)));
    // Without a token, no token is on probation or doubtful. A fresh token is not doubtful.
    let tested = |row: &Row| row.says("on probation") || row.says("doubtful");
    let impossible = |row: &Row| {
        tested(row) && row.state.starts_with("none")
            || row.says("doubtful") && row.state.starts_with("fresh")
            || row.says("AnotherRequested waits") && row.state != "due, in flight"
    };
    let possible = |row: &Row| mode.admits(row) && !impossible(row);
    rows.filter(possible).flat_map(|row| walk::places(&row, mode)).collect()
}

/// Fails when an arrow is removed, added, reversed or given another label, or when one of its rows is changed.
#[test]
fn the_diagram_has_the_arrows_of_the_table_and_no_others() {
    let rows = table::read(DOCUMENT);
    let drawn = diagram::read(DOCUMENT);
    let ways = |arrows: &BTreeSet<Arrow>| -> BTreeSet<(String, String)> {
        arrows.iter().map(|arrow| (arrow.from.clone(), arrow.to.clone())).collect()
    };
    assert_eq!(ways(&drawn).len(), drawn.len(), "one arrow for each pair of boxes: {drawn:?}");
    assert_eq!(ways(&drawn), rows.iter().flat_map(moves).collect());
    for arrow in drawn {
        let behind: Vec<_> =
            rows.iter().filter(|row| moves(row).contains(&(arrow.from.clone(), arrow.to.clone()))).collect();
        let labels: Vec<_> = arrow.label.split(", ").collect();
        for row in &behind {
            assert!(labels.iter().any(|label| mentions(row, label)), "{arrow:?} does not mention {}", row.text);
        }
        for label in labels {
            assert!(behind.iter().any(|row| mentions(row, label)), "{arrow:?}: no row has {label:?}");
        }
    }
}

/// The arrows of a row.
fn moves(row: &Row) -> Vec<(String, String)> {
    let own = |(from, to): (&str, &str)| (from.to_owned(), to.to_owned());
    match (row.state.as_str(), row.next.as_str()) {
        ("disposed", "disposed") => Vec::new(),
        (_, "disposed") => vec![("any".to_owned(), "disposed".to_owned())],
        _ => [own(row.lease()), own(row.attempt())].into_iter().filter(|(from, to)| from != to).collect(),
    }
}

fn mentions(row: &Row, label: &str) -> bool {
    row.conditions.iter().chain(&row.actions).chain([&row.event]).any(|text| text.contains(label))
}

/// A step of a random run.
#[derive(Clone, Debug)]
enum Step {
    Sleep(u64),
    Request,
    /// For another token than the held one.
    RequestAnother,
    Cancel,
    Answer {
        lifetime: u64,
    },
    /// The text of the held token.
    AnswerAgain {
        lifetime: u64,
    },
    Late,
    Fail {
        permanent: bool,
        retry_after: u64,
    },
    Reject,
    RetryNow,
    Dispose,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1_u64..60).prop_map(Step::Sleep),
        4 => Just(Step::Request),
        2 => Just(Step::RequestAnother),
        1 => Just(Step::Cancel),
        1 => (0_u64..200).prop_map(|lifetime| Step::AnswerAgain { lifetime }),
        4 => (0_u64..200).prop_map(|lifetime| Step::Answer { lifetime }),
        1 => Just(Step::Late),
        2 => (any::<bool>(), 0_u64..90).prop_map(|(permanent, retry_after)| Step::Fail { permanent, retry_after }),
        2 => Just(Step::Reject),
        1 => Just(Step::RetryNow),
        1 => Just(Step::Dispose),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Fails when `receive` does not end the backoff, `until_start` interrupts one, `expire_waits` does not drop
    /// `renewal`, `start` sets no minimum interval, or when a row is changed and no other row has the same outcome.
    #[test]
    fn the_machine_makes_no_move_that_is_not_in_the_table(
        proactive: bool,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mode = if proactive { Mode::Proactive } else { Mode::OnDemand };
        let mut run = Run::new(mode);
        let mut tokens = Vec::new();
        for step in steps {
            // A refresher takes some time. Otherwise the backoff could end together with the minimum interval, and not
            // be visible.
            if run.rig.called_just_now() {
                run.tick();
            }
            let (last, first) = (run.rig.calls.last().copied(), run.rig.calls.first().copied());
            match (step, last, first) {
                (Step::Sleep(millis), ..) => (0..millis).for_each(|_| run.tick()),
                (Step::Request, ..) => run.observe(Event::TokenRequested { waiter: 1 }),
                (Step::RequestAnother, ..) => {
                    if let Some(than) = run.rig.held() {
                        run.observe(Event::AnotherRequested { waiter: 1, than });
                    }
                }
                (Step::AnswerAgain { lifetime }, Some(request), _) => {
                    if let Some(token) = run.rig.held_for(lifetime) {
                        run.observe(Event::TokenReceived { request, token });
                    }
                }
                (Step::Cancel, ..) => run.observe(Event::RequestCancelled { waiter: 1 }),
                (Step::Answer { lifetime }, Some(request), _) => {
                    run.observe(Event::TokenReceived { request, token: until(run.rig.at + lifetime) });
                }
                (Step::Late, _, Some(request)) => {
                    run.observe(Event::TokenReceived { request, token: until(run.rig.at + 100) });
                }
                (Step::Fail { permanent, retry_after }, Some(request), _) => {
                    let error = RefresherError::new("down").with_retry_after(Duration::from_millis(retry_after));
                    let error = if permanent { error.permanent() } else { error };
                    run.observe(Event::RefreshFailed { request, error });
                }
                (Step::Reject, ..) => {
                    tokens.extend(run.rig.held());
                    if let Some(token) = tokens.last().cloned() {
                        run.observe(Event::TokenRejected { token });
                    }
                }
                (Step::RetryNow, ..) => run.observe(Event::RetryNow),
                // Most runs continue.
                (Step::Dispose, ..) if run.rig.at.is_multiple_of(7) => run.observe(Event::Disposed),
                (Step::Dispose | Step::Answer { .. } | Step::AnswerAgain { .. } | Step::Late | Step::Fail { .. }, ..) => {}
            }
            run.tick();
        }
    }
}

/// An observed machine: every move it makes must be in the table.
#[derive(Clone)]
struct Run {
    rows: Rc<[Row]>,
    mode: Mode,
    rig: Rig,
    state: String,
}

impl Run {
    fn new(mode: Mode) -> Self {
        let rig = Rig::empty(brief_policy(mode));
        Self { rows: table::read(DOCUMENT).into(), mode, state: state(&rig), rig }
    }

    /// Lets one millisecond pass, so that few things are due together.
    fn tick(&mut self) {
        self.rig.sleep_until(self.rig.at + 1);
        self.observe(Event::TimeAdvanced);
    }

    /// Handles an event, and finds the row with its outcome, or for `TimeAdvanced` a chain of rows.
    fn observe(&mut self, event: Event<u32>) {
        let Self { rows, mode, rig, state: before } = self;
        let name = format!("{event:?}").split([' ', '{']).next().unwrap_or_default().to_owned();
        let got = silent(&actions(&rig.handle(event)));
        let after = state(rig);
        let mut reached = vec![(before.clone(), BTreeSet::new())];
        for _ in 0..if name == "TimeAdvanced" { 3 } else { 1 } {
            let says = |row: &&Row, from: &str| row.event == name && row.state == from && mode.admits(row);
            reached = reached
                .iter()
                .flat_map(|(from, done)| {
                    let rows = rows.iter().filter(move |row| says(row, from));
                    rows.map(move |row| (row.next.clone(), done | &silent(&row.actions)))
                })
                .collect();
            if reached.contains(&(after.clone(), got.clone())) {
                *before = after;
                return;
            }
        }
        panic!("{mode:?}, at {}: {before} + {name} = {after} {got:?} is not in the table", rig.at);
    }
}

/// Without answers, which depend on the waiters.
fn silent(actions: &[String]) -> BTreeSet<String> {
    actions.iter().filter(|action| !action.starts_with("return")).cloned().collect()
}

/// Fails when `new` does not settle, or the document is not part of the crate's documentation.
#[test]
fn a_credential_starts_where_the_document_says() {
    for (mode, without) in [(Mode::OnDemand, "none, idle"), (Mode::Proactive, "none, in flight")] {
        assert_eq!(state(&Rig::empty(policy(mode))), without);
        let mut rig = Rig::new(Some(until(3_600_000)), policy(mode)).unwrap();
        rig.drain();
        assert_eq!(state(&rig), "fresh, idle");
        assert_eq!(rig.machine.deadline().is_some(), mode == Mode::Proactive);
    }
    let fixed = Rig::fixed(NewToken::new("opaque"), rig::steady_policy()).unwrap();
    assert_eq!(state(&fixed), "static");
    assert_eq!(fixed.machine.deadline(), None::<Monotonic>);
    assert!(include_str!("../../src/lib.rs").contains("include_str!(\"transitions.md\")"));
}
