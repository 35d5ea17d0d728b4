//! What a lenient server could read out of the bytes that reached it: more requests than were meant, the forbidden tool in any
//! spelling, a token, an identity that the client made up. Here every doubt counts against the gateway.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::support::wire::find;

/// The tool that the standard route denies to everybody.
pub(crate) const FORBIDDEN: &str = "delete_everything";

/// A mark of values that an attacker makes up and that no server may see.
pub(crate) const FORGED: &str = "f0rged";

/// What is wrong with these bytes, connection by connection, where `meant` requests at most were to arrive.
pub(crate) fn faults(connections: &[Vec<u8>], meant: usize, secrets: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let arrived: usize = connections.iter().map(|bytes| requests(bytes)).sum();
    if arrived > meant {
        faults.push(format!("{arrived} requests instead of {meant}"));
    }
    for bytes in connections {
        let found = marks(bytes).into_iter().chain(credentials(bytes, secrets));
        faults.extend(
            found.map(|fault| format!("{fault} in {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(1500)]))),
        );
    }
    faults
}

/// How many requests the most lenient server would count: a version of HTTP after a space, or a method before a path, wherever
/// they stand and however lines end.
pub(crate) fn requests(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let versions = [" http/0", " http/1", " http/2", "\thttp/1"].iter().map(|each| text.matches(each).count()).sum();
    let methods = ["get", "post", "put", "delete", "head", "options", "patch", "trace", "connect", "pri"];
    let lines = methods.iter().map(|method| {
        let targets = [format!("{method} /"), format!("{method} http"), format!("{method} *"), format!("{method}\t/")];
        targets.iter().map(|line| text.matches(line.as_str()).count()).sum::<usize>()
    });
    std::cmp::max(versions, lines.sum())
}

/// The marks that are in any reading.
pub(crate) fn marks(bytes: &[u8]) -> Vec<String> {
    let mut faults = Vec::new();
    for mark in [FORBIDDEN, FORGED] {
        let wanted = skeleton(mark);
        if skeletons(bytes).iter().any(|skeleton| skeleton.contains(&wanted)) {
            faults.push(format!("{mark:?}"));
        }
    }
    // A compressed body is a body that nobody looked into.
    if find(bytes, &[0x1f, 0x8b]).is_some() || find(bytes, &[0x28, 0xb5, 0x2f, 0xfd]).is_some() {
        faults.push("compressed bytes".to_owned());
    }
    faults
}

fn credentials(bytes: &[u8], secrets: &[String]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut faults = Vec::new();
    // Every token of ours begins with `{"` in base64url.
    if text.contains("eyJ") {
        faults.push("a token".to_owned());
    }
    for secret in secrets {
        let encoded = [STANDARD_NO_PAD.encode(secret), URL_SAFE_NO_PAD.encode(secret)];
        if text.contains(secret) || encoded.iter().any(|each| text.contains(each)) {
            faults.push(format!("the secret {secret:?}"));
        }
    }
    faults
}

/// The letters and digits of every reading: as they are, with escapes of JSON and URLs undone, in UTF-16 and UTF-32, and out of
/// base64. Case, width, accents, invisible characters and look-alikes count for nothing.
fn skeletons(bytes: &[u8]) -> Vec<String> {
    let without_nul: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    let text = String::from_utf8_lossy(&without_nul).into_owned();
    let mut readings = vec![text.clone(), percent_decoded(&text)];
    readings.push(json_unescaped(&readings[1]));
    readings.push(json_unescaped(&json_unescaped(&text)));
    for word in text.split(|char: char| !(char.is_ascii_alphanumeric() || "+/-_".contains(char))) {
        let word = word.trim_end_matches('=');
        if word.len() >= 8 {
            let decoded = URL_SAFE_NO_PAD.decode(word).or_else(|_| STANDARD_NO_PAD.decode(word));
            readings.extend(decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok()));
        }
    }
    readings.iter().map(|reading| skeleton(reading)).collect()
}

/// Letters and digits alone, folded.
fn skeleton(text: &str) -> String {
    text.chars().map(folded).filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_lowercase()).collect()
}

/// The ASCII character that a reader may take this one for.
fn folded(char: char) -> char {
    match char {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(char) - 0xfee0).unwrap_or(char),
        'а' => 'a',
        'с' => 'c',
        'е' | 'ё' | 'é' | 'è' | 'ê' | 'ë' => 'e',
        'ԁ' => 'd',
        'і' | 'ı' | 'İ' | 'í' => 'i',
        'ⅼ' | 'ӏ' => 'l',
        'о' | 'ο' => 'o',
        'р' => 'p',
        'ѕ' | 'ſ' => 's',
        'у' => 'y',
        'ν' | 'ѵ' => 'v',
        'н' => 'h',
        'т' => 't',
        'ɡ' => 'g',
        'ո' => 'n',
        'г' => 'r',
        'K' => 'k',
        other => other,
    }
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Escapes of JSON undone, in every case and number of digits that some parser takes.
fn json_unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let digits = after.get(1..5).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let two = after.get(1..3).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match (after.chars().next(), digits, two) {
            (Some('u' | 'U'), Some(code), _) => {
                out.extend(char::from_u32(code));
                rest = &after[5..];
            }
            (Some('x' | 'X'), _, Some(code)) => {
                out.extend(char::from_u32(code));
                rest = &after[3..];
            }
            (Some(char), _, _) => {
                out.push(char);
                rest = &after[char.len_utf8()..];
            }
            (None, _, _) => rest = "",
        }
    }
    out + rest
}

/// The readings see what they promise to see.
pub(crate) fn self_test() {
    let spellings: [&[u8]; 12] = [
        b"delete_everything",
        b"Delete_Everything",
        br"\u0064elete_everything",
        br"\x64elete_everything",
        b"delete%5Feverything",
        b"d\0e\0l\0e\0t\0e\0_\0e\0v\0e\0r\0y\0t\0h\0i\0n\0g",
        "ｄelete_everything".as_bytes(),
        "dеlеte_everything".as_bytes(),
        "delete\u{200b}_every\u{301}thing".as_bytes(),
        b"x ZGVsZXRlX2V2ZXJ5dGhpbmc x",
        b"delete everything",
        br"\\u0064elete_everything",
    ];
    for spelling in spellings {
        assert_eq!(marks(spelling), [format!("{FORBIDDEN:?}")], "{}", String::from_utf8_lossy(spelling));
    }
    assert_eq!(requests(b"POST /a HTTP/1.1\r\nHost: a\r\n\r\n{}GET /b\nPOST  /c HTTP/1.0\r\n"), 2);
    assert_eq!(requests(b"POST /a HTTP/1.1\r\nHost: a\r\n\r\n{\"method\":\"tools/call\"}"), 1);
    assert!(!faults(&[b"x: eyJhbGciOiJub25lIn0".to_vec()], 0, &[]).is_empty());
    assert!(!faults(&[b"c2VjcmV0LW9mLXVz".to_vec()], 0, &["secret-of-us".to_owned()]).is_empty());
}
