//! The summary, and which promise was broken.

use std::fmt;
use std::time::{Duration, Instant};

use crate::issuer::{Issuer, LATENCY};
use crate::member::{LEASE, Member, SHORT, STORE_TIMEOUT};

/// For a machine that is busy with twenty processes.
const SLACK: Duration = Duration::from_millis(750);

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) processes: usize,
    pub(crate) seconds: u64,
    pub(crate) kills: usize,
    pub(crate) stops: usize,
    pub(crate) restarts: usize,
    pub(crate) torn: bool,
    issued: usize,
    needed: usize,
    served: u64,
    failed: u64,
    lost: u64,
    revoked: usize,
    /// How many calls waited, and for how long at most.
    waits: usize,
    longest: Duration,
    /// A wait that was longer than is promised, and what is promised.
    too_long: Option<(Duration, Duration)>,
}

impl Report {
    pub(crate) fn count(&mut self, issuer: &Issuer, members: &[Member]) {
        // A token is needed when the one before it is due or revoked, and not before. This is what the issuer sees.
        let revoked = issuer.revoked();
        self.revoked = revoked.len();
        let mut last: Option<(Instant, Instant)> = None;
        for asked in issuer.asked() {
            self.issued += 1;
            let is_due = |(before, due): (Instant, Instant)| {
                asked >= due || revoked.iter().any(|revoked| (before..asked).contains(revoked))
            };
            if last.is_none_or(is_due) {
                self.needed += 1;
                // Its life began when it was asked for. It is due when half of what was left at its arrival is over. On a busy
                // machine the issuer hears of it late.
                let due = asked + LATENCY + (issuer.life - LATENCY) / 2 - Duration::from_millis(300);
                last = Some((asked, due));
            }
        }
        let harm: Vec<Instant> =
            members.iter().flat_map(|m| m.killed.into_iter().chain(m.stops.iter().map(|stop| stop.0))).collect();
        for member in members {
            let said = member.said();
            self.served += said.served;
            self.failed += said.failed;
            self.lost += said.lost;
            for (ended, waited) in said.waits {
                let began = ended - waited;
                // A process that is stopped itself waits for nobody else.
                if member.stops.iter().any(|stop| began < stop.1 + SLACK && ended > stop.0) {
                    continue;
                }
                let held_up = harm.iter().filter(|at| **at + LEASE > began && **at < ended).count();
                let allowed = LATENCY + STORE_TIMEOUT + SLACK + LEASE * u32::try_from(held_up).unwrap_or(u32::MAX);
                self.waits += 1;
                self.longest = self.longest.max(waited);
                if waited > allowed {
                    self.too_long = Some((waited, allowed));
                }
            }
        }
    }

    fn faults(&self) -> usize {
        self.kills + self.stops + self.restarts + usize::try_from(self.lost).unwrap_or(usize::MAX)
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.broken().is_empty()
    }

    fn broken(&self) -> Vec<String> {
        let more = self.issued - self.needed;
        let mut broken = Vec::new();
        let mut check = |is_broken: bool, what: String| {
            if is_broken {
                broken.push(what);
            }
        };
        check(more > self.faults(), format!("{more} tokens more than needed, for {} faults", self.faults()));
        check(self.failed > 0, format!("{} calls got no token", self.failed));
        check(self.served == 0, "no call was served".to_owned());
        check(self.torn, "the entry is torn".to_owned());
        if let Some((waited, allowed)) = self.too_long {
            check(true, format!("a call waited {waited:?}, and {allowed:?} are allowed"));
        }
        broken
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processes, seconds, kills, stops, restarts, revoked, issued, needed, .. } = self;
        let Self { served, failed, waits, lost, .. } = self;
        writeln!(
            f,
            "{processes} processes, {seconds} s: {kills} killed, {stops} stopped, {restarts} restarts of the server"
        )?;
        let (short, longest) = (SHORT.as_millis(), self.longest.as_millis());
        write!(f, "  calls: {served} served, {failed} failed; {waits} waited over {short} ms")?;
        writeln!(f, ", the longest {longest} ms")?;
        write!(f, "  tokens: {issued} issued, {revoked} revoked, {needed} needed, so {} more; ", issued - needed)?;
        writeln!(f, "faults: {} ({lost} lost or late operations among them)", self.faults())?;
        match &self.broken()[..] {
            [] => write!(f, "  every promise was kept"),
            broken => write!(f, "  BROKEN: {}", broken.join("; ")),
        }
    }
}
