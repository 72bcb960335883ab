//! The server: hyper, on smol.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_rustls::TlsAcceptor;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use smol::io::{AsyncRead, AsyncWrite};
use smol::{Async, Timer};
use smol_hyper::rt::FuturesIo;

use super::answer::{Kind, Outgoing};
use super::{Seen, Shared};

/// Accepts connections as long as this future is polled. Dropping it closes them.
pub(super) async fn serve(listener: Async<TcpListener>, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut serving = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        serving.push(smol::spawn(async move {
            match tls {
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, &shared).await;
                    }
                }
                None => connection(stream, &shared).await,
            }
            let _ = shared.closing.try_send(());
        }));
    }
}

/// Serves one connection to its end.
async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) {
    let service = service_fn(|request| respond(request, shared));
    // The client or the script ends a connection, so an error here is expected.
    let _ = http1::Builder::new().serve_connection(FuturesIo::new(stream), service).await;
}

async fn respond(request: Request<Incoming>, shared: &Shared) -> io::Result<Response<Outgoing>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    let seen = Seen {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: headers.collect(),
        body: text(&body),
    };
    let answer = shared.answer();
    let _ = shared.seen.try_send(seen);
    if !answer.delay.is_zero() {
        Timer::after(answer.delay).await;
    }
    match answer.kind {
        Kind::Respond { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Outgoing::new(body, Arc::clone(&shared.poured))).map_err(io::Error::other)
        }
        Kind::HangUp => Err(io::Error::other("planned by the script")),
        Kind::Never => smol::future::pending().await,
    }
}
