//! A handle for one task or thread, with its own copy of the shared snapshot.

use std::fmt;
use std::sync::Arc;

use acs_common::{Error, Snapshot, Token};

use crate::clock::Clock;
use crate::coarse_clock::CoarseClock;
use crate::credential::CommunicationTokenCredential;
use crate::shared::Shared;

/// A version that no snapshot has.
const NONE: u64 = u64::MAX;

/// A handle for one task or thread. It lends a valid token, which is faster than a clone of the token: while the token is
/// the same and valid, it writes nothing to shared memory.
///
/// It lends the token that the credential would return at that moment. A reader is also a handle: the credential exists
/// as long as its readers.
///
/// A reader keeps the last token it lent. So a secret that is replaced, rejected or disposed meanwhile stays in memory
/// until the reader is asked again, [released](Self::release) or dropped. Release or drop a reader before it is idle for
/// a long time.
///
/// ```
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let refresher = || async { Ok::<_, std::io::Error>("eyJhbGci") };
/// let credential = CommunicationTokenCredential::with_refresher(refresher).spawn()?;
///
/// let mut reader = credential.reader();
/// for _packet in 0..1_000 {
///     let token = reader.get_token().await?;
///     assert_eq!(token.secret().expose(), "eyJhbGci");
/// }
/// # Ok(())
/// # }
/// ```
pub struct Reader<C: Clock> {
    credential: CommunicationTokenCredential<C>,
    /// A copy of the credential's pointer.
    shared: Arc<Shared<C>>,
    /// The snapshot that this reader read last.
    published: Option<Arc<Snapshot>>,
    version: u64,
    /// The token that was lent last.
    lent: Option<Token>,
    /// In the same tick, and with the same version, the token can be lent again without a look.
    tick: Option<u64>,
}

impl<C: Clock> CommunicationTokenCredential<C> {
    /// A handle for a task or thread that asks very often: see [`Reader`].
    #[must_use]
    pub fn reader(&self) -> Reader<C> {
        Reader::new(self.clone())
    }
}

impl<C: Clock> Reader<C> {
    pub(crate) fn new(credential: CommunicationTokenCredential<C>) -> Self {
        Self {
            shared: Arc::clone(credential.shared()),
            credential,
            published: None,
            version: NONE,
            lent: None,
            tick: None,
        }
    }

    /// A valid token if there is one, without waiting: the token that
    /// [`try_token`](CommunicationTokenCredential::try_token) would return.
    ///
    /// ```
    /// use acs_common_smol::CommunicationTokenCredential;
    ///
    /// let mut reader = CommunicationTokenCredential::with_static_token("eyJhbGci")?.reader();
    /// let token = reader.token()?.expect("a static token is always there");
    /// assert_eq!(token.secret().expose(), "eyJhbGci");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`get_token`](Self::get_token), if that would fail at once.
    #[inline]
    pub fn token(&mut self) -> Result<Option<&Token>, Error> {
        if !self.is_good() {
            self.refill()?;
        }
        Ok(self.lent.as_ref())
    }

    /// A valid token, as from [`CommunicationTokenCredential::get_token`]: at once if one is held, else when the refresh in
    /// flight brings it. Cancel-safe.
    ///
    /// # Errors
    /// The errors of [`CommunicationTokenCredential::get_token`].
    #[inline]
    pub async fn get_token(&mut self) -> Result<&Token, Error> {
        let lent = if self.is_good() || self.look() { self.lent.take() } else { None };
        let token = match lent {
            Some(token) => token,
            None => self.credential.get_token().await?,
        };
        Ok(self.lent.insert(token))
    }

    /// Reports that the service refused (a 401) the token that this reader lent last. See
    /// [`CommunicationTokenCredential::reject`]. It does nothing if the reader has lent no token since it was
    /// [released](Self::release), or if the reader has seen that the token is not valid any more.
    ///
    /// ```
    /// use acs_common_tokio::CommunicationTokenCredential;
    /// # async fn call(token: &acs_common_tokio::Token) -> u16 { if token.secret().expose() == "token-1" { 401 } else { 200 } }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut calls = 0;
    /// # let refresher = move || {
    /// #     calls += 1;
    /// #     async move { Ok::<_, std::io::Error>(format!("token-{calls}")) }
    /// # };
    ///
    /// let mut reader = CommunicationTokenCredential::with_refresher(refresher).spawn()?.reader();
    /// let token = reader.get_token().await?;
    /// if call(token).await == 401 {
    ///     reader.reject();
    /// }
    /// assert_eq!(reader.get_token().await?.secret().expose(), "token-2");
    /// # Ok(())
    /// # }
    /// ```
    pub fn reject(&mut self) {
        if let Some(token) = &self.lent {
            self.credential.reject(token);
        }
    }

    /// Reports that the service refused (a 401) the token that this reader lent last, and lends another one. See
    /// [`CommunicationTokenCredential::replace`]. If the reader has lent no token since it was [released](Self::release), it is
    /// like [`get_token`](Self::get_token). Cancel-safe.
    ///
    /// ```
    /// use acs_common_tokio::CommunicationTokenCredential;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut calls = 0;
    /// # let refresher = move || {
    /// #     calls += 1;
    /// #     async move { Ok::<_, std::io::Error>(format!("token{calls}")) }
    /// # };
    /// let mut reader = CommunicationTokenCredential::with_refresher(refresher).spawn()?.reader();
    /// assert_eq!(reader.get_token().await?.secret().expose(), "token1");
    /// // The service says 401.
    /// assert_eq!(reader.replace().await?.secret().expose(), "token2");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`CommunicationTokenCredential::replace`].
    pub async fn replace(&mut self) -> Result<&Token, Error> {
        let token = match &self.lent {
            Some(refused) => self.credential.replace(refused).await?,
            None => self.credential.get_token().await?,
        };
        Ok(self.lent.insert(token))
    }

    /// Drops the token lent last. Call it before the reader is idle for a long time. The next request gets a token again.
    ///
    /// ```
    /// use acs_common_smol::CommunicationTokenCredential;
    ///
    /// let credential = CommunicationTokenCredential::with_static_token("eyJhbGci")?;
    /// let mut reader = credential.reader();
    /// assert!(reader.token()?.is_some());
    ///
    /// reader.release();
    /// credential.dispose(); // Now the token is wiped from memory.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release(&mut self) {
        self.published = None;
        self.version = NONE;
        self.lent = None;
        self.tick = None;
    }

    /// The credential of this reader.
    #[must_use]
    pub fn credential(&self) -> &CommunicationTokenCredential<C> {
        &self.credential
    }

    #[inline]
    fn is_good(&self) -> bool {
        self.version == self.shared.published.version() && self.tick.is_some() && self.tick == self.now_ticked()
    }

    #[inline]
    fn now_ticked(&self) -> Option<u64> {
        self.shared.clock.coarse_clock().map(|coarse| coarse.tick())
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self) -> Result<(), Error> {
        if !self.look() {
            self.lent = self.credential.try_token()?;
        }
        Ok(())
    }

    /// Whether the snapshot has a token to lend. Does not ask the machine.
    fn look(&mut self) -> bool {
        let tick = self.now_ticked();
        let shared = &*self.shared;
        if self.version != shared.published.version() {
            (self.version, self.published) = shared.published.latest();
            self.lent = None;
        }
        if let Some(published) = &self.published
            && let Some((token, coarsely)) = shared.look(published)
        {
            self.tick = tick.filter(|_| coarsely);
            self.lent.get_or_insert_with(|| token.clone());
            return true;
        }
        // An expired token must not stay in memory.
        self.release();
        false
    }
}

impl<C: Clock> fmt::Debug for Reader<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}
