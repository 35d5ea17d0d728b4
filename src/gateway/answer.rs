//! The server's answer on its way to the client: headers cleaned, the session id sealed, lists filtered. What could hold a
//! list and cannot be read never passes.

use std::sync::Arc;
use std::time::Duration;

use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::Gateway;
use super::body::{self, Body};
use super::filter::{self, Shows};
use super::http_sse::{self, Awaited};
use super::keep_alive;
use super::places::{Held, UnderWay};
use super::route::{Part, Route};
use super::session::Owner;
use super::settings::Transport;
use super::stage::{Forwarded, Session};
use super::telemetry::Stage;
use super::trail::Trail;
use crate::mcp::listing::Entry;
use crate::mcp::message::MessageId;
use crate::mcp::revision::Revision;
use crate::oauth::ids::Issuer;
use crate::rejection::{Failure, Rejection};

impl Forwarded {
    /// The answer that the client gets.
    pub async fn filter(self, gateway: &Gateway, trail: &mut Trail) -> Result<Answer, Rejection> {
        trail.stage(Stage::Filter);
        let Self { route, part, principal, revision, session, asked, place, answer } = self;
        let (mut head, incoming) = answer.into_parts();
        let kind = Kind::of(&head.headers);
        let is_stream = head.status == StatusCode::OK && labels(&head.headers).any(|label| label == Kind::EventStream);
        clean(&mut head.headers);
        if revision >= Some(Revision::V2026_07_28) {
            // There are no sessions in it (MCP 2026-07-28, Streamable HTTP, Earlier Streamable HTTP Revisions).
            head.headers.remove("mcp-session-id");
        }
        let owner = Owner::of(&principal, &route.name);
        if let Err(failure) = seal_session(&mut head.headers, session.as_ref(), owner, gateway) {
            return Err(Rejection::from(failure).answering(&asked));
        }
        let shows = route.policy.filters_lists().then(|| -> Shows {
            let policy_of = Arc::clone(&route);
            let scopes = principal.scopes().clone();
            let meter = Arc::clone(gateway.meters.of(&route.name));
            Arc::new(move |entry, json| {
                if let Entry::Tool(name) = entry {
                    meter.described(name, json);
                }
                policy_of.policy.shows(&scopes, entry)
            })
        });
        let upstream = &route.upstream_settings;
        let mut awaited = None;
        let body = match (&route.transport, part, shows) {
            (Transport::HttpSse { message_path }, Part::Stream, shows)
                if head.status.is_success() || kind == Kind::EventStream =>
            {
                unsay_digests(&mut head.headers);
                let opened = async {
                    if kind != Kind::EventStream {
                        return Err(no_stream());
                    }
                    http_sse::open(incoming, upstream, message_path, owner, shows, gateway).await
                };
                let late = Failure::UpstreamTimeout { detail: "no endpoint event within the answer timeout" };
                let opened = tokio::time::timeout(upstream.answer_timeout, opened).await.unwrap_or(Err(late))?;
                awaited = Some((opened.awaited, upstream.answer_timeout));
                opened.body
            }
            (_, Part::Messages, Some(_)) if head.status.is_success() && !kind.is_readable() => {
                body::drain(incoming);
                emptied(&mut head.headers)
            }
            (_, _, Some(shows)) if !incoming.is_end_stream() => {
                let id = asked.request_id().cloned();
                let filtered = filtered(kind, &mut head, incoming, gateway.limits.answer_bytes_max, shows, id);
                // Only what is read whole takes time here; a stream is handed on at once.
                let filtered = tokio::time::timeout(upstream.answer_timeout, filtered).await;
                let late = Failure::UpstreamTimeout { detail: "the server's answer did not end in time" };
                match filtered.unwrap_or(Err(late)) {
                    Ok(body) => body,
                    Err(_) if part == Part::Messages && head.status.is_success() => emptied(&mut head.headers),
                    Err(failure) => return Err(Rejection::from(failure).answering(&asked)),
                }
            }
            (_, _, _) => passed(incoming),
        };
        if kind == Kind::EventStream {
            head.headers.remove(header::CONTENT_LENGTH);
        }
        // What these two open serves whoever holds the token, whatever the server labels it. One JSON answer is no stream,
        // and the answer to a permitted request is always delivered.
        let may_last = head.status.is_success() && kind != Kind::Json;
        let lives = (may_last && asked.lasts()).then(|| Lives {
            token: gateway.clock.until(principal.expires_at()),
            route: Arc::clone(&route),
            issuer: principal.issuer().clone(),
            answers: awaited,
        });
        let body = match gateway.timeouts.keep_alive {
            Some(idle) if is_stream && kind == Kind::EventStream => keep_alive::kept_alive(body, idle),
            Some(_) | None => body,
        };
        if is_stream {
            // Proxies in front that buffer would hold events back.
            head.headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        }
        Ok(Answer { response: Response::from_parts(head, body), is_stream, lives, place, under_way: None })
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
    pub(super) lives: Option<Lives>,
    /// Its place, until it has ended.
    pub(super) place: Held,
    /// Its part of all requests under way.
    pub(super) under_way: Option<UnderWay>,
}

/// How long a stream lasts that answers no request itself.
#[derive(Debug)]
pub(super) struct Lives {
    /// Until the token that opened it expires.
    pub(super) token: Duration,
    /// While this route, or what the file says of it later, takes tokens of the issuer.
    pub(super) route: Arc<Route>,
    pub(super) issuer: Issuer,
    /// With HTTP+SSE, what it still owes then, and how long that may take.
    pub(super) answers: Option<(Awaited, Duration)>,
}

/// How an answer's body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    EventStream,
    /// One of these, but under a second label, too, or in an encoding that we do not undo.
    Unreadable,
    /// Neither.
    Other,
}

impl Kind {
    fn is_readable(self) -> bool {
        match self {
            Self::Json | Self::EventStream => true,
            Self::Unreadable | Self::Other => false,
        }
    }

    fn of(headers: &HeaderMap) -> Self {
        let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
        let encoded = encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
        let labels: Vec<Self> = labels(headers).collect();
        match labels.as_slice() {
            [kind] if !encoded => *kind,
            labels if labels.iter().all(|label| *label == Self::Other) => Self::Other,
            // By which label a client goes, and whether it decodes, is not ours to know.
            _ => Self::Unreadable,
        }
    }
}

/// What each media type that an answer has is.
fn labels(headers: &HeaderMap) -> impl Iterator<Item = Kind> {
    let types = headers.get_all(header::CONTENT_TYPE).iter();
    types.flat_map(|types| types.to_str().unwrap_or_default().split(',')).map(|media_type| {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("text/event-stream") {
            Kind::EventStream
        } else if essence.eq_ignore_ascii_case("application/json") {
            Kind::Json
        } else {
            Kind::Other
        }
    })
}

/// The body of an answer without what the caller's lists do not show.
async fn filtered(
    kind: Kind,
    head: &mut Parts,
    mut incoming: Incoming,
    bytes_max: usize,
    shows: Shows,
    request_id: Option<MessageId>,
) -> Result<Body, Failure> {
    unsay_digests(&mut head.headers);
    match (kind, head.status.is_success()) {
        (Kind::EventStream, _) => Ok(filter::events(incoming, bytes_max, shows, request_id)),
        (Kind::Json, _) => {
            let bytes = filter::json(&mut incoming, bytes_max, &shows).await?;
            head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            Ok(body::full(bytes))
        }
        (Kind::Other, false) => Ok(passed(incoming)),
        (Kind::Unreadable, _) | (Kind::Other, true) => nothing(incoming).await.map(|()| body::empty()),
    }
}

/// Digests speak of the server's bytes, hidden entries included.
fn unsay_digests(headers: &mut HeaderMap) {
    for digest in ["etag", "content-digest", "repr-digest", "digest", "content-md5"] {
        headers.remove(digest);
    }
}

/// The answer to a message is its status; what it asked for comes on the stream. So what cannot be read (`Accepted`) is no
/// fault, and is left out.
fn emptied(headers: &mut HeaderMap) -> Body {
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
        headers.remove(name);
    }
    body::empty()
}

fn no_stream() -> Failure {
    Failure::UpstreamProtocol { detail: "the server answered with no event stream", location: None }
}

/// An answer that holds nothing: anything in it would be something that we cannot vouch for.
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
    let removed = |name: &HeaderName| {
        let written = name.as_str();
        REMOVED.contains(&written) || written.starts_with("access-control-") || named.contains(name)
    };
    let removed: Vec<HeaderName> = headers.keys().filter(|name| removed(name)).cloned().collect();
    for name in removed {
        headers.remove(name);
    }
    // One caller's list or result must not be served to another from a shared cache (MCP 2026-07-28, Caching).
    let shared = headers.get_all(header::CACHE_CONTROL).iter().any(|value| {
        let value = value.to_str().unwrap_or("public").to_ascii_lowercase();
        // Each of the three lets a shared cache keep the answer to a request with a token (RFC 9111 §3.5).
        ["public", "s-maxage", "must-revalidate"].iter().any(|shared| value.contains(shared))
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
