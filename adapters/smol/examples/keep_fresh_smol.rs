//! A credential keeps its token fresh while the issuer of the tokens fails in many ways; on smol.
//!
//! `cargo run -p acs-common-smol --example keep_fresh_smol` (`-- --help` for more). The program is in
//! `../../keep_fresh`; here are the sockets. (Two examples of the same name would be one file in the target folder.)

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use acs_common_smol::Smol;
use async_signal::{Signal, Signals};
use futures_lite::StreamExt as _;
use smol::Async;
use smol::net::TcpStream;
use smol_hyper::rt::FuturesIo;

#[path = "../../keep_fresh/mod.rs"]
mod keep_fresh;
#[path = "../../logging/mod.rs"]
mod logging;

impl keep_fresh::Runtime for Smol {
    const NAME: &'static str = "smol";
    const EXAMPLE: &'static str = "keep_fresh_smol";
    type Stream = FuturesIo<TcpStream>;
    type Listener = smol::net::TcpListener;

    async fn connect(to: SocketAddr) -> io::Result<Self::Stream> {
        TcpStream::connect(to).await.map(FuturesIo::new)
    }

    fn listen(listener: std::net::TcpListener) -> io::Result<smol::net::TcpListener> {
        Async::try_from(listener).map(Into::into)
    }

    async fn accept(listener: &smol::net::TcpListener) -> io::Result<Self::Stream> {
        listener.accept().await.map(|(stream, _)| FuturesIo::new(stream))
    }

    async fn interrupted() {
        let mut signals = Signals::new([Signal::Int]).expect("a handler for ctrl-c can be installed");
        signals.next().await;
    }
}

fn main() -> ExitCode {
    if let Err(wrong) = logging::init() {
        eprintln!("keep_fresh_smol: {wrong}");
        return ExitCode::from(2);
    }
    keep_fresh::main::<Smol>(smol::block_on)
}
