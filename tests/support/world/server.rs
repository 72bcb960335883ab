//! A server whose clock is not the device's (contract, section 7): its tokens, its `Date`s, and what the device may make of them.
//!
//! The rest of the model learns from the machine for how long a token is valid. This file says which answers are right.

use acs_common::{Action, DateSource, Event, Machine, Monotonic, NewToken, Notice, Now, RequestId, UnixTime};

use super::law::Law;
use super::model::Model;
use super::ops::{Brings, Ends, Fails, Verdict};
use super::{CENTURIES, World, last_part};

/// The late end of a reading: a `Date` has no fractions, and a server reads its clock some time before it answers.
const DATE_ERROR: u64 = 2_000;
/// A reading of a longer round trip is not kept.
const LONGEST_TRIP: u64 = 30_000;

/// The `Date` of a response, by a service or by the issuer itself.
#[derive(Clone, Copy, Debug)]
pub struct Dated {
    pub by: DateSource,
    /// By how many milliseconds it is wrong.
    pub off: i64,
    /// How many milliseconds ago the request was sent.
    pub took: u64,
}

#[derive(Clone, Debug)]
pub struct Server {
    /// By how much the wall clock is ahead of the server's.
    ahead: i64,
    /// A `Date` was wrong.
    lied: bool,
    /// After both, no clock of the device knows how much time has passed.
    slept: bool,
    set_back: bool,
    /// When the run began: no reading is older.
    since: Now,
    /// The last accepted token, if its life needs the server's clock.
    issued: Option<Issued>,
}

/// A token, as the server knows it.
#[derive(Clone, Debug)]
struct Issued {
    text: String,
    /// Its end by the server's clock.
    end: i64,
    /// For how long it was issued, or else the life that was laid first; and since when.
    most: (u64, Now),
    /// Its life was laid while a reading of the server's clock held.
    trusted: bool,
}

impl Server {
    pub fn new(ahead: i64, since: Now) -> Self {
        Self { ahead, lied: false, slept: false, set_back: false, since, issued: None }
    }

    pub fn sleeps(&mut self, by: u64) {
        self.slept |= by > 0;
    }

    pub fn wall_clock_set(&mut self, by: i64) {
        self.ahead = self.ahead.saturating_add(by);
        self.set_back |= by < 0;
    }

    pub fn monotonic_clock_set(&mut self) {
        (self.slept, self.set_back) = (true, true);
    }

    fn clock(&self, now: Now) -> i64 {
        now.unix.as_millis().saturating_sub(self.ahead)
    }

    /// The `Date` of a response to a request that was sent so many milliseconds ago: the server reads its clock at once, and leaves
    /// out the fraction of the second.
    fn date(&self, took: u64, now: Now) -> UnixTime {
        let clock = self.clock(now).saturating_sub_unsigned(took);
        date((clock - 1).div_euclid(1_000).saturating_mul(1_000))
    }

    /// Every `Date` was right, and a clock of the device knows how much time has passed.
    fn is_honest(&self) -> bool {
        !(self.lied || self.slept && self.set_back)
    }

    fn issued(&self, text: &str) -> Option<&Issued> {
        self.issued.as_ref().filter(|issued| issued.text == text)
    }

    /// What the future depends on, beside the machine.
    pub fn state(&self, text: Option<&str>, now: Now) -> String {
        let held = text.and_then(|text| self.issued(text));
        let held = held.map(|held| (held.end - self.clock(now), held.most, held.trusted));
        format!("{} {} {} {} {held:?} at {now:?}", self.ahead, self.lied, self.slept, self.set_back)
    }
}

impl World {
    pub(super) fn has_server(&self) -> bool {
        self.server.is_some()
    }

    /// The token that an answer brings, and what the contract says about it by the issuer's clock.
    pub(super) fn issue(&self, text: &str, brings: Brings, dated: bool) -> (NewToken, Verdict) {
        let asked = self.model.flight.as_ref().map_or(self.now, |flight| flight.started);
        let Some(server) = &self.server else { return brings.make(text, &self.model.options, asked, self.now) };
        // A token without an end says nothing about a clock.
        let brings = if matches!(brings, Brings::Endless) { Brings::Until(CENTURIES) } else { brings };
        // A lifetime needs no clock of the server.
        let unix = if matches!(brings, Brings::Lasting(_)) { self.now.unix } else { date(server.clock(self.now)) };
        let (token, verdict) = brings.make(text, &self.model.options, asked, Now::new(self.now.monotonic, unix));
        let token = if dated { token.with_server_time(server.date(0, self.now)) } else { token };
        (token, verdict)
    }

    /// A response of the service, or of the issuer.
    pub(super) fn server_date(&mut self, dated: Dated) {
        let Some(server) = &mut self.server else { return self.look() };
        server.lied |= dated.off != 0;
        let seen = date(server.date(dated.took, self.now).as_millis().saturating_add(dated.off));
        let sent = Now::new(
            Monotonic::from_millis(self.now.monotonic.as_millis().saturating_sub(dated.took)),
            date(self.now.unix.as_millis().saturating_sub_unsigned(dated.took)),
        );
        let event = || Event::ServerTimeSeen { date: seen, sent, by: dated.by };
        self.before_event();
        let after = self.machine_after(event());
        self.learn_held(&after);
        self.hand_in(event());
    }

    /// An answer of the issuer, which the machine judges by the server's time. Returns the verdict, if it is right.
    pub(super) fn learn_verdict(&mut self, request: RequestId, text: &str, brings: Brings, dated: bool) -> Verdict {
        let (token, truth) = self.issue(text, brings, dated);
        let after = self.machine_after(Event::TokenReceived { request, token });
        let name = last_part(text);
        let accepted = after.token(self.now).filter(|token| last_part(token.secret().expose()) == name);
        let left = accepted.map_or(0, |_| ends(&after, self.now).left(self.now));
        if left == 0 {
            self.learn_held(&after);
        }
        if truth == Verdict::Invalid || matches!(brings, Brings::Lasting(_) | Brings::Opaque) {
            return truth;
        }
        let Some(server) = &mut self.server else { return truth };
        let true_left = if let Verdict::Alive { left } = truth { left } else { 0 };
        let end = server.clock(self.now).saturating_add_unsigned(true_left);
        let most = issued_for(brings, server.clock(self.now)).unwrap_or(left);
        let trusted = dated || after.server_time(self.now).is_some();
        if left > 0 {
            server.issued = Some(Issued { text: name, end, most: (most, self.now), trusted });
        }
        let asked = self.model.flight.as_ref().map_or(self.now, |flight| flight.started);
        let error = if dated { 2 * DATE_ERROR + longest(asked, self.now) } else { self.reading_error() };
        self.check(Law::ServerTime, left <= most, |_| format!("valid for {left} ms, issued for {most} ms"));
        self.check_life(left, true_left, error, trusted);
        if left > 0 { Verdict::Alive { left } } else { Verdict::Expired }
    }

    /// A failure with the server's time.
    pub(super) fn learn_from_failure(&mut self, request: RequestId, fails: Fails) {
        let after = self.machine_after(Event::RefreshFailed { request, error: self.failure(fails) });
        self.learn_held(&after);
    }

    pub(super) fn failure(&self, fails: Fails) -> acs_common::RefresherError {
        let error = fails.make();
        match &self.server {
            Some(server) => error.with_server_time(server.date(0, self.now)),
            None => error,
        }
    }

    /// A new reading may lay the held token anew.
    fn learn_held(&mut self, after: &Machine<u32>) {
        let now = self.now;
        let Some(held) = self.model.held(now) else { return };
        let (text, before) = (held.text.clone(), held.expiry);
        let stays = after.token(now).is_some_and(|token| last_part(token.secret().expose()) == text);
        let new = if stays { ends(after, now) } else { Ends::after(now, 0) };
        let is_same = stays && (new.mono, new.wall) == (before.mono, before.wall);
        let trusted = after.server_time(now).is_some();
        let is_first = trusted && self.machine.server_time(now).is_none();
        let Some(server) = &mut self.server else { return };
        let clock = server.clock(now);
        let Some(issued) = server.issued.as_mut().filter(|issued| issued.text == text) else {
            return self
                .check(Law::ServerTime, is_same, |_| format!("{text} needs no server's clock, but is laid anew"));
        };
        if !is_same {
            self.model.lay_anew(new.left(now), now);
        }
        if is_same && (issued.trusted || !is_first) {
            return;
        }
        issued.trusted = trusted;
        let (most, accepted) = issued.most;
        let most = most.saturating_sub(longest(accepted, now));
        let true_left = u64::try_from(issued.end.saturating_sub(clock)).unwrap_or(0);
        let (left, error) = (new.left(now), self.reading_error());
        self.check(Law::ServerTime, left <= most, |_| format!("laid anew for {left} ms, {most} ms were left"));
        self.check_life(left, true_left.min(most), error, trusted);
    }

    /// How early a token may end by a reading that still holds.
    fn reading_error(&self) -> u64 {
        let elapsed = self.server.as_ref().map_or(0, |server| longest(server.since, self.now));
        2 * DATE_ERROR + LONGEST_TRIP + elapsed / 500
    }

    /// By a right reading a token ends no later than by the server's clock, and no earlier than the error of the reading.
    fn check_life(&mut self, left: u64, true_left: u64, error: u64, trusted: bool) {
        if trusted && self.server.as_ref().is_some_and(Server::is_honest) {
            let right = left <= true_left && left.saturating_add(error) >= true_left;
            self.check(Law::ServerTime, right, |world| {
                format!(
                    "valid for {left} ms, by the server's clock for {true_left} ms, error {error} ms: {:?}",
                    world.server
                )
            });
        }
    }

    /// No token is served that the server's clock calls expired.
    pub(super) fn check_served(&mut self) {
        let Some(server) = self.server.as_ref().filter(|server| server.is_honest()) else { return };
        let Some(token) = self.machine.token(self.now) else { return };
        let issued = server.issued(&last_part(token.secret().expose())).filter(|issued| issued.trusted);
        let expired = issued.map(|issued| issued.end).filter(|end| *end <= server.clock(self.now));
        self.check(Law::ServerTime, expired.is_none(), |world| format!("served after {expired:?}: {:?}", world.server));
    }

    /// A notice about the wall clock states on which side of the server's it is.
    pub(super) fn check_skew(&mut self, actions: &[Action<u32>]) {
        let Some(server) = self.server.as_ref().filter(|server| server.is_honest() && self.model.events == 1) else {
            return;
        };
        let ahead = server.ahead;
        let told = actions.iter().filter_map(|action| match action {
            Action::Notify(Notice::ClockSkewed { by, .. }) => Some(*by),
            _ => None,
        });
        let wrong: Vec<_> =
            told.filter(|by| by.signum() != ahead.signum() || by.unsigned_abs() > ahead.unsigned_abs()).collect();
        self.check(Law::ServerTime, wrong.is_empty(), |_| format!("{wrong:?} ms ahead are told, it is {ahead}"));
    }

    fn machine_after(&self, event: Event<u32>) -> Machine<u32> {
        let mut machine = self.machine.clone();
        machine.handle(event, self.now);
        machine
    }
}

impl Model {
    /// The held token ends in this many milliseconds. When it is renewed moves by as much.
    fn lay_anew(&mut self, left: u64, now: Now) {
        let Some(held) = &mut self.held else { return };
        let before = held.expiry.left(now);
        held.expiry = Ends::after(now, left);
        let moved = |half: Ends| half.left(now).saturating_add(left).saturating_sub(before).min(left);
        held.half = held.half.map(moved).filter(|half| *half > 0).map(|half| Ends::after(now, half));
    }
}

/// The end of the held token on both clocks, as what the machine serves shows it.
fn ends(machine: &Machine<u32>, now: Now) -> Ends {
    let (mono, wall) = (now.monotonic.as_millis(), now.unix.as_millis());
    let by_mono =
        first(|more| machine.token(Now::new(Monotonic::from_millis(mono.saturating_add(more)), now.unix)).is_none());
    let by_wall =
        first(|more| machine.token(Now::new(now.monotonic, date(wall.saturating_add_unsigned(more)))).is_none());
    Ends { mono: mono.saturating_add(by_mono), wall: wall.saturating_add_unsigned(by_wall) }
}

/// The first number from which on this holds.
fn first(holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, u64::MAX);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// `exp` less `iat`, as the token states it.
fn issued_for(brings: Brings, clock: i64) -> Option<u64> {
    let Brings::Issued(lifetime, age) = brings else { return None };
    let seconds = |millis: i64| millis.div_euclid(1_000);
    let (exp, iat) = (seconds(clock.saturating_add_unsigned(lifetime)), seconds(clock).saturating_sub(age));
    u64::try_from(exp.saturating_sub(iat).saturating_mul(1_000)).ok().filter(|most| *most > 0)
}

fn longest(before: Now, now: Now) -> u64 {
    let wall = now.unix.as_millis().saturating_sub(before.unix.as_millis());
    now.monotonic.as_millis().saturating_sub(before.monotonic.as_millis()).max(u64::try_from(wall).unwrap_or(0))
}

fn date(millis: i64) -> UnixTime {
    UnixTime::from_millis(millis)
}
