//! An application with a TLS library of its choice. Fails when a feature of ours makes its own clients panic, when ours do not
//! use what it has chosen, or when one without TLS does not say what is missing.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;
use std::thread;

use acs_common::entra::{EntraOptions, Exchange, ExchangeAction, ExchangeEvent, HttpRequest};
use acs_common::{Monotonic, Now, Policy, UnixTime};
use acs_common_smol::HyperClient;
use acs_common_tokio::ReqwestClient;
use acs_common_tokio::entra::HttpClient;

const RUSTLS: bool = cfg!(any(feature = "aws-lc-rs", feature = "ring"));
const TLS: bool = cfg!(any(feature = "aws-lc-rs", feature = "ring", feature = "native-tls"));

fn main() {
    // Before the application has chosen anything: an error at most.
    let early = ReqwestClient::new();
    assert_eq!(early.is_err(), cfg!(feature = "ring"), "reqwest with no provider is the only one that cannot wait");
    HyperClient::new().expect("it waits for a provider");

    // `rustls` panics here if it has two providers, and `reqwest` if it has none.
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    let _ = rustls::ClientConfig::builder();
    reqwest::Client::new();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reqwest = ReqwestClient::new().expect("there is what it needs");
    check("reqwest", TLS, "default-tls", |request| runtime.block_on(reqwest.clone().send(request)));
    let hyper = HyperClient::new().expect("there is what it needs");
    check("hyper", RUSTLS, "aws-lc-rs", |request| smol::block_on(hyper.clone().send(request)));
}

type Sent = Result<acs_common::entra::HttpResponse, acs_common::RefresherError>;

fn check(name: &str, tls: bool, feature: &str, send: impl Fn(HttpRequest) -> Sent) {
    let (url, seen) = server();
    let response = send(request(&format!("http://{url}"))).expect("plain http works on loopback");
    assert_eq!(response.status(), 418);
    assert!(seen.recv().unwrap().starts_with(b"POST /access/entra/"));

    // The server knows no TLS, so all fail; but it sees what it is sent.
    let error = send(request(&format!("https://{url}"))).expect_err("the server has no certificate");
    let mut said = error.to_string();
    let mut source = error.get_ref().source();
    while let Some(error) = source {
        said = format!("{said}: {error}");
        source = error.source();
    }
    if tls {
        assert_eq!(seen.try_recv().expect(&said).first(), Some(&0x16), "a TLS handshake");
    } else {
        assert!(seen.try_recv().is_err() && said.contains(feature), "{said}");
    }
    println!("{name}: plain http works; https {}", if tls { "begins TLS" } else { "says which features bring it" });
}

/// A server that responds 418 to everything.
fn server() -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("localhost:{}", listener.local_addr().unwrap().port());
    let (report, seen) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut first) = (stream.unwrap(), vec![0; 4096]);
            let read = stream.read(&mut first).unwrap_or(0);
            first.truncate(read);
            let _ = report.send(first);
            let _ = stream.write_all(b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (url, seen)
}

/// The request of an exchange at this endpoint.
fn request(endpoint: &str) -> HttpRequest {
    let now = Now::new(Monotonic::from_millis(0), UnixTime::from_secs(1_700_000_000));
    let mut exchange = Exchange::new(EntraOptions::new(endpoint).unwrap(), &Policy::default(), 1);
    loop {
        match exchange.poll_action().expect("the request comes before the end") {
            ExchangeAction::AcquireEntraToken { .. } => {
                exchange.handle(ExchangeEvent::EntraTokenReceived { token: "an-entra-token".into() }, now);
            }
            ExchangeAction::ReportSource { .. } => exchange.handle(ExchangeEvent::Started { give_up: None }, now),
            ExchangeAction::SendRequest { request } => return request,
            ExchangeAction::Finish { .. } | ExchangeAction::ScheduleTimer { .. } => {}
        }
    }
}
