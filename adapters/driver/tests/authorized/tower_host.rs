//! The tower layer as a host of the suite, and what only it has.

#[path = "suite.rs"]
mod suite;

mod host {
    use acs_common_driver::ClientArguments;
    use acs_common_driver::tower::{Authorize, AuthorizeLayer};
    use http::{Request, Response};
    use tower::util::BoxCloneSyncService;
    use tower::{Layer as _, ServiceExt as _, service_fn};

    use crate::authorized::service::Service;

    type Inner = BoxCloneSyncService<Request<Vec<u8>>, Response<Vec<u8>>, std::io::Error>;

    pub(crate) fn inner(service: Service) -> Inner {
        BoxCloneSyncService::new(service_fn(move |request| {
            let service = service.clone();
            async move { service.answer(request).await.map_err(std::io::Error::other) }
        }))
    }

    pub(crate) struct Client(std::sync::Mutex<Authorize<Inner, Vec<u8>>>);

    impl Client {
        pub(crate) fn new(arguments: ClientArguments, service: Service) -> Self {
            Self(AuthorizeLayer::new(arguments).signing().layer(inner(service)).into())
        }

        pub(crate) async fn call(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> {
            let service = self.0.lock().unwrap().clone();
            service.oneshot(request).await.map_err(|error| error.to_string())
        }
    }
}

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acs_common_driver::tower::AuthorizeLayer;
use acs_common_driver::{CallError, ClientArguments, Error, TokenProvider};
use futures_lite::future::poll_once;
use http::{Request, Response};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use super::service::{ENDPOINT, Service, arguments, credential, post, status};
use crate::rt;

/// A body that comes once.
struct Stream(#[expect(dead_code, reason = "it cannot be cloned")] AtomicUsize);

fn stream() -> Request<Stream> {
    Request::post(format!("{ENDPOINT}/chat")).body(Stream(AtomicUsize::new(0))).unwrap()
}

/// Fails when what cannot be sent again is, or the 401 loses its body, or the refused token is kept.
#[test]
fn a_streaming_body_is_sent_once_and_its_401_returned() {
    rt::run(async {
        for layer in [AuthorizeLayer::without_replay, |arguments| AuthorizeLayer::replay_with(arguments, |_| None)] {
            let (credential, refreshes) = credential(|_| false);
            let tokens = Arc::new(std::sync::Mutex::new(Vec::new()));
            let seen = Arc::clone(&tokens);
            let inner = service_fn(move |request: Request<Stream>| {
                let token = request.headers()["authorization"].to_str().unwrap().to_owned();
                seen.lock().unwrap().push(token.clone());
                async move { Ok::<_, std::io::Error>(status(if token == "Bearer t1" { 401 } else { 200 })) }
            });
            let service = layer(arguments(&credential)).layer(inner);
            let response = service.clone().oneshot(stream()).await.unwrap();
            assert_eq!((response.status().as_u16(), &response.body()[..]), (401, &b"body of 401"[..]));
            assert_eq!(refreshes.count(), 1, "nothing is asked");
            // The token is rejected all the same.
            assert_eq!(service.oneshot(stream()).await.unwrap().status(), 200);
            assert_eq!(*tokens.lock().unwrap(), ["Bearer t1", "Bearer t2"]);
        }
    });
}

/// Fails when `replace` keeps the refused token, or an `Arc` of a provider is another provider.
#[test]
fn any_credential_is_a_provider() {
    rt::run(async {
        let (credential, refreshes) = credential(|_| false);
        let provider: Arc<dyn TokenProvider> = Arc::new(Arc::new(credential.clone()));
        let mut notices = provider.notices().expect("a credential has notices");
        let first = provider.get_token().await.unwrap();
        assert!(provider.try_token().unwrap().unwrap().ptr_eq(&first));
        let mut reader = provider.reader();
        assert!(reader.token().unwrap().unwrap().ptr_eq(&first));
        let second = provider.replace(&first).await.unwrap();
        assert_eq!((second.secret().expose(), refreshes.count()), ("t2", 2));
        assert!(reader.token().unwrap().unwrap().ptr_eq(&second));
        assert!(futures_lite::StreamExt::next(&mut notices).await.is_some());
    });
}

/// Fails when a redirect that a layer around this one follows takes the token to another host.
#[test]
fn a_redirect_to_another_host_gets_no_token() {
    rt::run(async {
        let (credential, _) = credential(|_| false);
        let service = Service::new(|seen| {
            let redirect = super::service::with(status(302), "location", "https://elsewhere.example/");
            Ok(if seen.url.starts_with(ENDPOINT) { redirect } else { status(200) })
        });
        let authorized = AuthorizeLayer::new(arguments(&credential)).layer(host::inner(service.clone()));
        // What a layer that follows redirects does: it sends the caller's request to the new place.
        let first = authorized.clone().oneshot(post("/chat")).await.unwrap();
        let mut again = post("/chat");
        *again.uri_mut() = first.headers()["location"].to_str().unwrap().parse().unwrap();
        assert_eq!(authorized.oneshot(again).await.unwrap().status(), 200);
        assert_eq!(service.tokens(), ["t1", "none"]);
    });
}

/// Fails when the second send does not wait until the service is ready, or when the first keeps its place meanwhile.
#[test]
fn a_service_with_one_place_is_enough() {
    rt::run(async {
        let (credential, refreshes) = credential(|_| false);
        let service = Service::accepting(|token| token == "t2");
        let limited = ConcurrencyLimitLayer::new(1).layer(host::inner(service.clone()));
        let mut authorized = AuthorizeLayer::new(arguments(&credential)).layer(limited);
        for _ in 0..3 {
            // One service, as a client has it: its clone is what the next call takes.
            let response = authorized.ready().await.unwrap().call(post("/chat")).await.unwrap();
            assert_eq!(response.status(), 200);
        }
        assert_eq!((service.sends(), refreshes.count()), (4, 2));
    });
}

/// Fails when a service that is not ready is called, or its error is lost.
#[test]
fn a_service_that_never_gets_ready_fails_the_call() {
    #[derive(Clone)]
    struct Once(Arc<AtomicUsize>);
    impl tower::Service<Request<Vec<u8>>> for Once {
        type Response = Response<Vec<u8>>;
        type Error = &'static str;
        type Future = std::future::Ready<Result<Response<Vec<u8>>, &'static str>>;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), &'static str>> {
            let used_up = self.0.load(Ordering::SeqCst) > 0;
            std::task::Poll::Ready(if used_up { Err("used up") } else { Ok(()) })
        }

        fn call(&mut self, _: Request<Vec<u8>>) -> Self::Future {
            self.0.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok(status(401)))
        }
    }
    rt::run(async {
        let (credential, _) = credential(|_| false);
        let calls = Arc::new(AtomicUsize::new(0));
        let service = AuthorizeLayer::new(arguments(&credential)).layer(Once(Arc::clone(&calls)));
        let error = service.oneshot(post("/chat")).await.unwrap_err();
        assert!(matches!(error, CallError::Service("used up")), "{error:?}");
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    });
}

/// Fails when a body that cannot be signed is sent without a signature, or a token that fits into no header is sent as it is.
#[test]
fn what_cannot_be_authorized_is_not_sent() {
    rt::run(async {
        let service = Service::accepting(|_| true);
        let text = format!("endpoint={ENDPOINT}/;accesskey=pw==");
        let key = ClientArguments::from_connection_string(&text).unwrap();
        let unsigned = AuthorizeLayer::new(key.clone()).layer(host::inner(service.clone()));
        let error = unsigned.oneshot(post("/chat")).await.unwrap_err();
        assert!(matches!(error, CallError::NotSignable) && error.to_string().contains("`signing()`"), "{error}");

        let given = AuthorizeLayer::new(key).signing_with(|body: &Vec<u8>| body).layer(host::inner(service.clone()));
        assert_eq!(given.oneshot(post("/chat")).await.unwrap().status(), 401, "this service knows no signatures");

        let (credential, _) = credential(|_| false);
        credential.dispose();
        let service = AuthorizeLayer::new(arguments(&credential)).layer(host::inner(service.clone()));
        let error = service.oneshot(post("/chat")).await.unwrap_err();
        assert!(matches!(error, CallError::Token(Error::Disposed)), "{error:?}");
        assert_eq!(error.into_boxed().to_string(), Error::Disposed.to_string());
    });
}

/// Fails when the future sends before it is polled, though it has no token, or does something after its end.
#[test]
fn a_call_is_lazy_and_ends_once() {
    rt::run(async {
        let (credential, refreshes) = credential(|_| false);
        let service = Service::accepting(|_| true);
        let mut authorized = AuthorizeLayer::new(arguments(&credential)).layer(host::inner(service.clone()));
        let idle = authorized.ready().await.unwrap().call(post("/idle"));
        rt::sleep(Duration::from_millis(20)).await;
        drop(idle);
        assert_eq!((refreshes.count(), service.sends()), (1, 0), "only the token is on its way");
        let mut call = Box::pin(authorized.ready().await.unwrap().call(post("/chat")));
        assert!((&mut call).await.is_ok());
        assert!(poll_once(&mut call).await.is_none(), "a call that has ended is pending, and does not panic");
        assert_eq!(service.sends(), 1);
    });
}

/// Fails when `Debug` of a part shows what is in it.
#[test]
fn no_part_shows_a_secret() {
    rt::run(async {
        const TOKEN: &str = "Canary6Layer6Qx7vB2mZ9kL4pT8wY3nR6sD1fG5hJ0";
        const KEY: &str = "Q2FuYXJ5N0tleTdQcTR3RTdyVDF5VTg=";
        let credential = rt::Credential::with_static_token(TOKEN).unwrap();
        let service = Service::new(|_| Err("no connection"));
        let mut shown = String::new();
        for arguments in [
            arguments(&credential),
            ClientArguments::from_connection_string(&format!("endpoint={ENDPOINT};accesskey={KEY}")).unwrap(),
        ] {
            let layer = AuthorizeLayer::new(arguments.clone()).signing();
            let mut authorized = layer.layer(host::inner(service.clone()));
            let call = authorized.ready().await.unwrap().call(post("/chat"));
            shown += &format!("{arguments:?} {:?} {layer:?} {authorized:?} {call:?}", arguments.auth());
            let error = call.await.unwrap_err();
            shown += &format!("{error} {error:?}");
            shown += &format!("{:?}", error.into_boxed());
        }
        shown += &format!("{:?}", ClientArguments::from_connection_string(&format!("endpoint=;accesskey={KEY}")));
        for secret in [TOKEN, KEY, "Canary7Key7"] {
            assert!(!(0..secret.len() - 8).any(|at| shown.contains(&secret[at..at + 8])), "{shown}");
        }
        assert!(shown.contains("contoso"), "the endpoint does show");
    });
}
