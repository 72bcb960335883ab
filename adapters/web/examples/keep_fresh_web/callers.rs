//! The callers that need tokens, and a listener that writes down the notices.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use acs_common_drawing::Fact;
use acs_common_web::generic::{CommunicationTokenCredential, Notices};
use acs_common_web::{Clock as _, Error, FailureCause, Notice, Token};

use crate::device::Device;
use crate::issuer::Issuer;
use crate::tally::{Fare, Tally};

/// The time between two requests of a caller.
const PACE: Duration = Duration::from_millis(250);

/// Uses the resource all the time.
pub async fn call(
    device: Device,
    credential: CommunicationTokenCredential<Device>,
    issuer: Rc<Issuer>,
    tally: Rc<Tally>,
    number: usize,
) {
    loop {
        match ask(&device, &credential, &tally, number).await {
            Ok(token) if issuer.accepts(token.secret().expose()).await => {
                tally.count(|counts| counts.served += 1);
                tally.fares(number, Fare::Served);
            }
            Ok(token) => {
                tally.count(|counts| counts.refused += 1);
                tally.fares(number, Fare::Refused);
                tally.rejected(&token);
                credential.reject(&token);
            }
            Err(Error::Disposed) => return,
            Err(_) => {
                let in_spite = issuer.has_delivered_a_valid_token();
                tally.count(|counts| *if in_spite { &mut counts.without_in_spite } else { &mut counts.without } += 1);
                tally.fares(number, Fare::WithoutToken);
            }
        }
        device.pause(PACE).await;
    }
}

/// `get_token`, written down.
async fn ask(
    device: &Device,
    credential: &CommunicationTokenCredential<Device>,
    tally: &Tally,
    number: usize,
) -> Result<Token, Error> {
    let waiter = || format!("caller {}", number + 1);
    let at = device.passed();
    tally.record(at, Fact::Asked { waiter: waiter() });
    let mut request = pin!(credential.get_token());
    let asked = device.now().monotonic;
    let at_once = poll_fn(|context| match request.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    });
    let answered = |at: u64, answer: &Result<Token, Error>| {
        let failure = answer.as_ref().err().map(|_| String::new());
        tally.record(at, Fact::Answered { waiter: waiter(), failure });
    };
    match at_once.await {
        Some(answer) => {
            answered(at, &answer);
            answer
        }
        None => {
            tally.fares(number, Fare::Waits);
            let answer = request.await;
            let wait = Duration::from_millis(device.now().monotonic.as_millis() - asked.as_millis());
            tally.count(|counts| {
                counts.waited += 1;
                counts.longest_wait = counts.longest_wait.max(wait);
            });
            answered(device.passed(), &answer);
            answer
        }
    }
}

/// Writes down the notices of the credential.
pub async fn narrate(mut notices: Notices<Device>, tally: Rc<Tally>) {
    while let Some(notice) = notices.next().await {
        match notice {
            Notice::TokenChanged { expires_on, .. } => tally.renewed(expires_on),
            Notice::RefreshFailed { cause, retry_in, .. } => {
                let gave_up = matches!(cause, FailureCause::TimedOut { .. });
                tally.failed(&kind(&cause), gave_up, retry_in);
            }
            Notice::TokenExpired => tally.expired(),
            Notice::ClockSkewed { by, .. } => {
                let minutes = by.unsigned_abs() / 60_000;
                let side = if by > 0 { "ahead" } else { "behind" };
                tally.tell(&format!(
                    "the credential sees that this clock is {minutes} minutes {side}: the issuer's counts"
                ));
            }
            Notice::Disposed => return,
            other => tally.tell(&format!("notice: {other:?}")),
        }
    }
}

/// The kind of a failure, in words.
fn kind(cause: &FailureCause) -> String {
    match cause {
        FailureCause::Refresher(error) => error.to_string(),
        FailureCause::ExpiredToken { .. } => "the token had already expired".to_owned(),
        FailureCause::InvalidToken(_) => "the response was not a token".to_owned(),
        FailureCause::TimedOut { .. } => "no response in time".to_owned(),
        other => other.to_string(),
    }
}
