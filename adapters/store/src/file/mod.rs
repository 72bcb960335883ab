//! A store in files, for the processes of one user on one machine (contract, rule 16).

mod folder;
mod format;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use acs_common::sharing::Owner;

use crate::entry::Entry;
use crate::error::{StoreError, StoreErrorKind};
use crate::name::EntryName;
use crate::runtime;
use crate::store::{Hints, Store, StoreFuture};
use crate::words::{Fence, Found, NewRecord, Taken};
use folder::Folder;

/// A store in a folder: the processes of one user on one machine share it. No server is needed.
///
/// There is one file for each entry. It is replaced as a whole, so it is never half-written: a process may be killed at any
/// point. To change it, a process holds a lock (`flock`, on Windows `LockFileEx`) for the moment of the change, never while it
/// refreshes. The operating system frees the lock of a process that dies. Nothing is synced to the disk: what a power failure
/// tears counts as lost.
///
/// The folder and its files are open to their owner only (on Unix modes 0700 and 0600). Times are of the machine's wall
/// clock.
///
/// **Network file systems** (NFS, SMB): no record is torn or opens wrongly, but locks may fail there, and clocks differ. So two hosts
/// may refresh at once. For many hosts, use Redis.
///
/// Its operations run on the runtime's threads for work that blocks: inside a tokio runtime (feature `tokio`) on tokio's, elsewhere on
/// smol's (feature `smol`). A clone is cheap.
///
/// ```
/// use acs_common_store::{FileStore, NamingKey, Store};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("acs-common-doc-{}", std::process::id()));
/// let store = FileStore::new(&folder)?;
/// let name = NamingKey::from_base64("cz6Q7dHkgGqVUPq4kd+mkLc7vC4gT1m1Yq0wT7m6iJ8=")?.name("agent");
/// let found = smol::block_on(store.read(&name))?;
/// assert!(found.record.is_none());
/// # std::fs::remove_dir_all(folder)?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct FileStore(Arc<Folder>);

impl FileStore {
    /// A store in this folder, which is created if it is missing. It also deletes temporary files of processes that died over an hour
    /// ago. This blocks for a moment.
    ///
    /// # Errors
    /// [`Refused`](StoreErrorKind::Refused): on Unix the folder belongs to another user, or others may read or write it; or it cannot
    /// be created.
    pub fn new(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        Folder::open(folder.as_ref()).map(|folder| Self(Arc::new(folder)))
    }

    /// A store in the [default folder](Self::default_folder) of this user.
    ///
    /// ```no_run
    /// use acs_common_store::FileStore;
    ///
    /// let store = FileStore::of_this_user()?;
    /// println!("the tokens are in {}", store.folder().display());
    /// # Ok::<(), acs_common_store::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`default_folder`](Self::default_folder).
    pub fn of_this_user() -> Result<Self, StoreError> {
        Self::new(Self::default_folder()?)
    }

    /// The folder `acs-common` below the user's folder for state: on Linux `$XDG_STATE_HOME` or `~/.local/state`, on macOS
    /// `~/Library/Application Support`, on Windows `%LOCALAPPDATA%`. Programs of one user share it; their entries do not meet, unless
    /// they have the same naming key and name.
    ///
    /// ```
    /// let folder = acs_common_store::FileStore::default_folder()?;
    /// assert!(folder.ends_with("acs-common"));
    /// # Ok::<(), acs_common_store::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// [`Refused`](StoreErrorKind::Refused): the user has no home folder. Then name a folder yourself.
    pub fn default_folder() -> Result<PathBuf, StoreError> {
        use etcetera::BaseStrategy as _;
        let folders = etcetera::base_strategy::choose_native_strategy().map_err(|error| {
            StoreError::new(
                StoreErrorKind::Refused,
                "this user has no home folder: name a folder with `FileStore::new`",
            )
            .with_source(error)
        })?;
        // The folder for caches is the local one of Windows; the one for data roams.
        let state = folders.state_dir();
        let local = || if cfg!(windows) { folders.cache_dir() } else { folders.data_dir() };
        Ok(state.unwrap_or_else(local).join("acs-common"))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder, &Patience) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<T> {
        let folder = Arc::clone(&self.0);
        Box::pin(async move {
            let abandoned = Arc::new(AtomicBool::new(false));
            let patience = Patience { abandoned: Arc::clone(&abandoned), until: Instant::now() + PATIENCE };
            let _abandon = Abandon(abandoned);
            runtime::unblock(move || work(&folder, &patience)).await?
        })
    }

    fn change<T: Send + 'static>(
        &self,
        name: &EntryName,
        change: impl FnOnce(&mut Entry, u64) -> T + Send + 'static,
    ) -> StoreFuture<T> {
        let name = name.clone();
        self.work(move |folder, patience| folder.change(&name, patience, |entry| change(entry, now())))
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileStore").field(&self.folder()).finish()
    }
}

impl Store for FileStore {
    fn read(&self, name: &EntryName) -> StoreFuture<Found> {
        let name = name.clone();
        self.work(move |folder, _| Ok(folder.read(&name)?.read(now())))
    }

    fn take(&self, name: &EntryName, owner: Owner, lease: Duration) -> StoreFuture<Taken> {
        self.change(name, move |entry, now| entry.take(owner, lease, now))
    }

    fn finish(&self, name: &EntryName, owner: Owner, fence: Fence, record: Option<NewRecord>) -> StoreFuture<()> {
        if let Some(too_large) = record.as_ref().and_then(NewRecord::too_large) {
            return Box::pin(std::future::ready(Err(too_large)));
        }
        self.change(name, move |entry, now| entry.finish(owner, fence, record, now))
    }

    fn mark(&self, name: &EntryName, fence: Fence) -> StoreFuture<()> {
        self.change(name, move |entry, _| entry.mark(fence))
    }

    /// Looks at the file twenty times a second.
    fn watch(&self, name: &EntryName) -> Option<Hints> {
        let (store, name) = (self.clone(), name.clone());
        let stamp = move || {
            let name = name.clone();
            store.work(move |folder, _| Ok(folder.stamp(&name)))
        };
        Some(Box::pin(futures_util::stream::unfold((stamp, None), |(stamp, before)| async move {
            let mut seen = match before {
                Some(seen) => seen,
                None => stamp().await.ok()?,
            };
            loop {
                runtime::sleep(LOOK_EVERY).await.ok()?;
                let now = stamp().await.ok()?;
                if now != std::mem::replace(&mut seen, now) {
                    return Some(((), (stamp, Some(now))));
                }
            }
        })))
    }
}

/// How long work that cannot go on tries again: until nobody waits for it.
struct Patience {
    abandoned: Arc<AtomicBool>,
    until: Instant,
}

impl Patience {
    fn is_over(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) || Instant::now() >= self.until
    }
}

/// Tells the work that its future is dropped.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// For callers without a limit of their own. A credential gives up much earlier.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);
