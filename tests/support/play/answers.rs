//! What refreshers and services answer, as the scenario says, and the requests that were sent to a service.

use acs_common::entra::{ExchangeEvent, HttpRequest, HttpResponse};
use acs_common::{Error, Event, RefresherError, RequestId, UnixTime};
use serde_json::{Value, json};

use super::super::scenario::{Answer, Exchanged, Failed, Outcome};
use super::super::tokens::{entra_text, new_token, token_response};
use super::Host;

impl<'a> Host<'a> {
    pub(super) fn sent(&mut self, request: &HttpRequest) {
        let header = |(name, value): (&str, &str)| {
            let is_sent = |entra: &&&str| value.strip_prefix("Bearer ") == Some(&entra_text(entra));
            let value = match self.given.iter().find(is_sent) {
                Some(entra) => format!("Bearer {entra}"),
                None => value.to_owned(),
            };
            (name.to_owned(), Value::String(value))
        };
        let headers: serde_json::Map<_, _> = request.expose_headers().map(header).collect();
        self.played.requests.push(json!({
            "at": self.at,
            "call": self.exchanges + 1,
            "method": request.method(),
            "url": request.url(),
            "headers": headers,
            "body": request.body(),
        }));
    }

    pub(super) fn refreshed(&self, request: RequestId, call: usize) -> Event<&'a str> {
        // The times of an issuer's tokens count from its answer, others from the start.
        let of_issuer = call >= self.scenario.refresher.len();
        let start = if of_issuer { self.clocks.right(self.at) } else { self.scenario.start };
        match &self.planned[call].expect("only a planned answer comes").outcome {
            Outcome::Token(token) => {
                let token = new_token(token, &self.naming, start);
                let token = if self.scenario.server_date { token.with_server_time(self.date()) } else { token };
                Event::TokenReceived { request, token }
            }
            Outcome::Error(failed) => {
                let error = error(failed);
                let error = if self.scenario.server_date { error.with_server_time(self.date()) } else { error };
                Event::RefreshFailed { request, error }
            }
        }
    }

    /// The `Date` of an answer that comes now.
    fn date(&self) -> UnixTime {
        self.clocks.date(self.at, 0)
    }

    /// What the next call of the refresher leads to.
    pub(super) fn plan(&self) -> Option<&'a Answer> {
        if let Some(answer) = self.scenario.refresher.get(self.calls) {
            return answer.as_ref();
        }
        let issuer = self.scenario.issuer.as_ref()?;
        let outage = issuer.outages.iter().find(|outage| (outage.from..outage.until).contains(&self.at));
        outage.map_or(Some(&issuer.usual), |outage| outage.answer.as_ref())
    }

    pub(super) fn exchanged(&self, call: usize) -> ExchangeEvent {
        let answer = &self.scenario.exchange[call];
        let (status, body) = match &answer.exchanged {
            Exchanged::Token(token) => (200, token_response(token, &self.naming, self.scenario.start)),
            Exchanged::Response { status, body } => (*status, body.clone()),
            Exchanged::Unreachable(what) => {
                return ExchangeEvent::TransportFailed { error: RefresherError::new(what.as_str()) };
            }
        };
        let response = HttpResponse::new(status).with_body(body.into_bytes());
        let headers = answer.headers.iter();
        let mut response = headers.fold(response, |response, (name, value)| response.with_header(name, value));
        if self.scenario.server_date
            && let Some(date) = chrono::DateTime::from_timestamp(self.date().as_secs(), 0)
        {
            response = response.with_header("Date", &date.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        }
        ExchangeEvent::ResponseReceived { response }
    }
}

pub(super) fn error(failed: &Failed) -> RefresherError {
    let mut error = RefresherError::new(failed.message.as_str());
    if failed.permanent {
        error = error.permanent();
    }
    match failed.retry_after {
        Some(delay) => error.with_retry_after(delay),
        None => error,
    }
}

/// The kind of an error, as timelines name it.
pub fn kind(error: &Error) -> &'static str {
    match error {
        Error::RefreshFailed { cause, .. } => cause.kind().as_str(),
        Error::Disposed => "disposed",
        _ => "unknown",
    }
}
