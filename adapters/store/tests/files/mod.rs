//! A folder of a test's own, and what can happen to it.

#![allow(unreachable_pub, reason = "a module of one test")]

#[cfg(unix)]
mod unix;

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use acs_common_store::{EntryName, FileStore, Store, StoreErrorKind};

use crate::conformance::{Host, LEASE, Rubbish, granted, name, owner, record, text};

/// Deleted when it is dropped.
pub struct TempFolder(PathBuf);

impl TempFolder {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("acs-common-store-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub struct Files {
    tokio: Option<tokio::runtime::Runtime>,
    folder: TempFolder,
}

impl Files {
    pub fn on_tokio() -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Some(Self { tokio: Some(runtime), folder: TempFolder::new() })
    }

    pub fn on_smol() -> Option<Self> {
        Some(Self { tokio: None, folder: TempFolder::new() })
    }

    fn entry(&self, name: &EntryName) -> PathBuf {
        self.folder.path().join(format!("{name}.entry"))
    }
}

impl Host for Files {
    fn store(&self) -> Box<dyn Store> {
        Box::new(FileStore::new(self.folder.path()).unwrap())
    }

    fn run(&self, future: Pin<Box<dyn Future<Output = ()> + Send + '_>>) {
        match &self.tokio {
            Some(runtime) => runtime.block_on(future),
            None => smol::block_on(future),
        }
    }

    /// The clock is the machine's, so the times in the file are set back instead.
    fn set_clock_ahead(&self, name: &EntryName, millis: i64) {
        let path = self.entry(name);
        let Ok(bytes) = fs::read(&path) else { return };
        let end = bytes.windows(2).position(|window| window == b"\n\n").unwrap();
        let (head, rest) = bytes.split_at(end);
        let moved = |time: &str| (time.parse::<i64>().unwrap() - millis).to_string();
        let lines = std::str::from_utf8(head).unwrap().lines().map(|line| {
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            match (line.split(' ').next(), words.len()) {
                (Some("lease"), 5) => words[3] = moved(&words[3]),
                (Some("record"), 4) => words[2] = moved(&words[2]),
                _ => {}
            }
            words.join(" ")
        });
        let head = lines.collect::<Vec<_>>().join("\n");
        fs::write(path, [head.as_bytes(), rest].concat()).unwrap();
    }

    fn forget(&self) {
        for file in fs::read_dir(self.folder.path()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
    }

    fn plant(&self, name: &EntryName, rubbish: Rubbish) -> bool {
        let path = self.entry(name);
        let good = fs::read(&path).unwrap();
        let replaced = |from: &str, to: &str| {
            let text = String::from_utf8(good.clone()).unwrap();
            assert!(text.contains(from), "{text}");
            text.replace(from, to).into_bytes()
        };
        let bytes = match rubbish {
            Rubbish::Huge => {
                // Sparse: it takes no room, and reading it would take all memory.
                let file = fs::File::options().write(true).open(&path).unwrap();
                file.set_len(1 << 40).unwrap();
                return true;
            }
            Rubbish::Noise => (0..5_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
            Rubbish::Empty => Vec::new(),
            Rubbish::Half => good[..good.len() / 2].to_vec(),
            Rubbish::Later => replaced("store 1\n", "store 2\n"),
            Rubbish::Numbers => replaced("marked 0", "marked 99999999999999999999999"),
        };
        fs::write(path, bytes).unwrap();
        true
    }

    fn dump(&self) -> Vec<u8> {
        let mut dump = Vec::new();
        for file in fs::read_dir(self.folder.path()).unwrap() {
            let path = file.unwrap().path();
            dump.extend(path.to_string_lossy().as_bytes());
            dump.extend(fs::read(path).unwrap());
        }
        dump
    }
}

/// Fails when a store needs a runtime, and does not say so.
#[test]
fn without_a_runtime_smol_does_the_work() {
    let folder = TempFolder::new();
    let store = FileStore::new(folder.path()).unwrap();
    let (fence, _) = granted(futures_lite::future::block_on(store.take(&name("a"), owner(1), LEASE)));
    futures_lite::future::block_on(store.finish(&name("a"), owner(1), fence, record("one"))).unwrap();
    assert_eq!(text(&smol::block_on(store.read(&name("a"))).unwrap()).0, "one");
}

/// Fails when temporary files of killed processes stay, or when one is deleted that is still being written.
#[test]
fn old_temporary_files_go() {
    let folder = TempFolder::new();
    drop(FileStore::new(folder.path()).unwrap());
    let (old, new) = (folder.path().join("v1.a.1.tmp"), folder.path().join("v1.a.2.tmp"));
    for path in [&old, &new] {
        fs::write(path, "half").unwrap();
    }
    let hours_ago = std::time::SystemTime::now() - Duration::from_secs(2 * 3_600);
    fs::File::options().write(true).open(&old).unwrap().set_modified(hours_ago).unwrap();
    drop(FileStore::new(folder.path()).unwrap());
    assert!(!old.exists() && new.exists());
}

/// Fails when an operation leaves a temporary file behind.
#[test]
fn nothing_but_entries_and_locks_is_left() {
    let folder = TempFolder::new();
    let store = FileStore::new(folder.path()).unwrap();
    for round in 0..3 {
        let (fence, _) = granted(smol::block_on(store.take(&name("a"), owner(round), LEASE)));
        smol::block_on(store.finish(&name("a"), owner(round), fence, record("one"))).unwrap();
    }
    let mut left: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, [format!("{}.entry", name("a")), format!("{}.lock", name("a"))]);
}

/// Fails when a path that is no folder is taken for one.
#[test]
fn a_file_in_the_folders_place_is_refused() {
    let folder = TempFolder::new();
    fs::write(folder.path(), "a file").unwrap();
    assert!(matches!(
        FileStore::new(folder.path()).unwrap_err().kind(),
        StoreErrorKind::Refused | StoreErrorKind::Other
    ));
    fs::remove_file(folder.path()).unwrap();
}
