//! `routes`: the MCP endpoints, each with its resource identifier, its MCP server and its policy. What is compared with
//! what a client sends has one spelling only; a second one is refused here rather than matched there.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderName;
use http::uri::{Authority, PathAndQuery, Uri};

use super::checks::Checks;
use super::endpoints::Taken;
use super::error::{closest, one_of, shown};
use super::place::KeyPath;
use super::policies::{Policies, Ruled};
use super::{endpoints, limits, raw, transport};
use crate::gateway::settings::{RouteLimits, RouteSettings, Timeouts, UpstreamSettings, UpstreamTls};
use crate::gateway::tls;
use crate::oauth::ids::{Audience, Issuer, PublicOrigin, ResourceUri};
use crate::oauth::scope::{Scope, ScopeHierarchy, ScopeSet};
use crate::policy::rule::{Default as Otherwise, Mode, Visibility};
use crate::policy::{Policy, PolicySettings};
use crate::token::{ClaimPath, IssuerSettings};

/// The longest `connect_secs`.
pub(super) const CONNECT_SECS_MAX: u64 = 60;
/// The longest `answer_secs`.
pub(super) const ANSWER_SECS_MAX: u64 = 86_400;

/// What the routes take from the rest of the file.
pub(super) struct Common<'a> {
    /// `None` when it could not be read, which is reported.
    pub(super) public_url: Option<&'a PublicOrigin>,
    /// Further names of that one.
    pub(super) hosts: &'a [String],
    pub(super) issuers: &'a [IssuerSettings],
    pub(super) hierarchy: Arc<ScopeHierarchy>,
    pub(super) timeouts: Timeouts,
    /// `None` when it could not be read, which is reported.
    pub(super) listen: Option<SocketAddr>,
}

/// A route as written, and where.
pub(super) type Written<'a> = (KeyPath, &'a raw::Route);

/// Those that could be read; what is wrong with the others is reported.
pub(super) fn routes(
    written: &[Written<'_>],
    common: &Common<'_>,
    policies: &mut Policies,
    checks: &mut Checks<'_>,
) -> Vec<RouteSettings> {
    if written.is_empty() {
        let list = KeyPath::default().key("routes");
        checks.refuse(&list, "there is no route", "at least one, with name, path and upstream");
    }
    let mut routes: Vec<RouteSettings> = Vec::new();
    let mut taken = Taken::default();
    for (path, route) in written {
        let public_url = endpoints::public_url(route, path, common, checks);
        let at = endpoints::At { route, path, public_url: public_url.as_ref() };
        let resource = resource(route, path, public_url.as_ref(), checks);
        taken.name(&at, checks);
        taken.paths(&at, checks);
        taken.resource(&at, resource.as_ref(), checks);
        let address = public_url.zip(resource);
        routes.extend(self::route(route, path, address, common, policies, checks));
    }
    for (path, route) in written {
        taken.foreign_audiences(route, path, checks);
    }
    routes
}

fn route(
    route: &raw::Route,
    path: &KeyPath,
    address: Option<(PublicOrigin, ResourceUri)>,
    common: &Common<'_>,
    policies: &mut Policies,
    checks: &mut Checks<'_>,
) -> Option<RouteSettings> {
    let name = checks.value(&path.key("name"), &route.name, route_name(&route.name));
    let endpoint = checks.value(&path.key("path"), &route.path, endpoint_path(&route.path));
    let transport = transport::transport(route, path, checks);
    let upstream = upstream(&route.upstream, &path.key("upstream"), common, checks);
    let audiences = checks.list(&path.key("audiences"), &route.audiences, Audience::parse);
    let issuers = issuers(route, path, common, checks);
    let required_scopes = scopes(&route.required_scopes, &path.key("required_scopes"), checks);
    let challenge = route.challenge_scopes.as_deref().map(|list| scopes(list, &path.key("challenge_scopes"), checks));
    let supported = route.scopes_supported.as_deref().map(|list| scopes(list, &path.key("scopes_supported"), checks));
    let allowed_origins = checks.list(&path.key("allowed_origins"), &route.allowed_origins, browser_origin);
    let ruled = policies.of_route(route, path, checks);
    hiding(route, path, checks);
    let limits = limits::of_route(&route.limits, &path.key("limits"), checks);
    let (name, required_scopes, Ruled { rules, rates }) = (name?, required_scopes?, ruled?);
    let limits = RouteLimits { rules: rates, ..limits };
    let policy = Policy::new(PolicySettings {
        route: Arc::clone(&name),
        required_scopes: required_scopes.clone(),
        rules,
        default: match route.default {
            raw::Otherwise::Deny => Otherwise::Deny,
            raw::Otherwise::Allow => Otherwise::Allow,
        },
        visibility: match route.visibility {
            raw::Visibility::Grantable => Visibility::Grantable,
            raw::Visibility::Granted => Visibility::Granted,
            raw::Visibility::All => Visibility::All,
        },
        mode: match route.mode {
            raw::Mode::Enforce => Mode::Enforce,
            raw::Mode::Report => Mode::Report,
        },
        hides: route.denial == raw::Denial::Hide,
        hierarchy: Arc::clone(&common.hierarchy),
    });
    let (public_url, resource) = address?;
    Some(RouteSettings {
        name,
        public_url,
        path: endpoint?,
        transport: transport?,
        upstream: upstream?,
        resource,
        audiences: audiences?,
        issuers: issuers?,
        challenge_scopes: challenge.unwrap_or(Some(required_scopes))?,
        scopes_supported: supported.unwrap_or_else(|| Some(policy.scopes_named()))?,
        allowed_origins: allowed_origins?,
        policy,
        limits,
    })
}

/// What is denied but stands in a list, or is refused to one caller and passed for another, is not hidden.
fn hiding(route: &raw::Route, path: &KeyPath, checks: &mut Checks<'_>) {
    if route.denial != raw::Denial::Hide {
        return;
    }
    for (key, fits, needed) in [
        ("visibility", route.visibility == raw::Visibility::Granted, "`visibility: granted`"),
        ("default", route.default == raw::Otherwise::Deny, "`default: deny`"),
        ("mode", route.mode == raw::Mode::Enforce, "`mode: enforce`"),
    ] {
        if !fits {
            let found = format!("hide hides nothing beside this route's {key}");
            let expected = format!("{needed} beside `denial: hide`, or `denial: challenge`");
            checks.refuse(&path.key("denial"), found, expected);
        }
    }
    for (index, rule) in route.rules.iter().enumerate() {
        if rule.message.is_some() && rule.methods.is_none() {
            // Those of a policy may be there for another route.
            let at = path.key("rules").index(index).key("message");
            let found = "`denial: hide` answers as if there were nothing, and never with these words";
            checks.refuse_key(&at, found, "no `message`, or `denial: challenge`");
        }
    }
}

pub(super) fn route_name(text: &str) -> Result<Arc<str>, &'static str> {
    let is_word = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if text.is_empty() || text.len() > 64 || !is_word {
        return Err("1 to 64 letters, digits, `-`, `_` and `.`");
    }
    if text == "none" {
        return Err("another word: metrics say `none` of requests that reach no route");
    }
    Ok(text.into())
}

/// A path that requests are compared with, byte for byte.
pub(super) fn endpoint_path(text: &str) -> Result<Arc<str>, &'static str> {
    if !text.starts_with('/') {
        return Err("a path that begins with `/`");
    }
    // What a server in front or behind may read as another path: requests with it never reach a route.
    if text.contains("//") || text.split('/').any(|segment| segment == "." || segment == "..") {
        return Err("a path without `//`, `.` and `..`");
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,=:@".contains(&b)) {
        return Err("a path of letters, digits and `-._~!$&'()*+,=:@/`; no `%`, `;`, `\\`, query or fragment");
    }
    if text == "/.well-known" || text.starts_with("/.well-known/") {
        return Err("a path outside of /.well-known/, where the gateway answers discovery");
    }
    Ok(text.into())
}

fn resource(
    route: &raw::Route,
    path: &KeyPath,
    public_url: Option<&PublicOrigin>,
    checks: &mut Checks<'_>,
) -> Option<ResourceUri> {
    let origin = public_url?;
    let endpoint = endpoint_path(&route.path).ok()?;
    let Some(text) = &route.resource else {
        // The bare origin, whose identifier has no slash.
        return Some(ResourceUri::of(origin, if &*endpoint == "/" { "" } else { &endpoint }));
    };
    let own_path = text.strip_prefix(origin.as_str()).filter(|own| is_segment_prefix(own, &endpoint));
    if own_path.is_none() {
        // Clients refuse to ask for a token for a resource that is not what they were told to call.
        let found = format!("{} is not a resource that clients of this route accept", shown(text));
        let expected = format!(
            "{origin}{endpoint}, or that without its last segments and without a slash at the end",
            origin = origin.as_str()
        );
        checks.refuse(&path.key("resource"), found, expected);
    }
    own_path.map(|own| ResourceUri::of(origin, own))
}

/// Whether `own` is `path` or its first whole segments; the empty text is.
fn is_segment_prefix(own: &str, path: &str) -> bool {
    match path.strip_prefix(own) {
        Some(rest) => own != "/" && (rest.is_empty() || rest.starts_with('/')),
        None => false,
    }
}

fn issuers(route: &raw::Route, path: &KeyPath, common: &Common<'_>, checks: &mut Checks<'_>) -> Option<Vec<Issuer>> {
    let known: Vec<&Issuer> = common.issuers.iter().map(|server| &server.issuer).collect();
    let Some(names) = &route.authorization_servers else {
        return Some(known.into_iter().cloned().collect());
    };
    let at = path.key("authorization_servers");
    if names.is_empty() {
        checks.refuse(&at, "no issuer serves this route", "at least one, or no such key for all of the file's");
        return None;
    }
    let mut issuers = Some(Vec::new());
    for (index, name) in names.iter().enumerate() {
        if let Some(issuer) = known.iter().find(|issuer| issuer.as_str() == name) {
            if let Some(issuers) = &mut issuers {
                issuers.push((*issuer).clone());
            }
            continue;
        }
        let words = || known.iter().map(|issuer| issuer.as_str());
        let meant = closest(name, words()).map_or(String::new(), |word| format!("; did you mean {}?", shown(word)));
        let found = format!("{} is not one of this file's issuers{meant}", shown(name));
        let expected = format!("an `issuer` of authorization_servers, written exactly as there: {}", one_of(words()));
        checks.refuse(&at.index(index), found, expected);
        issuers = None;
    }
    issuers
}

fn scopes(list: &[String], path: &KeyPath, checks: &mut Checks<'_>) -> Option<ScopeSet> {
    checks.list(path, list, token_scope).map(ScopeSet::from_iter)
}

/// A scope as it stands in tokens.
pub(super) fn token_scope(text: &str) -> Result<Scope, String> {
    if text.contains("{tool}") || text.contains("{route}") {
        return Err("a scope as it stands in tokens; {tool} and {route} stand for names in rules alone".to_owned());
    }
    Scope::parse(text).map_err(|error| error.to_string())
}

/// An origin as a browser writes it into `Origin`: compared byte for byte.
fn browser_origin(text: &str) -> Result<String, &'static str> {
    // Every sandboxed frame and local file has the origin `null`.
    let expected = "an origin as browsers write it, scheme://host or scheme://host:port: lower case, no path, no default \
                    port; neither `*` nor `null`";
    let (scheme, authority) = text.split_once("://").ok_or(expected)?;
    let host = authority.parse::<Authority>().map_err(|_| expected)?;
    let scheme_is_well = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    let host_is_well = !host.host().is_empty()
        && authority.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._:[]".contains(&b));
    let port_is_well = match (host.port_u16(), scheme) {
        (Some(443), "https") | (Some(80), "http") => false,
        (Some(port), _) => authority.ends_with(&format!(":{port}")),
        (None, _) => authority == host.host(),
    };
    if scheme_is_well && host_is_well && port_is_well { Ok(text.to_owned()) } else { Err(expected) }
}

fn upstream(
    upstream: &raw::Upstream,
    path: &KeyPath,
    common: &Common<'_>,
    checks: &mut Checks<'_>,
) -> Option<UpstreamSettings> {
    let map = match upstream {
        raw::Upstream::Map(map) => map,
        raw::Upstream::Url(text) => {
            return checks.value(path, text, plain_upstream(text, &common.timeouts, common.listen));
        }
    };
    let url = checks.value(&path.key("url"), &map.url, upstream_url(&map.url, common.listen));
    let tls = upstream_tls(&map.tls, &path.key("tls"), checks);
    let identity = identity(&map.identity, &path.key("identity").key("headers"), checks);
    let times = path.key("timeouts");
    let connect_timeout = checks.duration(
        &times.key("connect_secs"),
        map.timeouts.connect_secs,
        CONNECT_SECS_MAX,
        common.timeouts.connect,
    );
    let answer_timeout =
        checks.duration(&times.key("answer_secs"), map.timeouts.answer_secs, ANSWER_SECS_MAX, common.timeouts.answer);
    let (url, tls) = (url?, tls?);
    if !url.https && tls != UpstreamTls::default() {
        let found = format!("{} is plain http, so nothing of this would be used", shown(&map.url));
        checks.refuse_key(&path.key("tls"), found, "a `url` that begins with https://, or no `tls`");
    }
    let UpstreamUrl { https, authority, path } = url;
    Some(UpstreamSettings { https, authority, path, tls, identity: identity?, connect_timeout, answer_timeout })
}

/// An upstream that is its URL alone.
pub(super) fn plain_upstream(
    url: &str,
    timeouts: &Timeouts,
    listen: Option<SocketAddr>,
) -> Result<UpstreamSettings, &'static str> {
    let UpstreamUrl { https, authority, path } = upstream_url(url, listen)?;
    Ok(UpstreamSettings {
        https,
        authority,
        path,
        tls: UpstreamTls::default(),
        identity: Vec::new(),
        connect_timeout: timeouts.connect,
        answer_timeout: timeouts.answer,
    })
}

struct UpstreamUrl {
    https: bool,
    authority: Authority,
    path: PathAndQuery,
}

fn upstream_url(text: &str, listen: Option<SocketAddr>) -> Result<UpstreamUrl, &'static str> {
    let expected = "an http or https URL with a host, such as http://127.0.0.1:3000/mcp";
    if text.contains('#') {
        return Err("a URL without fragment: no server ever sees one");
    }
    let parts = text.parse::<Uri>().map_err(|_| expected)?.into_parts();
    let authority = parts.authority.ok_or(expected)?;
    if authority.as_str().contains('@') {
        return Err("a URL without user information: a secret does not stand in the file");
    }
    let https = match parts.scheme.as_ref().map(http::uri::Scheme::as_str) {
        Some("https") => true,
        Some("http") => false,
        Some(_) | None => return Err(expected),
    };
    let port_is_well = authority.as_str() == authority.host() || authority.port_u16().is_some_and(|port| port > 0);
    if authority.host().is_empty() || !port_is_well {
        return Err(expected);
    }
    if listen.is_some_and(|listen| is_own_listener(&authority, https, listen)) {
        return Err("the URL of an MCP server; at this one the gateway itself listens");
    }
    Ok(UpstreamUrl { https, authority, path: parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/")) })
}

/// Whether `listen` is what answers at `authority`.
pub(super) fn is_own_listener(authority: &Authority, https: bool, listen: SocketAddr) -> bool {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
    let is_own = match host.parse::<IpAddr>() {
        Ok(address) => address == listen.ip() || (address.is_loopback() && listen.ip().is_unspecified()),
        Err(_) => host == "localhost" && (listen.ip().is_loopback() || listen.ip().is_unspecified()),
    };
    is_own && port == listen.port()
}

fn upstream_tls(tls: &raw::UpstreamTls, path: &KeyPath, checks: &mut Checks<'_>) -> Option<UpstreamTls> {
    let mut file = |key, name: &Option<String>| match name {
        Some(name) => checks.file(&path.key(key), name).map(Some),
        None => Some(None),
    };
    let ca = file("ca", &tls.ca);
    let certificate = file("certificate", &tls.certificate);
    let private_key = file("private_key", &tls.private_key);
    for (key, alone) in [
        ("certificate", tls.certificate.is_some() && tls.private_key.is_none()),
        ("private_key", tls.private_key.is_some() && tls.certificate.is_none()),
    ] {
        if alone {
            checks.refuse(&path.key(key), format!("{key} stands alone"), "certificate and private_key, or neither");
        }
    }
    let server_name = match &tls.server_name {
        Some(name) => {
            let expected = "a host name or an IP address, without port";
            let read = tls::is_server_name(name).then(|| name.clone()).ok_or(expected);
            checks.value(&path.key("server_name"), name, read).map(Some)
        }
        None => Some(None),
    };
    Some(UpstreamTls { ca: ca?, client: certificate?.zip(private_key?), server_name: server_name? })
}

fn identity(identity: &raw::Identity, path: &KeyPath, checks: &mut Checks<'_>) -> Option<Vec<(HeaderName, ClaimPath)>> {
    let mut headers: Option<Vec<(HeaderName, ClaimPath)>> = Some(Vec::new());
    for (name, claim) in &identity.headers {
        let at = path.key(name);
        let header = checks.key(&at, name, identity_header(name));
        let claim = checks.value(&at, claim, ClaimPath::parse(claim));
        if let (Some(header), Some(known)) = (&header, &headers)
            && known.iter().any(|(other, _)| other == header)
        {
            let found = format!("{} stands here twice: case does not matter", shown(name));
            checks.refuse_key(&at, found, "each header once");
        }
        match (header.zip(claim), &mut headers) {
            (Some(pair), Some(headers)) => headers.push(pair),
            (Some(_), None) => {}
            (None, _) => headers = None,
        }
    }
    headers
}

/// A header that can carry a claim: none that HTTP, MCP or the gateway gives a meaning.
fn identity_header(text: &str) -> Result<HeaderName, &'static str> {
    const TAKEN: [&str; 21] = [
        "authorization",
        "cookie",
        "connection",
        "date",
        "expect",
        "forwarded",
        "from",
        "host",
        "keep-alive",
        "last-event-id",
        "origin",
        "range",
        "referer",
        "te",
        "trailer",
        "traceparent",
        "tracestate",
        "upgrade",
        "via",
        "x-real-ip",
        "x-http-method-override",
    ];
    const TAKEN_PREFIXES: [&str; 11] = [
        "accept",
        "access-control-",
        "cache-",
        "content-",
        "gatepost-",
        "if-",
        "mcp-",
        "proxy-",
        "sec-",
        "set-cookie",
        "transfer-",
    ];
    // What other proxies call the caller; the client's own are removed in any case.
    const CALLER: [&str; 4] =
        ["x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username"];
    // `X_Auth_Subject` and `X-Auth-Subject` are one name to many servers.
    let name = text.to_ascii_lowercase();
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err("a header name of letters, digits and `-`");
    }
    let taken = TAKEN.contains(&name.as_str())
        || TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name.starts_with("x-forwarded-") && !CALLER.contains(&name.as_str());
    if taken {
        return Err(
            "a header of its own, such as X-Auth-Subject: this one has a meaning in HTTP, in MCP or for proxies",
        );
    }
    name.parse().map_err(|_| "a header name of letters, digits and `-`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_paths() {
        let check = |text: &str, expect: bool| assert_eq!(endpoint_path(text).is_ok(), expect, "{text}");
        check("/", true);
        check("/github/mcp", true);
        check("/github/mcp/", true);
        check("/a.b/..c", true);
        check("/@scope/x", true);
        check("", false);
        check("github", false);
        check("/a//b", false);
        check("/a/../b", false);
        check("/a/.", false);
        check("/a;b", false);
        check("/a%2fb", false);
        check("/a\\b", false);
        check("/a?b", false);
        check("/a#b", false);
        check("/ä", false);
        check("/a b", false);
        check("/.well-known", false);
        check("/.well-known/x", false);
        check("/.well-knownx", true);
    }

    #[test]
    fn resources_are_whole_segments() {
        let check =
            |own: &str, path: &str, expect: bool| assert_eq!(is_segment_prefix(own, path), expect, "{own} {path}");
        check("", "/a/b", true);
        check("/a", "/a/b", true);
        check("/a/b", "/a/b", true);
        check("/a/", "/a/", true);
        check("/", "/a/b", false);
        check("/a/", "/a/b", false);
        check("/a/b/c", "/a/b", false);
        check("/a/bc", "/a/b", false);
        check("/a", "/ab", false);
        check(":8443/a", "/a", false);
        check(".evil.example/a", "/a", false);
    }

    #[test]
    fn browser_origins() {
        let check = |text: &str, expect: bool| assert_eq!(browser_origin(text).is_ok(), expect, "{text}");
        check("https://inspector.example", true);
        check("http://localhost:6274", true);
        check("http://[::1]:6274", true);
        check("vscode-webview://1abc", true);
        check("https://a:65535", true);
        check("*", false);
        check("null", false);
        check("https://*", false);
        check("https://*.example", false);
        check("https://a/", false);
        check("https://A", false);
        check("HTTPS://a", false);
        check("https://a:443", false);
        check("http://a:80", false);
        check("https://a:", false);
        check("https://a:070", false);
        check("https://a:65536", false);
        check("https://u@a", false);
        check("https://", false);
        check("a", false);
    }

    #[test]
    fn upstream_urls() {
        let check = |text: &str, expect: Option<(bool, &str, &str)>| {
            let got = upstream_url(text, None).ok();
            let got = got.as_ref().map(|url| (url.https, url.authority.as_str(), url.path.as_str()));
            assert_eq!(got, expect, "{text}");
        };
        check("http://127.0.0.1:3000/mcp", Some((false, "127.0.0.1:3000", "/mcp")));
        check("https://mcp.internal/a?b=c", Some((true, "mcp.internal", "/a?b=c")));
        check("https://mcp.internal", Some((true, "mcp.internal", "/")));
        check("http://[::1]:3000/", Some((false, "[::1]:3000", "/")));
        check("ftp://a/", None);
        check("/mcp", None);
        check("127.0.0.1:3000", None);
        check("http://", None);
        check("http://u:p@a/", None);
        check("http://a/#f", None);
        check("http://a:0/", None);
        check("http://a:/", None);
        check("http://a:65536/", None);
        check("http://a b/", None);
        check("", None);
    }

    #[test]
    fn identity_headers() {
        let check = |text: &str, expect: bool| assert_eq!(identity_header(text).is_ok(), expect, "{text}");
        check("X-Auth-Subject", true);
        check("x-client", true);
        check("X-Forwarded-Email", true);
        for taken in [
            "Authorization",
            "HOST",
            "Cookie",
            "Set-Cookie",
            "Connection",
            "Keep-Alive",
            "Proxy-Authorization",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
            "Content-Length",
            "content-type",
            "Mcp-Session-Id",
            "Mcp-Name",
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Access-Token",
            "Accept",
            "Origin",
            "X_Auth",
            "X.Auth",
            "",
            "X Y",
        ] {
            check(taken, false);
        }
    }
}
