//! The callers that need tokens, and a listener that prints the notices.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use acs_common_drawing::Fact;
use acs_common_driver::{CommunicationTokenCredential, Error, FailureCause, Notice, Notices, Token, UnixTime};
use futures_lite::future;
use hyper::StatusCode;

use super::Runtime;
use super::device::Device;
use super::http::{Client, Trouble};
use super::tally::Tally;

/// The time between two requests of a caller.
const PACE: Duration = Duration::from_millis(100);

/// Uses the resource until the credential is disposed.
pub async fn call<R: Runtime>(
    runtime: R,
    credential: CommunicationTokenCredential<Device<R>>,
    resource: SocketAddr,
    tally: Arc<Tally>,
    name: String,
) {
    let _present = tally.enter();
    let mut client = Client::<R>::new(resource);
    let mut first = true;
    loop {
        let asked = runtime.now().unix;
        let (answer, waited) = ask(&credential, &tally, &name).await;
        match answer {
            Ok(token) => {
                tally.got_token(first, waited);
                let answer = client.get("/resource", Some(token.secret().expose())).await;
                match answer.map(|answer| answer.status) {
                    Ok(StatusCode::OK) => tally.count(|counts| counts.served += 1),
                    Ok(StatusCode::UNAUTHORIZED) => {
                        credential.reject(&token);
                        let valid_until = token.expires_on();
                        tally.refused(asked < valid_until && valid_until <= runtime.now().unix);
                    }
                    Ok(status) => tally.unexpected(&format!("unexpected status from the resource: {status}")),
                    Err(trouble) => tally.unexpected(&format!("the request to the resource failed: {trouble}")),
                }
            }
            Err(Error::Disposed) => return,
            Err(error) => tally.left_without(&explain(&error), waited),
        }
        first = false;
        runtime.sleep(PACE).await;
    }
}

/// `get_token`, and how long the caller waited. `None`: the answer came at once.
async fn ask<R: Runtime>(
    credential: &CommunicationTokenCredential<Device<R>>,
    tally: &Tally,
    name: &str,
) -> (Result<Token, Error>, Option<Duration>) {
    let (asked, at) = (Instant::now(), tally.record.now());
    let waiter = || name.to_owned();
    let answered = |at: u64, answer: &Result<Token, Error>| {
        let failure = answer.as_ref().err().map(|_| String::new());
        tally.record.add(at, Fact::Answered { waiter: waiter(), failure });
    };
    tally.record.add(at, Fact::Asked { waiter: waiter() });
    let mut request = pin!(credential.get_token());
    // "At once" means at the first poll. That does not depend on the load of this machine.
    match future::poll_once(&mut request).await {
        Some(answer) => {
            answered(at, &answer);
            (answer, None)
        }
        None => {
            let answer = request.await;
            answered(tally.record.now(), &answer);
            (answer, Some(asked.elapsed()))
        }
    }
}

/// Prints the notices of the credential, and counts them.
pub async fn narrate<R: Runtime>(runtime: R, mut notices: Notices<Device<R>>, tally: Arc<Tally>) {
    let _present = tally.enter();
    let mut expiry: Option<UnixTime> = None;
    while let Some(notice) = notices.next().await {
        let left = |expiry: UnixTime| {
            let millis = expiry.as_millis().saturating_sub(runtime.now().unix.as_millis());
            u64::try_from(millis).ok().filter(|millis| *millis > 0).map(Duration::from_millis)
        };
        match notice {
            Notice::RefreshStarted { trigger, .. } => {
                tally.tell("credential", &format!("calls the refresher: {}", trigger.as_str().replace('_', " ")));
            }
            Notice::TokenChanged { expires_on, .. } => {
                expiry = Some(expires_on);
                tally.count(|counts| counts.renewed += 1);
                let good = left(expires_on).unwrap_or_default();
                tally.record.renewed(good);
                tally.tell("credential", &format!("has a new token, valid for {:.1} s", good.as_secs_f64()));
            }
            Notice::RefreshFailed { cause, retry_in, .. } => {
                let is_returned = !matches!(cause, FailureCause::TimedOut { .. });
                let kind = kind(&cause);
                tally.record.failed(is_returned.then_some(kind.as_str()), retry_in);
                let held = match expiry.and_then(left) {
                    Some(left) => format!("the token held is valid for {:.1} s", left.as_secs_f64()),
                    None => "it holds no valid token".to_owned(),
                };
                let next = retry_in.map(|wait| format!("; next try in {:.2} s", wait.as_secs_f64()));
                let next = next.unwrap_or_default();
                tally.tell("credential", &format!("refresh failed: {kind}{next}; {held}"));
                tally.count(|counts| *counts.failures.entry(kind).or_default() += 1);
            }
            Notice::TokenExpired => {
                tally.record.expired();
                tally.tell("credential", "the token has expired before a new one came");
            }
            Notice::ClockSkewed { by, .. } => {
                let (seconds, side) = (by.unsigned_abs() / 1_000, if by > 0 { "ahead" } else { "behind" });
                tally.tell(
                    "credential",
                    &format!("sees that this device's clock is at least {seconds} s {side}: the issuer's time counts"),
                );
            }
            Notice::Disposed => {
                tally.tell("credential", "is disposed: it has wiped the token, and later requests fail")
            }
            other => tally.tell("credential", &format!("notice: {other:?}")),
        }
    }
}

/// The kind of a failure, in words.
fn kind(cause: &FailureCause) -> String {
    match cause {
        // The refresher's own error is kept, with its type.
        FailureCause::Refresher(error) if error.get_ref().is::<Trouble>() => error.to_string(),
        FailureCause::ExpiredToken { .. } => "the token had already expired".to_owned(),
        FailureCause::InvalidToken(_) => "the response was not a token".to_owned(),
        FailureCause::TimedOut { .. } => "no response in time".to_owned(),
        _ => cause.to_string(),
    }
}

fn explain(error: &Error) -> String {
    match error {
        Error::RefreshFailed { cause, retry_in: Some(wait), .. } => {
            format!("{}; next try in {:.2} s", kind(cause), wait.as_secs_f64())
        }
        Error::RefreshFailed { cause, .. } => kind(cause),
        _ => error.to_string(),
    }
}
