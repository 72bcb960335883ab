//! An allocator that looks at all that is freed. The tests are in `tests/`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Words that secrets of these tests are made of. Each is found in any part of a secret that is twice as long as it.
pub const WORDS: [&str; 4] = [PLAIN_END, CLAIM, CLAIM_ENCODED, ESCAPED_END];

/// A token is this, repeated.
pub const PLAIN: &str = "Wipe-Me_";
/// What is left of it where the first letter is escaped.
const PLAIN_END: &str = "ipe-Me_";
/// A claim of a JWT is this, repeated; encoded at a place that three divides, and in the standard alphabet, it is the next one.
pub const CLAIM: &str = "Wi~pe?Me_";
pub const CLAIM_ENCODED: &str = "V2l+cGU/TWVf";
/// The first with each letter escaped.
pub const ESCAPED: &str = "\\u0057\\u0069\\u0070\\u0065\\u002d\\u004d\\u0065\\u005f";
const ESCAPED_END: &str = "\\u0069\\u0070\\u0065\\u002d";

/// Blocks that were freed with a secret in them.
static FOUND: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread is reporting.
    static REPORTING: Cell<bool> = const { Cell::new(false) };
}

/// Whether to say where.
static REPORTED: AtomicBool = AtomicBool::new(false);

/// From now on standard error says where each was freed.
pub fn report() {
    REPORTED.store(true, Ordering::SeqCst);
}

/// How many blocks have been freed with a secret in them.
pub fn found() -> usize {
    FOUND.load(Ordering::SeqCst)
}

/// The system's allocator. Fresh memory is zeros, so what is in a freed block was written by who had it; and each growth is a
/// free, so that what stays behind is seen.
pub struct Looking;

// SAFETY: all is left to `System`. A block is initialized from its start on, so it can be read when it is freed.
unsafe impl GlobalAlloc for Looking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that it needs.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is the caller's, whole, and initialized.
        look(unsafe { std::slice::from_raw_parts(block, layout.size()) });
        // SAFETY: it is from `System`, with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

fn look(freed: &[u8]) {
    let holds = |word: &str| freed.windows(word.len()).any(|part| part == word.as_bytes());
    if !WORDS.into_iter().any(holds) || REPORTING.replace(true) {
        return;
    }
    FOUND.fetch_add(1, Ordering::SeqCst);
    if !REPORTED.load(Ordering::SeqCst) {
        REPORTING.set(false);
        return;
    }
    // Not by `eprintln`: the harness keeps what that prints, and frees it.
    let report = format!("{} bytes are freed with a secret in them\n{}\n", freed.len(), Backtrace::force_capture());
    let _ = std::io::stderr().write_all(report.as_bytes());
    REPORTING.set(false);
}
