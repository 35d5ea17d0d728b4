//! What the `endpoint` event of a server names, resolved against the server's URL (RFC 3986 §5). It must never lead to
//! another origin, and knows one spelling of each part: what clients would read otherwise than we do is refused.

use http::uri::{Authority, PathAndQuery};

use crate::gateway::settings::UpstreamSettings;

/// Where messages are posted: path and query, on the server's own origin. `reference` is an absolute URL of that origin or
/// relative to the server's URL; a fragment is left out, as clients do.
pub(super) fn resolve(reference: &str, upstream: &UpstreamSettings) -> Result<PathAndQuery, &'static str> {
    // Clients take `\` for `/` and pass over tabs and line ends: they would go where we did not look.
    if reference.is_empty() || !reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || OTHERS.contains(&byte)) {
        return Err("the endpoint event names no URL");
    }
    let (reference, _) = reference.split_once('#').unwrap_or((reference, ""));
    let (hierarchy, query) = split(reference, '?');
    let local = match scheme(hierarchy) {
        Some(scheme) if scheme.eq_ignore_ascii_case(if upstream.https { "https" } else { "http" }) => {
            let rest = hierarchy.get(scheme.len() + 1..).unwrap_or_default();
            own(rest.strip_prefix("//").ok_or(ELSEWHERE)?, upstream)?
        }
        Some(_) => return Err(ELSEWHERE),
        None => match hierarchy.strip_prefix("//") {
            Some(rest) => own(rest, upstream)?,
            None => hierarchy,
        },
    };
    let base = upstream.path.path();
    let path = match local {
        "" if local.len() == hierarchy.len() => base.to_owned(),
        "" => "/".to_owned(),
        local if local.starts_with('/') => without_dots(local),
        local => {
            let folder = base.rfind('/').and_then(|slash| base.get(..=slash)).unwrap_or("/");
            without_dots(&format!("{folder}{local}"))
        }
    };
    let target = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    PathAndQuery::try_from(target).map_err(|_| "the endpoint event names no URL")
}

/// The path behind `authority`, which must be the server's (user information is none of it, and neither is the default
/// port).
fn own<'a>(rest: &'a str, upstream: &UpstreamSettings) -> Result<&'a str, &'static str> {
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(ELSEWHERE)?;
    let named = authority.parse::<Authority>().map_err(|_| ELSEWHERE)?;
    let ours = &upstream.authority;
    let default_port = if upstream.https { 443 } else { 80 };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default_port);
    let port_is_well = authority == named.host() || named.port_u16().is_some();
    let same = named.host().eq_ignore_ascii_case(ours.host()) && port(&named) == port(ours);
    if same && port_is_well && !authority.contains('@') { Ok(path) } else { Err(ELSEWHERE) }
}

/// The scheme of a reference, if it begins with one (RFC 3986 §4.2: a colon before any slash).
fn scheme(hierarchy: &str) -> Option<&str> {
    let (first, _) = split(hierarchy, '/');
    first.split_once(':').map(|(scheme, _)| scheme)
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// An absolute path without `.` and `..` (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// What may stand in a URL besides letters and digits (RFC 3986 §2).
const OTHERS: &[u8] = b"-._~:/?#[]@!$&'()*+,;=%";

const ELSEWHERE: &str = "the endpoint event names another origin than the server's";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gateway::settings::UpstreamTls;

    fn upstream(url: &str) -> UpstreamSettings {
        let uri: http::Uri = url.parse().unwrap();
        let parts = uri.into_parts();
        UpstreamSettings {
            https: url.starts_with("https"),
            authority: parts.authority.unwrap(),
            path: parts.path_and_query.unwrap(),
            tls: UpstreamTls::default(),
            identity: vec![],
            connect_timeout: Duration::ZERO,
            answer_timeout: Duration::ZERO,
        }
    }

    #[track_caller]
    fn check(url: &str, reference: &str, expect: &str) {
        let resolved = resolve(reference, &upstream(url)).map(|target| target.to_string());
        assert_eq!(resolved.as_deref(), Ok(expect), "{reference} on {url}");
    }

    #[test]
    fn references_are_resolved_as_clients_do() {
        const URL: &str = "http://mcp:3000/a/sse?key=1";
        for (reference, expect) in [
            ("/message?sessionId=1", "/message?sessionId=1"),
            ("/messages/?session_id=ab", "/messages/?session_id=ab"),
            ("message?x=/../y", "/a/message?x=/../y"),
            ("./message", "/a/message"),
            ("../message", "/message"),
            ("../../../message", "/message"),
            ("/a/./b/../c/..", "/a/"),
            ("/a/.", "/a/"),
            ("?sessionId=1", "/a/sse?sessionId=1"),
            ("#x", "/a/sse"),
            ("/message?a=b#x?y", "/message?a=b"),
            ("http://mcp:3000/m", "/m"),
            ("HTTP://MCP:3000/m?a", "/m?a"),
            ("http://mcp:3000", "/"),
            ("http://mcp:3000?a=b", "/?a=b"),
            ("//mcp:3000/m", "/m"),
            ("/a:b/c", "/a:b/c"),
            ("./a:b", "/a/a:b"),
            ("/m%2F..%2f?x", "/m%2F..%2f?x"),
            ("/m?u=http://evil.example/", "/m?u=http://evil.example/"),
            // Of a path that begins with `//` nobody asks the server for another host.
            ("/.//evil.example/m", "//evil.example/m"),
        ] {
            check(URL, reference, expect);
        }
        check("http://mcp", "http://mcp:80/m", "/m");
        check("https://mcp:443/", "https://MCP/m", "/m");
        check("http://[::1]:1/sse", "http://[::1]:1/m", "/m");
        check("http://mcp", "m", "/m");
    }

    #[test]
    fn nothing_leads_elsewhere() {
        for reference in [
            "http://evil.example/m",
            "//evil.example/m",
            "http://mcp/m",
            "http://mcp:3001/m",
            "https://mcp:3000/m",
            "ws://mcp:3000/m",
            "http://mcp:3000@evil.example/m",
            "http://evil.example@mcp:3000/m",
            "http://mcp:3000.evil.example/m",
            "http://mcp.:3000/m",
            "http://mcp:/m",
            "http://mcp:03000x/m",
            "http:/m",
            "http:m",
            "http:",
            "http:///m",
            "//",
            "mailto:a",
            "javascript:alert(1)",
            "a:b",
            ":",
            "",
            " /m",
            "/m ",
            "/m\n",
            "/m\n/n",
            "\t/m",
            "/\\evil.example/m",
            "\\\\evil.example/m",
            "/m\u{e9}",
            "/m\0",
            "/<m>",
            "/\"",
        ] {
            let resolved = resolve(reference, &upstream("http://mcp:3000/a/sse"));
            assert!(resolved.is_err(), "{reference:?}: {resolved:?}");
        }
    }
}
