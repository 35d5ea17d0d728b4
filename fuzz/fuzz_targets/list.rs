//! Fuzzes `gatepost_fuzz::list`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gatepost_fuzz::list::check(bytes));
