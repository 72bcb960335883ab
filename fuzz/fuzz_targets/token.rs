//! Any bytes given to the parser are a token with an expiry, or a typed error.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzzed::token(bytes));
