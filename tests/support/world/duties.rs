//! By when the machine must act, and what a state is, as far as the model knows.

use acs_common::Now;

use super::flight::{Flight, Stage};
use super::model::{Held, Model};
use super::ops::Ends;

impl Model {
    /// The waiters wait for a bounded time, and so does the machine. Returns by when the machine must act, and why.
    pub fn owes(&self, now: Now) -> Option<(u64, &'static str)> {
        if self.disposed {
            return None;
        }
        let held = self.held(now);
        if let Some(flight) = &self.flight {
            let check = flight.check.filter(|_| held.is_some() && flight.stage == Stage::Checking);
            let starts = self.min_interval.filter(|_| flight.stage == Stage::AwaitingStart);
            let all = [
                (flight.grace.or(flight.timeout), "the refresh's timeout"),
                (check, "the check's timeout"),
                (starts, "the minimum interval that the refresh waits for"),
            ];
            return all.into_iter().filter_map(|(end, why)| Some((end?.left(now), why))).min_by_key(|owed| owed.0);
        }
        if self.checks_each_request() && self.waiting.iter().any(|waiter| !self.missed.contains(waiter)) {
            return Some((0, "the check that a waiter waits for"));
        }
        if !self.waiting.is_empty() && held.is_none() || self.wants_other() {
            return Some((
                self.min_interval.map_or(0, |end| end.left(now)),
                "the minimum interval that a waiter waits for",
            ));
        }
        if self.wants_repetition() {
            return Some((self.min_interval.map_or(0, |end| end.left(now)), "the minimum interval of a repetition"));
        }
        if self.requested {
            return Some((
                self.min_interval.map_or(0, |end| end.left(now)),
                "the minimum interval after which a refresh is requested",
            ));
        }
        if self.options.proactive {
            return match held {
                Some(held) => Some((held.expiry.left(now), "the held token's expiry")),
                None if self.options.retry.is_some() || !self.failed_once => Some((u64::MAX, "the next try")),
                None => None,
            };
        }
        None
    }

    /// After how long at most a request starts a refresh, if it is repeated when the error says so.
    pub fn patience(&self, now: Now) -> u64 {
        [self.request_backoff, self.min_interval].into_iter().flatten().map(|end| end.left(now)).max().unwrap_or(0)
    }

    /// An on-demand credential without requests has no timer.
    pub fn is_idle(&self) -> bool {
        !self.options.proactive
            && self.waiting.is_empty()
            && self.flight.is_none()
            && !self.requested
            && !self.wants_repetition()
    }

    /// What the future of a drained host depends on. It leaves out texts, names and starts, which only have to be new;
    /// what belongs to the last event alone; and, after dispose, what mattered before it.
    pub fn state(&self, now: Now) -> String {
        let Self {
            disposed,
            waiting,
            others,
            next,
            owed,
            missed,
            held,
            replaces,
            flight,
            hidden: _,
            repetition,
            released,
            min_interval,
            request_backoff,
            timer_backoff,
            quiet,
            longest_backoff,
            requested,
            failed_once,
            gave_up,
            reasons,
            grace_began: _,
            events,
            failures,
            rejections,
            returned,
            unseen,
            accepted,
            kept,
            expired,
            source,
            options: _,
            last_start: _,
            asked: _,
            backed_off: _,
        } = self;
        let counts = [*events, *failures, *rejections, *returned, *unseen, *accepted, *kept, *expired];
        assert!(counts == [0; 8] && owed.is_empty() && missed.is_empty() && released.is_none(), "the host has drained");
        if *disposed {
            return format!("disposed {}", waiting.len());
        }
        let ahead = |end: &Option<Ends>| end.and_then(|end| end.ahead(now));
        let holds = held.is_some();
        let held =
            held.as_ref().map(|Held { text: _, token: _, source, expiry, half, probation, same_text, doubtful }| {
                let same_text = *same_text && probation.is_some();
                (
                    source.map(|source| source.version),
                    expiry.ahead(now),
                    ahead(half),
                    ahead(probation),
                    same_text,
                    doubtful,
                )
            });
        let flight = flight.as_ref().map(|flight| {
            let Flight {
                request: _,
                started: _,
                stage,
                called,
                timeout,
                grace,
                failures,
                check,
                trigger,
                source,
                before_rejection,
                over,
            } = flight;
            assert!(!over && *called == (*stage == Stage::Refreshing), "the host has drained");
            // The host already knows these, except for a check's trigger.
            let trigger = (*stage != Stage::Refreshing).then_some(trigger);
            (
                stage,
                ahead(timeout),
                ahead(grace),
                (*failures).min(self.options.long_streak().max(1)),
                ahead(&check.filter(|_| *stage == Stage::Checking)),
                trigger,
                source,
                before_rejection,
            )
        });
        let places = |waiters: &[u32]| -> Vec<_> {
            waiters.iter().map(|waiter| waiting.iter().position(|other| other == waiter)).collect()
        };
        let (next, others) = (places(next), places(others));
        let replaces = replaces.is_some();
        let failed = source.as_ref().and_then(|source| source.failed);
        let ends = (ahead(min_interval), ahead(request_backoff), ahead(timer_backoff), ahead(quiet));
        let reasons = reasons.state(holds, self.options.long_streak().max(1), now);
        format!(
            "{} {next:?} {others:?} {held:?} {replaces} {flight:?} {repetition:?} {failed:?} {ends:?} {longest_backoff} {requested} {failed_once} {gave_up} \
             {reasons}",
            waiting.len()
        )
    }
}
