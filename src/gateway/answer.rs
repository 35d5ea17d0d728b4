//! The server's answer on its way to the client: headers cleaned, the session id sealed, lists filtered. What could hold a
//! list and cannot be read never passes.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::Gateway;
use super::body::{self, Body};
use super::filter::{self, Shows};
use super::session::Owner;
use super::stage::{Forwarded, Session};
use crate::mcp::operation::Operation;
use crate::rejection::{Failure, Rejection};

impl Forwarded {
    /// The answer that the client gets.
    pub async fn filter(self, gateway: &Gateway) -> Result<Answer, Rejection> {
        let Self { route, principal, session, operation, request_id, answer } = self;
        let (mut head, incoming) = answer.into_parts();
        let kind = Kind::of(&head.headers);
        // Compressed or not: what nobody filters lives as long as any other stream.
        let is_stream = head.status == StatusCode::OK && essence(&head.headers) == "text/event-stream";
        clean(&mut head.headers);
        let owner = Owner::of(&principal, &route.name);
        if let Err(failure) = seal_session(&mut head.headers, session.as_ref(), owner, gateway) {
            return Err(Rejection::from(failure).with_id(request_id));
        }
        let body = if route.policy.filters_lists() {
            let policy_of = Arc::clone(&route);
            let scopes = principal.scopes().clone();
            let shows: Shows = Arc::new(move |entry| policy_of.policy.shows(&scopes, entry));
            let bytes_max = gateway.limits.answer_bytes_max;
            head.headers.remove(header::ETAG);
            match (kind, head.status.is_success()) {
                (Kind::EventStream, _) => filter::events(incoming, bytes_max, shows, request_id),
                (Kind::Json, _) => match filter::json(incoming, bytes_max, &shows).await {
                    Ok(bytes) => {
                        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                        body::full(bytes)
                    }
                    Err(failure) => return Err(Rejection::from(failure).with_id(request_id)),
                },
                (Kind::Other, false) => passed(incoming),
                (Kind::Other, true) => match nothing(incoming).await {
                    Ok(()) => body::empty(),
                    Err(failure) => return Err(Rejection::from(failure).with_id(request_id)),
                },
            }
        } else {
            passed(incoming)
        };
        if kind == Kind::EventStream {
            head.headers.remove(header::CONTENT_LENGTH);
        }
        // These two streams serve whoever holds the token; an answer to a permitted request is always delivered.
        let lives = (is_stream && matches!(operation, Operation::OpenStream | Operation::Listen(_)))
            .then(|| gateway.clock.until(principal.expires_at()));
        Ok(Answer { response: Response::from_parts(head, body), is_stream, lives })
    }
}

/// An answer of the server's, as the client gets it.
#[derive(Debug)]
pub struct Answer {
    /// Head and body.
    pub(super) response: Response<Body>,
    /// Whether it is a stream, for which the audit log has `opened` and `closed`.
    pub(super) is_stream: bool,
    /// How long it may last.
    pub(super) lives: Option<Duration>,
}

/// How an answer's body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    EventStream,
    /// Neither, or in an encoding that we do not undo.
    Other,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Self {
        let encoded = headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
        match essence(headers).as_str() {
            "text/event-stream" if !encoded => Self::EventStream,
            "application/json" if !encoded => Self::Json,
            _ => Self::Other,
        }
    }
}

/// The media type without its parameters, in lower case; empty unless there is exactly one.
fn essence(headers: &HeaderMap) -> String {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next(), types.next()) else { return String::new() };
    one.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A success that is neither JSON nor an event stream can hold nothing that we could vouch for.
async fn nothing(mut incoming: Incoming) -> Result<(), Failure> {
    let unread = Failure::UpstreamProtocol {
        detail: "the server's answer is neither JSON nor an event stream, or is encoded",
        location: None,
    };
    body::read_limited(&mut incoming, 0).await.map(drop).map_err(|_| unread)
}

fn passed(incoming: Incoming) -> Body {
    incoming.map_err(Into::into).boxed_unsync()
}

/// Removes what must not reach the client: hop-by-hop headers, the server's own CORS answers (a second set makes the browser
/// refuse), cookies, and challenges that name another authorization server.
fn clean(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .filter(|name| *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH)
        .collect();
    let cors = headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned();
    let removed: Vec<HeaderName> = cors.chain(named).chain(REMOVED.map(HeaderName::from_static)).collect();
    for name in removed {
        headers.remove(name);
    }
    // One caller's list or result must not be served to another from a shared cache (MCP 2026-07-28, Caching).
    let shared = headers.get_all(header::CACHE_CONTROL).iter().any(|value| {
        let value = value.to_str().unwrap_or("public").to_ascii_lowercase();
        value.contains("public") || value.contains("s-maxage")
    });
    if shared {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
    }
}

/// Seals the session id that the server names. The id that the client already has stays the same text.
fn seal_session(
    headers: &mut HeaderMap,
    session: Option<&Session>,
    owner: Owner<'_>,
    gateway: &Gateway,
) -> Result<(), Failure> {
    let broken = |detail| Failure::UpstreamProtocol { detail, location: None };
    let mut ids = headers.get_all("mcp-session-id").iter();
    let Some(id) = ids.next() else { return Ok(()) };
    if ids.next().is_some() {
        return Err(broken("the server named two sessions"));
    }
    let id = id.to_str().map_err(|_| broken("the server's session id is not visible ASCII"))?;
    let sealed = match session {
        Some(session) if session.upstream == id => session.sealed.clone(),
        Some(_) | None => {
            gateway.sessions.seal(id, owner).map_err(|_| broken("the server's session id is unusable"))?
        }
    };
    let sealed = HeaderValue::from_str(&sealed).map_err(|_| broken("the server's session id is unusable"))?;
    headers.insert("mcp-session-id", sealed);
    Ok(())
}

const REMOVED: [&str; 13] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "set-cookie",
    "www-authenticate",
    "alt-svc",
    "gatepost-reason",
];
