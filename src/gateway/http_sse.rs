//! The transport of MCP 2024-11-05: GET opens a stream, whose `endpoint` event says where the client posts its messages, and
//! the answers come on the stream. The client posts to us, at an address that is sealed to it; where the server takes
//! messages never leaves the server's origin, and is settled once and for all by the stream's first event.

mod awaited;
mod endpoint;

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

pub use self::awaited::{Awaited, Streams};
use super::Gateway;
use super::body::Body;
use super::filter::{self, Begun, Shows};
use super::session::Owner;
use super::settings::UpstreamSettings;
use crate::mcp::listing;
use crate::mcp::message::MessageId;
use crate::mcp::operation::Asked;
use crate::mcp::sse::{Event, Parser};
use crate::rejection::Failure;

/// Where a message goes, and the stream that its answer comes on, if this process holds it.
#[derive(Debug)]
pub struct Address {
    /// On the server: path and query.
    pub(super) target: PathAndQuery,
    stream: Option<Awaited>,
}

/// A stream that began as it must.
pub(super) struct Opened {
    pub(super) body: Body,
    pub(super) awaited: Awaited,
}

impl Address {
    /// The address in the query of a request to a message path: its one `session`, which must unseal for this owner.
    pub(super) fn of(query: Option<&str>, owner: Owner<'_>, gateway: &Gateway) -> Result<Self, Failure> {
        let sealed = session(query.unwrap_or_default()).ok_or(Failure::SessionNotFound)?;
        let target = gateway.sessions.open_target(sealed, owner).ok_or(Failure::SessionNotFound)?;
        let target = PathAndQuery::try_from(target).map_err(|_| Failure::SessionNotFound)?;
        Ok(Self { target, stream: gateway.streams.find(sealed) })
    }

    /// These requests are about to be forwarded. A stream that is about to end takes none, or their answers would be lost.
    pub(super) fn expect(&self, asked: &Asked) -> Result<(), Failure> {
        let taken = self.stream.as_ref().is_none_or(|stream| stream.expect(ids(asked)));
        taken.then_some(()).ok_or(Failure::SessionNotFound)
    }

    /// These requests were not taken by the server: no answer will come.
    pub(super) fn give_up(&self, asked: &Asked) {
        if let Some(stream) = &self.stream {
            ids(asked).for_each(|id| stream.settle(id));
        }
    }
}

/// The requests that will be answered.
fn ids(asked: &Asked) -> impl Iterator<Item = &MessageId> {
    asked.each().iter().filter_map(|ask| ask.id.as_ref())
}

/// Waits for the `endpoint` event, puts the client's own address in its place, and makes the rest the stream. With `shows`
/// its lists are filtered. Another `endpoint` event ends the stream with an error: what was posted so far has its answers
/// here, and the client must not be sent elsewhere for the rest.
pub(super) async fn open(
    mut answer: Incoming,
    upstream: &UpstreamSettings,
    message_path: &str,
    owner: Owner<'_>,
    shows: Option<Shows>,
    gateway: &Gateway,
) -> Result<Opened, Failure> {
    let mut parser = Parser::new(gateway.limits.answer_bytes_max);
    let (before, event, left) = first(&mut answer, &mut parser).await?;
    if left.iter().any(|event| event.is_named(ENDPOINT)) {
        return Err(protocol("the stream begins with more than one endpoint event"));
    }
    let named = event.data.as_deref().map(std::str::from_utf8);
    let Some(Ok(reference)) = named else { return Err(protocol("the endpoint event names no URL")) };
    let target = endpoint::resolve(reference, upstream).map_err(protocol)?;
    let sealed = gateway.sessions.seal_target(target.as_str(), owner);
    let sealed = sealed.map_err(|_| protocol("what the endpoint event names is over 1 KiB"))?;
    let endpoint = event.with_data(format!("{message_path}?session={sealed}").as_bytes());
    let (awaited, held) = gateway.streams.open(&sealed);
    let owed = awaited.clone();
    let rewrite = move |event: Event| {
        let _held = &held;
        if event.is_named(ENDPOINT) {
            tracing::warn!("a second endpoint event of the server: its stream is ended");
            return Err("a second endpoint event");
        }
        let answered = event.data.as_ref().filter(|_| owed.is_any()).map(|data| listing::answered(data));
        let event = match &shows {
            Some(shows) => filter::event(event, shows, None),
            None => event.raw,
        };
        answered.iter().flatten().for_each(|id| owed.settle(id));
        Ok(event)
    };
    let begun = Begun { first: [before, endpoint].concat().into(), left, parser };
    Ok(Opened { body: filter::rewritten(answer, begun, rewrite), awaited })
}

/// The stream up to its first event, that event, and those that came with it. Comments may come before it, and nothing else.
async fn first(answer: &mut Incoming, parser: &mut Parser) -> Result<(Bytes, Event, Vec<Event>), Failure> {
    let mut before = BytesMut::new();
    loop {
        let frame = answer.frame().await.and_then(Result::ok);
        let frame = frame.ok_or(protocol("the stream ended before its endpoint event"))?;
        let Ok(data) = frame.into_data() else { continue };
        let mut events = Vec::new();
        // What is over the limit behind the first event, the parser says again.
        let fits = parser.push(&data, &mut events).is_ok();
        let mut events = events.into_iter();
        while let Some(event) = events.next() {
            if event.is_named(ENDPOINT) {
                return Ok((before.freeze(), event, events.collect()));
            }
            if !event.is_idle() {
                return Err(protocol("the stream does not begin with an endpoint event"));
            }
            before.extend_from_slice(&event.raw);
        }
        if !fits || before.len() > BEFORE_BYTES_MAX {
            return Err(protocol("the stream does not begin with an endpoint event"));
        }
    }
}

/// The one `session` of a query.
fn session(query: &str) -> Option<&str> {
    let members = query.split('&').map(|member| member.split_once('=').unwrap_or((member, "")));
    let mut named = members.filter(|(name, _)| *name == "session");
    match (named.next(), named.next()) {
        (Some((_, sealed)), None) => Some(sealed),
        (_, _) => None,
    }
}

fn protocol(detail: &'static str) -> Failure {
    Failure::UpstreamProtocol { detail, location: None }
}

/// The event that says where messages are posted (MCP 2024-11-05, HTTP with SSE).
const ENDPOINT: &str = "endpoint";

/// Comments before it.
const BEFORE_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_one_session() {
        for (query, expect) in [
            ("session=a", Some("a")),
            ("x=1&session=a&y", Some("a")),
            ("session=", Some("")),
            ("session=a=b", Some("a=b")),
            ("", None),
            ("Session=a", None),
            ("%73ession=a", None),
            ("sessionId=a", None),
            ("xsession=a", None),
            ("session=a&session=a", None),
            ("session&session=a", None),
            ("session=a;session=b", Some("a;session=b")),
        ] {
            assert_eq!(session(query), expect, "{query}");
        }
    }
}
