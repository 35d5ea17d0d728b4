//! Sends a permitted request to its server and takes the head of the answer. No credential of the client goes with it,
//! and no header that the server could take for ours unless it is ours.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::Gateway;
use super::body;
use super::places::Held;
use super::route::{Part, Route};
use super::session::Owner;
use super::stage::{Authorized, Forwarded, Head, Inspected, Payload, Session};
use super::telemetry::Stage;
use super::trail::Trail;
use crate::rejection::{Failure, Rejection};
use crate::token::{ClaimPath, Principal};

impl Authorized {
    /// Sends the inspected bytes, once. A 401 or a redirect of the server's is not the client's to follow.
    pub async fn forward(self, gateway: &Gateway, trail: &mut Trail) -> Result<Forwarded, Rejection> {
        let Self { inspected, _permits: permits } = self;
        let Inspected { route, principal, head, payload, revision, session, address, asked } = inspected;
        let part = head.part;
        let place = gateway
            .count_operations(&principal, &route, &permits)
            .and_then(|()| place(gateway, &principal, &route, asked.lasts()))
            .map_err(|failure| Rejection::from(failure).answering(&asked))?;
        trail.stage(Stage::Forward);
        let mut request = upstream_request(head, &route, &principal, session.as_ref(), gateway, &payload);
        if let Some(address) = &address {
            address.expect(&asked).map_err(|failure| Rejection::from(failure).answering(&asked))?;
            *request.uri_mut() = http::Uri::from(address.target.clone());
        }
        trail.forwards(request.headers_mut(), &route.upstream_settings.authority);
        trail.sending();
        let sent = route.upstream.send(request).await;
        drop((payload, permits));
        let answer = sent.and_then(|answer| {
            trail.upstream_status(answer.status());
            checked(answer)
        });
        if let Some(address) = &address
            && !answer.as_ref().is_ok_and(|answer| answer.status().is_success())
        {
            address.give_up(&asked);
        }
        match answer {
            Ok(answer) => Ok(Forwarded { route, part, principal, revision, session, asked, place, answer }),
            Err(failure) => Err(Rejection::from(failure).answering(&asked)),
        }
    }
}

/// The place of what begins: a stream's among those of its principal, any other request's among those of its route.
fn place(gateway: &Gateway, principal: &Principal, route: &Route, lasts: bool) -> Result<Held, Failure> {
    if lasts {
        let streams_max = gateway.limits.streams_per_principal_max;
        let place = gateway.taken.streams.take(Owner::of(principal, &route.name), streams_max);
        let limit = "limits.streams_per_principal_max";
        return place.map(Held::Stream).ok_or(Failure::RateLimited { retry_after_secs: RETRY_AFTER_SECS, limit });
    }
    let Some(requests_max) = route.limits.requests_max else { return Ok(Held::Nothing) };
    let place = gateway.taken.on_route.take(Arc::clone(&route.name), requests_max);
    let limit = "routes[].limits.requests_max";
    place.map(Held::Request).ok_or(Failure::Overloaded { retry_after_secs: RETRY_AFTER_SECS, limit })
}

/// Refuses the answers that would send the client elsewhere, or that are less than an answer.
fn checked(answer: Response<Incoming>) -> Result<Response<Incoming>, Failure> {
    let status = answer.status();
    if status == StatusCode::UNAUTHORIZED {
        // Its challenge names another authorization server, or ours without our resource.
        return Err(Failure::UpstreamUnauthorized);
    }
    if status == StatusCode::PARTIAL_CONTENT {
        // Out of the middle of a list, a part may be JSON that shows no list.
        return Err(Failure::UpstreamProtocol { detail: "the server answered with a part", location: None });
    }
    if status.is_redirection() {
        let location = answer.headers().get(header::LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()).into());
        return Err(Failure::UpstreamProtocol { detail: "the server answered with a redirect", location });
    }
    Ok(answer)
}

/// The request as the server gets it: path and query from the route, headers cleaned, the bytes that were inspected.
fn upstream_request(
    head: Head,
    route: &Route,
    principal: &Principal,
    session: Option<&Session>,
    gateway: &Gateway,
    payload: &Payload,
) -> Request<body::Body> {
    let Head { method, headers, peer, authority, part, query: _ } = head;
    let trusted = gateway.trusted_proxies.iter().any(|net| net.contains(&peer.address.ip().to_canonical()));
    let mut headers = clean(headers, &route.upstream_settings.identity, trusted);
    set_forwarded(&mut headers, &peer.address.ip().to_canonical().to_string(), &authority, gateway.public_https);
    set_identity(&mut headers, route, principal);
    // A stream of HTTP+SSE must be read whatever is filtered: its first event is replaced.
    if route.policy.filters_lists() || part == Part::Stream {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if let Some(session) = session
        && let Ok(id) = HeaderValue::from_str(&session.upstream)
    {
        headers.insert("mcp-session-id", id);
    }
    let body = if method == Method::POST {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(payload.bytes.len()));
        body::full(payload.bytes.clone())
    } else {
        body::empty()
    };
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = http::Uri::from(route.upstream_settings.path.clone());
    *request.headers_mut() = headers;
    request
}

/// What of the client's headers goes on: nothing hop-by-hop or named by `Connection` (removed before ours are added, so
/// that it cannot name one of ours), no credentials, and nothing that some server reads as a header of ours.
fn clean(headers: HeaderMap, identity: &[(HeaderName, ClaimPath)], trusted: bool) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
        .collect();
    let mut cleaned = HeaderMap::with_capacity(headers.len() + 8);
    let mut current = None;
    for (name, value) in headers {
        if let Some(name) = name {
            current = Some(name).filter(|name| passes(name, &named, identity, trusted));
        }
        if let Some(name) = &current {
            cleaned.append(name.clone(), value);
        }
    }
    cleaned
}

fn passes(
    name: &HeaderName,
    named_by_connection: &[String],
    identity: &[(HeaderName, ClaimPath)],
    trusted: bool,
) -> bool {
    let written = name.as_str();
    if named_by_connection.iter().any(|named| named == written) && !END_TO_END.contains(&written) {
        return false;
    }
    // CGI-like servers read `X_Auth.Subject`, old ones `X!Auth~Subject` too, as `X-Auth-Subject`: every spelling counts as the
    // name itself.
    let respelt = written.bytes().any(|byte| !byte.is_ascii_alphanumeric() && byte != b'-');
    let folded = if respelt {
        Cow::Owned(written.replace(|char: char| !char.is_ascii_alphanumeric(), "-"))
    } else {
        Cow::Borrowed(written)
    };
    if REMOVED.contains(&&*folded) || identity.iter().any(|(own, _)| *own.as_str() == *folded) {
        return false;
    }
    let forwarded = folded == "forwarded" || folded == "x-real-ip" || folded.starts_with("x-forwarded-");
    if forwarded {
        return trusted && !respelt;
    }
    !(respelt && (folded.starts_with("mcp-") || folded == "last-event-id" || END_TO_END.contains(&&*folded)))
}

/// Says whom we forward for (RFC 7239), in both common forms. What a trusted proxy said before stays in front.
fn set_forwarded(headers: &mut HeaderMap, peer: &str, authority: &str, https: bool) {
    let proto = if https { "https" } else { "http" };
    let node = if peer.contains(':') { format!("\"[{peer}]\"") } else { peer.to_owned() };
    append_listed(headers, header::FORWARDED, &format!("for={node};host=\"{authority}\";proto={proto}"));
    append_listed(headers, HeaderName::from_static("x-forwarded-for"), peer);
    for (name, value) in [("x-forwarded-host", authority), ("x-forwarded-proto", proto)] {
        if !headers.contains_key(name)
            && let Ok(value) = HeaderValue::from_str(value)
        {
            headers.insert(name, value);
        }
    }
}

fn append_listed(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let mut list: Vec<u8> = Vec::new();
    for before in headers.get_all(&name) {
        list.extend_from_slice(before.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(element.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&list) {
        headers.insert(name, value);
    }
}

/// The claims that the route sends. An absent claim leaves no header: what came in under its name is gone already.
fn set_identity(headers: &mut HeaderMap, route: &Route, principal: &Principal) {
    for (name, claim) in &route.upstream_settings.identity {
        let Some(texts) = principal.claim(claim) else { continue };
        if let Ok(value) = HeaderValue::from_str(&header_text(&texts)) {
            headers.insert(name.clone(), value);
        }
    }
}

/// Each text in visible ASCII, the texts joined by spaces. A space within a text is encoded: "admin " must not reach the
/// server, which trims, as "admin", nor one role as two.
fn header_text(texts: &[String]) -> String {
    let encoded: Vec<String> = texts.iter().map(|text| utf8_percent_encode(text, NOT_VISIBLE).to_string()).collect();
    encoded.join(" ")
}

/// Everything but visible ASCII; and `%` itself, so that decoding gives the claim back.
const NOT_VISIBLE: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Never sent on: credentials (among them the proof in `DPoP`, made for us), hop-by-hop headers (RFC 9110 §7.6.1), what we
/// frame or name ourselves, what asks for a part of an answer or for none (206 and 304 cannot be filtered), what other
/// proxies own and servers therefore believe (who calls, which path, which method).
const REMOVED: [&str; 34] = [
    "authorization",
    "dpop",
    "cookie",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "origin",
    "upgrade",
    "expect",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "content-length",
    "host",
    "http2-settings",
    "range",
    "if-range",
    "if-none-match",
    "if-modified-since",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "gatepost-reason",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "proxy",
    "x-original-url",
    "x-rewrite-url",
    "x-envoy-original-path",
];

/// Nobody can say when another of the caller's streams ends.
const RETRY_AFTER_SECS: u64 = 10;

/// What `Connection` can't take away: without it the server would read the request otherwise than we did.
const END_TO_END: [&str; 6] =
    ["content-type", "content-encoding", "accept", "mcp-protocol-version", "mcp-method", "mcp-name"];

#[cfg(test)]
mod tests {
    use super::*;

    /// The names and values that pass, in the order of the names.
    fn cleaned(headers: &[(&str, &str)], trusted: bool) -> Vec<(String, String)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let identity = [(HeaderName::from_static("x-auth-subject"), ClaimPath::parse("sub").unwrap())];
        let cleaned = clean(map, &identity, trusted);
        let mut passed: Vec<_> =
            cleaned.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        passed.sort();
        passed
    }

    fn check_removed(name: &str) {
        let passed = cleaned(&[(name, "forged"), ("accept", "a/b")], false);
        assert_eq!(passed, [("accept".to_owned(), "a/b".to_owned())], "{name}");
    }

    fn check_passes(name: &str) {
        assert_eq!(cleaned(&[(name, "v")], false), [(name.to_owned(), "v".to_owned())], "{name}");
    }

    #[test]
    fn credentials_and_hop_by_hop_headers_are_removed() {
        REMOVED.into_iter().for_each(check_removed);
        ["authorization", "cookie", "te", "upgrade", "expect", "origin", "host"].into_iter().for_each(check_removed);
    }

    #[test]
    fn every_spelling_of_a_header_of_ours_is_removed() {
        for name in [
            "x-auth-subject",
            "x_auth_subject",
            "x-auth.subject",
            "x.auth_subject",
            "x!auth~subject",
            "x-forwarded-user",
        ] {
            check_removed(name);
        }
        for name in ["forwarded", "x-real-ip", "x_real_ip", "x-forwarded-for", "x-forwarded-proto", "x_forwarded-host"]
        {
            check_removed(name);
        }
        for name in ["mcp_session_id", "mcp.name", "mcp_method", "content_type", "content_length", "transfer_encoding"]
        {
            check_removed(name);
        }
    }

    #[test]
    fn other_headers_pass() {
        for name in ["accept", "user-agent", "traceparent", "mcp-param-region", "x_custom", "mcp-protocol-version"] {
            check_passes(name);
        }
    }

    #[test]
    fn what_connection_names_is_removed_but_not_what_the_server_reads_the_request_by() {
        let passed = cleaned(
            &[
                ("connection", "close, X-Custom , content-type"),
                ("x-custom", "1"),
                ("content-type", "application/json"),
            ],
            false,
        );
        assert_eq!(passed, [("content-type".to_owned(), "application/json".to_owned())]);
    }

    #[test]
    fn a_trusted_proxy_may_say_whom_it_forwards_for_but_not_who_calls() {
        let said = [("x-forwarded-for", "192.0.2.1"), ("x_forwarded_for", "forged"), ("x-forwarded-user", "root")];
        assert_eq!(cleaned(&said, true), [("x-forwarded-for".to_owned(), "192.0.2.1".to_owned())]);
    }

    #[test]
    fn claims_become_visible_ascii_that_decodes_to_them() {
        let check = |texts: &[&str], expect: &str| {
            assert_eq!(header_text(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()), expect);
        };
        check(&["ada@example.com"], "ada@example.com");
        check(&["admin "], "admin%20");
        check(&["a b", "c"], "a%20b c");
        check(&["zoë\r\nX-Role: root"], "zo%C3%AB%0D%0AX-Role:%20root");
        check(&["%41"], "%2541");
        check(&[], "");
    }

    #[test]
    fn repeated_headers_keep_their_values_in_order() {
        let passed = cleaned(&[("accept", "a"), ("accept", "b")], false);
        assert_eq!(passed, [("accept".to_owned(), "a".to_owned()), ("accept".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn forwarded_headers_append_to_what_a_trusted_proxy_said() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
        set_forwarded(&mut headers, "2001:db8::1", "mcp.example.com", true);
        assert_eq!(headers["x-forwarded-for"], "192.0.2.1, 2001:db8::1");
        assert_eq!(headers["x-forwarded-host"], "mcp.example.com");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["forwarded"], "for=\"[2001:db8::1]\";host=\"mcp.example.com\";proto=https");
    }
}
