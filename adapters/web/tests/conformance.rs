//! The conformance suite in JavaScript hosts, in real milliseconds. `.ci/web` runs it, in Node and in Chromium.
#![cfg(target_family = "wasm")]

#[macro_use]
extern crate suite_test;

#[path = "../../driver/tests/conformance/mod.rs"]
mod conformance;
#[path = "support/rt.rs"]
mod rt;
