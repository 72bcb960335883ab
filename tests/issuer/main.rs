//! The ready refresher over HTTP, as plain data: what is sent, what is read, and that no secret shows.

mod answers;
mod requests;
mod secrets;

use acs_common::issuer::{HttpResponse, Issuer, IssuerError};
use acs_common::{Action, Event, Machine, Monotonic, NewToken, Now, Policy, Reason, RefresherError, UnixTime};

const URL: &str = "https://contoso.example/chat/token";

/// 2023-11-14T22:13:20Z.
const START: i64 = 1_700_000_000;

fn at(secs: i64) -> Now {
    Now::new(Monotonic::from_millis(secs.unsigned_abs() * 1_000), UnixTime::from_secs(START + secs))
}

fn issuer() -> Issuer {
    Issuer::get(URL).unwrap()
}

/// What the machine says when it asks for its first token.
fn first() -> Reason {
    let mut machine = Machine::<()>::new(None, Policy::default(), at(0)).unwrap();
    machine.handle(Event::TokenRequested { waiter: () }, at(0));
    reason(&mut machine)
}

/// What it says when the service has refused this token.
fn rejected(token: &str) -> Reason {
    let held = NewToken::new(token).with_expires_in(std::time::Duration::from_secs(3_600));
    let mut machine = Machine::<()>::new(Some(held), Policy::default(), at(0)).unwrap();
    let held = machine.token(at(0)).unwrap().clone();
    machine.handle(Event::TokenRejected { token: held }, at(1));
    machine.handle(Event::TokenRequested { waiter: () }, at(1));
    reason(&mut machine)
}

fn reason(machine: &mut Machine<()>) -> Reason {
    while let Some(action) = machine.poll_action() {
        if let Action::CallRefresher { reason, .. } = action {
            return reason;
        }
    }
    panic!("no call");
}

fn ok(body: &str) -> HttpResponse {
    HttpResponse::new(200).with_body(body.into())
}

/// The token that a machine holds after this response, with its end in seconds from the start, and whether that is assumed.
fn held(issuer: &Issuer, response: &HttpResponse) -> (String, i64, bool) {
    let mut machine = Machine::<()>::new(None, Policy::default(), at(0)).unwrap();
    machine.handle(Event::TokenRequested { waiter: () }, at(0));
    let Some(Action::CallRefresher { request, reason, .. }) = machine.poll_action() else { panic!() };
    let token = issuer.read(&reason, response, at(1).unix).unwrap();
    machine.handle(Event::TokenReceived { request, token }, at(1));
    let token = machine.token(at(1)).unwrap_or_else(|| panic!("it holds no token after {response:?}"));
    let end = token.expires_on().as_millis().div_euclid(1_000) - START;
    (token.secret().expose().to_owned(), end, token.is_opaque())
}

fn refused(issuer: &Issuer, response: &HttpResponse) -> RefresherError {
    issuer.read(&first(), response, at(0).unix).unwrap_err()
}

fn why(error: &RefresherError) -> &IssuerError {
    error.get_ref().downcast_ref().expect("an issuer's own error")
}
