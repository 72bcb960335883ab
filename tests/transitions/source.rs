//! Puts a credential with a source into the first state of a row, only by events, and finds out its state from outside.

use std::time::Duration;

use acs_common::{CheckSource, Event, Machine, NewToken, Policy, RefresherError, RequestId, Source};

use super::support::rig::{Did, Rig, calls, now, until};
use super::table::Row;
use super::walk;

/// The source token that the held token was exchanged from.
const HELD: Source = Source { version: 1, user: 1 };
/// The source token whose refresh fails.
const FAILED: Source = Source { version: 2, user: 1 };
const ANOTHER: Source = Source { version: 3, user: 1 };
const ANOTHER_USER: Source = Source { version: 4, user: 2 };

const INTERVAL: u64 = 1_000;
const TIMEOUT: u64 = 60_000;
const CHECK_TIMEOUT: u64 = 5_000;
/// When the held token is due.
const RENEWAL: u64 = 1_400_010;

/// The further conditions of rows with a source.
pub(crate) const CONDITIONS: [&str; 10] = [
    "on refresh",
    "each request",
    "the held token's source",
    "the last failure's source",
    "the doubtful token's source",
    "another source",
    "another user",
    "of an earlier check",
    "asked meanwhile",
    "source_check_timeout is over",
];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    proactive: bool,
    each_request: bool,
}

impl Mode {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let pairs = [(false, false), (false, true), (true, false), (true, true)];
        pairs.into_iter().map(|(proactive, each_request)| Self { proactive, each_request })
    }

    pub(crate) fn admits(self, row: &Row) -> bool {
        let but = |condition, holds: bool| !row.says(condition) || holds;
        // A proactive credential without a token, or with a due one, always has an attempt in flight or backs off.
        let has_time = !self.proactive || !matches!(row.state.as_str(), "none, idle" | "due, idle");
        // Under `on refresh` the call follows the source's answer at once.
        let can_await = self.each_request || row.state != "none, awaiting start";
        but("proactive", self.proactive)
            && but("on demand", !self.proactive)
            && but("each request", self.each_request)
            && but("on refresh", !self.each_request)
            && has_time
            && can_await
    }

    fn policy(self) -> Policy {
        let kind = if self.proactive { walk::Mode::Proactive } else { walk::Mode::OnDemand };
        let check = if self.each_request { CheckSource::EachRequest } else { CheckSource::OnRefresh };
        walk::policy(kind).to_builder().check_source(check).build().expect("no option is out of range")
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Run {
    rig: Rig,
    mode: Mode,
    checks: Vec<RequestId>,
    waiting: Vec<u32>,
    /// The token held is doubtful.
    doubts: bool,
}

impl Run {
    fn new(mode: Mode) -> Self {
        let mut machine = Machine::with_source(mode.policy(), true, now(0));
        let Some(acs_common::Action::CheckSource { request, .. }) = machine.poll_action() else {
            panic!("the source is asked at once")
        };
        Self { rig: Rig::of(machine), mode, checks: vec![request], waiting: Vec::new(), doubts: false }
    }

    /// A run in the row's state.
    pub(crate) fn at(row: &Row, mode: Mode) -> Self {
        let mut run = Self::new(mode);
        let fails_again = row.says("the last failure's source");
        match row.state.as_str() {
            "none, checking" if fails_again => {
                run.sleep(10).ask(5);
                run.gives(FAILED);
                run.fails();
                // Under `on refresh` the source is asked after the backoff.
                run.sleep(if mode.each_request { 10 } else { 2_000 }).ask(5);
            }
            "none, checking" if row.says("of an earlier check") || row.says("too soon") => {
                run.reject_fresh();
                run.sleep(if row.says("too soon") { 20 } else { INTERVAL }).ask(5);
            }
            "none, checking" => run.sleep(10).ask(5),
            "none, idle" if row.says("too soon") => run.reject_fresh(),
            "none, idle" => {
                run.reject_fresh();
                run.sleep(INTERVAL);
            }
            "none, awaiting start" => {
                run.reject_fresh();
                run.sleep(20).ask(5);
                run.gives(ANOTHER);
            }
            "none, in flight" => {
                run.sleep(10).ask(5);
                run.gives(HELD);
                if row.says("asked meanwhile") {
                    run.sleep(10).ask(6);
                }
            }
            "none, backing off" => {
                run.sleep(10).ask(5);
                run.gives(FAILED);
                run.fails();
                run.sleep(10);
            }
            "fresh, idle" => run.fresh(),
            "due, checking" if row.says("the doubtful token's source") => {
                run.reject_fresh();
                run.sleep(INTERVAL).ask(5);
                run.reject_next();
                // Under `on refresh` the source is asked after the backoff.
                run.sleep(if mode.each_request { 10 } else { 2_000 }).ask(5);
            }
            "fresh, checking" => {
                run.fresh();
                run.sleep(INTERVAL);
                if mode.each_request {
                    run.ask(5)
                } else {
                    drop(run.handle(Event::RetryNow))
                }
                run.sleep(10);
                if row.says("AnotherRequested waits") {
                    run.waiting.push(6);
                    let than = run.rig.held().expect("it holds one");
                    drop(run.handle(Event::AnotherRequested { waiter: 6, than }));
                }
            }
            state => {
                run.fresh();
                run.rig.sleep_until(RENEWAL);
                drop(run.handle(Event::TimeAdvanced));
                if state != "due, idle" {
                    run.ask(5);
                }
                if fails_again || state == "due, in flight" || state == "due, backing off" {
                    run.sleep(10);
                    run.gives(if row.says("another user") { ANOTHER_USER } else { FAILED });
                }
                if fails_again || state == "due, backing off" {
                    run.sleep(10);
                    run.fails();
                    run.sleep(10);
                }
                if fails_again {
                    if !mode.each_request {
                        run.sleep(INTERVAL);
                    }
                    run.ask(5);
                }
            }
        }
        run
    }

    /// Holds a new token.
    fn fresh(&mut self) {
        self.sleep(10).gives(HELD);
        drop(self.handle(Event::TokenReceived { request: self.rig.last_call(), token: until(2_000_010) }));
        assert!(self.rig.held().is_some());
    }

    /// Holds no token: the new one was rejected.
    fn reject_fresh(&mut self) {
        self.fresh();
        self.reject();
    }

    /// Holds a doubtful token: the replacement was rejected too.
    fn reject_next(&mut self) {
        self.doubts = true;
        self.gives(HELD);
        drop(self.handle(Event::TokenReceived { request: self.rig.last_call(), token: until(2_000_020) }));
        self.sleep(5).reject();
    }

    fn reject(&mut self) {
        let token = self.rig.held().expect("it holds one");
        drop(self.handle(Event::TokenRejected { token }));
    }

    fn sleep(&mut self, millis: u64) -> &mut Self {
        self.rig.sleep_until(self.rig.at + millis);
        self
    }

    fn ask(&mut self, waiter: u32) {
        self.waiting.push(waiter);
        drop(self.handle(Event::TokenRequested { waiter }));
    }

    fn gives(&mut self, source: Source) {
        drop(self.handle(Event::SourceChecked { request: self.last_check(), source }));
    }

    fn fails(&mut self) {
        drop(self.handle(Event::RefreshFailed { request: self.rig.last_call(), error: RefresherError::new("down") }));
    }

    fn last_check(&self) -> RequestId {
        *self.checks.last().expect("the source has been asked")
    }

    pub(crate) fn handle(&mut self, event: Event<u32>) -> Vec<Did> {
        let done = self.rig.handle(event);
        for did in &done {
            if let Did::Check(request) = did {
                self.checks.push(*request);
            }
            if let Some(waiter) = walk::answered(did) {
                self.waiting.retain(|other| *other != waiter);
            }
        }
        done
    }

    /// Waits until the time of the row's event.
    pub(crate) fn sleep_for(&mut self, row: &Row) {
        let since_check = self.rig.at - 10;
        let millis = if row.says("refresh_timeout is over") {
            TIMEOUT - since_check
        } else if row.says("source_check_timeout is over") {
            CHECK_TIMEOUT - 10
        } else if row.says("not too soon") {
            INTERVAL
        } else {
            10
        };
        self.sleep(millis);
    }

    /// The waiters that get an answer, if the row has an answer.
    pub(crate) fn waiting_at(&self, row: &Row) -> Vec<u32> {
        // A waiter that asked meanwhile continues to wait.
        let waiting = self.waiting.iter().copied().filter(|waiter| !(row.says("asked meanwhile") && *waiter == 6));
        waiting.chain(matches!(row.event.as_str(), "TokenRequested" | "AnotherRequested").then_some(9)).collect()
    }

    pub(crate) fn event(&self, row: &Row) -> Event<u32> {
        let source = if row.says("the held token's source") || row.says("the doubtful token's source") {
            HELD
        } else if row.says("the last failure's source") {
            FAILED
        } else {
            ANOTHER
        };
        let check = if row.says("of an earlier check") { self.checks[0] } else { self.last_check() };
        match row.event.as_str() {
            "TokenRequested" => Event::TokenRequested { waiter: 9 },
            "AnotherRequested" => Event::AnotherRequested { waiter: 9, than: self.rig.held().expect("it holds one") },
            "SourceChecked" => Event::SourceChecked { request: check, source },
            "TokenReceived" => Event::TokenReceived { request: check, token: until(self.rig.at + 3_600_000) },
            "RefreshFailed" => Event::RefreshFailed { request: check, error: RefresherError::new("down") },
            "TimeAdvanced" => Event::TimeAdvanced,
            "TokenRejected" => Event::TokenRejected { token: self.rig.held().expect("it holds one") },
            "RetryNow" => Event::RetryNow,
            "Disposed" => Event::Disposed,
            other => panic!("no event {other}"),
        }
    }

    /// The state, as the host can find it out: by asking, or by trying events on a copy.
    pub(crate) fn state(&self) -> String {
        if matches!(self.rig.machine.pending_error(self.rig.now()), Some(acs_common::Error::Disposed)) {
            return "disposed".to_owned();
        }
        let lease = match (self.rig.held(), self.rig.machine.is_due(self.rig.now())) {
            (None, _) => "none",
            (Some(_), false) => "fresh",
            (Some(_), true) => "due",
        };
        format!("{lease}, {}", self.attempt(lease))
    }

    fn attempt(&self, lease: &str) -> &'static str {
        let request = self.last_check();
        let failed = |done: &[Did]| walk::actions(done).iter().any(|action| action == "notify refresh_failed");
        let changed = |done: &[Did]| walk::actions(done).iter().any(|action| action == "notify token_changed");
        let token = NewToken::new("a-probe").with_expires_in(Duration::from_secs(7_200));
        if changed(&self.rig.clone().handle(Event::TokenReceived { request, token })) {
            return "in flight";
        }
        if failed(&self.rig.clone().handle(Event::RefreshFailed { request, error: RefresherError::new("a-probe") })) {
            // A refresh that awaits the end of the minimum interval starts by itself.
            let done = self.rig.clone().run_until(self.rig.at + INTERVAL);
            return if calls(done.iter().map(|(_, did)| did)) > 0 { "awaiting start" } else { "checking" };
        }
        if lease == "fresh" {
            return "idle";
        }
        if lease == "none" && self.rig.machine.pending_error(self.rig.now()).is_some() {
            return "backing off";
        }
        // A request, or the timer, starts a check when the minimum interval allows it. In a backoff the check leads to
        // no call.
        let mut probe = self.clone();
        probe.rig.sleep_until(self.rig.at.max(self.rig.earliest_refresh(INTERVAL)));
        let event = if self.mode.proactive { Event::TimeAdvanced } else { Event::TokenRequested { waiter: 99 } };
        let before = probe.checks.len();
        drop(probe.handle(event));
        if probe.checks.len() == before {
            return "backing off";
        }
        // The source of the last failure, or of the doubtful token.
        let source = if self.doubts { HELD } else { FAILED };
        let done = probe.handle(Event::SourceChecked { request: probe.last_check(), source });
        if calls(&done) > 0 { "idle" } else { "backing off" }
    }
}
