//! The authorized call in JavaScript hosts, in every host that the features have.
#![cfg(target_family = "wasm")]
// The suite has a host for a feature that this adapter lacks.
#![allow(unexpected_cfgs)]

#[macro_use]
extern crate suite_test;

#[path = "../../driver/tests/authorized/mod.rs"]
mod authorized;
#[path = "support/rt.rs"]
mod rt;
