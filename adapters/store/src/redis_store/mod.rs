//! A store in Redis or Valkey, for many hosts (contract, rule 17).

mod connection;
mod scripts;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acs_common::sharing::Owner;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use redis::aio::ConnectionLike;
use redis::{Cmd, Value};

use crate::entry::{MAX_DURATION, whole_millis};
use crate::error::{StoreError, StoreErrorKind};
use crate::name::EntryName;
use crate::store::{Hints, Store, StoreFuture};
use crate::words::{Fence, Found, NewRecord, Taken};
use connection::Connections;
use scripts::{Script, Scripts};

/// A store in Redis (version 5 or later) or Valkey: processes on many hosts share it.
///
/// An entry is one hash. Each operation is one script, so it is atomic, also when many hosts ask at once. All times are of the
/// server's clock. An entry expires an hour after its token and its lease.
///
/// All operations of a store share one connection, which is made when it is needed first. When it breaks, or leaves an
/// operation without an answer, the next operation makes a new one. While a refresh waits for another process, it watches by a
/// connection of its own.
///
/// **What is lost**: a server that restarts without persistence, or fails over before it has replicated, loses entries; so do
/// eviction and `FLUSHALL`. Then the token is fetched once more. The commands go to the primary only.
///
/// **Access** for a user of its own: `ACL SETUSER acs-common on >password ~acs-common:* &acs-common:* +evalsha +eval +time +type
/// +hget +hset +hdel +hexists +hstrlen +del +pttl +pexpire +publish +subscribe +unsubscribe +ping`.
///
/// **TLS** is what the features of the crate `redis` offer: enable one of them in your program, for instance `tokio-rustls-comp`,
/// and open a URL that begins with `rediss://`. This crate enables none.
///
/// Its operations run inside a tokio runtime (feature `tokio`), elsewhere on smol (feature `smol`). A clone is cheap.
///
/// ```
/// use acs_common_store::RedisStore;
///
/// let store = RedisStore::open("redis://redis.example.com/")?;
/// assert_eq!(format!("{store:?}"), "RedisStore(\"acs-common:\")");
/// # Ok::<(), acs_common_store::StoreError>(())
/// ```
#[derive(Clone)]
pub struct RedisStore {
    connections: Connections,
    scripts: Arc<Scripts>,
    prefix: Arc<str>,
}

impl RedisStore {
    /// A store at this URL, as the crate `redis` reads it: `redis://user:password@host:port/database`, `rediss://` for TLS,
    /// `redis+unix:///path` for a socket. Nothing is connected yet.
    ///
    /// # Errors
    /// [`Misused`](StoreErrorKind::Misused): it is not such a URL, or `redis` has no TLS here.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let client = redis::Client::open(url).map_err(|error| {
            StoreError::new(StoreErrorKind::Misused, format!("this is no URL of a Redis server: {error}"))
                .with_source(error)
        })?;
        Ok(Self::new(client))
    }

    /// A store of this client. Nothing is connected yet.
    ///
    /// ```
    /// use acs_common_store::{RedisStore, redis};
    ///
    /// let client = redis::Client::open("redis://127.0.0.1/")?;
    /// let store = RedisStore::new(client).with_prefix("contoso:tokens:");
    /// # drop(store);
    /// # Ok::<(), redis::RedisError>(())
    /// ```
    #[must_use]
    pub fn new(client: redis::Client) -> Self {
        Self::on(Connections::of(client))
    }

    /// A store on connections of your own, each of which `connection` returns: of a cluster, of Sentinel, or with options. A clone
    /// of such a connection will do. It must ask the primary, and connect again when it breaks. There is no watch, so who
    /// waits asks once a second at last.
    ///
    /// It is not tested with a cluster or with Sentinel. An entry is one key, so it is in one slot.
    ///
    /// ```
    /// use acs_common_store::{RedisStore, redis};
    ///
    /// # async fn open() -> redis::RedisResult<()> {
    /// let client = redis::Client::open("redis://127.0.0.1/")?;
    /// let connection = client.get_multiplexed_async_connection().await?;
    /// let store = RedisStore::with_connection(move || connection.clone());
    /// # drop(store);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_connection<C: ConnectionLike + Send + 'static>(
        connection: impl Fn() -> C + Send + Sync + 'static,
    ) -> Self {
        Self::on(Connections::given(move || Box::new(connection())))
    }

    /// With another prefix of the keys than `acs-common:`. All processes that share need the same one.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    fn on(connections: Connections) -> Self {
        Self { connections, scripts: Arc::default(), prefix: "acs-common:".into() }
    }

    fn key(&self, name: &EntryName) -> String {
        format!("{}{name}", self.prefix)
    }

    fn run<T: Send + 'static>(
        &self,
        name: &EntryName,
        which: fn(&Scripts) -> &Script,
        arguments: impl FnOnce(&mut Cmd),
        answer: fn(Value) -> Option<T>,
    ) -> StoreFuture<T> {
        let script = which(&self.scripts);
        let mut by_hash = redis::cmd("EVALSHA");
        by_hash.arg(script.hash()).arg(1).arg(self.key(name));
        arguments(&mut by_hash);
        let (connections, scripts) = (self.connections.clone(), Arc::clone(&self.scripts));
        async move {
            let value = connections.run(&by_hash, which(&scripts)).await?;
            let strange =
                || StoreError::new(StoreErrorKind::Other, "the server's answer is not that of acs-common's scripts");
            answer(value).ok_or_else(strange)
        }
        .boxed()
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore").field(&self.prefix).finish()
    }
}

impl Store for RedisStore {
    fn read(&self, name: &EntryName) -> StoreFuture<Found> {
        self.run(name, |scripts| &scripts.read, |_| {}, |value| scripts::found(scripts::parts(value)?))
    }

    fn take(&self, name: &EntryName, owner: Owner, lease: Duration) -> StoreFuture<Taken> {
        let arguments = |command: &mut Cmd| {
            command.arg(owner.to_string()).arg(whole_millis(lease));
        };
        self.run(name, |scripts| &scripts.take, arguments, scripts::taken)
    }

    fn finish(&self, name: &EntryName, owner: Owner, fence: Fence, record: Option<NewRecord>) -> StoreFuture<()> {
        if let Some(too_large) = record.as_ref().and_then(NewRecord::too_large) {
            return Box::pin(std::future::ready(Err(too_large)));
        }
        let arguments = |command: &mut Cmd| {
            command.arg(owner.to_string()).arg(fence.get());
            match &record {
                Some(record) => {
                    let left = whole_millis(record.left).min(MAX_DURATION);
                    command.arg(1).arg(left).arg(record.sealed.as_bytes());
                }
                None => {
                    command.arg(0).arg(0).arg("");
                }
            }
        };
        self.run(name, |scripts| &scripts.finish, arguments, |_| Some(()))
    }

    fn mark(&self, name: &EntryName, fence: Fence) -> StoreFuture<()> {
        let arguments = |command: &mut Cmd| {
            command.arg(fence.get());
        };
        self.run(name, |scripts| &scripts.mark, arguments, |_| Some(()))
    }

    fn watch(&self, name: &EntryName) -> Option<Hints> {
        let (client, channel) = (self.connections.client()?, self.key(name));
        let subscribe = async move {
            let mut subscriber = client.get_async_pubsub().await.ok()?;
            subscriber.subscribe(channel).await.ok()?;
            // What happened before it had subscribed is missed, so that is the first hint.
            Some(stream::once(async {}).chain(subscriber.into_on_message().map(|_| ())))
        };
        Some(subscribe.map(|hints| stream::iter(hints).flatten()).flatten_stream().boxed())
    }
}
