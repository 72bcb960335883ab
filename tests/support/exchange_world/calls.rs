//! The laws of the calls: one at a time, each told of once, no more of them than allowed, none too soon.

use acs_common::entra::CallId;

use super::{Asked, World};

/// The first try, three more, and one with another Entra token.
const MOST_REQUESTS: u32 = 5;

impl World {
    pub(super) fn asked(&mut self, call: CallId, fresh: bool) {
        self.called(call, Asked::Source);
        if fresh {
            self.questions += 1;
            let (questions, requests) = (self.questions, self.requests);
            self.check(questions == 2 && requests > 0, || format!("asked {questions} times, {requests} requests"));
            return;
        }
        self.in_hand = None;
        self.secret = None;
        self.questions = 1;
        self.requests = 0;
        self.request_id = None;
        if !self.setup.each_request {
            self.start();
        }
    }

    pub(super) fn sent(&mut self, call: CallId, attempt: u32, id: &str) {
        self.called(call, Asked::Service);
        self.requests += 1;
        let requests = self.requests;
        self.check(attempt == requests && requests <= MOST_REQUESTS, || format!("request {requests} is try {attempt}"));
        let most = MOST_REQUESTS - 2 + self.questions;
        self.check(requests <= most, || format!("{requests} requests"));
        match &self.request_id {
            Some(known) => {
                let same = known == id;
                self.check(same, || format!("its id is {id} now"));
            }
            None => {
                let new = self.request_ids.insert(id.to_owned());
                self.check(new, || format!("the id {id} again"));
                self.request_id = Some(id.to_owned());
                if self.setup.each_request {
                    self.start();
                }
            }
        }
    }

    /// A refresh starts, or an exchange where checks are none: never within the floor of the last one.
    fn start(&mut self) {
        let (last, over) = (self.started.replace(self.now), self.floor_over);
        self.check(over, || format!("the last refresh started at {last:?}"));
        self.floor_over = false;
        self.pass_floor();
    }

    /// A floor is over as soon as either clock has said so.
    pub(super) fn pass_floor(&mut self) {
        let Some(last) = self.started else { return };
        let mono = self.now.monotonic.as_millis() - last.monotonic.as_millis();
        let wall = self.now.unix.as_millis() - last.unix.as_millis();
        self.floor_over |= mono.max(u64::try_from(wall).unwrap_or_default()) >= self.setup.floor();
    }

    fn called(&mut self, call: CallId, asked: Asked) {
        let outstanding = self.outstanding.replace((call, asked));
        self.check(outstanding.is_none(), || format!("{outstanding:?} is under way"));
        let known = self.calls.iter().any(|(other, _)| *other == call);
        self.check(!known, || format!("{call:?} again"));
        self.calls.push((call, asked));
        let disposed = self.disposed;
        self.check(!disposed, || "called after the end".to_owned());
    }
}
