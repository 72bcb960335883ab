//! Any values of all options are refused, or make a policy under which every law holds.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzzed::policy(bytes));
