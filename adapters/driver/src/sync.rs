//! Where threads meet. `tests/interleavings` compiles the driver with others in the place of these, which try out the
//! orders in which threads may come to them.

pub(crate) use std::sync::atomic::AtomicU64;
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use std::thread_local;

pub(crate) use arc_swap::ArcSwapOption;
