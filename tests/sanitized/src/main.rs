//! Faults planted for the sanitizers, each of which has to report its own: `.ci/sanitize` fails if one keeps silent, since then
//! it would about every other fault too.

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

/// Two threads count, with nothing to put one before the other.
fn race() {
    static mut COUNT: u64 = 0;
    let start = Barrier::new(2);
    let count = || {
        start.wait();
        // SAFETY: it is not.
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
    // SAFETY: it is not.
    println!("{}", unsafe { freed.read_volatile() });
}

/// On a thread that ends, so that no trace of the address is left on a stack.
fn leak() {
    let leaking = thread::spawn(|| {
        Box::leak(Box::new([0_u8; 4_096]));
    });
    leaking.join().expect("it does not panic");
}
