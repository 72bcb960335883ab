//! Any text is an identifier, and any JSON is an identifier or an error.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzzed::identifier(bytes));
