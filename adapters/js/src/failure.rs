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
    let shown = JsError::new(&format!("no valid token: {error}"));
    match error.get_ref().downcast_ref::<ExchangeError>() {
        Some(ExchangeError::Refused(response)) => describe(&shown, response),
        Some(ExchangeError::BadResponse(BadResponse::Error(response))) => describe(&shown, response),
        Some(ExchangeError::Transport(error)) => {
            let shown = JsError::new("no valid token: the service cannot be reached");
            set(&shown, "cause", &callback(error));
            return shown.into();
        }
        _ => {}
    }
    shown.into()
}

fn describe(error: &JsError, response: &ErrorResponse) {
    error.set_name("RestError");
    set(error, "statusCode", &response.status.into());
    if let Some(code) = &response.code {
        set(error, "code", &code.as_str().into());
    }
}

fn set(error: &JsError, name: &str, value: &JsValue) {
    // An error that was just made takes any property.
    let _ = Reflect::set(error, &name.into(), value);
}
