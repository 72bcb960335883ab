//! The stream of the latest token.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use acs_common::Token;
use futures_lite::Stream;

use crate::clock::Clock;
use crate::shared::Shared;

/// A stream of a credential's latest token, from [`tokens`](crate::CommunicationTokenCredential::tokens): for a long-lived
/// connection that must sign in again with each new token.
///
/// The first item is the token that the credential holds, at once; if it holds none, the first one that comes. Each later item
/// is a token that replaced the last item. A token that has expired, was rejected or was replaced before the stream is polled
/// is skipped: the stream never returns a token that a request would not get. It returns no token twice.
///
/// The stream only watches: it starts no refresh. So make the credential
/// [proactive](crate::Builder::refresh_proactively), or ask it for tokens elsewhere too. Failures are in the
/// [notices](crate::CommunicationTokenCredential::notices).
///
/// It ends when the credential is disposed, its last handle is dropped, or its driver has ended. It does not keep the
/// credential or the driver alive, and it keeps no token in memory.
///
/// ```
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut calls = 0;
/// let refresher = move || {
///     calls += 1;
///     async move { Ok::<_, std::io::Error>(format!("token-{calls}")) }
/// };
/// let credential = CommunicationTokenCredential::with_refresher(refresher).refresh_proactively(true).spawn()?;
/// let mut tokens = credential.tokens();
///
/// let first = tokens.next().await.expect("the credential is not disposed");
/// assert_eq!(first.secret().expose(), "token-1");
/// credential.reject(&first); // The connection was refused.
/// let second = tokens.next().await.expect("as before");
/// assert_eq!(second.secret().expose(), "token-2");
///
/// credential.dispose();
/// assert!(tokens.next().await.is_none());
/// # Ok(())
/// # }
/// ```
///
/// `examples/reconnect.rs` of `acs-common-tokio` is a connection that does so.
pub struct Tokens<C: Clock> {
    shared: Arc<Shared<C>>,
    key: usize,
}

impl<C: Clock> Tokens<C> {
    pub(crate) fn new(shared: &Arc<Shared<C>>) -> Self {
        Self { shared: Arc::clone(shared), key: shared.lock().watch() }
    }

    /// The latest token, if it is another than the last one that this stream returned; else it waits for another one. `None`
    /// at the end. Cancel-safe: if you drop the future, no token is lost.
    pub async fn next(&mut self) -> Option<Token> {
        poll_fn(|context| self.poll_next_token(context)).await
    }

    fn poll_next_token(&self, context: &Context<'_>) -> Poll<Option<Token>> {
        // Clone the waker before the lock is held, because that may run foreign code.
        let waker = context.waker().clone();
        self.shared.lock().poll_token(self.key, waker)
    }
}

impl<C: Clock> Stream for Tokens<C> {
    type Item = Token;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Token>> {
        self.poll_next_token(context)
    }
}

impl<C: Clock> Drop for Tokens<C> {
    fn drop(&mut self) {
        self.shared.lock().unwatch(self.key);
    }
}

impl<C: Clock> fmt::Debug for Tokens<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}
