//! The laws of the calls: one at a time, each told of once, no more of them than allowed, none too soon.

use acs_common::RequestId;

use super::{Asked, World};

/// The first try, three more, and one with another Entra token.
pub(super) const MOST_REQUESTS: u32 = 5;

impl World {
    pub(super) fn asked(&mut self, request: RequestId, fresh: bool) {
        self.called(request, Asked::Source);
        self.pause = None;
        if fresh {
            self.goes_on(request);
            self.questions += 1;
            let (questions, requests) = (self.questions, self.requests);
            self.check(questions == 2 && requests > 0, || format!("asked {questions} times, {requests} requests"));
            return;
        }
        let known = self.refreshes.contains(&request);
        self.check(!known, || format!("{request:?} again"));
        self.refreshes.push(request);
        self.in_hand = None;
        self.secret = None;
        self.questions = 1;
        self.requests = 0;
        self.pauses = 0;
        self.request_id = None;
        if !self.setup.each_request {
            self.start();
        }
    }

    pub(super) fn sent(&mut self, request: RequestId, attempt: u32, id: &str) {
        self.called(request, Asked::Service);
        self.goes_on(request);
        self.requests += 1;
        self.end_pause();
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

    /// A refresh starts, or an exchange where a check is no refresh: never within the minimum interval of the last one.
    fn start(&mut self) {
        let (last, over) = (self.started.replace(self.now), self.interval_over);
        self.check(over, || format!("the last refresh started at {last:?}"));
        self.interval_over = false;
        self.pass_interval();
    }

    /// An interval is over as soon as either clock has said so.
    pub(super) fn pass_interval(&mut self) {
        self.pass_pause();
        let Some(last) = self.started else { return };
        let mono = self.now.monotonic.as_millis() - last.monotonic.as_millis();
        let wall = self.now.unix.as_millis() - last.unix.as_millis();
        self.interval_over |= mono.max(u64::try_from(wall).unwrap_or_default()) >= self.setup.interval();
    }

    /// The service has answered, or not in full. If that is tried again, it takes the usual time at least, less jitter: but
    /// for the first time, when a hint may say less.
    pub(super) fn begin_pause(&mut self) {
        let usual = (800_u64 << self.pauses.min(2)) as f64 * (1.0 - self.setup.jitter);
        let least = if self.pauses == 0 { 0 } else { (usual as u64).saturating_sub(1) };
        self.pause = Some((self.now, least, least == 0));
    }

    fn end_pause(&mut self) {
        let Some((began, least, over)) = self.pause.take() else { return };
        self.pauses += 1;
        self.check(over, || format!("a pause of {least} ms that began at {began:?}"));
    }

    /// It is over as soon as either clock has said so.
    fn pass_pause(&mut self) {
        let now = self.now;
        if let Some((began, least, over)) = &mut self.pause {
            let mono = now.monotonic.as_millis() - began.monotonic.as_millis();
            let wall = now.unix.as_millis() - began.unix.as_millis();
            *over |= mono.max(u64::try_from(wall).unwrap_or_default()) >= *least;
        }
    }

    fn called(&mut self, request: RequestId, asked: Asked) {
        let outstanding = self.outstanding.replace((request, asked));
        self.check(outstanding.is_none(), || format!("{outstanding:?} is under way"));
        let disposed = self.disposed;
        self.check(!disposed, || "called after the end".to_owned());
    }

    /// The call is of the refresh under way.
    fn goes_on(&mut self, request: RequestId) {
        let current = self.refreshes.last().copied();
        self.check(current == Some(request), || format!("{request:?} goes on, but it is the turn of {current:?}"));
    }
}
