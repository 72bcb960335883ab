//! Any credential, as one type.

use std::pin::Pin;
use std::sync::Arc;

use acs_common::{Error, Notice, Now, Token, UnixTime};
use futures_lite::Stream;

use crate::clock::Clock;
use crate::credential::CommunicationTokenCredential;
use crate::reader::Reader;

/// A request for a token that is on its way, from a [`TokenProvider`].
pub type TokenFuture = Pin<Box<dyn Future<Output = Result<Token, Error>> + Send>>;

/// The notices of a [`TokenProvider`].
pub type NoticeStream = Pin<Box<dyn Stream<Item = Notice> + Send>>;

/// Any credential, whatever its clock. A client of the service takes an `Arc<dyn TokenProvider>`, and so does not name a runtime.
///
/// Every credential of this library is one. The methods are those of
/// [`CommunicationTokenCredential`](crate::CommunicationTokenCredential), boxed where they wait.
///
/// ```
/// use acs_common_driver::{Error, TokenProvider};
/// use acs_common_tokio::CommunicationTokenCredential;
/// use std::sync::Arc;
///
/// struct ChatClient {
///     credential: Arc<dyn TokenProvider>,
/// }
///
/// impl ChatClient {
///     async fn header(&self) -> Result<String, Error> {
///         Ok(format!("Bearer {}", self.credential.get_token().await?.secret().expose()))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let credential = Arc::new(CommunicationTokenCredential::with_static_token("eyJhbGci")?);
/// assert_eq!(ChatClient { credential }.header().await?, "Bearer eyJhbGci");
/// # Ok(())
/// # }
/// ```
pub trait TokenProvider: Send + Sync {
    /// A valid token if there is one, without waiting and without an allocation; see
    /// [`try_token`](crate::CommunicationTokenCredential::try_token).
    ///
    /// # Errors
    /// Those of [`get_token`](Self::get_token), if that would fail at once.
    fn try_token(&self) -> Result<Option<Token>, Error>;

    /// A valid token, at once if one is held; see [`get_token`](crate::CommunicationTokenCredential::get_token). Cancel-safe: if
    /// you drop the future, only this request ends.
    fn get_token(&self) -> TokenFuture;

    /// Reports that the service refused this token (a 401); see [`reject`](crate::CommunicationTokenCredential::reject).
    fn reject(&self, token: &Token);

    /// Reports that the service refused this token, and asks for another; see
    /// [`replace`](crate::CommunicationTokenCredential::replace). Unless a provider says otherwise, it is [`reject`](Self::reject)
    /// and [`get_token`](Self::get_token), and may bring the same token, if there is no other. Cancel-safe.
    fn replace(&self, refused: &Token) -> TokenFuture {
        self.reject(refused);
        self.get_token()
    }

    /// What the clocks of the credential show, for [`service_time_seen`](Self::service_time_seen). `None`: it has no clocks.
    fn now(&self) -> Option<Now> {
        None
    }

    /// Tells the credential the service's time, from a response to a request with its token; see
    /// [`service_time_seen`](crate::CommunicationTokenCredential::service_time_seen). `sent`: [`now`](Self::now), when the request
    /// was sent. A provider without clocks does nothing.
    fn service_time_seen(&self, date: UnixTime, sent: Now) {
        let _ = (date, sent);
    }

    /// A handle for one task, which lends the token without an allocation; see [`Reader`](crate::Reader). The handle itself is
    /// one allocation.
    fn reader(&self) -> Box<dyn TokenReader>;

    /// The notices from now on. `None`: this provider has none.
    fn notices(&self) -> Option<NoticeStream> {
        None
    }
}

/// A handle for one task, from [`TokenProvider::reader`].
///
/// ```
/// use acs_common_driver::TokenProvider;
///
/// fn is_ready(credential: &dyn TokenProvider) -> bool {
///     let mut reader = credential.reader();
///     matches!(reader.token(), Ok(Some(_)))
/// }
/// # let credential = acs_common_smol::CommunicationTokenCredential::with_static_token("eyJhbGci").unwrap();
/// assert!(is_ready(&credential));
/// ```
pub trait TokenReader: Send + Sync {
    /// A valid token if there is one, without waiting; see [`Reader::token`](crate::Reader::token).
    ///
    /// # Errors
    /// Those of [`get_token`](TokenProvider::get_token), if that would fail at once.
    fn token(&mut self) -> Result<Option<&Token>, Error>;

    /// Drops the token lent last; see [`Reader::release`](crate::Reader::release).
    fn release(&mut self);
}

impl<C: Clock + Send + Sync + 'static> TokenProvider for CommunicationTokenCredential<C> {
    fn try_token(&self) -> Result<Option<Token>, Error> {
        Self::try_token(self)
    }

    fn get_token(&self) -> TokenFuture {
        let credential = self.clone();
        Box::pin(async move { Self::get_token(&credential).await })
    }

    fn reject(&self, token: &Token) {
        Self::reject(self, token);
    }

    fn replace(&self, refused: &Token) -> TokenFuture {
        let (credential, refused) = (self.clone(), refused.clone());
        Box::pin(async move { Self::replace(&credential, &refused).await })
    }

    fn now(&self) -> Option<Now> {
        Some(Self::now(self))
    }

    fn service_time_seen(&self, date: UnixTime, sent: Now) {
        Self::service_time_seen(self, date, sent);
    }

    fn reader(&self) -> Box<dyn TokenReader> {
        Box::new(Self::reader(self))
    }

    fn notices(&self) -> Option<NoticeStream> {
        Some(Box::pin(Self::notices(self)))
    }
}

impl<C: Clock + Send + Sync + 'static> TokenReader for Reader<C> {
    #[inline]
    fn token(&mut self) -> Result<Option<&Token>, Error> {
        Self::token(self)
    }

    fn release(&mut self) {
        Self::release(self);
    }
}

impl<P: TokenProvider + ?Sized> TokenProvider for Arc<P> {
    fn try_token(&self) -> Result<Option<Token>, Error> {
        (**self).try_token()
    }

    fn get_token(&self) -> TokenFuture {
        (**self).get_token()
    }

    fn reject(&self, token: &Token) {
        (**self).reject(token);
    }

    fn replace(&self, refused: &Token) -> TokenFuture {
        (**self).replace(refused)
    }

    fn now(&self) -> Option<Now> {
        (**self).now()
    }

    fn service_time_seen(&self, date: UnixTime, sent: Now) {
        (**self).service_time_seen(date, sent);
    }

    fn reader(&self) -> Box<dyn TokenReader> {
        (**self).reader()
    }

    fn notices(&self) -> Option<NoticeStream> {
        (**self).notices()
    }
}
