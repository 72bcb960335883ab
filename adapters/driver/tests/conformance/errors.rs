//! Foreign errors: they are dropped while no lock is held, because that runs foreign code, and as early as possible.

use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(target_family = "wasm"))]
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
#[cfg(not(target_family = "wasm"))]
use std::thread;

use acs_common_driver::entra::{EntraOptions, EntraTokenRequest, HttpRequest, HttpResponse};
use acs_common_driver::{Error, Policy, PolicyBuilder};

use super::{Dropped, HOUR, lasting, millis, rt};

/// Asks for a token when it is dropped, and then reports the drop.
#[derive(Debug, thiserror::Error)]
#[error("issuer down")]
struct CallsBack {
    credential: rt::Credential,
    gone: Arc<AtomicBool>,
}

impl Drop for CallsBack {
    fn drop(&mut self) {
        let _ = self.credential.try_token();
        self.gone.store(true, Ordering::SeqCst);
    }
}

/// Makes such errors. It needs the credential.
#[derive(Clone, Default)]
struct Errors {
    credential: Arc<OnceLock<rt::Credential>>,
    gone: Dropped,
}

impl Errors {
    fn make(&self) -> CallsBack {
        CallsBack { credential: self.credential().clone(), gone: Arc::clone(&self.gone.0) }
    }

    fn credential(&self) -> &rt::Credential {
        self.credential.get().unwrap()
    }

    /// The refresher cannot own the credential, only this.
    fn know(&self, credential: &rt::Credential) {
        self.credential.set(credential.clone()).unwrap();
    }
}

#[cfg(not(target_family = "wasm"))]
/// With this, a lock that is held indefinitely makes the test fail, and not hang.
fn run(test: impl Future<Output = ()> + Send + 'static) {
    let (done, waiting) = mpsc::channel();
    let thread = thread::spawn(move || {
        rt::run(test);
        done.send(()).unwrap();
    });
    if waiting.recv_timeout(std::time::Duration::from_secs(20)) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    thread.join().unwrap();
}

/// Where nothing can wait for a lock, the standard library panics.
#[cfg(target_family = "wasm")]
fn run(test: impl Future<Output = ()> + Send + 'static) {
    rt::run(test);
}

fn hasty() -> PolicyBuilder {
    Policy::builder().min_refresh_interval(millis(1)).request_backoff_max(millis(1))
}

/// Fails when a failure that is replaced by another, or a notice that is lost, is dropped under the lock.
#[test]
fn an_error_that_calls_back_when_dropped_finds_no_lock_held() {
    run(async {
        let errors = Errors::default();
        let own = errors.clone();
        let refresher = move || std::future::ready(Err::<String, _>(own.make()));
        let builder = rt::Credential::with_refresher(refresher).policy(hasty().build().unwrap());
        let credential = builder.spawn().unwrap();
        errors.know(&credential);
        let notices = credential.notices();
        for _ in 0..80 {
            credential.get_token().await.unwrap_err();
            rt::sleep(millis(2)).await;
        }
        drop(notices);
        credential.dispose();
        assert!(errors.gone.soon().await);
    });
}

/// Fails when the machine gets the only copy of an error that comes too late.
#[cfg(not(target_family = "wasm"))]
#[test]
fn an_error_that_comes_too_late_is_dropped_with_no_lock_held() {
    let disposes: fn(&rt::Credential) = rt::Credential::dispose;
    // Like a call that blocks for too long while another thread asks.
    let overstays: fn(&rt::Credential) = |credential| {
        thread::sleep(millis(60));
        let other = credential.clone();
        thread::spawn(move || other.try_token().map(drop)).join().unwrap().unwrap_err();
    };
    for deed in [disposes, overstays] {
        run(async move {
            let errors = Errors::default();
            let own = errors.clone();
            let refresher = move || {
                let own = own.clone();
                async move {
                    deed(own.credential());
                    Err::<String, _>(own.make())
                }
            };
            let policy = Policy::builder().refresh_timeout(millis(20)).build().unwrap();
            let credential = rt::Credential::with_refresher(refresher).policy(policy).spawn().unwrap();
            errors.know(&credential);
            credential.get_token().await.unwrap_err();
            assert!(errors.gone.soon().await);
            credential.dispose();
        });
    }
}

/// Fails when the exchange gets the only copy of an error, and tries again after it.
#[test]
fn a_transports_error_is_dropped_with_no_lock_held() {
    run(async {
        let errors = Errors::default();
        let own = errors.clone();
        let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap().with_prewarm(false);
        let source = |_: EntraTokenRequest| std::future::ready(Ok::<_, std::io::Error>("entra"));
        let client = move |_: HttpRequest| std::future::ready(Err::<HttpResponse, _>(own.make()));
        let credential = rt::Credential::with_entra(options, source, client).spawn().unwrap();
        errors.know(&credential);
        assert!(credential.try_token().unwrap().is_none());
        assert!(errors.gone.soon().await);
        credential.dispose();
    });
}

/// Fails when the exchange gets the only copy of an error, and returns the service's error instead.
#[test]
fn a_sources_error_while_exchanging_is_dropped_with_no_lock_held() {
    run(async {
        let errors = Errors::default();
        let own = errors.clone();
        let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap().with_prewarm(false);
        let source = move |request: EntraTokenRequest| {
            std::future::ready(if request.fresh { Err(own.make()) } else { Ok("entra") })
        };
        let client = |_: HttpRequest| std::future::ready(Ok::<_, std::io::Error>(HttpResponse::new(401)));
        let credential = rt::Credential::with_entra(options, source, client).spawn().unwrap();
        errors.know(&credential);
        credential.get_token().await.unwrap_err();
        assert!(errors.gone.soon().await);
        credential.dispose();
    });
}

/// Fails when the last failure is kept after a refresh has succeeded.
#[test]
fn an_error_is_dropped_after_the_next_success() {
    run(async {
        let errors = Errors::default();
        let (own, mut failed) = (errors.clone(), false);
        let refresher = move || {
            let answer = if std::mem::replace(&mut failed, true) { Ok(lasting("good", HOUR)) } else { Err(own.make()) };
            std::future::ready(answer)
        };
        let builder = rt::Credential::with_refresher(refresher).policy(hasty().build().unwrap());
        let credential = builder.spawn().unwrap();
        errors.know(&credential);
        credential.get_token().await.unwrap_err();
        rt::sleep(millis(5)).await;
        credential.get_token().await.unwrap();
        assert!(errors.gone.soon().await);
        credential.dispose();
    });
}

/// Fails when a disposed credential keeps the last failure as long as there is a handle.
#[test]
fn an_error_is_dropped_when_the_credential_is_disposed() {
    run(async {
        let errors = Errors::default();
        let own = errors.clone();
        let refresher = move || std::future::ready(Err::<String, _>(own.make()));
        let credential = rt::Credential::with_refresher(refresher).spawn().unwrap();
        errors.know(&credential);
        credential.get_token().await.unwrap_err();
        credential.dispose();
        assert!(errors.gone.soon().await);
        assert!(matches!(credential.get_token().await, Err(Error::Disposed)));
    });
}
