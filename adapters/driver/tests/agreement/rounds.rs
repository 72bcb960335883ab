//! Many requests at a time: each gets the same answer, at the same time, as from a machine that knows each request.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use acs_common::Event;
use acs_common_driver::{Clock as _, Error, GetToken, Policy, Token};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::by_hand::ByHand;
use crate::kinds::{Bare, Kind, Line, Told};
use crate::{policy, poll_once, said};

#[derive(Clone, Debug)]
enum Op {
    Ask,
    GiveUp(usize),
    /// Whether the timer comes late, after what follows.
    Pass(u64, bool),
    Answer(u64),
    Fail(u16),
    SignOut,
    Reject,
    RetryNow,
    Dispose,
}

/// The clocks only go forwards. A cancelled request makes a bare machine look at the clocks, which has an effect after they
/// are set back.
fn op() -> impl Strategy<Value = Op> {
    let pass = prop_oneof![4 => 0..30_u64, 2 => 30..2_000_u64, 1 => Just(60_000), 1 => Just(600_000)];
    prop_oneof![
        12 => Just(Op::Ask),
        6 => any::<usize>().prop_map(Op::GiveUp),
        8 => (pass, any::<bool>()).prop_map(|(millis, late)| Op::Pass(millis, late)),
        6 => prop_oneof![4 => 1..40_u64, 2 => 40..4_000_u64, 1 => Just(3_600_000)].prop_map(Op::Answer),
        2 => prop_oneof![Just(503), Just(401), Just(400)].prop_map(Op::Fail),
        1 => Just(Op::SignOut),
        3 => Just(Op::Reject),
        1 => Just(Op::RetryNow),
    ]
}

/// Its length is its number, so that each differs.
fn name(request: usize) -> &'static str {
    const LONGEST: &str = "................................................................";
    &LONGEST[..request]
}

type Asking<'a> = BTreeMap<usize, Pin<Box<GetToken<'a, ByHand>>>>;

/// Takes the answers of the requests. Returns the last token.
fn compare(asking: &mut Asking<'_>, bare: &mut Bare) -> Result<Option<[Token; 2]>, TestCaseError> {
    let mut got = None;
    let mut answered = Vec::new();
    // The newest first, because it may not have been polled yet.
    for (request, future) in asking.iter_mut().rev() {
        let wanted: Option<Result<Token, Error>> = bare.answers.remove(name(*request));
        let answer = match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        };
        let say = |answer: &Option<Result<Token, Error>>| answer.clone().map(|answer| said(&answer.map(Some)));
        prop_assert_eq!(say(&answer), say(&wanted), "request {}", request);
        if answer.is_some() {
            answered.push(*request);
        }
        if let (Some(Ok(own)), Some(Ok(bares))) = (answer, wanted) {
            got = Some([own, bares]);
        }
    }
    asking.retain(|request, _| !answered.contains(request));
    Ok(got)
}

fn live(kind: Kind, policy: &Policy, ops: &[Op]) -> Result<(), TestCaseError> {
    let (clock, line) = (ByHand::default(), Line::default());
    let (credential, mut driver) = kind.credential(&clock, policy, &line);
    let mut bare = Bare::new(kind, policy, clock.now());
    let mut asking = Asking::new();
    let (mut requests, mut got, mut ended) = (0, None, poll_once(driver.as_mut()).is_some());
    for op in ops {
        let now = clock.now();
        let mut tell = |told| {
            line.tell(told);
            bare.tell(told, now);
        };
        match op {
            Op::Ask => {
                asking.insert(requests, Box::pin(credential.get_token()));
                bare.handle(Event::TokenRequested { waiter: name(requests) }, now);
                requests += 1;
                got = compare(&mut asking, &mut bare)?.or(got);
            }
            Op::GiveUp(which) => {
                if let Some(request) = asking.keys().copied().nth(which % asking.len().max(1)) {
                    asking.remove(&request);
                    bare.handle(Event::RequestCancelled { waiter: name(request) }, now);
                }
            }
            Op::Pass(millis, late) => {
                clock.set(|times| times.monotonic += millis);
                if *late {
                    continue;
                }
            }
            Op::Answer(life) => tell(Told::Token { name: requests, life: *life }),
            Op::Fail(status) => tell(Told::Failure { status: *status }),
            Op::SignOut => tell(Told::SignedOut),
            Op::Reject => {
                if let Some([own, bares]) = &got {
                    credential.reject(own);
                    bare.handle(Event::TokenRejected { token: bares.clone() }, now);
                }
            }
            Op::RetryNow => {
                credential.retry_now();
                bare.handle(Event::RetryNow, now);
            }
            Op::Dispose => {
                credential.dispose();
                bare.handle(Event::Disposed, now);
            }
        }
        ended = ended || poll_once(driver.as_mut()).is_some();
        bare.wake(clock.now());
        got = compare(&mut asking, &mut bare)?.or(got);
        prop_assert_eq!(line.calls(), bare.calls, "calls");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    /// Fails when a round stays open after the source has answered, when a request that joins a round does not make the machine
    /// look at the clocks, when the last request that leaves a round does not tell the machine, or when another one does.
    #[test]
    fn a_request_among_many_gets_what_it_gets_by_itself(
        policy in policy(),
        mut ops in vec(op(), 1..60),
        disposed in any::<bool>(),
        end in vec(op(), 1..4),
    ) {
        if disposed {
            ops.push(Op::Dispose);
            ops.extend(end);
        }
        live(Kind::Refreshing, &policy, &ops)?;
        live(Kind::Exchanging, &policy, &ops)?;
    }
}
