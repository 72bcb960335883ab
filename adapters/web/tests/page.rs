//! The clock and the page. What only a page has is tested in a browser, and not at all in Node.
#![cfg(target_family = "wasm")]

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use acs_common_web::{Clock as _, CommunicationTokenCredential, NewToken, RefresherError, Web};
use js_sys::{Array, Function};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

const HOUR: Duration = Duration::from_secs(3_600);

fn run(code: &str) -> JsValue {
    Function::new_no_args(code).call0(&JsValue::NULL).unwrap()
}

fn is_page() -> bool {
    run("return typeof document === 'object'").is_truthy()
}

async fn pause(millis: u64) {
    Web::default().sleep(Duration::from_millis(millis)).await;
}

#[wasm_bindgen_test]
fn both_clocks_agree_with_the_hosts() {
    let now = Web::default().now();
    let wall = run("return Date.now()").as_f64().unwrap();
    assert!((wall - now.unix.as_millis() as f64).abs() < 1_000.0, "{now:?}");
    assert!(now.monotonic.as_millis() < 1_000, "{now:?}");
}

/// Fails when a month is handed to `setTimeout`, which then fires at once.
#[wasm_bindgen_test]
fn a_long_sleep_is_cut_into_slices() {
    run("globalThis.real = [setTimeout, clearTimeout]; globalThis.slices = [];
        globalThis.setTimeout = (wake, ms) => { slices.push(ms); globalThis.wake = wake; return slices.length };
        globalThis.clearTimeout = (id) => slices.push(-id)");
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut sleep = pin!(Web::default().sleep(Duration::from_millis((1 << 31) + 9)));
        assert!(sleep.as_mut().poll(&mut context).is_pending());
        assert!(sleep.as_mut().poll(&mut context).is_pending(), "it was woken for nothing");
        run("wake()");
        assert!(sleep.as_mut().poll(&mut context).is_pending());
        run("wake()");
        assert!(sleep.as_mut().poll(&mut context).is_ready());
        let mut dropped = pin!(Web::default().sleep(Duration::from_micros(1_500)));
        assert!(dropped.as_mut().poll(&mut context).is_pending());
    }
    let slices = Array::from(&run("[globalThis.setTimeout, globalThis.clearTimeout] = real; return slices"));
    let slices: Vec<_> = slices.iter().map(|slice| slice.as_f64().unwrap()).collect();
    assert_eq!(slices, [f64::from(i32::MAX), 10.0, -1.0, -2.0, 2.0, -5.0]);
}

/// Fails when the seed comes from the standard library, which has no randomness here.
#[wasm_bindgen_test]
fn seeds_differ() {
    let clock = Web::default();
    assert_ne!(clock.seed(), clock.seed());
}

/// A credential in a backoff of an hour, and the number of its refreshes.
async fn backing_off() -> (CommunicationTokenCredential, Rc<Cell<u32>>) {
    let calls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&calls);
    let refresher = move || {
        counted.set(counted.get() + 1);
        let answer = if counted.get() == 1 {
            Err(RefresherError::new("too many requests").with_retry_after(HOUR))
        } else {
            Ok(NewToken::new("good").with_expires_in(HOUR))
        };
        std::future::ready(answer)
    };
    let credential = CommunicationTokenCredential::with_refresher(refresher).refresh_proactively(true).spawn().unwrap();
    pause(50).await;
    assert_eq!(calls.get(), 1);
    (credential, calls)
}

/// Fails when the listener is not there, or goes with the first event.
#[wasm_bindgen_test]
async fn a_network_that_is_back_ends_the_backoff() {
    if !is_page() {
        return;
    }
    let (credential, calls) = backing_off().await;
    run("window.dispatchEvent(new Event('online'))");
    // The minimum interval holds.
    pause(1_100).await;
    assert_eq!(calls.get(), 2);
    assert!(credential.try_token().unwrap().is_some());
}

/// Fails when switching tabs cuts a delay short that the service asked for, or when a long absence does not.
#[wasm_bindgen_test]
async fn only_a_page_hidden_for_long_ends_the_backoff() {
    if !is_page() {
        return;
    }
    let (_credential, calls) = backing_off().await;
    run("globalThis.hide = (hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
        document.dispatchEvent(new Event('visibilitychange')) }");
    run("hide(true); hide(false); window.dispatchEvent(new Event('pageshow'))");
    pause(1_100).await;
    assert_eq!(calls.get(), 1);
    run(
        "hide(true); globalThis.realNow = Date.now; Date.now = () => realNow() + 31_000; hide(false); Date.now = realNow",
    );
    pause(1_100).await;
    assert_eq!(calls.get(), 2);
    run("delete document.hidden");
}

/// Fails when a driver that has ended leaves its listeners behind.
#[wasm_bindgen_test]
async fn a_disposed_credential_listens_no_longer() {
    if !is_page() {
        return;
    }
    // The credentials of other tests have gone by then.
    pause(50).await;
    run("globalThis.listeners = 0; globalThis.realAdd = EventTarget.prototype.addEventListener;
        globalThis.realRemove = EventTarget.prototype.removeEventListener;
        EventTarget.prototype.addEventListener = function (...args) { listeners++; return realAdd.apply(this, args) };
        EventTarget.prototype.removeEventListener = function (...args) { listeners--; return realRemove.apply(this, args) }");
    let (credential, _) = backing_off().await;
    let listening = run("return listeners").as_f64();
    credential.dispose();
    pause(20).await;
    let left =
        run("EventTarget.prototype.addEventListener = realAdd; EventTarget.prototype.removeEventListener = realRemove;
        return listeners");
    assert_eq!((listening, left.as_f64()), (Some(3.0), Some(0.0)));
}
