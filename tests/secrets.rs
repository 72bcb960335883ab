//! Tokens never show in any text, and are kept only as long as they are needed.
//!
//! The file is long because each type that can hold a secret has its test.

mod support;

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use acs_common::{
    Action, Error, Event, Machine, NewToken, Notice, Policy, RefresherError, RequestId, Secret, Token, TokenError,
    UndecodableTokens,
};

use support::rig::{START, jwt, now, unix};

/// A JWT whose parts are all recognizable, encoded and decoded.
fn canary(name: &str, exp: i64) -> String {
    let [_, payload, _] = &jwt(format!("{{\"sub\":\"payload of {name}\",\"exp\":{exp}}}"))
        .split('.')
        .map(str::to_owned)
        .collect::<Vec<_>>()[..]
    else {
        panic!("a JWT has three parts")
    };
    format!("HEADER-{name}-HEADER.{payload}.SIGNATURE-{name}-SIGNATURE")
}

/// Eight equal letters in a row are not a coincidence.
const WINDOW: usize = 8;

#[derive(Default)]
struct Witness {
    windows: BTreeSet<String>,
    looked: usize,
}

impl Witness {
    /// Searches all later texts for this one.
    fn guard(&mut self, text: &str) -> NewToken {
        let start: Vec<char> = text.chars().take(400).collect();
        self.windows.extend(start.windows(WINDOW).map(|window| window.iter().collect::<String>()));
        NewToken::new(text)
    }

    fn text(&mut self, shown: &str) {
        self.looked += 1;
        let letters: Vec<char> = shown.chars().collect();
        for window in letters.windows(WINDOW) {
            let window: String = window.iter().collect();
            assert!(!self.windows.contains(&window), "{window:?} shows in {shown}");
        }
    }

    fn debug(&mut self, value: &impl Debug) {
        self.text(&format!("{value:?}"));
        self.text(&format!("{value:#?}"));
    }

    fn both(&mut self, value: &(impl Debug + Display)) {
        self.debug(value);
        self.text(&value.to_string());
        self.text(&format!("{value:#}"));
    }

    fn error(&mut self, error: &Error) {
        self.both(error);
        if let Error::RefreshFailed { cause, .. } = error {
            self.both(cause);
            self.debug(&cause.kind());
        }
        let mut source = error.source();
        while let Some(error) = source {
            self.text(&format!("{error} {error:?}"));
            source = error.source();
        }
    }

    /// Handles an event and checks all texts, before and after.
    fn handle(&mut self, machine: &mut Machine<u32>, event: Event<u32>, at: u64) -> Option<RequestId> {
        self.debug(&event);
        machine.handle(event, now(at));
        self.debug(machine);
        self.drain(machine, at)
    }

    fn drain(&mut self, machine: &mut Machine<u32>, at: u64) -> Option<RequestId> {
        let mut call = None;
        while let Some(action) = machine.poll_action() {
            self.debug(&action);
            self.debug(machine);
            match action {
                Action::ReturnToken { result: Ok(token), .. } => self.token(&token),
                Action::ReturnToken { result: Err(error), .. } => self.error(&error),
                Action::Notify(notice) => {
                    self.debug(&notice);
                    if let Notice::RefreshFailed { cause, .. } = notice {
                        self.both(&cause);
                    }
                }
                Action::CallRefresher { request, .. } => call = Some(request),
                Action::CheckSource { .. } | Action::CancelRefresher { .. } | Action::ScheduleTimer { .. } => {}
            }
        }
        self.debug(&machine.snapshot());
        self.debug(&machine.token(now(at)));
        call
    }

    fn token(&mut self, token: &Token) {
        self.debug(token);
        self.debug(&token.clone());
        self.debug(token.secret());
        self.debug(&token.authorization());
        self.debug(token);
    }
}

/// Fails when `Secret` derives `Debug`, or an error contains the text that it is about.
#[test]
fn no_token_shows_wherever_it_is_held_or_has_been() {
    let mut witness = Witness::default();
    let initial = witness.guard(&canary("initial", START + 600));
    witness.debug(&initial);
    let mut machine = Machine::new(Some(initial), Policy::default(), now(0)).unwrap();
    witness.debug(&machine);
    witness.drain(&mut machine, 0);
    witness.handle(&mut machine, Event::TokenRequested { waiter: 1 }, 1);

    // Renewed, rejected, then answers that are expired, blank and too long, then opaque tokens.
    let request = witness.handle(&mut machine, Event::TokenRequested { waiter: 2 }, 500_000).unwrap();
    let token = witness.guard(&canary("renewed", START + 7_200));
    witness.handle(&mut machine, Event::TokenReceived { request, token }, 500_010);
    let token = machine.token(now(500_010)).unwrap().clone();
    witness.handle(&mut machine, Event::TokenRejected { token }, 500_020);
    let mut at = 600_000;
    let long = canary("long", START + 7_200) + &"x".repeat(1 << 20);
    for (text, expires) in [
        (canary("late-token", START), None),
        (long, None),
        (canary("late-as-stated", START + 7_200), Some(0)),
        ("neither.a JSON.object of the canary".to_owned(), None),
        ("a-canary-that-is-opaque".to_owned(), Some(7_200)),
    ] {
        let request = witness.handle(&mut machine, Event::TokenRequested { waiter: 3 }, at).expect("it is called");
        let token = witness.guard(&text);
        let token = match expires {
            Some(secs) => token.with_expires_in(Duration::from_secs(secs)),
            None => token,
        };
        witness.debug(&token);
        witness.handle(&mut machine, Event::TokenReceived { request, token }, at + 10);
        if let Some(token) = machine.token(now(at + 10)).cloned() {
            witness.handle(&mut machine, Event::TokenRejected { token }, at + 20);
        }
        witness.handle(&mut machine, Event::RetryNow, at + 30);
        at += 400_000;
    }
    witness.handle(&mut machine, Event::Disposed, at);
    witness.handle(&mut machine, Event::TokenRequested { waiter: 4 }, at);

    let token = witness.guard(&canary("static", START)).with_expires_on(unix(5));
    witness.debug(&token);
    let mut machine = Machine::with_static_token(token, Policy::default(), now(0)).unwrap();
    witness.handle(&mut machine, Event::TokenRequested { waiter: 5 }, 9_000);
    assert!(witness.looked > 300, "only {} texts", witness.looked);
}

/// Fails when an `InvalidToken` shows the invalid text.
#[test]
fn a_refused_token_does_not_show_in_the_refusal() {
    let mut witness = Witness::default();
    let strict = Policy::builder().undecodable_tokens(UndecodableTokens::Reject).build().unwrap();
    let long = canary("long", START) + &"x".repeat(1 << 20);
    for text in ["a canary nobody reads", "a.canary nobody.reads", &long] {
        let errors: [TokenError; 2] = [
            Machine::<u32>::new(Some(witness.guard(text)), strict.clone(), now(0)).unwrap_err(),
            Machine::<u32>::with_static_token(witness.guard(text), strict.clone(), now(0)).unwrap_err(),
        ];
        for error in errors {
            witness.both(&error);
        }
        let mut machine = Machine::new(None, strict.clone(), now(0)).unwrap();
        let request = witness.handle(&mut machine, Event::TokenRequested { waiter: 1 }, 0).unwrap();
        let token = witness.guard(text);
        witness.handle(&mut machine, Event::TokenReceived { request, token }, 1);
    }
}

/// Fails when the witness does not check.
#[test]
#[should_panic = "shows in"]
fn the_witness_finds_a_secret() {
    let mut witness = Witness::default();
    witness.guard("a canary");
    witness.debug(&Some("that is a canary!"));
}

/// How many secrets a machine holds. All its types derive `Debug`, so the text shows each of them, as `Secret(…)`.
fn secrets(machine: &Machine<u32>) -> usize {
    format!("{machine:?}").matches("Secret(").count()
}

fn call(machine: &mut Machine<u32>) -> RequestId {
    let mut calls = std::iter::from_fn(|| machine.poll_action()).filter_map(|action| match action {
        Action::CallRefresher { request, .. } => Some(request),
        _ => None,
    });
    calls.next().expect("the refresher is called")
}

/// Fails when `dispose`, `reject` or `settle` keeps the lease, when `receive` keeps a refused token, or when an answer
/// is queued with its token.
#[test]
fn the_machine_keeps_no_token_it_has_no_use_for() {
    let given = |at: u64| NewToken::new("a-canary").with_expires_on(unix(at));
    let mut held = Machine::new(Some(given(600_000)), Policy::default(), now(0)).unwrap();
    held.handle(Event::TokenRequested { waiter: 1 }, now(1));
    assert_eq!(secrets(&held), 1, "one, although an answer waits to be drained");

    let token = held.token(now(1)).unwrap().clone();
    let ends: [(&str, Event<u32>, u64, usize); 3] = [
        ("disposed", Event::Disposed, 2, 0),
        // The refresher gets the rejected token, until another one is accepted.
        ("rejected", Event::TokenRejected { token: token.clone() }, 2, 1),
        ("expired", Event::TimeAdvanced, 600_000, 0),
    ];
    for (end, event, at, left) in ends {
        let mut machine = held.clone();
        machine.handle(event, now(at));
        assert_eq!(secrets(&machine), left, "{end}, undrained");
        let mut drained = std::iter::from_fn(|| machine.poll_action());
        assert!(
            drained.all(|action| !matches!(action, Action::ReturnToken { result: Ok(_), .. })),
            "{end}: no longer returned"
        );
    }

    let mut rejected = held.clone();
    rejected.handle(Event::TokenRejected { token }, now(2));
    rejected.handle(Event::TokenRequested { waiter: 2 }, now(1_002));
    let mut machine = rejected.clone();
    machine.handle(Event::Disposed, now(1_003));
    assert_eq!(secrets(&machine), 0, "rejected, then disposed");
    let request = call(&mut rejected);
    rejected.handle(Event::TokenReceived { request, token: given(9_000_000) }, now(1_003));
    assert_eq!(secrets(&rejected), 1, "rejected, then replaced");

    held.handle(Event::TokenRequested { waiter: 2 }, now(500_000));
    let request = call(&mut held);
    for (what, token, left) in [
        ("replaced", given(9_000_000), 1),
        ("not by an expired one", given(1), 1),
        ("nor by a blank one", NewToken::new(" "), 1),
    ] {
        let mut machine = held.clone();
        machine.handle(Event::TokenReceived { request, token }, now(500_010));
        assert_eq!(secrets(&machine), left, "{what}");
        machine.handle(Event::TokenReceived { request, token: given(9_000_000) }, now(500_020));
        assert_eq!(secrets(&machine), left, "{what}, and then a late answer");
        machine.handle(Event::Disposed, now(500_030));
        machine.handle(Event::TokenReceived { request, token: given(9_000_000) }, now(500_040));
        assert_eq!(secrets(&machine), 0, "{what}, then disposed, and then a late answer");
    }
}

struct Watched(Arc<()>);

impl Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Display for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for Watched {}

/// Fails when `dispose` keeps the last failure, or the answers or notices that contain it.
#[test]
fn a_disposed_machine_lets_go_of_the_refreshers_errors() {
    let watch = Arc::new(());
    let mut machine = Machine::new(None, Policy::default(), now(0)).unwrap();
    machine.handle(Event::TokenRequested { waiter: 1 }, now(0));
    let request = call(&mut machine);
    let error = RefresherError::new(Watched(watch.clone()));
    machine.handle(Event::RefreshFailed { request, error }, now(1));
    assert!(Arc::strong_count(&watch) > 1, "kept for requests during the backoff");
    machine.handle(Event::Disposed, now(2));
    assert_eq!(Arc::strong_count(&watch), 1, "undrained");
    assert!(matches!(machine.poll_action(), Some(Action::ReturnToken { waiter: 1, result: Err(Error::Disposed) })));
}

/// Fails when `Secret::new`, `NewToken::new` or `accept` copies the text: the copy would not be wiped.
#[test]
fn a_token_handed_in_is_never_copied() {
    let text = canary("only-one", START + 600);
    let place = text.as_ptr();
    assert_eq!(Secret::new(text.clone()).expose(), text);
    let mut machine = Machine::<u32>::new(None, Policy::default(), now(0)).unwrap();
    machine.handle(Event::TokenRequested { waiter: 1 }, now(0));
    let request = call(&mut machine);
    let token = NewToken::from(Secret::new(text)).with_expires_on(unix(600_000));
    machine.handle(Event::TokenReceived { request, token }, now(1));
    assert_eq!(machine.token(now(1)).unwrap().secret().expose().as_ptr(), place, "the machine's");
    let Some(Action::ReturnToken { result: Ok(token), .. }) = machine.poll_action() else { panic!("it is answered") };
    assert_eq!(token.secret().expose().as_ptr(), place, "the caller's");
    assert_eq!(machine.snapshot().unwrap().token(now(1)).unwrap().secret().expose().as_ptr(), place, "the snapshot's");

    let text = canary("bare", START + 600);
    let place = text.as_ptr();
    let machine = Machine::<u32>::with_static_token(NewToken::new(text), Policy::default(), now(0)).unwrap();
    assert_eq!(machine.token(now(0)).unwrap().secret().expose().as_ptr(), place, "a string's");
}

/// Whether the text is anywhere in this process's writable memory: its heaps, its stacks.
#[cfg(target_os = "linux")]
fn is_left(text: &str) -> bool {
    use std::fs::{File, read_to_string};
    use std::os::unix::fs::FileExt as _;

    let memory = File::open("/proc/self/mem").unwrap();
    let hex = |digits| u64::from_str_radix(digits, 16).unwrap();
    let mut page = vec![0; 1 << 16];
    read_to_string("/proc/self/maps").unwrap().lines().any(|line| {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').map(|(start, end)| (hex(start), hex(end))).unwrap();
        rest.starts_with("rw-p")
            && (start..end).step_by(page.len() - text.len()).any(|at| {
                // The stack of a thread that has just ended is gone.
                let read = memory.read_at(&mut page, at).unwrap_or(0);
                page[..read].windows(text.len()).any(|part| part[0] == text.as_bytes()[0] && part == text.as_bytes())
            })
    })
}

/// Fails when `payload` or `decode` drops its buffer without wiping it, or lets it grow.
#[cfg(target_os = "linux")]
#[test]
fn no_decoded_part_of_a_jwt_stays_in_memory() {
    // Already encoded: the test itself must not leave the decoded text in memory.
    let name = "Anna Livia Plurabelle???";
    let alone = "QW5uYSBMaXZpYSBQbHVyYWJlbGxlPz8_";
    let policy = Policy::builder().undecodable_tokens(UndecodableTokens::Reject).build().unwrap();
    let part = |json: &[u8]| jwt(json).split('.').nth(1).unwrap().to_owned();
    let end = part(format!("\",\"exp\":{}}} ", START + 600).as_bytes());
    for (start, name) in [
        (part(b"{\"name\":\""), alone.to_owned()),
        (part(b"{\"name\":\""), alone.replace('_', "/")),
        (part(b"{  \"name\":\"\xfc"), alone.to_owned()),
    ] {
        let token = format!("h.{start}{}{end}.s", name.repeat(15));
        let held = Machine::<u32>::new(Some(token.as_str().into()), policy.clone(), now(0));
        assert!(held.is_ok_and(|machine| machine.token(now(0)).is_some()), "it is read");
    }
    assert!(!is_left(name), "a claim");
    let seen = std::hint::black_box(name.to_owned());
    assert!(is_left(name), "the check finds a text that is there");
    drop(seen);
}

/// Whether the type has the trait.
macro_rules! has {
    ($type:ty: $($bound:tt)+) => {{
        #[allow(dead_code, reason = "used by the types that lack the trait")]
        trait Otherwise {
            const HAS: bool = false;
        }
        struct Probe<T: ?Sized>(PhantomData<T>);
        impl<T: ?Sized> Otherwise for Probe<T> {}
        #[allow(dead_code, reason = "used by the types that have the trait")]
        impl<T: ?Sized + $($bound)+> Probe<T> {
            const HAS: bool = true;
        }
        let _ = PhantomData::<Probe<$type>>;
        <Probe<$type>>::HAS
    }};
}

/// Fails when any of these is derived or implemented.
#[test]
fn a_secret_cannot_be_printed_compared_or_copied_by_accident() {
    assert!(has!(String: Display) && has!(String: PartialEq) && has!(Token: Clone), "the probe works");
    assert!(!has!(Secret: Display));
    assert!(!has!(Secret: Clone));
    assert!(!has!(Secret: PartialEq));
    assert!(!has!(Secret: PartialOrd));
    assert!(!has!(Secret: PartialEq<str>));
    assert!(!has!(Secret: std::hash::Hash));
    assert!(!has!(Secret: AsRef<str>));
    assert!(!has!(Secret: std::ops::Deref));
    assert!(!has!(Secret: Into<String>));
    assert!(!has!(Token: Display));
    assert!(!has!(Token: PartialEq));
    assert!(!has!(Token: PartialOrd));
    assert!(!has!(Token: std::hash::Hash));
    assert!(!has!(NewToken: Display));
    assert!(!has!(NewToken: PartialEq));
    assert!(!has!(NewToken: Clone));
    assert!(has!(Secret: Send) && has!(Secret: Sync) && has!(Token: Send) && has!(Token: Sync));
}
