//! Every way to a token gives what the machine gives, at every moment of every life: `get_token`, `try_token`, a reader's two
//! ways, and a bare machine on the documented loop live side by side, on a clock that is set by hand.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use acs_common::{Action, Event, Machine};
use acs_common_driver::{
    Builder, Clock, CommunicationTokenCredential, Error, Monotonic, NewToken, Now, Policy, Reader, RefresherError,
    Token, UnixTime,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// How long a tick is, in milliseconds.
const TICK: u64 = 10;

#[derive(Clone, Copy, Default)]
struct Times {
    monotonic: u64,
    ahead: i64,
    /// How often the wall clock was set: that counts as a tick.
    set: u64,
    /// How often the clocks were read exactly, and by ticks.
    exact: u32,
    by_ticks: u32,
}

#[derive(Clone, Default)]
struct ByHand(Arc<Mutex<Times>>);

impl ByHand {
    fn times(&self) -> Times {
        *self.0.lock().unwrap()
    }

    fn set(&self, set: impl FnOnce(&mut Times)) {
        set(&mut self.0.lock().unwrap());
    }

    fn reads(&self) -> (u32, u32) {
        let Times { exact, by_ticks, .. } = self.times();
        (exact, by_ticks)
    }
}

fn at(monotonic: u64, ahead: i64) -> Now {
    let unix = UnixTime::from_millis(1_700_000_000_000 + i64::try_from(monotonic).unwrap() + ahead);
    Now::new(Monotonic::from_millis(monotonic), unix)
}

impl Clock for ByHand {
    type Sleep = std::future::Ready<()>;

    fn now(&self) -> Now {
        self.set(|times| times.exact += 1);
        let times = self.times();
        at(times.monotonic, times.ahead)
    }

    fn now_or_later(&self) -> Now {
        self.set(|times| times.by_ticks += 1);
        let times = self.times();
        at((times.monotonic / TICK + 1) * TICK, times.ahead)
    }

    fn tick(&self) -> Option<u64> {
        let times = self.times();
        Some(times.monotonic / TICK + (times.set << 40))
    }

    /// Over at once, so that the driver looks at the clocks whenever it is polled.
    fn sleep(&self, _: Duration) -> Self::Sleep {
        std::future::ready(())
    }
}

/// What the refreshers are about to answer.
type Answer = Arc<Mutex<Option<Result<(String, u64), ()>>>>;
type Credential = CommunicationTokenCredential<ByHand>;

fn new_token((name, life): (String, u64), now: Now) -> NewToken {
    NewToken::new(name).with_expires_on(UnixTime::from_millis(now.unix.as_millis().saturating_add_unsigned(life)))
}

enum Way {
    Get(Credential),
    Try(Credential),
    Lend(Reader<ByHand>),
    LendAsync(Reader<ByHand>),
}

fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

impl Way {
    fn ask(&mut self) -> Result<Option<Token>, Error> {
        match self {
            Self::Get(credential) => poll_once(credential.get_token()).transpose(),
            Self::Try(credential) => credential.try_token(),
            Self::Lend(reader) => reader.token().map(Option::<&Token>::cloned),
            Self::LendAsync(reader) => poll_once(reader.get_token()).transpose().map(Option::<&Token>::cloned),
        }
    }

    fn credential(&self) -> &Credential {
        match self {
            Self::Get(credential) | Self::Try(credential) => credential,
            Self::Lend(reader) | Self::LendAsync(reader) => reader.credential(),
        }
    }
}

/// One credential with its driver, and one way to its token.
struct Life {
    way: Way,
    driver: std::pin::Pin<Box<dyn Future<Output = ()>>>,
    answer: Answer,
    calls: Arc<Mutex<u32>>,
    ended: bool,
}

impl Life {
    fn new(clock: &ByHand, policy: &Policy, way: fn(Credential) -> Way) -> Self {
        let (answer, calls) = (Answer::default(), Arc::new(Mutex::new(0)));
        let refresher = {
            let (answer, calls, clock) = (Arc::clone(&answer), Arc::clone(&calls), clock.clone());
            move || {
                *calls.lock().unwrap() += 1;
                *answer.lock().unwrap() = None;
                let (answer, clock) = (Arc::clone(&answer), clock.clone());
                std::future::poll_fn(move |_| match answer.lock().unwrap().take() {
                    None => Poll::Pending,
                    Some(Ok(token)) => Poll::Ready(Ok(new_token(token, clock.now()))),
                    Some(Err(())) => Poll::Ready(Err(RefresherError::new("no"))),
                })
            }
        };
        let (credential, driver) = Builder::new(clock.clone(), refresher).policy(policy.clone()).build().unwrap();
        let mut life = Self { way: way(credential), driver: Box::pin(driver), answer, calls, ended: false };
        life.run();
        life
    }

    fn run(&mut self) {
        self.ended = self.ended || poll_once(self.driver.as_mut()).is_some();
    }
}

/// A bare machine, on the documented loop.
struct Bare {
    machine: Machine<u32>,
    request: Option<acs_common::RequestId>,
    calls: u32,
}

impl Bare {
    fn handle(&mut self, event: Event<u32>, now: Now) -> Option<Result<Token, Error>> {
        self.machine.handle(event, now);
        self.drain()
    }

    fn drain(&mut self) -> Option<Result<Token, Error>> {
        let mut answer = None;
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::ReturnToken { result, .. } => answer = Some(result),
                Action::CallRefresher { request } => {
                    self.calls += 1;
                    self.request = Some(request);
                }
                Action::CancelRefresher { .. } => self.request = None,
                Action::Notify(_) | Action::ScheduleTimer { .. } => {}
            }
        }
        answer
    }

    fn wake(&mut self, now: Now) {
        if self.machine.deadline().is_some() {
            self.handle(Event::TimeAdvanced, now);
        }
    }

    fn ask(&mut self, now: Now) -> Result<Option<Token>, Error> {
        let answer = self.handle(Event::TokenRequested { waiter: 0 }, now);
        if answer.is_none() {
            self.handle(Event::RequestCancelled { waiter: 0 }, now);
        }
        answer.transpose()
    }
}

#[derive(Clone, Debug)]
enum Op {
    Ask,
    Pass(u64),
    Set(i64),
    Answer(u64),
    Fail,
    Reject,
    TryNow,
    Dispose,
    Release,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => Just(Op::Ask),
        // Within a tick, about one, and long after.
        8 => prop_oneof![6 => 0..5_u64, 2 => 5..30_u64, 1 => 30..2_000_u64, 1 => Just(60_000), 1 => Just(600_000)].prop_map(Op::Pass),
        2 => prop_oneof![-50..50_i64, -700_000..700_000_i64].prop_map(Op::Set),
        5 => prop_oneof![4 => 1..40_u64, 2 => 40..4_000_u64, 1 => Just(3_600_000), 1 => Just(u64::MAX)].prop_map(Op::Answer),
        1 => Just(Op::Fail),
        2 => Just(Op::Reject),
        1 => Just(Op::TryNow),
        1 => Just(Op::Release),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    (any::<bool>(), any::<bool>(), prop_oneof![Just(0), Just(20), Just(1_000_u64)]).prop_map(
        |(reference, proactive, floor)| {
            let base = if reference { Policy::reference().to_builder() } else { Policy::builder() };
            let base = base.refresh_proactively(proactive).min_refresh_interval(Duration::from_millis(floor));
            base.build().expect("every knob is in its range")
        },
    )
}

fn said(answer: &Result<Option<Token>, Error>) -> String {
    match answer {
        Ok(token) => format!("{:?}", token.as_ref().map(|token| token.secret().expose().to_owned())),
        Err(error) => error.to_string(),
    }
}

fn live(policy: &Policy, ops: &[Op]) -> Result<(), TestCaseError> {
    let clock = ByHand::default();
    let ways: [fn(Credential) -> Way; 4] = [
        Way::Get,
        Way::Try,
        |credential| Way::Lend(credential.reader()),
        |credential| Way::LendAsync(credential.reader()),
    ];
    let mut lives = ways.map(|way| Life::new(&clock, policy, way));
    let machine = Machine::new(None, policy.clone(), clock.now()).expect("no token");
    let mut bare = Bare { machine, request: None, calls: 0 };
    bare.drain();
    for (index, op) in ops.iter().enumerate() {
        let now = clock.now();
        match op {
            Op::Ask => {
                let wanted = said(&bare.ask(now));
                for life in &mut lives {
                    prop_assert_eq!(said(&life.way.ask()), &*wanted, "at {} of {:?}", index, ops);
                }
            }
            Op::Pass(millis) => clock.set(|times| times.monotonic += millis),
            Op::Set(by) => clock.set(|times| {
                times.ahead += by;
                times.set += 1;
            }),
            Op::Answer(life) => {
                let token = (format!("t{index}"), *life);
                lives.iter().for_each(|life| *life.answer.lock().unwrap() = Some(Ok(token.clone())));
                if let Some(request) = bare.request.take() {
                    bare.handle(Event::TokenReceived { request, token: new_token(token, now) }, now);
                }
            }
            Op::Fail => {
                lives.iter().for_each(|life| *life.answer.lock().unwrap() = Some(Err(())));
                if let Some(request) = bare.request.take() {
                    bare.handle(Event::RefreshFailed { request, error: RefresherError::new("no") }, now);
                }
            }
            // Of what is held, as the machine sees it, each its own.
            Op::Reject => {
                if let Some(token) = bare.machine.token(now).cloned() {
                    for life in &mut lives {
                        if let Ok(Some(token)) = life.way.ask() {
                            life.way.credential().reject(&token);
                        }
                    }
                    bare.ask(now).expect("it is held");
                    bare.handle(Event::TokenRejected { token }, now);
                }
            }
            Op::TryNow => {
                lives.iter().for_each(|life| life.way.credential().try_now());
                bare.handle(Event::TryNow, now);
            }
            Op::Dispose => {
                lives.iter().for_each(|life| life.way.credential().dispose());
                bare.handle(Event::Disposed, now);
            }
            Op::Release => {
                for life in &mut lives {
                    if let Way::Lend(reader) | Way::LendAsync(reader) = &mut life.way {
                        reader.release();
                    }
                }
            }
        }
        lives.iter_mut().for_each(Life::run);
        bare.wake(clock.now());
        for life in &lives {
            prop_assert_eq!(
                *life.calls.lock().unwrap(),
                bare.calls,
                "calls of the refresher, at {} of {:?}",
                index,
                ops
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    /// Bites when `publish` does not count the version, when a reader's `look` keeps a moment for a token that only the exact
    /// clock calls good, or when `fresh` asks no clock.
    #[test]
    fn no_way_to_a_token_differs_from_the_machine(
        policy in policy(),
        ops in vec(op(), 1..60),
        disposed in any::<bool>(),
        end in vec(op(), 1..4),
    ) {
        let mut ops = ops;
        if disposed {
            ops.push(Op::Dispose);
            ops.extend(end);
        }
        live(&policy, &ops)?;
    }
}

/// Bites when a snapshot outlives the floor: the request it serves would have ended that, which counts once the wall clock is
/// set back.
#[test]
fn what_a_request_saw_over_stays_over_although_the_wall_clock_is_set_back() {
    use Op::{Answer, Ask, Reject, Set};
    let ops = [Ask, Answer(3_600_000), Set(1_000), Ask, Set(-1), Reject, Ask];
    live(&Policy::default(), &ops).expect("all agree");
}

fn holding_an_hour() -> (ByHand, Credential, impl Sized) {
    let clock = ByHand::default();
    let initial = NewToken::new("token").with_expires_in(Duration::from_secs(3_600));
    let refresher = || std::future::pending::<Result<String, RefresherError>>();
    let (credential, driver) = Builder::new(clock.clone(), refresher).initial_token(initial).build().unwrap();
    (clock, credential, driver)
}

/// Bites when a reader forgets that it has looked, at which tick or at what: what it lends would be right all the same, and
/// cost what asking the credential costs.
#[test]
fn a_reader_reads_no_clock_within_a_tick_and_no_exact_one_at_the_next() {
    let (clock, credential, _driver) = holding_an_hour();
    let mut reader = credential.reader();
    for _ in 0..3 {
        let before = clock.reads();
        assert!(reader.token().unwrap().is_some());
        let (exact, by_ticks) = clock.reads();
        assert_eq!((exact, by_ticks), (before.0, before.1 + 1), "the first look at this tick");
        assert!(reader.token().unwrap().is_some());
        assert!(poll_once(reader.get_token()).unwrap().is_ok());
        assert_eq!(clock.reads(), (exact, by_ticks), "nothing to look at any more");
        clock.set(|times| times.monotonic += TICK);
    }
}

/// Bites when a reader keeps lending what the machine handed it at a request: the token's clones, and its header's, would then
/// be counted with everybody's.
#[test]
fn a_reader_that_had_to_ask_goes_on_to_lend_the_token_of_its_threads_lane() {
    let (clock, credential, _driver) = holding_an_hour();
    let mut reader = credential.reader();
    clock.set(|times| times.monotonic += 3_500_000);
    assert!(reader.token().unwrap().is_some(), "and a renewal has begun");
    let lent = reader.token().unwrap().unwrap().authorization().unwrap();
    let of_lane = credential.try_token().unwrap().unwrap();
    assert!(std::ptr::eq(lent, of_lane.authorization().unwrap()));
}
