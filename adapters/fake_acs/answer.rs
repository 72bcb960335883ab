//! The answers of the fake.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// An answer: a constructor makes it, and the methods change it.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) delay: Duration,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Respond {
        status: u16,
        headers: Vec<(String, String)>,
        body: Content,
    },
    /// The connection is closed without a response.
    HangUp,
    Never,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Whole(Vec<u8>),
    /// Shorter than its announced length: the connection breaks in the middle.
    Broken(Vec<u8>),
    Endless,
}

impl Answer {
    /// A token with a lifetime of an hour.
    pub fn token(token: &str) -> Self {
        Self::token_for(token, Duration::from_secs(3_600))
    }

    /// A token with this lifetime, in whole seconds.
    pub fn token_for(token: &str, life: Duration) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let identity = "8:acs:00000000-0000-0000-0000-000000000000_wf_tenant_object";
        let expires_on = rfc3339((now + life).as_secs());
        Self::status(200).header("Content-Type", "application/json").body(&format!(
            r#"{{"identity":{{"id":"{identity}"}},"accessToken":{{"token":"{token}","expiresOn":"{expires_on}"}}}}"#
        ))
    }

    /// This status, without headers or a body.
    pub fn status(status: u16) -> Self {
        let kind = Kind::Respond { status, headers: Vec::new(), body: Content::Whole(Vec::new()) };
        Self { delay: Duration::ZERO, kind }
    }

    /// This status and a body without end, in chunks.
    pub fn endless(status: u16) -> Self {
        Self::status(status).with(Content::Endless)
    }

    /// No response: the connection is closed.
    pub fn hang_up() -> Self {
        Self { delay: Duration::ZERO, kind: Kind::HangUp }
    }

    /// No response, and the connection stays open.
    pub fn never() -> Self {
        Self { delay: Duration::ZERO, kind: Kind::Never }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Kind::Respond { headers, .. } = &mut self.kind {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    #[must_use]
    pub fn body(self, text: &str) -> Self {
        self.with(Content::Whole(text.into()))
    }

    /// A body that ends in the middle.
    #[must_use]
    pub fn broken_body(self, text: &str) -> Self {
        self.with(Content::Broken(text.into()))
    }

    /// Sent after this delay.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    fn with(mut self, content: Content) -> Self {
        if let Kind::Respond { body, .. } = &mut self.kind {
            *body = content;
        }
        self
    }
}

/// In the service's form, with seven digits after the point.
fn rfc3339(secs: u64) -> String {
    let moment = i64::try_from(secs).ok().and_then(|secs| chrono::DateTime::from_timestamp(secs, 0));
    moment.expect("chrono knows the expiry of a test's token").format("%FT%T.0000000+00:00").to_string()
}

const CHUNK: usize = 1 << 16;

/// A body that is being sent.
pub(super) struct Outgoing {
    content: Content,
    poured: Arc<AtomicU64>,
    /// The first part of a broken body has been given to the connection.
    flushed: bool,
}

impl Outgoing {
    pub(super) fn new(content: Content, poured: Arc<AtomicU64>) -> Self {
        Self { content, poured, flushed: false }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Self { content, poured, flushed } = &mut *self;
        let frame = match content {
            Content::Whole(bytes) | Content::Broken(bytes) if !bytes.is_empty() => std::mem::take(bytes),
            Content::Whole(_) => return Poll::Ready(None),
            Content::Broken(_) if !*flushed => {
                *flushed = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Content::Broken(_) => return Poll::Ready(Some(Err(io::Error::other("planned by the script")))),
            Content::Endless => {
                poured.fetch_add(CHUNK as u64, Ordering::SeqCst);
                vec![b' '; CHUNK]
            }
        };
        Poll::Ready(Some(Ok(Frame::data(frame.into()))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Broken(bytes) => SizeHint::with_exact(2 * bytes.len() as u64 + 1),
            Content::Endless => SizeHint::default(),
        }
    }
}
