//! Why the refresher is called, from records separate from the machine's: how the last token was lost, what caused the
//! first call since a token was accepted, how many refreshes in a row have failed, and which token was rejected.
//!
//! Without jitter, the end of a streak is known exactly. With jitter there are two bounds. Between them a streak may be
//! over or not: then the machine decides.

use acs_common::{Now, Reason, Token, Trigger};

use super::ops::{Ends, Fails, Options};

/// The earliest and the latest moment at which a wait can end.
type Bounds = [Ends; 2];

#[derive(Clone, Debug)]
pub struct Reasons {
    /// Why no token is held. `None` while one is held.
    pub lost: Trigger,
    /// What caused the first call since a token was accepted.
    pub origin: Option<Trigger>,
    pub rejected: Option<Token>,
    /// The possible numbers of failures in a row: one, or several.
    failures: Vec<u32>,
    streak: Option<Bounds>,
    /// A bound is removed when its time comes.
    timer: [Option<Ends>; 2],
    /// Rejections of replacements in a row; `None` if it is not known.
    rejections: Option<u32>,
    rejection_streak: Option<Bounds>,
}

impl Reasons {
    pub fn new() -> Self {
        Self {
            lost: Trigger::First,
            origin: None,
            rejected: None,
            failures: vec![0],
            streak: None,
            timer: [None; 2],
            rejections: Some(0),
            rejection_streak: None,
        }
    }

    pub fn before_event(&mut self, now: Now) {
        for end in &mut self.timer {
            end.take_if(|end| end.come(now));
        }
        match self.streak {
            Some([_, latest]) if latest.come(now) => (self.failures, self.streak) = (vec![0], None),
            Some([earliest, _]) if earliest.come(now) => self.failures.push(0),
            Some(_) | None => {}
        }
        self.failures.sort_unstable();
        self.failures.dedup();
        match self.rejection_streak {
            Some([_, latest]) if latest.come(now) => self.forget_rejections(),
            Some([earliest, _]) if earliest.come(now) => self.rejections = None,
            Some(_) | None => {}
        }
    }

    /// A token was accepted, or the source confirmed the one held.
    pub fn end_backoff(&mut self) {
        (self.failures, self.streak, self.timer) = (vec![0], None, [None; 2]);
    }

    /// The replacement of a rejected token was not rejected in time, or its failures no longer count.
    pub fn forget_rejections(&mut self) {
        (self.rejections, self.rejection_streak) = (Some(0), None);
    }

    pub fn failed(&mut self, fails: Fails, options: &Options, left: u64, now: Now) {
        self.failures.iter_mut().for_each(|count| *count = count.saturating_add(1));
        let count = if let [count] = self.failures[..] { Some(count) } else { None };
        self.back_off(fails, count, options, left, now);
    }

    pub fn rejection_failed(&mut self, options: &Options, left: u64, now: Now) {
        self.rejections = self.rejections.map(|count| count.saturating_add(1));
        self.back_off(Fails { permanent: false, retry_after: None }, self.rejections, options, left, now);
        self.rejection_streak = self.streak;
    }

    /// A refresh failed that was never announced.
    pub fn failed_unseen(&mut self, options: &Options, now: Now) {
        let more: Vec<_> = self.failures.iter().map(|count| count.saturating_add(1)).collect();
        self.failures.extend(more);
        let most = Ends::after(now, u64::MAX);
        self.streak = options.retry.map(|_| [Ends::after(now, 0), most]);
        self.timer = [None, options.retry.map(|_| most)];
    }

    fn back_off(&mut self, fails: Fails, streak: Option<u32>, options: &Options, left: u64, now: Now) {
        let Some((initial, max)) = options.retry else { return };
        let asked = fails.retry_after.unwrap_or(0);
        let least = asked.max(options.min_interval.min(max)).max(1);
        let most = max.max(options.lengthened(asked)).max(options.min_interval).max(1);
        let bounds = match streak {
            _ if options.jitter > 0.0 => [least, most],
            _ if fails.permanent => [max.max(least); 2],
            Some(streak) => {
                let base = initial.saturating_mul(1_u64.checked_shl(streak - 1).unwrap_or(u64::MAX)).min(max);
                let calm = if left > 0 { base.min(left / 2) } else { base };
                [calm.max(asked).max(options.min_interval).max(1); 2]
            }
            None => [least, most],
        };
        // A running backoff is never shortened.
        let later = |before: Option<Ends>, millis| {
            let end = Ends::after(now, millis);
            before.map_or(end, |before| before.later(end, now))
        };
        let timer = [later(self.timer[0], bounds[0]), later(self.timer[1], bounds[1])];
        self.timer = timer.map(Some);
        self.streak = Some(timer.map(|end| end.plus(max).plus(1)));
    }

    /// The trigger of a call that starts now for this cause.
    pub fn start(&mut self, cause: Trigger, requested: bool, said: &Reason) -> Trigger {
        let is_first = self.origin.is_none();
        self.origin.get_or_insert(cause);
        let has_failed = if self.failures.contains(&said.failures) { said.failures > 0 } else { self.failures != [0] };
        match (cause, requested, has_failed) {
            (Trigger::First, ..) if is_first => Trigger::First,
            (_, true, _) => Trigger::Requested,
            (_, false, true) => Trigger::Retry,
            (_, false, false) => cause,
        }
    }

    /// Whether the reasons are still those of the start, or those of the call that this one repeats.
    pub fn judge_again(&mut self, trigger: Trigger, failures: u32, said: &Reason) -> Result<(), String> {
        let now = std::mem::replace(&mut self.failures, vec![failures]);
        let judged = self.judge(trigger, said);
        self.failures = now;
        judged
    }

    /// Whether the machine's reasons are true. The trigger is known from the start.
    pub fn judge(&mut self, trigger: Trigger, said: &Reason) -> Result<(), String> {
        let first = self.origin.unwrap_or(trigger);
        let same_rejected = match (&self.rejected, &said.rejected) {
            (Some(rejected), Some(said)) => rejected.ptr_eq(said),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let agrees = said.trigger == trigger && said.first == first && same_rejected;
        if !agrees || !self.failures.contains(&said.failures) {
            return Err(format!("it says {said:?}, not {trigger:?}, first {first:?}, by {self:?}"));
        }
        self.failures = vec![said.failures];
        Ok(())
    }

    /// For a search: the parts that the host can still observe.
    pub fn state(&self, holds: bool, most: u32, now: Now) -> String {
        let Self { lost, origin, rejected, failures, streak, timer, rejections, rejection_streak } = self;
        let ahead = |bounds: &Option<Bounds>| bounds.map(|bounds| bounds.map(|end| end.ahead(now)));
        let runs = |bounds: &Option<Bounds>| ahead(bounds).filter(|bounds| bounds[1].is_some());
        let lost = (!holds).then_some(lost);
        // Failures of a streak that is over do not count.
        let is_over = streak.is_some() && runs(streak).is_none();
        let failures: Vec<_> = failures.iter().map(|count| if is_over { 0 } else { *count.min(&most) }).collect();
        let rejections = runs(rejection_streak).and(rejections.map(|count| count.min(most)));
        format!(
            "{lost:?} {origin:?} {} {failures:?} {:?} {:?} {rejections:?} {:?}",
            rejected.is_some(),
            runs(streak),
            timer.map(|end| end.and_then(|end| end.ahead(now))),
            runs(rejection_streak)
        )
    }
}
