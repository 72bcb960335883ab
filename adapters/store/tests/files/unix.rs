//! Who may read the files, locks of other processes, and folders that refuse.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use acs_common_store::{FileStore, Found, Store, StoreErrorKind, Taken};

use super::TempFolder;
use crate::conformance::{LEASE, granted, name, owner, record, text};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Fails when another user may read or write what is stored, whatever the process's umask.
#[test]
fn only_the_owner_may_read() {
    let folder = TempFolder::new();
    let inner = folder.path().join("inner/deep");
    let store = FileStore::new(&inner).unwrap();
    let (fence, _) = granted(smol::block_on(store.take(&name("a"), owner(1), LEASE)));
    smol::block_on(store.finish(&name("a"), owner(1), fence, record("one"))).unwrap();
    assert_eq!(mode(&inner), 0o700);
    let files: Vec<_> = fs::read_dir(&inner).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 2);
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

/// Fails when a folder that others may use is accepted.
#[test]
fn a_folder_of_others_is_refused() {
    for bits in [0o755, 0o770, 0o701] {
        let folder = TempFolder::new();
        fs::create_dir(folder.path()).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(bits)).unwrap();
        let error = FileStore::new(folder.path()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused);
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }
    if rustix_uid() == 0 {
        let folder = TempFolder::new();
        fs::create_dir(folder.path()).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(folder.path(), Some(65_534), None).unwrap();
        let error = FileStore::new(folder.path()).unwrap_err();
        assert!(error.to_string().contains("belongs to the user 65534"), "{error}");
    } else {
        println!("skipped: only root can give a folder to another user");
    }
}

fn rustix_uid() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").map_or(1, |about| about.uid())
}

/// Fails when a link in the place of a file is followed: then another file is read, or overwritten.
#[test]
fn links_are_not_followed() {
    let folder = TempFolder::new();
    let store = FileStore::new(folder.path()).unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    symlink(&victim, folder.path().join(format!("{}.entry", name("a")))).unwrap();
    let found = smol::block_on(store.read(&name("a"))).unwrap();
    assert!(found.record.is_none() && found.loss.is_some());
    let (fence, _) = granted(smol::block_on(store.take(&name("a"), owner(1), LEASE)));
    smol::block_on(store.finish(&name("a"), owner(1), fence, record("one"))).unwrap();
    assert_eq!(text(&smol::block_on(store.read(&name("a"))).unwrap()).0, "one");
    symlink(&victim, folder.path().join(format!("{}.lock", name("b")))).unwrap();
    let error = smol::block_on(store.take(&name("b"), owner(1), LEASE)).unwrap_err();
    assert!(error.to_string().contains("cannot open"), "{error}");
    assert_eq!(fs::read_to_string(victim).unwrap(), "untouched");
}

/// Fails when a file that another user put into an entry's place is read.
#[test]
fn a_file_of_another_user_is_a_loss() {
    if rustix_uid() != 0 {
        println!("skipped: only root can give a file to another user");
        return;
    }
    let folder = TempFolder::new();
    let store = FileStore::new(folder.path()).unwrap();
    let (fence, _) = granted(smol::block_on(store.take(&name("a"), owner(1), LEASE)));
    smol::block_on(store.finish(&name("a"), owner(1), fence, record("theirs"))).unwrap();
    let path = folder.path().join(format!("{}.entry", name("a")));
    std::os::unix::fs::chown(path, Some(65_534), None).unwrap();
    let found = smol::block_on(store.read(&name("a"))).unwrap();
    assert!(found.record.is_none() && found.loss.is_some());
    let (fence, _) = granted(smol::block_on(store.take(&name("a"), owner(2), LEASE)));
    smol::block_on(store.finish(&name("a"), owner(2), fence, record("ours"))).unwrap();
    assert_eq!(text(&smol::block_on(store.read(&name("a"))).unwrap()).0, "ours");
}

/// Fails when a pipe in an entry's place holds up the one who reads it.
#[test]
fn a_pipe_does_not_block() {
    let folder = TempFolder::new();
    let store = FileStore::new(folder.path()).unwrap();
    let path = folder.path().join(format!("{}.entry", name("a")));
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let found = smol::block_on(store.read(&name("a"))).unwrap();
    assert!(found.record.is_none() && found.loss.is_some());
}

/// A process that holds the lock of an entry.
struct Holder(Child);

impl Holder {
    fn new(lock: &Path) -> Option<Self> {
        let sleep = Command::new("flock").arg("--no-fork").arg(lock).args(["sleep", "60"]).stdin(Stdio::null()).spawn();
        let Ok(child) = sleep else {
            println!("skipped: there is no program `flock`");
            return None;
        };
        // Until it has the lock.
        let started = Instant::now();
        while Command::new("flock").arg("--nonblock").arg(lock).arg("true").status().unwrap().success() {
            assert!(started.elapsed() < Duration::from_secs(10), "`flock` takes no lock");
        }
        Some(Self(child))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Fails when a stopped process in the middle of an operation stops readers, hangs a writer, or does so after it was killed; and
/// when work that nobody waits for goes on.
#[test]
fn a_held_lock_stops_only_changes_and_only_while_its_process_lives() {
    let folder = TempFolder::new();
    let store = FileStore::new(folder.path()).unwrap();
    let (fence, _) = granted(smol::block_on(store.take(&name("a"), owner(1), LEASE)));
    smol::block_on(store.finish(&name("a"), owner(1), fence, record("one"))).unwrap();
    let Some(holder) = Holder::new(&folder.path().join(format!("{}.lock", name("a")))) else { return };
    assert_eq!(text(&smol::block_on(store.read(&name("a"))).unwrap()).0, "one", "reading takes no lock");
    let gave_up = smol::block_on(async {
        let take = async { Some(store.take(&name("a"), owner(2), LEASE).await) };
        futures_lite::future::or(take, async {
            smol::Timer::after(Duration::from_millis(100)).await;
            None
        })
        .await
    });
    assert!(gave_up.is_none());
    drop(holder);
    // The operation that was dropped gives up, and does not take the lease behind our back.
    std::thread::sleep(Duration::from_millis(50));
    granted(smol::block_on(store.take(&name("a"), owner(3), LEASE)));
}

/// Fails when a lock file that was deleted stops all changes.
#[test]
fn a_deleted_lock_file_is_made_anew() {
    let folder = TempFolder::new();
    let store = FileStore::new(folder.path()).unwrap();
    let (fence, _) = granted(smol::block_on(store.take(&name("a"), owner(1), LEASE)));
    fs::remove_file(folder.path().join(format!("{}.lock", name("a")))).unwrap();
    smol::block_on(store.finish(&name("a"), owner(1), fence, record("one"))).unwrap();
    assert_eq!(text(&smol::block_on(store.read(&name("a"))).unwrap()).0, "one");
}

/// Fails when a folder that is gone or read-only hangs, panics, or cannot be read any more.
#[test]
fn a_folder_that_refuses_is_an_error() {
    let folder = TempFolder::new();
    let store = FileStore::new(folder.path()).unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(smol::block_on(store.read(&name("a"))).unwrap(), Found::default());
    smol::block_on(store.take(&name("a"), owner(1), LEASE)).unwrap_err();

    let store = FileStore::new(folder.path()).unwrap();
    let (fence, _) = granted(smol::block_on(store.take(&name("a"), owner(1), LEASE)));
    smol::block_on(store.finish(&name("a"), owner(1), fence, record("one"))).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o500)).unwrap();
    if rustix_uid() == 0 {
        println!("skipped: root may write everywhere");
    } else {
        let error = smol::block_on(store.take(&name("a"), owner(2), LEASE)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
        assert_eq!(text(&smol::block_on(store.read(&name("a"))).unwrap()).0, "one");
        drop(FileStore::new(folder.path()).unwrap());
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
}

/// Fails when a disk without room, or one that is read-only, costs what is stored, or when half a file stays there. It needs a disk of its own, which root can mount.
#[test]
fn a_full_disk_and_a_read_only_one_cost_nothing() {
    let folder = TempFolder::new();
    fs::create_dir(folder.path()).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k,mode=700", "acs-common-store"])
        .arg(folder.path())
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("skipped: this user cannot mount a small disk");
        return;
    }
    let remount = |how: &str| {
        let mut mount = Command::new("mount");
        assert!(mount.args(["-o", how]).arg(folder.path()).status().unwrap().success());
    };
    let checked = std::panic::catch_unwind(|| {
        let store = FileStore::new(folder.path()).unwrap();
        let (fence, _) = granted(smol::block_on(store.take(&name("a"), owner(1), LEASE)));
        smol::block_on(store.finish(&name("a"), owner(1), fence, record("one"))).unwrap();
        let _ = fs::write(folder.path().join("filler"), vec![0; 128 << 10]);
        let error = smol::block_on(store.take(&name("a"), owner(2), LEASE)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
        let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.iter().all(|file| file.extension().is_none_or(|extension| extension != "tmp")), "{files:?}");
        assert_eq!(text(&smol::block_on(store.read(&name("a"))).unwrap()).0, "one");
        fs::remove_file(folder.path().join("filler")).unwrap();
        granted(smol::block_on(store.take(&name("a"), owner(2), LEASE)));
        remount("remount,ro");
        let error = smol::block_on(store.mark(&name("a"), fence)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
        assert_eq!(text(&smol::block_on(store.read(&name("a"))).unwrap()).0, "one");
        // Also a process that starts now can read.
        let late = FileStore::new(folder.path()).unwrap();
        assert_eq!(text(&smol::block_on(late.read(&name("a"))).unwrap()).0, "one");
    });
    assert!(Command::new("umount").arg(folder.path()).status().unwrap().success());
    checked.unwrap();
}

/// What a process does that is killed: it changes an entry as fast as it can.
#[test]
fn change_until_killed() {
    let Some(folder) = std::env::var_os("ACS_COMMON_CHANGE_UNTIL_KILLED") else { return };
    let store = FileStore::new(folder).unwrap();
    let mine = acs_common_store::random_owner().unwrap();
    let started = Instant::now();
    smol::block_on(async {
        for round in 0.. {
            // The test that would kill it may have failed.
            if started.elapsed() > Duration::from_secs(90) {
                break;
            }
            // Large, so that writing takes its time.
            let record = record(&format!("{round} ").repeat(20_000));
            if let Ok(Taken::Granted { fence, .. }) = store.take(&name("a"), mine, LEASE / 1_000).await {
                let _ = store.finish(&name("a"), mine, fence, record).await;
            }
        }
    });
}

/// Fails when a process that is killed in the middle of a change leaves half a file, or a lock.
#[test]
fn killed_processes_tear_nothing() {
    let folder = TempFolder::new();
    let store = FileStore::new(folder.path()).unwrap();
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "files::unix::change_until_killed"])
            .env("ACS_COMMON_CHANGE_UNTIL_KILLED", folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut children: Vec<Child> = (0..4).map(|_| start()).collect();
    let (mut fences, mut kills) = (Vec::new(), 0);
    let started = Instant::now();
    while kills < 24 || fences.len() < 30 {
        assert!(started.elapsed() < Duration::from_secs(60), "{kills} kills, {} records", fences.len());
        let found = smol::block_on(store.read(&name("a"))).unwrap();
        assert_eq!(found.loss, None);
        if let Some(record) = &found.record {
            let text = std::str::from_utf8(record.sealed.as_bytes()).unwrap();
            let (first, _) = text.split_once(' ').unwrap();
            assert!(text == format!("{first} ").repeat(20_000), "a record of two halves");
            fences.push(record.fence);
        }
        if !fences.is_empty() && kills * 40 < started.elapsed().as_millis() {
            let next = (kills % 4) as usize;
            children[next].kill().unwrap();
            children[next].wait().unwrap();
            children[next] = start();
            kills += 1;
        }
    }
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(fences.is_sorted(), "an older record came back");
    fences.dedup();
    assert!(fences.len() > 3, "the processes change the entry: {fences:?}");
    // No lock is left.
    std::thread::sleep(LEASE / 1_000);
    granted(smol::block_on(store.take(&name("a"), owner(1), LEASE)));
}
