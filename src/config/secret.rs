//! Secrets: read from a file or from the environment, here and nowhere else, and never printed. An error says where the
//! secret should have been and what form it has, never what was found. What was read on the way is wiped.

use std::ffi::OsString;
use std::path::Path;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::gateway::secret::{SecretKey, read_secret, read_secret_stdin};

/// No key that we read is longer, in any of its forms.
const FILE_BYTES_MAX: usize = 1024;

/// No value of a header is longer.
const HEADER_BYTES_MAX: usize = 8 << 10;

/// What the value of a header looks like.
pub(super) const HEADER_FORMS: &str = "one line of visible ASCII, 8 KiB at most";

/// What a key looks like.
pub(super) const KEY_FORMS: &str =
    "32 random bytes, as 64 hexadecimal digits, in base64, or raw in a file; `openssl rand -hex 32` writes one";

/// A key from `path`: 32 bytes raw, or in one of the text forms. The error says what is wrong without the value.
pub(super) fn key_from_file(path: &Path) -> Result<SecretKey, String> {
    let bytes = read_secret(path, FILE_BYTES_MAX).map_err(|error| format!("cannot be read ({error})"))?;
    match <&[u8; 32]>::try_from(bytes.as_slice()) {
        // A passphrase of 32 letters has a fraction of the strength that its length promises.
        Ok(key) if !is_text(&bytes) => Ok(SecretKey::new(key)),
        Ok(_) | Err(_) => from_text(&bytes).ok_or_else(|| "does not hold a key (its content is not shown)".to_owned()),
    }
}

/// A key from the environment variable `name`, in one of the text forms.
pub(super) fn key_from_env(name: &str) -> Result<SecretKey, String> {
    let value = Zeroizing::new(variable(name)?.into_encoded_bytes());
    from_text(&value).ok_or_else(|| "does not hold a key (its content is not shown)".to_owned())
}

/// The value of a header from `path`.
pub(super) fn header_from_file(path: &Path) -> Result<HeaderValue, String> {
    header(&read_secret(path, HEADER_BYTES_MAX + 1).map_err(|error| format!("cannot be read ({error})"))?)
}

/// The value of a header from the environment variable `name`.
pub(super) fn header_from_env(name: &str) -> Result<HeaderValue, String> {
    header(&Zeroizing::new(variable(name)?.into_encoded_bytes()))
}

/// Where a command is told to find a secret.
#[derive(Debug, Clone, Copy)]
pub enum SecretFrom<'a> {
    /// Standard input.
    Stdin,
    /// This file.
    File(&'a Path),
    /// This environment variable.
    Env(&'a str),
}

/// The value of a header that begins with `prefix`, and then is secret. The error says what is wrong without the value.
pub fn secret_header(prefix: &str, from: SecretFrom<'_>) -> Result<HeaderValue, String> {
    let bytes = match from {
        SecretFrom::Stdin => read_secret_stdin(HEADER_BYTES_MAX + 1),
        SecretFrom::File(path) => read_secret(path, HEADER_BYTES_MAX + 1),
        SecretFrom::Env(name) => Ok(Zeroizing::new(variable(name)?.into_encoded_bytes())),
    };
    let bytes = bytes.map_err(|error| format!("cannot be read ({error})"))?;
    let mut value = Zeroizing::new(Vec::with_capacity(prefix.len() + bytes.len()));
    value.extend_from_slice(prefix.as_bytes());
    value.extend_from_slice(bytes.trim_ascii());
    // Else a prefix by itself would be a value.
    if value.len() == prefix.len() { Err("holds nothing".to_owned()) } else { header(&value) }
}

fn header(bytes: &[u8]) -> Result<HeaderValue, String> {
    let text = bytes.trim_ascii_end();
    let fits =
        !text.is_empty() && text.len() <= HEADER_BYTES_MAX && text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let value = fits.then(|| HeaderValue::from_bytes(text).ok()).flatten();
    let mut value = value.ok_or_else(|| "does not hold the value of a header (its content is not shown)".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn variable(name: &str) -> Result<OsString, String> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads secrets from the environment")]
    std::env::var_os(name).ok_or_else(|| "is not set".to_owned())
}

/// Whether `text` is a key, and not the name of a place that holds one.
pub(super) fn is_key(text: &str) -> bool {
    from_text(text.as_bytes()).is_some()
}

/// Whether somebody may have written this: random bytes are hardly ever text.
fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_ok_and(|text| text.chars().all(|letter| letter.is_whitespace() || !letter.is_control()))
}

/// 64 hexadecimal digits, or the base64 of 32 bytes, in either alphabet, with or without padding.
fn from_text(text: &[u8]) -> Option<SecretKey> {
    let text = text.trim_ascii_end();
    from_hex(text).or_else(|| from_base64(text))
}

fn from_hex(text: &[u8]) -> Option<SecretKey> {
    if text.len() != 64 {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    for (byte, digits) in key.iter_mut().zip(text.chunks_exact(2)) {
        let value = digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))?;
        *byte = u8::try_from(value).ok()?;
    }
    Some(SecretKey::new(&key))
}

fn from_base64(text: &[u8]) -> Option<SecretKey> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    // Room for what the length of a key's text may stand for; anything longer does not fit, and is no key.
    let mut bytes = Zeroizing::new([0; 33]);
    [alphabet::STANDARD, alphabet::URL_SAFE].into_iter().find_map(|alphabet| {
        let length = GeneralPurpose::new(&alphabet, config).decode_slice(text, bytes.as_mut_slice()).ok()?;
        bytes.get(..length)?.try_into().ok().map(SecretKey::new)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Option<[u8; 32]> {
        from_text(text.as_bytes()).map(|key| *key.bytes())
    }

    #[test]
    fn the_text_forms_of_a_key() {
        let hex = "0123456789abcdefABCDEF00112233445566778899aabbccddeeff0011223344";
        let bytes = key(hex).expect("hexadecimal");
        assert_eq!(bytes[..4], [0x01, 0x23, 0x45, 0x67]);
        assert_eq!(key(&format!("{hex}\n")), Some(bytes));
        let check = |text: &str, expect| assert_eq!(key(text), expect, "{text}");
        check("//////////////////////////////////////////8=", Some([255; 32]));
        check("__________________________________________8", Some([255; 32]));
        check("//////////////////////////////////////////8=\r\n", Some([255; 32]));
        check("", None);
        check(&hex[1..], None);
        check(&format!("{}g", &hex[1..]), None);
        check(&format!("{hex}00"), None);
        check("correct horse battery staple", None);
        check("AAAA", None);
        check(&"A".repeat(42), None);
        check(&"A".repeat(44), None);
        check(&"A".repeat(4000), None);
    }

    #[test]
    fn a_missing_variable_and_a_wrong_one_are_told_apart_without_the_value() {
        let missing = key_from_env("GATEPOST_NO_SUCH_VARIABLE").expect_err("not set");
        assert_eq!(missing, "is not set");
        let wrong = key_from_env("CARGO_MANIFEST_DIR").expect_err("a path is no key");
        assert!(!wrong.contains('/'), "{wrong}");
    }

    #[test]
    fn the_value_of_a_header_is_one_line_and_is_not_shown() {
        let check = |bytes: &[u8], expect: Option<&str>| {
            let value = header(bytes);
            assert_eq!(value.as_ref().ok().map(|value| value.to_str().expect("ASCII")), expect);
            assert!(!format!("{value:?}").contains("hunter2"), "{value:?}");
        };
        check(b"Bearer hunter2\n", Some("Bearer hunter2"));
        check(b"hunter2", Some("hunter2"));
        for refused in [&b""[..], b"\n", b"hunter2\r\nX-Other: 1", "hunter2ä".as_bytes(), &[b'a'; 8193]] {
            check(refused, None);
        }
        assert_eq!(header_from_env("GATEPOST_NO_SUCH_VARIABLE").expect_err("not set"), "is not set");
        assert!(header_from_env("CARGO_MANIFEST_DIR").is_ok());
    }

    #[test]
    fn a_raw_file_is_a_key_and_a_passphrase_is_not() {
        let folder = std::env::temp_dir().join(format!("gatepost-secret-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let check = |name: &str, content: &[u8], expect: bool| {
            let path = folder.join(name);
            std::fs::write(&path, content).expect("written");
            assert_eq!(key_from_file(&path).is_ok(), expect, "{name}");
        };
        check("raw", &[200; 32], true);
        check("hex", "ab".repeat(32).as_bytes(), true);
        check("passphrase", b"passphrasepassphrasepassphrase12", false);
        check("words", b"correct horse battery staple one", false);
        check("line", b"passphrasepassphrasepassphrase1\n", false);
        check("umlauts", "pässphräsepassphräsepassphrä".as_bytes(), false);
        check("short", &[200; 31], false);
        check("long", &[200; 5000], false);
        assert!(key_from_file(&folder.join("none")).is_err());
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
