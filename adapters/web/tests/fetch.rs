//! The exchange over `fetch`, with a fake of `fetch` in its place. No secret shows.
#![cfg(target_family = "wasm")]

use std::cell::RefCell;
use std::error::Error as _;
use std::fmt::{Debug, Write as _};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acs_common_web::entra::{BadResponse, EntraOptions, EntraTokenRequest, ExchangeError, HttpResponse};
use acs_common_web::issuer::{HttpRefresher, Issuer};
use acs_common_web::{CommunicationTokenCredential, Error, FailureCause, FailureKind, FetchClient, Policy};
use js_sys::{Array, Function, Reflect};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

const ENTRA: &str = "Canary0Entra0Qx7vB2mZ9kL4pT8wY3nR6sD1fG5hJ0";
const ACCESS: &str = "Canary2Access2Pq4wE7rT1yU8iO5aS3dF6gH9jK2lZ0xC";

/// The host's `fetch`, until it is dropped. `code` is JavaScript: it has `url`, `init` and the list `seen`.
struct Fetch {
    real: JsValue,
    seen: Array,
}

impl Fetch {
    fn fake(code: &str) -> Self {
        let (global, name) = (js_sys::global(), "fetch".into());
        let real = Reflect::get(&global, &name).unwrap();
        let seen = Array::new();
        let make = Function::new_with_args("seen", &format!("return async (url, init) => {{ {code} }}"));
        Reflect::set(&global, &name, &make.call1(&JsValue::NULL, &seen).unwrap()).unwrap();
        Self { real, seen }
    }

    fn text(&self, at: u32) -> String {
        self.seen.get(at).as_string().unwrap_or_default()
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        Reflect::set(&js_sys::global(), &"fetch".into(), &self.real).unwrap();
    }
}

fn answer() -> String {
    format!(r#"{{"accessToken": {{"token": "{ACCESS}", "expiresOn": "2999-01-01T00:00:00Z"}}}}"#)
}

fn credential(timeout: Duration) -> CommunicationTokenCredential {
    let source = |_: EntraTokenRequest| std::future::ready(Ok::<_, std::fmt::Error>(ENTRA));
    let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap().with_prewarm(false);
    let policy = Policy::builder().refresh_timeout(timeout).build().unwrap();
    CommunicationTokenCredential::with_entra(options, source, FetchClient::new()).policy(policy).spawn().unwrap()
}

const MINUTE: Duration = Duration::from_secs(60);

async fn exchange_error(credential: &CommunicationTokenCredential) -> ExchangeError {
    let error = credential.get_token().await.unwrap_err();
    let Error::RefreshFailed { cause: FailureCause::Refresher(error), .. } = error else { panic!("{error:?}") };
    error.get_ref().downcast_ref::<ExchangeError>().expect("the exchange's own error").clone()
}

#[wasm_bindgen_test]
async fn the_exchange_is_sent_without_cookies_cache_and_redirects() {
    let code =
        "seen.push([url, init.method, init.body, init.redirect, init.credentials, init.cache, init.referrerPolicy,
        init.headers.get('authorization'), init.headers.get('content-type')].join(' '));";
    let fetch = Fetch::fake(&format!("{code} return new Response('{}')", answer()));
    let token = credential(MINUTE).get_token().await.unwrap();
    assert_eq!(token.secret().expose(), ACCESS);
    assert_eq!(
        fetch.text(0),
        format!(
            "https://contoso.communication.azure.com/access/entra/:exchangeAccessToken?api-version=2025-03-02-preview \
             POST {{}} manual omit no-store no-referrer Bearer {ENTRA} application/json"
        )
    );
}

/// Fails when a body, a header or the caller's query is lost, or a header of ours needs the permission of the server.
#[wasm_bindgen_test]
async fn a_ready_refresher_asks_its_issuer() {
    let code = "seen.push([url, init.method, init.body, init.cache, [...init.headers].join(';')].join(' '));";
    let fetch = Fetch::fake(&format!("{code} return new Response('{{\"token\": \"{ACCESS}\", \"expires_in\": 60}}')"));
    let url = "https://contoso.example/token?room=7";
    for issuer in [Issuer::get(url), Issuer::post(url).and_then(|issuer| issuer.with_body("text/plain", "hello"))] {
        let issuer = issuer.and_then(|issuer| issuer.with_reason_header("x-why")).unwrap();
        let refresher = HttpRefresher::new(issuer, FetchClient::new());
        let credential = CommunicationTokenCredential::with_refresher(refresher).spawn().unwrap();
        let token = credential.get_token().await.unwrap();
        assert!(token.secret().expose() == ACCESS && !token.is_opaque());
    }
    let headers = "accept,application/json, text/plain;accept-encoding,identity;";
    assert_eq!(fetch.text(0), format!("{url} GET  no-store {headers}x-why,first"));
    assert_eq!(fetch.text(1), format!("{url} POST hello no-store {headers}content-type,text/plain;x-why,first"));
}

/// Fails when the request is only forgotten.
#[wasm_bindgen_test]
async fn a_request_that_is_given_up_is_aborted() {
    let code = "await new Promise((_, reject) => init.signal.addEventListener('abort', () => { seen.push('aborted'); \
                reject(init.signal.reason) }))";
    let fetch = Fetch::fake(code);
    let error = credential(Duration::from_millis(30)).get_token().await.unwrap_err();
    assert!(matches!(&error, Error::RefreshFailed { cause, .. } if cause.kind() == FailureKind::TimedOut), "{error}");
    assert_eq!(fetch.text(0), "aborted");
}

/// Fails when a body is read to its end, which never comes.
#[wasm_bindgen_test]
async fn a_body_that_is_too_long_is_not_read_to_its_end() {
    let code = "const body = new ReadableStream({ pull(c) { seen.push('x'); c.enqueue(new Uint8Array(1 << 16)) } });
        return new Response(body)";
    let fetch = Fetch::fake(code);
    let error = exchange_error(&credential(MINUTE)).await;
    assert!(matches!(error, ExchangeError::BadResponse(BadResponse::TooLong)), "{error}");
    let chunks = HttpResponse::MAX_BODY as u32 >> 16;
    assert!((chunks..=chunks + 4).contains(&fetch.seen.length()), "{} chunks", fetch.seen.length());
}

/// A redirect that is not followed has the status 0 in browsers.
#[wasm_bindgen_test]
async fn a_redirect_is_a_transient_failure() {
    let _fetch = Fetch::fake("return Response.error()");
    let error = credential(MINUTE).get_token().await.unwrap_err();
    let Error::RefreshFailed { cause, .. } = error else { panic!("{error:?}") };
    assert!(!cause.is_permanent(), "{cause}");
}

/// Takes down every event and its fields.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<String>>);

impl Subscriber for Captured {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Captured {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{field}: {value:?}").unwrap();
    }
}

/// Fails when an error, a log event or a `Debug` shows a header, a body or a token.
#[wasm_bindgen_test]
async fn no_secret_shows() {
    let captured = Captured::default();
    let _subscribed = tracing::subscriber::set_default(captured.clone());
    let quoting = format!(r#"{{"error": {{"code": "Forbidden", "message": "refused Bearer {ENTRA}"}}}}"#);
    let answers = [
        format!("return new Response('{}')", answer()),
        format!("return new Response('{quoting}', {{ status: 403 }})"),
        "return new Response('not JSON')".to_owned(),
        "throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') })".to_owned(),
    ];
    let shown = Rc::new(RefCell::new(String::new()));
    for code in answers {
        let _fetch = Fetch::fake(&code);
        // Short, so that the tries in vain end.
        let credential = credential(Duration::from_millis(500));
        let answer = credential.get_token().await;
        writeln!(shown.borrow_mut(), "{answer:?} {credential:?} {:?}", FetchClient::new()).unwrap();
        if let Err(error) = answer {
            writeln!(shown.borrow_mut(), "{error} {error:#?} {:?}", error.source()).unwrap();
        }
        credential.dispose();
    }
    let said = format!("{}{}", shown.borrow(), captured.0.lock().unwrap());
    for expected in ["403", "JSON", "token changed", "status"] {
        assert!(said.contains(expected), "{expected:?} was not captured, so other texts may be missing too: {said}");
    }
    for secret in [ENTRA, ACCESS] {
        for piece in secret.as_bytes().windows(12).map(|piece| std::str::from_utf8(piece).unwrap()) {
            assert!(!said.contains(piece), "{piece} shows: {said}");
        }
    }
}
