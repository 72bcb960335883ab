//! The server's time (contract, section 7): a wrong clock of the device is no outage, and neither is a wrong clock of a server.
//! Time is data here: four hours take milliseconds.
//!
//! This file is long because it has a host of its own, beside a table for each rule.

use std::time::Duration;

use acs_common::{
    Action, DateSource, Event, FailureCause, Machine, Monotonic, NewToken, Notice, Now, Policy, RefresherError,
    UnixTime,
};
use base64::Engine as _;
use proptest::prelude::*;

/// The true time at the start, in milliseconds.
const START: i64 = 1_700_000_000_000;
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What the monotonic clock shows at the start.
const UPTIME: i64 = DAY;

/// How long the refresher takes, and a request to the service.
const CALL: i64 = 200;
const TRIP: i64 = 100;

/// A host with a wrong wall clock, an issuer whose tokens are valid for an hour, and a service.
struct World {
    machine: Machine<u32>,
    /// The true time, in milliseconds since the start.
    at: i64,
    /// By how much the wall clock is ahead.
    ahead: i64,
    /// How long the monotonic clock stood still.
    slept: i64,
    /// What the issuer puts into its responses.
    has_date: bool,
    has_iat: bool,
    timer: Option<Monotonic>,
    /// The call of the refresher in flight, and when it answers.
    call: Option<(acs_common::RequestId, i64)>,
    calls: Vec<i64>,
    waiter: u32,
    served: Vec<acs_common::Token>,
    refused: u32,
    skews: Vec<i64>,
    /// True times at which tokens that were issued end.
    ends: Vec<(acs_common::Token, i64)>,
    issued: Option<i64>,
}

impl World {
    fn new(policy: Policy, ahead: i64) -> Self {
        let mut world = Self {
            machine: Machine::new(None, policy, now(0, ahead, 0)).expect("no token is no bad token"),
            at: 0,
            ahead,
            slept: 0,
            has_date: true,
            has_iat: true,
            timer: None,
            call: None,
            calls: Vec::new(),
            waiter: 0,
            served: Vec::new(),
            refused: 0,
            skews: Vec::new(),
            ends: Vec::new(),
            issued: None,
        };
        world.drain();
        world
    }

    fn now(&self) -> Now {
        now(self.at, self.ahead, self.slept)
    }

    fn handle(&mut self, event: Event<u32>) {
        self.machine.handle(event, self.now());
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::ReturnToken { result: Ok(token), .. } => self.served.push(token),
                Action::ReturnToken { result: Err(_), .. } => self.refused += 1,
                Action::CallRefresher { request, .. } => {
                    self.calls.push(self.at);
                    self.call = Some((request, self.at + CALL));
                }
                Action::CancelRefresher { .. } => self.call = None,
                Action::ScheduleTimer { at } => self.timer = at,
                Action::Notify(Notice::ClockSkewed { by, .. }) => self.skews.push(by),
                Action::Notify(_) => {}
                Action::CheckSource { .. } => unreachable!("there is no source"),
            }
        }
        if let Some(token) = self.machine.token(self.now())
            && self.ends.last().is_none_or(|(last, _)| !last.ptr_eq(token))
        {
            self.ends.push((token.clone(), self.issued.expect("it was issued")));
        }
    }

    /// Time passes; the refresher answers, and the timer fires when it is due.
    fn pass(&mut self, millis: i64) {
        let end = self.at + millis;
        loop {
            let timer =
                self.timer.map(|timer| i64::try_from(timer.as_millis()).expect("in our era") - UPTIME + self.slept);
            let next = [self.call.map(|(_, due)| due), timer].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.at = self.at.max(next);
            match self.call.take_if(|(_, due)| *due <= self.at) {
                Some((request, _)) => self.answer(request),
                None => {
                    self.timer = None;
                    self.handle(Event::TimeAdvanced);
                }
            }
        }
        self.at = end;
    }

    fn answer(&mut self, request: acs_common::RequestId) {
        let token = NewToken::new(jwt(START + self.at, self.has_iat));
        let token = if self.has_date { token.with_server_time(date(self.at)) } else { token };
        self.issued = Some(self.at + HOUR);
        self.handle(Event::TokenReceived { request, token });
    }

    /// A caller asks for a token.
    fn look(&mut self) {
        self.waiter += 1;
        self.handle(Event::TokenRequested { waiter: self.waiter });
    }

    /// The service answers a request with this `Date`.
    fn service_says(&mut self, date: UnixTime) {
        let sent = now(self.at - TRIP, self.ahead, self.slept);
        self.handle(Event::ServerTimeSeen { date, sent, by: DateSource::Service });
    }

    /// By how many milliseconds the held token is older than the server's clock allows; 0 if it is valid.
    fn overdue(&self) -> i64 {
        let Some(token) = self.machine.token(self.now()) else { return 0 };
        let end = self.ends.iter().find(|(known, _)| known.ptr_eq(token)).expect("it was learnt").1;
        (self.at - end).max(0)
    }

    /// Four hours with a look every ten seconds. `service`: the `Date` of the service's response to the n-th look.
    fn four_hours(&mut self, with: &str, mut service: impl FnMut(i64, usize) -> Option<UnixTime>) {
        for look in 0..1_440 {
            self.look();
            self.pass(CALL + TRIP);
            assert_eq!(
                self.overdue(),
                0,
                "a token is served that the server's clock calls expired, at {}, {with}",
                self.at
            );
            if let Some(date) = service(self.at, look) {
                self.service_says(date);
            }
            self.pass(10 * SECOND - CALL - TRIP);
        }
    }
}

fn now(at: i64, ahead: i64, slept: i64) -> Now {
    let monotonic = u64::try_from(UPTIME + at - slept).expect("time runs on");
    Now::new(Monotonic::from_millis(monotonic), UnixTime::from_millis(START + at + ahead))
}

/// The header `Date` of a server whose clock is right: cut to the second.
fn date(at: i64) -> UnixTime {
    UnixTime::from_secs(UnixTime::from_millis(START + at).as_secs())
}

fn jwt(issued: i64, has_iat: bool) -> String {
    let iat = issued.div_euclid(1_000);
    let exp = iat + HOUR / SECOND;
    let payload = if has_iat { format!(r#"{{"exp":{exp},"iat":{iat}}}"#) } else { format!(r#"{{"exp":{exp}}}"#) };
    format!("e30.{}.", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload))
}

const OFFSETS: [i64; 11] = [
    0,
    -5 * MINUTE,
    5 * MINUTE,
    -59 * MINUTE,
    59 * MINUTE,
    -61 * MINUTE,
    61 * MINUTE,
    -DAY,
    DAY,
    -3_650 * DAY,
    3_650 * DAY,
];

fn policy(proactive: bool) -> Policy {
    Policy::builder().jitter(0.0).refresh_proactively(proactive).build().expect("a good policy")
}

/// Fails when the `Date` of the issuer is not used on arrival, or is taken for the moment of the answer's arrival only.
#[test]
fn a_wrong_clock_costs_no_caller_a_token_if_the_issuer_sends_its_time() {
    for proactive in [true, false] {
        for ahead in OFFSETS {
            for has_iat in [true, false] {
                let mut world = World { has_iat, ..World::new(policy(proactive), ahead) };
                let with = format!("{ahead} ms ahead, proactive: {proactive}, iat: {has_iat}");
                world.four_hours(&with, |_, _| None);
                assert!(world.calls.len() <= 6, "{} refreshes, {with}", world.calls.len());
                assert_eq!((world.served.len(), world.refused), (1_440, 0), "{with}");
                assert_eq!(world.skews.len(), usize::from(ahead != 0), "{with}: {:?}", world.skews);
                assert!(world.skews.iter().all(|by| by.abs_diff(ahead) < 3_000), "{with}: {:?}", world.skews);
            }
        }
    }
}

/// The `Date` of a service at a moment, in its response to the n-th request.
type Says<'a> = &'a dyn Fn(i64, usize) -> Option<UnixTime>;

/// Fails when a service's `Date` replaces a fresh one of the issuer's, or when it may refuse what the wall clock accepts.
#[test]
fn a_service_with_a_wrong_clock_costs_no_caller_a_token() {
    let frozen = |_: i64, _: usize| Some(date(0));
    let epoch = |_: i64, _: usize| Some(UnixTime::from_secs(0));
    let decade = |at: i64, _: usize| Some(date(at + 3_650 * DAY));
    let node = |at: i64, look: usize| Some(date(at + if look % 10 == 3 { 2 * HOUR } else { 0 }));
    let two_nodes = |at: i64, look: usize| Some(date(at + if look % 10 < 2 { 2 * HOUR } else { 0 }));
    let services: [(&str, Says<'_>); 5] = [
        ("frozen", &frozen),
        ("1970", &epoch),
        ("ten years ahead", &decade),
        ("one of ten nodes two hours ahead", &node),
        ("two of ten nodes two hours ahead", &two_nodes),
    ];
    for (what, service) in services {
        // An issuer that tells neither its time nor `iat` leaves the service the only one who knows.
        for (has_date, has_iat, offsets) in
            [(true, true, &OFFSETS[..]), (true, false, &OFFSETS[..]), (false, true, &OFFSETS[..1])]
        {
            for ahead in offsets {
                let mut world = World { has_date, has_iat, ..World::new(policy(true), *ahead) };
                let with = format!("{what}, issuer's Date: {has_date}, iat: {has_iat}, {ahead} ms ahead");
                world.four_hours(&with, service);
                assert!(world.calls.len() <= 9, "{} refreshes, {with}", world.calls.len());
                assert_eq!((world.served.len(), world.refused), (1_440, 0), "{with}");
            }
        }
    }
}

/// Fails when the held token is not laid anew, or when its renewal does not move with its end.
#[test]
fn the_first_time_of_a_service_lays_the_held_token_anew() {
    // The device is 40 minutes slow, and the issuer says neither the time nor `iat`.
    let mut world = World { has_date: false, has_iat: false, ..World::new(policy(true), -40 * MINUTE) };
    world.pass(SECOND);
    let left = |world: &World| world.machine.deadline().map(|due| due.saturating_since(world.now().monotonic));
    let before = left(&world).expect("a token is held");
    world.service_says(date(world.at - TRIP));
    let after = left(&world).expect("a token is held");
    let moved = before - after;
    let error = Duration::from_millis(4_000);
    let expected = Duration::from_secs(40 * 60);
    assert!(moved.abs_diff(expected) < error, "the renewal moved by {moved:?}");
    world.pass(HOUR);
    assert_eq!(world.overdue(), 0);
    assert!(world.calls.len() >= 2, "it was renewed in time");
}

/// Fails when `see` lays a token anew that has expired by the clocks, and so brings it back.
#[test]
fn a_token_that_has_expired_stays_so_whatever_an_issuer_says() {
    // The device is 40 minutes slow, so without `iat` the token may live for 100 minutes.
    let mut world = World { has_date: false, has_iat: false, ..World::new(policy(false), -40 * MINUTE) };
    let says = |world: &World| {
        let sent = now(world.at - TRIP, world.ahead, world.slept);
        Event::ServerTimeSeen { date: date(world.at - TRIP), sent, by: DateSource::Issuer }
    };
    world.look();
    world.pass(SECOND);
    world.handle(says(&world));
    assert!(world.machine.token(world.now()).is_some());
    // The wall clock is set by 61 minutes, and nothing looks at it before the next response.
    world.ahead += HOUR + MINUTE;
    assert!(world.machine.token(world.now()).is_none());
    world.handle(says(&world));
    assert!(world.machine.token(world.now()).is_none(), "it comes back");
}

/// Fails when the policy's option, or the reference policy, is ignored.
#[test]
fn without_the_option_the_device_s_clock_decides() {
    for policy in [Policy::builder().jitter(0.0).use_server_time(false).build().unwrap(), Policy::reference()] {
        let mut world = World::new(policy, 61 * MINUTE);
        world.look();
        world.pass(MINUTE);
        assert_eq!((world.served.len(), world.refused), (0, 1));
        assert_eq!(world.machine.server_time(world.now()), None);
    }
}

/// Fails when the text does not name both times and the cure, or names them for a token that has just expired.
#[test]
fn a_token_that_seems_expired_makes_the_error_ask_for_the_clock() {
    let failure = |ahead: i64, server: bool| {
        let mut world = World { has_date: false, ..World::new(policy(false), ahead) };
        world.look();
        let (request, _) = world.call.take().expect("the refresher is called");
        world.at += CALL;
        let token = NewToken::new(jwt(START + world.at - HOUR - SECOND, false));
        let token = if server { token.with_server_time(date(world.at)) } else { token };
        world.machine.handle(Event::TokenReceived { request, token }, world.now());
        let mut failure = None;
        while let Some(action) = world.machine.poll_action() {
            if let Action::Notify(Notice::RefreshFailed { cause, .. }) = action {
                failure = Some(cause);
            }
        }
        let failure = failure.expect("it has expired");
        assert!(matches!(failure, FailureCause::ExpiredToken { by_server_time, .. } if by_server_time == server));
        failure.to_string()
    };
    assert_eq!(
        failure(HOUR, false),
        "the refresher's token had already expired at 2023-11-14T22:13:19Z, and this device's clock says 2023-11-14T23:13:20.200Z: return a new token, not a cached one; if the clock is wrong, set it, or pass the issuer's `Date` to with_server_time"
    );
    assert_eq!(
        failure(0, false),
        "the refresher's token had already expired at 2023-11-14T22:13:19Z: return a new token, not a cached one"
    );
    assert_eq!(
        failure(HOUR, true),
        "the refresher's token had already expired at 2023-11-14T22:13:19Z, by the server's time: return a new token, not a cached one"
    );
}

/// Fails when a failure's `Date` is dropped.
#[test]
fn a_failure_tells_the_time_too() {
    let mut world = World::new(policy(false), -HOUR);
    world.look();
    world.at += CALL;
    let (request, _) = world.call.take().expect("the refresher is called");
    let error = RefresherError::new("503").with_server_time(date(world.at));
    world.handle(Event::RefreshFailed { request, error });
    let middle = world.machine.server_time(world.now()).expect("it was told").as_millis();
    assert!(middle.abs_diff(START + world.at) <= 1_100 + CALL.unsigned_abs(), "{middle}");
    assert_eq!(world.skews, [-(HOUR - CALL)], "cut to the second, the date is that much earlier");
}

/// Fails when a round trip that says nothing is taken, or the clocks' disagreement over it is not seen.
#[test]
fn a_slow_or_torn_round_trip_says_nothing() {
    let trip = |monotonic: u64, wall: i64| {
        let mut machine = Machine::<u32>::new(None, policy(false), now(0, 0, 0)).unwrap();
        let arrival = Now::new(
            now(0, 0, 0).monotonic.saturating_add(Duration::from_millis(monotonic)),
            UnixTime::from_millis(START + wall),
        );
        let event = Event::ServerTimeSeen { date: date(0), sent: now(0, 0, 0), by: DateSource::Issuer };
        machine.handle(event, arrival);
        machine.server_time(arrival).is_some()
    };
    assert!(trip(30_000, 30_000) && trip(10_000, 12_000) && trip(10_000, 8_000));
    assert!(!trip(30_001, 30_000) && !trip(30_000, 30_001) && !trip(10_000, 12_001) && !trip(10_000, 7_999));
}

/// Fails when the clocks' disagreement is not noticed: then the time for signing would be wrong.
#[test]
fn after_a_sleep_the_server_s_time_is_not_known() {
    let mut world = World::new(policy(false), 0);
    world.service_says(date(0));
    world.at += MINUTE;
    assert!(world.machine.server_time(world.now()).is_some());
    (world.slept, world.at) = (HOUR, world.at + HOUR);
    assert_eq!(world.machine.server_time(world.now()), None);
}

/// Fails when a service's time replaces one of the issuer's that is under an hour old, or never replaces it.
#[test]
fn an_issuer_s_time_holds_for_an_hour_against_a_service() {
    let hours_off = |world: &World| {
        let middle = world.machine.server_time(world.now()).expect("it is known").as_millis();
        (middle - START - world.at + HOUR / 2).div_euclid(HOUR)
    };
    let mut world = World::new(policy(false), 0);
    let issuer = Event::ServerTimeSeen { date: date(world.at), sent: world.now(), by: DateSource::Issuer };
    world.handle(issuer);
    for wait in [10 * SECOND, 10 * SECOND, 58 * MINUTE] {
        world.pass(wait);
        world.service_says(date(world.at + 2 * HOUR));
        assert_eq!(hours_off(&world), 0, "at {}", world.at);
    }
    world.pass(2 * MINUTE);
    world.service_says(date(world.at + 2 * HOUR));
    assert_eq!(hours_off(&world), 0, "one response is not enough");
    world.pass(SECOND - 1);
    world.service_says(date(world.at + 2 * HOUR));
    assert_eq!(hours_off(&world), 0, "the second one comes too early");
    world.pass(1);
    world.service_says(date(world.at + 2 * HOUR));
    assert_eq!(hours_off(&world), 2);
    for _ in 0..20 {
        world.pass(10 * SECOND);
        world.service_says(date(world.at));
    }
    assert_eq!(hours_off(&world), 2, "no second time within five minutes");
    world.pass(100 * SECOND);
    world.service_says(date(world.at));
    assert_eq!(hours_off(&world), 0);
}

/// Fails when the largest of the candidates counts, or only one of them.
#[test]
fn after_a_sleep_the_shortest_life_that_is_possible_counts() {
    let mut world = World { has_date: false, has_iat: false, ..World::new(policy(false), 0) };
    world.service_says(date(world.at));
    (world.slept, world.at) = (HOUR / 2, world.at + HOUR / 2);
    world.look();
    world.pass(SECOND);
    assert_eq!(world.served.len(), 1);
    world.pass(HOUR);
    assert_eq!(world.overdue(), 0, "the monotonic clock alone would allow another half hour");
}

/// What happens to a device, in milliseconds.
#[derive(Clone, Copy, Debug)]
enum Op {
    Pass(i64),
    Look,
    Step(i64),
    Sleep(i64),
    Service(i64),
}

fn lengths() -> impl Strategy<Value = i64> {
    prop_oneof![0..3 * SECOND, 0..5 * MINUTE, 0..3 * HOUR]
}

fn offsets() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), -5 * SECOND..5 * SECOND, -2 * HOUR..2 * HOUR, -4_000 * DAY..4_000 * DAY]
}

/// Changes of one clock only: of both at once, nobody can tell which is right.
fn runs() -> impl Strategy<Value = Vec<Op>> {
    let calm = || prop_oneof![lengths().prop_map(Op::Pass), Just(Op::Look), offsets().prop_map(Op::Service)];
    let steps = proptest::collection::vec(prop_oneof![calm(), offsets().prop_map(Op::Step)], 1..60);
    let sleeps = proptest::collection::vec(prop_oneof![calm(), lengths().prop_map(Op::Sleep)], 1..60);
    prop_oneof![steps, sleeps]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the service says, and whatever one of the device's clocks does: an issuer that sends its time has no token
    /// of its own served after its end, refreshes keep their distance, and a caller gets a token.
    ///
    /// Fails when a token with its own `Date` is laid anew, and when `life` takes the largest candidate.
    #[test]
    fn a_token_that_came_with_its_time_is_never_served_expired(ahead in offsets(), ops in runs(), proactive: bool) {
        let mut world = World::new(policy(proactive), ahead);
        for op in ops.iter().copied() {
            match op {
                Op::Pass(millis) => world.pass(millis),
                Op::Look => {
                    world.look();
                    world.pass(CALL + 3 * SECOND);
                }
                Op::Step(by) => world.ahead += by,
                Op::Sleep(millis) => {
                    world.at += millis;
                    world.slept += millis;
                }
                Op::Service(off) => world.service_says(date(world.at + off)),
            }
            prop_assert_eq!(world.overdue(), 0, "after {:?} at {}", op, world.at);
        }
        // A clock that is set forward ends the interval between two calls too.
        let is_set = ops.iter().any(|op| matches!(op, Op::Step(_)));
        for pair in world.calls.windows(2).filter(|_| !is_set) {
            prop_assert!(pair[1] - pair[0] >= SECOND, "calls at {:?}", pair);
        }
        world.pass(2 * MINUTE);
        let served = world.served.len();
        world.look();
        world.pass(MINUTE);
        prop_assert!(world.served.len() > served, "a good issuer leads back to a token");
    }

    /// Whatever the service says: no token is kept for longer than it was issued for.
    ///
    /// Fails when `lay` forgets `most`, or counts it from the reading instead of from the acceptance.
    #[test]
    fn a_lying_service_keeps_no_token_beyond_its_life(has_iat: bool, says in proptest::collection::vec((offsets(), lengths()), 1..40)) {
        let mut world = World { has_date: false, has_iat, ..World::new(policy(false), 0) };
        world.look();
        world.pass(SECOND);
        let accepted = world.at;
        let token = world.machine.token(world.now()).cloned().expect("it is held");
        for (off, wait) in says {
            world.pass(wait);
            world.service_says(date(world.at + off));
            let is_held = world.machine.token(world.now()).is_some_and(|held| held.ptr_eq(&token));
            prop_assert!(!is_held || world.at - accepted < HOUR, "held at {}", world.at);
        }
    }
}
