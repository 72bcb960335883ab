//! Any bytes are a life with exchanges of Entra tokens, and every life obeys the laws.
#![no_main]
#![allow(dead_code, unreachable_pub, reason = "the tests use more of what is shared")]

#[path = "../../tests/support/exchange_world.rs"]
mod exchange_world;
#[path = "../../tests/support/fuzzed.rs"]
mod fuzzed;
#[path = "../../tests/support/world.rs"]
mod world;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::exchange(bytes));
