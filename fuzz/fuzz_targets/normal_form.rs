//! Fuzzes `gatepost_fuzz::normal_form`, with a reader of URLs that shares no code with the gateway's.

#![no_main]

use gatepost_fuzz::normal_form::{self, Url};

/// As browsers, curl's successors and most servers in JavaScript and Rust read a URL (WHATWG URL).
fn read(text: &str) -> Option<Url> {
    let url = url::Url::parse(text).ok()?;
    Some(Url {
        scheme: url.scheme().to_owned(),
        has_credentials: !url.username().is_empty() || url.password().is_some(),
        host: url.host_str().filter(|host| !host.is_empty()).map(str::to_owned),
        port: url.port(),
        path: url.path().to_owned(),
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| normal_form::check(bytes, read));
