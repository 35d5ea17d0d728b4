//! Whether a resource URI is in normal form (RFC 3986 §6.2.2), so that a pattern and the MCP server behind us cannot
//! read it differently. Nothing is normalised here: what is not in normal form is refused.

use std::net::{Ipv4Addr, Ipv6Addr};

use percent_encoding::percent_decode_str;

/// Whether `text` is a URI that has one spelling only: lower-case scheme and host, an address in its shortest form, no user
/// information, no dot segments, no needless percent-encoding and none that hides a dot, a slash, a backslash or a control
/// character. That a path may be empty or `/` (RFC 3986 §6.2.3) is left open.
#[must_use]
pub fn is_normal(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    is_scheme(scheme)
        && has_plain_characters(rest)
        && has_normal_encoding(rest)
        // `?` and `#` too end a segment here: a server that cuts the text at slashes alone sees dots after them.
        && !rest.split(['/', '?', '#']).any(|segment| segment == "." || segment == "..")
        && match rest.strip_prefix("//") {
            // To a file system `//` is `/`: `file:////etc/x` would get round a rule for `file:///etc/**`.
            Some(rest) => is_authority(scheme, rest) && !(scheme == "file" && rest.contains("//")),
            // Browsers, and what reads URLs as they do, take `https:acme/x` for `https://acme/x`, and `file:/x` for `file:///x`.
            None => !HOST_SCHEMES.contains(&scheme),
        }
}

/// `ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`, in lower case (RFC 3986 §3.1).
fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|letter: char| letter.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
}

/// No control, no space, nothing outside ASCII, and none of the characters that a URI may hold only encoded. Brackets
/// stand around an IPv6 address alone (`is_authority`), a second `#` nowhere.
fn has_plain_characters(rest: &str) -> bool {
    let after_authority = rest.strip_prefix("//").map_or(rest, |rest| rest.trim_start_matches(|c| !ends_authority(c)));
    rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
        && !after_authority.contains(['[', ']'])
        && rest.matches('#').count() <= 1
}

/// Every `%` is followed by two upper-case hexadecimal digits and stands for a character that must be encoded.
fn has_normal_encoding(rest: &str) -> bool {
    let encoded = rest.split('%').skip(1);
    let normal = |after: &str| {
        let digits =
            after.get(..2).filter(|digits| digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')));
        digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).is_some_and(must_be_encoded)
    };
    // Overlong UTF-8 (`%C0%AE` is a dot to a careless decoder) and encoded C1 controls show only in the whole.
    let decoded = percent_decode_str(rest).decode_utf8();
    encoded.into_iter().all(normal) && decoded.is_ok_and(|decoded| !decoded.chars().any(char::is_control))
}

/// Unreserved characters are never encoded in normal form, the dot among them; a slash or backslash that appears
/// only after decoding would be a path that no pattern saw.
fn must_be_encoded(byte: u8) -> bool {
    !(byte.is_ascii_alphanumeric() || b"-._~/\\".contains(&byte))
}

/// The authority at the start of `rest`: no user information, lower case, a host in its one spelling, no empty or default
/// port.
fn is_authority(scheme: &str, rest: &str) -> bool {
    let authority = rest.split(ends_authority).next().unwrap_or_default();
    let host_end = authority.find(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority.get(host_end..).and_then(|after| after.rsplit_once(':')) {
        Some((_, port)) => (authority.get(..authority.len() - port.len() - 1).unwrap_or_default(), Some(port)),
        None => (authority, None),
    };
    let normal_port = port.is_none_or(|port| {
        let default = match scheme {
            "http" | "ws" => "80",
            "https" | "wss" => "443",
            "ftp" => "21",
            _ => "",
        };
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        digits && port != default && (port == "0" || !port.starts_with('0'))
    });
    let normal_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        // An embedded IPv4 address has two customary spellings (RFC 5952 §5).
        Some(inner) => {
            inner.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == inner && !inner.contains('.'))
        }
        None => {
            !host.contains(['@', '[', ']', ':'])
                && !host.bytes().any(|byte| byte.is_ascii_uppercase())
                && (!HOST_SCHEMES.contains(&scheme) || is_network_host(scheme, host))
        }
    };
    normal_port && normal_host
}

/// Whether a host that is looked up has no second spelling: `127.1`, `0x7f.0.0.1` and `2130706433` are one address, `%C3%A9`
/// becomes `xn--9ca`, and a file of `localhost` is one without host.
fn is_network_host(scheme: &str, host: &str) -> bool {
    if scheme == "file" && (host.is_empty() || host == "localhost") {
        return host.is_empty();
    }
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hex);
    !host.is_empty() && !host.contains('%') && (!is_number || host.parse::<Ipv4Addr>().is_ok())
}

/// Schemes whose URIs always have an authority (WHATWG URL, special schemes).
const HOST_SCHEMES: [&str; 6] = ["http", "https", "ws", "wss", "ftp", "file"];

fn ends_authority(letter: char) -> bool {
    matches!(letter, '/' | '?' | '#')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expect: bool) {
        assert_eq!(is_normal(text), expect, "{text}");
    }

    #[test]
    fn normal() {
        check("repo://acme/gatepost", true);
        check("repo://", true);
        check("repo:", true);
        check("file:///etc/hosts", true);
        check("file:///a/b.txt?x=1#top", true);
        check("demo://resource/static/1", true);
        check("git+ssh://host/x", true);
        check("urn:isbn:0451450523", true);
        check("note://a%20b/%C3%A9", true);
        check("note://a/100%25", true);
        check("https://example.com:8443/x", true);
        check("https://example.com:80/x", true);
        check("https://[2001:db8::1]:8443/x", true);
        check("https://[2001:db8::1]", true);
        check("mail:me@example.com", true);
        check("repo://a/x@y:z", true);
        check("repo://a/...", true);
        check("repo://a/.hidden", true);
        check("repo://a/b/", true);
        check("repo://a//b", true);
    }

    #[test]
    fn not_normal() {
        check("", false);
        check("acme/gatepost", false);
        check("://x", false);
        check("1a://x", false);
        check("Repo://acme", false);
        check("re_po://acme", false);
        check("repo://Acme/x", false);
        check("https://[2001:DB8::1]", false);
        check("repo://me@acme/x", false);
        check("repo://me:pw@acme/x", false);
        check("repo://a@b@acme/x", false);
        check("repo://acme:/x", false);
        check("repo://acme:x/x", false);
        check("repo://a:1:2/x", false);
        check("http://acme:80/x", false);
        check("https://acme:443", false);
        check("repo://[a/x", false);
        check("repo://a]/x", false);
        check("repo://[a]b/x", false);
        check("repo://a[b]/x", false);
        // Dot segments, plain and hidden.
        check("repo://acme/../x", false);
        check("repo://acme/./x", false);
        check("repo://acme/..", false);
        check("repo://../x", false);
        check("repo:..", false);
        check("repo:./x", false);
        check("repo://acme/x?/../y", false);
        check("repo://acme/..?x", false);
        check("repo://acme/..#x", false);
        check("repo://acme/%2e%2e/x", false);
        check("repo://acme/.%2E/x", false);
        check("repo://acme%2Fx", false);
        check("repo://acme%2fx", false);
        check("repo://acme/a%5Cb", false);
        check("repo://acme/a%5cb", false);
        check("repo://acme/a\\b", false);
        check("repo://acme/%C0%AE", false);
        check("repo://acme/%E9", false);
        // Other spellings of the same.
        check("repo://acme/%61", false);
        check("repo://acme/%7E", false);
        check("repo://acme/%c3%a9", false);
        check("repo://acme/é", false);
        check("repo://acme/%", false);
        check("repo://acme/%4", false);
        check("repo://acme/%+1", false);
        check("repo://acme/%zz", false);
        // Controls and what no URI holds.
        check("repo://acme/a\nb", false);
        check("repo://acme/a\0", false);
        check("repo://acme/%00", false);
        check("repo://acme/%0A", false);
        check("repo://acme/%7F", false);
        check("repo://acme/%C2%85", false);
        check("repo://acme/a b", false);
        check("repo://acme/{id}", false);
        check("repo://acme/a[0]", false);
        check("repo://acme/a#b#c", false);
        check(" repo://acme", false);
    }

    /// Second spellings that a WHATWG URL parser turns into the first.
    #[test]
    fn what_browsers_read_as_another_uri() {
        check("https:acme/x", false);
        check("http:/acme/x", false);
        check("file:/etc/hosts", false);
        check("file:etc/hosts", false);
        check("https:///acme/x", false);
        check("https://", false);
        check("file://localhost/etc/hosts", false);
        check("file://acme/etc/hosts", true);
        check("file:////etc/hosts", false);
        check("file:///etc//hosts", false);
        check("file://acme//hosts", false);
        check("https://127.1/x", false);
        check("https://0x7f.0.0.1/x", false);
        check("https://127.0.0.01/x", false);
        check("https://2130706433/x", false);
        check("https://127.0.0.1./x", false);
        check("https://127.0.0.1/x", true);
        check("https://1.acme/x", true);
        check("repo://2130706433/x", true);
        check("https://%C3%A9.acme/x", false);
        check("https://acme:0443/x", false);
        check("repo://acme:080/x", false);
        check("repo://acme:0/x", true);
        check("ftp://acme:21/x", false);
        check("https://[2001:db8:0::1]/x", false);
        check("https://[::ffff:127.0.0.1]/x", false);
        check("https://[::ffff:7f00:1]/x", false);
        check("repo://[v1.a]/x", false);
    }

    proptest! {
        /// However a URI in normal form is decoded, it has no segment more than it shows, and no dots to walk up by.
        #[test]
        fn decoding_shows_nothing_new(text in "[a-c]{1,3}:(//)?([a-z./%A-F0-9?#@:-]|%2[0-9A-F]|%5[0-9A-F]){0,16}") {
            if is_normal(&text) {
                let decoded = percent_decode_str(&text).decode_utf8().unwrap().into_owned();
                prop_assert_eq!(decoded.matches('/').count(), text.matches('/').count());
                prop_assert!(!decoded.split('/').any(|segment| segment == ".." || segment == "."), "{}", text);
                prop_assert!(!decoded.contains('\\'));
            }
        }
    }
}
