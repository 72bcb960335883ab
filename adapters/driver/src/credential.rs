//! The handle of a credential.
//!
//! The file is long because each method has its documentation and an example.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use acs_common::{DateSource, Error, Event, Machine, NewToken, Now, Policy, Status, Token, TokenError, UnixTime};

use crate::at_work::is_at_work;
use crate::clock::Clock;
use crate::notices::Notices;
use crate::requests::Place;
use crate::shared::{Answer, Shared};
use crate::tokens::Tokens;

/// Holds a token, keeps it fresh, and returns it: usually without waiting.
///
/// Cheap to clone: clones share one token, one refresh and one background task. The task ends when the last clone is
/// dropped. (A refresher that holds a clone keeps the task running until [`dispose`](Self::dispose).)
/// `C` is the clock of a runtime. Each adapter has an alias with its clock, for instance
/// `acs_common_tokio::CommunicationTokenCredential`.
///
/// No method panics. The contract that these docs cite is `docs/semantics.md` in the repository.
///
/// ```
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// # async fn ask_my_service() -> Result<String, std::io::Error> { Ok("eyJhbGci".to_owned()) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let credential = CommunicationTokenCredential::with_refresher(|| ask_my_service())
///     .refresh_proactively(true)
///     .spawn()?;
///
/// let token = credential.get_token().await?;
/// assert_eq!(token.secret().expose(), "eyJhbGci");
/// # Ok(())
/// # }
/// ```
pub struct CommunicationTokenCredential<C: Clock> {
    owner: Arc<Owner<C>>,
}

/// Exists as long as any handle. The driver holds only the shared state inside.
struct Owner<C: Clock> {
    shared: Arc<Shared<C>>,
}

impl<C: Clock> Drop for Owner<C> {
    fn drop(&mut self) {
        let mut locked = self.shared.lock();
        // End the streams first: they may exist for longer, but they get no notice of the end.
        locked.end_streams();
        locked.handle(Event::Disposed);
    }
}

impl<C: Clock> CommunicationTokenCredential<C> {
    /// A credential with one fixed token, without a refresh. It always returns this token, even after the token expired or
    /// was [rejected](Self::reject): the service decides whether it is valid (contract, section 1). Needs no runtime.
    ///
    /// # Errors
    /// It is not a token: the error says what it looks like, and what to pass instead.
    pub fn with_static_token(token: impl Into<NewToken>) -> Result<Self, TokenError>
    where
        C: Default,
    {
        let clock = C::default();
        let machine = Machine::with_static_token(token.into(), Policy::default(), clock.now())?;
        Ok(Self::from_shared(Arc::new(Shared::new(clock, None, machine))))
    }

    pub(crate) fn from_shared(shared: Arc<Shared<C>>) -> Self {
        Self { owner: Arc::new(Owner { shared }) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<C>> {
        &self.owner.shared
    }

    /// A valid token (contract, rules 2.1 and 2.2). If the credential holds one, the future is ready at the first poll,
    /// without an allocation. Otherwise it waits for the refresh in flight, or starts one. At most one refresh is in flight.
    /// With [`CheckSource::EachRequest`](acs_common::CheckSource::EachRequest) the credential first asks the source, and waits
    /// for the result no longer than [`source_check_timeout`](acs_common::PolicyBuilder::source_check_timeout).
    ///
    /// Cancel-safe: if you drop the future, only this request ends. The refresh continues, and its token is kept.
    ///
    /// # Errors
    /// - [`Error::RefreshFailed`]: the refresh failed. The error says why, and when a new request starts another refresh. In a
    ///   backoff a request without a valid token gets this error at once (contract, rule 2.6).
    /// - [`Error::Disposed`]: the credential is disposed.
    /// - [`Error::DriverStopped`]: the driver has ended, so nothing can refresh the token.
    /// - [`Error::CalledFromRefresher`]: the credential's own refresher asks, and would wait for itself. A task that the
    ///   refresher spawns is not recognized: it waits until the refresh times out.
    pub fn get_token(&self) -> GetToken<'_, C> {
        GetToken { shared: self.shared(), place: None }
    }

    /// A valid token if there is one, without waiting. `None`: there is no token yet. Ask again later, for instance once a
    /// frame: each call starts a refresh if one is due and
    /// [`min_refresh_interval`](acs_common::PolicyBuilder::min_refresh_interval) has passed.
    ///
    /// With [`CheckSource::EachRequest`](acs_common::CheckSource::EachRequest) it also asks the source, but does not wait for
    /// the result. So a change of the user shows at a later call.
    ///
    /// ```
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
    /// let token = credential.try_token()?.expect("a static token is always there");
    /// assert_eq!(token.secret().expose(), "eyJhbGci");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`get_token`](Self::get_token), if that would fail at once.
    pub fn try_token(&self) -> Result<Option<Token>, Error> {
        if let Some(token) = self.shared().fresh() {
            return Ok(Some(token));
        }
        self.shared().lock_for_caller().try_request()
    }

    /// Reports that the service refused this token (a 401). See the contract, rule 2.9. If the credential still holds this
    /// token, it drops it; but a token that replaced a rejected one less than `retry_max` ago stays until another comes, since perhaps only
    /// one endpoint refuses it. Then the next request starts a refresh; with
    /// [`refresh_proactively`](crate::Builder::refresh_proactively) it starts at once, or after the backoff. If the credential
    /// already holds another token, nothing happens. So every task that gets a 401 may report it. A static token stays.
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
    /// let credential = CommunicationTokenCredential::with_refresher(refresher).spawn()?;
    /// let refused = credential.get_token().await?;
    /// credential.reject(&refused);
    /// assert_eq!(credential.get_token().await?.secret().expose(), "token-2");
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "invalidate")]
    pub fn reject(&self, token: &Token) {
        self.shared().lock_for_caller().handle(Event::TokenRejected { token: token.clone() });
    }

    /// Reports that the service refused this token (a 401), and gets another one: [`reject`](Self::reject) and
    /// [`get_token`](Self::get_token) in one call. Every task that gets a 401 may make it; all share one refresh.
    ///
    /// It never returns the refused token. If the service has also refused the token before, that is a failure, and the
    /// token stays for [`get_token`](Self::get_token): perhaps one endpoint refuses every token (contract, rule 2.9). Then
    /// this call waits for the refresh in flight, or gets that failure until its backoff is over.
    ///
    /// Cancel-safe: the first poll reports the refusal. If you drop the future later, only this request ends. The future
    /// holds a clone of the refused token.
    ///
    /// ```
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// # async fn call(token: &acs_common_tokio::Token) -> u16 { if token.secret().expose() == "token1" { 401 } else { 200 } }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut calls = 0;
    /// # let refresher = move || {
    /// #     calls += 1;
    /// #     async move { Ok::<_, std::io::Error>(format!("token{calls}")) }
    /// # };
    /// let credential = CommunicationTokenCredential::with_refresher(refresher).spawn()?;
    /// let token = credential.get_token().await?;
    /// let mut status = call(&token).await;
    /// if status == 401 {
    ///     status = call(&credential.replace(&token).await?).await;
    /// }
    /// assert_eq!(status, 200);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`get_token`](Self::get_token), and:
    /// - [`Error::RefreshFailed`] also while the credential holds a valid token, if that is the refused one;
    /// - [`Error::StaticToken`]: the credential has one fixed token, so there is no other.
    pub fn replace(&self, token: &Token) -> ReplaceToken<'_, C> {
        ReplaceToken { request: self.get_token(), refused: token.clone(), reported: false }
    }

    /// Says that a new try makes sense: the network is back, the user has signed in, or the device woke up. It ends the
    /// backoff after failures, and starts a refresh if one is due (contract, rule 2.10).
    ///
    /// ```
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// # let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
    /// # let network_is_back = true;
    /// if network_is_back {
    ///     credential.retry_now();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry_now(&self) {
        self.shared().lock_for_caller().handle(Event::RetryNow);
    }

    /// Tells the credential the time of the service, from the header `Date` of a response to a request with its token. `sent`
    /// is [`now`](Self::now) when the request was sent. So a wrong clock of this device costs at most a few refreshes
    /// (contract, section 7). The issuer's time comes better with the token:
    /// [`NewToken::with_server_time`](acs_common::NewToken::with_server_time).
    ///
    /// Leave out a response with an `Age` above 0, one of another origin, and one over plain http that is not from a loopback
    /// host.
    ///
    /// ```
    /// use acs_common_driver::UnixTime;
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let refresher = || async { Ok::<_, std::io::Error>("eyJhbGci") };
    /// let credential = CommunicationTokenCredential::with_refresher(refresher).spawn()?;
    /// let sent = credential.now();
    /// // The response says `Date: Tue, 14 Nov 2023 22:13:20 GMT`.
    /// credential.service_time_seen(UnixTime::from_secs(1_700_000_000), sent);
    /// assert_eq!(credential.server_time().map(UnixTime::as_secs), Some(1_700_000_001));
    /// # Ok(())
    /// # }
    /// ```
    pub fn service_time_seen(&self, date: impl Into<UnixTime>, sent: Now) {
        let (date, by) = (date.into(), DateSource::Service);
        self.shared().lock().handle(Event::ServerTimeSeen { date, sent, by });
    }

    /// What the credential holds and does at this moment: whether the token is fresh or due and how long it is valid, whether a
    /// refresh is in flight, how long it backs off, and the last failure (contract, rule 2.15). It starts nothing, so that a
    /// health check can ask often.
    ///
    /// ```
    /// use acs_common_tokio::{CommunicationTokenCredential, TokenStatus};
    ///
    /// /// For the route `/healthz`.
    /// fn health(credential: &CommunicationTokenCredential) -> (u16, String) {
    ///     let status = credential.status();
    ///     match (status.token, status.last_failure) {
    ///         (TokenStatus::None, Some(failure)) => (503, failure.to_string()),
    ///         (token, _) => (200, format!("{token:?}")),
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let refresher = || async { Err::<String, _>("the issuer is down") };
    /// let credential = CommunicationTokenCredential::with_refresher(refresher).spawn()?;
    /// assert_eq!(health(&credential).0, 200, "nothing has failed");
    /// assert!(credential.get_token().await.is_err());
    /// assert_eq!(health(&credential), (503, "the refresher failed: the issuer is down".to_owned()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared().lock().status()
    }

    /// The server's time, as the last `Date` tells it, to within some seconds (contract, section 7). `None` if no `Date` was
    /// seen, or if this device has slept or its clock was set since. It is for signing requests. No clock is set.
    #[must_use]
    pub fn server_time(&self) -> Option<UnixTime> {
        self.shared().lock().server_time()
    }

    /// What both clocks of the credential show.
    #[must_use]
    pub fn now(&self) -> Now {
        self.shared().clock.now()
    }

    /// Ends the credential, for all its clones (contract, rule 2.12). All waiting requests fail with [`Error::Disposed`]. The
    /// refresh in flight is dropped, and the background task ends. The token is dropped; its memory is wiped when its last
    /// clone is dropped. A second call does nothing.
    ///
    /// ```
    /// use acs_common_driver::Error;
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
    /// credential.dispose();
    /// assert!(matches!(credential.try_token(), Err(Error::Disposed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "close")]
    pub fn dispose(&self) {
        self.shared().lock().handle(Event::Disposed);
    }

    /// The name that [`named`](crate::Builder::named) gave the credential.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.shared().name.as_deref()
    }

    /// The notices from now on: refresh started, token changed, refresh failed, token expired, disposed and others (contract,
    /// rule 2.15). Use them to report what happens. A long-lived connection that needs each new token watches [`tokens`](Self::tokens) instead.
    ///
    /// Each notice is of something that happens after this call. If you subscribe first and then wait for a token, the first
    /// `TokenChanged` is of the very token that you get: it says that the credential holds another token than when you
    /// subscribed.
    ///
    /// A proactive credential starts with a refresh: to miss no notice, [`build`](crate::Builder::build) it, subscribe, then
    /// run the driver.
    ///
    /// ```
    /// use acs_common_driver::Notice;
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let refresher = || async { Ok::<_, std::io::Error>("eyJhbGci") };
    /// let credential = CommunicationTokenCredential::with_refresher(refresher).spawn()?;
    /// let mut notices = credential.notices();
    /// credential.get_token().await?;
    /// match notices.next().await {
    ///     Some(Notice::RefreshStarted { trigger, .. }) => println!("refresh: {}", trigger.as_str()),
    ///     other => panic!("unexpected: {other:?}"),
    /// }
    /// match notices.next().await {
    ///     Some(Notice::TokenChanged { expires_on, took, .. }) => println!("after {took:?} a token until {expires_on}"),
    ///     other => panic!("unexpected: {other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn notices(&self) -> Notices<C> {
        Notices::new(self.shared())
    }

    /// The latest token, and then each one that replaces it: for a connection that must sign in again with each new token.
    /// See [`Tokens`].
    ///
    /// [`notices`](Self::notices) and [`get_token`](Self::get_token) together are not enough for that: after a notice of a change
    /// the token held may be one that the connection has.
    #[must_use]
    pub fn tokens(&self) -> Tokens<C> {
        Tokens::new(self.shared())
    }
}

impl<C: Clock> Clone for CommunicationTokenCredential<C> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner) }
    }
}

/// Shows the credential's name, and what it holds and does at this moment: whether the token is fresh or due and how long it is
/// valid, whether a refresh is in flight, how long it backs off, and the kind of the last failure. Never a secret.
impl<C: Clock> fmt::Debug for CommunicationTokenCredential<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The status is plain data, so that nothing is written while the lock is held.
        let status = self.shared().lock().status();
        let mut shown = f.debug_struct("CommunicationTokenCredential");
        status.show(shown.field("name", &self.name())).finish()
    }
}

/// A request for a token, from [`CommunicationTokenCredential::get_token`].
///
/// ```
/// use acs_common_smol::CommunicationTokenCredential;
/// use futures_lite::future;
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
/// let answer = future::block_on(future::poll_once(credential.get_token()));
/// assert!(answer.is_some(), "a valid token is there at the first poll");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing until it is awaited"]
pub struct GetToken<'a, C: Clock> {
    shared: &'a Arc<Shared<C>>,
    /// Where the request waits, if it waits.
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
        this.poll_request(None, context)
    }
}

/// The token that a request is to replace.
#[derive(Clone, Copy)]
struct Replaced<'a> {
    refused: &'a Token,
    /// The credential does not know yet that the service refused it.
    report: bool,
}

// Cold: a token that is held does not come here.
impl<C: Clock> GetToken<'_, C> {
    #[cold]
    #[inline(never)]
    fn poll_request(&mut self, replaced: Option<Replaced<'_>>, context: &Context<'_>) -> Poll<Answer> {
        // Clone the waker before the lock is held, because that may run foreign code.
        let waker = context.waker().clone();
        let mut locked = self.shared.lock_for_caller();
        if let Some(Replaced { refused, report: true }) = replaced {
            locked.handle(Event::TokenRejected { token: refused.clone() });
        }
        let answer = locked.poll_request(&mut self.place, replaced.map(|replaced| replaced.refused), waker);
        drop(locked);
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

/// A report that the service refused a token, and a request for another one, from [`CommunicationTokenCredential::replace`].
///
/// ```
/// use acs_common_driver::Error;
/// use acs_common_smol::CommunicationTokenCredential;
/// use futures_lite::future;
///
/// let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
/// let token = credential.try_token()?.expect("a static token is always there");
/// let answer = future::block_on(credential.replace(&token));
/// assert!(matches!(answer, Err(Error::StaticToken)), "there is no other one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing until it is awaited"]
pub struct ReplaceToken<'a, C: Clock> {
    request: GetToken<'a, C>,
    refused: Token,
    reported: bool,
}

impl<C: Clock> Future for ReplaceToken<'_, C> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let this = self.get_mut();
        let report = !std::mem::replace(&mut this.reported, true);
        this.request.poll_request(Some(Replaced { refused: &this.refused, report }), context)
    }
}

impl<C: Clock> fmt::Debug for ReplaceToken<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplaceToken").field("waiting", &self.request.place.is_some()).finish_non_exhaustive()
    }
}
