//! The policy for the pipelines of the Azure SDK as a host of the suite, and what only it has.

#[path = "suite.rs"]
mod suite;

mod host {
    use std::sync::Arc;

    use acs_common_driver::ClientArguments;
    use acs_common_driver::azure::AuthorizePolicy;
    use async_trait::async_trait;
    use azure_core::http::headers::{HeaderName, Headers};
    use azure_core::http::policies::{Policy, PolicyResult};
    use azure_core::http::{AsyncRawResponse, Body, Context, Method, Request as SdkRequest};
    use futures_lite::StreamExt as _;
    use http::{Request, Response};

    use crate::authorized::service::{Alive, Service};

    /// The end of a pipeline.
    struct Transport(Service);

    impl std::fmt::Debug for Transport {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Transport")
        }
    }

    #[async_trait]
    impl Policy for Transport {
        async fn send(&self, _: &Context, request: &mut SdkRequest, _: &[Arc<dyn Policy>]) -> PolicyResult {
            let body = match request.body_mut() {
                Body::Bytes(bytes) => bytes.to_vec(),
                Body::SeekableStream(stream) => {
                    let mut read = Vec::new();
                    futures_lite::AsyncReadExt::read_to_end(stream, &mut read).await.unwrap();
                    read
                }
            };
            let mut sent = Request::builder().method(request.method().as_ref()).uri(request.url().as_str());
            for (name, value) in request.headers().iter() {
                sent = sent.header(name.as_str(), value.as_str());
            }
            let answer = self.0.answer(sent.body(body).unwrap()).await;
            let response =
                answer.map_err(|error| azure_core::Error::with_message(azure_core::error::ErrorKind::Io, error))?;
            let mut headers = Headers::new();
            for name in response.headers().keys() {
                // As a client that keeps all lines would.
                let lines: Vec<_> =
                    response.headers().get_all(name).iter().map(|line| line.to_str().unwrap()).collect();
                headers.insert(HeaderName::from(name.as_str().to_owned()), lines.join(", "));
            }
            let (head, body) = response.into_parts();
            let alive = head.extensions.get::<Alive>().cloned();
            let stream = futures_lite::stream::once(Ok(body.into())).map(move |part| {
                let _ = &alive;
                part
            });
            Ok(AsyncRawResponse::new(head.status.as_u16().into(), headers, Box::pin(stream)))
        }
    }

    pub(crate) struct Client {
        policy: AuthorizePolicy,
        rest: [Arc<dyn Policy>; 1],
    }

    impl Client {
        pub(crate) fn new(arguments: ClientArguments, service: Service) -> Self {
            Self { policy: AuthorizePolicy::new(arguments), rest: [Arc::new(Transport(service))] }
        }

        pub(crate) async fn call(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> {
            let mut sent = sdk_request(&request);
            sent.set_body(request.into_body());
            self.send(&mut sent).await
        }

        pub(crate) async fn send(&self, request: &mut SdkRequest) -> Result<Response<Vec<u8>>, String> {
            let answer = self.policy.send(&Context::new(), request, &self.rest).await;
            let (status, headers, body) = answer.map_err(|error| error.to_string())?.deconstruct();
            let mut response = Response::builder().status(u16::from(status));
            for (name, value) in headers.iter() {
                response = response.header(name.as_str(), value.as_str());
            }
            let body = body.collect().await.unwrap().to_vec();
            Ok(response.body(body).unwrap())
        }
    }

    pub(crate) fn sdk_request(request: &Request<Vec<u8>>) -> SdkRequest {
        let method = if request.method() == "POST" { Method::Post } else { Method::Get };
        let mut sent = SdkRequest::new(request.uri().to_string().parse().unwrap(), method);
        for (name, value) in request.headers() {
            sent.insert_header(name.as_str().to_owned(), value.to_str().unwrap().to_owned());
        }
        sent
    }
}

use std::sync::atomic::{AtomicBool, Ordering};

use acs_common_driver::ClientArguments;
use azure_core::http::Body;
use azure_core::stream::BytesStream;

use super::service::{ENDPOINT, Service, arguments, credential, post, status};
use crate::rt;

fn stream() -> Body {
    Body::SeekableStream(Box::new(BytesStream::new("streamed")))
}

/// Fails when a header that the policy has put on stays there: the next try would pass untouched, with the refused token.
#[test]
fn each_try_of_a_retry_policy_is_authorized_afresh() {
    rt::run(async {
        let (credential, refreshes) = credential(|_| false);
        let revoked = AtomicBool::new(false);
        // It accepts the first token once.
        let service = Service::accepting(move |token| !revoked.swap(true, Ordering::SeqCst) || token == "t2");
        let client = host::Client::new(arguments(&credential), service.clone());
        let mut request = host::sdk_request(&post("/chat"));
        let headers = format!("{:?}", request.headers());
        assert_eq!(client.send(&mut request).await.unwrap().status(), 200);
        assert_eq!(format!("{:?}", request.headers()), headers);
        // With the SDK's own policy each further try brings 401: it never tells the credential.
        assert_eq!(client.send(&mut request).await.unwrap().status(), 200);
        assert_eq!((service.tokens().join(" "), refreshes.count()), ("t1 t1 t2".to_owned(), 2));
    });
}

/// Fails when a stream is sent again from where it ended.
#[test]
fn a_stream_is_reset_before_the_second_send() {
    rt::run(async {
        let (credential, _) = credential(|_| false);
        let service = Service::accepting(|token| token == "t2");
        let client = host::Client::new(arguments(&credential), service.clone());
        let mut request = host::sdk_request(&post("/chat"));
        request.set_body(stream());
        assert_eq!(client.send(&mut request).await.unwrap().status(), 200);
        assert!(service.seen().iter().all(|seen| seen.body == b"streamed"), "{:?}", service.seen());
    });
}

/// Fails when a stream is signed as an empty body, or a path is taken for a host.
#[test]
fn a_key_signs_what_is_in_memory_and_where_it_goes() {
    rt::run(async {
        let text = format!("endpoint={ENDPOINT};accesskey=pw==");
        let key = ClientArguments::from_connection_string(&text).unwrap();
        let service = Service::new(|_| Ok(status(200)));
        let client = host::Client::new(key, service.clone());
        let mut request = host::sdk_request(&post("/chat"));
        request.set_body(stream());
        let error = client.send(&mut request).await.unwrap_err();
        assert!(error.contains("put the body into memory") && service.sends() == 0, "{error}");

        client.call(post("//evil.example/chat")).await.unwrap();
        assert_eq!(service.seen()[0].url, format!("{ENDPOINT}//evil.example/chat"));
        assert_eq!(service.seen()[0].header("host"), Some("contoso.communication.azure.com"));
    });
}
