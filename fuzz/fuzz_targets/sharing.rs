//! Any bytes spell a run of credentials that share a store, or a record of that store.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzzed::sharing(bytes));
