//! An HTTP client: hyper over the runtime's sockets.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use acs_common_driver::UnixTime;
use futures_lite::future;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, DATE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{Request, StatusCode};

use super::Runtime;

pub struct Client<R: Runtime> {
    server: SocketAddr,
    connection: Option<Connection<R>>,
}

struct Connection<R: Runtime> {
    sender: http1::SendRequest<Empty<Bytes>>,
    driver: http1::Connection<R::Stream, Empty<Bytes>>,
}

pub struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// The header `Date`.
    pub date: Option<UnixTime>,
    pub body: String,
}

/// Why a request failed.
#[derive(Debug)]
pub enum Trouble {
    Connecting(io::Error),
    Talking(hyper::Error),
    Status(StatusCode),
}

impl<R: Runtime> Client<R> {
    pub fn new(server: SocketAddr) -> Self {
        Self { server, connection: None }
    }

    /// Sends one request, on the last connection if that is still open. Dropping the future closes the connection.
    pub async fn get(&mut self, path: &str, token: Option<&str>) -> Result<Answer, Trouble> {
        let mut request = Request::get(path).header(HOST, self.server.to_string());
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::new()).expect("a path, and a token that is a JWT");
        let Connection { mut sender, mut driver } = match self.connection.take() {
            Some(open) if !open.sender.is_closed() => open,
            _ => Self::connect(self.server).await?,
        };
        let exchange = async {
            sender.ready().await?;
            let response = sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Answer {
                status: head.status,
                retry_after: head.headers.get(RETRY_AFTER).and_then(seconds),
                date: head.headers.get(DATE).and_then(date),
                body: String::from_utf8_lossy(&body).into_owned(),
            })
        };
        // The exchange reports an error of the connection.
        let answer = future::or(exchange, async {
            let _ = (&mut driver).await;
            future::pending().await
        });
        let answer = answer.await.map_err(Trouble::Talking)?;
        self.connection = Some(Connection { sender, driver });
        Ok(answer)
    }

    async fn connect(to: SocketAddr) -> Result<Connection<R>, Trouble> {
        let stream = R::connect(to).await.map_err(Trouble::Connecting)?;
        let (sender, driver) = http1::handshake(stream).await.map_err(Trouble::Talking)?;
        Ok(Connection { sender, driver })
    }
}

/// Reads `Retry-After` in seconds. Its other form is a date, which this issuer does not use.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

fn date(value: &HeaderValue) -> Option<UnixTime> {
    let date = chrono::DateTime::parse_from_rfc2822(value.to_str().ok()?).ok()?;
    Some(UnixTime::from_secs(date.timestamp()))
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting(error) => error.kind().fmt(f),
            Self::Talking(error) => error.fmt(f),
            Self::Status(status) => status.fmt(f),
        }
    }
}

impl Error for Trouble {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connecting(error) => Some(error),
            Self::Talking(error) => Some(error),
            Self::Status(_) => None,
        }
    }
}
