//! Where a login may lead back to: which redirect URIs a client may name, and whether two are the same. What is not one of
//! the accepted kinds is refused, so that a page of ours never leads to a script.

use crate::oauth::ids::{self, is_loopback_host};

/// The parts of an https URL, or of an http URL to this machine.
#[derive(Debug, PartialEq, Eq)]
struct Web<'a> {
    https: bool,
    authority: &'a str,
    /// Path and query.
    rest: &'a str,
}

/// Whether a client may register `uri`: https; http to this machine (RFC 8252 §7.3); a scheme of its own, which has a dot
/// (RFC 8252 §7.1). `javascript:`, `data:`, `file:` and the like have none.
pub(super) fn is_redirect_uri(uri: &str) -> bool {
    if uri.len() > URI_BYTES_MAX || !uri.bytes().all(is_uri_byte) || uri.contains('#') {
        return false;
    }
    Web::parse(uri).is_some() || private_scheme(uri).is_some()
}

/// Whether a request's `asked` is the `registered` redirect URI: byte for byte. On this machine the port may be another: a
/// native app takes the one that is free (RFC 8252 §7.3).
pub(super) fn is_same(registered: &str, asked: &str) -> bool {
    if registered == asked {
        return true;
    }
    let (Some(one), Some(other)) = (Web::parse(registered), Web::parse(asked)) else { return false };
    !one.https && !other.https && host(one.authority) == host(other.authority) && one.rest == other.rest
}

/// What the consent page calls the place of a redirect: its host and port, or the app's scheme.
pub(super) fn place(uri: &str) -> &str {
    Web::parse(uri).map_or_else(|| private_scheme(uri).unwrap_or_default(), |web| web.authority)
}

/// Whether `uri` leads to whatever program listens on this machine.
pub(super) fn is_local(uri: &str) -> bool {
    Web::parse(uri).is_some_and(|web| is_loopback_host(host(web.authority)))
}

/// The source expression that allows a form to end in a redirect to `uri` (CSP 3 §6.4.2). Its characters were checked: a
/// client that could write `;` would write the policy.
pub(super) fn form_target(uri: &str) -> String {
    match Web::parse(uri) {
        // The grammar of sources has no IPv6 addresses.
        Some(web) if web.authority.starts_with('[') => if web.https { "https:" } else { "http:" }.to_owned(),
        Some(web) => format!("{}://{}", if web.https { "https" } else { "http" }, web.authority),
        None => private_scheme(uri).map_or_else(|| "'none'".to_owned(), |scheme| format!("{scheme}:")),
    }
}

/// The host of a client that is known by the URL of its metadata document
/// (draft-ietf-oauth-client-id-metadata-document §3): https, a path, no query and no fragment, no dot segments. `None` for
/// what is no such URL.
pub(super) fn document_host(client_id: &str) -> Option<&str> {
    let web = Web::parse(client_id).filter(|web| web.https && web.rest.len() > 1 && !web.rest.contains('?'))?;
    let dots = web.rest.split('/').any(|segment| segment == "." || segment == "..");
    (client_id.len() <= URI_BYTES_MAX && !dots).then_some(web.authority)
}

impl<'a> Web<'a> {
    fn parse(uri: &'a str) -> Option<Self> {
        let (base, query) = uri.split_once('?').map_or((uri, ""), |(base, query)| (base, query));
        // An issuer identifier is read by the rules that hold here as well: https, or http to this machine; a host that
        // is a name or an address, no user information. `https://good@evil` and `https://a;b` are neither.
        ids::Issuer::parse(base).ok()?;
        if !query.bytes().all(is_uri_byte) {
            return None;
        }
        let (scheme, after) = uri.split_once("://")?;
        let (authority, rest) = after.split_at_checked(after.find(['/', '?']).unwrap_or(after.len()))?;
        Some(Self { https: scheme == "https", authority, rest })
    }
}

/// The scheme, when it has a dot and nothing that a browser or the system gives a meaning to.
fn private_scheme(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let labels = scheme.contains('.') && scheme.split('.').all(|label| !label.is_empty());
    let begins = scheme.starts_with(|first: char| first.is_ascii_lowercase());
    (labels && begins && scheme.bytes().all(named) && !rest.is_empty()).then_some(scheme)
}

/// Without the port; an IPv6 address keeps its brackets.
fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        Some(_) | None => authority,
    }
}

/// Visible ASCII that RFC 3986 §2 allows.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)
}

const URI_BYTES_MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris() {
        let check = |uri: &str, expect: bool| assert_eq!(is_redirect_uri(uri), expect, "{uri:?}");
        check("https://client.example/callback", true);
        check("https://client.example", true);
        check("https://client.example/callback?x=1&y=%20", true);
        check("http://127.0.0.1/callback", true);
        check("http://127.0.0.1:33418/", true);
        check("http://localhost:6274/oauth/callback", true);
        check("http://[::1]:8080/callback", true);
        check("com.example.app:/callback", true);
        check("com.example.app://callback", true);
        check("http://client.example/callback", false);
        check("http://127.0.0.1.evil.example/", false);
        check("http://0.0.0.0/", false);
        check("https://client.example/callback#x", false);
        check("https://good.example@evil.example/", false);
        check("https://good.example\\@evil.example/", false);
        check("https://a;script-src/", false);
        check("https://a,b/", false);
        check("https://", false);
        check("https:client.example", false);
        check("https://client.example/call back", false);
        check("https://client.example/\r\nSet-Cookie:x", false);
        check("https://client.example/?<script>", false);
        check("javascript:alert(1)", false);
        check("JavaScript:alert(1)", false);
        check("data:text/html,x", false);
        check("file:///etc/passwd", false);
        check("vbscript:x", false);
        check("myapp:/callback", false);
        check(".app:/callback", false);
        check("app.:/callback", false);
        check("1.app:/callback", false);
        check("com.example.app:", false);
        check("com.example;app:/x", false);
        check("//client.example/callback", false);
        check("/callback", false);
        check("", false);
        check(&format!("https://client.example/{}", "a".repeat(2048)), false);
    }

    #[test]
    fn redirect_uris_match_exactly_but_for_local_ports() {
        let check = |registered: &str, asked: &str, expect: bool| {
            assert_eq!(is_same(registered, asked), expect, "{registered} {asked}");
        };
        check("https://c.example/cb", "https://c.example/cb", true);
        check("https://c.example/cb", "https://c.example/cb/", false);
        check("https://c.example/cb", "https://c.example/cb?x", false);
        check("https://c.example/cb", "https://c.example/CB", false);
        check("https://c.example/cb", "https://c.example:443/cb", false);
        check("https://c.example/cb", "https://c.example:444/cb", false);
        check("https://c.example/cb", "https://d.c.example/cb", false);
        check("https://c.example/cb", "http://c.example/cb", false);
        check("https://c.example/a", "https://c.example/x/../a", false);
        check("http://127.0.0.1/cb", "http://127.0.0.1:4000/cb", true);
        check("http://127.0.0.1:1/cb", "http://127.0.0.1:4000/cb", true);
        check("http://localhost:1/cb", "http://localhost:2/cb", true);
        check("http://[::1]:1/cb", "http://[::1]/cb", true);
        check("http://127.0.0.1:1/cb", "http://127.0.0.1:1/other", false);
        check("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb?x=1", false);
        check("http://127.0.0.1:1/cb", "http://localhost:1/cb", false);
        check("http://127.0.0.1:1/cb", "http://127.0.0.1:1@evil.example/cb", false);
        check("http://127.0.0.1:1/cb", "https://127.0.0.1:1/cb", false);
        check("https://localhost:1/cb", "https://localhost:2/cb", false);
        check("com.example.app:/cb", "com.example.app:/cb", true);
        check("com.example.app:/cb", "com.example.app:/cb2", false);
    }

    #[test]
    fn places() {
        let check = |uri: &str, shown: &str, target: &str, local: bool| {
            assert_eq!((place(uri), form_target(uri).as_str(), is_local(uri)), (shown, target, local), "{uri}");
        };
        check("https://c.example:8443/cb?x", "c.example:8443", "https://c.example:8443", false);
        check("https://c.example?x", "c.example", "https://c.example", false);
        check("http://localhost:1/cb", "localhost:1", "http://localhost:1", true);
        check("http://[::1]:1/cb", "[::1]:1", "http:", true);
        check("http://[::1]/cb", "[::1]", "http:", true);
        check("com.example.app:/cb", "com.example.app", "com.example.app:", false);
        check("javascript:x", "", "'none'", false);
    }

    #[test]
    fn documents_that_name_a_client() {
        let check = |id: &str, expect: Option<&str>| assert_eq!(document_host(id), expect, "{id}");
        check("https://client.example/metadata.json", Some("client.example"));
        check("https://client.example:8443/a", Some("client.example:8443"));
        check("https://client.example", None);
        check("https://client.example/", None);
        check("https://client.example/a?b", None);
        check("https://client.example/a#b", None);
        check("https://client.example/a/../b", None);
        check("https://client.example/./b", None);
        check("https://u@client.example/a", None);
        check("http://127.0.0.1/a", None);
        check("abc", None);
    }
}
