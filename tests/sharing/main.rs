//! The shared store (contract, section 9).

#[path = "../support/mod.rs"]
mod support;

mod laws;
mod options;
mod records;
mod search;
mod table;
#[allow(unreachable_pub, reason = "as in `support`")]
mod walk;
