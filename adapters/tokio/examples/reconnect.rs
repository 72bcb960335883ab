//! A long-lived connection that signs in again with each new token: `cargo run -p acs-common-tokio --example reconnect`.
//!
//! The issuer's tokens are valid for two seconds, and the service sends a line every 100 ms. The third connection is the last.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use acs_common_driver::{NewToken, Policy};
use acs_common_tokio::{CommunicationTokenCredential, Token};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};

type Connection = Lines<BufReader<TcpStream>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = TcpListener::bind("127.0.0.1:0").await?;
    let address = service.local_addr()?;
    tokio::spawn(serve(service));

    let mut issued = 0;
    let refresher = move || {
        issued += 1;
        async move {
            Ok::<_, std::io::Error>(NewToken::new(format!("token-{issued}")).with_expires_in(Duration::from_secs(2)))
        }
    };
    let credential = CommunicationTokenCredential::with_refresher(refresher)
        .named("chat")
        .policy(Policy::builder().refresh_proactively(true).jitter(0.0).build()?)
        .spawn()?;

    // The first token is the one that is held; without one, the first that comes.
    let mut tokens = credential.tokens();
    let mut connection: Option<Connection> = None;
    let (mut signed_in, mut lines) = (0, 0);
    loop {
        tokio::select! {
            // The branch that loses is dropped: neither loses a token or a line.
            token = tokens.next() => {
                let Some(token) = token else { break };
                // This replaces the old connection, which closes.
                connection = Some(sign_in(address, &token).await?);
                signed_in += 1;
                println!("connection {signed_in}: signed in, after {lines} lines");
            }
            line = read(&mut connection) => {
                lines += 1;
                if line?.is_none() {
                    // The service refused the token, perhaps. The next token comes when it is renewed.
                    connection = None;
                } else if signed_in == 3 && lines > 20 {
                    credential.dispose();
                }
            }
        }
    }
    println!("disposed: the stream of tokens has ended");
    Ok(())
}

/// The next line of the connection. It waits as long as there is no connection.
async fn read(connection: &mut Option<Connection>) -> std::io::Result<Option<String>> {
    match connection {
        Some(connection) => connection.next_line().await,
        None => std::future::pending().await,
    }
}

async fn sign_in(service: SocketAddr, token: &Token) -> std::io::Result<Connection> {
    let mut stream = TcpStream::connect(service).await?;
    stream.write_all(format!("{}\n", token.secret().expose()).as_bytes()).await?;
    Ok(BufReader::new(stream).lines())
}

/// The service: it reads a token, and then sends a line every 100 ms.
async fn serve(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut token = String::new();
            stream.read_line(&mut token).await?;
            loop {
                stream.write_all(b"news\n").await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            #[expect(unreachable_code, reason = "it says the type")]
            std::io::Result::Ok(())
        });
    }
}
