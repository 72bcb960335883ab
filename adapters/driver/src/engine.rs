//! The two machines a driver can drive, as one.

#[cfg(feature = "entra")]
use acs_common::entra::{EntraAction, EntraEvent, EntraMachine};
use acs_common::{Action, Error, Event, Machine, Monotonic, Notice, Now, Snapshot, Token};

use crate::work::{Call, Happened};

#[cfg_attr(feature = "entra", expect(clippy::large_enum_variant, reason = "the large one is the usual one"))]
pub(crate) enum Engine {
    Refresher(Machine<usize>),
    #[cfg(feature = "entra")]
    Entra(Box<EntraMachine<usize>>),
}

/// What to do.
pub(crate) enum ToDo {
    Return(usize, Result<Token, Error>),
    /// Drop the call in flight: there is never more than one.
    Cancel,
    Call(Call),
    Notify(Notice),
    Schedule(Option<Monotonic>),
}

impl Engine {
    pub(crate) fn handle(&mut self, happened: Happened, now: Now) {
        match self {
            Self::Refresher(machine) => machine.handle(
                match happened {
                    Happened::TokenRequested(waiter) => Event::TokenRequested { waiter },
                    Happened::RequestCancelled(waiter) => Event::RequestCancelled { waiter },
                    Happened::TokenRejected(token) => Event::TokenRejected { token },
                    Happened::TryNow => Event::TryNow,
                    Happened::Disposed => Event::Disposed,
                    Happened::Answered(event) => event,
                    Happened::TimeAdvanced => Event::TimeAdvanced,
                    #[cfg(feature = "entra")]
                    Happened::AnsweredEntra(_) => Event::TimeAdvanced,
                },
                now,
            ),
            #[cfg(feature = "entra")]
            Self::Entra(machine) => machine.handle(
                match happened {
                    Happened::TokenRequested(waiter) => EntraEvent::TokenRequested { waiter },
                    Happened::RequestCancelled(waiter) => EntraEvent::RequestCancelled { waiter },
                    Happened::TokenRejected(token) => EntraEvent::TokenRejected { token },
                    Happened::TryNow => EntraEvent::TryNow,
                    Happened::Disposed => EntraEvent::Disposed,
                    Happened::AnsweredEntra(event) => event,
                    Happened::TimeAdvanced | Happened::Answered(_) => EntraEvent::TimeAdvanced,
                },
                now,
            ),
        }
    }

    pub(crate) fn poll(&mut self) -> Option<ToDo> {
        match self {
            Self::Refresher(machine) => machine.poll_action().map(|action| match action {
                Action::ReturnToken { waiter, result } => ToDo::Return(waiter, result),
                Action::CancelRefresher { .. } => ToDo::Cancel,
                Action::CallRefresher { request } => ToDo::Call(Call::Refresh(request)),
                Action::Notify(notice) => ToDo::Notify(notice),
                Action::ScheduleTimer { at } => ToDo::Schedule(at),
            }),
            #[cfg(feature = "entra")]
            Self::Entra(machine) => machine.poll_action().map(|action| match action {
                EntraAction::ReturnToken { waiter, result } => ToDo::Return(waiter, result),
                EntraAction::Cancel { .. } => ToDo::Cancel,
                EntraAction::AcquireEntraToken { call, scopes, fresh } => {
                    ToDo::Call(Call::Acquire(call, Box::new((scopes, fresh))))
                }
                EntraAction::SendRequest { call, request } => ToDo::Call(Call::Send(call, Box::new(request))),
                EntraAction::Notify(notice) => ToDo::Notify(notice),
                EntraAction::ScheduleTimer { at } => ToDo::Schedule(at),
            }),
        }
    }

    pub(crate) fn token(&self, now: Now) -> Option<&Token> {
        match self {
            Self::Refresher(machine) => machine.token(now),
            #[cfg(feature = "entra")]
            Self::Entra(machine) => machine.token(now),
        }
    }

    pub(crate) fn refusal(&self, now: Now) -> Option<Error> {
        match self {
            Self::Refresher(machine) => machine.refusal(now),
            #[cfg(feature = "entra")]
            Self::Entra(machine) => machine.refusal(now),
        }
    }

    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        match self {
            Self::Refresher(machine) => machine.snapshot(),
            #[cfg(feature = "entra")]
            Self::Entra(machine) => machine.snapshot(),
        }
    }
}
