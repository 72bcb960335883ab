//! libfaketime, which sets the wall clock of a process.

use std::fs;
use std::path::PathBuf;

/// The library, if it is installed. Without it, it says that the test is skipped. It is a Linux library.
pub(crate) fn fake_clock() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path().join("faketime"));
    let local = ["/usr/lib/faketime", "/usr/local/lib/faketime"].map(PathBuf::from);
    let library = folders.chain(local).map(|folder| folder.join("libfaketime.so.1")).find(|path| path.exists());
    let library = library.filter(|_| cfg!(target_os = "linux"));
    if library.is_none() {
        println!("skipped: libfaketime is not installed (Debian's package `faketime`)");
    }
    library
}
