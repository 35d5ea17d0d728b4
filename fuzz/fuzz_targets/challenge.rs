//! Fuzzes `gatepost_fuzz::challenge`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gatepost_fuzz::challenge::check(bytes));
