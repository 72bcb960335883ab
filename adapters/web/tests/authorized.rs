//! The authorized call in JavaScript hosts, in every host that the features have.
#![cfg(target_family = "wasm")]

#[macro_use]
extern crate suite_test;

#[path = "../../driver/tests/authorized/mod.rs"]
mod authorized;
#[path = "support/rt.rs"]
mod rt;
