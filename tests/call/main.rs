//! The authorized call (contract, section 8).

#[path = "../support/mod.rs"]
mod support;

mod challenges;
mod laws;
mod origins;
mod search;
mod table;
