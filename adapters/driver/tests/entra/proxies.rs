//! A client as `new` makes it: with the proxies and the certificates that the environment names. Variables are a process's own, so
//! the client runs in a child.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use acs_common_driver::Builder;
use acs_common_driver::entra::EntraOptions;

use super::fake_acs::FakeAcs;
use super::{Hurried, Source, policy, rt, spawn};

const ENDPOINT: &str = "ACS_TEST_ENDPOINT";

/// The child: exchanges at the endpoint that its parent names, with a client as `new` makes it.
#[test]
#[ignore = "run by the tests below, in a process of its own"]
fn child() {
    let endpoint = std::env::var(ENDPOINT).expect("the parent sets it");
    rt::run(async {
        let options = EntraOptions::new(&endpoint).unwrap().with_prewarm(false);
        let builder = Builder::with_entra(Hurried::default(), options, Source::new(), rt::system_client());
        match spawn(builder.policy(policy().build().unwrap())).get_token().await {
            Ok(token) => println!("token: {}", token.secret().expose()),
            Err(error) => println!("error: {error}"),
        }
    });
}

/// What the child prints at this endpoint, with these variables.
fn exchange_at(endpoint: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(proxy).env_remove(proxy.to_lowercase());
    }
    command.args(["--exact", "entra::proxies::child", "--ignored", "--nocapture", "--test-threads", "1"]);
    let ended = command.env(ENDPOINT, endpoint).envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    said
}

/// A proxy that answers each request with a token of its own. It reports what it is asked for.
fn lying_proxy() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (report, asked) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut seen = [0; 4096];
            let read = stream.read(&mut seen).unwrap();
            let body = r#"{"accessToken":{"token":"from-the-proxy","expiresOn":"2999-01-01T00:00:00Z"}}"#;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = report.send(String::from_utf8_lossy(&seen[..read]).into_owned());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    (url, asked)
}

/// Fails when a client that `new` makes uses a proxy for a loopback endpoint: the proxy sees the Entra token, and what it
/// invents is taken for the service's answer.
#[test]
fn a_request_to_this_computer_never_goes_through_a_proxy() {
    let acs = FakeAcs::start_plain().unwrap();
    let (proxy, asked) = lying_proxy();
    let port = acs.endpoint().rsplit_once(':').unwrap().1.to_owned();
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "[::ffff:127.0.0.1]", "localhost."] {
            // A socket of Windows for IPv6 does not reach IPv4.
            if cfg!(windows) && host.starts_with('[') {
                continue;
            }
            let said = exchange_at(&format!("http://{host}:{port}"), &[(variable, &proxy)]);
            assert!(said.contains("token: acs-token-"), "{variable}, {host}: {said}");
            assert!(asked.try_recv().is_err(), "{variable}, {host}: the proxy is asked");
        }
    }
    assert_eq!(acs.asked(), acs.connections(), "each has its own");
}

/// Not even with TLS, where the proxy would learn nothing but the name. Windows does not read `SSL_CERT_FILE`.
#[cfg(unix)]
#[test]
fn nor_does_one_with_tls() {
    let acs = FakeAcs::start().unwrap();
    let trusted = concat!(env!("CARGO_TARGET_TMPDIR"), "/proxies.pem");
    std::fs::write(trusted, acs.pem().unwrap()).unwrap();
    let (proxy, asked) = lying_proxy();
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let variables = [(variable, &*proxy), ("SSL_CERT_FILE", trusted), ("SSL_CERT_DIR", "")];
        let said = exchange_at(&acs.endpoint(), &variables);
        assert!(said.contains("token: acs-token-") && asked.try_recv().is_err(), "{variable}: {said}");
    }
    assert_eq!((acs.asked(), acs.connections()), (4, 4));
}

const NO_STORE: [(&str, &str); 2] = [("SSL_CERT_FILE", "/no/such/file"), ("SSL_CERT_DIR", "/no/such/folder")];

/// Fails when a client needs certificates for an endpoint that has none.
#[test]
fn without_certificates_plain_http_works() {
    let acs = FakeAcs::start_plain().unwrap();
    let said = exchange_at(&acs.endpoint(), &NO_STORE);
    assert!(said.contains("token: acs-token-1"), "{said}");
}

/// Fails when the error does not say what is missing, or the server is trusted. OpenSSL does not tell a missing store from an unknown
/// authority.
#[cfg(target_os = "linux")]
#[test]
fn without_certificates_https_says_what_to_install() {
    let acs = FakeAcs::start().unwrap();
    let said = exchange_at(&acs.endpoint(), &NO_STORE);
    let says = if rt::OPENSSL { "certificate verify failed" } else { "ca-certificates" };
    assert!(said.contains("error: ") && said.contains(says), "{said}");
    assert_eq!(acs.asked(), 0);
}

/// Fails when the proxy that the tests above set is not used by anybody.
#[test]
fn a_request_to_another_computer_goes_through_the_proxy_if_the_client_has_any() {
    let (proxy, asked) = lying_proxy();
    let said = exchange_at("https://contoso.invalid", &[("HTTPS_PROXY", &proxy)]);
    assert!(said.contains("error: "), "{said}");
    let asked = asked.try_recv().ok();
    match rt::PROXIES {
        true => assert!(asked.is_some_and(|asked| asked.starts_with("CONNECT contoso.invalid:443 "))),
        false => assert_eq!(asked, None),
    }
}
