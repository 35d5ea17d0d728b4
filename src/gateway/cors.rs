//! What browsers are told: which origins may call an MCP endpoint, what they may send and read. An origin that the file
//! does not name gets nothing.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::body::{self, Body};
use super::route::{Part, Route, malformed};
use crate::rejection::Failure;

/// The `Origin` of a request, if it has one: `public_url`'s own or one of `allowed_origins`, compared exactly
/// (MCP 2025-11-25, Streamable HTTP, Security Warning). `null` and `*` never are.
pub(super) fn allowed_origin(headers: &HeaderMap, route: &Route) -> Result<Option<HeaderValue>, Failure> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(None) };
    if origins.next().is_some() {
        return Err(malformed("more than one Origin header"));
    }
    if route.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) {
        Ok(Some(origin.clone()))
    } else {
        Err(Failure::OriginNotAllowed)
    }
}

/// Lets the page at `origin` read this answer; on refusals too, or it could neither log in nor step up.
pub(super) fn expose(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version"),
        );
    }
}

/// The answer to OPTIONS on an MCP endpoint.
pub(super) fn preflight(request: &HeaderMap, part: Part) -> Response<Body> {
    let mut response = no_content();
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(part.allow()));
    if request.contains_key(header::ORIGIN) {
        // On each part: what a page may not send it does not get a 405 for.
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, DELETE"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(request));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    }
    response
}

/// The answer to OPTIONS on a discovery document, which every page may read, whatever it sends along: clients in a browser
/// send it the headers of their MCP requests.
pub(super) fn public_preflight() -> Response<Body> {
    let mut response = no_content();
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    response
}

fn no_content() -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The fixed list, and every `Mcp-Param-*` asked for (MCP 2026-07-28, Streamable HTTP, Custom Headers).
fn allowed_headers(request: &HeaderMap) -> HeaderValue {
    let mut allowed = ALLOWED_HEADERS.to_owned();
    let asked = request.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|value| value.to_str().ok());
    for name in asked.flat_map(|value| value.split(',')).map(str::trim) {
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("mcp-param-") && http::HeaderName::from_bytes(lower.as_bytes()).is_ok() {
            allowed.push_str(", ");
            allowed.push_str(&lower);
        }
    }
    HeaderValue::from_str(&allowed).unwrap_or(HeaderValue::from_static(ALLOWED_HEADERS))
}

const ALLOWED_HEADERS: &str = "Authorization, Content-Type, Accept, Last-Event-ID, MCP-Protocol-Version, \
                               Mcp-Session-Id, Mcp-Method, Mcp-Name, traceparent, tracestate";
