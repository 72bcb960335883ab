//! What the source and the service answer, in time or not.

use std::time::Duration;

use acs_common::entra::ExchangeEvent;
use acs_common::{Action, Event, NewToken, RefresherError, RequestId, Source};

use super::ops::{self, Answer, Entra};
use super::{Asked, Held, NOBODY, World};

impl World {
    /// An answer that nobody waits for, or of the wrong kind for the stage, changes nothing; nor does one to a refresh that
    /// is over.
    pub(super) fn answer_late(&mut self, index: u8, answer: &Answer) {
        // First whatever the time brings, with nothing to do with the answer.
        self.handle(Event::RequestCancelled { waiter: NOBODY });
        let Some(request) = self.refreshes.get(usize::from(index) % self.refreshes.len().max(1)).copied() else {
            return;
        };
        let before = format!("{:?}", self.credential);
        if self.credential.exchange.as_ref().is_some_and(|(current, _)| *current == request) {
            let asked = self.outstanding.map(|(_, asked)| asked);
            for other in [Asked::Source, Asked::Service].into_iter().filter(|kind| asked != Some(*kind)) {
                let (event, _) = self.event(other, answer);
                self.tell_exchange_alone(event);
            }
            // It has been told to start, or has nothing to start with.
            if asked.is_some() {
                self.tell_exchange_alone(ExchangeEvent::Started { give_up: None });
            }
        } else {
            let source = Source { version: 1, user: 1 };
            self.credential.machine.handle(Event::SourceChecked { request, source }, self.now);
            let token = NewToken::new("late").with_expires_in(Duration::from_secs(3_600));
            self.credential.machine.handle(Event::TokenReceived { request, token }, self.now);
            let error = RefresherError::new("late");
            self.credential.machine.handle(Event::RefreshFailed { request, error }, self.now);
        }
        let after = format!("{:?}", self.credential);
        self.check(before == after, || format!("a late answer changed {before}"));
        self.drain();
    }

    fn tell_exchange_alone(&mut self, event: ExchangeEvent) {
        if let Some((_, exchange)) = &mut self.credential.exchange {
            exchange.handle(event, self.now);
        }
    }

    pub(super) fn answer(&mut self, request: RequestId, asked: Asked, answer: &Answer) {
        self.outstanding = None;
        let (event, brought) = self.event(asked, answer);
        let (failures, mut starts_clean) = (self.failures, false);
        match &event {
            ExchangeEvent::EntraTokenReceived { .. } => {
                let Answer::Gives(entra) = answer.of_source() else { unreachable!("it gave one") };
                let is_held = self.held.as_ref().is_some_and(|held| held.entra == entra);
                starts_clean = !entra.is_blank() && self.questions == 1 && self.failed != Some(entra) && !is_held;
                if !entra.is_blank() && (self.in_hand.is_none() || self.questions == 2) {
                    self.in_hand = Some(entra);
                    // A fuzzer may have guessed it, and put it into a service's mouth before.
                    let (text, shown) = (entra.text(), format!("{:?}", self.credential));
                    self.secret = Some(text).filter(|text| !shown.contains(text.as_str()));
                }
            }
            ExchangeEvent::SignedOut => (self.held, self.signed_out) = (None, true),
            _ => {}
        }
        self.brought = brought;
        self.pass_interval();
        if asked == Asked::Service {
            self.begin_pause();
        }
        let comes_late = self.is_over();
        self.credential.tell_exchange(request, event, self.now);
        self.drain();
        self.signed_out = false;
        let goes_on = self.failures > failures || self.credential.exchange.is_some() || comes_late;
        self.check(goes_on || !starts_clean, || "nothing has failed for it, but it is not exchanged".to_owned());
    }

    /// The time of the attempt in flight is over, and it is dropped. If nobody waits for it, it is not made again.
    fn is_over(&self) -> bool {
        let mut machine = self.credential.machine.clone();
        machine.handle(Event::TimeAdvanced, self.now);
        std::iter::from_fn(|| machine.poll_action()).any(|action| matches!(action, Action::CancelRefresher { .. }))
    }

    /// The event of an answer, and what token it would bring.
    fn event(&mut self, asked: Asked, answer: &Answer) -> (ExchangeEvent, Option<Held>) {
        if asked == Asked::Source {
            let event = match answer.of_source() {
                Answer::Gives(entra) => ExchangeEvent::EntraTokenReceived { token: entra.token() },
                Answer::SignsOut => ExchangeEvent::SignedOut,
                _ => ExchangeEvent::EntraTokenFailed { error: RefresherError::new("offline") },
            };
            return (event, None);
        }
        self.issued += 1;
        let text = format!("acs-{}", self.issued);
        let mut brought = None;
        let response = match answer {
            Answer::Succeeds(lives) => {
                let expiry = (
                    self.now.monotonic.as_millis().saturating_add_signed(*lives),
                    self.now.unix.as_millis().saturating_add(*lives),
                );
                if let Some(entra) = self.in_hand.filter(|_| *lives > 0) {
                    brought = Some(Held {
                        text: text.clone(),
                        entra,
                        expiry: Some(expiry),
                        token: None,
                        replaces: self.rejected.is_some(),
                    });
                }
                ops::success(&text, expiry.1)
            }
            Answer::Raw(response) => {
                let entra = self.in_hand.unwrap_or(Entra::ALICE);
                brought = Some(Held {
                    text: String::new(),
                    entra,
                    expiry: None,
                    token: None,
                    replaces: self.rejected.is_some(),
                });
                response.make(&entra.text())
            }
            Answer::Unreachable => {
                return (ExchangeEvent::TransportFailed { error: RefresherError::new("reset") }, None);
            }
            other => other.refusal(&self.in_hand.unwrap_or(Entra::ALICE).text()),
        };
        (ExchangeEvent::ResponseReceived { response }, brought)
    }
}
