//! Any bytes spell an authorized call and what happens to it, or a line of `WWW-Authenticate`.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzzed::call(bytes));
