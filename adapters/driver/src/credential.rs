//! The handle everybody holds.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use acs_common::{Error, Event, Machine, NewToken, Policy, Token, TokenError};

use crate::at_work::is_at_work;
use crate::clock::Clock;
use crate::notices::Notices;
use crate::requests::Place;
use crate::shared::{Answer, Shared};

/// Gives a valid token, always and fast, for as long as its issuer lets it.
///
/// Cheap to clone: clones share one token, one refresh and one background task, which ends with the last of them. (A
/// refresher that holds one of them itself keeps it going until [`dispose`](Self::dispose).)
/// `C` is the clock of a runtime; the adapters name theirs, so write `acs_common_tokio::CommunicationTokenCredential`.
///
/// ```
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// # async fn ask_my_service() -> Result<String, std::io::Error> { Ok("eyJ…".to_owned()) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let credential = CommunicationTokenCredential::with_refresher(|| ask_my_service())
///     .refresh_proactively(true)
///     .spawn()?;
///
/// let token = credential.get_token().await?;
/// assert_eq!(token.secret().expose(), "eyJ…");
/// # Ok(())
/// # }
/// ```
pub struct CommunicationTokenCredential<C: Clock> {
    owner: Arc<Owner<C>>,
}

/// Lives as long as any handle; the driver holds only what is inside.
struct Owner<C: Clock> {
    shared: Arc<Shared<C>>,
}

impl<C: Clock> Drop for Owner<C> {
    fn drop(&mut self) {
        let mut locked = self.shared.lock();
        // Listeners hear nothing any more, and what they share holds no secret.
        locked.end_notices();
        locked.handle(Event::Disposed);
    }
}

impl<C: Clock> CommunicationTokenCredential<C> {
    /// A credential that holds this one token for ever: it is returned unchanged even after it expired or was
    /// [rejected](Self::reject), since the service decides and there is no other, and never refreshed. Needs no runtime.
    ///
    /// # Errors
    /// The token is blank or too long.
    pub fn with_static_token(token: impl Into<NewToken>) -> Result<Self, TokenError>
    where
        C: Default,
    {
        let clock = C::default();
        let machine = Machine::with_static_token(token.into(), Policy::default(), clock.now())?;
        Ok(Self::from_shared(Arc::new(Shared::new(clock, machine))))
    }

    pub(crate) fn from_shared(shared: Arc<Shared<C>>) -> Self {
        Self { owner: Arc::new(Owner { shared }) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<C>> {
        &self.owner.shared
    }

    /// A valid token: at once if one is held (ready at the first poll, without a lock that anybody holds for long, or an
    /// allocation), else as soon as the refresh in flight brings it. At most one refresh is in flight, whoever asks. With
    /// [`CheckSource::EachRequest`](acs_common::CheckSource::EachRequest) the source is asked before, and a token that is held
    /// waits for its answer, but not longer than [`source_check_timeout`](acs_common::PolicyBuilder::source_check_timeout).
    ///
    /// Cancel-safe: dropping the future withdraws this request and nothing else; the refresh goes on, since its answer is
    /// still worth having.
    ///
    /// # Errors
    /// [`Error::RefreshFailed`] says why there is none and when asking again starts another try,
    /// [`Error::Disposed`] that there will be none, [`Error::DriverStopped`] that nobody is left to get one.
    /// [`Error::CalledFromRefresher`]: this credential's own refresher asks, and would wait for itself. A task that the
    /// refresher spawns is not recognized; it waits until the refresh times out.
    pub fn get_token(&self) -> GetToken<'_, C> {
        GetToken { shared: self.shared(), place: None }
    }

    /// A valid token if there is one, without waiting. `None`: there is none yet, so ask again, once a frame for instance:
    /// asking is what starts a refresh, as soon as [`min_refresh_interval`](acs_common::PolicyBuilder::min_refresh_interval)
    /// allows one.
    ///
    /// With [`CheckSource::EachRequest`](acs_common::CheckSource::EachRequest) it has the source asked, too, and does not wait
    /// for the answer: what it returns is what earlier answers led to, so that another user is noticed a call later.
    ///
    /// ```
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// let credential = CommunicationTokenCredential::with_static_token("eyJ…")?;
    /// let token = credential.try_token()?.expect("a static token is always there");
    /// assert_eq!(token.secret().expose(), "eyJ…");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_token`](Self::get_token), where that would fail at once.
    pub fn try_token(&self) -> Result<Option<Token>, Error> {
        if let Some(token) = self.shared().fresh() {
            return Ok(Some(token));
        }
        self.shared().lock().try_request()
    }

    /// Reports that the service refused this very token (a 401). If it is still the one held, it is dropped, and the next
    /// request (or the timer, if the credential renews ahead of time) gets another; if another is held by now, nothing
    /// happens, so every task that saw a 401 may report it. A static token stays.
    ///
    /// ```
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut calls = 0;
    /// let refresher = move || {
    ///     calls += 1;
    ///     async move { Ok::<_, std::io::Error>(format!("token {calls}")) }
    /// };
    /// let credential = CommunicationTokenCredential::with_refresher(refresher).spawn()?;
    /// let refused = credential.get_token().await?;
    /// credential.reject(&refused);
    /// assert_eq!(credential.get_token().await?.secret().expose(), "token 2");
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "invalidate")]
    pub fn reject(&self, token: &Token) {
        self.shared().lock().handle(Event::TokenRejected { token: token.clone() });
    }

    /// Says that trying makes sense again: the network is back, the user signed in, the device woke up. Ends the rest
    /// after failures, and starts a refresh if one is due.
    ///
    /// ```
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// # let credential = CommunicationTokenCredential::with_static_token("eyJ…")?;
    /// # let network_is_back = true;
    /// if network_is_back {
    ///     credential.retry_now();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry_now(&self) {
        self.shared().lock().handle(Event::RetryNow);
    }

    /// Ends the credential, for all its clones: whoever waits is told so, the refresh in flight is dropped, the token is
    /// forgotten (and wiped, once nobody holds it any more), the background task ends. Doing it again does nothing.
    ///
    /// ```
    /// use acs_common_driver::Error;
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// let credential = CommunicationTokenCredential::with_static_token("eyJ…")?;
    /// credential.dispose();
    /// assert!(matches!(credential.try_token(), Err(Error::Disposed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "close")]
    pub fn dispose(&self) {
        self.shared().lock().handle(Event::Disposed);
    }

    /// What happens from now on: token changed, refresh failed, token expired, disposed. For a long-lived connection that
    /// has to pick up a new token, and for an operator who has to see failures. To miss nothing of a credential that
    /// starts by itself, [`build`](crate::Builder::build) it, listen, then run the driver.
    ///
    /// ```
    /// use acs_common_driver::Notice;
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let refresher = || async { Ok::<_, std::io::Error>("eyJ…") };
    /// let credential = CommunicationTokenCredential::with_refresher(refresher).spawn()?;
    /// let mut notices = credential.notices();
    /// credential.get_token().await?;
    /// match notices.next().await {
    ///     Some(Notice::TokenChanged { expires_on, .. }) => println!("good until {}", expires_on.as_millis()),
    ///     other => panic!("unexpected: {other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn notices(&self) -> Notices<C> {
        Notices::new(self.shared())
    }
}

impl<C: Clock> Clone for CommunicationTokenCredential<C> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner) }
    }
}

impl<C: Clock> fmt::Debug for CommunicationTokenCredential<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommunicationTokenCredential").finish_non_exhaustive()
    }
}

/// A request for a token, from [`CommunicationTokenCredential::get_token`].
///
/// ```
/// use acs_common_smol::CommunicationTokenCredential;
/// use futures_lite::future;
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJ…")?;
/// let answer = future::block_on(future::poll_once(credential.get_token()));
/// assert!(answer.is_some(), "a valid token is there at the first poll");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing until it is awaited"]
pub struct GetToken<'a, C: Clock> {
    shared: &'a Arc<Shared<C>>,
    /// Where it waits, once it has to.
    place: Option<Place>,
}

impl<C: Clock> Future for GetToken<'_, C> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let this = self.get_mut();
        if this.place.is_none()
            && let Some(token) = this.shared.fresh()
        {
            return Poll::Ready(Ok(token));
        }
        this.poll_request(context)
    }
}

// Out of the way of a token that is there at once.
impl<C: Clock> GetToken<'_, C> {
    #[cold]
    #[inline(never)]
    fn poll_request(&mut self, context: &Context<'_>) -> Poll<Answer> {
        // Cloned with the lock not yet held, since that may run foreign code.
        let waker = context.waker().clone();
        let answer = self.shared.lock().poll_request(&mut self.place, waker);
        if answer.is_pending() && is_at_work(self.shared) {
            self.place.take().into_iter().for_each(|place| self.leave(place));
            return Poll::Ready(Err(Error::CalledFromRefresher));
        }
        answer
    }

    #[cold]
    #[inline(never)]
    fn leave(&self, place: Place) {
        self.shared.lock().leave(place);
    }
}

impl<C: Clock> Drop for GetToken<'_, C> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.leave(place);
        }
    }
}

impl<C: Clock> fmt::Debug for GetToken<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetToken").field("waiting", &self.place.is_some()).finish_non_exhaustive()
    }
}
