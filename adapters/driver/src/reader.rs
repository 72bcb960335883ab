//! A handle of one's own, with a copy of what is shared.

use std::fmt;
use std::sync::Arc;

use acs_common::{Error, Snapshot, Token};

use crate::clock::Clock;
use crate::coarse_clock::CoarseClock;
use crate::credential::CommunicationTokenCredential;
use crate::shared::Shared;

/// Of no version.
const NONE: u64 = u64::MAX;

/// A handle of one task or thread, which lends out a valid token for less than it costs to clone one: it writes nothing that
/// is shared, as long as the token stays the same and good.
///
/// What it lends is what the credential would return at that moment. It is as good a handle as any: the credential lives
/// as long as its readers do.
///
/// A reader holds on to the token it lent last, so that a secret that is replaced, rejected or disposed of meanwhile stays in
/// memory until the reader is asked again, is told to [`release`](Self::release) it, or is dropped. One that is going to be
/// idle for long is to be released, or dropped, before.
///
/// ```
/// use acs_common_tokio::CommunicationTokenCredential;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let refresher = || async { Ok::<_, std::io::Error>("eyJ…") };
/// let credential = CommunicationTokenCredential::with_refresher(refresher).spawn()?;
///
/// let mut reader = credential.reader();
/// for _packet in 0..1_000 {
///     let token = reader.get_token().await?;
///     assert_eq!(token.secret().expose(), "eyJ…");
/// }
/// # Ok(())
/// # }
/// ```
pub struct Reader<C: Clock> {
    credential: CommunicationTokenCredential<C>,
    /// The credential's, at hand.
    shared: Arc<Shared<C>>,
    /// What was published last, when this reader looked.
    published: Option<Arc<Snapshot>>,
    version: u64,
    /// What was lent last.
    lent: Option<Token>,
    /// As long as it is that tick, and the version is the same, there is nothing to look at.
    tick: Option<u64>,
}

impl<C: Clock> CommunicationTokenCredential<C> {
    /// A handle of one's own for a task or thread that asks very often: see [`Reader`].
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

    /// A valid token if there is one, without waiting: what
    /// [`try_token`](CommunicationTokenCredential::try_token) would return.
    ///
    /// ```
    /// use acs_common_smol::CommunicationTokenCredential;
    ///
    /// let mut reader = CommunicationTokenCredential::with_static_token("eyJ…")?.reader();
    /// let token = reader.token()?.expect("a static token is always there");
    /// assert_eq!(token.secret().expose(), "eyJ…");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_token`](Self::get_token), where that would fail at once.
    #[inline]
    pub fn token(&mut self) -> Result<Option<&Token>, Error> {
        if !self.is_good() {
            self.refill()?;
        }
        Ok(self.lent.as_ref())
    }

    /// A valid token, as from [`CommunicationTokenCredential::get_token`]: at once if one is held, else as soon as the
    /// refresh in flight brings it. Cancel-safe.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub async fn get_token(&mut self) -> Result<&Token, Error> {
        let lent = if self.is_good() || self.look() { self.lent.take() } else { None };
        let token = match lent {
            Some(token) => token,
            None => self.credential.get_token().await?,
        };
        Ok(self.lent.insert(token))
    }

    /// Reports that the service refused the token that this reader lent last (a 401), as
    /// [`CommunicationTokenCredential::reject`] does. Nothing happens if it has lent none since it was
    /// [released](Self::release), or the token was found to be over.
    ///
    /// ```
    /// use acs_common_tokio::CommunicationTokenCredential;
    /// # async fn call(token: &acs_common_tokio::Token) -> u16 { if token.secret().expose() == "token 1" { 401 } else { 200 } }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut calls = 0;
    /// # let refresher = move || {
    /// #     calls += 1;
    /// #     async move { Ok::<_, std::io::Error>(format!("token {calls}")) }
    /// # };
    ///
    /// let mut reader = CommunicationTokenCredential::with_refresher(refresher).spawn()?.reader();
    /// let token = reader.get_token().await?;
    /// if call(token).await == 401 {
    ///     reader.reject();
    /// }
    /// assert_eq!(reader.get_token().await?.secret().expose(), "token 2");
    /// # Ok(())
    /// # }
    /// ```
    pub fn reject(&mut self) {
        if let Some(token) = &self.lent {
            self.credential.reject(token);
        }
    }

    /// Lets go of the token lent last, for a reader that is going to be idle; asked again, it has one again.
    ///
    /// ```
    /// use acs_common_smol::CommunicationTokenCredential;
    ///
    /// let credential = CommunicationTokenCredential::with_static_token("eyJ…")?;
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

    /// The credential it reads from.
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

    /// Whether there is a token to lend, without asking the machine.
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
        // What is over is not to stay in memory.
        self.release();
        false
    }
}

impl<C: Clock> fmt::Debug for Reader<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}
