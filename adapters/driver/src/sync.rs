//! The primitives that threads share. `tests/interleavings` compiles the driver with replacements for them, which try
//! different orders of the threads' steps.

pub(crate) use std::sync::atomic::AtomicU64;
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use std::thread_local;

pub(crate) use arc_swap::ArcSwapOption;
