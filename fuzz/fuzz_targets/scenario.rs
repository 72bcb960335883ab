//! Any bytes are a scenario that can be played, or an error that says where.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzzed::scenario(bytes));
