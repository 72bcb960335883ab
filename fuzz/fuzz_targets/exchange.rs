//! Any bytes are the life of an Entra user's credential, and every life obeys the laws.
#![no_main]

#[path = "../../tests/support/exchanged.rs"]
mod exchanged;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exchanged::exchange(bytes));
