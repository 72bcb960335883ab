//! The middleware for `reqwest` as a host of the suite, and what only it has.

#[path = "../../../driver/tests/authorized/suite.rs"]
mod suite;

mod host {
    use acs_common_driver::ClientArguments;
    use acs_common_tokio::AuthorizeMiddleware;
    use async_trait::async_trait;
    use futures_rustls::rustls::crypto;
    use http::{Extensions, Request, Response};
    use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};

    use crate::authorized::service::Service;

    /// Answers in the network's place.
    struct Network(Service);

    #[async_trait]
    impl Middleware for Network {
        async fn handle(
            &self,
            request: reqwest::Request,
            _: &mut Extensions,
            _: Next<'_>,
        ) -> Result<reqwest::Response, reqwest_middleware::Error> {
            let mut sent = Request::builder().method(request.method()).uri(request.url().as_str());
            *sent.headers_mut().unwrap() = request.headers().clone();
            let bytes = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default().to_vec();
            let answer = self.0.answer(sent.body(bytes).unwrap()).await;
            let mut response =
                answer.map_err(|error| reqwest_middleware::Error::middleware(std::io::Error::other(error)))?;
            // The URL that it came from.
            let url = match response.headers().get("x-came-from") {
                Some(elsewhere) => elsewhere.to_str().unwrap().parse().unwrap(),
                None => request.url().clone(),
            };
            let mut built = Response::builder().status(response.status()).url(url);
            std::mem::swap(built.headers_mut().unwrap(), response.headers_mut());
            let alive = response.extensions().get::<crate::authorized::service::Alive>().cloned();
            built.extensions_mut().unwrap().insert(alive);
            Ok(built.body(response.into_body()).unwrap().into())
        }
    }

    use reqwest::ResponseBuilderExt as _;

    pub(crate) struct Client(pub(crate) ClientWithMiddleware);

    impl Client {
        pub(crate) fn new(arguments: ClientArguments, service: Service) -> Self {
            // It asks for a provider of cryptography, though it sends nothing here. Another test may have been first.
            let _ = crypto::ring::default_provider().install_default();
            let inner = reqwest::Client::new();
            Self(ClientBuilder::new(inner).with(AuthorizeMiddleware::new(arguments)).with(Network(service)).build())
        }

        pub(crate) async fn call(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> {
            self.send(request.try_into().unwrap()).await
        }

        pub(crate) async fn send(&self, request: reqwest::Request) -> Result<Response<Vec<u8>>, String> {
            let mut answer = self.0.execute(request).await.map_err(|error| format!("{error}, {error:?}"))?;
            let mut response = Response::builder().status(answer.status());
            std::mem::swap(response.headers_mut().unwrap(), answer.headers_mut());
            let body = answer.bytes().await.unwrap().to_vec();
            Ok(response.body(body).unwrap())
        }
    }
}

use crate::authorized::service::{Service, arguments, credential, post, status, with};
use crate::rt;

/// Fails when a stream is sent twice, or signed as an empty body.
#[test]
fn a_streaming_body_is_sent_once() {
    rt::run(async {
        let (credential, refreshes) = credential(|_| false);
        let service = Service::accepting(|token| token == "t2");
        let client = host::Client::new(arguments(&credential), service.clone());
        let mut request: reqwest::Request = post("/chat").try_into().unwrap();
        let channel = http_body_util::Full::new("streamed".as_bytes());
        *request.body_mut() = Some(reqwest::Body::wrap(channel));
        let response = client.send(request).await.unwrap();
        assert_eq!((response.status().as_u16(), &response.body()[..]), (401, &b"body of 401"[..]));
        assert_eq!((service.sends(), refreshes.count()), (1, 1));
        assert_eq!(client.call(post("/chat")).await.unwrap().status(), 200, "the token was rejected all the same");
    });
}

/// Fails when a 401 that a redirect has led to counts against the token.
#[test]
fn a_401_of_another_origin_says_nothing_about_the_token() {
    rt::run(async {
        let (credential, refreshes) = credential(|_| false);
        let service = Service::new(|_| Ok(with(status(401), "x-came-from", "https://elsewhere.example/")));
        let client = host::Client::new(arguments(&credential), service.clone());
        assert_eq!(client.call(post("/chat")).await.unwrap().status(), 401);
        assert_eq!((service.sends(), refreshes.count()), (1, 1));
    });
}

/// Fails when the `Date` of another origin reaches the credential.
#[test]
fn the_date_of_another_origin_is_left_out() {
    rt::run(async {
        let (credential, _) = credential(|_| false);
        let date = with(status(200), "date", "Tue, 14 Nov 2023 22:13:20 GMT");
        let service = Service::new(move |_| Ok(with(date.clone(), "x-came-from", "https://elsewhere.example/")));
        host::Client::new(arguments(&credential), service).call(post("/chat")).await.unwrap();
        assert_eq!(credential.server_time(), None);
    });
}
