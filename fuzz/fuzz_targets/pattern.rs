//! Fuzzes `gatepost_fuzz::pattern`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gatepost_fuzz::pattern::check(bytes));
