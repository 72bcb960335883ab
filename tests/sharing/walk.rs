//! A credential and its machine for the shared store, which a test steps through. The test plays the store and the refresher.

use std::time::Duration;

use acs_common::sharing::{
    EntryName, Found, Owner, Record, Sharing, SharingAction, SharingEvent, SharingOptions, StoreAnswer, StoreCall,
    StoreOperation,
};
use acs_common::{
    Action, Event, Machine, NewToken, Notice, Now, Policy, Reason, RefresherError, RequestId, Secret, Token, UnixTime,
    Until,
};

use crate::support::rig::now;

pub fn record(token: &str, moment: Option<UnixTime>, life: Duration, known: bool) -> Record {
    let record = Record::new(Secret::new(token.to_owned()), life).with_life_known(known);
    match moment {
        Some(moment) => record.with_expires_on(moment),
        None => record,
    }
}

/// A record of another process, which is valid for so many hours.
pub fn usable(fence: u64, hours: u64) -> Found {
    let record = record(&format!("other-{fence}"), None, Duration::from_secs(3_600 * hours), true);
    Found::Record { record, fence, age: Duration::ZERO, marked: false }
}

pub fn marked() -> Found {
    let record = record("refused", None, Duration::from_secs(3_600), true);
    Found::Record { record, fence: 80, age: Duration::ZERO, marked: true }
}

pub fn kept() -> NewToken {
    NewToken::new("mine").with_expires_in(Duration::from_secs(3_600))
}

pub struct Walk {
    pub machine: Machine<u32>,
    pub sharing: Sharing,
    /// The token that the credential holds, or held.
    pub held: Option<Token>,
    pub request: RequestId,
    started: Option<(RequestId, Reason, Option<Until>)>,
    pub call: Option<StoreCall>,
    /// When the last operation of the store is given up.
    pub give_up: Option<Until>,
    /// The last record that was to be stored.
    pub written: Option<Record>,
    pub at: u64,
    /// By how much the wall clock was set forward, in milliseconds.
    pub stepped: i64,
}

impl Walk {
    pub fn new(policy: Policy) -> Self {
        Self {
            machine: Machine::new(None, policy.clone(), now(0)).unwrap(),
            sharing: Sharing::new(SharingOptions::default(), &policy, 3),
            held: None,
            request: RequestId::from_u64(1).unwrap(),
            started: None,
            call: None,
            give_up: None,
            written: None,
            at: 0,
            stepped: 0,
        }
    }

    pub fn now(&self) -> Now {
        let now = now(self.at);
        Now::new(now.monotonic, UnixTime::from_millis(now.unix.as_millis() + self.stepped))
    }

    /// Another token is wanted.
    pub fn run(&mut self, entry: Option<&str>) -> Vec<&'static str> {
        let event = match self.held.clone() {
            Some(than) => Event::AnotherRequested { waiter: 1, than },
            None => Event::TokenRequested { waiter: 1 },
        };
        self.machine.handle(Event::RequestCancelled { waiter: 1 }, self.now());
        self.machine.handle(event, self.now());
        let mut call = None;
        while let Some(action) = self.machine.poll_action() {
            if let Action::CallRefresher { request, reason, give_up } = action {
                call = Some((request, reason, give_up));
            }
        }
        self.started = Some(call.expect("a refresh starts"));
        self.restart(entry)
    }

    /// The same refresh, from its start.
    pub fn restart(&mut self, entry: Option<&str>) -> Vec<&'static str> {
        let (request, reason, give_up) = self.started.clone().unwrap();
        self.request = request;
        let (standing, owner) = (self.machine.standing(), Owner::from_bytes([9; 16]));
        let entry = entry.map(EntryName::new);
        self.tell(SharingEvent::Started { request, reason, give_up, standing, entry, owner })
    }

    pub fn reject(&mut self) -> Vec<&'static str> {
        let token = self.held.clone().unwrap();
        self.machine.handle(Event::TokenRejected { token: token.clone() }, self.now());
        while self.machine.poll_action().is_some() {}
        let standing = self.machine.standing();
        self.tell(SharingEvent::TokenRejected { token, standing })
    }

    pub fn answer(&mut self, answer: StoreAnswer) -> Vec<&'static str> {
        let call = self.call.unwrap();
        self.tell(SharingEvent::StoreAnswered { call, answer })
    }

    pub fn fail(&mut self) -> Vec<&'static str> {
        let call = self.call.unwrap();
        self.tell(SharingEvent::StoreFailed { call, error: RefresherError::new("down") })
    }

    pub fn later(&mut self, ms: u64) -> Vec<&'static str> {
        self.at += ms;
        self.tell(SharingEvent::TimeAdvanced)
    }

    pub fn tell(&mut self, event: SharingEvent) -> Vec<&'static str> {
        self.sharing.handle(event, self.now());
        let mut actions = Vec::new();
        while let Some(action) = self.sharing.poll_action() {
            actions.push(match action {
                SharingAction::Return { request, result } => match result {
                    Ok(token) => {
                        self.machine.handle(Event::TokenReceived { request, token }, self.now());
                        while self.machine.poll_action().is_some() {}
                        self.held = self.machine.token(self.now()).cloned();
                        "return token"
                    }
                    Err(error) => {
                        self.machine.handle(Event::RefreshFailed { request, error }, self.now());
                        "return failure"
                    }
                },
                SharingAction::CancelRefresher { .. } => "cancel",
                SharingAction::CallRefresher { .. } => "call",
                SharingAction::CancelStore { .. } => "drop",
                SharingAction::CallStore { call, operation, give_up, .. } => {
                    (self.call, self.give_up) = (Some(call), Some(give_up));
                    match operation {
                        StoreOperation::Read => "read",
                        StoreOperation::Take { .. } => "take",
                        StoreOperation::Finish { record: Some(record), .. } => {
                            self.written = Some(record);
                            "finish record"
                        }
                        StoreOperation::Finish { record: None, .. } => "finish none",
                        StoreOperation::Mark { .. } => "mark",
                    }
                }
                SharingAction::Watch { .. } => "watch",
                SharingAction::StopWatching => "stop watching",
                SharingAction::Notify(Notice::StoreFailed { .. }) => "failed",
                SharingAction::Notify(Notice::StoreBack) => "back",
                SharingAction::Notify(Notice::StoreRecordUnreadable) => "unreadable",
                SharingAction::Notify(other) => panic!("{other:?}"),
                SharingAction::ScheduleTimer { .. } => continue,
            });
        }
        actions
    }
}
