//! Fuzzes `gatepost_fuzz::sse`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gatepost_fuzz::sse::check(bytes));
