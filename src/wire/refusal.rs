//! Reads the error that the service, or something in between, returns.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::message::HttpResponse;
use super::response::{self, ErrorDetail, ErrorResponse};
use super::scrub::Scrubber;
use crate::error::{Cause, RefresherError};
use crate::json;
use crate::url::Url;

/// How deep nested errors are read, how many of each level, and how many in all.
const DEPTH: usize = 4;
const BREADTH: usize = 8;
const DETAILS: usize = 32;

/// A response without a token, read.
pub(crate) struct Refusal {
    pub(crate) response: Box<ErrorResponse>,
    /// The service itself refuses, and would refuse again. Nothing in between has an answer of this form.
    pub(crate) permanent: bool,
}

/// Reads the response. The secrets are removed from all texts.
pub(crate) fn refusal<'s>(
    response: &HttpResponse,
    request_id: &str,
    retry_after: Option<Duration>,
    secrets: impl IntoIterator<Item = &'s str>,
) -> Refusal {
    let mut reader = Reader { scrubber: Scrubber::new(secrets), details: DETAILS };
    let body = response::body(response).ok().flatten().and_then(|json| reader.body(json));
    let is_text = body.is_none() && !response.body.is_empty();
    let body = body.unwrap_or_default();
    let mut header = |name| response.header(name).and_then(|value| reader.shown(value));
    let code = body.code.or_else(|| header("x-ms-error-code")).or(body.title);
    let request_id = header("x-ms-request-id").unwrap_or_else(|| request_id.into());
    let content_type = is_text.then(|| header("content-type")).flatten();
    let content_encoding = is_text.then(|| header("content-encoding")).flatten();
    let challenge = response.header("www-authenticate").filter(|_| response.status == 401).and_then(challenge);
    let challenge = challenge.and_then(|text| reader.shown(&text));
    let location = response.header("location").filter(|_| (300..400).contains(&response.status)).and_then(host);
    let location = location.and_then(|host| reader.shown(host));
    let permanent = matches!(response.status, 400 | 401 | 403 | 404 | 409) && body.has_code || challenge.is_some();
    let response = ErrorResponse {
        status: response.status,
        code,
        message: body.message,
        details: body.details,
        request_id,
        retry_after,
        content_type,
        content_encoding: content_encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity")),
        challenge,
        location,
    };
    Refusal { response: Box::new(response), permanent }
}

impl Refusal {
    /// The failure of the refresh; `wrap` makes its error.
    pub(crate) fn into_error<E: Into<Box<Cause>>>(self, wrap: impl FnOnce(Box<ErrorResponse>) -> E) -> RefresherError {
        let retry_after = self.response.retry_after;
        let mut error = RefresherError::new(wrap(self.response));
        if let Some(delay) = retry_after {
            error = error.with_retry_after(delay);
        }
        if self.permanent { error.permanent() } else { error }
    }
}

/// What a JSON body says, in any of the known forms.
#[derive(Default)]
struct Body {
    code: Option<String>,
    /// The code is a service's error code, not a phrase.
    has_code: bool,
    message: Option<String>,
    /// The title of problem+json: a phrase instead of a code.
    title: Option<String>,
    details: Vec<ErrorDetail>,
}

struct Reader<'s> {
    scrubber: Scrubber<'s>,
    /// How many more nested errors are read.
    details: usize,
}

impl Reader<'_> {
    /// Azure's `error` object, OAuth's `error` and `error_description`, problem+json's `title` and `detail`, or `code` and
    /// `message` at the top.
    fn body(&mut self, json: &str) -> Option<Body> {
        let [error, description, title, detail] =
            json::fields(json, ["error", "error_description", "title", "detail"])?;
        let within = error.and_then(|object| self.detail(object, DEPTH));
        let word = error.and_then(|error| self.text(error));
        let (code, message, details) = match within.or_else(|| self.detail(json, DEPTH)) {
            Some(within) => (within.code, within.message, within.details),
            None => (None, None, Vec::new()),
        };
        let is_word = word.as_ref().is_some_and(|word| !word.contains(char::is_whitespace));
        let has_code = is_word || code.is_some();
        let message = message.or_else(|| self.text(description?)).or_else(|| self.text(detail?));
        let title = title.and_then(|title| self.text(title));
        Some(Body { code: word.or(code), has_code, message, title, details })
    }

    fn detail(&mut self, object: &str, depth: usize) -> Option<ErrorDetail> {
        let [code, message, target, details, inner] =
            json::fields(object, ["code", "message", "target", "details", "innererror"])?;
        let code = code.and_then(|code| self.number(code).or_else(|| self.text(code)));
        let [message, target] = [message, target].map(|field| self.text(field?));
        let deeper = depth.checked_sub(1);
        // The error about another kind of value would repeat the value.
        let details = details.filter(|list| list.starts_with('['));
        let listed = details.and_then(|list| serde_json::from_str::<Vec<&RawValue>>(list).ok()).unwrap_or_default();
        let within = listed.into_iter().map(RawValue::get).chain(inner);
        let details = within.filter_map(|object| self.within(object, deeper?)).take(BREADTH).collect();
        Some(ErrorDetail { code, message, target, details })
    }

    fn within(&mut self, object: &str, depth: usize) -> Option<ErrorDetail> {
        // Anything other than an object is skipped.
        if !object.starts_with('{') {
            return None;
        }
        self.details = self.details.checked_sub(1)?;
        self.detail(object, depth)
    }

    fn text(&mut self, json: &str) -> Option<String> {
        self.shown(&json::string(json)?)
    }

    fn number(&mut self, json: &str) -> Option<String> {
        json.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then(|| self.shown(json)).flatten()
    }

    fn shown(&mut self, text: &str) -> Option<String> {
        let text = self.scrubber.scrub(text);
        (!text.trim().is_empty()).then_some(text)
    }
}

/// The scheme of a challenge, and its error code: not scrubbed, so wiped.
fn challenge(value: &str) -> Option<Zeroizing<String>> {
    let value = value.trim_ascii();
    let (scheme, parameters) = value.split_once(' ').unwrap_or((value, ""));
    let mut quoted = false;
    let mut parameters = parameters.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    let error = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim_ascii().eq_ignore_ascii_case("error").then(|| value.trim_ascii().trim_matches('"'))
    });
    let error = error.map_or([""; 2], |error| [" error=", error]);
    // In one piece, so it does not grow and leave itself behind.
    (!scheme.is_empty()).then(|| Zeroizing::new([scheme, error[0], error[1]].concat()))
}

/// The host of a redirect, if it is another host.
fn host(location: &str) -> Option<&str> {
    let (scheme, rest) = location.trim_ascii().split_once("//")?;
    let is_absolute = scheme.is_empty() || scheme.ends_with(':');
    Some(Url::split(scheme, rest).host).filter(|host| is_absolute && !host.is_empty())
}
