//! The two machines a scenario can be about, as one.

use acs_common::entra::{CallId, EntraAction, EntraEvent, EntraMachine};
use acs_common::{Action, Error, Event, Machine, Monotonic, Notice, Now, RequestId, Token};

pub enum Subject<'a> {
    Refresher(Box<Machine<&'a str>>),
    Entra(Box<EntraMachine<&'a str>>),
}

/// What any host tells any credential.
pub enum Happened<'a> {
    Requested(&'a str),
    Cancelled(&'a str),
    Rejected(Token),
    TimeAdvanced,
    TryNow,
    Disposed,
}

/// What it says.
pub enum Told<'a> {
    Answer(&'a str, Result<Token, Error>),
    Call(Pending),
    /// A host that cannot cancel: the late answer must change nothing.
    Cancel,
    Notice(Notice),
    Timer(Option<Monotonic>),
}

/// A call whose answer is to come.
#[derive(Clone, Copy, Debug)]
pub enum Pending {
    Refresh(RequestId),
    Source { call: CallId, fresh: bool },
    Exchange(CallId),
}

impl<'a> Subject<'a> {
    pub fn handle(&mut self, happened: Happened<'a>, now: Now) {
        match self {
            Self::Refresher(machine) => machine.handle(
                match happened {
                    Happened::Requested(waiter) => Event::TokenRequested { waiter },
                    Happened::Cancelled(waiter) => Event::RequestCancelled { waiter },
                    Happened::Rejected(token) => Event::TokenRejected { token },
                    Happened::TimeAdvanced => Event::TimeAdvanced,
                    Happened::TryNow => Event::TryNow,
                    Happened::Disposed => Event::Disposed,
                },
                now,
            ),
            Self::Entra(machine) => machine.handle(
                match happened {
                    Happened::Requested(waiter) => EntraEvent::TokenRequested { waiter },
                    Happened::Cancelled(waiter) => EntraEvent::RequestCancelled { waiter },
                    Happened::Rejected(token) => EntraEvent::TokenRejected { token },
                    Happened::TimeAdvanced => EntraEvent::TimeAdvanced,
                    Happened::TryNow => EntraEvent::TryNow,
                    Happened::Disposed => EntraEvent::Disposed,
                },
                now,
            ),
        }
    }

    /// An answer of the refresher.
    pub fn answer(&mut self, event: Event<&'a str>, now: Now) {
        if let Self::Refresher(machine) = self {
            machine.handle(event, now);
        }
    }

    /// An answer of the source of Entra tokens, or of the exchange.
    pub fn answer_entra(&mut self, event: EntraEvent<&'a str>, now: Now) {
        if let Self::Entra(machine) = self {
            machine.handle(event, now);
        }
    }

    pub fn token(&self, now: Now) -> Option<&Token> {
        match self {
            Self::Refresher(machine) => machine.token(now),
            Self::Entra(machine) => machine.token(now),
        }
    }

    pub fn refusal(&self, now: Now) -> Option<Error> {
        match self {
            Self::Refresher(machine) => machine.refusal(now),
            Self::Entra(machine) => machine.refusal(now),
        }
    }

    pub fn deadline(&self) -> Option<Monotonic> {
        match self {
            Self::Refresher(machine) => machine.deadline(),
            Self::Entra(machine) => machine.deadline(),
        }
    }

    pub fn poll(&mut self) -> Option<Told<'a>> {
        Some(match self {
            Self::Refresher(machine) => match machine.poll_action()? {
                Action::ReturnToken { waiter, result } => Told::Answer(waiter, result),
                Action::CancelRefresher { .. } => Told::Cancel,
                Action::CallRefresher { request } => Told::Call(Pending::Refresh(request)),
                Action::Notify(notice) => Told::Notice(notice),
                Action::ScheduleTimer { at } => Told::Timer(at),
            },
            Self::Entra(machine) => match machine.poll_action()? {
                EntraAction::ReturnToken { waiter, result } => Told::Answer(waiter, result),
                EntraAction::Cancel { .. } => Told::Cancel,
                EntraAction::AcquireEntraToken { call, fresh, .. } => Told::Call(Pending::Source { call, fresh }),
                EntraAction::SendRequest { call, .. } => Told::Call(Pending::Exchange(call)),
                EntraAction::Notify(notice) => Told::Notice(notice),
                EntraAction::ScheduleTimer { at } => Told::Timer(at),
            },
        })
    }
}
