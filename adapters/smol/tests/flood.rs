//! A server that floods the client, on smol's one thread.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use acs_common_smol::entra::{EntraOptions, EntraTokenRequest};
use acs_common_smol::{CommunicationTokenCredential, Error, HyperClient, Policy};

/// A server that answers each connection with this, again and again.
fn flooding_with(text: &str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let endpoint = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let flood = text.repeat((1 << 17) / text.len());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, flood) = (stream.unwrap(), flood.clone());
            thread::spawn(move || while stream.write_all(flood.as_bytes()).is_ok() {});
        }
    });
    endpoint
}

/// Fails when `hyper` reads and skips without end: then not even the timeout ends the wait, and nothing else runs on the thread.
#[test]
fn a_flood_does_not_outlive_the_timeout() {
    for text in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"] {
        let options = EntraOptions::new(&flooding_with(text)).unwrap().with_prewarm(false);
        let policy = Policy::builder().refresh_timeout(Duration::from_secs(2)).build().unwrap();
        let source = |_: EntraTokenRequest| async { Ok::<_, std::io::Error>("an-entra-token") };
        let client = HyperClient::new().unwrap();
        let (done, ended) = mpsc::channel();
        let started = Instant::now();
        // On a thread of its own: if it hangs, so does this one.
        thread::spawn(move || {
            let credential = CommunicationTokenCredential::with_entra(options, source, client).policy(policy).spawn();
            let _ = done.send(smol::block_on(async { credential.unwrap().get_token().await }));
        });
        let answer = ended.recv_timeout(Duration::from_secs(20)).expect("the limit is 2 s");
        assert!(matches!(answer, Err(Error::RefreshFailed { .. })), "{answer:?}");
        println!("{text:?}: after {:?}", started.elapsed());
    }
}
