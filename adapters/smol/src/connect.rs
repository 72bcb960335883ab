//! Connections: the addresses of a host, tried side by side, and a socket that no flood keeps busy.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use acs_common_driver::entra::HttpResponse;
use async_io::Timer;
use futures_rustls::TlsConnector;
use futures_rustls::rustls::pki_types::ServerName;
use hyper::Uri;
use smol::io::{AsyncRead, AsyncWrite};
use smol::net::TcpStream;

/// Where a URL leads.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) secure: bool,
    /// An IPv6 address in its brackets.
    host: String,
    /// If it is not the scheme's own.
    port: Option<u16>,
}

impl Target {
    pub(crate) fn of(uri: &Uri) -> io::Result<Self> {
        let host = uri.host().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no host"))?.to_owned();
        let secure = uri.scheme_str() == Some("https");
        Ok(Self { secure, host, port: uri.port_u16().filter(|port| *port != default_port(secure)) })
    }

    /// The value of the header `Host`.
    pub(crate) fn host_header(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Its addresses. Those of this computer are not left to a name server. A request without TLS shows the token, so it goes to
    /// no other computer.
    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let port = self.port.unwrap_or_else(|| default_port(self.secure));
        if self.host.strip_suffix('.').unwrap_or(&self.host).eq_ignore_ascii_case("localhost") {
            return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
        }
        let mut addresses = smol::net::resolve((self.name(), port)).await?;
        if !self.secure {
            addresses.retain(|address| address.ip().to_canonical().is_loopback());
        }
        Ok(addresses)
    }

    fn name(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// A connection, plain or with TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects, with TLS if it is handed in.
pub(crate) async fn connect(target: &Target, tls: Option<TlsConnector>) -> io::Result<Box<dyn Stream>> {
    let addresses = alternating(target.addresses().await?);
    let tcp = staggered(addresses, TcpStream::connect).await?;
    tcp.set_nodelay(true)?;
    let tcp = Measured::new(tcp);
    let Some(tls) = tls else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(target.name().to_owned()).map_err(io::Error::other)?;
    Ok(Box::new(tls.connect(name, tcp).await?))
}

/// How long an address is tried before the next is tried beside it ([RFC 8305, section
/// 5](https://www.rfc-editor.org/rfc/rfc8305#section-5)).
const HEAD_START: Duration = Duration::from_millis(250);

/// In turn one of each family, beginning with the first's: where IPv6 is broken, the second address is not.
fn alternating(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let preferred = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == preferred);
    let longest = first.len().max(second.len());
    (0..longest).flat_map(|at| [first.get(at), second.get(at)]).flatten().copied().collect()
}

/// The first connection that is made. The next address is tried once the last has had its head start, or has failed. If all
/// fail, the first failure is the error.
async fn staggered<S, F>(mut addresses: VecDeque<SocketAddr>, connect: impl Fn(SocketAddr) -> F) -> io::Result<S>
where
    F: Future<Output = io::Result<S>>,
{
    let mut attempts: Vec<Pin<Box<F>>> = Vec::new();
    let mut head_start = pin!(Timer::after(Duration::ZERO));
    let mut failure = None;
    poll_fn(|context| {
        loop {
            let mut failed = false;
            let mut made = None;
            attempts.retain_mut(|attempt| match attempt.as_mut().poll(context) {
                Poll::Pending => true,
                Poll::Ready(Ok(stream)) => {
                    made.get_or_insert(stream);
                    true
                }
                Poll::Ready(Err(error)) => {
                    failure.get_or_insert(error);
                    failed = true;
                    false
                }
            });
            if let Some(stream) = made {
                return Poll::Ready(Ok(stream));
            }
            if !failed && !attempts.is_empty() && head_start.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            match addresses.pop_front() {
                Some(address) => {
                    attempts.push(Box::pin(connect(address)));
                    head_start.set(Timer::after(HEAD_START));
                }
                None if attempts.is_empty() => {
                    let none = || io::Error::new(io::ErrorKind::NotFound, "the host has no address");
                    return Poll::Ready(Err(failure.take().unwrap_or_else(none)));
                }
                None => return Poll::Pending,
            }
        }
    })
    .await
}

/// A socket that reads at most so much: a server that sends without end (`100 Continue`, say, which `hyper` skips) cannot keep
/// a thread busy. After a few reads in a row it lets other tasks run, so that timeouts hold.
struct Measured {
    tcp: TcpStream,
    /// How many bytes may still come.
    left: usize,
    /// How many reads may still follow each other.
    turns: u8,
}

/// A body, whatever it is wrapped in. More is not looked at in any case.
const MOST: usize = 4 * HttpResponse::MAX_BODY;
const TURNS: u8 = 4;
const READ: usize = 1 << 14;

impl Measured {
    fn new(tcp: TcpStream) -> Self {
        Self { tcp, left: MOST, turns: TURNS }
    }
}

impl AsyncRead for Measured {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.turns == 0 {
            this.turns = TURNS;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let most = buffer.len().min(READ);
        let Poll::Ready(read) = Pin::new(&mut this.tcp).poll_read(context, &mut buffer[..most]) else {
            this.turns = TURNS;
            return Poll::Pending;
        };
        let read = read?;
        this.turns -= 1;
        let too_much =
            || io::Error::new(io::ErrorKind::InvalidData, format!("the response is longer than {MOST} bytes"));
        this.left = this.left.checked_sub(read).ok_or_else(too_much)?;
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for Measured {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(context, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::{pending, ready};
    use std::rc::Rc;
    use std::time::Instant;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Fails when families do not alternate, or an address gets lost or comes before the resolver's first.
    #[test]
    fn families_alternate() {
        let v6 = ["[::1]:1", "[::2]:1", "[::3]:1"].map(address);
        let v4 = ["127.0.0.1:1", "127.0.0.2:1"].map(address);
        assert_eq!(alternating([v6.as_slice(), &v4].concat()), [v6[0], v4[0], v6[1], v4[1], v6[2]]);
        assert_eq!(alternating([v4.as_slice(), &v6].concat()), [v4[0], v6[0], v4[1], v6[1], v6[2]]);
        assert_eq!(alternating(v4.to_vec()), v4);
        assert_eq!(alternating(Vec::new()), []);
    }

    type Attempt = Pin<Box<dyn Future<Output = io::Result<SocketAddr>>>>;

    /// Connects to these addresses, of which those with port 1 never answer and those with port 2 refuse. Also returns which
    /// were tried, and when.
    fn race(addresses: &[&str]) -> (io::Result<SocketAddr>, Vec<(SocketAddr, Duration)>) {
        let tried = Rc::new(RefCell::new(Vec::new()));
        let started = Instant::now();
        let connect = |address: SocketAddr| -> Attempt {
            tried.borrow_mut().push((address, started.elapsed()));
            match address.port() {
                1 => Box::pin(pending()),
                2 => Box::pin(ready(Err(io::Error::other(format!("{address} refuses"))))),
                _ => Box::pin(ready(Ok(address))),
            }
        };
        let made = smol::block_on(staggered(addresses.iter().map(|text| address(text)).collect(), connect));
        (made, tried.take())
    }

    /// Fails when addresses are tried one after the other: a dead one then costs the whole time that a connection has.
    #[test]
    fn a_dead_address_costs_a_quarter_of_a_second() {
        let (made, tried) = race(&["[::1]:1", "[::2]:1", "127.0.0.1:3", "127.0.0.2:3"]);
        assert_eq!(made.unwrap(), address("127.0.0.1:3"));
        assert_eq!(tried.len(), 3, "none after the one that answers: {tried:?}");
        for (at, (_, when)) in (0..).zip(&tried) {
            assert!(*when >= HEAD_START * at && *when < HEAD_START * at + Duration::from_secs(3), "{tried:?}");
        }
    }

    /// Fails when the next address waits although the last has refused.
    #[test]
    fn an_address_that_refuses_costs_nothing() {
        let (made, tried) = race(&["[::1]:2", "127.0.0.1:2", "[::2]:3"]);
        assert_eq!(made.unwrap(), address("[::2]:3"));
        assert!(tried[2].1 < HEAD_START, "{tried:?}");
    }

    /// Fails when it does not end, or hides why.
    #[test]
    fn if_all_refuse_the_first_refusal_is_the_error() {
        let (made, tried) = race(&["[::1]:2", "127.0.0.1:2"]);
        assert_eq!((made.unwrap_err().to_string().as_str(), tried.len()), ("[::1]:2 refuses", 2));
        let (made, _) = race(&[]);
        assert_eq!(made.unwrap_err().to_string(), "the host has no address");
    }
}
