//! Reads what a request asks for: the body once, within its limits and strictly, and the headers that mirror it. What
//! cannot be inspected is never forwarded.

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use hyper::body::Incoming;

use super::Gateway;
use super::body::{BudgetFault, DRAIN_BYTES_MAX, ReadFault};
use super::http_sse::Address;
use super::respond;
use super::route::{Part, malformed};
use super::session::Owner;
use super::settings::Limits;
use super::stage::{Authenticated, Head, Inspected, Payload, Session};
use super::telemetry::Stage;
use super::trail::Trail;
use crate::mcp::headers::{self, HeaderFault};
use crate::mcp::message::{self, Malformed, ReadLimits};
use crate::mcp::operation::{Asked, Operation};
use crate::mcp::revision::Revision;
use crate::mcp::trace;
use crate::rejection::{Failure, Rejection};
use crate::token::Principal;

impl Authenticated {
    /// Reads the body of a POST and says what it asks for; GET and DELETE have none.
    pub async fn inspect(self, gateway: &Gateway, trail: &mut Trail) -> Result<Inspected, Rejection> {
        trail.stage(Stage::Inspect);
        let Self { route, principal, mut head, mut body } = self;
        let read = match head.method {
            Method::POST => {
                trail.reading();
                read_post(&head, &mut body, gateway).await
            }
            _ => Ok(Payload { bytes: Bytes::new(), _budget: None }),
        };
        let payload = match read {
            Ok(payload) => payload,
            Err(failure) => {
                // Whoever may send a body may send one that is too long, and must find the 413: so much again is read of it.
                let bytes_max = gateway.limits.body_bytes_max.saturating_mul(2).max(DRAIN_BYTES_MAX);
                respond::drain_up_to(body, &head.headers, bytes_max);
                return Err(failure.into());
            }
        };
        drop(body);
        trail.body(payload.bytes.len());
        let (revision, asked) = if head.method == Method::POST {
            read_message(&mut head.headers, &payload.bytes, head.part, &gateway.limits)?
        } else {
            read_bodiless(&head.headers, &head.method)?
        };
        trail.trace(&head.headers);
        trail.revision(revision);
        trail.asked(&asked);
        trail.arguments(&payload.bytes);
        let session = open_session(&mut head, revision, &principal, &route.name, gateway)
            .map_err(|failure| Rejection::from(failure).answering(&asked))?;
        let owner = Owner::of(&principal, &route.name);
        let address = (head.part == Part::Messages).then(|| Address::of(head.query.as_deref(), owner, gateway));
        let address = address.transpose().map_err(|failure| Rejection::from(failure).answering(&asked))?;
        Ok(Inspected { route, principal, head, payload, revision, session, address, asked })
    }
}

async fn read_post(head: &Head, body: &mut Incoming, gateway: &Gateway) -> Result<Payload, Failure> {
    check_media_type(&head.headers)?;
    let read = gateway.bodies.read(body, gateway.limits.body_bytes_max);
    match tokio::time::timeout(gateway.timeouts.body, read).await {
        Ok(Ok((bytes, claim))) => Ok(Payload { bytes, _budget: Some(claim) }),
        Ok(Err(BudgetFault::Exhausted)) => {
            Err(Failure::Overloaded { retry_after_secs: 1, limit: "limits.bodies_in_flight_bytes_max" })
        }
        Ok(Err(BudgetFault::Read(ReadFault::TooLarge))) => Err(Failure::BodyTooLarge),
        Ok(Err(BudgetFault::Read(ReadFault::Broken))) => {
            Err(malformed("the body ended before its length, or its framing is broken"))
        }
        Err(_) => Err(Failure::BodyTimeout),
    }
}

/// `application/json`, at most with `charset=utf-8`, once, and not encoded: compressed or relabelled bytes would be read by
/// the server otherwise than by us.
fn check_media_type(headers: &HeaderMap) -> Result<(), Failure> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Failure::MediaType { detail: "Content-Encoding must be absent or identity" });
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let one = match (types.next(), types.next()) {
        (Some(one), None) => one.to_str().unwrap_or_default(),
        (_, _) => "",
    };
    let (essence, parameter) = one.split_once(';').map_or((one, None), |(essence, rest)| (essence, Some(rest)));
    let is_json = essence.trim_matches([' ', '\t']).eq_ignore_ascii_case("application/json");
    let is_utf8 = parameter.is_none_or(|parameter| {
        let parameter = parameter.trim_matches([' ', '\t']);
        parameter.eq_ignore_ascii_case("charset=utf-8") || parameter.eq_ignore_ascii_case("charset=\"utf-8\"")
    });
    if is_json && is_utf8 {
        Ok(())
    } else {
        Err(Failure::MediaType { detail: "Content-Type must be one application/json, in UTF-8" })
    }
}

/// What the bytes ask for, and in which revision they or the headers say so.
pub(super) fn read_message(
    headers: &mut HeaderMap,
    bytes: &[u8],
    part: Part,
    limits: &Limits,
) -> Result<(Option<Revision>, Asked), Rejection> {
    let limits = ReadLimits { depth_max: limits.json_depth_max, batch_max: limits.batch_messages_max };
    let body = message::read(bytes, limits).map_err(malformed_message)?;
    let revision = headers::check(headers, &body, part != Part::Messages).map_err(header_fault)?;
    let asked = Asked::of(&body, revision).map_err(malformed_message)?;
    trace::propagate(headers, &body);
    Ok((revision, asked))
}

/// What a request without a body asks for, by its method: GET or DELETE.
pub(super) fn read_bodiless(headers: &HeaderMap, method: &Method) -> Result<(Option<Revision>, Asked), Rejection> {
    let revision = headers::revision_of(headers).map_err(header_fault)?;
    let operation = if method == Method::GET { Operation::OpenStream } else { Operation::EndSession };
    Ok((revision, Asked::bodiless(operation)))
}

/// Unseals the session id, and takes both session headers out of the head. They do not exist in 2026-07-28.
fn open_session(
    head: &mut Head,
    revision: Option<Revision>,
    principal: &Principal,
    route: &str,
    gateway: &Gateway,
) -> Result<Option<Session>, Failure> {
    let sealed = head.headers.remove("mcp-session-id");
    let last_event_id = head.headers.remove("last-event-id");
    if revision >= Some(Revision::V2026_07_28) {
        return Ok(None);
    }
    let Some(sealed) = sealed else { return Ok(None) };
    let sealed = sealed.to_str().map_err(|_| Failure::SessionNotFound)?;
    let owner = Owner::of(principal, route);
    let upstream = gateway.sessions.open(sealed, owner).ok_or(Failure::SessionNotFound)?;
    // An event id opens the stored answers of a session: it goes on only beside the session it belongs to.
    if let Some(last_event_id) = last_event_id {
        head.headers.insert("last-event-id", last_event_id);
    }
    Ok(Some(Session { sealed: sealed.to_owned(), upstream }))
}

fn malformed_message(fault: Malformed) -> Rejection {
    let Malformed { code, detail, id } = fault;
    Rejection::from(Failure::MalformedMessage { code, detail }).with_id(id)
}

fn header_fault(fault: HeaderFault) -> Rejection {
    let (failure, id) = match fault {
        HeaderFault::Mismatch { detail, id } => (Failure::HeaderMismatch { detail }, id),
        HeaderFault::UnsupportedRevision { requested, id } => (Failure::UnsupportedRevision { requested }, id),
        HeaderFault::Malformed { code, detail, id } => (Failure::MalformedMessage { code, detail }, id),
    };
    Rejection::from(failure).with_id(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &'static str)], read: bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        assert_eq!(check_media_type(&map).is_ok(), read, "{headers:?}");
    }

    #[test]
    fn only_json_in_utf_8_is_read() {
        for read in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            "application/json ; charset=\"Utf-8\"",
        ] {
            check(&[("content-type", read)], true);
        }
        for refused in [
            "",
            "text/plain",
            "application/json-rpc",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; charset=utf-7",
            "application/json; boundary=x",
            "application/json;",
            "application/json, text/plain",
            "application/x-www-form-urlencoded",
        ] {
            check(&[("content-type", refused)], false);
        }
        check(&[], false);
        check(&[("content-type", "application/json"), ("content-type", "application/json")], false);
    }

    #[test]
    fn encoded_bodies_are_not_read() {
        let json = ("content-type", "application/json");
        check(&[json, ("content-encoding", "identity")], true);
        for encoding in ["gzip", "br", "deflate", "zstd", "gzip, identity", ""] {
            check(&[json, ("content-encoding", encoding)], false);
        }
        check(&[json, ("content-encoding", "identity"), ("content-encoding", "gzip")], false);
    }
}
