//! Fuzzes `gatepost_fuzz::jwks`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gatepost_fuzz::jwks::check(bytes));
