//! Planted faults for the sanitizers. Each sanitizer must report its fault. `.ci/sanitize` fails if one does not, since
//! then it would not report other faults either.

use std::sync::Barrier;
use std::thread;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("race") => race(),
        Some("use-after-free") => use_after_free(),
        Some("leak") => leak(),
        _ => panic!("which fault? `race`, `use-after-free` or `leak`"),
    }
}

/// Two threads count without synchronization.
fn race() {
    static mut COUNT: u64 = 0;
    let start = Barrier::new(2);
    let count = || {
        start.wait();
        // SAFETY: this is unsound on purpose.
        unsafe { COUNT += 1 };
    };
    thread::scope(|scope| {
        scope.spawn(count);
        scope.spawn(count);
    });
}

fn use_after_free() {
    let number = Box::new(5_u64);
    let freed = &raw const *number;
    drop(number);
    // SAFETY: this is unsound on purpose.
    println!("{}", unsafe { freed.read_volatile() });
}

/// On a thread that ends, so that no stack still contains the address.
fn leak() {
    let leaking = thread::spawn(|| {
        Box::leak(Box::new([0_u8; 4_096]));
    });
    leaking.join().expect("it does not panic");
}
