//! The files: who may read them, locks, and replacing one as a whole.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use fs4::{FileExt, TryLockError};

use super::{Patience, format};
use crate::entry::Entry;
use crate::error::{StoreError, StoreErrorKind};
use crate::name::EntryName;
use crate::words::Loss;

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

/// What changes when a file is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    number: u64,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        if let (Some(parent), Err(_)) = (path.parent(), fs::metadata(path)) {
            builder.create(parent).map_err(|error| failed("create the folder", parent, error))?;
        }
        builder.recursive(false);
        os::for_owner_only(&mut builder);
        match builder.create(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists && !path.is_dir() => {
                return Err(failed("create the folder", path, error));
            }
            Ok(()) | Err(_) => {}
        }
        // With its links resolved: what a link points to later does not matter.
        let path = fs::canonicalize(path).map_err(|error| failed("find the folder", path, error))?;
        let folder = fs::metadata(&path).map_err(|error| failed("read the folder", &path, error))?;
        if !folder.is_dir() {
            return Err(refused(format!("{} is not a folder: name another one", path.display())));
        }
        os::check_owner(&folder, &path)?;
        os::check_mode(&folder, &path)?;
        let folder = Self { path };
        folder.delete_old_temporary_files();
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The entry, without a lock: its file is replaced as a whole.
    pub(super) fn read(&self, name: &EntryName) -> Result<Entry, StoreError> {
        let path = self.file(name, "entry");
        let file = match os::without_links(OpenOptions::new().read(true)).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Entry::default()),
            Err(error) if os::is_link(&error) => return Ok(lost(Loss::Unreadable)),
            Err(error) => return Err(failed("open", &path, error)),
        };
        let about = file.metadata().map_err(|error| failed("read", &path, error))?;
        if !about.is_file() || os::check_owner(&about, &path).is_err() {
            return Ok(lost(Loss::Unreadable));
        }
        if about.len() > format::MAX_LEN {
            return Ok(lost(Loss::TooLarge));
        }
        let mut bytes = Vec::new();
        file.take(format::MAX_LEN).read_to_end(&mut bytes).map_err(|error| failed("read", &path, error))?;
        Ok(format::decode(bytes).unwrap_or_else(lost))
    }

    /// Changes the entry under its lock.
    pub(super) fn change<T>(
        &self,
        name: &EntryName,
        patience: &Patience,
        change: impl FnOnce(&mut Entry) -> T,
    ) -> Result<T, StoreError> {
        // Held until the end of this function. A process that dies frees it.
        let _lock = self.lock(name, patience)?;
        let before = self.read(name)?;
        let mut entry = before.clone();
        let answer = change(&mut entry);
        if entry != before {
            self.replace(name, &entry, patience)?;
        }
        Ok(answer)
    }

    pub(super) fn stamp(&self, name: &EntryName) -> Option<Stamp> {
        let about = fs::symlink_metadata(self.file(name, "entry")).ok()?;
        Some(Stamp { modified: about.modified().ok(), length: about.len(), number: os::number(&about) })
    }

    fn lock(&self, name: &EntryName, patience: &Patience) -> Result<File, StoreError> {
        let path = self.file(name, "lock");
        let mut pause = Duration::from_millis(1);
        loop {
            let file = open_or_create(&path).map_err(|error| failed("open", &path, error))?;
            match FileExt::try_lock(&file) {
                // If the file was deleted or replaced meanwhile, this locks nothing.
                Ok(()) if os::is_at(&file, &path) => {
                    let about = file.metadata().map_err(|error| failed("read", &path, error))?;
                    os::check_owner(&about, &path)?;
                    return Ok(file);
                }
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(failed("lock", &path, error)),
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
            // Looked at before the next try: what nobody waits for must not take a lease.
            if patience.is_over() {
                let message = format!("another process holds the lock {}: it may be stopped", path.display());
                return Err(StoreError::new(StoreErrorKind::Unavailable, message));
            }
        }
    }

    fn replace(&self, name: &EntryName, entry: &Entry, patience: &Patience) -> Result<(), StoreError> {
        let path = self.file(name, "entry");
        let temporary = self.file(name, &format!("{:016x}.tmp", random()?));
        let written = create_new(&temporary).and_then(|mut file| file.write_all(&format::encode(entry)));
        let replaced = written.and_then(|()| rename(&temporary, &path, patience));
        replaced.map_err(|error| {
            // Nothing is left of it. If that fails as well, it goes in an hour.
            let _ = fs::remove_file(&temporary);
            failed("replace", &path, error)
        })
    }

    fn delete_old_temporary_files(&self) {
        // A folder that cannot be read now is reported by the operations.
        let Ok(files) = fs::read_dir(&self.path) else { return };
        for file in files.flatten() {
            let path = file.path();
            let is_old = |about: Metadata| about.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > OLD));
            if path.extension().is_some_and(|extension| extension == "tmp") && file.metadata().is_ok_and(is_old) {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn file(&self, name: &EntryName, extension: &str) -> PathBuf {
        self.path.join(format!("{name}.{extension}"))
    }
}

fn lost(loss: Loss) -> Entry {
    Entry { loss: Some(loss), ..Entry::default() }
}

fn open_or_create(path: &Path) -> io::Result<File> {
    loop {
        match os::without_links(OpenOptions::new().read(true).write(true)).open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return opened,
        }
        match create_new(path) {
            // Another process was faster. Its file is the one to open.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            created => return created,
        }
    }
}

/// The standard library closes files when another program is executed.
fn create_new(path: &Path) -> io::Result<File> {
    os::without_links(OpenOptions::new().read(true).write(true).create_new(true)).open(path)
}

/// Where a file that somebody reads cannot be replaced, this tries until it can.
fn rename(from: &Path, to: &Path, patience: &Patience) -> io::Result<()> {
    loop {
        match fs::rename(from, to) {
            Err(error) if os::is_in_use(&error) && !patience.is_over() => thread::sleep(Duration::from_millis(5)),
            renamed => return renamed,
        }
    }
}

fn random() -> Result<u64, StoreError> {
    getrandom::u64().map_err(|error| {
        StoreError::new(StoreErrorKind::Other, "the operating system gives no random bytes").with_source(error)
    })
}

fn refused(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Refused, message)
}

fn failed(what: &str, path: &Path, error: io::Error) -> StoreError {
    let is = |kinds: &[ErrorKind]| kinds.contains(&error.kind());
    let kind = if is(&[ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem]) {
        StoreErrorKind::Refused
    } else if is(&[ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge]) {
        StoreErrorKind::Full
    } else {
        StoreErrorKind::Other
    };
    StoreError::new(kind, format!("cannot {what} {}: {error}", path.display())).with_source(error)
}

const OLD: Duration = Duration::from_secs(3_600);

#[cfg(unix)]
mod os {
    use std::fs::{DirBuilder, File, Metadata, OpenOptions};
    use std::io::{self, ErrorKind};
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
    use std::path::Path;

    use rustix::fs::OFlags;
    use rustix::io::Errno;

    use crate::error::StoreError;

    pub(super) fn for_owner_only(builder: &mut DirBuilder) {
        builder.mode(0o700);
    }

    /// Opens no link, does not wait for a pipe's other end, and creates for the owner only.
    pub(super) fn without_links(options: &mut OpenOptions) -> &mut OpenOptions {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        // The bits of flags fit: the system's calls take an `int`.
        options.mode(0o600).custom_flags(flags.bits() as i32)
    }

    pub(super) fn is_link(error: &io::Error) -> bool {
        matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::MLINK))
    }

    pub(super) fn is_in_use(error: &io::Error) -> bool {
        matches!(error.kind(), ErrorKind::ResourceBusy | ErrorKind::ExecutableFileBusy)
    }

    pub(super) fn number(about: &Metadata) -> u64 {
        about.ino()
    }

    pub(super) fn is_at(file: &File, path: &Path) -> bool {
        let identity = |about: io::Result<Metadata>| about.ok().map(|about| (about.dev(), about.ino()));
        let there = identity(std::fs::symlink_metadata(path));
        there.is_some() && identity(file.metadata()) == there
    }

    pub(super) fn check_owner(about: &Metadata, path: &Path) -> Result<(), StoreError> {
        let user = rustix::process::geteuid().as_raw();
        if about.uid() == user {
            return Ok(());
        }
        let (path, owner) = (path.display(), about.uid());
        Err(super::refused(format!(
            "{path} belongs to the user {owner}, and this process runs as {user}: use a folder of its own"
        )))
    }

    pub(super) fn check_mode(about: &Metadata, path: &Path) -> Result<(), StoreError> {
        let mode = about.mode() & 0o777;
        if mode & 0o077 == 0 {
            return Ok(());
        }
        let path = path.display();
        Err(super::refused(format!("others may use the folder {path} (its mode is {mode:o}): run `chmod 700 {path}`")))
    }
}

/// Below the user's profile, folders are open to that user only. A lock file cannot be deleted while it is open.
#[cfg(not(unix))]
mod os {
    use std::fs::{DirBuilder, File, Metadata, OpenOptions};
    use std::io::{self, ErrorKind};
    use std::path::Path;

    use crate::error::StoreError;

    pub(super) fn for_owner_only(_: &mut DirBuilder) {}

    #[cfg(windows)]
    pub(super) fn without_links(options: &mut OpenOptions) -> &mut OpenOptions {
        use std::os::windows::fs::OpenOptionsExt as _;
        const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
        options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
    }

    #[cfg(not(windows))]
    pub(super) fn without_links(options: &mut OpenOptions) -> &mut OpenOptions {
        options
    }

    pub(super) fn is_link(_: &io::Error) -> bool {
        false
    }

    pub(super) fn is_in_use(error: &io::Error) -> bool {
        // Also what a sharing violation is called.
        matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ResourceBusy)
            || error.raw_os_error() == Some(32)
    }

    pub(super) fn number(_: &Metadata) -> u64 {
        0
    }

    pub(super) fn is_at(_: &File, path: &Path) -> bool {
        std::fs::symlink_metadata(path).is_ok()
    }

    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it fails")]
    pub(super) fn check_owner(_: &Metadata, _: &Path) -> Result<(), StoreError> {
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it fails")]
    pub(super) fn check_mode(_: &Metadata, _: &Path) -> Result<(), StoreError> {
        Ok(())
    }
}
