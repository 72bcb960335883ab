//! A credential keeps its token fresh while the issuer of the tokens fails in many ways; on tokio.
//!
//! `cargo run -p acs-common-tokio --example keep_fresh` (`-- --help` for more). The program is in `../../keep_fresh`;
//! here are the sockets.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use acs_common_tokio::Tokio;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

#[path = "../../keep_fresh/mod.rs"]
mod keep_fresh;
#[path = "../../logging/mod.rs"]
mod logging;

impl keep_fresh::Runtime for Tokio {
    const NAME: &'static str = "tokio";
    const EXAMPLE: &'static str = "keep_fresh";
    type Stream = TokioIo<TcpStream>;
    type Listener = TcpListener;

    async fn connect(to: SocketAddr) -> io::Result<Self::Stream> {
        TcpStream::connect(to).await.map(TokioIo::new)
    }

    fn listen(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    }

    async fn accept(listener: &TcpListener) -> io::Result<Self::Stream> {
        listener.accept().await.map(|(stream, _)| TokioIo::new(stream))
    }

    async fn interrupted() {
        tokio::signal::ctrl_c().await.expect("a handler for ctrl-c can be installed");
    }
}

fn main() -> ExitCode {
    if let Err(wrong) = logging::init() {
        eprintln!("keep_fresh: {wrong}");
        return ExitCode::from(2);
    }
    keep_fresh::main::<Tokio>(|play| tokio::runtime::Runtime::new().expect("threads can be started").block_on(play))
}
