//! Every way to a token gives what the machine gives, at every moment of every scenario. `get_token`, `try_token`, the two
//! ways of a reader, and bare machines in the documented loop run in parallel, on a clock that the test sets. The test does
//! this for both kinds of credential. Two ways wait for an answer, and two do not; with a check of the source at each
//! request these two pairs differ.

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

/// One credential with its driver and one way to its token.
struct Subject {
    way: Way,
    driver: Pin<Box<dyn Future<Output = ()>>>,
    line: Line,
    ended: bool,
    /// Last.
    got: Option<Token>,
}

impl Subject {
    fn new(kind: Kind, clock: &ByHand, policy: &Policy, way: fn(Credential) -> Way) -> Self {
        let line = Line::default();
        let (credential, driver) = kind.credential(clock, policy, &line);
        let mut subject = Self { way: way(credential), driver, line, ended: false, got: None };
        subject.run();
        subject
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
        // Within a tick, about one tick, and much longer.
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
    let interval = prop_oneof![Just(0), Just(20), Just(1_000_u64)];
    (any::<bool>(), any::<bool>(), any::<bool>(), interval).prop_map(
        |(reference, proactive, each_request, interval)| {
            let base = if reference { Policy::reference().to_builder() } else { Policy::builder() };
            let base = base.refresh_proactively(proactive).min_refresh_interval(Duration::from_millis(interval));
            let check = if each_request { CheckSource::EachRequest } else { CheckSource::OnRefresh };
            base.check_source(check).seed(1).build().expect("every option is in its range")
        },
    )
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
    let mut subjects = ways.map(|way| Subject::new(kind, &clock, policy, way));
    let mut bare = Bare::new(kind, policy, clock.now());
    let mut got = None::<Token>;
    for (index, op) in ops.iter().enumerate() {
        let now = clock.now();
        let mut tell = |told| {
            subjects.iter().for_each(|subject| subject.line.tell(told));
            bare.tell(told, now);
        };
        match op {
            Op::Ask => {
                let answer = ask(&mut bare, now);
                let wanted = said(&answer);
                got = answer.ok().flatten().or(got);
                for subject in &mut subjects {
                    let answer = subject.way.ask();
                    prop_assert_eq!(said(&answer), &*wanted, "at {} of {:?}", index, ops);
                    subject.got = answer.ok().flatten().or(subject.got.take());
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
            // Each way reports the last token it got.
            Op::Reject => {
                for subject in &subjects {
                    subject.got.iter().for_each(|token| subject.way.credential().reject(token));
                }
                if let Some(token) = got.clone() {
                    bare.handle(Event::TokenRejected { token }, now);
                }
            }
            Op::RetryNow => {
                subjects.iter().for_each(|subject| subject.way.credential().retry_now());
                bare.handle(Event::RetryNow, now);
            }
            Op::Dispose => {
                subjects.iter().for_each(|subject| subject.way.credential().dispose());
                bare.handle(Event::Disposed, now);
            }
            Op::Release => {
                for subject in &mut subjects {
                    if let Way::Lend(reader) | Way::LendAsync(reader) = &mut subject.way {
                        reader.release();
                    }
                }
            }
        }
        subjects.iter_mut().for_each(Subject::run);
        bare.wake(clock.now());
        for subject in &subjects {
            prop_assert_eq!(subject.line.calls(), bare.calls, "calls, at {} of {:?}", index, ops);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    /// Fails when `publish` does not count the version, when a reader's `look` keeps a tick for a token that is valid only by
    /// the exact clock, when `fresh` reads no clock, or when there is a snapshot although each request must ask the source.
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

/// Fails when a snapshot is valid for longer than the minimum interval. A request in that time ends the interval, and this
/// has an effect after the wall clock is set back.
#[test]
fn an_interval_that_a_request_saw_end_stays_ended_after_the_wall_clock_is_set_back() {
    use Op::{Answer, Ask, Reject, Set};
    let ops = [Ask, Answer(3_600_000), Set(1_000), Ask, Set(-1), Reject, Ask];
    live(Kind::Refreshing, &Policy::default(), &ops).expect("all agree");
}

/// Fails when `try_token` drops its request without a look at the token held, or at the pending error.
#[test]
fn a_request_that_does_not_wait_for_the_source_gets_the_result_of_its_earlier_answers() {
    let clock = ByHand::default();
    let policy = Policy::builder().check_source(CheckSource::EachRequest).build().unwrap();
    let mut subject = Subject::new(Kind::Exchanging, &clock, &policy, Way::Try);
    let tell = |told: Told, subject: &mut Subject| {
        subject.line.tell(told);
        subject.run();
        subject.way.ask()
    };
    assert!(tell(Told::Token { name: 0, life: 3_600_000 }, &mut subject).unwrap().is_none());
    assert!(tell(Told::Token { name: 0, life: 3_600_000 }, &mut subject).unwrap().is_some());
    subject.run();
    assert!(subject.way.ask().unwrap().is_some(), "the source has the question");
    let refused = tell(Told::SignedOut, &mut subject).unwrap_err();
    assert!(matches!(refused, Error::RefreshFailed { retry_in: Some(_), .. }), "{refused:?}");
}

fn holding_an_hour() -> (ByHand, Credential, impl Sized) {
    let clock = ByHand::default();
    let initial = NewToken::new("token").with_expires_in(Duration::from_secs(3_600));
    let refresher = || std::future::pending::<Result<String, RefresherError>>();
    let (credential, driver) = Builder::new(clock.clone(), refresher).initial_token(initial).build().unwrap();
    (clock, credential, driver)
}

/// Fails when a reader forgets the tick or the snapshot of its last look. It would still lend the right token, but at the
/// cost of a request to the credential.
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
        assert_eq!(clock.reads(), (exact, coarse), "no clock is read again");
        clock.set(|times| times.monotonic += TICK);
    }
}
