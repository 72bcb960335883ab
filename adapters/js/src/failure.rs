//! Errors: what JavaScript threw goes through the machines, and comes back as it was.

use acs_common::entra::{BadResponse, ErrorResponse, ExchangeError};
use acs_common::{Error, FailureCause, RefresherError};
use js_sys::{Error as JsError, Reflect};
use send_wrapper::SendWrapper;
use wasm_bindgen::JsValue;

/// What a refresher, a source or `fetch` threw. It is not shown: it may say anything.
#[derive(Debug, thiserror::Error)]
#[error("the callback threw an error")]
pub(crate) struct Thrown(SendWrapper<JsValue>);

impl Thrown {
    pub(crate) fn new(error: JsValue) -> Self {
        Self(SendWrapper::new(error))
    }
}

/// What the service answered, if that is the error. JavaScript makes a `RestError` of it.
pub(crate) fn refusal(error: &Error) -> Option<(&RefresherError, &ErrorResponse)> {
    let Error::RefreshFailed { cause: FailureCause::Refresher(error), .. } = error else { return None };
    match error.get_ref().downcast_ref()? {
        ExchangeError::Refused(response) | ExchangeError::BadResponse(BadResponse::Error(response)) => {
            Some((error, response))
        }
        _ => None,
    }
}

/// What a caller gets: the callback's own error, or one of ours with its reason.
pub(crate) fn thrown(error: &Error) -> JsValue {
    match error {
        Error::Disposed => JsError::new("User credential is disposed: make a new one").into(),
        Error::RefreshFailed { cause, .. } => failed(cause),
        other => JsError::new(&other.to_string()).into(),
    }
}

fn failed(cause: &FailureCause) -> JsValue {
    match cause {
        FailureCause::Refresher(error) => callback(error),
        FailureCause::ExpiredToken { expires_on, .. } => {
            let text =
                "The token returned from the tokenRefresher is expired: it comes from a cache, or a clock is wrong";
            JsError::new(&format!("{text} (it expired at {expires_on})")).into()
        }
        FailureCause::InvalidToken(error) => JsError::new(&format!("Invalid token: {error}")).into(),
        other => JsError::new(&format!("no valid token: {other}")).into(),
    }
}

fn callback(error: &RefresherError) -> JsValue {
    if let Some(thrown) = error.get_ref().downcast_ref::<Thrown>() {
        return (*thrown.0).clone();
    }
    if let Some(ExchangeError::Transport(error)) = error.get_ref().downcast_ref() {
        let shown = JsError::new("no valid token: the service cannot be reached");
        // An error that was just made takes any property.
        let _ = Reflect::set(&shown, &"cause".into(), &callback(error));
        return shown.into();
    }
    JsError::new(&format!("no valid token: {error}")).into()
}
