//! The metrics of a credential's life, as a whole page for Prometheus. Time is set by hand, so the page is always the same.

use std::cell::Cell;
use std::future::{Pending, pending};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use acs_common_driver::{Builder, Clock, Monotonic, NewToken, Now, Policy, RefresherError, UnixTime};
use futures_lite::future::{block_on, or, poll_once};
use metrics_exporter_prometheus::PrometheusBuilder;

/// What no metric may hold.
const CANARY: &str = "canary";

/// The milliseconds since the start, by both clocks. Sleeps never end.
#[derive(Clone, Default)]
struct ByHand(Rc<Cell<u64>>);

impl ByHand {
    fn pass(&self, millis: u64) {
        self.0.set(self.0.get() + millis);
    }
}

impl Clock for ByHand {
    type Sleep = Pending<()>;

    fn now(&self) -> Now {
        let at = self.0.get();
        Now::new(Monotonic::from_millis(at), UnixTime::from_millis(1_700_000_000_000 + at as i64))
    }

    fn sleep(&self, _: Duration) -> Self::Sleep {
        pending()
    }
}

/// The page, sorted, so that it is comparable.
fn page(live: impl FnOnce()) -> Vec<String> {
    let recorder = PrometheusBuilder::new().set_buckets(&[0.1, 1.0, 10.0]).unwrap().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, live);
    let mut lines: Vec<_> = handle.render().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    lines.sort();
    assert!(!lines.concat().contains(CANARY), "{lines:#?}");
    lines
}

/// A first token after 350 ms, with the server's time, 15 s behind the device's; a rejection and its replacement; the
/// replacement again; two failures; the expiry.
fn live(name: Option<&str>) {
    let clock = ByHand::default();
    let (mut calls, timed) = (0, clock.clone());
    let refresher = move || {
        calls += 1;
        timed.pass(250);
        let token = |text: &str| NewToken::new(format!("{CANARY}-{text}")).with_expires_in(Duration::from_secs(3_600));
        let date = UnixTime::from_millis(timed.now().unix.as_millis() - 15_250);
        std::future::ready(match calls {
            1 => Ok(token("one").with_server_time(date)),
            2 | 3 => Ok(token("two")),
            _ => Err(RefresherError::new(CANARY)),
        })
    };
    let policy = Policy::builder().min_refresh_interval(Duration::ZERO).jitter(0.0).build().unwrap();
    let mut builder = Builder::new(clock.clone(), refresher).policy(policy);
    if let Some(name) = name {
        builder = builder.named(name);
    }
    let (credential, driver) = builder.build().unwrap();
    let asking = async {
        let mut first = pin!(credential.get_token());
        assert!(poll_once(first.as_mut()).await.is_none());
        clock.pass(100);
        // It waits since the first poll, and not since this one.
        assert!(poll_once(first.as_mut()).await.is_none());
        let first = first.await.unwrap();
        for _ in 0..10 {
            credential.get_token().await.unwrap();
        }
        clock.pass(1_000);
        credential.reject(&first);
        credential.reject(&first);
        credential.get_token().await.unwrap();
        // The renewal in the background brings the same token.
        clock.pass(3_500_000);
        credential.get_token().await.unwrap();
        futures_lite::future::yield_now().await;
        clock.pass(4_000_000);
        credential.get_token().await.unwrap_err();
        clock.pass(1_000);
        credential.get_token().await.unwrap_err();
    };
    block_on(or(asking, async {
        driver.await;
        panic!("it ends with the credential");
    }));
}

/// Fails when a metric has another name, unit, label or value; when a request that did not wait counts; or when a token or the text
/// of an error is a label.
#[test]
fn the_page_of_a_life() {
    let expected = include_str!("metrics.txt");
    let got = page(|| live(Some("chat"))).join("\n") + "\n";
    if std::env::var_os("WRITE_METRICS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/metrics.txt"), &got).unwrap();
    }
    assert_eq!(got, expected, "{got}");
}

/// Fails when a credential without a name has a label for it.
#[test]
fn a_credential_without_a_name_has_no_label_for_it() {
    let lines = page(|| live(None));
    assert!(lines.iter().any(|line| line.starts_with("acs_token_expirations 1")), "{lines:#?}");
    assert!(!lines.concat().contains("credential="), "{lines:#?}");
}

/// Fails when a recorder's panic reaches the driver or a caller.
#[test]
fn a_recorder_that_panics_does_no_harm() {
    struct Panics;
    impl metrics::Recorder for Panics {
        fn describe_counter(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {
            panic!("a recorder that panics (on purpose)");
        }
        fn describe_gauge(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {
            panic!("a recorder that panics (on purpose)");
        }
        fn describe_histogram(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {
            panic!("a recorder that panics (on purpose)");
        }
        fn register_counter(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
            panic!("a recorder that panics (on purpose)");
        }
        fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
            panic!("a recorder that panics (on purpose)");
        }
        fn register_histogram(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Histogram {
            panic!("a recorder that panics (on purpose)");
        }
    }
    metrics::with_local_recorder(&Panics, || live(None));
}
