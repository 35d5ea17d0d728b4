//! The client: requests as exact bytes, answers as they came. It checks of every answer what must hold of every answer: no
//! part of the token comes back, at most one challenge, `Gatepost-Reason` on refusals and on nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::wire::{self, BodyReader, Framing, Head, Wire};
use super::within;

/// Sends requests to one address, each on a connection of its own, and counts them.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// What requests call the other end.
    host: SocketAddr,
    /// Where they are sent.
    address: SocketAddr,
    sent: Arc<AtomicUsize>,
}

/// A request in the making.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    client: Client,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    passed_through: bool,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    /// How the body ended.
    pub(crate) end: End,
}

/// An answer while it is being read.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) status: u16,
    pub(crate) head: Head,
    wire: Wire,
    body: BodyReader,
    unread: Vec<u8>,
    end: Option<End>,
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Clean,
    /// The connection broke before the end that the framing promised.
    Cut,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { host: address, address, sent: Arc::default() }
    }

    /// The same client, by way of something that stands in front.
    pub(crate) fn through(&self, relay: SocketAddr) -> Self {
        Self { address: relay, ..self.clone() }
    }

    /// Where it sends.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests were sent that leave an audit record.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// A request with a `Host` and nothing else.
    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        Request {
            client: self.clone(),
            method: method.to_owned(),
            target: target.to_owned(),
            headers: vec![("Host".to_owned(), self.host.to_string())],
            body: None,
            passed_through: false,
        }
    }

    pub(crate) fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }

    /// A POST as MCP clients send it.
    pub(crate) fn post(&self, target: &str, body: impl AsRef<[u8]>) -> Request {
        self.request("POST", target)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream")
            .body(body)
    }

    /// A JSON-RPC request with the id 7.
    pub(crate) fn call(&self, target: &str, method: &str, params: &Value) -> Request {
        self.post(target, json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string())
    }

    /// A `tools/call`.
    pub(crate) fn tool(&self, target: &str, tool: &str) -> Request {
        self.call(target, "tools/call", &json!({"name": tool, "arguments": {}}))
    }

    /// These bytes on a connection of their own, and the answer to them. `audited` says whether they are a request to the
    /// gateway: what its HTTP parser refuses by itself is no request.
    pub(crate) async fn raw(&self, bytes: &[u8], audited: bool) -> Reply {
        if audited {
            self.sent.fetch_add(1, Ordering::SeqCst);
        }
        let reply = self.open_raw(bytes, false).await.whole().await;
        if audited {
            check(&reply.head, &reply.body, reply.status, &[], false);
        }
        reply
    }

    /// These bytes, to the last of them, on a connection of their own, which the gateway answers or its HTTP parser: whoever
    /// gives a reason audits. Says, too, whether the connection stood until all was sent: many clients never see an answer
    /// that comes before a reset.
    pub(crate) async fn raw_to_whomever(&self, bytes: &[u8], token: &str) -> (Reply, bool) {
        let mut wire = Wire::new(self.connect().await);
        let stood = within("sending a request", wire.write(bytes)).await.is_ok();
        let reply = Opened::read(wire, false).await.whole().await;
        if reply.status < 400 || reply.header("gatepost-reason").is_some() {
            self.sent.fetch_add(1, Ordering::SeqCst);
            check(&reply.head, &reply.body, reply.status, &[token.to_owned()], false);
        }
        (reply, stood)
    }

    /// Sends requests one after the other on one connection, each after the answer to the one before.
    pub(crate) async fn on_one_connection(&self, requests: impl IntoIterator<Item = Request>) -> Vec<Reply> {
        let mut wire = Wire::new(self.connect().await);
        let mut replies = Vec::new();
        for request in requests {
            self.sent.fetch_add(1, Ordering::SeqCst);
            within("sending a request", wire.write_until_answered(&request.bytes())).await;
            let (reply, kept) = Opened::read(wire, request.method == "HEAD").await.whole_and_wire().await;
            check(&reply.head, &reply.body, reply.status, &request.tokens(), request.passed_through);
            wire = kept;
            replies.push(reply);
        }
        replies
    }

    /// A connection on which nothing is sent yet.
    pub(crate) async fn wire(&self) -> Wire {
        Wire::new(self.connect().await)
    }

    async fn connect(&self) -> TcpStream {
        within("connecting", TcpStream::connect(self.address)).await.unwrap()
    }

    async fn open_raw(&self, bytes: &[u8], to_head: bool) -> Opened {
        let mut wire = Wire::new(self.connect().await);
        within("sending a request", wire.write_until_answered(bytes)).await;
        Opened::read(wire, to_head).await
    }
}

impl Request {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(each, _)| !each.eq_ignore_ascii_case(name));
        self
    }

    /// In the place of the header that is there.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).header(name, value)
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    /// The answer's status is the MCP server's own: not a refusal, although it may look like one.
    pub(crate) fn passed_through(mut self) -> Self {
        self.passed_through = true;
        self
    }

    /// As HTTP/1.1 writes it, with a Content-Length unless a framing is given.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let framed = |name: &&(String, String)| {
            name.0.eq_ignore_ascii_case("content-length") || name.0.eq_ignore_ascii_case("transfer-encoding")
        };
        let body = self.body.as_deref().unwrap_or_default();
        if self.body.is_some() && self.headers.iter().find(framed).is_none() {
            head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        head.push_str("\r\n");
        [head.as_bytes(), body].concat()
    }

    /// Sends it and reads the whole answer.
    pub(crate) async fn send(self) -> Reply {
        let reply = self.clone().open_unchecked().await.whole().await;
        check(&reply.head, &reply.body, reply.status, &self.tokens(), self.passed_through);
        reply
    }

    /// Sends it on a connection that is there already, and reads the whole answer.
    pub(crate) async fn send_on(self, mut wire: Wire) -> (Reply, Wire) {
        self.client.sent.fetch_add(1, Ordering::SeqCst);
        within("sending a request", wire.write_until_answered(&self.bytes())).await;
        let (reply, wire) = Opened::read(wire, self.method == "HEAD").await.whole_and_wire().await;
        check(&reply.head, &reply.body, reply.status, &self.tokens(), self.passed_through);
        (reply, wire)
    }

    /// Sends it and another one at once, and reads both answers; the second, if the connection was kept.
    pub(crate) async fn followed_by(self, next: &Request) -> (Reply, Option<Reply>) {
        self.client.sent.fetch_add(1, Ordering::SeqCst);
        let mut wire = Wire::new(self.client.connect().await);
        let both = [self.bytes(), next.bytes()].concat();
        within("sending two requests", wire.write_until_answered(&both)).await;
        let (reply, wire) = Opened::read(wire, false).await.whole_and_wire().await;
        (reply, next.answer_on(wire).await)
    }

    /// Sends it and reads the answer's head.
    pub(crate) async fn open(self) -> Opened {
        let opened = self.clone().open_unchecked().await;
        check(&opened.head, b"", opened.status, &self.tokens(), self.passed_through);
        opened
    }

    /// Sends all of it but for the last `held` bytes, which the returned half sends.
    pub(crate) async fn send_all_but(self, held: usize) -> Held {
        self.client.sent.fetch_add(1, Ordering::SeqCst);
        let bytes = self.bytes();
        let (now, later) = bytes.split_at(bytes.len() - held);
        let mut wire = Wire::new(self.client.connect().await);
        within("sending a request", wire.write(now)).await.unwrap();
        Held { wire, later: later.to_vec(), to_head: self.method == "HEAD" }
    }

    /// Sends it by h2 with prior knowledge; `Host` becomes `:authority` unless the target is absolute. Trailers count as headers.
    pub(crate) async fn send_h2(self) -> Reply {
        let tokens = self.tokens();
        let passed_through = self.passed_through;
        let mut opened = self.open_h2().await;
        let mut body = Vec::new();
        let end = loop {
            match opened.piece().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break End::Clean,
                Err(_) => break End::Cut,
            }
        };
        check(&opened.head, &body, opened.status, &tokens, passed_through);
        Reply { status: opened.status, head: opened.head.clone(), body, end }
    }

    /// The same, up to the answer's head.
    pub(crate) async fn open_h2(self) -> OpenedH2 {
        self.client.sent.fetch_add(1, Ordering::SeqCst);
        let stream = self.client.connect().await;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let host = self.headers.iter().find(|(name, _)| name == "Host").map_or("", |(_, value)| value);
        let uri =
            if self.target.starts_with('/') { format!("http://{host}{}", self.target) } else { self.target.clone() };
        let mut request = http::Request::builder().method(self.method.as_str()).uri(uri).version(http::Version::HTTP_2);
        for (name, value) in self.headers.iter().filter(|(name, _)| name != "Host") {
            request = request.header(name, value);
        }
        let body = Full::new(Bytes::from(self.body.clone().unwrap_or_default()));
        let answer = within("an answer by h2", sender.send_request(request.body(body).unwrap())).await.unwrap();
        let (parts, body) = answer.into_parts();
        let headers = parts.headers.iter().map(shown);
        let status = parts.status.as_u16();
        let head = Head { start: format!("HTTP/2 {status}"), headers: headers.collect() };
        OpenedH2 { status, head, body, sender, connection }
    }

    /// The answer to this request, which was sent already, unless the connection ended before it.
    async fn answer_on(&self, mut wire: Wire) -> Option<Reply> {
        let head = within("an answer or the end", wire.head()).await?;
        self.client.sent.fetch_add(1, Ordering::SeqCst);
        Some(Opened::with_head(wire, head, false).whole().await)
    }

    async fn open_unchecked(self) -> Opened {
        self.client.sent.fetch_add(1, Ordering::SeqCst);
        self.client.open_raw(&self.bytes(), self.method == "HEAD").await
    }

    fn tokens(&self) -> Vec<String> {
        let values = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        values.filter_map(|(_, value)| value.split(' ').next_back()).map(str::to_owned).collect()
    }
}

fn shown((name, value): (&http::HeaderName, &http::HeaderValue)) -> (String, String) {
    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())
}

/// An answer by h2 while it is being read. Dropping it resets the stream; the connection goes with it.
#[derive(Debug)]
pub(crate) struct OpenedH2 {
    pub(crate) status: u16,
    pub(crate) head: Head,
    body: Incoming,
    sender: SendRequest<Full<Bytes>>,
    connection: JoinHandle<hyper::Result<()>>,
}

impl OpenedH2 {
    /// Asks for nothing in particular until this connection takes no more requests: GOAWAY has come.
    pub(crate) async fn told_to_go(&mut self) {
        let probe = || http::Request::get("http://probe.example/").body(Full::default()).unwrap();
        while self.sender.send_request(probe()).await.is_ok() {}
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) async fn piece(&mut self) -> hyper::Result<Option<Bytes>> {
        loop {
            match within("an answer's body by h2", self.body.frame()).await {
                None => return Ok(None),
                Some(Err(error)) => return Err(error),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(frame) => self.head.headers.extend(frame.into_trailers().iter().flatten().map(shown)),
                },
            }
        }
    }
}

impl Drop for OpenedH2 {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// A request of which the end is held back.
#[derive(Debug)]
pub(crate) struct Held {
    wire: Wire,
    later: Vec<u8>,
    to_head: bool,
}

impl Held {
    /// Sends the rest and reads the whole answer.
    pub(crate) async fn finish(mut self) -> Reply {
        within("sending the rest", self.wire.write_until_answered(&self.later)).await;
        Opened::read(self.wire, self.to_head).await.whole().await
    }

    /// No answer comes: the connection ends.
    pub(crate) async fn expect_cut(mut self) {
        let head = within("the end of the connection", self.wire.head()).await;
        assert!(head.is_none(), "an answer: {head:?}");
    }

    /// Reads the whole answer without sending the rest.
    pub(crate) async fn give_up(self) -> Reply {
        Opened::read(self.wire, self.to_head).await.whole().await
    }

    /// Reads the whole answer, then sends the rest and another request on the same connection. The second answer, if the
    /// connection was kept.
    pub(crate) async fn answered_first(self, next: &Request) -> (Reply, Option<Reply>) {
        let (reply, mut wire) = Opened::read(self.wire, self.to_head).await.whole_and_wire().await;
        within("sending the rest", wire.write_until_answered(&self.later)).await;
        within("sending another request", wire.write_until_answered(&next.bytes())).await;
        (reply, next.answer_on(wire).await)
    }

    /// Waits for `100 Continue` before it sends the rest, and reads the whole answer.
    pub(crate) async fn after_leave(mut self) -> Reply {
        let head = within("leave to send", self.wire.head()).await.expect("leave to send");
        assert_eq!(head.start, "HTTP/1.1 100 Continue");
        self.finish().await
    }
}

impl Opened {
    async fn read(mut wire: Wire, to_head: bool) -> Self {
        let head = loop {
            let head = within("an answer", wire.head()).await.expect("an answer, not the end of the connection");
            if !head.start.starts_with("HTTP/1.1 1") {
                break head;
            }
        };
        Self::with_head(wire, head, to_head)
    }

    fn with_head(wire: Wire, head: Head, to_head: bool) -> Self {
        let status = head.start.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        let bodiless = to_head || status == 204 || status == 304;
        let framing = if bodiless { Framing::Length(0) } else { head.framing(Framing::UntilClose) };
        Self { status, head, wire, body: BodyReader::new(framing), unread: Vec::new(), end: None }
    }

    /// The next server-sent event, with the blank line that ends it; keep-alive comments are passed over. `None` at the
    /// end of the body, however it came.
    pub(crate) async fn event(&mut self) -> Option<String> {
        loop {
            while let Some(at) = wire::find(&self.unread, b"\n\n") {
                let event: Vec<u8> = self.unread.drain(..at + 2).collect();
                let event = String::from_utf8(event).expect("events are UTF-8");
                if event.lines().any(|line| !line.is_empty() && !line.starts_with(':')) {
                    return Some(event);
                }
            }
            if self.end.is_some() {
                return None;
            }
            match within("an event", self.wire.piece(&mut self.body)).await {
                Ok(Some(piece)) => self.unread.extend_from_slice(&piece),
                Ok(None) => self.end = Some(End::Clean),
                Err(_) => self.end = Some(End::Cut),
            }
        }
    }

    /// The next bytes as they come, keep-alive comments too.
    pub(crate) async fn bytes(&mut self) -> String {
        if self.unread.is_empty()
            && let Ok(Some(piece)) = within("bytes", self.wire.piece(&mut self.body)).await
        {
            self.unread.extend_from_slice(&piece);
        }
        String::from_utf8(std::mem::take(&mut self.unread)).expect("UTF-8")
    }

    /// The client vanishes without a word: it reads nothing more and acknowledges nothing, and its connection stays.
    #[cfg(target_os = "linux")]
    pub(crate) fn vanish(&self) {
        self.wire.vanish();
    }

    /// Reads on to the end of the body and says how it came; fails when there is another event before it.
    pub(crate) async fn end(mut self) -> End {
        let event = self.event().await;
        assert_eq!(event, None, "no further event");
        assert_eq!(String::from_utf8_lossy(&self.unread), "", "nothing after the last event");
        self.end.unwrap()
    }

    /// Reads the whole body.
    pub(crate) async fn whole(self) -> Reply {
        self.whole_and_wire().await.0
    }

    async fn whole_and_wire(mut self) -> (Reply, Wire) {
        let end = loop {
            match within("an answer's body", self.wire.piece(&mut self.body)).await {
                Ok(Some(piece)) => self.unread.extend_from_slice(&piece),
                Ok(None) => break End::Clean,
                Err(_) => break End::Cut,
            }
        };
        (Reply { status: self.status, head: self.head, body: self.unread, end }, self.wire)
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the answer is UTF-8")
    }

    /// A refusal for this reason, complete: header and body agree. Returns the JSON-RPC error.
    pub(crate) fn refused(&self, status: u16, reason: &str) -> Value {
        let got = (self.status, self.header("gatepost-reason"));
        assert_eq!(got, (status, Some(reason)), "{:?} {}", self.head, String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/json"));
        let body = self.json();
        assert_eq!(body["jsonrpc"], "2.0");
        assert_eq!(body["error"]["data"]["reason"], reason, "{body}");
        assert!(body["error"]["message"].is_string(), "{body}");
        body["error"].clone()
    }

    /// The answer of the MCP server, without fault.
    pub(crate) fn passed(&self) -> &Self {
        let got = (self.status, self.header("gatepost-reason"), self.end);
        assert_eq!(got, (200, None, End::Clean), "{:?} {}", self.head, String::from_utf8_lossy(&self.body));
        self
    }
}

/// What must hold of every answer.
fn check(head: &Head, body: &[u8], status: u16, tokens: &[String], passed_through: bool) {
    let challenges: Vec<_> = head.all("www-authenticate").collect();
    assert!(challenges.len() <= 1, "more than one challenge: {challenges:?}");
    assert!(
        challenges.iter().all(|each| each.matches("Bearer").count() == 1),
        "not one Bearer challenge: {challenges:?}"
    );
    assert!(challenges.is_empty() || status == 400 || status == 401 || status == 403, "a challenge with {status}");
    let reason = head.header("gatepost-reason");
    let refused = status >= 400 && !passed_through;
    assert_eq!(reason.is_some(), refused, "{status} with Gatepost-Reason {reason:?}: {head:?}");
    assert!(head.all("set-cookie").next().is_none(), "a cookie: {head:?}");
    let answer = format!("{head:?} {}", String::from_utf8_lossy(body));
    for part in tokens.iter().flat_map(|token| token.split('.')).filter(|part| part.len() >= 16) {
        assert!(!answer.contains(part), "a part of the token came back: {answer}");
    }
}
