//! Every way to a token gives what the machine gives, at every moment of every life: `get_token`, `try_token`, a reader's two
//! ways, and bare machines on the documented loop live side by side, on a clock that is set by hand; so for both kinds of
//! credential. Two ways wait for an answer, and two do not, which is another life where each request has the source asked.

mod by_hand;
#[allow(dead_code, unreachable_pub, reason = "the core's tests use all of it")]
#[path = "../../../../tests/support/credential.rs"]
mod composed;
mod kinds;
mod rounds;

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use acs_common::Event;
use acs_common_driver::{
    Builder, CheckSource, Clock as _, Error, NewToken, Now, Policy, Reader, RefresherError, Token,
};
use proptest::collection::vec;
use proptest::prelude::*;

use by_hand::{ByHand, TICK};
use kinds::{Bare, Credential, Kind, Line, Told};

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
    driver: Pin<Box<dyn Future<Output = ()>>>,
    line: Line,
    ended: bool,
    /// Last.
    got: Option<Token>,
}

impl Life {
    fn new(kind: Kind, clock: &ByHand, policy: &Policy, way: fn(Credential) -> Way) -> Self {
        let line = Line::default();
        let (credential, driver) = kind.credential(clock, policy, &line);
        let mut life = Self { way: way(credential), driver, line, ended: false, got: None };
        life.run();
        life
    }

    fn run(&mut self) {
        self.ended = self.ended || poll_once(self.driver.as_mut()).is_some();
    }
}

#[derive(Clone, Debug)]
enum Op {
    Ask,
    Pass(u64),
    Set(i64),
    Answer(u64),
    Fail(u16),
    SignOut,
    Reject,
    RetryNow,
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
        1 => prop_oneof![Just(503), Just(401), Just(400)].prop_map(Op::Fail),
        1 => Just(Op::SignOut),
        2 => Just(Op::Reject),
        1 => Just(Op::RetryNow),
        1 => Just(Op::Release),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let floor = prop_oneof![Just(0), Just(20), Just(1_000_u64)];
    (any::<bool>(), any::<bool>(), any::<bool>(), floor).prop_map(|(reference, proactive, each_request, floor)| {
        let base = if reference { Policy::reference().to_builder() } else { Policy::builder() };
        let base = base.refresh_proactively(proactive).min_refresh_interval(Duration::from_millis(floor));
        let check = if each_request { CheckSource::EachRequest } else { CheckSource::OnRefresh };
        base.check_source(check).seed(1).build().expect("every knob is in its range")
    })
}

fn said(answer: &Result<Option<Token>, Error>) -> String {
    match answer {
        Ok(token) => format!("{:?}", token.as_ref().map(|token| token.secret().expose().to_owned())),
        Err(error) => error.to_string(),
    }
}

fn live(kind: Kind, policy: &Policy, ops: &[Op]) -> Result<(), TestCaseError> {
    live_by(kind, policy, ops, Bare::ask, [Way::Get, |credential| Way::LendAsync(credential.reader())])?;
    live_by(kind, policy, ops, Bare::ask_without_waiting, [Way::Try, |credential| Way::Lend(credential.reader())])
}

fn live_by(
    kind: Kind,
    policy: &Policy,
    ops: &[Op],
    ask: fn(&mut Bare, Now) -> Result<Option<Token>, Error>,
    ways: [fn(Credential) -> Way; 2],
) -> Result<(), TestCaseError> {
    let clock = ByHand::default();
    let mut lives = ways.map(|way| Life::new(kind, &clock, policy, way));
    let mut bare = Bare::new(kind, policy, clock.now());
    let mut got = None::<Token>;
    for (index, op) in ops.iter().enumerate() {
        let now = clock.now();
        let mut tell = |told| {
            lives.iter().for_each(|life| life.line.tell(told));
            bare.tell(told, now);
        };
        match op {
            Op::Ask => {
                let answer = ask(&mut bare, now);
                let wanted = said(&answer);
                got = answer.ok().flatten().or(got);
                for life in &mut lives {
                    let answer = life.way.ask();
                    prop_assert_eq!(said(&answer), &*wanted, "at {} of {:?}", index, ops);
                    life.got = answer.ok().flatten().or(life.got.take());
                }
            }
            Op::Pass(millis) => clock.set(|times| times.monotonic += millis),
            Op::Set(by) => clock.set(|times| {
                times.ahead += by;
                times.set += 1;
            }),
            Op::Answer(life) => tell(Told::Token { name: index, life: *life }),
            Op::Fail(status) => tell(Told::Failure { status: *status }),
            Op::SignOut => tell(Told::SignedOut),
            // What was got last, each his own.
            Op::Reject => {
                for life in &lives {
                    life.got.iter().for_each(|token| life.way.credential().reject(token));
                }
                if let Some(token) = got.clone() {
                    bare.handle(Event::TokenRejected { token }, now);
                }
            }
            Op::RetryNow => {
                lives.iter().for_each(|life| life.way.credential().retry_now());
                bare.handle(Event::RetryNow, now);
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
            prop_assert_eq!(life.line.calls(), bare.calls, "calls, at {} of {:?}", index, ops);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    /// Fails when `publish` does not count the version, when a reader's `look` keeps a moment for a token that only the exact
    /// clock calls good, when `fresh` asks no clock, or when there is a snapshot although each request has the source asked.
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
        live(Kind::Refreshing, &policy, &ops)?;
        live(Kind::Exchanging, &policy, &ops)?;
    }
}

/// Fails when a snapshot outlives the floor: the request it serves would have ended that, which counts once the wall clock is
/// set back.
#[test]
fn what_a_request_saw_over_stays_over_although_the_wall_clock_is_set_back() {
    use Op::{Answer, Ask, Reject, Set};
    let ops = [Ask, Answer(3_600_000), Set(1_000), Ask, Set(-1), Reject, Ask];
    live(Kind::Refreshing, &Policy::default(), &ops).expect("all agree");
}

/// Fails when `try_token` drops what it has asked for without a look at what is held, or at why there is nothing.
#[test]
fn who_does_not_wait_for_the_source_gets_what_its_earlier_answers_led_to() {
    let clock = ByHand::default();
    let policy = Policy::builder().check_source(CheckSource::EachRequest).build().unwrap();
    let mut life = Life::new(Kind::Exchanging, &clock, &policy, Way::Try);
    let tell = |told: Told, life: &mut Life| {
        life.line.tell(told);
        life.run();
        life.way.ask()
    };
    assert!(tell(Told::Token { name: 0, life: 3_600_000 }, &mut life).unwrap().is_none());
    assert!(tell(Told::Token { name: 0, life: 3_600_000 }, &mut life).unwrap().is_some());
    life.run();
    assert!(life.way.ask().unwrap().is_some(), "the source is being asked");
    let refused = tell(Told::SignedOut, &mut life).unwrap_err();
    assert!(matches!(refused, Error::RefreshFailed { retry_in: Some(_), .. }), "{refused:?}");
}

fn holding_an_hour() -> (ByHand, Credential, impl Sized) {
    let clock = ByHand::default();
    let initial = NewToken::new("token").with_expires_in(Duration::from_secs(3_600));
    let refresher = || std::future::pending::<Result<String, RefresherError>>();
    let (credential, driver) = Builder::new(clock.clone(), refresher).initial_token(initial).build().unwrap();
    (clock, credential, driver)
}

/// Fails when a reader forgets that it has looked, at which tick or at what: what it lends would be right all the same, and
/// cost what asking the credential costs.
#[test]
fn a_reader_reads_no_clock_within_a_tick_and_no_exact_one_at_the_next() {
    let (clock, credential, _driver) = holding_an_hour();
    let mut reader = credential.reader();
    for _ in 0..3 {
        let before = clock.reads();
        assert!(reader.token().unwrap().is_some());
        let (exact, coarse) = clock.reads();
        assert_eq!((exact, coarse), (before.0, before.1 + 1), "the first look at this tick");
        assert!(reader.token().unwrap().is_some());
        assert!(poll_once(reader.get_token()).unwrap().is_ok());
        assert_eq!(clock.reads(), (exact, coarse), "nothing to look at any more");
        clock.set(|times| times.monotonic += TICK);
    }
}
