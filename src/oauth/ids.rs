//! Identifiers that are compared byte for byte: issuer, resource identifier, audience, the public origin.
//! They keep the text they were written with; nothing here may normalise one.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// An authorization server's issuer identifier (RFC 8414 §2): https (http only on loopback), no query, no
/// fragment. Compared as an exact string.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Issuer(Arc<str>);

/// The resource identifier of one route (RFC 8707 §2, RFC 9728 §1.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResourceUri(Arc<str>);

/// A value accepted in a token's `aud`, compared as an exact string.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Audience(Arc<str>);

/// The origin that clients reach the gateway under: scheme, host, optional non-default port; lower case, no
/// path. Every URL that the gateway hands out begins with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublicOrigin(Arc<str>);

/// Why a text is no such identifier; `Display` says what was expected, without repeating the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdError(pub &'static str);

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for IdError {}

impl Issuer {
    /// Reads an issuer identifier as written: an `https` URL, `http` only on loopback, with no user information, query
    /// or fragment (RFC 8414 §2). The scheme is lower case; the rest is kept as it is.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Url::parse(text)?;
        Ok(Self(text.into()))
    }
    /// The exact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PublicOrigin {
    /// Reads an origin (`https://mcp.example.com`, `http://127.0.0.1:8080`): no path, not even `/`, no user
    /// information, query or fragment; lower case; no default port; http only on loopback. A name with other than ASCII
    /// letters is written in its `xn--` form, an IP address in its shortest: as browsers write an `Origin`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        // A browser's Origin header is compared with this text, so every origin has one spelling only.
        let url = Url::parse(text)?;
        if !url.path.is_empty() {
            return Err(IdError("an origin: scheme, host and optional port, no path, not even `/`"));
        }
        if url.host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(IdError("a host in lower case"));
        }
        if let Some(address) = url.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'))
            && address.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() != address)
        {
            return Err(IdError("an IPv6 address in its shortest form (RFC 5952)"));
        }
        if let Some(port) = url.port {
            if port.starts_with('0') {
                return Err(IdError("a port without leading zeros"));
            }
            if port == if url.https { "443" } else { "80" } {
                return Err(IdError("no port where it is the scheme's default"));
            }
        }
        Ok(Self(text.into()))
    }
    /// The exact text; also the value of a browser's `Origin` header for this origin.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// `host` or `host:port` as written.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }
    /// The host as written, an IPv6 address in its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        Url::parse(&self.0).map_or("", |url| url.host)
    }
    /// An authority in the form in which two are equal: lower case, without the default port of this scheme.
    #[must_use]
    pub fn canonical(&self, authority: &str) -> String {
        let lower = authority.to_ascii_lowercase();
        let default_port = if self.is_https() { ":443" } else { ":80" };
        lower.strip_suffix(default_port).map(str::to_owned).unwrap_or(lower)
    }
    /// Whether the scheme is https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl ResourceUri {
    /// The identifier of the resource at `path` (begins with `/`, or is empty for the bare origin).
    #[must_use]
    pub fn of(origin: &PublicOrigin, path: &str) -> Self {
        Self(format!("{}{path}", origin.as_str()).into())
    }
    /// The exact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Audience {
    /// Reads a further audience; any non-empty text without control characters.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(IdError("an audience: a text that is not empty, without control characters"));
        }
        Ok(Self(text.into()))
    }
    /// The exact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `host` is this machine whatever a name server says: `localhost`, an IPv4 address in 127.0.0.0/8, `::1` with
/// or without its brackets.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || bare.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

/// The parts of an http or https URL without user information, query and fragment (RFC 3986 §3).
struct Url<'a> {
    https: bool,
    host: &'a str,
    port: Option<&'a str>,
    path: &'a str,
}

impl<'a> Url<'a> {
    /// Reads a URL, `http` on loopback alone.
    fn parse(text: &'a str) -> Result<Self, IdError> {
        let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(IdError("a URL that begins with `https://`")),
        };
        if rest.contains(['?', '#']) {
            return Err(IdError("a URL without query and fragment"));
        }
        if !is_uri_text(rest) {
            return Err(IdError("a URL of the characters that RFC 3986 allows; others are percent-encoded"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(IdError("a URL without user information"));
        }
        let (host, port) = split_port(authority);
        if !is_host(host) {
            return Err(IdError("a URL with a host: a name (in its `xn--` form if it is not ASCII) or an IP address"));
        }
        if port.is_some_and(|port| !is_port(port)) {
            return Err(IdError("a port from 1 to 65535"));
        }
        if !https && !is_loopback_host(host) {
            return Err(IdError("an https URL; http is for loopback alone (127.0.0.0/8, [::1], localhost)"));
        }
        Ok(Self { https, host, port, path })
    }
}

/// Splits `host:port`; the colons within an IPv6 address's brackets belong to the host.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let host_end = authority.find(']').map_or(0, |bracket| bracket + 1);
    match authority.get(host_end..).and_then(|rest| rest.find(':')) {
        Some(colon) => {
            let (host, port) = authority.split_at(host_end + colon);
            (host, port.strip_prefix(':'))
        }
        None => (authority, None),
    }
}

/// Visible ASCII that RFC 3986 §2 allows, with every `%` before two hexadecimal digits.
fn is_uri_text(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    let hex = |digit: Option<u8>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(place, byte)| {
        allowed(*byte) && (*byte != b'%' || hex(bytes.get(place + 1).copied()) && hex(bytes.get(place + 2).copied()))
    })
}

/// A DNS name of non-empty labels, an IPv4 address in four parts, or an IPv6 address in brackets without zone.
fn is_host(host: &str) -> bool {
    if let Some(bracketed) = host.strip_prefix('[') {
        return bracketed.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    // `127.1` and `0x7f.0.0.1` are addresses to some resolvers and names to others.
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    host.len() <= 253 && host.split('.').all(label) && (!numeric || host.parse::<Ipv4Addr>().is_ok())
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers() {
        let check = |text: &str, expect: bool| {
            let parsed = Issuer::parse(text);
            assert_eq!(parsed.is_ok(), expect, "{text}");
            assert!(parsed.is_err() || parsed.unwrap().as_str() == text);
        };
        check("https://auth.example.com", true);
        check("https://auth.example.com/", true);
        check("https://auth.example.com/realms/acme", true);
        check("https://auth.example.com:443/realms/a%20b", true);
        check("https://Auth.Example.com/Realms", true);
        check("https://login.example/a//b/", true);
        check("https://xn--bcher-kva.example", true);
        check("https://my_host.internal", true);
        check("https://192.0.2.1", true);
        check("https://[2001:db8::1]:8443/x", true);
        check("http://localhost:8080", true);
        check("http://LOCALHOST", true);
        check("http://127.0.0.1", true);
        check("http://127.255.0.9:1/x", true);
        check("http://[::1]:9000", true);

        check("", false);
        check("auth.example.com", false);
        check("https:/auth.example.com", false);
        check("HTTPS://auth.example.com", false);
        check("ftp://auth.example.com", false);
        check("https://", false);
        check("https:///realms", false);
        check("https://auth.example.com?x=1", false);
        check("https://auth.example.com/?", false);
        check("https://auth.example.com/#", false);
        check("https://auth.example.com#a", false);
        check("https://me@auth.example.com", false);
        check("https://me:pw@auth.example.com/", false);
        check("https://auth.example.com:", false);
        check("https://auth.example.com:0", false);
        check("https://auth.example.com:65536", false);
        check("https://auth.example.com:+80", false);
        check("https://auth.example.com:80:80", false);
        check("https://auth..example.com", false);
        check("https://auth.example.com./", false);
        check("https://bücher.example", false);
        check("https://auth%2eexample.com", false);
        check("https://auth.example.com/a b", false);
        check("https://auth.example.com/a\\b", false);
        check("https://auth.example.com/%zz", false);
        check("https://auth.example.com/%4", false);
        check("https://auth.example.com/ä", false);
        check(" https://auth.example.com", false);
        check("https://auth.example.com\n", false);
        check("https://[::1", false);
        check("https://[::1]x", false);
        check("https://[fe80::1%25eth0]", false);
        check("https://::1", false);
        check("https://127.1", false);
        check("https://0x7f.0.0.0x1", false);
        check("https://1.2.3.4.5", false);
        check("https://a.300", false);

        check("http://auth.example.com", false);
        check("http://localhost.example.com", false);
        check("http://127.0.0.1.example.com", false);
        check("http://localhost@evil.example", false);
        check("http://10.0.0.1", false);
        check("http://0.0.0.0", false);
        check("http://[::2]", false);
    }

    #[test]
    fn public_origins() {
        let check = |text: &str, expect: bool| {
            let parsed = PublicOrigin::parse(text);
            assert_eq!(parsed.is_ok(), expect, "{text}");
            assert!(parsed.is_err() || parsed.unwrap().as_str() == text);
        };
        check("https://mcp.example.com", true);
        check("https://mcp.example.com:8443", true);
        check("https://mcp.example.com:80", true);
        check("http://127.0.0.1:8080", true);
        check("http://localhost:443", true);
        check("https://[2001:db8::1]", true);
        check("https://xn--bcher-kva.example", true);

        check("https://mcp.example.com/", false);
        check("https://mcp.example.com/mcp", false);
        check("https://MCP.example.com", false);
        check("https://mcp.example.com:443", false);
        check("http://localhost:80", false);
        check("https://mcp.example.com:08443", false);
        check("https://[2001:DB8::1]", false);
        check("https://[2001:db8:0::1]", false);
        check("https://mcp.example.com#x", false);
        check("https://mcp.example.com?x", false);
        check("https://a@mcp.example.com", false);
        check("http://mcp.example.com", false);
        check("null", false);
    }

    #[test]
    fn parts_of_an_origin() {
        let check = |text: &str, authority: &str, host: &str, https: bool| {
            let origin = PublicOrigin::parse(text).unwrap();
            assert_eq!((origin.authority(), origin.host(), origin.is_https()), (authority, host, https));
        };
        check("https://mcp.example.com", "mcp.example.com", "mcp.example.com", true);
        check("https://mcp.example.com:8443", "mcp.example.com:8443", "mcp.example.com", true);
        check("http://[::1]:8080", "[::1]:8080", "[::1]", false);
        let https = PublicOrigin::parse("https://mcp.example.com").unwrap();
        let http = PublicOrigin::parse("http://localhost").unwrap();
        assert_eq!(https.canonical("MCP.example.com:443"), "mcp.example.com");
        assert_eq!(https.canonical("mcp.example.com:80"), "mcp.example.com:80");
        assert_eq!(http.canonical("LOCALHOST:80"), "localhost");
        assert_eq!(http.canonical("localhost:443"), "localhost:443");
    }

    #[test]
    fn resources_keep_every_byte() {
        let origin = PublicOrigin::parse("https://mcp.example.com").unwrap();
        assert_eq!(ResourceUri::of(&origin, "").as_str(), "https://mcp.example.com");
        assert_eq!(ResourceUri::of(&origin, "/").as_str(), "https://mcp.example.com/");
        assert_eq!(ResourceUri::of(&origin, "/a/Mcp").as_str(), "https://mcp.example.com/a/Mcp");
    }

    #[test]
    fn audiences() {
        assert_eq!(Audience::parse("api://github mcp").unwrap().as_str(), "api://github mcp");
        assert!(Audience::parse("").is_err());
        assert!(Audience::parse("a\0").is_err());
        assert!(Audience::parse("a\u{85}").is_err());
    }

    #[test]
    fn loopback() {
        let check = |host: &str, expect: bool| assert_eq!(is_loopback_host(host), expect, "{host}");
        check("localhost", true);
        check("LocalHost", true);
        check("127.0.0.1", true);
        check("127.9.9.9", true);
        check("::1", true);
        check("[::1]", true);
        check("[0:0::1]", true);
        check("", false);
        check("localhost.", false);
        check("a.localhost", false);
        check("128.0.0.1", false);
        check("127.1", false);
        check("127.0.0.1:80", false);
        check("[::ffff:127.0.0.1]", false);
        check("[::1", false);
    }
}
