//! Refreshers: the sources of tokens.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use acs_common::{NewToken, Reason, RefresherError};

/// Gets a token from its source: your service, or an identity library. Most refreshers are closures: see
/// [`IntoRefresher`].
///
/// At most one refresh is in flight at any time (contract, rule 2.2). Its future is dropped when its result is not needed
/// any more: it took longer than [`refresh_timeout`](acs_common::PolicyBuilder::refresh_timeout), or the credential was
/// disposed. A panic counts as a failure.
///
/// So the future may be dropped half-way. If your server replaces a single-use refresh token at each call, the new one is lost
/// then, and with it the session. The cure: hand the call to a task of its own (`tokio::spawn`, or `smol::spawn` and
/// `detach`) that stores the new refresh token before it ends, and await that task. Or let late calls end:
/// [`finish_late_calls`](acs_common::PolicyBuilder::finish_late_calls).
///
/// A refresher must not block its thread, because the driver runs there too: hand work that blocks to `spawn_blocking` or
/// `smol::unblock`. While the thread is blocked, no timeout can end the call, and nothing wakes the tasks that wait. They look
/// at the clocks when they are polled, so a waiting call that is polled after
/// [`refresh_timeout`](acs_common::PolicyBuilder::refresh_timeout) fails in time: inside `select!` or a timeout of your own,
/// or when another call asks for a token. [`get_token_blocking`](crate::CommunicationTokenCredential::get_token_blocking)
/// looks by itself. A task that only awaits [`get_token`](crate::CommunicationTokenCredential::get_token) fails when the thread
/// is free again; on a runtime with one thread all tasks stand still until then.
///
/// ```
/// use acs_common_driver::{NewToken, Reason, Refresher, RefresherError};
/// use acs_common_tokio::CommunicationTokenCredential;
/// use std::pin::Pin;
/// use std::time::Duration;
///
/// struct Counter(u32);
///
/// impl Refresher for Counter {
///     type Future = Pin<Box<dyn Future<Output = Result<NewToken, RefresherError>> + Send>>;
///
///     fn refresh(&mut self, _: Reason) -> Self::Future {
///         self.0 += 1;
///         let token = format!("token-{}", self.0);
///         Box::pin(async move { Ok(NewToken::new(token).with_expires_in(Duration::from_secs(3_600))) })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let credential = CommunicationTokenCredential::with_refresher(Counter(0)).spawn()?;
/// assert_eq!(credential.get_token().await?.secret().expose(), "token-1");
/// # Ok(())
/// # }
/// ```
pub trait Refresher {
    /// A refresh in flight.
    type Future: Future<Output = Result<NewToken, RefresherError>>;

    /// Starts a refresh. `reason` says why, and holds the rejected token if the service rejected one (contract, rule 2.9).
    fn refresh(&mut self, reason: Reason) -> Self::Future;
}

/// What you can pass as a refresher: a closure, or an implementation of [`Refresher`]. `M` is a marker for each of these
/// kinds; you do not need to name it.
///
/// A closure takes no argument, or the [`Reason`] of the call. It returns a future of `Result<T, E>`. `T` is a string or a
/// [`NewToken`] (a string with its expiry or lifetime). `E` is any error, a boxed error, an `anyhow::Error`, a message, or
/// a [`RefresherError`] (permanent, or with the delay that the issuer asked for).
///
/// The closure is called many times, and each future runs independently. So the closure owns what it needs, and clones it
/// for each call.
///
/// ```
/// use acs_common_tokio::{CommunicationTokenCredential, Reason};
/// # #[derive(Clone)]
/// # struct Api;
/// # impl Api {
/// #     async fn token(&self, fresh: bool) -> Result<String, String> { Ok(format!("eyJ-{fresh}")) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let api = Api;
///
/// let refresher = move |reason: Reason| {
///     let api = api.clone();
///     async move { api.token(reason.rejected.is_some()).await }
/// };
/// let credential = CommunicationTokenCredential::with_refresher(refresher).spawn()?;
/// assert_eq!(credential.get_token().await?.secret().expose(), "eyJ-false");
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a refresher",
    label = "not a refresher",
    note = "a refresher is a closure that returns a future: `move || {{ let api = api.clone(); async move {{ api.token().await }} }}`",
    note = "it takes no argument, or `|reason: Reason|`"
)]
pub trait IntoRefresher<M> {
    /// The type of the refresher.
    type Refresher;

    /// The refresher.
    fn into_refresher(self) -> Self::Refresher;
}

/// Marks an implementation of [`Refresher`].
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a marker")]
pub struct Itself;

impl<R: Refresher> IntoRefresher<Itself> for R {
    type Refresher = R;

    fn into_refresher(self) -> R {
        self
    }
}

impl<F, Fut> IntoRefresher<fn() -> Fut> for F
where
    F: FnMut() -> Fut,
{
    type Refresher = WithoutReason<F>;

    fn into_refresher(self) -> WithoutReason<F> {
        WithoutReason(self)
    }
}

impl<F, Fut> IntoRefresher<fn(Reason) -> Fut> for F
where
    F: FnMut(Reason) -> Fut,
{
    type Refresher = WithReason<F>;

    fn into_refresher(self) -> WithReason<F> {
        WithReason(self)
    }
}

/// A closure without an argument.
#[derive(Debug)]
pub struct WithoutReason<F>(F);

impl<F, Fut> Refresher for WithoutReason<F>
where
    F: FnMut() -> Fut,
    Fut: Future<Output: RefreshOutput>,
{
    type Future = Refresh<Fut>;

    fn refresh(&mut self, _: Reason) -> Refresh<Fut> {
        Refresh { future: self.0() }
    }
}

/// A closure that takes the reason of the call.
#[derive(Debug)]
pub struct WithReason<F>(F);

impl<F, Fut> Refresher for WithReason<F>
where
    F: FnMut(Reason) -> Fut,
    Fut: Future<Output: RefreshOutput>,
{
    type Future = Refresh<Fut>;

    fn refresh(&mut self, reason: Reason) -> Refresh<Fut> {
        Refresh { future: self.0(reason) }
    }
}

/// What the future of a closure returns: a `Result` with a token or an error.
#[diagnostic::on_unimplemented(
    message = "the future of a refresher must return a `Result<T, E>` with a token or an error, not `{Self}`",
    label = "its future returns `{Self}`",
    note = "`T` is a string or a `NewToken`: `Ok(token)`",
    note = "`E` is a message, a `RefresherError`, or any error that is `Send` and `Sync`: `Box<dyn Error>` alone is neither; if it never fails, write `Ok::<_, std::io::Error>(token)`"
)]
pub trait RefreshOutput {
    /// Converts it to the result of a [`Refresher`].
    fn into_result(self) -> Result<NewToken, RefresherError>;
}

impl<T, E> RefreshOutput for Result<T, E>
where
    T: Into<NewToken>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn into_result(self) -> Result<NewToken, RefresherError> {
        self.map(Into::into).map_err(RefresherError::new)
    }
}

pin_project_lite::pin_project! {
    /// A refresh in flight of a refresher that is a closure.
    #[derive(Debug)]
    pub struct Refresh<Fut> {
        #[pin]
        future: Fut,
    }
}

impl<Fut: Future<Output: RefreshOutput>> Future for Refresh<Fut> {
    type Output = Result<NewToken, RefresherError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(self.project().future.poll(context)).into_result())
    }
}

/// The error of a refresh that panicked. Only the panic hook gets the panic's message, because the message may hold a
/// secret.
///
/// ```
/// use acs_common_driver::RefresherPanicked;
///
/// assert_eq!(RefresherPanicked.to_string(), "the refresher panicked");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the refresher panicked")]
#[expect(clippy::exhaustive_structs, reason = "it has no details")]
pub struct RefresherPanicked;
