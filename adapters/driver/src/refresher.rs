//! Where tokens come from.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use acs_common::{NewToken, RefresherError};

/// Gets a token from wherever tokens come from: a service of yours, an identity library.
///
/// Any closure that returns a future of `Result<T, E>` is one, where `T` is a string or a [`NewToken`] (a string with its
/// expiry or lifetime) and `E` any [`Error`](std::error::Error) type or a [`RefresherError`] (permanent, or with the delay
/// the issuer asked for). A boxed error, or `anyhow`'s, becomes one by `.map_err(RefresherError::new)`.
///
/// At most one refresh is in flight at any time. Its future is dropped when it is not wanted any more: it took longer than
/// [`refresh_timeout`](acs_common::PolicyBuilder::refresh_timeout), or the credential was disposed. One that panics
/// counts as a failure; one that blocks its thread blocks the driver.
///
/// ```
/// use acs_common_driver::{NewToken, Refresher, RefresherError};
/// use std::pin::Pin;
/// use std::time::Duration;
///
/// struct Counter(u32);
///
/// impl Refresher for Counter {
///     type Future = Pin<Box<dyn Future<Output = Result<NewToken, RefresherError>> + Send>>;
///
///     fn refresh(&mut self) -> Self::Future {
///         self.0 += 1;
///         let token = format!("token {}", self.0);
///         Box::pin(async move { Ok(NewToken::new(token).with_expires_in(Duration::from_secs(3_600))) })
///     }
/// }
///
/// let token = futures_lite::future::block_on(Counter(0).refresh())?;
/// # let _ = token;
/// # Ok::<(), RefresherError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no refresher",
    note = "a closure `|| async {{ … }}` is one if it gives a `Result<T, E>` of a string or a `NewToken`, and an error type or \
            a `RefresherError`; for boxed errors and anyhow's add `.map_err(RefresherError::new)`"
)]
pub trait Refresher {
    /// A refresh under way.
    type Future: Future<Output = Result<NewToken, RefresherError>>;

    /// Starts a refresh.
    fn refresh(&mut self) -> Self::Future;
}

impl<F, Fut, T, E> Refresher for F
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    T: Into<NewToken>,
    E: Into<RefresherError>,
{
    type Future = Refresh<Fut>;

    fn refresh(&mut self) -> Refresh<Fut> {
        Refresh { future: self() }
    }
}

pin_project_lite::pin_project! {
    /// A refresh by a closure.
    ///
    /// ```
    /// use acs_common_driver::{Refresh, Refresher};
    ///
    /// let mut refresher = || std::future::ready(Ok::<_, std::io::Error>("eyJ…"));
    /// let refresh: Refresh<_> = refresher.refresh();
    /// assert!(futures_lite::future::block_on(refresh).is_ok());
    /// ```
    #[derive(Debug)]
    pub struct Refresh<Fut> {
        #[pin]
        future: Fut,
    }
}

impl<Fut, T, E> Future for Refresh<Fut>
where
    Fut: Future<Output = Result<T, E>>,
    T: Into<NewToken>,
    E: Into<RefresherError>,
{
    type Output = Result<NewToken, RefresherError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(self.project().future.poll(context)).map(Into::into).map_err(Into::into))
    }
}

/// What a refresh that panicked failed with. The panic's message went to the panic hook; it is not repeated here, since it
/// might hold a secret.
///
/// ```
/// use acs_common_driver::RefresherPanicked;
///
/// assert_eq!(RefresherPanicked.to_string(), "the refresher panicked");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the refresher panicked")]
#[expect(clippy::exhaustive_structs, reason = "there is no more to say")]
pub struct RefresherPanicked;
