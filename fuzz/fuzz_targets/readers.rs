//! Fuzzes `gatepost_fuzz::readers`, with a parser that shares no code with the gateway's.

#![no_main]

use gatepost_fuzz::readers::{self, Parser};

const PARSERS: [(&str, Parser); 1] = [("simd-json", |bytes| {
    let mut bytes = bytes.to_vec();
    simd_json::serde::from_slice(&mut bytes).ok()
})];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::check(bytes, &PARSERS));
