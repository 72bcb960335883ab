//! A host for tests that step through a machine's life by hand: both clocks run together unless they are set apart, and
//! the timer fires exactly when it is due.

use acs_common::{
    Action, Error, Event, InvalidToken, Machine, Monotonic, NewToken, Notice, Now, Policy, RefresherError, RequestId,
    Token, UnixTime,
};
use base64::Engine as _;

/// What the wall clock shows at the start, in seconds.
pub const START: i64 = 1_700_000_000;

/// What the machine told its host, but for the timer.
#[derive(Debug)]
pub enum Did {
    Token(u32, Token),
    Error(u32, Error),
    Cancel(RequestId),
    Call(RequestId),
    Notice(Notice),
}

#[derive(Clone, Debug)]
pub struct Rig {
    pub machine: Machine<u32>,
    /// Milliseconds since the start.
    pub at: u64,
    /// How far the wall clock was set forward, in milliseconds.
    pub stepped: i64,
    /// Every call of the refresher so far.
    pub calls: Vec<RequestId>,
    called_at: Option<u64>,
    timer: Option<Monotonic>,
}

impl Rig {
    pub fn new(initial: Option<NewToken>, policy: Policy) -> Result<Self, InvalidToken> {
        Ok(Self::of(Machine::new(initial, policy, now(0))?))
    }

    pub fn fixed(token: NewToken, policy: Policy) -> Result<Self, InvalidToken> {
        Ok(Self::of(Machine::with_static_token(token, policy, now(0))?))
    }

    /// A refreshing credential that holds no token, drained.
    pub fn empty(policy: Policy) -> Self {
        let mut rig = Self::new(None, policy).expect("no token can be no bad token");
        rig.drain();
        rig
    }

    fn of(machine: Machine<u32>) -> Self {
        Self { machine, at: 0, stepped: 0, calls: Vec::new(), called_at: None, timer: None }
    }

    pub fn now(&self) -> Now {
        let Now { monotonic, unix } = now(self.at);
        Now::new(monotonic, UnixTime::from_millis(unix.as_millis() + self.stepped))
    }

    /// Waits, without a look at the clocks, until `at`.
    pub fn sleep_until(&mut self, at: u64) -> &mut Self {
        assert!(at >= self.at, "time runs forward");
        self.at = at;
        self
    }

    pub fn handle(&mut self, event: Event<u32>) -> Vec<Did> {
        self.machine.handle(event, self.now());
        self.drain()
    }

    pub fn drain(&mut self) -> Vec<Did> {
        let mut done = Vec::new();
        let mut timer_last = false;
        while let Some(action) = self.machine.poll_action() {
            assert!(!timer_last, "the timer comes last, but then came {action:?}");
            done.push(match action {
                Action::ReturnToken { waiter, result: Ok(token) } => Did::Token(waiter, token),
                Action::ReturnToken { waiter, result: Err(error) } => Did::Error(waiter, error),
                Action::CancelRefresher { request } => Did::Cancel(request),
                Action::CallRefresher { request } => {
                    self.calls.push(request);
                    self.called_at = Some(self.at);
                    Did::Call(request)
                }
                Action::Notify(notice) => Did::Notice(notice),
                Action::ScheduleTimer { at } => {
                    timer_last = true;
                    self.timer = at;
                    continue;
                }
            });
        }
        assert_eq!(self.timer, self.machine.deadline(), "the announced timer is the deadline");
        assert!(self.timer.is_none_or(|due| due.as_millis() > self.at), "a settled machine is never already due");
        done
    }

    /// Runs the timer until `at`, that moment included; what happened, and when.
    pub fn run_until(&mut self, at: u64) -> Vec<(u64, Did)> {
        let mut done = Vec::new();
        while let Some(due) = self.timer.map(Monotonic::as_millis).filter(|due| *due <= at) {
            self.at = due.max(self.at);
            self.timer = None;
            let when = self.at;
            done.extend(self.handle(Event::TimeAdvanced).into_iter().map(|did| (when, did)));
        }
        self.sleep_until(at);
        done
    }

    pub fn request(&mut self, waiter: u32) -> Vec<Did> {
        self.handle(Event::TokenRequested { waiter })
    }

    /// Answers the last call.
    pub fn answer(&mut self, token: NewToken) -> Vec<Did> {
        self.handle(Event::TokenReceived { request: self.last_call(), token })
    }

    /// Lets the last call fail.
    pub fn fail(&mut self, error: RefresherError) -> Vec<Did> {
        self.handle(Event::RefreshFailed { request: self.last_call(), error })
    }

    pub fn last_call(&self) -> RequestId {
        *self.calls.last().expect("the refresher has been called")
    }

    pub fn held(&self) -> Option<Token> {
        self.machine.token(self.now()).cloned()
    }

    /// Whether the last call was made this very millisecond.
    pub fn called_just_now(&self) -> bool {
        self.called_at == Some(self.at)
    }

    /// From when on the next refresh may start, under a floor of so many milliseconds.
    pub fn floor(&self, millis: u64) -> u64 {
        self.called_at.map_or(0, |at| at + millis)
    }

    /// When the timer is due.
    pub fn deadline(&self) -> Option<u64> {
        self.machine.deadline().map(Monotonic::as_millis)
    }
}

pub fn now(at: u64) -> Now {
    Now::new(Monotonic::from_millis(at), unix(at))
}

/// What the wall clock shows `at` milliseconds after the start, if nobody sets it.
pub fn unix(at: u64) -> UnixTime {
    UnixTime::from_millis(START * 1_000 + i64::try_from(at).expect("a test's time is short"))
}

/// A token that expires `at` milliseconds after the start.
pub fn until(at: u64) -> NewToken {
    NewToken::new("opaque").with_expires_on(unix(at))
}

/// A JWT with this payload.
pub fn jwt(payload: impl AsRef<[u8]>) -> String {
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload);
    format!("eyJhbGciOiJub25lIn0.{payload}.c2ln")
}

/// The calls of the refresher among what happened.
pub fn calls<'a>(done: impl IntoIterator<Item = &'a Did>) -> usize {
    done.into_iter().filter(|did| matches!(did, Did::Call(_))).count()
}
