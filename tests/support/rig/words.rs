//! The host's actions as words, with the timer as milliseconds from now.

use std::time::Duration;

use acs_common::{Error, Event, Monotonic, Notice};

use super::{Did, Rig};

impl Rig {
    /// Handles the event, and returns the actions.
    pub fn said(&mut self, event: Event<u32>) -> Vec<String> {
        let mut said: Vec<_> = self.handle(event).iter().map(Did::words).collect();
        if self.announced {
            let left = |at: Monotonic| at.as_millis() - self.at;
            said.push(self.timer.map_or("timer off".to_owned(), |at| format!("timer {}", left(at))));
        }
        said
    }

    pub fn ask(&mut self, waiter: u32) -> Vec<String> {
        self.said(Event::TokenRequested { waiter })
    }

    /// Requests another token than the held one.
    pub fn ask_for_another(&mut self, waiter: u32) -> Vec<String> {
        let than = self.held().expect("a token is held");
        self.said(Event::AnotherRequested { waiter, than })
    }

    pub fn look(&mut self) -> Vec<String> {
        self.said(Event::TimeAdvanced)
    }
}

impl Did {
    fn words(&self) -> String {
        let wait = |wait: &Option<Duration>| wait.map_or("none".to_owned(), |it| it.as_millis().to_string());
        match self {
            Self::Token(waiter, _) => format!("{waiter} served"),
            Self::Error(waiter, Error::RefreshFailed { cause, retry_in, .. }) => {
                format!("{waiter} refused: {}, {}", cause.kind().as_str(), wait(retry_in))
            }
            Self::Error(waiter, error) => format!("{waiter} refused: {error}"),
            Self::Cancel(_) => "drop the call".to_owned(),
            Self::Call(_) => "call".to_owned(),
            Self::Check(_) => "check".to_owned(),
            Self::Notice(Notice::TokenChanged { .. }) => "changed".to_owned(),
            Self::Notice(Notice::TokenKept { .. }) => "kept".to_owned(),
            Self::Notice(Notice::TokenExpired) => "expired".to_owned(),
            Self::Notice(Notice::RefreshFailed { retry_in, .. }) => format!("failed, {}", wait(retry_in)),
            Self::Notice(other) => format!("{other:?}"),
            Self::Ask => "ask".to_owned(),
            Self::Send => "send".to_owned(),
        }
    }
}
