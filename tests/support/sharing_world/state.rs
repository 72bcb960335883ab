//! Which worlds have the same future: those that read the same relative to now.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};

use super::World;

impl World {
    /// A number of all that the future depends on. Times are relative to now, waits that are over are equal. Fences are ranks, and
    /// ids are named in the order in which they appear. The chance in waits is left out.
    pub fn state(&self) -> u64 {
        let mut text = String::with_capacity(8_192);
        for process in &self.processes {
            let Some(process) = process else {
                text.push_str("dead;");
                continue;
            };
            let machine = format!("{:?}", process.machine);
            text.push_str(machine.split_once("kind: ").map_or("", |(_, machine)| machine));
            let sharing = format!("{:?}", process.sharing);
            text.push_str(sharing.split_once("memory: ").map_or("", |(_, sharing)| sharing));
            let paused = process.paused.then(|| (self.at - process.since_paused).min(super::LEASE));
            let watched = process.watching.map(|since| self.at - since);
            for (owner, fence) in &process.fences {
                let _ = write!(text, "{owner:?}fence: {fence},");
            }
            for fence in process.rejected.keys() {
                let _ = write!(text, "fence: {fence},");
            }
            for answer in &process.inbox {
                let super::Answer { call, owner, reply, when } = answer;
                let _ = write!(text, "{call:?}{owner:?}{reply:?}{}", self.at - when.sent);
            }
            let last = process.last.as_ref().map(|(reply, _)| reply);
            let _ =
                write!(text, "{paused:?}{:?}{}{last:?}{}{watched:?}", process.call, process.waiting, process.waited);
        }
        let now = self.store_now();
        let record = self.store.record.as_ref().map(|(record, fence, at)| (record, fence, now as i64 - *at as i64));
        let lease = self.store.lease.as_ref().map(|lease| (lease.owner, lease.fence, lease.ends as i64 - now as i64));
        let _ = write!(text, "{record:?}{lease:?}fence: {},fence: {},", self.store.given, self.store.marked);
        for owner in &self.finished {
            let _ = write!(text, "{owner:?}");
        }
        for sent in &self.net {
            let _ = write!(text, "{}{:?}{:?}{}", sent.process, sent.call, sent.what, sent.half_done);
        }
        let spent = self.spent();
        let slack =
            1 + spent + self.failures + self.faults - self.refreshes.min(1 + spent + self.failures + self.faults);
        let ends: Vec<_> =
            self.tokens.iter().filter(|token| token.ends > self.at).map(|token| token.ends - self.at).collect();
        let _ = write!(text, "{slack} {} {ends:?} {:?}", self.faults, (self.was_set_back, self.was_late));
        let mut hasher = DefaultHasher::new();
        Reader { world: self, names: HashMap::new() }.plain(&text).hash(&mut hasher);
        hasher.finish()
    }
}

struct Reader<'a> {
    world: &'a World,
    names: HashMap<(&'static str, String), usize>,
}

impl Reader<'_> {
    fn plain(&mut self, text: &str) -> String {
        let mut plain = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(byte) = rest.bytes().next() {
            if let Some(after) = self.special(rest, &mut plain) {
                rest = after;
                continue;
            }
            let step = if byte.is_ascii() { 1 } else { rest.chars().next().map_or(1, char::len_utf8) };
            plain.push_str(&rest[..step]);
            rest = &rest[step..];
        }
        plain
    }

    fn special<'t>(&mut self, rest: &'t str, plain: &mut String) -> Option<&'t str> {
        let number = |text: &'t str| {
            let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
            (&text[..end], &text[end..])
        };
        if let Some(after) = rest.strip_prefix("Monotonic(") {
            let (digits, after) = number(after);
            let left = digits.parse::<u64>().unwrap_or(0).saturating_sub(self.world.at);
            let _ = write!(plain, "M{left}");
            return Some(after);
        }
        for (prefix, kind) in
            [("StoreCall(", "call"), ("RequestId(", "request"), ("Owner([", "owner"), ("fence: ", "fence")]
        {
            let Some(after) = rest.strip_prefix(prefix) else { continue };
            let (digits, after) = number(after);
            if digits.is_empty() {
                return None;
            }
            let known = self.names.len();
            let name = *self.names.entry((kind, digits.to_owned())).or_insert(known);
            let _ = write!(plain, "{kind}{name}");
            return Some(after);
        }
        for prefix in ["Random(", "calls: ", "number: "] {
            if let Some(after) = rest.strip_prefix(prefix) {
                return Some(number(after).1);
            }
        }
        // A moment: it is relative to the start, and so to now.
        if rest.starts_with("20") && rest.get(10..11) == Some("T") && rest.get(4..5) == Some("-") {
            let end = rest.find('Z')?;
            let moment = seconds(rest.get(..end)?)?;
            let left = (moment - super::START * 1_000 - self.world.at as i64).max(-1);
            let _ = write!(plain, "W{left}");
            return Some(&rest[end + 1..]);
        }
        None
    }
}

/// A moment of 2023 or soon after, in milliseconds.
fn seconds(text: &str) -> Option<i64> {
    let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day - 1 - 719_468;
    let millis = text.get(20..).map_or(Some(0), |text| text.parse::<i64>().ok())?;
    Some((((days * 24 + part(11..13)?) * 60 + part(14..16)?) * 60 + part(17..19)?) * 1_000 + millis)
}
