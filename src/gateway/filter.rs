//! Filters an answer on its way to the client: one JSON document whole, server-sent events one by one. What cannot be
//! understood never passes. Events are never collected, and a stream that was cut short is never ended cleanly.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;

use super::body::{self, Body, BodyError, ReadFault};
use crate::mcp::listing::{self, Entry, Filtered};
use crate::mcp::message::MessageId;
use crate::mcp::sse::{Event, EventTooLarge, Parser};
use crate::rejection::Failure;

/// What the caller's lists show; the same policy that decides calls.
pub type Shows = Arc<dyn Fn(Entry<'_>, &str) -> bool + Send + Sync>;

/// Reads a JSON answer of at most `bytes_max` bytes and filters it. An empty one stays empty; one cut short, over
/// the limit or not understood is `upstream_protocol`. Trailers are dropped.
pub async fn json<B>(mut answer: B, bytes_max: usize, shows: &Shows) -> Result<Bytes, Failure>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin,
    B::Error: Into<BodyError>,
{
    let body = body::read_limited(&mut answer, bytes_max).await.map_err(|fault| match fault {
        ReadFault::TooLarge => protocol("the answer is over the limit"),
        ReadFault::Broken => protocol("the answer was cut short"),
    })?;
    if body.is_empty() {
        // Servers label an empty 202 as JSON, too: an empty body lists nothing.
        return Ok(Bytes::new());
    }
    match listing::filter(&body, shows.as_ref()) {
        Ok(Filtered::Unchanged) => Ok(body),
        Ok(Filtered::Changed(bytes)) => Ok(bytes.into()),
        Err(fault) => Err(protocol(fault.detail)),
    }
}

/// Filters an event stream, event by event as they arrive. An event that is not understood is replaced by a -32603 error
/// with its own id where it is a response with one, else `request_id`; an event over `event_bytes_max` ends the stream
/// with an error; an unterminated last event is dropped; an upstream error is passed on as an error, never as a clean end.
/// Trailers are dropped.
pub fn events<B>(answer: B, event_bytes_max: usize, shows: Shows, request_id: Option<MessageId>) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let begun = Begun { first: Bytes::new(), left: Vec::new(), parser: Parser::new(event_bytes_max) };
    rewritten(answer, begun, move |event| Ok(self::event(event, &shows, request_id.as_ref())))
}

/// How far an event stream has been read.
#[derive(Debug)]
pub struct Begun {
    /// What the client gets first.
    pub first: Bytes,
    /// Events that are still to be rewritten.
    pub left: Vec<Event>,
    /// What came of an unfinished event.
    pub parser: Parser,
}

/// The same for any `rewrite`: it says what the client gets of an event, or why the stream ends with an error before it.
pub fn rewritten<B, F>(answer: B, begun: Begun, rewrite: F) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
    F: FnMut(Event) -> Result<Bytes, &'static str> + Send + Unpin + 'static,
{
    Body::new(Events { answer, begun, rewrite, end: None })
}

/// The event as the client may see it; see [`events`].
pub fn event(event: Event, shows: &Shows, request_id: Option<&MessageId>) -> Bytes {
    // Comments, and the event with an id and empty data that primes a resumable stream (MCP 2025-11-25).
    let Some(data) = event.data.as_ref().filter(|data| !data.is_empty()) else { return event.raw };
    match listing::filter(data, shows.as_ref()) {
        Ok(Filtered::Unchanged) => event.raw,
        Ok(Filtered::Changed(data)) => event.with_data(&data),
        Err(fault) => {
            tracing::warn!(detail = fault.detail, "an event of the server was not understood and is replaced");
            event.with_data(not_understood(fault.id.as_ref().or(request_id)).as_bytes())
        }
    }
}

/// An event stream that is being filtered. Each frame of the server's makes at most one for the client, and the next is
/// asked for only when the client asks: nothing piles up here but one unfinished event.
struct Events<B, F> {
    answer: B,
    begun: Begun,
    rewrite: F,
    end: Option<End>,
}

/// How the stream ends, once that is known.
enum End {
    /// For this reason; the client is still to learn of it.
    Broken(&'static str),
    /// The client has been told.
    Told,
}

impl<B, F> http_body::Body for Events<B, F>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
    F: FnMut(Event) -> Result<Bytes, &'static str> + Unpin,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let first = std::mem::take(&mut self.begun.first);
        if !first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let left = std::mem::take(&mut self.begun.left);
        let left = self.rewrite(left);
        if !left.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(left))));
        }
        loop {
            match self.end {
                Some(End::Broken(why)) => {
                    self.end = Some(End::Told);
                    return Poll::Ready(Some(Err(why.into())));
                }
                Some(End::Told) => return Poll::Ready(None),
                None => {}
            }
            let frame = match ready!(Pin::new(&mut self.answer).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    self.end = Some(End::Told);
                    return Poll::Ready(Some(Err(error.into())));
                }
                // What is left in the parser is no event: a client would drop it too, but one that does not must not see
                // what was never filtered.
                None => {
                    self.end = Some(End::Told);
                    return Poll::Ready(None);
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            let out = self.take(&data);
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.end, Some(End::Told))
    }
}

impl<B, F: FnMut(Event) -> Result<Bytes, &'static str>> Events<B, F> {
    /// Takes bytes of the server's and returns those for the client.
    fn take(&mut self, data: &[u8]) -> Bytes {
        let mut events = Vec::new();
        if self.begun.parser.push(data, &mut events) == Err(EventTooLarge) {
            self.end = Some(End::Broken("an event of the server is over the limit"));
        }
        self.rewrite(events)
    }

    /// Those events as the client may see them.
    fn rewrite(&mut self, events: Vec<Event>) -> Bytes {
        let mut rewritten = Vec::with_capacity(events.len());
        for event in events {
            match (self.rewrite)(event) {
                Ok(event) => rewritten.push(event),
                Err(why) => {
                    self.end = Some(End::Broken(why));
                    break;
                }
            }
        }
        match rewritten.as_slice() {
            [one] => one.clone(),
            several => several.concat().into(),
        }
    }
}

/// The JSON-RPC error that stands for an event that must not pass.
fn not_understood(id: Option<&MessageId>) -> String {
    let id = id.map_or_else(String::new, |id| format!("\"id\":{},", id.as_json()));
    format!(
        "{{\"jsonrpc\":\"2.0\",{id}\"error\":{{\"code\":-32603,\"message\":\"The server's answer could not be understood\",\
         \"data\":{{\"reason\":\"upstream_protocol\"}}}}}}"
    )
}

fn protocol(detail: &'static str) -> Failure {
    Failure::UpstreamProtocol { detail, location: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use http_body_util::BodyExt as _;
    use tokio::sync::mpsc;

    type Sent = Result<Frame<Bytes>, BodyError>;

    /// A server's answer, frame by frame as a test sends it.
    struct Fed(mpsc::Receiver<Sent>);

    impl http_body::Body for Fed {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Sent>> {
            self.0.poll_recv(cx)
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "stands beside errors in a list of what a server sends")]
    fn data(bytes: impl Into<Bytes>) -> Sent {
        Ok(Frame::data(bytes.into()))
    }

    /// An answer that is all there.
    fn fed(frames: impl IntoIterator<Item = Sent>) -> Fed {
        let frames: Vec<_> = frames.into_iter().collect();
        let (sender, receiver) = mpsc::channel(frames.len().max(1));
        for frame in frames {
            sender.try_send(frame).expect("room for each frame");
        }
        Fed(receiver)
    }

    /// Hides what begins with `x`.
    fn shows() -> Shows {
        Arc::new(|entry, _| !matches!(entry, Entry::Tool(name) if name.starts_with('x')))
    }

    fn id(json: &str) -> Option<MessageId> {
        let response = format!(r#"{{"id":{json},"result":{{"tools":[1]}}}}"#);
        listing::filter(response.as_bytes(), &|_, _| true).unwrap_err().id
    }

    /// What the client gets, and whether the stream ended cleanly.
    async fn drain(mut body: Body) -> (String, bool) {
        let mut out = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                assert!(body.frame().await.is_none(), "an error is the end");
                return (String::from_utf8(out).unwrap(), false);
            };
            out.extend_from_slice(&frame.into_data().expect("no trailers"));
        }
        (String::from_utf8(out).unwrap(), true)
    }

    async fn filtered(stream: &str, request_id: Option<MessageId>) -> (String, bool) {
        drain(events(fed([data(stream.to_owned())]), 1 << 10, shows(), request_id)).await
    }

    #[tokio::test]
    async fn each_event_is_filtered() {
        async fn check(stream: &str, expect: &str) {
            assert_eq!(filtered(stream, id("7")).await, (expect.to_owned(), true), "{stream:?}");
        }
        const LIST: &str = r#"{"id":7,"result":{"tools":[{"name":"x"},{"name":"a"}]}}"#;
        const SHOWN: &str = r#"{"id":7,"result":{"tools":[{"name":"a"}]}}"#;
        const ERROR: &str = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"The server's answer could not be understood","data":{"reason":"upstream_protocol"}}}"#;
        check(&format!("data: {LIST}\n\n"), &format!("data: {SHOWN}\n\n")).await;
        check(
            &format!("id: 1\r\nevent: message\r\ndata:{LIST}\r\n\r\n"),
            &format!("id: 1\r\nevent: message\r\ndata:{SHOWN}\r\n\r\n"),
        )
        .await;
        check(&format!("event: other\ndata: {LIST}\n\n"), &format!("event: other\ndata: {SHOWN}\n\n")).await;
        check(&format!("\u{FEFF}data: {LIST}\r\r: c\n\n"), &format!("\u{FEFF}data: {SHOWN}\r\r: c\n\n")).await;
        check(
            "data: {\"result\":{\"tools\":[\ndata: {\"name\":\"x\"},\ndata: {\"name\":\"a\"}]}}\n\n",
            "data: {\"result\":{\"tools\":[\ndata: {\"name\":\"a\"}]}}\n\n",
        )
        .await;
        check(
            &format!(": c\n\ndata: {LIST}\n\nid: 2\n\ndata: {LIST}\n\n"),
            &format!(": c\n\ndata: {SHOWN}\n\nid: 2\n\ndata: {SHOWN}\n\n"),
        )
        .await;
        // The event that primes a resumable stream, a bare retry, comments, notifications.
        for stream in [
            "id: 1\ndata:\n\n",
            "id: 1\ndata: \nretry: 5\n\n",
            "id: 1\ndata\n\n",
            "retry: 5\n\n",
            ": keep-alive\n\n",
            "\n\n",
            "data: {\"method\":\"notifications/progress\",\"params\":{}}\n\n",
        ] {
            check(stream, stream).await;
        }
        // What is not understood.
        for data in [
            "x",
            "{",
            "[]",
            "{\"a\":1,\"a\":2}",
            "{\"id\":7,\"Result\":{\"tools\":[]}}",
            "{\"result\":{\"tools\":[\"x\"]}}",
        ] {
            check(&format!(": c\nid: 1\ndata: {data}\n\n"), &format!(": c\nid: 1\ndata: {ERROR}\n\n")).await;
        }
        check("data: {\ndata: x\rdata: }\n\n", &format!("data: {ERROR}\n\n")).await;
        // An unterminated last event.
        check(&format!("data: {LIST}\n\ndata: {LIST}\n"), &format!("data: {SHOWN}\n\n")).await;
        check(&format!("data: {LIST}"), "").await;
    }

    #[tokio::test]
    async fn the_error_has_the_id_of_the_response_or_of_the_request() {
        async fn check(data: &str, request_id: Option<MessageId>, expect: &str) {
            let (out, clean) = filtered(&format!("data: {data}\n\n"), request_id).await;
            let error: serde_json::Value = serde_json::from_str(out.trim().strip_prefix("data: ").unwrap()).unwrap();
            assert!(clean);
            assert_eq!(error["error"]["code"], -32603);
            assert_eq!(error.get("id").map(ToString::to_string).as_deref().unwrap_or("none"), expect, "{data}");
        }
        check("x", id("7"), "7").await;
        check("x", id("\"a\\\"b\""), "\"a\\\"b\"").await;
        check("x", None, "none").await;
        check(r#"{"id":8,"result":{"tools":[1]}}"#, id("7"), "8").await;
        check(r#"{"id":8,"result":{"tools":[1]}}"#, None, "8").await;
        check(r#"{"id":8,"method":"m","result":{}}"#, id("7"), "7").await;
    }

    #[tokio::test]
    async fn an_event_arrives_before_the_next_is_sent() {
        let (sender, receiver) = mpsc::channel(1);
        let mut body = events(Fed(receiver), 1 << 10, shows(), None);
        for n in 0..100 {
            let event =
                format!("id: {n}\ndata: {{\"method\":\"notifications/progress\",\"params\":{{\"progress\":{n}}}}}\r\r");
            for part in event.as_bytes().chunks(7) {
                sender.send(data(part.to_vec())).await.unwrap();
                if event.as_bytes().ends_with(part) {
                    break;
                }
                // Takes the part; there is nothing to send on yet.
                assert!(poll_once(&mut body).is_none());
            }
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), event);
        }
        drop(sender);
        assert!(body.frame().await.is_none());
        assert!(http_body::Body::is_end_stream(&body));
    }

    /// Polls once; `None` when there is nothing yet.
    fn poll_once(body: &mut Body) -> Option<Sent> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match http_body::Body::poll_frame(Pin::new(body), &mut cx) {
            Poll::Ready(frame) => Some(frame.expect("not the end")),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn no_more_is_taken_than_the_client_asks_for() {
        let (sender, receiver) = mpsc::channel(4);
        for _ in 0..4 {
            sender.send(data(": c\n\n: d\n\n")).await.unwrap();
        }
        let mut body = events(Fed(receiver), 1 << 10, shows(), None);
        assert_eq!(sender.capacity(), 0);
        for taken in 1..=4 {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), ": c\n\n: d\n\n");
            assert_eq!(sender.capacity(), taken);
        }
    }

    #[tokio::test]
    async fn splits_change_nothing() {
        // What the server sends, and what the client gets where that is something else.
        const EVENTS: &[(&str, Option<&str>)] = &[
            (
                "\u{FEFF}data:{\"id\":0,\"result\":{\"tools\":[{\"name\":\"x\"}]}}\r\n\r\n",
                Some("\u{FEFF}data:{\"id\":0,\"result\":{\"tools\":[]}}\r\n\r\n"),
            ),
            (": c\r\n\r\n", None),
            ("id: 0\nretry: 5\ndata:\n\n", None),
            (
                "id: 1\r\nretry: 5\r\ndata: {\"id\":1,\"result\":{\"tools\":[{\"name\":\"x\"},\r\ndata: {\"name\":\"é\"}],\r\n: c\r\n\
                 data:\"cacheScope\": \"public\"}}\r\n\r\n",
                // An entry goes with the line end behind it: the lines move up, and the last is left out.
                Some(
                    "id: 1\r\nretry: 5\r\ndata: {\"id\":1,\"result\":{\"tools\":[{\"name\":\"é\"}],\r\n\
                     data: \"cacheScope\": \"private\"}}\r\n: c\r\n\r\n",
                ),
            ),
            (
                "event:message\rdata:{\"id\":2,\"result\":{\"prompts\":[{\"name\":\"a\"} ,\rdata:{\"name\":\"x\"}]}}\rid: 2\r\r",
                Some("event:message\rdata:{\"id\":2,\"result\":{\"prompts\":[{\"name\":\"a\"}]}}\rid: 2\r\r"),
            ),
            (
                "data: {\"id\":3,\"result\":{\"resources\":[{\"uri\":\"x:\"}]}}\nid: \n\r\n",
                Some("data: {\"id\":3,\"result\":{\"resources\":[]}}\nid: \n\r\n"),
            ),
            (
                "data: [{\"id\":4,\"result\":{\"resourceTemplates\":[{\"uriTemplate\":\"x:{é}\"},{\"uriTemplate\":\"a:\"}]}}]\r\n\r",
                Some("data: [{\"id\":4,\"result\":{\"resourceTemplates\":[{\"uriTemplate\":\"a:\"}]}}]\r\n\r"),
            ),
            ("data: {\"method\":\"notifications/message\",\ndata\ndata: \"params\":{\"data\":\"\\ud83d\"}}\n\n", None),
            (":\n\n\n", None),
            ("data: {\"id\":5,\"result\":{\"tools\":[{\"name\":\"x\"}]}}\n", Some("")),
        ];
        let shows: Shows = Arc::new(|entry, _| {
            let (Entry::Tool(key) | Entry::Prompt(key) | Entry::Resource(key) | Entry::ResourceTemplate(key)) = entry;
            !key.starts_with('x')
        });
        let stream: String = EVENTS.iter().map(|(sent, _)| *sent).collect();
        let expected = (EVENTS.iter().map(|(sent, got)| got.unwrap_or(sent)).collect::<String>(), true);
        let passed = async |pieces: Vec<&[u8]>| {
            let frames = pieces.into_iter().map(|piece| data(piece.to_vec()));
            drain(events(fed(frames), 1 << 10, Arc::clone(&shows), None)).await
        };
        for at in 0..=stream.len() {
            let (before, after) = stream.as_bytes().split_at(at);
            assert_eq!(passed(vec![before, after]).await, expected, "split at {at}");
        }
        assert_eq!(passed(stream.as_bytes().chunks(1).collect()).await, expected);
    }

    #[tokio::test]
    async fn a_stream_that_fails_is_never_ended_cleanly() {
        async fn check(frames: Vec<Sent>, max: usize, expect: &str, clean: bool) {
            assert_eq!(drain(events(fed(frames), max, shows(), None)).await, (expect.to_owned(), clean));
        }
        let cut = || Err("cut".into());
        check(vec![cut()], 64, "", false).await;
        check(vec![data(": c\n\n"), cut()], 64, ": c\n\n", false).await;
        check(vec![data(": c\n\ndata: {"), cut()], 64, ": c\n\n", false).await;
        check(vec![data(": c\n\ndata: {")], 64, ": c\n\n", true).await;
        check(vec![data(": c\n\n: dd\n\n: e\n\n")], 5, ": c\n\n", false).await;
        check(vec![data(": c\n\n: ddd"), data("d"), data("\n\n")], 6, ": c\n\n", false).await;
        check(vec![data(": c\n\n: d\n\n: e\n\n")], 5, ": c\n\n: d\n\n: e\n\n", true).await;
        check(vec![data(": c\n\n"), Ok(Frame::trailers(HeaderMap::new()))], 64, ": c\n\n", true).await;
    }

    #[tokio::test]
    async fn a_json_answer_is_read_within_limits_and_filtered() {
        async fn check(frames: Vec<Sent>, expect: Result<&str, &str>) {
            let outcome = json(fed(frames), 64, &shows()).await;
            let outcome = outcome.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
            match (outcome, expect) {
                (Ok(bytes), Ok(expect)) => assert_eq!(bytes, expect),
                (Err(Failure::UpstreamProtocol { detail, location: None }), Err(part)) => {
                    assert!(detail.contains(part), "{detail}");
                }
                (outcome, expect) => panic!("{outcome:?}, expected {expect:?}"),
            }
        }
        let list = r#"{"id":1,"result":{"tools":[{"name":"x"},{"name":"a"}]}}"#;
        let shown = r#"{"id":1,"result":{"tools":[{"name":"a"}]}}"#;
        check(vec![data(list)], Ok(shown)).await;
        check(list.bytes().map(|byte| data(vec![byte])).collect(), Ok(shown)).await;
        check(vec![data(shown)], Ok(shown)).await;
        check(vec![data(shown), Ok(Frame::trailers(HeaderMap::new()))], Ok(shown)).await;
        check(vec![data(format!("{{}}{}", " ".repeat(62)))], Ok(&format!("{{}}{}", " ".repeat(62)))).await;
        check(vec![data(format!("{{}}{}", " ".repeat(63)))], Err("over the limit")).await;
        check(vec![data(format!("{{}}{}", " ".repeat(62))), data(" ")], Err("over the limit")).await;
        check(vec![data(shown), Err("cut".into())], Err("cut short")).await;
        check(vec![], Ok("")).await;
        check(vec![data("")], Ok("")).await;
        check(vec![data(" ")], Err("JSON")).await;
        check(vec![data(r#"{"result":{"Tools":[]}}"#)], Err("looks like")).await;
    }
}
