//! A host for little stories: it has two clocks, and puts what the machine says into words, with the timer as
//! milliseconds from now.

use acs_common::{
    Action, Error, Event, Machine, Monotonic, NewToken, Notice, Now, Policy, PolicyBuilder, RefresherError, RequestId,
    UnixTime,
};
use base64::Engine as _;

pub const SECOND: u64 = 1_000;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;
pub const START: i64 = 1_700_000_000_000;

pub struct Host {
    pub machine: Machine<u8>,
    pub mono: u64,
    pub wall: i64,
    pub call: Option<RequestId>,
}

impl Host {
    pub fn new(policy: PolicyBuilder, initial: Option<NewToken>) -> Self {
        Self::born(policy, initial, 5 * SECOND, START)
    }

    pub fn born(policy: PolicyBuilder, initial: Option<NewToken>, mono: u64, wall: i64) -> Self {
        let now = Now::new(Monotonic::from_millis(mono), UnixTime::from_millis(wall));
        let policy = policy.build().expect("the tests know the limits");
        let machine = Machine::new(initial, policy, now).expect("the tests know what a token is");
        let mut host = Self { machine, mono, wall, call: None };
        host.drain();
        host
    }

    /// On demand, under the default policy, with a token for so long.
    pub fn holding(life: u64) -> Self {
        Self::new(Policy::builder(), Some(until(START, life)))
    }

    /// On demand, under the default policy, with one waiter and its call in flight.
    pub fn in_flight() -> Self {
        let mut host = Self::new(Policy::builder(), None);
        assert_eq!(host.ask(1), ["call", "timer 60000"]);
        host
    }

    /// And that has failed.
    pub fn resting() -> Self {
        let mut host = Self::in_flight();
        assert_eq!(host.fail(), ["1 refused: refresh_failed, 1000", "failed, 1000", "timer off"]);
        host
    }

    pub fn now(&self) -> Now {
        Now::new(Monotonic::from_millis(self.mono), UnixTime::from_millis(self.wall))
    }

    pub fn pass(&mut self, millis: u64) {
        self.mono += millis;
        self.suspend(millis);
    }

    /// The monotonic clock stands still meanwhile.
    pub fn suspend(&mut self, millis: u64) {
        self.wall += i64::try_from(millis).unwrap();
    }

    pub fn set_forward(&mut self, millis: u64) {
        self.suspend(millis);
    }

    pub fn set_back(&mut self, millis: u64) {
        self.wall -= i64::try_from(millis).unwrap();
    }

    pub fn tell(&mut self, event: Event<u8>) -> Vec<String> {
        self.machine.handle(event, self.now());
        self.drain()
    }

    pub fn ask(&mut self, waiter: u8) -> Vec<String> {
        self.tell(Event::TokenRequested { waiter })
    }

    pub fn look(&mut self) -> Vec<String> {
        self.tell(Event::TimeAdvanced)
    }

    pub fn answer(&mut self, token: NewToken) -> Vec<String> {
        let request = self.call.expect("a call was made");
        self.tell(Event::TokenReceived { request, token })
    }

    /// Answers with a token for so long, by the wall clock.
    pub fn answer_for(&mut self, life: u64) -> Vec<String> {
        self.answer(until(self.wall, life))
    }

    pub fn fail(&mut self) -> Vec<String> {
        let request = self.call.expect("a call was made");
        self.tell(Event::RefreshFailed { request, error: RefresherError::new("no network") })
    }

    pub fn holds(&self) -> bool {
        self.machine.token(self.now()).is_some()
    }

    fn drain(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(action) = self.machine.poll_action() {
            said.push(match action {
                Action::ReturnToken { waiter, result: Ok(_) } => format!("{waiter} served"),
                Action::ReturnToken { waiter, result: Err(Error::RefreshFailed { cause, retry_in, .. }) } => {
                    let after = retry_in.map_or("none".to_owned(), |wait| wait.as_millis().to_string());
                    format!("{waiter} refused: {}, {after}", cause.kind().as_str())
                }
                Action::ReturnToken { waiter, result: Err(error) } => format!("{waiter} refused: {error}"),
                Action::CancelRefresher { .. } => "drop the call".to_owned(),
                Action::CallRefresher { request } => {
                    self.call = Some(request);
                    "call".to_owned()
                }
                Action::Notify(Notice::TokenChanged { .. }) => "changed".to_owned(),
                Action::Notify(Notice::TokenExpired) => "expired".to_owned(),
                Action::Notify(Notice::RefreshFailed { retry_in, .. }) => {
                    format!("failed, {}", retry_in.map_or("none".to_owned(), |wait| wait.as_millis().to_string()))
                }
                Action::Notify(other) => format!("{other:?}"),
                Action::ScheduleTimer { at: Some(at) } => {
                    format!("timer {}", at.saturating_since(Monotonic::from_millis(self.mono)).as_millis())
                }
                Action::ScheduleTimer { at: None } => "timer off".to_owned(),
            });
        }
        said
    }
}

pub fn until(wall: i64, life: u64) -> NewToken {
    NewToken::new("secret").with_expires_on(UnixTime::from_millis(wall.saturating_add_unsigned(life)))
}

/// A JWT whose claims are these many milliseconds after the start (in whole seconds).
pub fn jwt(iat: i64, exp: i64) -> NewToken {
    let claims = format!("{{\"iat\":{},\"exp\":{}}}", (START + iat) / 1_000, (START + exp) / 1_000);
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
    NewToken::new(format!("e30.{claims}.c2ln"))
}

pub fn proactive() -> PolicyBuilder {
    Policy::builder().refresh_proactively(true)
}

pub const NOTHING: [&str; 0] = [];
