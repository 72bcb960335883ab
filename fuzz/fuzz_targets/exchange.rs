//! Any bytes spell a run with exchanges of Entra tokens, and every run obeys the laws.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzzed::exchange(bytes));
