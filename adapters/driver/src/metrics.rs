//! Metrics, by the facade `metrics`. No label holds a token, a user or a path.

use std::sync::Arc;
use std::time::Duration;

use acs_common::{Error, FailureCause, Notice, Trigger};
use metrics::{
    Label, SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::panics::catch_panic;

const REFRESH_DURATION: &str = "acs.token.refresh.duration";
const REQUEST_DURATION: &str = "acs.token.request.duration";
const EXPIRES_IN: &str = "acs.token.expires_in";
const FAILURES_IN_ROW: &str = "acs.token.failures_in_row";
const REJECTIONS: &str = "acs.token.rejections";
const EXPIRATIONS: &str = "acs.token.expirations";
const CLOCK_SKEW: &str = "acs.token.clock_skew";

/// Says what each metric is. The recorder may be another one than at the last credential, so each one says it.
pub(crate) fn describe() {
    catch_panic(|| {
        describe_histogram!(REFRESH_DURATION, Unit::Seconds, "how long a refresh of the token took");
        describe_histogram!(
            REQUEST_DURATION,
            Unit::Seconds,
            "how long a request waited for a token, if it had to wait"
        );
        describe_gauge!(EXPIRES_IN, Unit::Seconds, "how long the token held is still valid; 0 without a valid token");
        describe_gauge!(FAILURES_IN_ROW, Unit::Count, "how many refreshes in a row have failed");
        describe_counter!(REJECTIONS, Unit::Count, "how often the token held was reported as rejected");
        describe_counter!(EXPIRATIONS, Unit::Count, "how often the token held expired before another one came");
        describe_gauge!(CLOCK_SKEW, Unit::Seconds, "how far this device's clock is ahead of the server's");
    });
}

/// One thing to record.
pub(crate) enum Measurement {
    /// A refresh has ended. `failure` is the kind of its failure.
    Refreshed {
        outcome: &'static str,
        failure: Option<&'static str>,
        trigger: Trigger,
        took: Duration,
    },
    FailuresInRow(u32),
    /// A request that had to wait has its answer.
    Answered {
        failure: Option<&'static str>,
        waited: Duration,
    },
    Rejected,
    Expired,
    /// What holds at this moment. `ahead`: the device's clock, in milliseconds, if the server's time is known.
    State {
        left: Option<Duration>,
        ahead: Option<i64>,
    },
}

impl Measurement {
    /// The end of a refresh, if the notice is of one. `trigger` is what led to it.
    pub(crate) fn of(notice: &Notice, trigger: Option<Trigger>) -> [Option<Self>; 2] {
        let ended = |outcome, failure, took| trigger.map(|trigger| Self::Refreshed { outcome, failure, trigger, took });
        match notice {
            Notice::TokenChanged { took, .. } => [ended("changed", None, *took), Some(Self::FailuresInRow(0))],
            Notice::TokenKept { took, .. } => [ended("kept", None, *took), Some(Self::FailuresInRow(0))],
            Notice::RefreshFailed { cause, took: Some(took), streak, .. } => {
                [ended("failed", Some(cause.kind().as_str()), *took), Some(Self::FailuresInRow(*streak))]
            }
            Notice::TokenExpired => [Some(Self::Expired), None],
            Notice::RefreshStarted { .. }
            | Notice::RefreshFailed { took: None, .. }
            | Notice::ClockSkewed { .. }
            | Notice::Disposed
            | _ => [None, None],
        }
    }

    pub(crate) fn answered(error: Option<&Error>, waited: Duration) -> Self {
        let failure = error.map(|error| match error {
            Error::RefreshFailed { cause, .. } => FailureCause::kind(cause).as_str(),
            Error::Disposed => "disposed",
            Error::DriverStopped => "driver_stopped",
            Error::StaticToken => "static_token",
            // Only a blocking call returns these, and it asks by itself.
            Error::DriverStalled | Error::WaitTimedOut { .. } | Error::CalledFromRefresher | _ => "other",
        });
        Self::Answered { failure, waited }
    }

    /// `credential` is its name, if it has one.
    pub(crate) fn record(self, credential: Option<&Arc<str>>) {
        let named = credential.map(|name| Label::new("credential", SharedString::from(Arc::clone(name))));
        let labels =
            |more: [Option<Label>; 3]| -> Vec<Label> { more.into_iter().chain([named.clone()]).flatten().collect() };
        let label = |name, value| Some(Label::from_static_parts(name, value));
        let failed = |failure: Option<&'static str>| failure.and_then(|failure| label("error.type", failure));
        match self {
            Self::Refreshed { outcome, failure, trigger, took } => {
                let labels = labels([label("outcome", outcome), failed(failure), label("trigger", trigger.as_str())]);
                histogram!(REFRESH_DURATION, labels).record(took);
            }
            Self::Answered { failure, waited } => {
                let outcome = if failure.is_some() { "failed" } else { "returned" };
                histogram!(REQUEST_DURATION, labels([label("outcome", outcome), failed(failure), None])).record(waited);
            }
            Self::FailuresInRow(failures) => gauge!(FAILURES_IN_ROW, labels([None, None, None])).set(failures),
            Self::Rejected => counter!(REJECTIONS, labels([None, None, None])).increment(1),
            Self::Expired => counter!(EXPIRATIONS, labels([None, None, None])).increment(1),
            Self::State { left, ahead } => {
                gauge!(EXPIRES_IN, labels([None, None, None])).set(left.unwrap_or_default());
                if let Some(ahead) = ahead {
                    gauge!(CLOCK_SKEW, labels([None, None, None])).set(ahead as f64 / 1_000.0);
                }
            }
        }
    }
}
